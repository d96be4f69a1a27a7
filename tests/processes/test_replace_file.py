"""Files that are written whole or not at all."""

import pytest

from lahar.processes.replace_file import replace_file


def test_a_file_is_made_and_replaced(tmp_path):
    path = tmp_path / "file"
    replace_file(path, lambda file: file.write(b"one"))
    assert path.read_bytes() == b"one"
    path.chmod(0o600)
    replace_file(path, lambda file: file.write(b"two"))
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_new_file_has_the_permissions_of_any_new_file(tmp_path):
    (tmp_path / "ordinary").write_bytes(b"")
    replace_file(tmp_path / "ours", lambda file: file.write(b""))
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_what_was_there_is_kept_where_writing_fails(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")

    def write(file):
        file.write(b"half")
        assert path.read_bytes() == b"before"  # nobody sees it yet
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace_file(path, write)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_followed(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"before")
    link.symlink_to(path)
    replace_file(link, lambda file: file.write(b"after"))
    assert link.is_symlink()
    assert path.read_bytes() == b"after"
