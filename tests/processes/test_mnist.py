"""MnistDataset: downloads from a server on this machine, the cache, files that users bring, and damage to all."""

import gzip
import hashlib
import os
import socket

import numpy as np
import pytest
from support.mirror import mirror

from lahar.processes import MnistDataset
from lahar.processes.errors import ArgumentTypeError, DownloadError, FileFormatError, LaharWarning

NAMES = MnistDataset.files


def idx(array):
    """Return an IDX file of unsigned bytes."""
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return gzip.compress(head + array.astype(np.uint8).tobytes(), mtime=0)


RNG = np.random.default_rng(0)
TRAIN = RNG.integers(0, 256, (6, 28, 28), dtype=np.uint8), RNG.integers(0, 10, 6, dtype=np.uint8)
TEST = RNG.integers(0, 256, (3, 28, 28), dtype=np.uint8), RNG.integers(0, 10, 3, dtype=np.uint8)
FILES = dict(zip(NAMES, map(idx, (*TRAIN, *TEST)), strict=True))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Give every test a cache of its own, and let nothing stand between it and its server."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "cache" / "lahar" / "mnist.npz"


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "files"
    path.mkdir()
    for name, content in FILES.items():
        (path / name).write_bytes(content)
    return path


def small(*addresses, **changes):
    """Return MnistDataset for the small files, from these mirrors."""
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    attributes = {"mirrors": addresses, "checksums": sums, "timeout": 5.0, **changes}
    return type("Small", (MnistDataset,), attributes)


def check(data):
    for images, pixels, labels in (
        (data.train_images, TRAIN[0], data.train_labels),
        (data.test_images, TEST[0], data.test_labels),
    ):
        assert images.dtype == labels.dtype == np.uint8
        np.testing.assert_array_equal(images, pixels.reshape(-1, 784))
    np.testing.assert_array_equal(data.train_labels, TRAIN[1])
    np.testing.assert_array_equal(data.test_labels, TEST[1])
    assert data.images.shape == (9, 784)
    np.testing.assert_array_equal(data.labels, [*TRAIN[1], *TEST[1]])


def test_it_is_downloaded_once_and_kept_in_the_cache(cache):
    with mirror(FILES) as server:
        check(small(server.address)())
        check(small(server.address)())
        assert server.asked == list(NAMES)
    check(small()())  # needs no mirror any more
    assert [path.name for path in cache.parent.iterdir()] == ["mnist.npz"]  # nothing else is left


