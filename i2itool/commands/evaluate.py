"""`i2itool evaluate`: score a preset on pictures that it has not seen."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from i2itool.options import DIRECTIONS, Direction

if TYPE_CHECKING:
    from i2itool.evaluation import Scores
    from i2itool.metrics.kid import Distance


@click.command()
@click.argument("preset", metavar="PRESET")
@click.option("--a", required=True, type=click.Path(path_type=Path), help="Folder of pictures to translate.")
@click.option("--b", required=True, type=click.Path(path_type=Path), help="Folder of real pictures of B.")
@click.option("--direction", type=click.Choice(DIRECTIONS), default="a2b", show_default=True)
@click.option(
    "--features",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="MobileNetV2 weights for KID; none: no KID.",
)
@click.option("--size", "size_px", type=click.IntRange(8), help="Short side to resize pictures to, px.")
@click.option(
    "--work-size",
    metavar="PX",
    default="auto",
    show_default=True,
    help="Short side that the network sees: auto, full or pixels.",
)
@click.option("--limit", type=click.IntRange(1), help="At most so many pictures of each folder.")
@click.option("--engine", default="auto", show_default=True, help="As in convert.")
@click.option("--json", "as_json", is_flag=True, help="Print one line of JSON.")
@click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
def command(
    preset: str,
    a: Path,
    b: Path,
    direction: Direction,
    features: Path | None,
    size_px: int | None,
    work_size: str,
    limit: int | None,
    engine: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Score PRESET: the distance of its translations of A from real pictures of B, next to doing nothing.

    With the direction b2a, --a names the pictures to translate all the same. Pictures of the same name in
    both folders are compared one by one.
    """
    from i2itool.console import open_reporter
    from i2itool.evaluation import evaluate
    from i2itool.metrics.features import read_feature_network
    from i2itool.preset import find_preset
    from i2itool.translator import Translator
    from i2itool.weights import load_network
    from i2itool.work_size import parse_work_size

    found = find_preset(preset)
    network, work_px = load_network(found, direction), parse_work_size(work_size, found)
    extractor = read_feature_network(features) if features is not None else None
    with Translator(network, engine=engine, work_px=work_px) as translator:
        scores = evaluate(
            translator,
            a,
            b,
            features=extractor,
            size_px=size_px,
            limit=limit,
            reporter=open_reporter(quiet),
        )
    click.echo(json.dumps(asdict(scores)) if as_json else _table(scores))


def _table(scores: Scores) -> str:
    lines = [
        f"pictures          {scores.num_a} of A, {scores.num_b} of B",
        f"luma correlation  {scores.luma_correlation:.3f}  (negative: light and dark are swapped)",
    ]
    if (kid := scores.kid) is not None:
        lines += [
            f"KID               {_distance(kid.translated)}  translated A against B",
            f"  doing nothing   {_distance(kid.nothing)}  A against B",
            f"  floor           {_distance(kid.floor)}  one half of B against the other",
            f"  gap closed      {kid.gap_closed:.0%}",
        ]
    if (paired := scores.paired) is not None:
        lines += [
            f"pairs             {paired.num_pairs}                translated   doing nothing",
            f"  PSNR, dB        {paired.psnr:28.2f} {paired.identity_psnr:15.2f}",
            f"  SSIM            {paired.ssim:28.4f} {paired.identity_ssim:15.4f}",
            f"  map accuracy    {paired.map_accuracy:28.4f} {paired.identity_map_accuracy:15.4f}",
        ]
    return "\n".join(lines)


def _distance(distance: Distance) -> str:
    return f"{distance.mean:.4f} +- {distance.deviation:.4f}"
