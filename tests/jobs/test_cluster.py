"""A real cluster of Ray on this machine: the same files as without it, whatever happens to its workers."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from i2itool import convert_many
from i2itool.errors import EngineError, MissingExtra
from i2itool.pictures import write_picture

MakeClip = Callable[..., Path]

# Starts a cluster as `--cluster local` does, and keeps it until standard input ends.
HOST = """
import sys
from i2itool.jobs.seats import joined

with joined("local", jobs=2, device="cpu") as seats:
    import ray

    assert len(seats) == 2
    print(ray.get_runtime_context().gcs_address, flush=True)
    sys.stdin.read()
"""

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs ray (the extra 'cluster')")


@pytest.fixture(scope="module")
def token() -> str:
    return secrets.token_hex(32)


@pytest.fixture(scope="module")
def host(token: str) -> Iterator[subprocess.Popen[str]]:
    """The process that has started a cluster with two processors."""
    pipe, environment = subprocess.PIPE, os.environ | {"RAY_AUTH_TOKEN": token}
    with subprocess.Popen(
        [sys.executable, "-c", HOST], stdin=pipe, stdout=pipe, text=True, env=environment
    ) as process:
        yield process
        process.communicate("")


@pytest.fixture(scope="module")
def address(host: subprocess.Popen[str]) -> str:
    assert host.stdout is not None
    return host.stdout.readline().strip()


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start(
    address: str,
    token: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    make_preset: Callable[..., Path],
) -> Iterator[Start]:
    """Start the command line on the cluster; it ends with the test at the latest."""
    monkeypatch.chdir(tmp_path)
    make_preset("tiny")
    make_preset("slow", width=24, blocks=4)
    started: list[subprocess.Popen[str]] = []

    def run_beside(*arguments: object, preset: str = "tiny") -> subprocess.Popen[str]:
        words = ["convert", *map(str, arguments), "--preset", preset, "--engine", "eager", "--json"]
        started.append(
            subprocess.Popen(
                [sys.executable, "-m", "i2itool", *words, "--cluster", address],
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=os.environ | {"RAY_AUTH_TOKEN": token, "RAY_AUTH_MODE": "token"},
                start_new_session=True,
            )
        )
        return started[-1]

    yield run_beside
    for process in started:
        process.kill()
        process.communicate()


def processes() -> Iterator[tuple[int, str]]:
    """Number and command line of each."""
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(FileNotFoundError, ProcessLookupError):
            yield int(path.name), (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()


def actors_at(name: str) -> list[int]:
    """The actors that have a file of that name open."""
    found = []
    for number, line in processes():
        if not line.startswith("ray::Actor"):
            continue
        with suppress(FileNotFoundError, ProcessLookupError):
            # Each may be closed while it is looked at.
            for file in Path(f"/proc/{number}/fd").iterdir():
                with suppress(FileNotFoundError):
                    if name in os.readlink(file):  # noqa: PTH115 - pipes are no paths
                        found.append(number)
    return found


def wait_until(condition: Callable[[], bool], seconds: float = 100) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.02)


def listening() -> Iterator[tuple[str, str]]:
    """(inode of the socket, address in the kernel's notation) of all that wait for connections."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in Path(table).read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A":
                yield words[9], words[1].partition(":")[0]


@needs_ray
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_nothing_of_a_cluster_that_we_start_listens_to_other_hosts(address: str) -> None:
    assert address.startswith("127.0.0.1:")
    loopback = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
    sockets = dict(listening())
    of_ray = {number: line for number, line in processes() if "raylet" in line or "gcs_server" in line}
    assert of_ray
    seen = set()
    for number, line in processes():
        if not ("/ray/" in line or line.startswith("ray::")):
            continue
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            for file in Path(f"/proc/{number}/fd").iterdir():
                with suppress(FileNotFoundError):
                    inode = os.readlink(file).removeprefix("socket:[").removesuffix("]")  # noqa: PTH115
                    if inode in sockets:
                        seen.add(number)
                        assert sockets[inode] in loopback, line
    assert set(of_ray) <= seen
    # Ray's own page of what it does, and its reports to its makers.
    assert not any("dashboard-agent" in line and "--minimal" not in line for _, line in processes())


@needs_ray
def test_a_cluster_makes_what_one_process_makes(start: Start, make_clip: MakeClip) -> None:
    Path("in/deeper").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8)
    for name in ("a.png", "deeper/b.png", "there.png"):
        write_picture(Path("in", name), pixels)
    make_clip("in/clip.mkv", pts=range(5))
    Path("in/bad.png").write_bytes(b"no picture")
    Path("out").mkdir()
    write_picture(Path("out/there.png"), pixels)
    out, said = start("in", "-o", "out").communicate(timeout=100)
    told = {Path(line["input"]).name: line for line in map(json.loads, out.splitlines())}
    assert {name: line["status"] for name, line in told.items()} == {
        "a.png": "done",
        "b.png": "done",
        "clip.mkv": "done",
        "bad.png": "failed",
        "there.png": "skipped",
    }, said
    # As named on the command line, wherever the worker stands.
    assert (told["clip.mkv"]["input"], told["clip.mkv"]["output"]) == ("in/clip.mkv", "out/clip.mkv")
    assert told["bad.png"]["exit_code"] == 3
    assert [line.split() for line in said.splitlines()[-4:-1]] == [
        ["done", "3"],
        ["skipped", "1"],
        ["failed", "1"],
    ]
    convert_many(["in"], "alone", preset="tiny", engine="eager")
    for name in ("a.png", "deeper/b.png", "clip.mkv"):
        assert Path("out", name).read_bytes() == Path("alone", name).read_bytes(), name