def test_the_cache_is_where_xdg_says(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    for value in ("", "relative"):  # to be ignored, says the specification
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        with mirror(FILES) as server:
            small(server.address)()
        (tmp_path / ".cache" / "lahar" / "mnist.npz").unlink()


def test_the_next_mirror_is_tried_and_a_broken_one_not_again():
    damaged = {name: content[:-9] + b"x" + content[-8:] for name, content in FILES.items()}
    with (
        mirror(damaged) as bad,
        mirror(FILES, status=503) as busy,
        mirror({}) as empty,
        mirror(FILES) as good,
    ):
        check(small(bad.address, busy.address, empty.address, good.address)())
        assert [len(server.asked) for server in (bad, busy, empty, good)] == [1, 1, 1, 4]


def test_a_download_that_ends_early_is_no_download():
    with mirror(FILES, missing_bytes=5) as cut, mirror(FILES) as good:
        check(small(cut.address, good.address)())
        assert cut.asked == [NAMES[0]]
        with pytest.raises(DownloadError, match=r"\d+ of \d+ bytes arrived"):
            small(cut.address)("elsewhere.npz")


def test_the_error_says_how_each_mirror_failed_and_what_can_be_done(tmp_path):
    wrong = dict(FILES, **{NAMES[2]: FILES[NAMES[0]]})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    with mirror(wrong) as liar, mirror({}) as empty, pytest.raises(ConnectionError) as caught:
        small(closed, empty.address, "nonsense", liar.address)(tmp_path / "mnist.npz")
    text = str(caught.value)
    assert isinstance(caught.value, DownloadError)
    assert f"{closed} ({NAMES[0]}: " in text
    assert "Connection refused" in text
    assert f"{empty.address} ({NAMES[0]}: HTTP Error 404" in text
    assert f"nonsense ({NAMES[0]}: unknown url type" in text
    assert f"{liar.address} ({NAMES[2]}: the checksum is " in text
    assert "data_path" in text
    assert "DigitsDataset" in text
    assert not list(tmp_path.iterdir())
    with pytest.raises(DownloadError, match="Tried no mirror"):
        small()()


def test_a_silent_mirror_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(DownloadError, match="timed out"):
            small(address, timeout=0.05)()


def test_files_that_are_there_are_not_downloaded(folder):
    (folder / NAMES[1]).unlink()
    (folder / NAMES[3]).write_bytes(b"half a download")
    with mirror(FILES) as server:
        small(server.address).download_mnist(folder)
        assert server.asked == [NAMES[1], NAMES[3]]
    check(MnistDataset(folder))
    assert {path.name for path in folder.iterdir()} == set(NAMES)


def test_a_damaged_cache_is_replaced(cache):
    with mirror(FILES) as server:
        dataset = small(server.address)
        dataset()
        content = bytearray(cache.read_bytes())
        content[len(content) // 2] ^= 0xFF
        cache.write_bytes(content)
        with pytest.warns(LaharWarning, match=r"mnist\.npz' .* It is downloaded again") as said:
            check(dataset())
        assert said[0].filename == __file__
        check(dataset())
        assert len(server.asked) == 8


def altered(path, **changes):
    with np.load(path) as archive:
        arrays = {**archive, **changes}
    np.savez(path, **arrays)


def test_a_file_of_the_user_is_never_replaced(tmp_path):
    path = tmp_path / "mine.npz"
    with mirror(FILES) as server:
        dataset = small(server.address)
        check(dataset(str(path)))
        altered(path, train_labels=np.zeros(6, np.uint8))
        before = path.read_bytes()
        with pytest.raises(FileFormatError, match=r"mine\.npz' is damaged: its checksum"):
            dataset(path)
        assert path.read_bytes() == before
        assert len(server.asked) == 4
    path.write_bytes(b"something else")
    with pytest.raises(FileFormatError, match=r"mine\.npz' is damaged or no file of MnistDataset"):
        MnistDataset(path)
    np.savez(path, images=TRAIN[0])
    with pytest.raises(FileFormatError, match=r"no file of MnistDataset: it holds \['images'\]"):
        MnistDataset(path)


# --- arrays of objects ------------------------------------------------------------------------


def test_arrays_of_objects_are_written_and_read(tmp_path):
    path = tmp_path / "mnist.npy"
    with mirror(FILES) as server:
        check(small(server.address)(path))
    objects = np.load(path, allow_pickle=True)
    assert objects.shape == (2, 2)
    np.testing.assert_array_equal(objects[0, 0], TRAIN[0])
    np.testing.assert_array_equal(objects[1, 1], TEST[1])
    check(MnistDataset(path))


def save_objects(path, *parts):
    objects = np.empty(4, object)
    objects[:] = parts
    np.save(path, objects.reshape(2, 2), allow_pickle=True)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_a_file_with_objects_cannot_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_objects(tmp_path / "bomb.npy", *TRAIN, TEST[0], Bomb())
    with pytest.raises(FileFormatError, match=r"arrays only, not (posix|nt|os)\.mkdir"):
        MnistDataset(tmp_path / "bomb.npy")
    assert not (tmp_path / "exploded").exists()
    np.load(tmp_path / "bomb.npy", allow_pickle=True)
    assert (tmp_path / "exploded").exists()  # what would have happened otherwise


def test_other_arrays_are_refused(tmp_path):
    path = tmp_path / "mnist.npy"
    np.save(path, TRAIN[0])
    with pytest.raises(FileFormatError, match=r"holds an array \(6, 28, 28\) of uint8"):
        MnistDataset(path)
    save_objects(path, TRAIN[0], TRAIN[1].astype(float), *TEST)
    with pytest.raises(FileFormatError, match="labels of unsigned bytes"):
        MnistDataset(path)
    save_objects(path, TRAIN[0], TEST[1], *TEST)
    with pytest.raises(FileFormatError, match=r"images of shape \(6, 28, 28\) and labels of shape \(3,\)"):
        MnistDataset(path)
    save_objects(path, TRAIN[0], None, *TEST)
    with pytest.raises(FileFormatError, match="labels of unsigned bytes"):
        MnistDataset(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(FileFormatError, match="is damaged or no file"):
        MnistDataset(path)


# --- files of MNIST ---------------------------------------------------------------------------


def test_a_folder_with_the_four_files_will_do(folder):
    check(MnistDataset(data_path=str(folder)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "There is no file"),
        (b"not compressed", "cannot be decompressed"),
        (FILES[NAMES[0]][:-12], "cannot be decompressed"),
        (gzip.compress(b"short"), "is no IDX file"),
        (FILES[NAMES[1]], "is no IDX file of unsigned bytes with 3 axes"),
        (
            gzip.compress(gzip.decompress(FILES[NAMES[0]])[:-1]),
            r"shape is \(6, 28, 28\), but holds 4703 bytes",
        ),
        (gzip.compress(bytes([0, 0, 8, 3]) + b"\xff" * 12), "but holds 0 bytes"),
        (idx(TRAIN[0][:5]), r"images of shape \(5, 28, 28\) and labels of shape \(6,\)"),
    ],
)
def test_a_damaged_file_is_named(folder, content, message):
    path = folder / NAMES[0]
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(FileFormatError, match=message):
        MnistDataset(folder)


def test_a_failure_to_save_leaves_nothing(folder, tmp_path, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()

    def fail(*args, **kwargs):
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="no space left"):
        MnistDataset.decompress_convert_save(folder, out / "mnist.npz")
    assert not list(out.iterdir())


def test_the_path_must_be_one():
    with pytest.raises(ArgumentTypeError, match="must be a path, not a int"):
        MnistDataset(7)


def test_every_file_has_a_checksum():
    assert list(MnistDataset.checksums) == list(NAMES)
    assert all(len(bytes.fromhex(checksum)) == 32 for checksum in MnistDataset.checksums.values())
    assert all(address.startswith("https://") for address in MnistDataset.mirrors)


def test_a_file_that_may_not_be_read_is_not_called_damaged(monkeypatch, tmp_path):
    path = tmp_path / "mnist.npz"
    path.touch()

    def refuse(*args, **kwargs):
        raise PermissionError("not for you")

    monkeypatch.setattr(np, "load", refuse)
    with pytest.raises(PermissionError, match="not for you"):
        MnistDataset(path)


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        DownloadError, match=r"MNIST cannot be kept in '.*file': .* a file in a folder that can"
    ):
        MnistDataset(tmp_path / "file" / "mnist.npz")
