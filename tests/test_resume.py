"""A conversion that was stopped gives the same file, bit for bit, as one that never was."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
import torch
from torch import Tensor, nn

from i2itool.console import SilentReporter
from i2itool.conversion import convert_video
from i2itool.engine.ladder import Ladder
from i2itool.errors import InputError, OutputError
from i2itool.frames import Damage
from i2itool.locks import exclusive
from i2itool.networks import build
from i2itool.options import ConvertOptions
from i2itool.translator import Translator
from i2itool.video.job import work_folder
from i2itool.video.sequence import is_sequence, numbered_files

MakeClip = Callable[..., Path]
# At the rate of 1/1000 s: a phone's clip, with a pause and two frames a millisecond apart.
UNEVEN = [0, 33, 50, 83, 84, 400, 441, 470, 533, 560, 611, 640, 700, 2000, 2033, 2070, 2100, 2111, 2150, 2200]
SEGMENT_FRAMES = 4


class Negative(nn.Module):
    """Turns pictures into their negatives, the brightness of which flickers: the smoother has work to do."""

    multiple_of = 4

    def forward(self, x: Tensor) -> Tensor:
        return 0.2 * torch.sin(2000 * x.mean((1, 2, 3), keepdim=True)) - 0.8 * x


class Half(Negative):
    """Another network."""

    def forward(self, x: Tensor) -> Tensor:
        return x / 2


class Crash(RuntimeError):
    """Stands for whatever ends a process."""


class CrashAfter(SilentReporter):
    """Raises when so many frames have been translated."""

    def __init__(self, frames: int, error: BaseException) -> None:
        self._frames = frames
        self._error = error

    def advance(self, count: int = 1, *, note: str = "") -> None:
        self._frames -= count
        if self._frames <= 0:
            raise self._error


class CountingReporter(SilentReporter):
    """Counts what was done earlier and what is done now."""

    def start(self, label: str, total: int | None, *, done: int = 0, unit: str = "frames") -> None:
        self.before, self.now = done, 0

    def advance(self, count: int = 1, *, note: str = "") -> None:
        self.now += count


def run(
    source: Path,
    target: Path,
    reporter: SilentReporter | None = None,
    network: nn.Module | None = None,
    *,
    work_px: int | None = None,
    **options: Any,  # the fields of ConvertOptions
) -> int:
    batch_size = options.get("batch_size", 1)
    with Translator(
        network or Negative(), engine="eager", batch_size=batch_size, work_px=work_px
    ) as translator:
        return convert_video(
            source,
            target,
            translator,
            ConvertOptions(**options),
            reporter or SilentReporter(),
            segment_frames=SEGMENT_FRAMES,
        ).num_frames


def crash(source: Path, target: Path, after: int, **options: Any) -> None:  # Any: fields of ConvertOptions
    with pytest.raises(Crash):
        run(source, target, CrashAfter(after, Crash()), **options)
    assert not target.exists()


def finished(target: Path) -> list[Path]:
    return sorted(work_folder(target).glob("*.p[ai]c*s"))


CLIPS: dict[str, dict[str, Any]] = {
    "b-frames.mp4": {"pts": range(3, 23), "audio_languages": ["eng", "deu"], "audio_start": 960},
    "uneven.mkv": {"pts": UNEVEN, "time_base": Fraction(1, 1000), "audio_languages": ["eng"]},
    "open-gop.mp4": {"pts": range(20), "options": {"x264-params": "open-gop=1:keyint=5:bframes=3"}},
    "plain.ts": {"pts": range(35, 55), "audio_languages": ["eng"]},
    "plain.avi": {"pts": range(20), "codec": "mpeg4", "options": {}},
}


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    """threads(1): have PyTorch compute with one, until the test ends."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_pieces_that_were_computed_on_another_number_of_cores_are_refused(
    threads: Callable[[int], None], make_clip: MakeClip
) -> None:
    source = make_clip("clip.mkv", pts=range(20))
    whole, broken = source.with_name("whole.mkv"), source.with_name("broken.mkv")
    threads(1)
    run(source, whole)
    crash(source, broken, 6)
    threads(2)
    with pytest.raises(OutputError, match=r"setting hardware 1 threads on \w+ -> 2 threads on .*--restart"):
        run(source, broken)
    threads(1)
    run(source, broken)
    assert broken.read_bytes() == whole.read_bytes()


