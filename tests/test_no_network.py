"""Nothing phones home: a conversion opens no socket, neither in Python nor in any library below it."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

# Python's own sockets are told of by audit events; those of libraries the kernel itself refuses: a filter on
# system calls (seccomp) ends the process at the first socket(2).
GUARDED = """
import ctypes, struct, sys

def refuse(event, arguments):
    if event.startswith("socket."):
        raise SystemExit(f"opened a socket: {event} {arguments}")

sys.addaudithook(refuse)
LOAD_SYSCALL, LOAD_ARCH, JUMP_IF_EQUAL, RETURN = 0x20, 0x20, 0x15, 0x06
ALLOW, KILL_PROCESS, SOCKET, X86_64 = 0x7FFF0000, 0x80000000, 41, 0xC000003E
if WITH_FILTER:
    steps = [
        (LOAD_ARCH, 0, 0, 4), (JUMP_IF_EQUAL, 0, 3, X86_64),
        (LOAD_SYSCALL, 0, 0, 0), (JUMP_IF_EQUAL, 0, 1, SOCKET), (RETURN, 0, 0, KILL_PROCESS),
        (RETURN, 0, 0, ALLOW),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
    assert libc.prctl(22, 2, program, 0, 0) == 0, ctypes.get_errno()  # PR_SET_SECCOMP

if sys.argv[1] == "socket":
    ctypes.CDLL(None).socket(2, 1, 0)  # as a library would
    raise SystemExit("the filter lets sockets through")
from i2itool.cli import main
main(sys.argv[1:])
"""
HAS_FILTER = sys.platform == "linux" and platform.machine() == "x86_64"


def run_guarded(*arguments: object) -> subprocess.CompletedProcess[str]:
    code = GUARDED.replace("WITH_FILTER", str(HAS_FILTER))
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


@pytest.mark.skipif(not HAS_FILTER, reason="the filter is written for Linux on x86-64")
def test_the_guard_ends_a_process_that_opens_a_socket() -> None:
    done = run_guarded("socket")
    assert done.returncode < 0, done.stderr  # by a signal


@pytest.mark.parametrize("engine", ["openvino", "eager"])
def test_converting_opens_no_socket(
    engine: str, tmp_path: Path, make_clip: Callable[..., Path], make_preset: Callable[[str], Path]
) -> None:
    clip = make_clip("clip.mp4", audio_languages=["eng"])
    done = run_guarded("convert", clip, "--preset", make_preset("tiny"), "--engine", engine)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "clip_tiny.mp4").is_file()


def test_looking_around_opens_no_socket() -> None:
    done = run_guarded("doctor")
    assert done.returncode == 0, done.stdout + done.stderr
