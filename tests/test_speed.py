"""Timing engines: what is counted, what is held against what, and what is said of those that are missing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import nn

from i2itool.cli import main
from i2itool.console import SilentReporter
from i2itool.networks import build
from i2itool.speed import matrix_product, measure_engines, medians, num_gflop, real_pictures


def survey_reason(engine: str) -> str:
    """What `doctor` says of an engine that is not there."""
    found = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).stdout)
    (reason,) = {item["reason"] for item in found["engines"] if item["name"] == engine}
    return str(reason)


@pytest.fixture(scope="module")
def network() -> nn.Module:
    torch.manual_seed(0)
    return build("resnet", width=4, blocks=1).eval()


def test_operations_are_those_of_the_convolutions() -> None:
    # Counted by hand: two for each weight that a pixel meets, where a transposed one meets them at its input.
    height, width, wide = 8, 12, 4
    area = height * width
    ends = 2 * 7 * 7 * 3 * wide * area * 2
    down = 9 * wide * 2 * wide * area / 4 * 2 + 9 * 2 * wide * 4 * wide * area / 16 * 2
    up = 9 * 4 * wide * 2 * wide * area / 16 * 2 + 9 * 2 * wide * wide * area / 4 * 2
    block = 2 * 9 * (4 * wide) ** 2 * area / 16 * 2
    found = num_gflop(build("resnet", width=wide, blocks=1).eval(), (height, width))
    assert found == pytest.approx((ends + down + up + block) / 1e9)


def test_resnet_9_takes_the_99_gflop_of_the_literature() -> None:
    assert num_gflop(build("resnet").eval(), (256, 256)) == pytest.approx(99.1, abs=0.1)


def test_medians_are_of_runs_by_turns() -> None:
    order: list[str] = []
    pauses = iter([0.0, 1.0, 0.1, 0.1])  # the first run warms up, the second is an outlier

    def slow() -> None:
        order.append("slow")
        time.sleep(next(pauses))

    found = medians(
        {"slow": slow, "quick": lambda: order.append("quick")}, rounds=3, reporter=SilentReporter()
    )
    assert order == ["slow", "quick"] * 4
    assert 0.1 <= found["slow"] < 0.9
    assert found["quick"] < 0.1


def test_engines_are_held_against_eager_and_missing_ones_are_named(network: nn.Module) -> None:
    pictures = real_pictures(network, (32, 48), None, count=2)
    report = measure_engines(
        network, pictures, engines=["openvino", "tensorrt"], device="cpu", rounds=1, reporter=SilentReporter()
    )
    assert report.size == (32, 48)
    speeds = {(speed.engine, speed.precision): speed for speed in report.speeds}
    assert speeds["eager", "fp32"].ratio == 1
    assert speeds["openvino", "fp32"].psnr_db > 80
    for speed in report.speeds:
        assert speed.frames_per_second == pytest.approx(1 / speed.seconds)
        assert speed.peak_share == pytest.approx(report.gflop / speed.seconds / report.peak_gflops)
    (reason,) = [item.reason for item in report.skipped if item.engine == "tensorrt"]
    # As `doctor` says it; on a machine with a GPU the device that was asked for stands in the way.
    assert reason == ("it does not run on cpu" if torch.cuda.is_available() else survey_reason("tensorrt"))


def test_pictures_are_real_and_of_a_size_that_the_network_takes(make_clip: Callable[..., Path]) -> None:
    network = build("unet", width=2, depth=5)
    pictures = real_pictures(network, (30, 50), make_clip("clip.mp4"), count=3)
    assert pictures.shape == (3, 3, 32, 64)
    assert pictures.std() > 0.1


def test_the_command_prints_a_table_or_json(make_preset: Callable[[str], Path]) -> None:
    make_preset("tiny")
    call = ["bench", "tiny", "--size", "32x32", "--engine", "eager", "--device", "cpu", "--rounds", "1", "-q"]
    table = CliRunner().invoke(main, call)
    assert table.exit_code == 0, table.output
    assert [line.split()[:2] for line in table.stdout.splitlines()[3:]] == [["eager", "fp32"]]
    report = json.loads(CliRunner().invoke(main, [*call, "--json"]).stdout)
    assert report["speeds"][0]["engine"] == "eager"
    assert CliRunner().invoke(main, ["bench", "tiny", "--size", "nonsense"]).exit_code == 2


def test_a_matrix_product_runs() -> None:
    matrix_product(torch.device("cpu"))()
