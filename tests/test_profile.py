"""`--profile` counts the work of a stage's threads, and of those that they start, where it belongs."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from click.testing import CliRunner

from i2itool.cli import main
from i2itool.profile import Profile, stage, table

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how long threads run")


def burn(seconds: float) -> None:
    started = time.thread_time()
    while time.thread_time() - started < seconds:
        pass


def by_name(profile: Profile) -> dict[str, float]:
    return {item.name: item.cpu_seconds for item in profile.stages()}


def test_cpu_time_goes_to_the_stage_that_started_the_thread() -> None:
    burnt, seen = threading.Event(), threading.Event()

    def codec() -> None:
        burn(0.4)
        burnt.set()
        seen.wait()  # ended threads are told of no more

    with Profile() as profile:
        with stage("encode"):
            helper = threading.Thread(target=codec)
            helper.start()
            burn(0.2)
        burn(0.1)
        burnt.wait()
    seen.set()
    helper.join()
    found = by_name(profile)
    assert found["encode"] == pytest.approx(0.6, abs=0.2)
    assert sum(found.values()) == pytest.approx(0.7, abs=0.25)


def test_work_before_the_profile_is_not_counted() -> None:
    burn(0.3)
    with Profile() as profile:
        burn(0.1)
    assert sum(by_name(profile).values()) < 0.25


def profile_of(work: Callable[[], None], within: AbstractContextManager[None]) -> Profile:
    """Of a thread that does it, and lives until it is counted: of ended ones no more is told."""
    done, counted = threading.Event(), threading.Event()

    def live() -> None:
        with within:
            work()
            done.set()
            counted.wait()

    thread = threading.Thread(target=live)
    with Profile() as profile:
        thread.start()
        done.wait()
    counted.set()
    thread.join()
    return profile


@pytest.mark.parametrize(("comm", "name"), [("av:h264:df0", "decode"), ("av:vp9:es11", "encode")])
def test_threads_that_ffmpeg_names_count_for_their_codec(comm: str, name: str) -> None:
    def codec() -> None:
        Path(f"/proc/self/task/{threading.get_native_id()}/comm").write_text(comm)
        burn(0.2)

    assert by_name(profile_of(codec, nullcontext()))[name] == pytest.approx(0.2, abs=0.1)


def test_a_thread_has_its_name_back_after_a_stage() -> None:
    own = Path(f"/proc/self/task/{threading.get_native_id()}/comm")
    before = own.read_text()
    with stage("network"):
        assert own.read_text().strip() == "i2i-network"
    assert own.read_text() == before


def test_the_table_ends_with_frames_a_second_and_cores() -> None:
    with Profile() as profile:
        burn(0.2)
    last = table(profile, 10, 2).splitlines()[-1]
    assert last.startswith("10 frames in ")
    assert last.endswith("of 2 cores at work")


def test_a_stage_too_short_for_the_clock_is_in_the_table() -> None:
    profile = profile_of(lambda: None, stage("smooth"))
    (line,) = [line for line in table(profile, 1, 1).splitlines() if line.startswith("smooth")]
    assert line.split()[1] == "0.00"


def test_convert_tells_of_every_stage(
    tmp_path: Path, make_clip: Callable[..., Path], make_preset: Callable[[str], Path]
) -> None:
    clip = make_clip("clip.mp4", pts=range(60), width=160, height=128)
    arguments = [
        "convert",
        clip,
        "--preset",
        make_preset("tiny"),
        "-o",
        tmp_path / "out.mp4",
        "--profile",
        "-q",
    ]
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    names = {line.split()[0] for line in result.stderr.splitlines() if line.strip()}
    assert {"decode", "network", "encode", "other"} <= names
    assert "60 frames in" in result.stderr


def test_a_batch_has_no_profile(tmp_path: Path, make_preset: Callable[[str], Path]) -> None:
    arguments = ["convert", tmp_path, "--preset", make_preset("tiny"), "--profile"]
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 2
    assert "--profile is for a single video" in result.output
