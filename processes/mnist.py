"""MNIST: 70,000 handwritten digits, downloaded once and kept in the cache of the user."""

from __future__ import annotations

import hashlib
import os
import pickle
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from .download import download
from .errors import ArgumentTypeError, DownloadError, FileFormatError, LaharWarning
from .image_dataset import ImageDataset, Part
from .replace_file import replace_file

_NAMES = ("train_images", "train_labels", "test_images", "test_labels")
_IMAGES, _LABELS = 3, 1  # axes
_UNSIGNED_BYTES = 8  # in the third byte of an IDX file


class MnistDataset(ImageDataset):
    """Handwritten digits of 28 x 28 pixels, 60,000 to train with and 10,000 to test with.

    They are downloaded the first time, checked against known checksums, and kept in one file. Later uses
    need no network.

    Parameters
    ----------
    data_path : str or path, optional
        Where the data are kept: a file, to be made by a download if there is none; or a folder that holds the
        four files of MNIST (`files`), for machines without network access. By default ``lahar/mnist.npz`` in
        ``$XDG_CACHE_HOME`` or ``~/.cache``. A file whose name ends in ``.npy`` holds an array of objects
        ``[[train images, train labels], [test images, test labels]]``; only arrays are taken from it, so that,
        unlike ``numpy.load(allow_pickle=True)``, reading it never runs code.

    Attributes
    ----------
    train_images, test_images, images : ndarray of uint8, shape (n, 784)
        n = 60,000, 10,000, 70,000; from 0 (paper) to 255 (ink).
    train_labels, test_labels, labels : ndarray of uint8, shape (n,)
    mirrors : sequence of str
        Of the class: where the files are looked for, in this order.
    files : sequence of str
        Of the class.
    checksums : dict of str to str
        Of the class: the SHA-256 of each file.
    timeout : float
        Of the class: seconds that a mirror has to send something.

    Raises
    ------
    DownloadError
        No mirror could send the files, or they cannot be kept. The message says why, and what can be done
        without a network.
    FileFormatError
        `data_path` is no such file, or has been damaged. (The file in the cache is fetched anew, with a
        LaharWarning.)
    ArgumentTypeError
        `data_path` is no path.

    References
    ----------
    Y. LeCun, L. Bottou, Y. Bengio and P. Haffner, Gradient-based learning applied to document recognition,
    Proceedings of the IEEE 86 (1998) 2278-2324.
    """

    mirrors: ClassVar[Sequence[str]] = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://azureopendatastorage.blob.core.windows.net/mnist/",
    )
    files: ClassVar[Sequence[str]] = (
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    )
    checksums: ClassVar[Mapping[str, str]] = {
        "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
    }
    timeout: ClassVar[float] = 20.0

    def __init__(self, data_path: str | os.PathLike[str] | None = None) -> None:
        if data_path is not None and not isinstance(data_path, (str, os.PathLike)):
            raise ArgumentTypeError(
                f"MnistDataset.data_path must be a path, not a {type(data_path).__name__}."
            )
        path = cached_path() if data_path is None else Path(data_path)
        super().__init__(*self._parts(path, ours=data_path is None))

    @classmethod
    def _parts(cls, path: Path, ours: bool) -> tuple[Part, Part]:
        if path.is_dir():
            return read_folder(path, cls.files)
        if path.exists():
            try:
                return read_file(path)
            except FileFormatError as error:
                if not ours:
                    raise
                warnings.warn(f"{error} It is downloaded again.", LaharWarning, stacklevel=3)
        cls._fetch(path)
        return read_file(path)

    @classmethod
    def _fetch(cls, path: Path) -> None:
        from tempfile import TemporaryDirectory

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            place = TemporaryDirectory(dir=path.parent, prefix=".mnist-")
        except OSError as error:
            raise DownloadError(
                f"MNIST cannot be kept in '{path.parent}': {error}. Give MnistDataset(data_path=...) a file in a "
                "folder that can be written to."
            ) from error
        with place as folder:
            cls.download_mnist(folder)
            cls.decompress_convert_save(folder, path)

    @classmethod
    def download_mnist(cls, path: str | os.PathLike[str]) -> None:
        """Download the four files into the folder `path`; those that are there already are kept.

        Raises
        ------
        DownloadError
            No mirror could send them.
        """
        advice = (
            f"Without network access, give MnistDataset(data_path=...) a folder with {', '.join(cls.files)}, or the "
            "file that MnistDataset has made on another machine; or use DigitsDataset(width=28), which needs no "
            "download."
        )
        download("MNIST", cls.mirrors, cls.checksums, Path(path), cls.timeout, advice)

    @classmethod
    def decompress_convert_save(
        cls, download_path: str | os.PathLike[str], save_path: str | os.PathLike[str]
    ) -> None:
        """Decode the four files in the folder `download_path` and save them as one, whole or not at all.

        Parameters
        ----------
        download_path : str or path
        save_path : str or path
            A name that ends in ``.npy`` gets an array of objects, any other one numpy's ``.npz`` with a
            checksum.

        Raises
        ------
        FileFormatError
            A file is missing or damaged.
        """
        path, (train, test) = Path(save_path), read_folder(Path(download_path), cls.files)
        if path.suffix == ".npy":
            objects = np.empty((2, 2), object)
            objects[0, :], objects[1, :] = train, test
            replace_file(path, lambda file: np.save(file, objects, allow_pickle=True))
        else:
            arrays = dict(zip(_NAMES, (*train, *test), strict=True))
            replace_file(path, lambda file: np.savez_compressed(file, sha256=_digest(arrays), **arrays))


