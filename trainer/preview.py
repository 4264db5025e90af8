"""Preview grids: what the translators make of a few fixed pictures of each domain."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from i2itool.frames import Pixels
from i2itool.pixels import to_pixels
from i2itool.preset import Direction

from .data import Batch

# Of a row of titles, and of the side of a picture below it.
_HEADER_PX, _LEAST_PX = 22, 64


Translators = dict[Direction, nn.Module]


def render_preview(translators: Translators, samples: Batch, device: torch.device) -> Pixels:
    """A row for each sample: A, A in B, and back; B, B in A, and back. H,W,3 uint8 RGB.

    Of one direction alone: A, A in B, and B.
    """
    a, b = samples.a.to(device), samples.b.to(device)
    fake_b = translate(translators["a2b"], a)
    columns = {"A": a, "A to B": fake_b}
    if "b2a" in translators:
        a2b, b2a = translators["a2b"], translators["b2a"]
        fake_a = translate(b2a, b)
        columns |= {"and back": translate(b2a, fake_b), "B": b, "B to A": fake_a}
        columns |= {"and back ": translate(a2b, fake_a)}
    else:
        columns |= {"B": b}
    size = a.shape[-1]
    zoom = -(-_LEAST_PX // size)
    drawn = []
    for title, pictures in columns.items():
        header = np.full((_HEADER_PX, size * zoom, 3), 255, np.uint8)
        cv2.putText(header, title, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
        shown = to_pixels(pictures, height=size, width=size).repeat(zoom, 1).repeat(zoom, 2)
        drawn.append(np.concatenate([header, *shown]))
    return np.concatenate(drawn, axis=1)


@torch.no_grad()
def translate(network: nn.Module, pictures: Tensor) -> Tensor:
    """Translate N,3,H,W one by one, so that a preview needs no more memory than a step of batch 1."""
    return torch.cat([network(picture[None]) for picture in pictures])
