"""Digits as folders of pictures, WORK/NAME/CLASS/NUMBER.png: MNIST, MNIST-M and optdigits.

MNIST-M is made as Ganin et al. 2016 made theirs: the absolute difference of a digit and a patch of a photo.
It is made of other digits than those that stand in MNIST here, so that no digit is in both domains. Optdigits
stands for USPS, which is not free to share: 1,797 digits of other writers, 8x8 pixels.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from i2itool.frames import Pixels
from i2itool.networks.adaptation import SIZE_PX
from i2itool.pictures import list_pictures, read_picture, write_picture

Digits = NDArray[np.uint8]  # N,28,28 or N,28,28,3
Labels = NDArray[np.int64]

# Of ten thousand; the others become MNIST-M.
NUM_MNIST = 6000
MOST_PHOTOS = 60


def write_digits(data: Path, photos: Path, work: Path) -> None:
    """Write each set of digits that has not been written yet.

    data: folder with mnist_10k.npz and optdigits_1797_8x8.npz.  photos: folder of photos for MNIST-M.
    """
    images, labels = read_arrays(data / "mnist_10k.npz")
    # The file is sorted by class.
    order = np.random.default_rng(0).permutation(len(images))
    mnist, rest = order[:NUM_MNIST], order[NUM_MNIST:]
    write_set(work / "mnist", images[mnist].astype(np.uint8), labels[mnist])
    write_set(work / "mnistm", blended(images[rest].astype(np.uint8), list_pictures(photos)), labels[rest])
    images, labels = read_arrays(data / "optdigits_1797_8x8.npz")
    write_set(work / "optdigits", framed(images), labels)


def read_arrays(path: Path) -> tuple[NDArray[Any], Labels]:
    """The pictures and the labels of a file that holds one array of each."""
    arrays = np.load(path)
    images, labels = (next(arrays[key] for key in arrays.files if arrays[key].ndim == n) for n in (3, 1))
    return images, labels


def blended(digits: Digits, photos: list[Path]) -> Digits:
    """N,28,28 digits to N,28,28,3: the difference of each and a patch of a photo."""
    rng = np.random.default_rng(0)
    pictures = [read_picture(path) for path in photos[:: max(1, len(photos) // MOST_PHOTOS)]]
    made = []
    for digit in digits:
        picture = pictures[rng.integers(len(pictures))]
        top, left = (int(rng.integers(side - 28)) for side in picture.shape[:2])
        patch = picture[top : top + 28, left : left + 28].astype(int)
        made.append(np.abs(patch - digit[..., None]).astype(np.uint8))
    return np.stack(made)


def framed(images: NDArray[Any]) -> Digits:
    """N,8,8 digits of 17 levels to N,28,28: as in MNIST, a digit fills the middle twenty of 28 pixels."""
    large = [
        cv2.resize((image * (255 / 16)).astype(np.float32), (20, 20), interpolation=cv2.INTER_CUBIC)
        for image in images
    ]
    return np.pad(np.clip(large, 0, 255), ((0, 0), (4, 4), (4, 4))).astype(np.uint8)


def write_set(folder: Path, images: Digits, labels: Labels) -> None:
    """Write a set of digits, scaled to 32 pixels by repeating pixels, as the authors do."""
    if (folder / "done").exists():
        return
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / str(int(label)) / f"{index:05}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        colours = np.broadcast_to(image[..., None] if image.ndim == 2 else image, (28, 28, 3)).copy()
        pixels: Pixels = np.empty((SIZE_PX, SIZE_PX, 3), np.uint8)
        cv2.resize(colours, (SIZE_PX, SIZE_PX), dst=pixels, interpolation=cv2.INTER_NEAREST)
        write_picture(path, pixels)
    (folder / "done").touch()
