"""How a DeltaEncoder packs a frame of changes: two arrays of int32, the data and the index.

All encoders flatten the frame in C order. Encodings of 8 bits keep the low byte of each value.
"""

from __future__ import annotations

import numpy as np

_ESCAPE = 255  # an index byte that says how far to jump


def encode_sparse(s_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the values and the positions of the non-zeros; one zero at position 0 if there are none.

    Parameters
    ----------
    s_out : ndarray of int

    Returns
    -------
    data, index : ndarray of int32
    """
    flat = np.ravel(s_out)
    index = flat.nonzero()[0]
    if not len(index):
        return np.zeros(1, np.int32), np.zeros(1, np.int32)
    return flat[index].astype(np.int32), index.astype(np.int32)


def encode_packed_4(s_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all values, four to a word: words 0, 2, 4, ... are the data, words 1, 3, 5, ... the index.

    Parameters
    ----------
    s_out : ndarray of int

    Returns
    -------
    data, index : ndarray of int32
        Values are padded with zeros to a multiple of eight.
    """
    words = _pack(_low_bytes(np.ravel(s_out)), 8)
    return words[0::2], words[1::2]


def encode_delta_sparse_8(s_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return values and gaps of the non-zeros as bytes, four to a word.

    Each non-zero is a pair of an index byte, the number of zeros before it, and a data byte. A gap of 255 or more
    is led by pairs with index byte 255 that tell to jump over 255 times the data byte. A frame whose first
    255 values are zero starts with a zero at position 0, so that no jump comes first.

    Parameters
    ----------
    s_out : ndarray of int

    Returns
    -------
    data, index : ndarray of int32
        Padded with zeros to a multiple of four bytes.
    """
    values, positions = encode_sparse(s_out)
    if positions[0] >= _ESCAPE:
        values, positions = np.insert(values, 0, 0), np.insert(positions, 0, 0)
    gaps = np.diff(positions.astype(np.int64), prepend=-1) - 1
    far = gaps >= _ESCAPE
    jumps, rest = np.divmod(gaps // _ESCAPE, _ESCAPE)
    # pairs of each entry: jumps over 255 * 255, one over the rest of the multiples of 255, the entry itself
    count = np.where(far, jumps + 2, 1)
    last = count.cumsum() - 1
    index = np.full(last[-1] + 1, _ESCAPE, np.int64)
    data = np.full(last[-1] + 1, _ESCAPE, np.int64)
    index[last] = np.where(far, gaps % _ESCAPE, gaps)
    data[last] = values
    data[last[far] - 1] = rest[far]
    return _pack(_low_bytes(data), 4), _pack(_low_bytes(index), 4)


def decode_encode_delta_sparse_8(
    packed_data: np.ndarray, packed_idx: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what `encode_delta_sparse_8` packed.

    Parameters
    ----------
    packed_data, packed_idx : ndarray of int32

    Returns
    -------
    data, idx : ndarray of int64
        Values, as bytes without a sign, and positions. Values with a low byte of 0 are lost.
    """
    data, index = (_unpack(words).astype(np.int64) for words in (packed_data, packed_idx))
    steps = np.where(index == _ESCAPE, _ESCAPE * data, index + 1)
    steps[:1] -= 1
    positions = steps.cumsum()
    kept = (index != _ESCAPE) & (data != 0)
    return data[kept], positions[kept]


def _low_bytes(values: np.ndarray) -> np.ndarray:
    return (values & 0xFF).astype(np.uint8)


def _pack(data: np.ndarray, multiple: int) -> np.ndarray:
    """Return bytes as words of 32 bits, the first byte in the low bits, padded to a multiple of bytes."""
    padded = np.pad(data, (0, -len(data) % multiple))
    return padded.view("<i4").astype(np.int32)


def _unpack(words: np.ndarray) -> np.ndarray:
    return np.asarray(words).astype("<i4").view(np.uint8)