@needs_ray
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_file_whose_actor_was_killed_is_made_by_another(start: Start, make_clip: MakeClip) -> None:
    Path("in").mkdir()
    make_clip("in/a.mp4", width=96, height=64, pts=range(60))
    make_clip("in/b.mp4", pts=range(3))
    process = start("in", "-o", "out", preset="slow")
    found: list[int] = []
    # It may close the clip and open it again.
    wait_until(lambda: bool(found.extend(actors_at("in/a.mp4")) or found))  # type: ignore[func-returns-value]
    os.kill(found[0], signal.SIGKILL)
    out, said = process.communicate(timeout=100)
    told = {line["input"]: line["status"] for line in map(json.loads, out.splitlines())}
    assert told == {"in/a.mp4": "done", "in/b.mp4": "done"}, said
    assert "died or its machine is gone; it is tried again" in said
    assert process.returncode == 0


@needs_ray
@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_actors_and_leaves_nothing_half_written(
    number: signal.Signals, start: Start, make_clip: MakeClip
) -> None:
    Path("in").mkdir()
    make_clip("in/a.mp4", width=160, height=120, pts=range(300))
    process = start("in", "-o", "out", preset="slow")
    wait_until(lambda: bool(actors_at("in/a.mp4")))
    actors = actors_at("in/a.mp4")
    os.killpg(process.pid, number)
    _, said = process.communicate(timeout=100)
    assert process.returncode == 130, said
    assert said.splitlines()[-1] == "interrupted"
    assert "Traceback" not in said
    assert "***" not in said
    wait_until(lambda: not any(number in actors for number, _ in processes()))
    assert [path for path in Path("out").iterdir() if not path.name.startswith(".")] == []


def test_without_ray_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_preset: Callable[[str], Path]
) -> None:
    make_preset("tiny")
    write_picture(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    monkeypatch.setattr("i2itool.jobs.seats.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"i2itool\[cluster\]"):
        convert_many([tmp_path / "a.png"], tmp_path / "out", preset="tiny", cluster="local")


@needs_ray
def test_an_address_without_a_cluster_is_refused_at_once(
    tmp_path: Path, make_preset: Callable[[str], Path]
) -> None:
    make_preset("tiny")
    write_picture(tmp_path / "a.png", np.zeros((8, 8, 3), np.uint8))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(EngineError, match=f"no cluster of Ray at {address}"):
        convert_many([tmp_path / "a.png"], tmp_path / "out", preset="tiny", cluster=address)
