"""What the papers use, as tables; and how tables are laid over each other."""

from __future__ import annotations

from typing import Any

DEFAULTS: dict[str, dict[str, Any]] = {
    "cyclegan": {
        "crop_px": 256,
        "generator": {"name": "resnet", "hyper": {"blocks": 9, "width": 64}},
        "critic": {"width": 64, "depth": 3},
        "adam": {"rate": 2e-4, "constant": 0.5},
    },
    "unit": {
        "crop_px": 256,
        "generator": {"name": "unit", "hyper": {"width": 64, "shared_blocks": 1}},
        "critic": {"width": 64, "depth": 6},
        "adam": {"rate": 1e-4, "weight_decay": 1e-4},
    },
    "unit2018": {
        "crop_px": 256,
        "generator": {"name": "unit2018", "hyper": {"width": 64, "blocks": 4}},
        "critic": {"width": 64, "depth": 4},
        "adam": {"rate": 1e-4, "weight_decay": 1e-4, "policy": "step"},
    },
    # A student has a target, and so learns faster than a generator that has only critics.
    "distill": {
        "steps": 10_000,
        "crop_px": 256,
        "batch_size": 2,
        "generator": {"name": "light", "hyper": {"factor": 8, "blocks": 4, "gain": True}},
        "critic": {"width": 32, "depth": 3},
        "adam": {"rate": 5e-4, "policy": "cosine"},
    },
    "adapt": {
        "steps": 20_000,
        "crop_px": 32,
        "load_px": 32,
        "batch_size": 64,
        "flip": False,
        "generator": {"name": "unit32", "hyper": {"width": 96}},
        "critic": {"width": 64, "depth": 4},
        "adam": {"rate": 2e-4, "weight_decay": 5e-4},
        "metric": "source_accuracy",
    },
}


def merge(*tables: dict[str, Any]) -> dict[str, Any]:
    """Lay tables over each other, the last on top; nested tables are merged, None is left out.

    A different generator brings its own hyper-parameters: those of the table below are dropped.
    """
    merged: dict[str, Any] = {}
    for table in tables:
        for key, value in table.items():
            below = merged.get(key)
            if isinstance(value, dict) and isinstance(below, dict):
                changed_name = value.get("name", below.get("name")) != below.get("name")
                merged[key] = merge(value) if changed_name else merge(below, value)
            elif isinstance(value, dict):
                merged[key] = merge(value)
            elif value is not None:
                merged[key] = value
    return merged
