"""Whole folders by the command line: all that is there, once, whatever happens to some of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result

from i2itool import convert_many
from i2itool.cli import main
from i2itool.errors import InputError, OutputError
from i2itool.jobs.outcome import Outcome
from i2itool.jobs.plan import plan
from i2itool.jobs.worker import core_shares
from i2itool.locks import exclusive, lock_file
from i2itool.pictures import write_picture

MakeClip = Callable[..., Path]
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_preset: Callable[[str], Path]) -> None:
    """A working folder with a preset `tiny`."""
    monkeypatch.chdir(tmp_path)
    make_preset("tiny")


def write_pictures(*names: str, size: tuple[int, int] = (20, 24)) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write_picture(Path(name), pixels)


def files(folder: Path | str) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file()}


def statuses(outcomes: list[Outcome]) -> dict[str, str]:
    return {outcome.task.source.name: outcome.status for outcome in outcomes}


def batch(*inputs: str, output: str | None = "out", overwrite: bool = False, jobs: int = 1) -> dict[str, str]:
    found = convert_many(inputs, output, preset="tiny", engine="eager", overwrite=overwrite, jobs=jobs)
    return statuses(found)


def run(*arguments: object) -> Result:
    """The command line, in this process."""
    return CliRunner().invoke(main, command(*arguments)[3:])


def command(*arguments: object, preset: str = "tiny") -> list[str]:
    words = ["convert", *map(str, arguments), "--preset", preset, "--engine", "eager"]
    return [sys.executable, "-m", "i2itool", *words]


# What is done


def test_pictures_and_videos_keep_their_names_and_their_tree(make_clip: MakeClip) -> None:
    write_pictures("in/a.png", "in/b.jpg", "in/deeper/c.webp", "in/.hidden.png", "in/.trash/d.png")
    Path("in/notes.txt").write_text("neither")
    make_clip("in/deeper/clip.mkv", pts=range(3))
    assert set(batch("in", output=None).values()) == {"done"}
    assert files("in_tiny") == {"a.png", "b.jpg", "deeper/c.webp", "deeper/clip.mkv"}


def test_a_second_run_skips_what_is_done_and_makes_what_is_missing() -> None:
    write_pictures("in/a.png", "in/b.png")
    assert batch("in") == {"a.png": "done", "b.png": "done"}
    before = Path("out/a.png").stat().st_mtime_ns
    Path("out/b.png").unlink()
    assert batch("in") == {"a.png": "skipped", "b.png": "done"}
    assert Path("out/a.png").stat().st_mtime_ns == before
    assert batch("in", overwrite=True) == {"a.png": "done", "b.png": "done"}
    assert Path("out/a.png").stat().st_mtime_ns != before


def test_a_bad_file_does_not_stop_the_others() -> None:
    write_pictures("in/a.png", "in/c.png")
    Path("in/b.png").write_bytes(b"no picture")
    Path("in/d.mp4").write_bytes(b"no video")
    found = convert_many(["in"], "out", preset="tiny", engine="eager")
    assert statuses(found) == {"a.png": "done", "b.png": "failed", "c.png": "done", "d.mp4": "failed"}
    assert "not a readable picture" in found[1].reason
    assert found[1].exit_code == 3
    assert files("out") == {"a.png", "c.png"}


def test_what_an_earlier_run_put_inside_the_input_is_no_input() -> None:
    write_pictures("in/a.png")
    for _ in range(2):
        assert list(batch("in", output="in/out", overwrite=True)) == ["a.png"]


def test_an_output_folder_above_the_input_holds_outputs_and_no_inputs() -> None:
    write_pictures("in/a.png", "in/deeper/b.png", "other.png")
    assert batch("in", output=".") == {"a.png": "done", "b.png": "done"}
    assert {"a.png", "deeper/b.png", "other.png", "in/a.png", "in/deeper/b.png"} < files(".")
    assert batch("in", output=".") == {"a.png": "skipped", "b.png": "skipped"}


def test_outputs_of_several_folders_within_one_of_them_are_no_inputs() -> None:
    write_pictures("left/x.png", "right/y.png")
    for _ in range(2):
        assert list(batch("left", "right", output="left", overwrite=True)) == ["x.png", "y.png"]
    assert files("left") == {"x.png", "left/x.png", "right/y.png"}


def test_outputs_that_would_lie_among_the_inputs_are_refused_before_any_work() -> None:
    write_pictures("in/a.png", "in/in/b.png")
    with pytest.raises(OutputError, match=r"output of in/in/b\.png would lie among the inputs"):
        batch("in", output=".")
    with pytest.raises(OutputError, match="outputs would replace their inputs in in"):
        convert_many(["in", "in/in"], ".", preset="tiny", engine="eager", overwrite=True)
    assert files("in") == {"a.png", "in/b.png"}


def test_files_named_once_more_with_their_outputs_are_not_translated_twice(
    caplog: pytest.LogCaptureFixture,
) -> None:
    write_pictures("a.png", "b.png")
    assert batch("a.png", "b.png", output=None) == {"a.png": "done", "b.png": "done"}
    found = batch("a.png", "a_tiny.png", "b.png", "b_tiny.png", output=None)
    assert found == {"a.png": "skipped", "b.png": "skipped"}
    assert "a_tiny.png is passed over: it is the output of a.png" in caplog.text


def test_several_inputs_share_an_output_folder(make_clip: MakeClip) -> None:
    write_pictures("one.png", "left/x.png", "right/x.png")
    make_clip("clip.mp4", pts=range(2))
    found = convert_many(["one.png", "left", "right", "clip.mp4", "one.png"], "new/out", preset="tiny")
    assert {outcome.status for outcome in found} == {"done"}
    assert files("new/out") == {"one_tiny.png", "left/x.png", "right/x.png", "clip_tiny.mp4"}


def test_inputs_that_would_become_one_file_are_refused_before_any_work() -> None:
    write_pictures("day/x.png", "night/x.png")
    with pytest.raises(InputError, match=r"both become .*x_tiny\.png"):
        batch("day/x.png", "night/x.png")
    assert not Path("out").exists()


def test_a_folder_without_pictures_and_videos_and_an_output_that_is_a_file_are_refused() -> None:
    Path("in").mkdir()
    Path("in/notes.txt").write_text("neither")
    with pytest.raises(InputError, match="no pictures and no videos in in"):
        batch("in")
    write_pictures("in/a.png")
    Path("out").write_text("a file")
    with pytest.raises(OutputError, match="out is not a folder"):
        batch("in")
    with pytest.raises(OutputError, match="called as a video is"):
        batch("in", output="out.mp4")


# What is said


def test_the_table_and_the_lines_of_json_tell_of_every_file() -> None:
    write_pictures("in/a.png", "in/b.png", "out/b.png")
    Path("in/c\n\x1b[31m.png").write_bytes(b"no picture")
    result = run("in", "-o", "out", "--json", "-q")
    assert result.exit_code == 1
    told = {line["input"]: line for line in map(json.loads, result.stdout.splitlines())}
    assert told["in/a.png"]["status"] == "done"
    assert told["in/a.png"]["num_frames"] == 1
    assert told["in/b.png"] == {
        "input": "in/b.png",
        "output": "out/b.png",
        "status": "skipped",
        "reason": "is already there",
    }
    assert told["in/c\n\x1b[31m.png"]["exit_code"] == 3
    done, skipped, failed, name = result.stderr.splitlines()[-4:]
    assert [done.split(), skipped.split(), failed.split()] == [
        ["done", "1"],
        ["skipped", "1"],
        ["failed", "1"],
    ]
    assert name.startswith(r"  not a readable picture: in/c\n\x1b[31m.png")


@pytest.mark.parametrize("jobs", [1, 2])
def test_damage_is_counted_in_the_lines_of_json_and_in_the_table(jobs: int, make_clip: MakeClip) -> None:
    Path("in").mkdir()
    make_clip("in/a.mp4", pts=range(3))
    every_frame_by_itself = {"crf": "12", "preset": "veryfast", "g": "1"}
    overwrite_packets(make_clip("in/b.mp4", options=every_frame_by_itself), {2: 0, 5: 200, 7: 200})
    torn = make_clip("in/c.ts", pts=range(35, 60))
    torn.write_bytes(torn.read_bytes()[:-100])
    result = run("in", "-o", "out", "--json", "-q", "--jobs", jobs)
    assert result.exit_code == 0, result.stderr
    told = {line["input"]: line for line in map(json.loads, result.stdout.splitlines())}
    facts = ("num_repeated", "num_damaged", "is_cut_off")
    assert {name: [line[fact] for fact in facts] for name, line in told.items()} == {
        "in/a.mp4": [0, 0, False],
        "in/b.mp4": [1, 2, False],
        "in/c.ts": [0, 0, True],
    }
    assert [line.split(": ")[0].split() for line in result.stderr.splitlines()[-3:]] == [
        ["damaged", "2,", "of", "those", "done"],
        ["in/b.mp4"],
        ["in/c.ts"],
    ]


def overwrite_packets(path: Path, kept: dict[int, int]) -> None:
    """Overwrite packets of the video with ones, all but their first bytes: number -> how many of these."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    data = path.read_bytes()
    for index, keep in kept.items():
        data = data.replace(packets[index], packets[index][:keep].ljust(len(packets[index]), b"\xff"))
    path.write_bytes(data)


