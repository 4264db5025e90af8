"""Measure what a conversion loses when the network changes nothing, for every kind of video.

python benchmarks/combinations.py            print the tables
python benchmarks/combinations.py --write    put them into docs/video.md, too
"""

from __future__ import annotations

import argparse
import itertools
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tests.video import contract  # noqa: E402 - as the next
from tests.video.combinations import (  # noqa: E402 - the tests' clips lie beside the package
    HIGH_QUALITY,
    LARGE,
    LOSSLESS,
    Combination,
    Law,
    Loss,
    depth_and_colour,
    geometry,
    measure,
)

DOCUMENT = ROOT / "docs" / "video.md"


def main() -> None:
    """Print each table; write it between its marks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", choices=TABLES, help="one table")
    arguments = parser.parse_args()
    logging.disable()
    # x265 takes no notice of where its lines go.
    os.environ.setdefault("SVT_LOG", "1")
    for name, rows in TABLES.items():
        if arguments.only in (None, name):
            table = "\n".join(rows())
            print(table, flush=True)
            if arguments.write:
                write(name, table)


def write(name: str, table: str) -> None:
    """Replace what is between the marks `<!-- NAME -->` and `<!-- end of NAME -->` of the document."""
    begin, end = f"<!-- {name} -->\n", f"\n<!-- end of {name} -->"
    text = DOCUMENT.read_text(encoding="utf-8")
    head, _, rest = text.partition(begin)
    _, mark, tail = rest.partition(end)
    assert mark, f"{DOCUMENT} has no marks for {name}"
    DOCUMENT.write_text(head + begin + table + end + tail, encoding="utf-8")


def depth_and_colour_rows() -> Iterable[str]:
    """A row for each depth, range and subsampling: the worst of three matrices and of both parities."""
    yield "| depth | range | chroma | lossless: PSNR | shift | crf 12: PSNR | shift | stored as |"
    yield "|---|---|---|---|---|---|---|---|"
    for key, group in itertools.groupby(sorted(depth_and_colour(*LARGE), key=_depth_key), key=_depth_key):
        combinations = list(group)
        lossless, high = worst(combinations, LOSSLESS), worst(combinations, HIGH_QUALITY)
        yield "| " + " | ".join([*key, *cells(lossless), *cells(high), high.pixel_format]) + " |"


def _depth_key(combination: Combination) -> tuple[str, ...]:
    depth, color_range, _, subsampling, _ = combination.name.split(", ")
    return depth.rjust(len("10 bit")), color_range, subsampling


def geometry_rows() -> Iterable[str]:
    """A row for each shape."""
    yield "| video | lossless: PSNR | shift | crf 12: PSNR | shift | stored as |"
    yield "|---|---|---|---|---|---|"
    for combination in geometry(*LARGE):
        lossless, high = worst([combination], LOSSLESS), worst([combination], HIGH_QUALITY)
        yield "| " + " | ".join([combination.name, *cells(lossless), *cells(high), high.pixel_format]) + " |"


def worst(combinations: list[Combination], law: Law) -> Loss:
    """The largest loss of several conversions, in each respect; the formats are listed."""
    losses = []
    for combination in combinations:
        with tempfile.TemporaryDirectory() as folder:
            losses.append(measure(combination, law, Path(folder)))
    return Loss(
        min(loss.psnr_db for loss in losses),
        max(loss.shift_levels for loss in losses),
        ", ".join(sorted({loss.pixel_format for loss in losses})),
    )


def cells(loss: Loss) -> list[str]:
    """PSNR and shift; a loss beyond 100 dB is rounding in the measurement."""
    psnr = "exact" if loss.psnr_db > 100 else f"{loss.psnr_db:.1f} dB"
    return [psnr, f"{loss.shift_levels:.2f}"]


def container_rows() -> Iterable[str]:
    """A row for each container with each codec: what was there, all of it kept."""
    yield "| container | codec | frames and times | sound | subtitles | chapters | cover, attachment | tags |"
    yield "|---|---|---|---|---|---|---|---|"
    with contract.identity() as translator, tempfile.TemporaryDirectory() as folder:
        for case in contract.same_container():
            before, after = map(
                contract.read, contract.convert(case, Path(folder), translator, overwrite=True)
            )
            changed = contract.differences(before, after)
            kinds = [track.kind for track in before.tracks]
            is_same = after.times == before.times
            cells = [
                f"{len(after.times)}, {'the same' if is_same else changed.get('times', 'moved')}",
                _kept(kinds.count("audio"), changed.get("audio")),
                _kept(kinds.count("subtitle"), changed.get("subtitle")),
                _kept(len(before.chapters), changed.get("chapters")),
                _kept(
                    kinds.count("video") + len(before.attachments),
                    changed.get("video") or changed.get("attachments"),
                ),
                _kept(int(before.title is not None), changed.get("title")),
            ]
            yield "| " + " | ".join([case.source, case.codec or "", *cells]) + " |"


def pair_rows() -> Iterable[str]:
    """A row for each container, a column for each that it is converted into: what is lost, as it is named."""
    suffixes = [suffix for suffix in contract.CODECS if suffix != ".avi"]
    yield "| from | " + " | ".join(f"to {suffix}" for suffix in suffixes) + " |"
    yield "|---" * (len(suffixes) + 1) + "|"
    with contract.identity() as translator, tempfile.TemporaryDirectory() as folder:
        for source in contract.CODECS:
            cells = []
            for target in suffixes:
                case = contract.Case(source, target, None)
                options = {"overwrite": True, "drop_unsupported": True}
                files = contract.convert(case, Path(folder), translator, **options)
                lost = contract.differences(*map(contract.read, files))
                cells.append("; ".join(_WORDS.get(fact, fact) for fact in lost) or "nothing")
            yield "| " + " | ".join([source, *cells]) + " |"


# Of the streams beside the one that is converted, a video is a cover picture.
_WORDS = {"video": "cover", "audio": "sound", "subtitle": "subtitles"}


def _kept(count: int, problem: str | None) -> str:
    return "-" if count == 0 else problem or f"{count} kept"


TABLES: dict[str, Callable[[], Iterable[str]]] = {
    "depth and colour": depth_and_colour_rows,
    "geometry": geometry_rows,
    "containers": container_rows,
    "pairs": pair_rows,
}

if __name__ == "__main__":
    main()