def test_the_same_command_is_offered_only_where_it_can_help(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_clip("clip.mkv", pts=range(20))
    crash(source, source.with_name("crashed.mkv"), 6)
    assert "the same command goes on from there" in caplog.text
    caplog.clear()
    # Only behind the first piece does it show that the video is no good.
    with pytest.raises(InputError, match="change from 64x48"):
        run(growing(source, make_clip), source.with_name("out.mkv"))
    assert "frames are finished and kept in" in caplog.text
    assert "the same command" not in caplog.text


def growing(source: Path, make_clip: MakeClip) -> Path:
    """A transport stream whose pictures change their size on the way."""
    small, large = (
        make_clip("small.ts", pts=range(35, 55)),
        make_clip("large.ts", pts=range(55, 65), width=96),
    )
    both = source.with_name("both.ts")
    both.write_bytes(small.read_bytes() + large.read_bytes())
    return both


def test_a_resumed_run_counts_the_same_damage(make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4", options={"crf": "12", "preset": "veryfast", "g": "1"})
    with av.open(str(source)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = source.read_bytes()
    for index, keep in ((1, 0), (2, 200), (10, 0)):
        data = data.replace(packets[index], packets[index][:keep].ljust(len(packets[index]), b"\xff"))
    source.write_bytes(data)
    target = source.with_name("broken.mp4")
    crash(source, target, 6)
    assert finished(target)
    with Translator(Negative(), engine="eager") as translator:
        converted = convert_video(
            source, target, translator, ConvertOptions(), SilentReporter(), segment_frames=SEGMENT_FRAMES
        )
    assert converted.damage == Damage(num_repeated=2, num_damaged=1)


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_crashed_run_resumes_bit_for_bit(name: str, batch_size: int, make_clip: MakeClip) -> None:
    source = make_clip(name, **CLIPS[name])
    whole, broken = source.with_name(f"whole{source.suffix}"), source.with_name(f"broken{source.suffix}")
    run(source, whole, batch_size=batch_size)
    # Every run but the last ends in a crash, each a little further on.
    for after in (1, 6, 8, 13):
        crash(source, broken, max(1, after - 4 * len(finished(broken))), batch_size=batch_size)
    last = CountingReporter()
    assert run(source, broken, last, batch_size=batch_size) == 20
    assert broken.read_bytes() == whole.read_bytes()
    assert last.before > 0
    assert last.before + last.now == 20
    assert sorted(path.name for path in source.parent.iterdir()) == sorted([name, whole.name, broken.name])


@pytest.mark.parametrize("after", range(2, 21, 3))
def test_wherever_it_stops_it_goes_on(after: int, make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4", pts=range(20), audio_languages=["eng"])
    target = source.with_name("out.mp4")
    crash(source, target, after)
    # The writer may be behind by what its queue and the encoder hold, but never ahead.
    assert len(finished(target)) <= after // SEGMENT_FRAMES
    run(source, target)
    run(source, source.with_name("whole.mp4"))
    assert target.read_bytes() == source.with_name("whole.mp4").read_bytes()


@pytest.mark.parametrize(
    ("codec", "name"),
    [
        ("libx265", "out.mp4"),
        ("libsvtav1", "out.mkv"),
        ("libvpx-vp9", "out.webm"),
        ("ffv1", "out.mkv"),
        ("prores_ks", "out.mov"),
    ],
)
def test_every_codec_resumes_bit_for_bit(codec: str, name: str, make_clip: MakeClip) -> None:
    source = make_clip("clip.mkv", pts=range(10))
    whole, broken = source.with_name(f"whole_{name}"), source.with_name(f"broken_{name}")
    run(source, whole, codec=codec)
    crash(source, broken, 10, codec=codec)
    run(source, broken, codec=codec)
    assert broken.read_bytes() == whole.read_bytes()


# Pictures only


def written(target: Path) -> dict[str, bytes]:
    """Name -> bytes of a file, or of all pictures of a pattern."""
    files = numbered_files(target).values() if is_sequence(target) else [target]
    return {path.name: path.read_bytes() for path in files if path.exists()}


@pytest.mark.parametrize("name", ["%04d.png", "out.gif", "out.apng", "out.webp"])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_what_holds_pictures_only_resumes_bit_for_bit(
    name: str, batch_size: int, make_clip: MakeClip, tmp_path: Path
) -> None:
    source = make_clip("uneven.mkv", pts=UNEVEN, time_base=Fraction(1, 1000))
    whole, broken = tmp_path / "whole" / name, tmp_path / "broken" / name
    for target in (whole, broken):
        target.parent.mkdir()
    run(source, whole, batch_size=batch_size)
    for after in (6, 13):
        crash(source, broken, after - 4 * len(finished(broken)), batch_size=batch_size)
        assert not written(broken)
    last = CountingReporter()
    assert run(source, broken, last, batch_size=batch_size) == 20
    assert written(broken) == written(whole)
    assert last.before > 0
    assert sorted(path.name for path in broken.parent.iterdir()) == sorted(
        path.name for path in whole.parent.iterdir()
    )


@pytest.mark.parametrize("name", ["out.mp4", "%d.bmp"])
def test_numbered_pictures_resume_bit_for_bit(name: str, make_clip: MakeClip, tmp_path: Path) -> None:
    source = tmp_path / "in/%03d.png"
    run(make_clip("clip.mp4", pts=range(20)), source)
    whole, broken = tmp_path / "whole" / name, tmp_path / "broken" / name
    for target in (whole, broken):
        target.parent.mkdir()
    run(source, whole)
    crash(source, broken, 13)
    assert finished(broken)
    os.utime(tmp_path / "in/007.png", ns=(0, 0))
    with pytest.raises(OutputError, match="another job: source names, sizes and times"):
        run(source, broken)
    crash(source, broken, 13, restart=True)
    assert run(source, broken) == 20
    assert written(broken) == written(whole)


def test_pictures_of_which_some_have_their_names_are_no_obstacle(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = make_clip("clip.mp4", pts=range(20)), tmp_path / "out/%02d.png"
    run(source, tmp_path / "whole/%02d.png")
    link, left = os.link, iter(range(7))

    def link_until_the_power_fails(*args: Any, **keywords: Any) -> None:  # Any: as `os.link`
        if next(left, None) is None:
            raise Crash
        link(*args, **keywords)

    monkeypatch.setattr(os, "link", link_until_the_power_fails)
    with pytest.raises(Crash):
        run(source, target)
    monkeypatch.undo()
    assert len(written(target)) == 7
    last = CountingReporter()
    run(source, target, last)
    assert last.now == 0
    assert written(target) == written(tmp_path / "whole/%02d.png")
    with pytest.raises(OutputError, match=r"01\.png is already there"):
        run(source, target)


def test_a_disk_without_links_takes_pictures_too(
    make_clip: MakeClip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_clip("clip.mp4", pts=range(6))
    run(source, tmp_path / "a/%02d.png")

    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    run(source, tmp_path / "b/%02d.png")
    assert written(tmp_path / "b/%02d.png") == written(tmp_path / "a/%02d.png") != {}


def test_a_batch_size_that_was_found_is_kept_by_the_next_run(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fastest(batch_size: int) -> None:
        monkeypatch.setattr(
            Ladder, "_seconds_of", lambda _ladder, count, *_: count * (1.0 if count == batch_size else 2.0)
        )

    source = make_clip("clip.mp4", pts=range(20))
    whole, broken = source.with_name("whole.mp4"), source.with_name("broken.mp4")
    run(source, whole, batch_size=2)
    fastest(2)
    crash(source, broken, 13, batch_size="auto")
    fastest(1)
    with pytest.raises(OutputError, match="setting batch_size 2 -> 1"):
        run(source, broken, batch_size=1)
    reporter = CountingReporter()
    assert run(source, broken, reporter, batch_size="auto") == 20
    assert reporter.before > 0
    assert broken.read_bytes() == whole.read_bytes()
    # Begun anew, it is searched for anew.
    broken.unlink()
    fastest(2)
    crash(source, broken, 13, batch_size="auto")
    fastest(1)
    run(source, broken, batch_size="auto", restart=True)
    run(source, whole, batch_size=1, overwrite=True)
    assert broken.read_bytes() == whole.read_bytes()


# What is refused, and what is done again


@pytest.fixture
def stopped(make_clip: MakeClip) -> tuple[Path, Path]:
    """A source, and a target whose conversion has stopped behind some finished pieces."""
    source = make_clip("clip.mp4", pts=range(20))
    target = source.with_name("out.mp4")
    crash(source, target, 19)
    assert finished(target)
    return source, target


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"crf": 30}, "setting crf 18 -> 30"),
        ({"codec": "libx265"}, "setting codec libx264 -> libx265"),
        ({"trim": "0:0.4"}, "setting trim None -> 0:0.4"),
        ({"batch_size": 2}, "setting batch_size 1 -> 2"),
        ({"smooth": "off"}, "setting smooth auto -> off"),
        ({"smooth_strength": 0.5}, "setting smooth_strength 1.0 -> 0.5"),
        ({"network": Half()}, "network"),
    ],
)
def test_other_settings_are_refused_and_named(
    options: dict[str, Any], complaint: str, stopped: tuple[Path, Path]
) -> None:
    before = [path.read_bytes() for path in finished(stopped[1])]
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=rf"another job: .*{complaint}.*--restart discards"):
            run(*stopped, **options, overwrite=overwrite)
    assert [path.read_bytes() for path in finished(stopped[1])] == before
    run(*stopped)


def test_another_source_is_refused_and_named(stopped: tuple[Path, Path]) -> None:
    source, _ = stopped
    data = bytearray(source.read_bytes())
    status = source.stat()
    data[-1] ^= 1
    source.write_bytes(data)
    os.utime(source, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(OutputError, match="another job: source head, source tail "):
        run(*stopped)
    os.utime(source, ns=(0, 0))
    with pytest.raises(OutputError, match="source changed"):
        run(*stopped)


def test_restart_discards_what_another_job_has_finished(stopped: tuple[Path, Path]) -> None:
    source, target = stopped
    run(source, target, crf=30, restart=True)
    run(source, source.with_name("whole.mp4"), crf=30)
    assert target.read_bytes() == source.with_name("whole.mp4").read_bytes()


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "journal cut", "journal garbage"])
def test_damaged_pieces_are_made_again(damage: str, stopped: tuple[Path, Path]) -> None:
    source, target = stopped
    crash(source, target, 1)
    piece, journal = finished(target)[0], work_folder(target) / "journal.jsonl"
    data, lines = piece.read_bytes(), journal.read_bytes()
    assert len(lines.splitlines()) > 2
    match damage:
        case "flip":
            piece.write_bytes(data[:50] + bytes([data[50] ^ 1]) + data[51:])
        case "cut":
            piece.write_bytes(data[:-1])
        case "remove":
            piece.unlink()
        case "journal cut":
            journal.write_bytes(lines[:-20])
        case "journal garbage":
            journal.write_bytes(os.urandom(500))
    run(source, target)
    run(source, source.with_name("whole.mp4"))
    assert target.read_bytes() == source.with_name("whole.mp4").read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        {"smooth": "ema"},
        {"smooth_lookahead": 2},
        {"smooth_lookahead": 2, "work_px": 20},
        {"smooth": "off"},
        {"smooth": "norm-statistics"},
        {"smooth": "norm-statistics", "batch_size": 2, "smooth_lookahead": 1},
    ],
)
def test_every_way_to_smooth_resumes_bit_for_bit(options: dict[str, Any], make_clip: MakeClip) -> None:
    if options.get("smooth") == "norm-statistics":
        torch.manual_seed(0)
        options = {**options, "network": build("resnet", width=4, blocks=1).eval()}
    source = make_clip("clip.mp4", pts=range(20))
    target = source.with_name("out.mp4")
    crash(source, target, 10, **options)
    crash(source, target, 9, **options)
    assert finished(target)
    run(source, target, **options)
    run(source, source.with_name("whole.mp4"), **options)
    assert target.read_bytes() == source.with_name("whole.mp4").read_bytes()