# Names and links


def test_strange_names_stay_inside_the_output() -> None:
    names = {
        "-o.png",
        "a..png",
        "new\nline.png",
        "ユニコード \N{PARTY POPPER}.png",
        "a b;$(c).png",
    }
    write_pictures(*(f"in/{name}" for name in names))
    Path("in").rename("--help")
    assert set(batch("--help", output="out").values()) == {"done"}
    assert files("out") == names


def test_a_video_with_a_percent_sign_in_its_name_is_a_video(make_clip: MakeClip) -> None:
    Path("in").mkdir()
    make_clip("in/100%d.mp4", pts=range(3))
    assert batch("in") == {"100%d.mp4": "done"}
    assert files("out") == {"100%d.mp4"}


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes only there")
def test_a_name_that_is_no_text_survives() -> None:
    write_pictures("in/a.png")
    Path("in/a.png").rename(os.fsdecode(b"in/\xff\xfe.png"))
    result = run("in", "-o", "out")
    assert (result.exit_code, result.stdout) == (0, "wrote out/\\udcff\\udcfe.png\n")
    assert os.listdir(b"out") == [b"\xff\xfe.png"]  # noqa: PTH208 - the only one that gives bytes


def test_the_longest_name_that_there_can_be_is_written(make_clip: MakeClip) -> None:
    name = "ä" * 125 + ".png"
    write_pictures("in/a.png")
    Path("in/a.png").rename(f"in/{name}")
    assert batch("in") == {name: "done"}
    assert files("out") == {name}


