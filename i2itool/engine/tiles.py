"""Pictures too large for the memory: the network in float32, a strip of rows at a time, without seams.

A tile here is a strip as wide as the picture. What a later layer needs whole is kept whole if it is small
enough, and computed again for each strip if it is not; the statistics of normalisations are always those of
the whole picture. So the result is that of the whole picture up to rounding, and nothing has to be blended.
"""

from __future__ import annotations

import math
from collections import Counter

import torch
from torch import Tensor, fx, nn

from i2itool.engine.base import Build, SizedEngine
from i2itool.engine.graph import Shape, layers, shapes_in, traced
from i2itool.engine.memory import free_bytes, out_of_memory_told
from i2itool.engine.rows import Fetch, Statistics, Sums, complaint, compute, is_norm, normalise
from i2itool.errors import EngineError
from i2itool.options import Precision

# Of the widest layer's rows that are worked on at once: enough to keep all cores at work.
_STRIP_BYTES = 64 * 2**20
# Three layers of a residual trunk have to be there at once, and the rest needs room as well.
_SHARE_KEPT = 1 / 8
_BYTES = 4


class TiledEngine(SizedEngine):
    """PyTorch in float32 by strips; slower than at once, and with little memory."""

    name = "tiles"
    is_any_size = True

    @classmethod
    def precisions(cls, device: torch.device) -> tuple[Precision, ...]:  # noqa: ARG003
        """Float32 on every device."""
        return ("fp32",)

    def __init__(self, build: Build) -> None:
        super().__init__(build)
        self._graph: fx.GraphModule | None = traced(build.network)
        for layer in layers(self._graph):
            if reason := complaint(layer):
                raise EngineError(f"this network cannot be run by rows: it has {reason}")
        with out_of_memory_told(build.device, 1, build.size):
            self._graph.to(build.device)

    def _translate(self, batch: Tensor) -> Tensor:
        assert self._graph is not None
        exact = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        with out_of_memory_told(self.device, 1, self.size), torch.inference_mode(), exact:
            pictures = [_Run(self._graph, picture[None], self.device).output() for picture in batch.float()]
            output = torch.cat(pictures) if len(pictures) > 1 else pictures[0]
        return output.clone()

    def _free(self) -> None:
        self._graph = None


class _Run:
    """One picture on its way through the network. Layers that are kept whole are so in the host's memory."""

    def __init__(self, graph: fx.GraphModule, picture: Tensor, device: torch.device) -> None:
        self._graph = graph
        self._modules = dict(graph.named_modules())
        self._device = device
        self._shapes = shapes_in(graph, tuple(picture.shape))
        self._strip_share = _strip_share(self._shapes)
        self._kept: dict[fx.Node, Tensor] = {}
        self._statistics: dict[fx.Node, Statistics] = {}
        self._picture = picture
        self._most_bytes = max(_STRIP_BYTES, int(free_bytes(torch.device("cpu")) * _SHARE_KEPT))

    def output(self) -> Tensor:
        """What the network gives, 1,C,H,W in the host's memory."""
        keepers = [node for node in self._graph.graph.nodes if self._is_kept(node)]
        sources = {node: self._sources(node) for node in keepers}
        waiting = Counter(source for node in keepers for source in sources[node])
        for node in keepers:
            self._kept[node] = self._whole(node)
            for source in sources[node]:
                waiting[source] -= 1
                if not waiting[source]:
                    del self._kept[source]
        return self._kept[keepers[-1]]

    def _is_kept(self, node: fx.Node) -> bool:
        """Whether a layer's output is kept whole, rather than computed again wherever it is needed."""
        if node.op in ("placeholder", "output"):
            return False
        is_last = any(user.op == "output" for user in node.users)
        if is_last or len(node.users) > 1:
            return True
        is_costly = isinstance(self._module(node), nn.Conv2d | nn.ConvTranspose2d)
        return is_costly and _BYTES * math.prod(self._shapes[node]) <= self._most_bytes

    def _sources(self, node: fx.Node) -> set[fx.Node]:
        """The kept layers that a layer is computed from."""
        found: set[fx.Node] = set()
        waiting = list(node.all_input_nodes)
        while waiting:
            above = waiting.pop()
            if self._is_kept(above):
                found.add(above)
            else:
                waiting += above.all_input_nodes
        return found

    def _whole(self, node: fx.Node) -> Tensor:
        whole = torch.empty(self._shapes[node])
        for first, last in self._strips(node):
            whole[:, :, first:last] = self._rows(node, first, last)
        return whole

    def _strips(self, node: fx.Node) -> list[tuple[int, int]]:
        height = self._shapes[node][2]
        rows = max(1, math.ceil(height * self._strip_share))
        return [(first, min(height, first + rows)) for first in range(0, height, rows)]

    def _rows(self, node: fx.Node, first: int, last: int) -> Tensor:
        """Rows of a layer's output, on the device: as kept, or computed from the rows that they hang on."""
        if node in self._kept:
            return self._kept[node][:, :, first:last].to(self._device)
        if node.op == "placeholder":
            return self._picture[:, :, first:last].to(self._device)
        if node.op == "call_function":
            return self._joined(node, first, last)
        layer, (above,) = self._module(node), node.all_input_nodes
        assert layer is not None
        if is_norm(layer):
            return normalise(layer, self._rows(above, first, last), self._statistics_of(node, layer, above))
        return compute(layer, self._fetch(above), self._shapes[above][2], first, last)

    def _fetch(self, node: fx.Node) -> Fetch:
        return lambda first, last: self._rows(node, first, last)

    def _joined(self, node: fx.Node, first: int, last: int) -> Tensor:
        """What a function of the same rows of one or two layers gives."""
        rows = {above: self._rows(above, first, last) for above in node.all_input_nodes}
        arguments = fx.map_arg((node.args, node.kwargs), rows.__getitem__)
        assert callable(node.target)
        output: Tensor = node.target(*arguments[0], **arguments[1])
        return output

    def _statistics_of(self, node: fx.Node, layer: nn.Module, above: fx.Node) -> Statistics:
        if node not in self._statistics:
            sums = Sums(layer)
            for first, last in self._strips(above):
                sums.add(self._rows(above, first, last))
            self._statistics[node] = sums.statistics()
        return self._statistics[node]

    def _module(self, node: fx.Node) -> nn.Module | None:
        return self._modules[str(node.target)] if node.op == "call_module" else None


def _strip_share(shapes: dict[fx.Node, Shape]) -> float:
    """The part of a picture's height that is worked on at once, the same in all layers."""
    widest = max(_BYTES * math.prod(shape) for shape in shapes.values())
    return min(1.0, _STRIP_BYTES / widest)
