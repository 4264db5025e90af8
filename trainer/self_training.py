"""A classifier taught by its own running mean, on pictures without names; not part of UNIT.

The mean is the teacher, as in French, Mackiewicz and Fisher 2018 (arXiv:1706.05208); what it is sure of
becomes a name, as in FixMatch (Sohn et al. 2020, arXiv:2001.07685); in the mean over several views of a
picture, as in MixMatch (Berthelot et al. 2019, arXiv:1905.02249), it is right more often.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def agreement(logits: Tensor, of_teacher: Tensor, *, threshold: float) -> tuple[Tensor, Tensor]:
    """Cross entropy of `logits` and the teacher's name of each picture, 0 where it is not sure of it.

    It is sure of a class with a share of `threshold` or more.
    logits: N,classes of varied pictures.  of_teacher: N,classes, the shares that it gives each of the same
    ones, without gradient.  Returns the mean over all N, and the share of pictures that it is sure of.
    """
    share, names = of_teacher.max(1)
    sure = (share >= threshold).to(logits.dtype)
    return (F.cross_entropy(logits, names, reduction="none") * sure).mean(), sure.mean()


def mean_of_views(logits: Tensor, count: int) -> Tensor:
    """N,classes: the mean shares that each of N pictures gets; logits: count*N,classes, view by view."""
    return logits.softmax(1).view(count, -1, logits.shape[1]).mean(0)


def imbalance(logits: Tensor) -> Tensor:
    """Cross entropy of an even share for each class and the mean share that N,classes give it.

    At least the logarithm of the number of classes. Without it a teacher that takes one class for another
    makes itself believed. French et al. 2018, section 3.4, have a binary cross entropy for each class.
    """
    shares = logits.softmax(1).mean(0)
    return -(shares + 1e-6).log().mean()