def test_links_out_of_the_folder_are_passed_over_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    write_pictures("secret/s.png", "in/a.png", "in/deeper/b.png")
    Path("in/away.png").symlink_to(Path("secret/s.png").resolve())
    Path("in/folder").symlink_to(Path("secret").resolve())
    Path("in/loop").symlink_to(Path("in").resolve())
    Path("in/nothing.png").symlink_to("nowhere.png")
    Path("in/same.png").symlink_to("deeper/b.png")
    todo = plan([Path("in")], Path("out"), "tiny")
    assert {task.target.as_posix() for task in todo.tasks} == {
        "out/a.png",
        "out/deeper/b.png",
        "out/same.png",
    }
    assert {path.name: reason for path, reason in todo.passed_over} == {
        "away.png": "a link out of the folder",
        "folder": "a link out of the folder",
        "loop": "a link to a folder",
        "nothing.png": "a link to nothing",
    }
    batch("in")
    assert "in/away.png is passed over: a link out of the folder" in caplog.text
    assert files("out") == {"a.png", "deeper/b.png", "same.png"}


def test_a_link_in_the_output_folder_leads_nothing_out_of_it() -> None:
    write_pictures("in/deeper/a.png", "in/b.png", "outside/b.png")
    Path("out").mkdir()
    Path("out/deeper").symlink_to(Path("outside").resolve())
    Path("out/b.png").symlink_to(Path("outside/b.png").resolve())
    before = Path("outside/b.png").read_bytes()
    assert batch("in", overwrite=True) == {"a.png": "failed", "b.png": "done"}
    assert files("outside") == {"b.png"}
    assert Path("outside/b.png").read_bytes() == before


