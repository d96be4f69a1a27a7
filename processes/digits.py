"""Handwritten digits that need no download: what is used where MNIST cannot be fetched."""

from __future__ import annotations

import numpy as np

from .errors import MissingExtraError, ValidationError
from .image_dataset import ImageDataset

_TRAINED = 1437  # of 1797: four fifths
_SCALE = 3  # 8 pixels become 24, in a frame of 2
_FRAME = 2
_BRIGHTEST = 16
_WIDTHS = (8, 28)


class DigitsDataset(ImageDataset):
    """The 1797 digits that come with scikit-learn, with the properties of `MnistDataset`.

    The first 1437 are for training, the last 360 for testing, in the order in which they come.

    Parameters
    ----------
    width : {8, 28}
        8: images of 8 x 8 pixels as they are, from 0 to 16. 28: in the format of MNIST, every pixel repeated 3 x 3
        times and framed in black, from 0 to 255, so that what was written for MNIST runs with them.

    Attributes
    ----------
    train_images, test_images, images : ndarray of uint8, shape (n, width * width)
        n = 1437, 360, 1797.
    train_labels, test_labels, labels : ndarray of uint8, shape (n,)

    Raises
    ------
    ValidationError
        There are no images of that width.
    MissingExtraError
        scikit-learn is not installed.

    References
    ----------
    E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.

    Examples
    --------
    >>> from lahar.processes import DigitsDataset
    >>> digits = DigitsDataset()
    >>> digits.train_images.shape, digits.test_images.shape
    ((1437, 64), (360, 64))
    >>> print(digits.labels[0], digits.images[0, :8])
    0 [ 0  0  5 13  9  1  0  0]
    """

    def __init__(self, width: int = 8) -> None:
        if width not in _WIDTHS:
            raise ValidationError(f"8 or 28 expected, not {width!r}.", "DigitsDataset.width")
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise MissingExtraError("DigitsDataset", "scikit-learn", "tutorials") from error
        digits = load_digits()
        images, labels = digits.images.astype(np.uint8), digits.target.astype(np.uint8)
        if width == _WIDTHS[1]:
            images = _in_format_of_mnist(images)
        super().__init__((images[:_TRAINED], labels[:_TRAINED]), (images[_TRAINED:], labels[_TRAINED:]))


def _in_format_of_mnist(images: np.ndarray) -> np.ndarray:
    large = images.repeat(_SCALE, axis=1).repeat(_SCALE, axis=2).astype(np.uint16)
    brightened = (large * 255 // _BRIGHTEST).astype(np.uint8)
    return np.pad(brightened, ((0, 0), (_FRAME, _FRAME), (_FRAME, _FRAME)))
