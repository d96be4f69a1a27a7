"""DigitsDataset: the stand-in for MNIST."""

import sys

import numpy as np
import pytest

from lahar.processes import DigitsDataset
from lahar.processes.errors import MissingExtraError, ValidationError


def test_digits_as_they_are():
    load_digits = pytest.importorskip("sklearn.datasets").load_digits
    data, given = DigitsDataset(), load_digits()
    np.testing.assert_array_equal(data.images, given.data)
    np.testing.assert_array_equal(data.labels, given.target)
    assert data.train_images.shape == (1437, 64)
    assert data.test_images.shape == (360, 64)
    assert data.train_labels.shape == (1437,)
    assert data.test_labels.shape == (360,)
    assert data.images.dtype == data.labels.dtype == np.uint8


def test_digits_in_the_format_of_mnist():
    pytest.importorskip("sklearn")
    small, large = DigitsDataset().images, DigitsDataset(width=28).images
    assert large.shape == (1797, 784)
    assert large.dtype == np.uint8
    assert large.max() == 255
    pictures = large.reshape(-1, 28, 28)
    inner = pictures[:, 2:26, 2:26]
    assert inner.sum(dtype=int) == pictures.sum(dtype=int)  # the frame is black
    for dx in range(3):
        for dy in range(3):
            np.testing.assert_array_equal(
                inner[:, dx::3, dy::3], small.reshape(-1, 8, 8).astype(int) * 255 // 16
            )


def test_other_widths_do_not_exist():
    with pytest.raises(ValidationError, match=r"DigitsDataset\.width: 8 or 28 expected, not 16"):
        DigitsDataset(width=16)


def test_the_package_may_be_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(
        MissingExtraError, match=r"DigitsDataset needs scikit-learn: pip install 'lahar\[tutorials\]'"
    ):
        DigitsDataset()
