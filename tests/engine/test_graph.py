"""The shapes of layers are found without computing them, and without what takes long to import."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import fx

from i2itool.engine.graph import shapes_in, traced
from i2itool.networks import build, multiple_of

NETWORKS: list[tuple[str, dict[str, Any]]] = [
    ("resnet", {"width": 4, "blocks": 1}),
    ("resnet", {"width": 4, "blocks": 1, "upsample": "resize"}),
    ("unet", {"width": 2, "depth": 5}),
    ("unit", {"width": 4, "blocks": 1}),
    ("unit2018", {"width": 4, "blocks": 1}),
    ("light", {"width": 4, "blocks": 1, "factor": 4}),
    ("light", {"width": 4, "blocks": 1, "factor": 4, "gain": True}),
]


class Seen(fx.Interpreter):
    """Runs a graph, and remembers the shape of all that it gives."""

    def __init__(self, graph: fx.GraphModule) -> None:
        super().__init__(graph)
        self.shapes: dict[str, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        self.shapes[n.name] = tuple(result.shape)
        return result


@pytest.mark.parametrize(("name", "hyper"), NETWORKS, ids=str)
def test_shapes_are_those_of_a_real_run(name: str, hyper: dict[str, Any]) -> None:
    network = build(name, **hyper).eval()
    side = 2 * multiple_of(network)
    graph = traced(network)
    seen = Seen(graph)
    with torch.inference_mode():
        seen.run(torch.zeros(1, 3, side, 2 * side))
    found = shapes_in(graph, (1, 3, side, 2 * side))
    assert {node.name: shape for node, shape in found.items()} == seen.shapes


def test_translating_does_not_import_pytorchs_compiler() -> None:
    code = (
        "import sys, numpy as np; from i2itool.networks import build\n"
        "from i2itool.translator import Translator\n"
        "with Translator(build('resnet', width=2, blocks=1), device='cpu') as translator:\n"
        "    translator.translate(np.zeros((1, 16, 16, 3), np.uint8))\n"
        "print('torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
