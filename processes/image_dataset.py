"""Data sets of images with labels, divided into a part to train with and a part to test with."""

from __future__ import annotations

import numpy as np

Part = tuple[np.ndarray, np.ndarray]


class ImageDataset:
    """Images as rows of numbers, and what they show.

    Parameters
    ----------
    train, test : (ndarray, ndarray)
        Images, of shape (n, ...), and their n labels.

    Attributes
    ----------
    train_images, test_images, images : ndarray, shape (n, pixels)
        `images` are those to train with, then those to test with.
    train_labels, test_labels, labels : ndarray, shape (n,)
    """

    def __init__(self, train: Part, test: Part) -> None:
        self._train, self._test = train, test

    @property
    def train_images(self) -> np.ndarray:
        return _as_rows(self._train[0])

    @property
    def train_labels(self) -> np.ndarray:
        return self._train[1]

    @property
    def test_images(self) -> np.ndarray:
        return _as_rows(self._test[0])

    @property
    def test_labels(self) -> np.ndarray:
        return self._test[1]

    @property
    def images(self) -> np.ndarray:
        return np.concatenate([self.train_images, self.test_images])

    @property
    def labels(self) -> np.ndarray:
        return np.concatenate([self.train_labels, self.test_labels])


def _as_rows(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)
