"""How many pictures at once: as many as pay clearly, found in a small part of the time of the work."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from i2itool.engine.batching import Trial, best_of, try_batches
from i2itool.engine.ladder import Ladder
from i2itool.errors import OutOfMemory
from i2itool.networks import build
from i2itool.translator import Translator


class Machine:
    """A device that takes so many seconds for a batch, by its size; it has a clock of its own."""

    def __init__(self, seconds: dict[int, float], *, room: int = 99) -> None:
        self.seconds, self.room = seconds, room
        self.tried: list[int] = []
        self.now = 0.0

    def seconds_of(self, batch_size: int) -> float:
        self.tried.append(batch_size)
        if batch_size > self.room:
            raise OutOfMemory("full")
        self.now += 2 * self.seconds[batch_size]
        return self.seconds[batch_size]

    def best(self, *, largest: int = 16, num_frames: int | None = None, opening_seconds: float = 0.0) -> int:
        trials = try_batches(
            self.seconds_of,
            largest=largest,
            num_frames=num_frames,
            opening_seconds=opening_seconds,
            clock=lambda: self.now,
        )
        return best_of(trials).batch_size


# Batches of four are best: beyond, each picture takes as long.
SECONDS = {1: 0.1, 2: 0.15, 4: 0.2, 8: 0.4, 16: 0.8}


def test_the_batch_grows_as_long_as_that_pays() -> None:
    machine = Machine(SECONDS)
    assert machine.best() == 4
    assert machine.tried == [1, 2, 4, 8]


def test_of_two_that_are_almost_as_fast_the_smaller_is_taken() -> None:
    assert Machine({1: 0.1, 2: 0.198}).best() == 1
    assert best_of([Trial(1, 10.0), Trial(2, 10.2), Trial(4, 10.4)]) == Trial(4, 10.4)


def test_no_more_are_tried_than_can_help() -> None:
    machine = Machine(SECONDS)
    assert machine.best(largest=2) == 2
    assert machine.tried == [1, 2]


def test_what_does_not_fit_into_memory_is_not_taken() -> None:
    assert Machine(SECONDS, room=3).best() == 2
    with pytest.raises(OutOfMemory):
        Machine(SECONDS, room=0).best()


@pytest.mark.parametrize(("num_frames", "tried"), [(20, [1]), (120, [1, 2]), (10_000, [1, 2, 4, 8])])
def test_trials_take_a_small_part_of_the_work(num_frames: int, tried: list[int]) -> None:
    machine = Machine(SECONDS)
    machine.best(num_frames=num_frames)
    assert machine.tried == tried
    # The first is needed to know how long the work takes.
    assert machine.now <= 2 * SECONDS[1] + 0.05 * num_frames * SECONDS[1]


def test_an_engine_that_takes_long_to_make_is_not_made_for_a_trial() -> None:
    machine = Machine(SECONDS)
    assert machine.best(num_frames=10_000, opening_seconds=60.0) == 1
    assert machine.tried == [1]


@pytest.fixture
def network() -> torch.nn.Module:
    torch.manual_seed(1)
    return build("resnet", width=2, blocks=1)


def test_a_translator_takes_what_was_fastest_and_says_so(
    network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="i2itool.engine")
    pixels = np.random.default_rng(0).integers(0, 256, (5, 20, 24, 3), np.uint8)
    monkeypatch.setattr(Ladder, "_seconds_of", lambda _ladder, batch_size, *_: SECONDS[batch_size])
    with (
        Translator(network, engine="eager", device="cpu", batch_size="auto") as translator,
        Translator(network, engine="eager", device="cpu", batch_size=4) as expected,
    ):
        assert translator.batch_size == 1
        translator.prepare(20, 24)
        assert translator.batch_size == 4
        np.testing.assert_array_equal(translator.translate(pixels), expected.translate(pixels))
    (line,) = [line for line in caplog.messages if line.startswith("batch size")]
    assert line.startswith(
        "batch size: 4, chosen by 'auto' (frames/s: 10.00 with 1, 13.33 with 2, 20.00 with 4"
    )


@pytest.mark.parametrize("engine", ["eager", "openvino"])
def test_engines_are_really_timed(engine: str, network: torch.nn.Module) -> None:
    with Translator(network, engine=engine, device="cpu", batch_size="auto") as translator:
        translator.prepare(20, 24)
        assert translator.batch_size in (1, 2, 4, 8, 16)
        translator.prepare(32, 40, batch_size=3)
        assert translator.batch_size == 3


def test_a_number_is_not_searched_for(network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ladder, "find_batch_size", None)
    with Translator(network, engine="eager", device="cpu", batch_size=3) as translator:
        translator.prepare(20, 24, batch_size=5)
        assert translator.batch_size == 3
