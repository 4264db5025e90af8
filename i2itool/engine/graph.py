"""A network as a graph of layers, and the shape of what each of them gives."""

from __future__ import annotations

import copy
import operator

import torch
import torch.nn.functional as F
from torch import fx, nn

from i2itool.engine.rows import shape_after
from i2itool.errors import EngineError
from i2itool.networks.blocks import InstanceNorm, LayerNorm
from i2itool.networks.light import PeriodFilter

# N,C,H,W.
Shape = tuple[int, ...]
# Of pixels one by one; `cat` along the channels is another.
_FUNCTIONS = (operator.add, operator.mul, F.hardtanh)


class _Tracer(fx.Tracer):
    """Takes our norms and filters for layers, whose insides are no business of the graph."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is one node."""
        return isinstance(m, InstanceNorm | LayerNorm | PeriodFilter) or super().is_leaf_module(
            m, module_qualified_name
        )


def traced(network: nn.Module) -> fx.GraphModule:
    """The network as a graph of layers, sums and concatenations; raises EngineError if it is more."""
    own = copy.deepcopy(network).float().eval().requires_grad_(False)
    for module in own.modules():
        if hasattr(module, "inplace"):
            setattr(module, "inplace", False)  # noqa: B010 - no attribute of every module; what comes in may be kept, or asked for again
    try:
        graph = fx.GraphModule(own, _Tracer().trace(own))
    except Exception as error:  # tracing runs the network's own code
        raise EngineError(f"this network cannot be taken apart: {error}") from error
    for node in graph.graph.nodes:
        is_join = node.target is torch.cat and node.args[1:] == (1,)
        is_by_rows = is_join or node.target in _FUNCTIONS
        if node.op in ("call_method", "get_attr") or (node.op == "call_function" and not is_by_rows):
            raise EngineError(f"this network cannot be run by rows: it has {node.target}")
    return graph


def layers(graph: fx.GraphModule) -> list[nn.Module]:
    """The layers in order, each as often as it is used."""
    modules = dict(graph.named_modules())
    return [modules[str(node.target)] for node in graph.graph.nodes if node.op == "call_module"]


def shapes_in(graph: fx.GraphModule, shape: Shape) -> dict[fx.Node, Shape]:
    """The shape of every layer's output for an input of `shape`, found without computing any.

    PyTorch's own way, a run without data, takes a second to be imported.
    """
    modules = dict(graph.named_modules())
    found: dict[fx.Node, Shape] = {}
    for node in graph.graph.nodes:
        above = [found[source] for source in node.all_input_nodes]
        if node.op == "placeholder":
            found[node] = shape
        elif node.op == "call_module":
            found[node] = shape_after(modules[str(node.target)], above[0])
        elif node.target is torch.cat:
            found[node] = (above[0][0], sum(each[1] for each in above), *above[0][2:])
        else:
            found[node] = above[0]
    return found
