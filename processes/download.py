"""Downloading files of which the checksum is known, from the first mirror that has them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from .errors import DownloadError

_CHUNK = 1 << 16
_LARGEST = 1 << 28  # a mirror that sends more than this sends something else


def download(
    what: str, mirrors: Sequence[str], checksums: Mapping[str, str], folder: Path, timeout: float, advice: str
) -> None:
    """Download files into a folder.

    A mirror that fails once is not asked again. A file appears in the folder when it is complete and has the right
    checksum; one that is there already is not fetched.

    Parameters
    ----------
    what : str
        Name of the data set, for messages.
    mirrors : sequence of str
        Addresses, tried in this order.
    checksums : dict of str to str
        SHA-256 of each file, by its name.
    folder : Path
        Made if there is none.
    timeout : float
        Seconds in which a mirror has to send something.
    advice : str
        What else can be done, for messages.

    Raises
    ------
    DownloadError
        All mirrors failed; the message says how each did.
    """
    import http.client

    folder.mkdir(parents=True, exist_ok=True)
    reasons: dict[str, str] = {}
    for name, checksum in checksums.items():
        target = folder / name
        if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == checksum:
            continue
        for mirror in mirrors:
            if mirror in reasons:
                continue
            try:
                _fetch(f"{mirror.rstrip('/')}/{name}", target, checksum, timeout)
                break
            except (OSError, http.client.HTTPException, ValueError) as error:
                reasons[mirror] = f"{name}: {error}"
        else:
            tried = "; ".join(f"{mirror} ({reason})" for mirror, reason in reasons.items())
            raise DownloadError(f"{what} could not be downloaded. Tried {tried or 'no mirror'}. {advice}")


def _fetch(address: str, target: Path, checksum: str, timeout: float) -> None:
    """Download one file.

    Raises
    ------
    OSError, HTTPException, ValueError
        It did not arrive, or is not the right one.
    """
    import urllib.request
    from tempfile import NamedTemporaryFile

    sha, size = hashlib.sha256(), 0
    with (
        urllib.request.urlopen(address, timeout=timeout) as response,
        NamedTemporaryFile(dir=target.parent, prefix=f".{target.name}-", delete=False) as file,
    ):
        try:
            while chunk := response.read(_CHUNK):
                sha.update(chunk)
                size += len(chunk)
                if size > _LARGEST:
                    raise OSError(f"more than {_LARGEST} bytes")
                file.write(chunk)
            expected = response.headers.get("Content-Length")
            if expected is not None and int(expected) != size:
                raise OSError(f"{size} of {expected} bytes arrived")
            if sha.hexdigest() != checksum:
                raise OSError(f"the checksum is {sha.hexdigest()}, not {checksum}")
        except BaseException:
            os.unlink(file.name)
            raise
    os.replace(file.name, target)
