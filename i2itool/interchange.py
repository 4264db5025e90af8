"""Translators as files for other programs: ONNX, PyTorch's own format, OpenVINO's.

All of them take and give N,3,H,W float32 RGB from 0 to 1, planar, under the names `input` and `output`. N, H
and W are free; H and W must be multiples of what the file's `multiple_of` says.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from i2itool.engine.openvino import convert
from i2itool.errors import AlreadyThere, MissingExtra, OutputError
from i2itool.networks import multiple_of
from i2itool.options import Direction, ExportFormat
from i2itool.partial import whole_file
from i2itool.pixels import OnUnitRange
from i2itool.preset import Preset
from i2itool.weights import load_network

SUFFIXES: dict[ExportFormat, str] = {"onnx": ".onnx", "pt2": ".pt2", "openvino": ".xml"}
# The newest that ONNX Runtime, TensorRT and OpenVINO of the last years all read.
_OPSET = 18
_AXES = {0: "batch", 2: "height", 3: "width"}
# A side of a picture, in pixels; torch.export wants a bound, and this one is a formality.
_LONGEST_SIDE = 2**16


def export_preset(
    preset: Preset,
    output: Path | None = None,
    *,
    format: ExportFormat,
    direction: Direction = "a2b",
    overwrite: bool = False,
) -> Path:
    """Write a preset's network as a file for other programs; returns its path.

    output: a file or a folder, None for NAME_DIRECTION.onnx, .pt2 or .xml (with the weights beside it in
    .bin) in the current folder.  What the file says of itself: name, direction, range, multiple_of, licence.
    Raises MissingExtra without the onnx packages, PresetError for the preset, OutputError if the file is
    there already, without `overwrite`, or cannot be written; nothing half-written is left behind.
    """
    path = _target(preset, output, format, direction, overwrite=overwrite)
    if format == "onnx" and (find_spec("onnx") is None or find_spec("onnxscript") is None):
        raise MissingExtra(
            "ONNX needs the packages onnx and onnxscript", hint="pip install 'i2itool[export]'"
        )
    network = load_network(preset, direction)
    facts = {
        "name": preset.name,
        "direction": direction,
        "range": "0..1",
        "colours": "RGB",
        "multiple_of": str(multiple_of(network)),
        "licence": preset.licence,
        "source": f"sha256 of the weights: {getattr(preset, direction).sha256}",
    }
    writers: dict[ExportFormat, Callable[[nn.Module, dict[str, str], Path], None]] = {
        "onnx": _write_onnx,
        "pt2": _write_pt2,
        "openvino": _write_openvino,
    }
    try:
        writers[format](network, facts, path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error
    return path


def exported(
    network: nn.Module, *, is_dynamic: bool = True, size: tuple[int, int] | None = None
) -> ExportedProgram:
    """The graph of a network as `torch.export` sees it, for N,3,H,W in its own range and dtype.

    is_dynamic: for every N, H and W that it takes; otherwise for one picture of `size` (height, width).
    """
    multiple = multiple_of(network)
    # A batch of 1, or sides equal to one another, would be taken for constants.
    height, width = size or (2 * multiple, 3 * multiple)
    dtype = next(network.parameters()).dtype
    example = torch.zeros(2 if is_dynamic else 1, 3, height, width, dtype=dtype)
    shapes = None
    if is_dynamic:
        sides = {
            2: Dim("h", min=1, max=_LONGEST_SIDE // multiple),
            3: Dim("w", min=1, max=_LONGEST_SIDE // multiple),
        }
        shapes = (
            {0: Dim("batch", min=1, max=1024)} | {axis: multiple * side for axis, side in sides.items()},
        )
    with _quiet():
        return torch.export.export(network.eval(), (example,), dynamic_shapes=shapes)


def onnx_model(program: ExportedProgram) -> Any:  # Any: onnx.ModelProto
    """An exported network as ONNX, with the input `input` and the output `output`."""
    with _quiet():
        made = torch.onnx.export(
            program, (), dynamo=True, verbose=False, opset_version=_OPSET,
            input_names=["input"], output_names=["output"],
        )  # fmt: skip
    assert made is not None
    return made.model_proto


def _target(
    preset: Preset, output: Path | None, format: ExportFormat, direction: Direction, *, overwrite: bool
) -> Path:
    path = output or Path()
    if path.is_dir():
        path /= f"{preset.name}_{direction}{SUFFIXES[format]}"
    if path.suffix != SUFFIXES[format]:
        raise OutputError(f"a file of format {format} is called *{SUFFIXES[format]}, not {path.name}")
    for file in _files(path, format):
        if file.exists() and not overwrite:
            raise AlreadyThere(f"{file} is already there", hint="--overwrite replaces it")
    return path


def _files(path: Path, format: ExportFormat) -> tuple[Path, ...]:
    return (path, path.with_suffix(".bin")) if format == "openvino" else (path,)


def _write_onnx(network: nn.Module, facts: dict[str, str], path: Path) -> None:
    model = onnx_model(exported(_on_unit_range(network)))
    for key, value in facts.items():
        model.metadata_props.add(key=key, value=value)
    for value in (*model.graph.input, *model.graph.output):
        for axis, name in _AXES.items():
            value.type.tensor_type.shape.dim[axis].dim_param = name
    with whole_file(path) as partial:
        partial.write_bytes(model.SerializeToString())


def _write_pt2(network: nn.Module, facts: dict[str, str], path: Path) -> None:
    program = exported(_on_unit_range(network))
    with whole_file(path) as partial, _quiet():
        torch.export.save(program, partial, extra_files={"i2itool.json": json.dumps(facts)})


def _write_openvino(network: nn.Module, facts: dict[str, str], path: Path) -> None:
    import openvino  # loaded by now, without its telemetry

    model = convert(_on_unit_range(network))
    model.input(0).get_tensor().set_names({"input"})
    model.output(0).get_tensor().set_names({"output"})
    for key, value in facts.items():
        model.set_rt_info(value, ["i2itool", key])
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / path.name
        openvino.save_model(model, made, compress_to_fp16=False)
        # The graph comes last: where it is, its weights are too.
        for target in reversed(_files(path, "openvino")):
            with whole_file(target) as partial:
                partial.write_bytes((made.parent / target.name).read_bytes())


def _on_unit_range(network: nn.Module) -> nn.Module:
    wrapped = OnUnitRange(network)
    cast(Any, wrapped).multiple_of = multiple_of(network)
    return wrapped.eval()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what PyTorch's exporters print, log and warn about, which no user can mend."""
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)
