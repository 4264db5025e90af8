from __future__ import annotations

from fractions import Fraction

import numpy as np

from i2itool.frames import Frame, batches

FRAMES = [
    Frame(np.full((3, 5, 3), i, np.uint8), pts=i * i, time_base=Fraction(1, 90), duration=i) for i in range(7)
]


def test_batches_taken_apart_are_the_frames_in_order() -> None:
    for batch_size in (1, 3, 7, 10):
        frames = [frame for batch in batches(FRAMES, batch_size) for frame in batch.frames()]
        assert [(frame.pts, frame.duration, frame.time_base) for frame in frames] == [
            (frame.pts, frame.duration, frame.time_base) for frame in FRAMES
        ]
        for after, before in zip(frames, FRAMES, strict=True):
            np.testing.assert_array_equal(after.pixels, before.pixels)


def test_only_the_last_batch_is_short() -> None:
    assert [len(batch.pts) for batch in batches(FRAMES, 3)] == [3, 3, 1]


def test_a_batch_is_handed_out_as_soon_as_it_is_full() -> None:
    taken: list[Frame] = []
    stream = batches((taken.append(frame) or frame for frame in FRAMES), 2)  # type: ignore[func-returns-value]  # None or frame
    next(stream)
    assert len(taken) == 2
