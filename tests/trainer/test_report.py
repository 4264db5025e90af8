"""A run on one page: whole, self-contained, and alive in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from i2itool.trainer.config import TrainConfig
from i2itool.trainer.curves import MAX_POINTS, Panel, draw_curves, read_panels, thin
from i2itool.trainer.data import open_data
from i2itool.trainer.fit import fit
from i2itool.trainer.report import MAX_PREVIEWS, write_report
from i2itool.trainer.run import RunFolder

from i2itool.console import SilentReporter
from i2itool.pictures import spread

MakeConfig = Callable[..., TrainConfig]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def run(folders: tuple[Path, Path], make_tiny_config: MakeConfig, tmp_path: Path) -> RunFolder:
    config = make_tiny_config("cyclegan", preview_every=2)
    fit(
        config,
        open_data(folders, config),
        RunFolder(tmp_path / "run"),
        device=torch.device("cpu"),
        reporter=SilentReporter(),
    )
    return RunFolder(tmp_path / "run")


def test_a_run_draws_its_curves_and_its_page_asks_for_nothing_else(run: RunFolder) -> None:
    curves = cv2.imread(str(run.path / "curves.png"))
    assert curves is not None
    assert (curves < 250).any(axis=2).mean() > 0.01
    page = (run.path / "report.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 3
    links = re.findall(r"""(?:src|href)\s*=\s*["']([^"']+)|url\(([^)]+)\)|@import""", page)
    assert [link for link in links if not link[0].startswith("data:")] == []
    assert set(re.findall(r"https?://[^\"' ]+", page)) == {
        "http://www.w3.org/2000/svg"
    }  # a name, not a place


def test_names_cannot_break_out_of_the_page(run: RunFolder, make_tiny_config: MakeConfig) -> None:
    config = make_tiny_config("cyclegan", domain_a="</script><b>dark")
    write_report(run, config, step=3, alarms=["<i>critic</i>"])
    page = (run.path / "report.html").read_text()
    assert page.count("</script>") == 1
    assert "</i>" not in page


def test_curves_are_grouped_and_a_torn_line_is_passed_over(tmp_path: Path) -> None:
    lines = [
        {"step": 1, "G_A": 1.0, "D_A": 0.5, "cycle_A": 2.0, "images_per_second": 9.0, "alarms": []},
        {"step": 2, "G_A": 0.5, "D_A": 0.25, "cycle_A": 1.0, "images_per_second": 9.0, "alarms": []},
        {"step": 2, "kl_A": 150.0, "names": 0.5, "sure": 0.25, "features": 0.75, "alarms": []},
        {"step": 2, "scores": {"psnr": 20.0}},
    ]
    (tmp_path / "log").write_text("\n".join(map(json.dumps, lines)) + '\n{"step": 3, "G_')
    assert [panel.curves for panel in read_panels(tmp_path / "log")] == [
        {"G_A": [(1, 1.0), (2, 0.5)]},
        {"D_A": [(1, 0.5), (2, 0.25)]},
        {"cycle_A": [(1, 2.0), (2, 1.0)], "features": [(2, 0.75)]},
        {"kl_A": [(2, 150.0)]},
        {"names": [(2, 0.5)], "sure": [(2, 0.25)]},
        {"psnr": [(2, 20.0)]},
    ]
    assert read_panels(tmp_path / "missing") == []


def test_thinning_keeps_the_mean_and_the_last_step() -> None:
    points = [(step, float(step % 7)) for step in range(1, 7 * MAX_POINTS + 1)]
    thinned = thin(points)
    assert len(thinned) <= MAX_POINTS
    assert thinned[-1][0] == points[-1][0]
    assert np.mean([value for _, value in thinned]) == pytest.approx(3.0)
    assert thin([]) == []


def test_a_curve_is_drawn_from_low_to_high() -> None:
    drawn = draw_curves([Panel("x", {"a": [(0, 0.0), (10, 1.0)]})])
    blue = np.argwhere(drawn[..., 2].astype(int) - drawn[..., 0] > 60)
    blue = blue[blue[:, 0] > 60]  # below the legend
    left, right = blue[blue[:, 1] < 120], blue[blue[:, 1] > 480]
    assert left[:, 0].max() > right[:, 0].min() + 100


def test_names_of_a_legend_stand_apart_and_go_on_in_the_next_row() -> None:
    names = [letter * 16 for letter in "abcde"]
    drawn = draw_curves([Panel("x", {name: [(0, 0.0), (9, 0.0)] for name in names})])
    first, second = ((drawn[row : row + 10, 62:618] < 200).any((0, 2)) for row in (33, 49))
    text = "".join("#" if ink else " " for ink in first).strip()
    # A name has no gap of so many pixels within.
    assert text.count(" " * 8 + "#") == 3
    assert 0 < second.sum() < first.sum()


def test_previews_are_spread_over_the_run() -> None:
    paths = [Path(f"{step:08d}.png") for step in range(1000)]
    shown = spread(paths, MAX_PREVIEWS)
    assert len(shown) == MAX_PREVIEWS
    assert (shown[0], shown[-1]) == (paths[0], paths[-1])


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here (Debian: apt install chromium)")
def test_the_page_works_in_a_browser(run: RunFolder, tmp_path: Path) -> None:
    def dom(place: str) -> str:
        assert CHROMIUM is not None
        command = [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=2000", "--dump-dom"),
        ]
        url = (run.path / "report.html").as_uri() + place
        return subprocess.run([*command, url], capture_output=True, text=True, timeout=120, check=True).stdout

    last, first = dom(""), dom("#0")
    for page, step in ((last, 6), (first, 2)):
        assert f">step {step}</output>" in page
        assert "step 6 of 6, done" in page
        names = re.findall(r'<polyline [^>]*data-name="(\w+)"', page)
        assert {"G_A", "G_B", "D_A", "D_B", "cycle_A", "idt_B"} <= set(names)
        # Pictures are letters, too, and may spell anything.
        assert "NaN" not in re.sub(r"data:[^\"]+", "", page)
    shown = [re.search(r'<img id="preview"[^>]*src="(data:[^"]+)"', page) for page in (last, first)]
    assert shown[0] is not None
    assert shown[1] is not None
    assert shown[0][1] != shown[1][1]
