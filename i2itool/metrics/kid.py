"""Kernel inception distance (Binkowski et al. 2018, arXiv:1801.01401), over features of any network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from i2itool.metrics.features import Features


@dataclass(frozen=True, slots=True)
class Distance:
    """Mean and deviation of the distance over random subsets; about 0 for two samples of one kind."""

    mean: float
    deviation: float


def kernel_distance(
    x: Features, y: Features, *, subsets: int = 50, subset_size: int = 100, seed: int = 0
) -> Distance:
    """KID of two sets of features, N,D and M,D: the mean of the unbiased estimate over random subsets.

    A subset never holds more than half of what there is, or all would be alike. Comparable only between
    runs with the same feature network.
    """
    rng = np.random.default_rng(seed)
    size = min(subset_size, max(2, min(len(x), len(y)) // 2))
    values = [
        squared_mmd(x[rng.choice(len(x), size, replace=False)], y[rng.choice(len(y), size, replace=False)])
        for _ in range(subsets)
    ]
    return Distance(float(np.mean(values)), float(np.std(values)))


def squared_mmd(x: Features, y: Features) -> float:
    """Unbiased squared maximum mean discrepancy of N,D and M,D under the kernel (x.y / D + 1)^3."""
    within_x, within_y, between = _kernel(x, x), _kernel(y, y), _kernel(x, y)
    n, m = len(x), len(y)
    mean_x = (within_x.sum() - np.trace(within_x)) / (n * (n - 1))
    mean_y = (within_y.sum() - np.trace(within_y)) / (m * (m - 1))
    return float(mean_x + mean_y - 2 * between.mean())


def _kernel(x: Features, y: Features) -> Features:
    kernel: Features = (x @ y.T / x.shape[1] + 1) ** 3
    return kernel