# Several processes


def test_several_workers_make_what_one_makes(make_clip: MakeClip) -> None:
    write_pictures("in/a.png", "in/b.png", "in/deeper/c.png")
    Path("in/bad.png").write_bytes(b"no picture")
    make_clip("in/clip.mkv", pts=range(3))
    assert batch("in", output="one") == batch("in", output="two", jobs=2)
    assert files("one") == files("two")
    for name in files("one"):
        assert Path("one", name).read_bytes() == Path("two", name).read_bytes(), name
    assert batch("in", output="two", jobs=2)["a.png"] == "skipped"


def test_what_another_process_writes_is_skipped() -> None:
    write_pictures("in/a.png", "in/b.png")
    Path("out").mkdir()
    with exclusive(Path("out/a.png")):
        found = convert_many(["in"], "out", preset="tiny", engine="eager")
    assert statuses(found) == {"a.png": "skipped", "b.png": "done"}
    assert found[0].reason == "another process is at it"
    assert files("out") == {"b.png"}
    # As a crash leaves it.
    lock_file(Path("out/a.png")).touch()
    assert batch("in") == {"a.png": "done", "b.png": "skipped"}
    assert files("out") == {"a.png", "b.png"}


def test_two_runs_at_once_make_every_file_once(start: Start) -> None:
    names = {f"{number}.png" for number in range(12)}
    write_pictures(*(f"in/{name}" for name in names), size=(96, 96))
    runs = [start("in", "-o", "out", "--json", "-q") for _ in range(2)]
    told = [json.loads(line) for each in runs for line in each.communicate(timeout=300)[0].splitlines()]
    assert [each.returncode for each in runs] == [0, 0]
    done = [line["output"] for line in told if line["status"] == "done"]
    assert sorted(done) == sorted(f"out/{name}" for name in names)
    assert {line["status"] for line in told} <= {"done", "skipped"}
    assert files("out") == names


