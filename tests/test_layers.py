"""The import layers of docs/design.md, checked by parsing every import of both arms."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A module's layer is that of its longest prefix here. Imports go down; within a layer only inside one folder.
LAYERS = {
    "i2itool.cli": 8,
    "i2itool.__main__": 8,
    "i2itool.commands": 7,
    "i2itool.trainer.cli": 7,
    "i2itool.trainer.check_cli": 7,
    "i2itool.trainer.distill_cli": 7,
    "i2itool.trainer.adapt_cli": 7,
    "i2itool.trainer.run_options": 7,
    "i2itool.trainer.precedence": 7,
    "i2itool.conversion": 5,
    "i2itool.preparation": 5,
    "i2itool.part_making": 5,
    "i2itool.probe": 5,
    "i2itool.option_check": 5,
    "i2itool.preview": 5,
    "i2itool.translator": 5,
    "i2itool.loaded": 6,
    "i2itool.smoothing": 5,
    "i2itool.flicker": 5,
    "i2itool.flicker_plot": 5,
    "i2itool.streaming": 5,
    "i2itool.evaluation": 5,
    "i2itool.classification": 5,
    "i2itool.verification": 5,
    "i2itool.survey": 5,
    "i2itool.interchange": 5,
    "i2itool.speed": 5,
    "i2itool.targets": 5,
    "i2itool.jobs": 6,
    "i2itool.trainer.distillation": 6,
    "i2itool.trainer.lessons": 6,
    "i2itool.trainer.adaptation": 6,
    "i2itool.trainer.fit": 5,
    "i2itool.trainer.standing": 5,
    "i2itool.trainer.holdout": 5,
    "i2itool.trainer.material": 5,
    "i2itool.trainer.memory": 5,
    "i2itool.trainer.export": 5,
    "i2itool.engine": 4,
    "i2itool.video": 4,
    "i2itool.temporal": 4,
    "i2itool.importers": 4,
    "i2itool.importers.checkpoint": 3,
    "i2itool.metrics": 4,
    "i2itool.trainer.cyclegan": 5,
    "i2itool.trainer.unit": 5,
    "i2itool.trainer.unit2018": 5,
    "i2itool.trainer.distill": 5,
    "i2itool.trainer.adapt": 5,
    "i2itool.trainer.labelled": 4,
    "i2itool.trainer.self_training": 3,
    "i2itool.trainer.variation": 3,
    "i2itool.trainer.translators": 4,
    "i2itool.trainer.task": 4,
    "i2itool.trainer.tasks": 5,
    "i2itool.trainer.adversarial": 4,
    "i2itool.trainer.run": 4,
    "i2itool.trainer.recipe": 4,
    "i2itool.trainer.refusals": 4,
    "i2itool.trainer.data": 4,
    "i2itool.trainer.checkpoint": 4,
    "i2itool.trainer.processes": 3,
    "i2itool.trainer.provenance": 3,
    "i2itool.trainer.choice": 4,
    "i2itool.trainer.curves": 4,
    "i2itool.trainer.report": 4,
    "i2itool.trainer.report_page": 3,
    "i2itool.trainer.board": 4,
    "i2itool.trainer.diary": 4,
    "i2itool.trainer.estimate": 5,
    "i2itool.trainer.preview": 4,
    "i2itool.trainer.watch": 4,
    "i2itool.trainer.doctor": 4,
    "i2itool.weights": 3,
    "i2itool.preset_store": 3,
    "i2itool.trainer.losses": 3,
    "i2itool.trainer.perceptual": 5,
    "i2itool.trainer.feature_critic": 5,
    "i2itool.trainer.steadiness": 3,
    "i2itool.trainer.discriminators": 3,
    "i2itool.trainer.ema": 3,
    "i2itool.trainer.pool": 3,
    "i2itool.trainer.complaints": 3,
    "i2itool.trainer.config": 3,
    "i2itool.trainer.defaults": 3,
    "i2itool.trainer.objectives": 3,
    "i2itool.trainer.schedule": 3,
    "i2itool.trainer.augment": 3,
    "i2itool.trainer.initialise": 3,
    "i2itool.trainer.interrupt": 3,
    "i2itool.networks": 2,
    "i2itool.pixels": 1,
    "i2itool.frames": 1,
    "i2itool.affine": 1,
    "i2itool.carrying": 2,
    "i2itool.pictures": 1,
    "i2itool.stills": 1,
    "i2itool.still_writer": 1,
    "i2itool.partial": 1,
    "i2itool.locks": 1,
    "i2itool.preset": 1,
    "i2itool.options": 1,
    "i2itool.trim": 1,
    "i2itool.juxtapose": 2,
    "i2itool.work_size": 2,
    "i2itool.console": 1,
    "i2itool.profile": 1,
    "i2itool.device": 1,
    "i2itool.errors": 0,
    # Data folders and the package itself, whose public names are loaded on first use.
    "i2itool.presets": 0,
    "i2itool.samples": 0,
    "i2itool.trainer": 0,
    "i2itool": 0,
}
# What the trainer takes from the other arm.
TRAINER_USES = (
    "i2itool.networks",
    "i2itool.weights",
    "i2itool.pixels",
    "i2itool.frames",
    "i2itool.pictures",
    "i2itool.preset",
    "i2itool.partial",
    "i2itool.locks",
    "i2itool.errors",
    "i2itool.metrics",
    "i2itool.engine.memory",
    "i2itool.console",
    "i2itool.device",
    "i2itool.options",
    # A student's teacher works as in a conversion.
    "i2itool.translator",
    "i2itool.work_size",
)
HEAVY = {"torch", "cv2", "PIL", "av", "numpy", "rich", "pydantic", "openvino", "onnx", "nncf", "safetensors"}
LIGHT = (
    "i2itool.cli",
    "i2itool.__main__",
    "i2itool.commands",
    "i2itool.trainer.cli",
    "i2itool.trainer.check_cli",
    "i2itool.trainer.distill_cli",
    "i2itool.trainer.adapt_cli",
    "i2itool.trainer.run_options",
    "i2itool.console",
)


def read_modules() -> dict[str, str]:
    """Module name -> source, of everything that is installed."""
    sources = {}
    for folder, package in (("i2itool", "i2itool"), ("trainer", "i2itool.trainer")):
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            sources[".".join((package, *parts))] = path.read_text(encoding="utf-8")
    return sources


def complaints(sources: Mapping[str, str]) -> list[str]:
    """Every breach of the layers, one line each."""
    names = {name.removesuffix(".__init__") for name in sources}
    found = []
    for module, source in sources.items():
        tree = ast.parse(source)
        # The package's public names are stated there for type checkers only; see test_cli.
        if module != "i2itool.__init__":
            for imported in imports(tree, module, names):
                if problem := judge(module.removesuffix(".__init__"), imported):
                    found.append(f"{module} imports {imported}: {problem}")
        if module.startswith(LIGHT):
            heavy = {name for name in top_level_imports(tree) if name.split(".")[0] in HEAVY}
            found += [f"{module} imports {name}: too heavy for its top level" for name in sorted(heavy)]
        if not module.startswith(("i2itool.trainer", "i2itool.cli")) and names_trainer(tree):
            found.append(f"{module} names i2itool.trainer: only the table of cli.py may")
    return found


def judge(module: str, imported: str) -> str | None:
    """What is wrong with `module` importing `imported`; None if nothing."""
    above, below = layer(module), layer(imported)
    if above is None or below is None:
        return "no layer in the table of test_layers.py"
    if imported == "i2itool":
        return None  # __version__, or a name that its own module brings
    if is_trainer(imported) and not is_trainer(module):
        return "i2itool never imports the trainer"
    if is_trainer(module) and not is_trainer(imported) and not imported.startswith(TRAINER_USES):
        return "not for the trainer"
    if below > above:
        return "upwards"
    if below == above > 0 and folder(imported) != folder(module):
        return "sideways, into another folder"
    return None


def layer(module: str) -> int | None:
    """The layer of the longest known prefix; the bare packages lend theirs to nobody."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        prefix = ".".join(parts[:length])
        if prefix in LAYERS:
            is_lender = prefix not in ("i2itool", "i2itool.trainer")
            return LAYERS[prefix] if is_lender or prefix == module else None
    return None


