"""A real trained generator of another project: PyPI's vintagify 0.1.2 (MIT), 45 MB, so not kept here.

pip download --no-deps vintagify==0.1.2 && python -m zipfile -e vintagify-*.whl vintagify
I2ITOOL_VINTAGIFY=vintagify/vintagify/resources/G_A2B_epoch33.pth pytest tests/importers/test_vintagify.py
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from i2itool.engine import open_engine
from i2itool.importers import import_checkpoint
from i2itool.pixels import to_network, to_pixels
from i2itool.weights import load_network

WEIGHTS = os.environ.get("I2ITOOL_VINTAGIFY")
SIDE = 128

pytestmark = pytest.mark.skipif(WEIGHTS is None, reason="I2ITOOL_VINTAGIFY does not name vintagify's weights")


def original_network(weights: Path) -> nn.Module:
    """The package's own model code, which lies beside its weights, with those weights."""
    spec = importlib.util.spec_from_file_location("vintagify_generator", weights.parents[1] / "generator.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network: nn.Module = module.ResnetGenerator()
    network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return network.eval()


def test_the_imported_network_gives_the_packages_own_pictures(tmp_path: Path) -> None:
    assert WEIGHTS is not None
    preset = import_checkpoint(Path(WEIGHTS), "vintage", folder=tmp_path)
    assert preset.network.hyper["norm"] == "instance_affine"

    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    picture = np.stack([rows * 2, columns * 2, (rows * columns) % 256], axis=-1)[None].astype(np.uint8)
    batch = to_network(picture)
    with torch.no_grad():
        original = original_network(Path(WEIGHTS))(batch)
    with open_engine("eager", load_network(preset, "a2b"), size=(SIDE, SIDE), device="cpu") as engine:
        ours = engine(batch)

    torch.testing.assert_close(ours, original, rtol=0, atol=1e-4)
    levels = [to_pixels(output, height=SIDE, width=SIDE).astype(int) for output in (ours, original)]
    assert np.abs(levels[0] - levels[1]).max() <= 1
