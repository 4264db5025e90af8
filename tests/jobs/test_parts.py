"""A long video in parts: each made apart, and together the file that one run makes, bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

from i2itool.console import SilentReporter
from i2itool.conversion import convert_video, open_translator
from i2itool.errors import AlreadyThere
from i2itool.frames import Frame, Pixels
from i2itool.jobs.plan import Task
from i2itool.jobs.split import divide
from i2itool.options import ConvertOptions
from i2itool.part_making import NoCut, last_lead, make_part
from i2itool.preset import find_preset
from i2itool.translator import Translator
from i2itool.video.job import work_folder
from i2itool.video.parts import found_division, parts_of
from i2itool.video.segments import SEGMENT_FRAMES

PIECE = 8
QUIET = SilentReporter()


@pytest.fixture
def translator(
    make_preset: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """Opens the network for some options; what is open is closed with the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("i2itool.part_making.WARM_UP_FRAMES", PIECE)
    make_preset("tiny")
    opened: list[Translator] = []

    def open_for(options: ConvertOptions) -> Translator:
        opened.append(open_translator(find_preset("tiny"), options))
        return opened[-1]

    yield open_for
    for one in opened:
        one.close()


def scene(number: int, size: int = 48) -> Pixels:
    """A textured picture, another one for each scene."""
    noise = np.random.default_rng(number).integers(0, 256, (size // 4, size // 4, 3), np.uint8)
    return noise.repeat(4, 0).repeat(4, 1)


def write_scenes(path: Path, lengths: Sequence[int], repeats: Sequence[int] = ()) -> int:
    """A clip of scenes of so many frames, each slowly moving; `repeats` show the frame before them again."""
    total = sum(lengths)
    with av.open(str(path), "w") as output:
        video = output.add_stream("ffv1", rate=25)
        assert isinstance(video, VideoStream)
        video.width = video.height = 48
        video.pix_fmt, video.time_base = "bgr0", Fraction(1, 1000)
        place = 0
        for number, length in enumerate(lengths):
            for step in range(length):
                shift = step - 1 if place in repeats else step
                frame = av.VideoFrame.from_ndarray(np.roll(scene(number), shift, 1), "rgb24")
                # Not regular: the smoother weighs frames by their time.
                frame.pts = place * 40 + place % 3
                output.mux(video.encode(frame.reformat(format="bgr0")))
                place += 1
        output.mux(video.encode(None))
    return total


def make_whole(source: Path, target: Path, translator: Translator, options: ConvertOptions) -> bytes:
    convert_video(source, target, translator, options, QUIET, segment_frames=PIECE)
    return target.read_bytes()


OPTIONS = {
    "recursion": ConvertOptions(engine="eager"),
    "off": ConvertOptions(engine="eager", smooth="off"),
    "ema": ConvertOptions(engine="eager", smooth="ema"),
    "ahead": ConvertOptions(engine="eager", smooth_lookahead=2),
    "statistics": ConvertOptions(engine="eager", smooth="norm-statistics"),
    "batches of 2": ConvertOptions(engine="eager", batch_size=2),
    "trimmed": ConvertOptions(engine="eager", trim="0.1:"),
    "wipe": ConvertOptions(engine="eager", compare="wipe"),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_parts_that_begin_at_cuts_become_the_file_of_one_run(name: str, translator: Any) -> None:
    options = OPTIONS[name]
    # Cuts before, in and at the beginning of parts; a picture that is shown twice in front of one.
    write_scenes(Path("clip.mkv"), [13, 6, 13, 9], repeats=[12])
    whole = make_whole(Path("clip.mkv"), Path("whole.mkv"), translator(options), options)
    parts = parts_of((0, 2, 4))
    for part in reversed(parts):
        make_part(
            Path("clip.mkv"), Path("out.mkv"), part, translator(options), options, QUIET, segment_frames=PIECE
        )
    assert found_division(Path("out.mkv")) == (0, 2, 4)
    assert make_whole(Path("clip.mkv"), Path("out.mkv"), translator(options), options) == whole
    assert not any("part" in path.name for path in Path().iterdir())


def test_what_parts_have_made_is_not_made_again(translator: Any) -> None:
    options = OPTIONS["recursion"]
    num_frames = write_scenes(Path("clip.mkv"), [15, 15])
    made = [
        make_part(
            Path("clip.mkv"), Path("out.mkv"), part, translator(options), options, QUIET, segment_frames=PIECE
        )
        for part in parts_of((0, 2))
    ]
    assert sum(made) == num_frames

    class Counting(SilentReporter):
        num_frames = 0

        def advance(self, count: int = 1, *, note: str = "") -> None:
            self.num_frames += count

    counting = Counting()
    convert_video(
        Path("clip.mkv"), Path("out.mkv"), translator(options), options, counting, segment_frames=PIECE
    )
    assert counting.num_frames == 0


def test_a_part_without_a_cut_waits_for_the_one_before_it(translator: Any) -> None:
    options = OPTIONS["recursion"]
    write_scenes(Path("clip.mkv"), [40])
    whole = make_whole(Path("clip.mkv"), Path("whole.mkv"), translator(options), options)
    first, second, third = parts_of((0, 2, 4))

    def make(part: Any) -> int:
        return make_part(
            Path("clip.mkv"), Path("out.mkv"), part, translator(options), options, QUIET, segment_frames=PIECE
        )

    with pytest.raises(NoCut):
        make(third)
    make(first)
    with pytest.raises(NoCut):
        make(third)
    make(second)
    make(third)
    assert make_whole(Path("clip.mkv"), Path("out.mkv"), translator(options), options) == whole


def test_anywhere_a_part_warms_up_and_comes_near(translator: Any) -> None:
    options = ConvertOptions(engine="eager", split="anywhere", codec="ffv1", pixel_format="bgr0")
    write_scenes(Path("clip.mkv"), [40])
    plain = ConvertOptions(engine="eager", codec="ffv1", pixel_format="bgr0")
    make_whole(Path("clip.mkv"), Path("whole.mkv"), translator(plain), plain)
    for part in reversed(parts_of((0, 3))):
        make_part(
            Path("clip.mkv"), Path("out.mkv"), part, translator(options), options, QUIET, segment_frames=PIECE
        )
    make_whole(Path("clip.mkv"), Path("out.mkv"), translator(options), options)
    exact, near = (
        [frame.to_ndarray(format="rgb24") for frame in av.open(name).decode(video=0)]
        for name in ("whole.mkv", "out.mkv")
    )
    differences = [np.abs(a.astype(int) - b).max() for a, b in zip(exact, near, strict=True)]
    assert max(differences[:24]) == 0
    assert max(differences) <= 8


def test_a_part_that_was_stopped_goes_on_to_the_same_file(translator: Any) -> None:
    options = OPTIONS["recursion"]
    write_scenes(Path("clip.mkv"), [13, 30])
    whole = make_whole(Path("clip.mkv"), Path("whole.mkv"), translator(options), options)

    class Stopping(SilentReporter):
        left = 12

        def advance(self, count: int = 1, *, note: str = "") -> None:
            self.left -= count
            if self.left == 0:
                raise KeyboardInterrupt

    first, second = parts_of((0, 2))
    with pytest.raises(KeyboardInterrupt):
        make_part(
            Path("clip.mkv"),
            Path("out.mkv"),
            second,
            translator(options),
            options,
            Stopping(),
            segment_frames=PIECE,
        )
    assert len(list(work_folder(second.job_of(Path("out.mkv"))).glob("*.packets"))) == 1
    for part in (second, first):
        make_part(
            Path("clip.mkv"), Path("out.mkv"), part, translator(options), options, QUIET, segment_frames=PIECE
        )
    assert make_whole(Path("clip.mkv"), Path("out.mkv"), translator(options), options) == whole


def test_parts_of_another_conversion_are_not_taken(translator: Any) -> None:
    write_scenes(Path("clip.mkv"), [20, 20])
    other, options = ConvertOptions(engine="eager", smooth="off"), OPTIONS["recursion"]
    for part in parts_of((0, 2)):
        make_part(
            Path("clip.mkv"), Path("out.mkv"), part, translator(other), other, QUIET, segment_frames=PIECE
        )
    whole = make_whole(Path("clip.mkv"), Path("whole.mkv"), translator(options), options)
    assert make_whole(Path("clip.mkv"), Path("out.mkv"), translator(options), options) == whole
    with pytest.raises(AlreadyThere):
        make_part(
            Path("clip.mkv"), Path("out.mkv"), part, translator(options), options, QUIET, segment_frames=PIECE
        )


def test_numbered_pictures_and_names_of_any_length_have_parts_too(translator: Any) -> None:
    options = OPTIONS["recursion"]
    write_scenes(Path("clip.mkv"), [13, 15])
    for name, folder in (("a" * 180 + ".mkv", "x"), ("f_%05d.png", "y")):
        Path(folder).mkdir()
        target, twin = Path(folder, name), Path(folder, "twin", name)
        twin.parent.mkdir()
        for part in parts_of((0, 2)):
            make_part(
                Path("clip.mkv"), target, part, translator(options), options, QUIET, segment_frames=PIECE
            )
        assert found_division(target) == (0, 2)
        for one in (target, twin):
            convert_video(Path("clip.mkv"), one, translator(options), options, QUIET, segment_frames=PIECE)
        made = sorted(path for path in Path(folder).iterdir() if path.is_file())
        assert made
        for path in made:
            assert path.read_bytes() == (twin.parent / path.name).read_bytes()
        assert [path for path in Path(folder).iterdir() if path.is_dir()] == [twin.parent]


# Where to begin


def stills(*names: str) -> list[Frame]:
    """A frame for each name: a scene and how far it has moved, as `a3`."""
    return [
        Frame(np.roll(scene(ord(name[0])), int(name[1:]), 1).astype(np.uint8), i * 40, Fraction(1, 1000), 40)
        for i, name in enumerate(names)
    ]


@pytest.mark.parametrize(
    ("frames", "first", "lead"),
    [
        (("a0", "a1", "b0", "b1"), 0, 1),
        (("a0", "a1", "a2", "b0"), 0, 2),
        # The clock of a picture that is shown again counts from where it came.
        (("a0", "a1", "a1", "a1", "b0"), 0, 1),
        (("a0", "a1", "a2", "a3"), 0, 0),
        (("a0", "a1", "a2", "a3"), 100, None),
        (("a0", "a1", "b0", "b1"), 100, 101),
        # Since when the picture before the cut has been there, nothing tells.
        (("a0", "b0", "b1", "b2"), 100, None),
        (("a0", "a0", "b0", "b1"), 100, None),
        (("a0", "b0", "b1", "c0"), 100, 102),
    ],
)
def test_the_lead_is_the_picture_before_the_last_cut(
    frames: Sequence[str], first: int, lead: int | None
) -> None:
    assert last_lead(stills(*frames), first=first) == lead


def test_what_a_stopped_run_has_begun_whole_goes_on_whole(tmp_path: Path) -> None:
    """Or what it has made would be made anew, by parts."""
    write_scenes(tmp_path / "long.mkv", [4 * SEGMENT_FRAMES])
    task = Task(tmp_path / "long.mkv", tmp_path / "out.mkv", None)
    assert len(divide([task], ConvertOptions(), 2)[task]) > 1
    work_folder(task.target).mkdir()
    assert divide([task], ConvertOptions(), 2) == {}