def folder(module: str) -> str:
    """The package folder that a module lives in; '' for those that lie beside cli.py."""
    second = module.split(".")[1]
    return second if second == "trainer" or (ROOT / "i2itool" / second).is_dir() else ""


def is_trainer(module: str) -> bool:
    return module == "i2itool.trainer" or module.startswith("i2itool.trainer.")


def imports(tree: ast.AST, module: str, names: set[str]) -> Iterator[str]:
    """Modules of ours that are imported anywhere in `tree`, also within functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.split(".")[0] == "i2itool")
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(module.split(".")[: -node.level]) if node.level else ""
            base = ".".join(part for part in (above, node.module) if part)
            if base.split(".")[0] == "i2itool":
                for alias in node.names:
                    full = f"{base}.{alias.name}"
                    is_public_name = base == "i2itool" and alias.name != "__version__"
                    yield full if full in names or is_public_name else base


def top_level_imports(tree: ast.Module) -> Iterator[str]:
    """Modules that importing this one imports at once: not in functions, nor for type checkers only."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            waiting += ast.iter_child_nodes(node)


def names_trainer(tree: ast.AST) -> bool:
    return any(
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and node.value.startswith("i2itool.trainer")
        for node in ast.walk(tree)
    )


def test_imports_only_go_down_the_layers() -> None:
    assert complaints(read_modules()) == []


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("i2itool.pixels", "from i2itool.engine import open_engine", "upwards"),
        ("i2itool.weights", "def load():\n    import i2itool.video.base", "upwards"),
        ("i2itool.video.extra", "from i2itool.engine.base import Engine", "sideways"),
        ("i2itool.engine.extra", "from i2itool import video", "sideways"),
        ("i2itool.temporal.extra", "import i2itool.engine", "sideways"),
        ("i2itool.conversion", "from i2itool.trainer.fit import fit", "never imports the trainer"),
        ("i2itool.commands.extra", "from i2itool.trainer import cli", "never imports the trainer"),
        ("i2itool.commands.extra", "NAME = 'i2itool.trainer.cli:command'", "only the table"),
        ("i2itool.trainer.fit", "from i2itool.engine import open_engine", "not for the trainer"),
        ("i2itool.trainer.losses", "from .fit import fit", "upwards"),
        ("i2itool.commands.extra", "import numpy as np", "too heavy"),
        (
            "i2itool.cli",
            "try:\n    from rich.progress import Progress\nexcept ImportError:\n    pass",
            "too heavy",
        ),
        ("i2itool.weights", "from i2itool import convert", "no layer"),
        ("i2itool.helpers", "from i2itool.errors import I2IError", "no layer"),
    ],
)
def test_a_breach_is_reported(module: str, source: str, complaint: str) -> None:
    found = complaints({**read_modules(), module: source})
    assert any(line.startswith(module) and complaint in line for line in found)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "i2itool.engine.extra",
            "from i2itool.engine.base import Engine\nfrom i2itool.networks import build",
        ),
        (
            "i2itool.commands.extra",
            "def run():\n    import torch\n    from i2itool.conversion import convert",
        ),
        ("i2itool.trainer.fit", "from .losses import l1\nfrom i2itool.metrics import kid\nimport torch"),
        ("i2itool.console", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import rich"),
    ],
)
def test_an_import_downwards_is_no_breach(module: str, source: str) -> None:
    found = complaints({**read_modules(), module: source})
    assert [line for line in found if line.startswith(f"{module} ")] == []