def cached_path() -> Path:
    """Return where the data are kept by default (XDG Base Directory Specification)."""
    folder = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(folder) if os.path.isabs(folder) else Path.home() / ".cache") / "lahar" / "mnist.npz"


# --- files of MNIST ---------------------------------------------------------------------------


def read_folder(folder: Path, files: Sequence[str]) -> tuple[Part, Part]:
    """Decode the four files of a folder.

    Raises
    ------
    FileFormatError
        One is missing, is no IDX file, or holds fewer images than labels or more.
    """
    arrays = [read_idx(folder / name, axes) for name, axes in zip(files, 2 * (_IMAGES, _LABELS), strict=True)]
    return _checked(str(folder), *arrays)


def read_idx(path: Path, axes: int) -> np.ndarray:
    """Decode a compressed IDX file of unsigned bytes.

    The format: two zero bytes, the type (8 for unsigned bytes), the number of axes, their lengths as
    big-endian integers of four bytes, and the elements in C order.

    Raises
    ------
    FileFormatError
        It is none, has been cut, or has another number of axes.
    """
    import gzip
    import zlib

    try:
        with gzip.open(path) as file:
            content = file.read()
    except FileNotFoundError:
        raise FileFormatError(f"There is no file '{path}'; all files of MNIST are needed.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise FileFormatError(f"'{path}' cannot be decompressed: {error}.") from error
    start = 4 + 4 * axes
    if len(content) < start or content[:4] != bytes([0, 0, _UNSIGNED_BYTES, axes]):
        raise FileFormatError(f"'{path}' is no IDX file of unsigned bytes with {axes} axes.")
    shape = tuple(int(n) for n in np.frombuffer(content, ">u4", axes, 4))
    values = np.frombuffer(content, np.uint8, offset=start)
    if values.size != np.prod(shape, dtype=object):
        raise FileFormatError(f"'{path}' says that its shape is {shape}, but holds {values.size} bytes.")
    return values.reshape(shape)


def _checked(where: str, *arrays: Any) -> tuple[Part, Part]:
    """Return both parts, if all arrays are what they should be."""
    for images, labels in (arrays[:2], arrays[2:]):
        both = (images, labels)
        if not all(isinstance(a, np.ndarray) and a.dtype == np.uint8 for a in both):
            raise FileFormatError(f"'{where}' does not hold images and labels of unsigned bytes.")
        if images.ndim != _IMAGES or labels.shape != images.shape[:1]:
            raise FileFormatError(
                f"'{where}': images of shape {images.shape} and labels of shape {labels.shape} do not belong together."
            )
    return arrays[:2], arrays[2:]  # type: ignore[return-value]


# --- files of ours ----------------------------------------------------------------------------


def read_file(path: Path) -> tuple[Part, Part]:
    """Read what `MnistDataset.decompress_convert_save` has written.

    Raises
    ------
    FileFormatError
        The file is something else, or has been damaged.
    """
    try:
        return _read_objects(path) if path.suffix == ".npy" else _read_archive(path)
    except (FileFormatError, OSError):  # a file that may not be read is not damaged
        raise
    except Exception as error:  # zip, zlib, numpy and pickle all have their own
        raise FileFormatError(f"'{path}' is damaged or no file of MnistDataset: {error}.") from error


def _read_archive(path: Path) -> tuple[Part, Part]:
    with np.load(path, allow_pickle=False) as archive:
        if set(archive.files) != {*_NAMES, "sha256"}:
            raise FileFormatError(f"'{path}' is no file of MnistDataset: it holds {archive.files}.")
        arrays = {name: archive[name] for name in _NAMES}
        if not np.array_equal(archive["sha256"], _digest(arrays)):
            raise FileFormatError(f"'{path}' is damaged: its checksum does not fit its content.")
    return _checked(str(path), *arrays.values())


def _read_objects(path: Path) -> tuple[Part, Part]:
    with path.open("rb") as file:
        version = np.lib.format.read_magic(file)
        read_header = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        shape, _, dtype = read_header[version](file)
        if shape != (2, 2) or not dtype.hasobject:
            raise FileFormatError(f"'{path}' holds an array {shape} of {dtype}, not (2, 2) of objects.")
        objects = _ArrayUnpickler(file).load()
    return _checked(str(path), *(np.asarray(part) for part in objects.ravel()))


class _ArrayUnpickler(pickle.Unpickler):
    """Makes arrays and nothing else, so that a file cannot run code."""

    def find_class(self, module: str, name: str) -> Any:
        makes_array = np.empty(0).__reduce__()[0]
        if name == makes_array.__name__ and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return makes_array
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        raise FileFormatError(f"a data set holds arrays only, not {module}.{name}")


def _digest(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the SHA-256 of names, shapes and bytes."""
    sha = hashlib.sha256()
    for name, array in arrays.items():
        sha.update(f"{name} {array.shape} {array.dtype.str}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return np.frombuffer(sha.digest(), np.uint8)
