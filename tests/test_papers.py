"""What the papers' experiments are made of: sets of digits, and results that outlive a stopped run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import digit_sets, results
from benchmarks.digits import SETTINGS, SETTINGS_ALONE, print_table
from i2itool.pictures import list_pictures, read_picture, write_picture


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of ten digits sorted by class, each of a brightness of its own, and a photo of one grey."""
    monkeypatch.setattr(digit_sets, "NUM_MNIST", 6)
    labels = np.repeat(np.arange(5), 2)
    brightness = 10 * np.arange(1, 11)[:, None, None]
    np.savez(tmp_path / "mnist_10k.npz", images=np.broadcast_to(brightness, (10, 28, 28)), labels=labels)
    np.savez(tmp_path / "optdigits_1797_8x8.npz", images=np.full((10, 8, 8), 16.0), labels=labels)
    (tmp_path / "photos").mkdir()
    write_picture(tmp_path / "photos" / "grey.png", np.full((40, 50, 3), 60, np.uint8))
    return tmp_path


def test_no_digit_stands_in_both_domains(digits: Path) -> None:
    digit_sets.write_digits(digits, digits / "photos", digits / "work")
    mnist, mnistm = (list_pictures(digits / "work" / name) for name in ("mnist", "mnistm"))
    assert (len(mnist), len(mnistm)) == (6, 4)
    named = {int(read_picture(path)[0, 0, 0]) for path in mnist}
    blends = {int(read_picture(path)[0, 0, 0]) for path in mnistm}
    others = set(range(10, 101, 10)) - named
    assert blends == {abs(60 - brightness) for brightness in others}
    for path in mnist:
        assert (int(read_picture(path)[0, 0, 0]) // 10 - 1) // 2 == int(path.parent.name)


def test_a_blend_is_the_difference_of_digit_and_photo(tmp_path: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (29, 29, 3)).astype(np.uint8)
    write_picture(tmp_path / "photo.png", photo)
    made = digit_sets.blended(
        np.stack([np.zeros((28, 28)), np.full((28, 28), 255)]).astype(np.uint8), [tmp_path / "photo.png"]
    )
    assert (made[0] == photo[:28, :28]).all()
    assert (made[1] == 255 - photo[:28, :28]).all()


def test_optdigits_fill_the_middle_as_mnist_does() -> None:
    framed = digit_sets.framed(np.full((1, 8, 8), 16))
    assert (framed[0, 4:24, 4:24] >= 254).all()
    assert framed[0, :4].max() == framed[0, :, 24:].max() == 0


def test_a_result_is_found_by_all_that_tells_it_from_others(tmp_path: Path) -> None:
    path = tmp_path / "results.jsonl"
    assert results.read(path) == []
    for seed, score in ((0, 0.5), (1, 0.7)):
        results.append(path, {"name": "x", "seed": seed, "score": score})
    assert results.has(path, {"name": "x", "seed": 1})
    assert not results.has(path, {"name": "x", "seed": 2})
    assert results.spread(results.read(path), "score") == "0.600 +- 0.141"
    assert results.spread(results.read(path)[:1], "score") == "0.500"


def test_the_table_lays_each_run_beside_classifiers_of_the_same_settings(
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = dict.fromkeys(SETTINGS, 1.0)
    alone = dict.fromkeys(SETTINGS_ALONE, 1.0)
    run = {"experiment": "mnist-optdigits", "seed": 0}
    lines = [
        run | alone | {"kind": "source_alone", "last": 0.25},
        run | alone | {"kind": "source_alone", "steps": 2.0, "last": 0.75},
        run | alone | {"kind": "source_varied", "last": 0.375},
        run | alone | {"kind": "target_named", "last": 0.875},
        run | {"kind": "unit", "last": 0.125, "best": 0.125, "processor_seconds": 9.0},
        run | settings | {"kind": "unit", "last": 0.5, "best": 0.625, "processor_seconds": 3.0},
        run | settings | {"seed": 1, "kind": "unit", "last": 0.7, "best": 0.725, "processor_seconds": 5.0},
    ]
    print_table(lines)
    titles, row, *_ = capsys.readouterr().out.splitlines()
    told = {
        name: row[titles.index(name) :].split("  ")[0]
        for name in ("source alone", "source varied", "target named", "last", "best")
    }
    assert told == {
        "source alone": "0.250",
        "source varied": "0.375",
        "target named": "0.875",
        "last": "0.600 +- 0.141",
        "best": "0.675 +- 0.071",
    }
    words = "mnist-optdigits 2 0.250 0.375 0.875 0.600 +- 0.141 0.675 +- 0.071 4"
    assert " ".join(row.split()[:12]) == words