def children(parent: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "stat").read_text().rsplit(")", 1)[1].split()
            is_worker = b"spawn_main" in (path / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(words[1]) == parent and is_worker and words[0] != "Z":
            found.append(int(path.name))
    return found


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def held_open(process: int) -> Iterator[str]:
    """Files that a process has open, as far as they can be seen before it closes them."""
    with suppress(FileNotFoundError, ProcessLookupError):
        for file in Path(f"/proc/{process}/fd").iterdir():
            with suppress(FileNotFoundError):
                yield os.readlink(file)  # noqa: PTH115 - pipes are no paths


@pytest.fixture
def start() -> Iterator[Start]:
    """Start the command line in a process of its own, which ends with the test at the latest."""
    started: list[subprocess.Popen[str]] = []

    def run_beside(*arguments: object, preset: str = "tiny") -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        words = command(*arguments, preset=preset)
        started.append(subprocess.Popen(words, text=True, stdout=pipe, stderr=pipe, start_new_session=True))
        return started[-1]

    yield run_beside
    for process in started:
        process.kill()
        process.communicate()


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


@pytest.fixture
def long_clip(make_clip: MakeClip, make_preset: Callable[..., Path]) -> None:
    """A folder of clips that take a while, and a preset `slow` that takes it."""
    make_preset("slow", width=24, blocks=4)
    Path("in").mkdir()
    make_clip("in/a.mp4", width=160, height=120, pts=range(300))
    Path("in/b.mp4").write_bytes(Path("in/a.mp4").read_bytes())
    Path("in/c.mp4").write_bytes(Path("in/a.mp4").read_bytes())


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.usefixtures("long_clip")
@pytest.mark.parametrize(("number", "reaches"), [(signal.SIGINT, "all"), (signal.SIGTERM, "the parent")])
def test_a_signal_ends_all_workers_and_leaves_nothing_half_written(
    number: signal.Signals, reaches: str, start: Start
) -> None:
    process = start("in", "-o", "out", "--jobs", "2", preset="slow")
    wait_until(lambda: Path("out").exists() and len(list(Path("out").iterdir())) >= 2)
    workers = children(process.pid)
    assert len(workers) == 2
    send = os.killpg if reaches == "all" else os.kill
    send(process.pid, number)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "interrupted"
    assert "Traceback" not in said
    assert not any(map(is_running, workers))
    assert [path for path in Path("out").iterdir() if not path.name.startswith(".")] == []


@pytest.mark.skipif(sys.platform != "linux", reason="sends signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_in_one_line_and_keeps_what_is_finished(
    number: signal.Signals, start: Start, make_clip: MakeClip
) -> None:
    make_clip("clip.mkv", width=32, height=32, pts=range(1500), options={"preset": "ultrafast"})
    process = start("clip.mkv", "-o", "out.mkv", "--smooth", "off")
    journal = Path(".out.mkv.i2itool/journal.jsonl")
    wait_until(lambda: journal.exists() and len(journal.read_text().splitlines()) > 1)
    process.send_signal(number)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "interrupted"
    assert "frames are finished and kept" in said
    assert len(journal.read_text().splitlines()) > 1
    assert not Path("out.mkv").exists()


def at_the_clip(parent: int) -> list[int]:
    """Of the workers of a process, those that have `a.mp4` open."""
    return [worker for worker in children(parent) if any("a.mp4" in name for name in held_open(worker))]


def kill_the_one_at_the_clip(parent: int) -> None:
    """Until it is no more, so that it is not found again."""
    found: list[int] = []
    # It may close the clip and open it again.
    wait_until(lambda: bool(found.extend(at_the_clip(parent)) or found))  # type: ignore[func-returns-value]
    worker = found[0]
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not is_running(worker))


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.usefixtures("long_clip")
def test_a_file_that_kills_every_worker_is_given_up_and_the_others_are_done(start: Start) -> None:
    write_pictures("in/x.png", "in/y.png", "in/z.png")
    names = ("in/a.mp4", "in/x.png", "in/y.png", "in/z.png")
    process = start(*names, "-o", "out", "--jobs", "2", "--retries", "1", "--json", "-q", preset="slow")
    for _ in range(2):
        kill_the_one_at_the_clip(process.pid)
    out, said = process.communicate(timeout=300)
    told = {Path(line["input"]).name: line["status"] for line in map(json.loads, out.splitlines())}
    assert told == {"a.mp4": "failed", "x.png": "done", "y.png": "done", "z.png": "done"}
    assert process.returncode == 1
    assert "ended with -9; it is tried again" in said
    name, reason = said.splitlines()[-1].split(": ", 1)
    assert name == "  in/a.mp4"
    assert reason == "the process that was at it ended with -9, 2 times, and it is given up"


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.usefixtures("long_clip")
def test_a_file_whose_worker_was_killed_is_made_by_another(start: Start, make_clip: MakeClip) -> None:
    make_clip("in/a.mp4", width=96, height=64, pts=range(60))
    write_pictures("in/x.png", "in/y.png")
    names = ("in/a.mp4", "in/x.png", "in/y.png")
    process = start(*names, "-o", "out", "--jobs", "2", "--json", "-q", preset="slow")
    kill_the_one_at_the_clip(process.pid)
    out, _ = process.communicate(timeout=300)
    told = [json.loads(line) for line in out.splitlines()]
    assert {line["status"] for line in told} == {"done"}
    assert sorted(line["input"] for line in told) == sorted(names)
    assert files("out") == {"a_slow.mp4", "x_slow.png", "y_slow.png"}
    assert process.returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_worker_that_is_killed_before_it_is_ready_has_a_successor(start: Start) -> None:
    write_pictures("in/x.png", "in/y.png")
    process = start("in", "-o", "out", "--jobs", "2")
    wait_until(lambda: len(children(process.pid)) == 2)
    # Long before it has imported what it needs.
    os.kill(children(process.pid)[0], signal.SIGKILL)
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "another one takes its place" in said
    assert files("out") == {"x.png", "y.png"}


