"""What is OpenVINO's alone."""

from __future__ import annotations

import subprocess
import sys

_ENGINES_COME_AND_GO = """
import gc, os, signal, threading
from pathlib import Path
import torch
from i2itool.engine import open_engine
from i2itool.networks import build

def come_and_go():
    network = build("resnet", width=4, blocks=1)
    engine = open_engine("openvino", network, size=(32, 32), device="cpu", precision="fp32")
    engine(torch.zeros(1, 3, 32, 32))
    return engine

first, second = come_and_go(), come_and_go()
engines = [first, second]
del first, second
engines.pop(0).close()
thread = threading.Thread(target=lambda: (engines.pop().close(), gc.collect()))
thread.start()
thread.join()
gc.collect()
try:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
except KeyboardInterrupt:
    print("interrupted")
"""


def test_ctrl_c_is_one_also_when_engines_have_come_and_gone() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _ENGINES_COME_AND_GO], capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "interrupted\n"), ended.stderr
