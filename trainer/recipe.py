"""From the flags of `i2itool train` and `i2itool distill` to a recipe."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from i2itool.errors import OptionError
from i2itool.options import DIRECTIONS, Direction
from i2itool.pictures import list_pictures
from i2itool.preset import Preset
from i2itool.work_size import parse_work_size

from .complaints import spelled
from .config import GeneratorRecipe, TrainConfig, make_config
from .defaults import DEFAULTS, merge
from .refusals import (
    network_multiple,
    refuse_impossible,
    refuse_lonely_flags_of_a_classifier,
    refuse_settings_of_another_method,
)

GENERATORS: dict[str, dict[str, Any]] = {
    "resnet-9": {"name": "resnet", "hyper": {"blocks": 9}},
    "resnet-6": {"name": "resnet", "hyper": {"blocks": 6}},
    "light-4": {"name": "light", "hyper": {"factor": 4, "gain": True}},
    "light-8": {"name": "light", "hyper": {"factor": 8, "blocks": 4, "gain": True}},
    "unet-256": {"name": "unet", "hyper": {"depth": 8}},
    "unet-128": {"name": "unet", "hyper": {"depth": 7}},
}
# Flags that go into the recipe as they are, by the same names.
SAME_IN_THE_RECIPE = (
    *(
        "method",
        "name",
        "steps",
        "crop_px",
        "load_px",
        "batch_size",
        "seed",
        "gan",
        "pool_size",
        "accumulate",
    ),
    *("preview_every", "checkpoint_every", "eval_every", "metric", "export", "temporal_noise"),
)
# What `i2itool train` fits; the others have commands of their own.
METHODS = ("cyclegan", "unit", "unit2018")
# CycleGAN's own schedule, in passes over the larger folder.
EPOCHS, EPOCHS_DECAY = 100, 100


def make_recipe(
    folders: tuple[Path, Path],
    flags: Mapping[str, Any],
    file: Mapping[str, Any],
    *,
    device: torch.device,
    processes: int = 1,
) -> TrainConfig:
    """Merge defaults, a train.toml and flags (None: not given) into a recipe.

    Epochs become steps by the number of pictures. Raises OptionError for what cannot be or would not be
    heeded, InputError for a folder without pictures.
    """
    method = flags["method"] or file.get("method") or "cyclegan"
    if method not in METHODS:
        raise OptionError(f"`train` has no method {method!r}", hint=f"one of {', '.join(METHODS)}")
    refuse_settings_of_another_method(method, flags, file)
    generator = GENERATORS.get(flags["generator"] or "", {"hyper": {}})
    hyper = {name: flags[name] for name in ("width", "blocks", "upsample", "shared_blocks")}
    table = _given(
        {
            **{name: flags[name] for name in SAME_IN_THE_RECIPE},
            "processes": processes,
            "flip": False if flags["no_flip"] else None,
            "recompute": flags["recompute"] or None,
            "compile": flags["compile"] or None,
            "precision": None if flags["precision"] == "auto" else flags["precision"],
            "generator": generator | {"hyper": generator["hyper"] | _given(hyper)},
            "critic": {
                "width": flags["critic_width"],
                "depth": flags["critic_depth"],
                "features": _text(flags["critic_features"]),
            },
            "adam": {"rate": flags["lr"], "beta1": flags["beta1"], "policy": flags["lr_policy"]},
            "cyclegan": {"cycle": flags["lambda_cycle"], "identity": flags["lambda_identity"]},
        }
    )
    below: dict[str, Any] = {"domain_a": folders[0].name, "domain_b": folders[1].name}
    below["precision"] = _best_precision(device)
    if flags["eval_every"] or file.get("eval_every"):
        below["export"] = "best"
    config = make_config(
        below | dict(file), merge(table, _length(folders, flags, file, processes)), given=flags
    )
    refuse_impossible(config, flags)
    return config


def make_student_recipe(
    teacher: Preset, direction: Direction, flags: Mapping[str, Any], *, device: torch.device
) -> TrainConfig:
    """The recipe of a student of `teacher`, from the flags of `i2itool distill` (None: not given).

    It learns at the size at which the teacher works. Raises PresetError if the teacher cannot go that way,
    OptionError for what cannot be.
    """
    digest = sha256(teacher.weights_path(direction).read_bytes()).hexdigest()[:16]
    domains = (teacher.domains.a, teacher.domains.b)
    load_px = flags["load_px"] or parse_work_size("auto", teacher) or DEFAULTS["distill"]["crop_px"]
    hyper = _given({"width": flags["width"], "blocks": flags["blocks"]})
    generator = GENERATORS[flags["generator"]]
    student = GeneratorRecipe(name=generator["name"], hyper=generator["hyper"] | hyper)
    multiple = network_multiple(student, flags)
    weights = {name: flags[f"lambda_{name}"] for name in ("l1", "adversarial")}
    table: dict[str, Any] = {
        **{name: flags[name] for name in ("name", "steps", "batch_size", "seed", "temporal_noise")},
        **{name: flags[name] for name in ("eval_every", "preview_every", "checkpoint_every")},
        "method": "distill",
        "domain_a": domains[DIRECTIONS.index(direction)],
        "domain_b": domains[1 - DIRECTIONS.index(direction)],
        "load_px": load_px,
        "crop_px": flags["crop_px"] or load_px // multiple * multiple,
        "precision": _precision(flags, device),
        "export": "best" if flags["eval_every"] else None,
        "generator": student.model_dump(),
        "adam": {"rate": flags["lr"]},
        "distill": weights
        | {
            "perceptual": flags["lambda_features"],
            "teacher": f"{teacher.name} {direction} {digest}",
            "features": _text(flags["features"]),
        },
    }
    config = make_config({}, table, given=flags)
    refuse_impossible(config, flags)
    return config


def make_adaptation_recipe(
    folders: tuple[Path, Path], classes: tuple[str, ...], flags: Mapping[str, Any], *, device: torch.device
) -> TrainConfig:
    """The recipe of a classifier of these classes, from the flags of `i2itool adapt` (None: not given).

    Raises OptionError for what cannot be or would not be heeded.
    """
    table: dict[str, Any] = {
        **{name: flags[name] for name in ("name", "steps", "batch_size", "seed", "eval_every")},
        **{name: flags[name] for name in ("preview_every", "checkpoint_every")},
        "method": "adapt",
        "domain_a": folders[0].name,
        "domain_b": folders[1].name,
        "precision": _precision(flags, device),
        "generator": {"hyper": _given({"width": flags["width"]})},
        "critic": {"width": flags["critic_width"]},
        "adam": {"rate": flags["lr"]},
        "adapt": {
            "names": flags["lambda_names"],
            "names_translated": flags["lambda_names_translated"],
            "features": flags["lambda_features"],
            "self_training": _rising(flags["self_training"]),
            "balance": flags["balance"],
            "threshold": flags["threshold"],
            "views": flags["views"],
            "vary": flags["vary"] or None,
            "vary_source": flags["vary_source"] or None,
            "translate_every": flags["translate_every"],
            "dropout": flags["dropout"],
            "classes": classes,
            "invert": flags["invert"],
        },
    }
    config = make_config({}, table, given=flags)
    refuse_lonely_flags_of_a_classifier(config, flags)
    refuse_impossible(config, flags)
    return config


def _rising(weight: float | None) -> dict[str, float] | None:
    """A weight that grows from 0: what a classifier says at the start is not worth believing."""
    return None if weight is None else {"start": 0.0, "end": weight, "until": 0.3}


def _text(path: Path | None) -> str | None:
    """As recipes are written to files."""
    return None if path is None else str(path)


def _given(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table without what is None, and without the tables in it that are empty then."""
    inner = {key: _given(value) if isinstance(value, dict) else value for key, value in table.items()}
    return {key: value for key, value in inner.items() if value is not None and value != {}}