@pytest.mark.skipif(sys.platform == "win32", reason="has no limits on files")
def test_what_finds_no_room_fails_and_the_next_run_makes_it(make_clip: MakeClip) -> None:
    import resource

    Path("in").mkdir()
    make_clip("in/a.mkv", width=160, height=120, pts=range(120))
    make_clip("in/b.mkv", pts=range(3))
    # As of a full disk, of which every worker has as much left.
    room = 60_000

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    words = command("in", "-o", "out", "--jobs", "2", "--retries", "1", "--json", "-q")
    full = subprocess.run(words, capture_output=True, text=True, check=False, preexec_fn=limit)
    told = {Path(line["input"]).name: line for line in map(json.loads, full.stdout.splitlines())}
    assert {name: line["status"] for name, line in told.items()} == {"a.mkv": "failed", "b.mkv": "done"}
    assert (told["a.mkv"]["exit_code"], full.returncode) == (6, 1)
    assert "Traceback" not in full.stderr
    # It would fail again: only deaths are a reason to try.
    assert "tried again" not in full.stderr
    assert [path for path in files("out") if not Path(path).name.startswith(".")] == ["b.mkv"]
    made = Path("out/b.mkv").stat().st_mtime_ns
    assert batch("in", jobs=2) == {"a.mkv": "done", "b.mkv": "skipped"}
    assert Path("out/b.mkv").stat().st_mtime_ns == made
    assert files("out") == {"a.mkv", "b.mkv"}


def parts_under_way() -> list[str]:
    """Parts of a video that workers have begun, with the pieces that are finished."""
    return [str(path) for path in Path().glob(".a_tiny.mp4.part*.i2itool/*.packets")]


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_workers_share_a_long_video_and_a_death_among_them_changes_nothing(
    start: Start, make_clip: MakeClip
) -> None:
    # Of more than four pieces, and a part has two at least.
    make_clip("a.mp4", width=32, height=32, pts=range(1000))
    alone = start("a.mp4", "-o", "alone.mp4", "--jobs", "2", "--split", "off", "--smooth", "off", "-q")
    alone.communicate(timeout=300)
    process = start("a.mp4", "--jobs", "2", "--smooth", "off", "-q")
    wait_until(lambda: bool(parts_under_way()))
    kill_the_one_at_the_clip(process.pid)
    out, said = process.communicate(timeout=300)
    assert (process.returncode, out) == (0, "wrote a_tiny.mp4\n"), said
    assert Path("a_tiny.mp4").read_bytes() == Path("alone.mp4").read_bytes()
    assert not any(path.name.startswith(".") for path in Path().iterdir())
    refused = run("a.mp4", "--jobs", "2", "-q")
    assert refused.exit_code == 6
    assert "is already there" in refused.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.usefixtures("long_clip")
def test_workers_whose_parent_is_killed_do_not_go_on_for_long(start: Start) -> None:
    process = start("in", "-o", "out", "--jobs", "2", "-q", preset="slow")
    wait_until(lambda: Path("out").exists() and len(list(Path("out").iterdir())) >= 2)
    workers = children(process.pid)
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(is_running, workers)))
    assert not Path("out/c.mp4").exists()


def test_cores_are_shared_out_and_none_goes_without() -> None:
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    for jobs in (1, 2, 3, 7):
        shares = core_shares(jobs)
        assert len(shares) == jobs
        assert all(shares)
        if cores:
            assert {core for share in shares for core in share} <= set(cores)
            # All alike, or what one has begun another would round otherwise.
            assert {len(share) for share in shares} == {max(1, len(cores) // jobs)}


def test_results_that_cannot_be_printed_stop_no_batch() -> None:
    write_pictures("in/a.png", "in/b.png")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            command("in", "-o", "out"), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert files("out") == {"a.png", "b.png"}
