"""What `i2itool flicker` measures, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from i2itool.cli import main
from i2itool.errors import InputError, OutputError
from i2itool.flicker import Flicker, measure_flicker, score_frames
from i2itool.flicker_plot import plot_flicker
from i2itool.frames import AnyPixels
from i2itool.metrics.warping import color_jitter, correspondence, gradient_energy, warping_error
from tests.temporal.conftest import as_frames, pixels_of, run, scene, steady_truth, with_flicker

WriteVideo = Callable[[str, Sequence[AnyPixels]], Path]


@pytest.fixture
def write_video(tmp_path: Path) -> WriteVideo:
    """Write frames as they are: write_video("name.mkv", frames) -> its path."""

    def write(name: str, frames: Sequence[AnyPixels]) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as output:
            stream = output.add_stream("ffv1", rate=25)
            stream.width, stream.height, stream.pix_fmt = frames[0].shape[1], frames[0].shape[0], "bgr0"
            for i, pixels in enumerate(frames):
                frame = av.VideoFrame.from_ndarray(pixels.astype(np.uint8), "rgb24").reformat(format="bgr0")
                frame.pts, frame.time_base = i, Fraction(1, 25)
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        return path

    return write


def ordinary_error(first: AnyPixels, second: AnyPixels) -> float:
    """E_warp where nothing moves and all is in sight, in plain numpy."""
    return float(np.square(first / 255 - second / 255).sum(-1).mean())


def test_what_does_not_move_is_compared_pixel_by_pixel() -> None:
    still = scene(1)[0]
    way = correspondence(still, still)
    other = with_flicker([still])[0]
    assert way.mask.mean() > 0.95
    assert warping_error(still, other, way) == pytest.approx(ordinary_error(still, other), rel=0.05)


def test_a_moving_camera_is_no_flicker() -> None:
    first, second = scene(2, speed=3.0, size=(96, 128))
    assert correspondence(first, second).error < ordinary_error(first, second) / 10


def test_what_comes_into_sight_is_left_out() -> None:
    first, second = scene(2, speed=8.0, size=(96, 128))
    assert correspondence(first, second).mask[:, -4:].mean() < 0.2


def test_a_cut_is_left_out() -> None:
    inputs = [*scene(3), *scene(3, seed=4)]
    measured = score_frames(inputs, inputs, inputs)
    assert (measured.num_cuts, len(measured.errors)) == (1, 4)
    assert max(measured.errors) < 0.01


def test_flicker_is_more_than_none_and_smoothing_less() -> None:
    inputs = scene(8)
    outputs = with_flicker(steady_truth(inputs))
    smoothed = list(pixels_of(run(as_frames(inputs), outputs)))
    same, better = score_frames(inputs, outputs, outputs), score_frames(inputs, smoothed, outputs)
    assert (same.ratio, same.sharpness) == (1.0, 1.0)
    assert same.psnr is not None
    assert same.psnr > 100
    assert better.ratio is not None
    assert better.ratio < 0.6
    assert better.jitter < same.jitter


def test_blur_is_told_by_the_sharpness() -> None:
    inputs = scene(4)
    blurred = [np.asarray(cv2.GaussianBlur(one, (0, 0), 3), np.uint8) for one in inputs]
    sharpness = score_frames(inputs, blurred, inputs).sharpness
    assert sharpness is not None
    assert sharpness < 0.5


def test_jitter_is_the_second_difference() -> None:
    steady = np.arange(10.0)[:, None] * np.ones(3)
    jumping = steady + np.array([0.0, 3.0] * 5)[:, None]
    assert color_jitter([steady]) == 0
    assert color_jitter([jumping]) == pytest.approx(6)
    assert color_jitter([steady[:2]]) == 0
    assert color_jitter([steady, 200 + steady]) == 0


def test_a_cut_is_no_jitter() -> None:
    dark = scene(4)
    bright = [np.asarray(255 - frame[::-1] // 4, np.uint8) for frame in scene(4)]
    frames = [*dark, *bright]
    found = score_frames(frames, frames, frames)
    assert found.num_cuts == 1
    assert found.jitter < 1


def test_gradient_energy_sees_16_bits_as_8() -> None:
    frame = scene(1)[0]
    deep = frame.astype(np.uint16) * np.uint16(257)
    assert gradient_energy(deep) == pytest.approx(gradient_energy(frame), rel=1e-4)


# The command


@pytest.fixture
def videos(write_video: WriteVideo) -> list[str]:
    """Paths of an input, a smoothed output and its unsmoothed twin."""
    inputs = scene(6)
    outputs = with_flicker(steady_truth(inputs))
    smoothed = list(pixels_of(run(as_frames(inputs), outputs)))
    return [str(write_video(f"{i}.mkv", frames)) for i, frames in enumerate((inputs, smoothed, outputs))]


def call(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["-q", "flicker", *map(str, arguments)], catch_exceptions=False)


def test_the_table_and_the_json_tell_the_same(videos: list[str], tmp_path: Path) -> None:
    source, output, reference = videos
    plain = call(source, output, "--reference", reference, "--plot", tmp_path / "plot.png")
    assert plain.exit_code == 0
    result = call(source, output, "--reference", reference, "--json")
    facts = json.loads(result.stdout)
    assert f"{facts['ratio']:.3f}" in plain.stdout
    assert facts["ratio"] < 0.7
    assert len(facts["errors"]) == len(facts["reference_errors"]) == len(facts["seconds"]) == 5
    assert facts["seconds"] == pytest.approx([0.04, 0.08, 0.12, 0.16, 0.2])
    plot = cv2.imread(str(tmp_path / "plot.png"))
    assert plot is not None


def test_without_a_reference_nothing_is_said_of_it(videos: list[str]) -> None:
    result = call(*videos[:2])
    assert "ratio" not in result.stdout
    assert "E_warp of the output" in result.stdout


def test_a_plot_that_exists_is_refused_before_the_work(videos: list[str], tmp_path: Path) -> None:
    plot = tmp_path / "plot.png"
    plot.write_text("precious")
    assert call(*videos[:2], "--plot", plot).exit_code == OutputError.exit_code
    assert plot.read_text() == "precious"
    assert call(*videos[:2], "--plot", tmp_path / "plot.jpg").exit_code == OutputError.exit_code


def test_another_number_or_size_of_frames_is_refused(write_video: WriteVideo) -> None:
    inputs = scene(4)
    source = write_video("in.mkv", inputs)
    with pytest.raises(InputError, match=r"short\.mkv has fewer frames"):
        measure_flicker(source, write_video("short.mkv", inputs[:3]))
    with pytest.raises(InputError, match=r"small\.mkv is 90x72, and .*in\.mkv 96x72"):
        measure_flicker(source, write_video("small.mkv", [one[:, :90] for one in inputs]))


def test_a_clip_of_one_frame_has_no_flicker(write_video: WriteVideo) -> None:
    path = write_video("one.mkv", scene(1))
    measured = measure_flicker(path, path, path)
    assert (measured.output_error, measured.errors, measured.jitter) == (0, [], 0)
    assert plot_flicker(measured).shape[2] == 3


def test_the_plot_shows_both_curves() -> None:
    measured = Flicker(3, 0, 0.1, 0.1, 1, seconds=[0.1, 0.2], errors=[0.1, 0.3], reference_errors=[0.4, 0.2])
    alone = Flicker(3, 0, 0.1, 0.1, 1, seconds=[0.1, 0.2], errors=[0.1, 0.3])
    assert (plot_flicker(measured) != plot_flicker(alone)).any()
