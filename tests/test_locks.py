"""Locks: one holder, none after a crash."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from i2itool.errors import OutputError
from i2itool.locks import exclusive, lock_file

HOLD = """
import sys
from pathlib import Path
from i2itool.locks import exclusive
with exclusive(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def start_holder(path: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def end(holder: subprocess.Popen[str], *, kill: bool = False) -> None:
    if kill:
        holder.kill()
    holder.communicate()


def test_a_second_holder_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    holder = start_holder(path)
    with pytest.raises(OutputError, match=r"out\.mp4 is being written by another process"), exclusive(path):
        pass
    end(holder)
    assert holder.returncode == 0
    assert list(tmp_path.iterdir()) == []
    with exclusive(path):
        pass


def test_a_killed_holder_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    end(start_holder(path), kill=True)
    assert lock_file(path).exists()
    with exclusive(path), pytest.raises(OutputError), exclusive(path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_of_many_at_once_never_two_hold_it(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    inside, most, times = 0, 0, 0
    counting = threading.Lock()

    def work() -> None:
        nonlocal inside, most, times
        for _ in range(200):
            try:
                with exclusive(path):
                    with counting:
                        inside, times = inside + 1, times + 1
                        most = max(most, inside)
                    with counting:
                        inside -= 1
            except OutputError:
                pass

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert times >= 6


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot lock"), exclusive(tmp_path / "absent" / "out.mp4"):
        pass