def test_smoothing_changes_the_file(make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4", pts=range(20))
    for smooth in ("off", "auto"):
        run(source, source.with_name(f"{smooth}.mp4"), smooth=smooth)
    assert source.with_name("auto.mp4").read_bytes() != source.with_name("off.mp4").read_bytes()


@pytest.mark.parametrize("damage", ["flip", "cut", "remove", "remove all"])
def test_a_damaged_state_of_the_smoother_costs_pieces_and_no_more(
    damage: str, stopped: tuple[Path, Path]
) -> None:
    source, target = stopped
    states = sorted(work_folder(target).glob("*.npz"))
    assert len(states) == 2
    data = states[-1].read_bytes()
    match damage:
        case "flip":
            states[-1].write_bytes(data[:90] + bytes([data[90] ^ 1]) + data[91:])
        case "cut":
            states[-1].write_bytes(data[:-1])
        case "remove":
            states[-1].unlink()
        case "remove all":
            for state in states:
                state.unlink()
    before, last = len(finished(target)), CountingReporter()
    run(source, target, last)
    assert last.before == (0 if damage == "remove all" else (before - 1) * SEGMENT_FRAMES)
    run(source, source.with_name("whole.mp4"))
    assert target.read_bytes() == source.with_name("whole.mp4").read_bytes()


def test_a_second_process_is_refused(stopped: tuple[Path, Path]) -> None:
    with exclusive(stopped[1]), pytest.raises(OutputError, match="being written by another process"):
        run(*stopped)
    assert run(*stopped) == 20


def test_a_run_without_a_finished_piece_leaves_nothing(make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4", pts=range(20))
    crash(source, source.with_name("out.mp4"), 1)
    assert [path.name for path in source.parent.iterdir()] == ["clip.mp4"]


def test_ctrl_c_keeps_the_finished_pieces_and_says_so(
    make_clip: MakeClip, caplog: pytest.LogCaptureFixture
) -> None:
    source = make_clip("clip.mp4", pts=range(20))
    target = source.with_name("out.mp4")
    with pytest.raises(KeyboardInterrupt):
        run(source, target, CrashAfter(20, KeyboardInterrupt()))
    assert finished(target)
    assert "the same command goes on" in caplog.text
    assert run(source, target) == 20


def test_the_work_is_kept_from_other_users(stopped: tuple[Path, Path]) -> None:
    folder = work_folder(stopped[1])
    assert folder.stat().st_mode & 0o777 == 0o700
    kept = [path for path in folder.iterdir() if path.is_file()]
    assert kept
    assert {path.stat().st_mode & 0o777 for path in kept} == {0o600}


def test_a_link_in_the_place_of_the_folder_is_refused(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip("clip.mp4")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    work_folder(tmp_path / "out.mp4").symlink_to(elsewhere)
    with pytest.raises(OutputError, match="is a link"):
        run(source, tmp_path / "out.mp4")
    assert list(elsewhere.iterdir()) == []


# A full disk


@contextmanager
def files_limited_to(num_bytes: int) -> Iterator[None]:
    """A limit on the size of files makes writing fail half-way, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("num_bytes", [0, 100, 1500, 2500, 5000, 9000])
def test_a_full_disk_is_one_error_and_the_same_command_goes_on(num_bytes: int, make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4", pts=range(20), audio_languages=["eng"])
    whole, target = source.with_name("whole.mp4"), source.with_name("out.mp4")
    run(source, whole)
    assert whole.stat().st_size > 9000
    with files_limited_to(num_bytes), pytest.raises(OutputError, match="cannot write"):
        run(source, target)
    assert not target.exists()
    run(source, target)
    assert target.read_bytes() == whole.read_bytes()


def test_a_source_that_ends_earlier_than_before_is_refused(make_clip: MakeClip) -> None:
    source = make_clip("clip.ts", pts=range(35, 55))
    target = source.with_name("out.ts")
    crash(source, target, 19)
    # As if an update of the decoder gave other frames: the journal knows one more than there is.
    journal = work_folder(target) / "journal.jsonl"
    identity, *pieces = [json.loads(line) for line in journal.read_text().splitlines()]
    pieces[-1]["last_pts"] += 1
    journal.write_text("".join(json.dumps(entry) + "\n" for entry in (identity, *pieces)))
    with pytest.raises(InputError, match=r"was at tick .*--restart begins anew"):
        run(source, target)


# A real end


KILLED = """
import sys
from pathlib import Path
from tests.test_resume import CrashAfter, run

class Wait(CrashAfter):
    def advance(self, count=1, *, note=""):
        import time
        time.sleep(0.05)

run(Path(sys.argv[1]), Path(sys.argv[2]), Wait(0, Exception()))
"""


def test_a_killed_process_loses_what_it_had_at_hand_and_no_more(make_clip: MakeClip) -> None:
    source = make_clip("clip.mp4", pts=range(60), audio_languages=["eng"])
    target = source.with_name("out.mp4")
    root = Path(__file__).parents[1]
    with subprocess.Popen([sys.executable, "-c", KILLED, source, target], cwd=root) as process:
        while len(finished(target)) < 3 and process.poll() is None:
            time.sleep(0.02)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    kept = len(finished(target))
    assert not target.exists()

    last = CountingReporter()
    run(source, target, last)
    # The last piece may have got its name without having been noted.
    assert last.before in (kept * SEGMENT_FRAMES, (kept - 1) * SEGMENT_FRAMES)
    run(source, source.with_name("whole.mp4"))
    assert target.read_bytes() == source.with_name("whole.mp4").read_bytes()
