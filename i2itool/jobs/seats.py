"""A cluster of Ray, started on this machine or joined, and the places that it has for workers.

Ray sends nothing home and opens nothing to other hosts for us: one that we start listens on this machine's
loopback device, and to those alone who know the secret of this run.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from i2itool.errors import EngineError, MissingExtra

logger = logging.getLogger("i2itool.jobs")

LOCAL = "local"
_SECONDS_TO_ANSWER = 10
# Files go through folders, never through Ray: the least that its store of objects takes is plenty.
_STORE_BYTES = 80 * 2**20
# Sockets lie in Ray's folder, and their paths may have 107 bytes, most of which Ray takes.
_LONGEST_FOLDER = 40
# Nothing is reported to Ray's makers, and its own messages stay off standard output, which is for results.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DEDUP_LOGS_SKIP_REGEX": "^"}
# It gives a machine half a minute to start it, which a busy one may not keep to.
_TRIES = 3
# Ray keeps to the loopback device; the variable is named for the systems where that is the default.
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}


@dataclass(frozen=True, slots=True)
class Seat:
    """A place for one worker on a machine of the cluster.

    node: Ray's name of the machine.  gpus, cpus: that it has to itself.  share, num_shares: of its cores.
    """

    node: str
    gpus: int
    cpus: float
    share: int
    num_shares: int


@contextmanager
def joined(address: str, *, jobs: int, device: str) -> Iterator[list[Seat]]:
    """Join the cluster at an address, or start one here for "local"; gives the seats that it has.

    jobs: workers on a machine without GPUs; else there is one a GPU.
    Raises MissingExtra without Ray, EngineError if there is no such cluster.
    """
    if find_spec("ray") is None:
        raise MissingExtra("--cluster needs Ray", hint="pip install 'i2itool[cluster]'")
    with _started(jobs) if address == LOCAL else _reached(address):
        import ray

        try:
            yield _seats(jobs, device)
        finally:
            ray.shutdown()


@contextmanager
def _started(jobs: int) -> Iterator[None]:
    """A cluster of this machine, which takes only those who know its token."""
    import torch

    temporary = tempfile.gettempdir()
    folder = tempfile.mkdtemp(
        prefix="i2itool-", dir=temporary if len(temporary) < _LONGEST_FOLDER else "/tmp"
    )
    token = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": os.environ.get("RAY_AUTH_TOKEN") or secrets.token_hex(32),
    }
    num_gpus = torch.cuda.device_count()
    try:
        with _environment(_QUIET | _LOOPBACK | token):
            _open(
                "Ray cannot start here",
                tries=_TRIES,
                num_cpus=max(jobs, num_gpus, 1),
                num_gpus=num_gpus,
                include_dashboard=False,
                object_store_memory=_STORE_BYTES,
                _node_ip_address="127.0.0.1",
                _temp_dir=folder,
            )
            yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _reached(address: str) -> Iterator[None]:
    """A cluster that somebody has started."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    # Else Ray would look for it at this machine's outer address.
    loopback = _LOOPBACK if host in ("127.0.0.1", "localhost") else {}
    with _environment(_QUIET | loopback):
        failure = f"no cluster of Ray at {address}"
        if port.isdigit():
            try:
                # Ray itself would try for minutes.
                socket.create_connection((host, int(port)), _SECONDS_TO_ANSWER).close()
            except OSError as error:
                hint = "`ray start --head` on the machine that is to direct"
                raise EngineError(f"{failure}: {error.strerror or error}", hint=hint) from error
        _open(failure, address=address)
        yield


def _open(failure: str, *, tries: int = 1, **how: Any) -> None:  # Any: what Ray takes
    import ray

    if ray.is_initialized():
        raise EngineError(f"{failure}: this process is in a cluster already", hint="`ray.shutdown()`")
    for left in reversed(range(tries)):
        try:
            with _signals_as_they_were():
                ray.init(log_to_driver=False, configure_logging=False, logging_level=logging.ERROR, **how)
            return
        # It raises that very class when it takes too long.
        except Exception as error:
            ray.shutdown()
            if not left:
                reason = (str(error).splitlines() or [type(error).__name__])[0]
                raise EngineError(f"{failure}: {reason}") from error


@contextmanager
def _signals_as_they_were() -> Iterator[None]:
    """Ray would end the process at SIGTERM, whatever is still to be cleaned up."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Variables for Ray, and the processes that it starts, as long as the block lasts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _seats(jobs: int, device: str) -> list[Seat]:
    import ray

    seats = []
    for node in ray.nodes():  # type: ignore[no-untyped-call]  # Ray's
        resources = node["Resources"]
        gpus = int(resources.get("GPU", 0)) if device != "cpu" else 0
        cpus = resources.get("CPU", 0)
        # A head that is there to direct has none.
        count = gpus or (jobs if cpus else 0)
        if node["Alive"]:
            seats += [
                Seat(node["NodeID"], min(gpus, 1), share_of(cpus, count), i, count) for i in range(count)
            ]
    if not seats:
        raise EngineError("the cluster has no processor for us", hint="`ray status` shows what it has")
    logger.info("%d workers on %d machines", len(seats), len({seat.node for seat in seats}))
    return seats


def share_of(cpus: float, count: int) -> float:
    """What each of `count` workers may ask Ray for: whole processors, or a fraction of one."""
    return float(cpus // count) if cpus >= count else int(cpus / count * 100) / 100