def _length(
    folders: tuple[Path, Path], flags: Mapping[str, Any], file: Mapping[str, Any], processes: int
) -> dict[str, Any]:
    """The number of steps, and the share of them at full rate, that the epochs make; empty by `--steps`."""
    asked = [
        f"{spelled(name)} {flags[name]}" for name in ("epochs", "epochs_decay") if flags[name] is not None
    ]
    steps = file.get("steps") if flags["steps"] is None else flags["steps"]
    if asked and steps is not None:
        hint = "give one of them"
        raise OptionError(f"--steps {steps} with {asked[0]}: both say how long the run is", hint=hint)
    if steps is not None:
        return {}
    epochs = EPOCHS if flags["epochs"] is None else flags["epochs"]
    decay = EPOCHS_DECAY if flags["epochs_decay"] is None else flags["epochs_decay"]
    if epochs + decay == 0:
        raise OptionError(f"{' with '.join(asked)}: the run has no step", hint="give one or more epochs")
    batch_size = flags["batch_size"] or file.get("batch_size")
    # A file may hold anything; what is no number is refused with the rest of the recipe.
    batch = batch_size * processes if isinstance(batch_size, int) and batch_size > 0 else processes
    a_pass = max(len(list_pictures(folder)) for folder in folders) // batch or 1
    schedule: dict[str, Any] = {"steps": (epochs + decay) * a_pass}
    if asked:
        schedule["adam"] = {"constant": epochs / (epochs + decay)}
    return schedule


def _precision(flags: Mapping[str, Any], device: torch.device) -> str:
    """What `--precision` says, or the best if it leaves that open."""
    asked: str = flags["precision"]
    return _best_precision(device) if asked == "auto" else asked


def _best_precision(device: torch.device) -> str:
    """bf16 where the processor multiplies it natively: it halves the time of a step."""
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    able = torch.cpu.get_capabilities()
    return "bf16" if able.get("avx512_bf16") or able.get("amx_bf16") else "fp32"
