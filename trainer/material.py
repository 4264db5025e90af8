"""The pictures of a run: looked at before it begins, opened, and those held out from it."""

from __future__ import annotations

from pathlib import Path

from i2itool.metrics.features import read_feature_network

from .config import TrainConfig
from .data import HELD_OUT_LAYOUTS, PictureFolder, UnpairedData, find_folders, open_data, read_both
from .doctor import judge, look, refuse_or_warn
from .holdout import Holdout, open_holdout
from .processes import Processes
from .run import RunFolder


def open_material(
    folders: tuple[Path, Path], config: TrainConfig, run: RunFolder, processes: Processes, *, restart: bool
) -> UnpairedData:
    """Look at the pictures before a run begins, open them, and only then discard an earlier run.

    Raises InputError for pictures that would spoil the run.
    """
    looks = processes.rank == 0 and (restart or not run.has_checkpoint)
    inspect = _look_at_both if looks else read_both
    data = open_data(folders, config, rank=processes.rank, inspect=inspect)
    if restart and processes.rank == 0:
        run.remove()
    processes.wait()
    return data


def _look_at_both(a: PictureFolder, b: PictureFolder) -> None:
    refuse_or_warn(judge(a.read_all(look), b.read_all(look)))


def open_held_out(root: Path, features: Path | None, config: TrainConfig) -> Holdout:
    """The held-out pictures below ROOT, and the feature network in the file `features`, if there is one."""
    network = read_feature_network(features) if features is not None else None
    folders = find_folders(root, None, HELD_OUT_LAYOUTS)
    return open_holdout(folders, config.metric, load_px=config.load_px, features=network)
