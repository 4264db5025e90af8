"""A classifier that learns names in one domain and works in another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from i2itool.trainer.adapt import AdaptTask, kl_of_gaussian
from i2itool.trainer.config import TrainConfig
from i2itool.trainer.data import PictureFolder
from i2itool.trainer.labelled import LabelledBatch, LabelledData, classes_of, labels_of

from i2itool import load_preset
from i2itool.cli import main
from i2itool.networks import build
from i2itool.networks.adaptation import CoupledCritic32, CoupledUnit32, with_places
from i2itool.pictures import write_picture
from i2itool.preset import find_preset
from i2itool.weights import load_classifier

MakeConfig = Callable[..., TrainConfig]


def invoke(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def write_shapes(folder: Path, count: int, *, ink: int, paper: int, seed: int) -> None:
    """`count` squares and as many crosses of ink on paper, each in a folder of its class."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        top, left = rng.integers(2, 10, 2)
        square = np.full((32, 32, 3), paper, np.int64)
        square[top : top + 18, left : left + 18] = ink
        square[top + 4 : top + 14, left + 4 : left + 14] = paper
        cross = np.full((32, 32, 3), paper, np.int64)
        cross[top : top + 20, left + 8 : left + 12] = ink
        cross[top + 8 : top + 12, left : left + 20] = ink
        for name, shape in (("square", square), ("cross", cross)):
            path = folder / name / f"{index:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            write_picture(path, np.clip(shape + rng.normal(0, 6, shape.shape), 0, 255).astype(np.uint8))


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder: `light` shapes have names, `tinted` ones are to be named."""
    monkeypatch.chdir(tmp_path)
    write_shapes(tmp_path / "light", 24, ink=230, paper=20, seed=0)
    write_shapes(tmp_path / "tinted", 24, ink=190, paper=60, seed=1)


def adapt(*words: object) -> Result:
    tiny = ["--width", 4, "--critic-width", 4, "--batch-size", 8, "--precision", "fp32", "-q"]
    return invoke("adapt", "light", "tinted", "--name", "shapes", *tiny, *words)


def test_a_classifier_of_one_domain_names_pictures_of_the_other() -> None:
    told = adapt("--steps", 200, "--lr", 1e-3, "--critic-width", 16, "--eval-every", 100)
    assert told.exit_code == 0, told.output
    assert "source accuracy" in told.output
    lines = Path("runs/shapes/metrics.jsonl").read_text().splitlines()
    scores = [entry["scores"] for entry in map(json.loads, lines) if "scores" in entry]
    assert set(scores[-1]) == {"source_accuracy", "target_accuracy"}

    named = invoke("classify", "shapes", "tinted", "--json")
    assert named.exit_code == 0, named.output
    found = [json.loads(line) for line in named.output.splitlines()]
    assert len(found) == 48
    right = np.mean([Path(line["picture"]).parent.name == line["class"] for line in found])
    assert right > 0.8
    rows = invoke("classify", "shapes", "tinted/cross/000.png", "--csv").output.splitlines()
    assert rows[0] == "picture,class,probability"
    assert rows[1].startswith("tinted/cross/000.png,")
    with load_preset("shapes") as preset:
        translated = preset.translate(np.zeros((32, 32, 3), np.uint8), "b2a", "eager")
    assert translated.shape == (32, 32, 3)


def test_without_names_in_the_target_nothing_is_said_of_it() -> None:
    for path in sorted(Path("tinted/cross").iterdir()):
        path.rename(Path("tinted") / f"cross-{path.name}")
    told = adapt("--steps", 2, "--eval-every", 1)
    assert told.exit_code == 0, told.output
    assert "target accuracy" not in told.output


def test_names_of_the_target_change_nothing_in_the_training() -> None:
    """The same weights, whatever names the target's folders claim."""
    weights = []
    for run in ("named", "nameless"):
        assert adapt("--steps", 4, "--eval-every", 2, "--out", run).exit_code == 0
        weights.append(Path(run, "preset/classifier.safetensors").read_bytes())
        # The order of the pictures stays.
        for name in ("cross", "square"):
            if Path("tinted", name).exists():
                Path("tinted", name).rename(Path("tinted", f"{name}-like"))
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["adapt", "light/cross", "tinted", "--name", "x"], 3, "no folders of classes"),
        (["adapt", "nowhere", "tinted", "--name", "x"], 3, "no such folder: nowhere"),
        (["adapt", "light", "nowhere", "--name", "x"], 3, "no such folder: nowhere"),
        (["adapt", "light", "tinted", "--name", "x", "--lambda-names", "-q", "1"], 2, "not a valid float"),
        (["adapt", "light", "tinted", "--name", "x", "--vary", "hues"], 2, "'hues' is not one of"),
        (["adapt", "light", "tinted", "--name", "x", "--dropout", "2"], 2, "not in the range"),
    ],
)
def test_what_cannot_be_is_one_clear_line(words: list[str], code: int, told: str) -> None:
    result = invoke(*words)
    assert (result.exit_code, told in result.output) == (code, True), result.output


def test_losses_of_steps_that_translate_are_logged_with_the_others() -> None:
    assert adapt("--steps", 20, "--translate-every", 3).exit_code == 0
    logged = json.loads(Path("runs/shapes/metrics.jsonl").read_text().splitlines()[0])
    assert logged["step"] == 20
    assert {"names", "D_A", "G_A", "ll_A"} <= set(logged)


def test_what_is_not_in_the_paper_is_asked_for() -> None:
    extra = ["--self-training", 2, "--threshold", 0.5, "--views", 3]
    extra += ["--vary", "warp", "--vary", "strokes", "--vary-source", "difference"]
    tables = []
    for name, words in (
        ("plain", []),
        ("taught", [*extra, "--translate-every", 2, "--balance", 0, "--dropout", 0.5]),
    ):
        assert adapt("--steps", 2, "--out", name, *words).exit_code == 0
        recipe = json.loads(Path(name, "preset/train.json").read_text())
        tables.append(recipe.get("recipe", recipe)["adapt"])
    assert "- Classes: cross, square\n" in Path("plain/preset/CARD.md").read_text()
    keys = (
        *("self_training", "balance", "vary", "vary_source", "translate_every", "dropout"),
        *("threshold", "views"),
    )
    assert [tables[0][key] for key in keys] == [
        {"start": 0, "end": 0, "until": 1},
        {"start": 0.1, "end": 0.1, "until": 1},
        [],
        [],
        1,
        1,
        0.9,
        1,
    ]
    assert [tables[1][key] for key in keys] == [
        {"start": 0, "end": 2, "until": 0.3},
        {"start": 0, "end": 0, "until": 1},
        ["warp", "strokes"],
        ["difference"],
        2,
        0.5,
        0.5,
        3,
    ]


def test_one_form_at_a_time() -> None:
    result = invoke("classify", "shapes", "tinted", "--json", "--csv")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "error: --json with --csv: one form at a time\n"


def test_a_preset_that_only_translates_cannot_classify(make_preset: Callable[[str], Path]) -> None:
    make_preset("tiny")
    result = invoke("classify", "tiny", "tinted")
    assert result.exit_code == 4
    assert "has no classifier" in result.output


def test_an_altered_classifier_is_refused() -> None:
    assert adapt("--steps", 1).exit_code == 0
    path = find_preset("shapes").folder / "classifier.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert "SHA-256" in invoke("classify", "shapes", "tinted").output
    assert "SHA-256" in invoke("presets", "verify", "shapes").output


# The parts


def test_batches_hold_the_class_of_each_picture_of_a() -> None:
    source, target = (PictureFolder(Path(name), load_px=32) for name in ("light", "tinted"))
    classes = classes_of(Path("light"))
    assert classes == ("cross", "square")
    labels = labels_of(source, Path("light"), classes)
    data = LabelledData(source, target, 6, 32, False, 0, labels=labels)
    for step in range(3):
        batch = data.batch(step)
        assert isinstance(batch, LabelledBatch)
        for picture, label in zip(batch.a, batch.labels, strict=True):
            # A square is empty in its middle, a cross is not.
            rows, columns = (picture.mean(0) > 0).nonzero(as_tuple=True)
            middle = picture.mean(0)[int(rows.float().mean().round()), int(columns.float().mean().round())]
            assert (middle > 0) == (classes[int(label)] == "cross")


@pytest.mark.parametrize("invert", ["neither", "source", "target", "both"])
def test_negatives_are_half_of_the_domain_that_was_asked_for(invert: str) -> None:
    source, target = (PictureFolder(Path(name), load_px=32) for name in ("light", "tinted"))
    labels = labels_of(source, Path("light"), classes_of(Path("light")))
    data = LabelledData(source, target, 6, 32, False, 0, labels=labels, invert=invert)
    for domain in ("a", "b"):
        # Paper is dark in both.
        papers = torch.cat([getattr(data.batch(step), domain)[:, :, 0, 0].mean(1) for step in range(8)])
        share = (papers > 0).float().mean()
        if invert in ({"a": "source", "b": "target"}[domain], "both"):
            assert 0.2 < share < 0.8
        else:
            assert share == 0


def test_both_domains_start_alike(make_tiny_config: MakeConfig) -> None:
    config = make_tiny_config("adapt", crop_px=32, load_px=32, adapt={"classes": ("x", "y")})
    task = AdaptTask(config, torch.device("cpu"))
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    task.critic.eval(), task.coupled.eval()
    assert torch.equal(task.critic.features(x), task.critic.features(b=x))
    in_a, in_b = task.coupled.decode(task.coupled.encode(x, x)[0])
    assert torch.equal(in_a, in_b)
    averaged = task.averages["D"].network
    assert torch.equal(averaged.features(x), task.critic.features(b=x))


def test_only_the_first_layers_are_each_domains_own() -> None:
    torch.manual_seed(0)
    critic, coupled = CoupledCritic32(width=4, classes=3).eval(), CoupledUnit32(width=4)
    x = torch.rand(2, 3, 32, 32)
    assert not torch.equal(critic.features(x), critic.features(b=x))
    critic.first_B.load_state_dict(critic.first_A.state_dict())
    assert torch.equal(critic.features(x), critic.features(b=x))
    own = {
        name.partition(".")[0] for name in coupled.state_dict() if name.partition(".")[0][-2:] in ("_A", "_B")
    }
    assert own == {"stem_A", "stem_B", "head_A", "head_B"}


def test_a_translator_is_a_way_through_the_coupled_network() -> None:
    torch.manual_seed(0)
    coupled = CoupledUnit32(width=4).eval()
    a, b = torch.rand(2, 2, 3, 32, 32) * 2 - 1
    mean, deviation = coupled.encode(a, b)
    assert (deviation > 0).all()
    in_a, in_b = coupled.decode(mean)
    for direction, x, wanted in (("a2b", a, in_b[:2]), ("b2a", b, in_a[2:])):
        translator = build("unit32", width=4).eval()
        translator.load_state_dict(coupled.translator_weights(direction))
        torch.testing.assert_close(translator(x), wanted)


def test_places_run_from_minus_one_to_one() -> None:
    places = with_places(torch.zeros(1, 3, 4, 6))[0, 3:]
    assert places[0, :, 0].tolist() == [-1] * 4
    assert places[0, :, -1].tolist() == [1] * 4
    assert places[1, 0].tolist() == [-1] * 6
    assert places[1, -1].tolist() == [1] * 6


def test_the_kl_term_is_that_of_the_distributions() -> None:
    torch.manual_seed(0)
    mean, deviation = torch.randn(3, 5, 1, 1), torch.rand(3, 5, 1, 1) + 0.2
    q = torch.distributions.Normal(mean, deviation)
    each = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0))
    torch.testing.assert_close(kl_of_gaussian(mean, deviation), each.sum((1, 2, 3)).mean(), rtol=1e-4, atol=0)


def test_the_critic_learns_from_names_and_the_vaes_from_the_critic(make_tiny_config: MakeConfig) -> None:
    torch.manual_seed(0)
    config = make_tiny_config(
        "adapt", crop_px=32, load_px=32, batch_size=4, accumulate=2, adapt={"classes": ("x", "y")}
    )
    task = AdaptTask(config, torch.device("cpu"))
    before = {name: value.clone() for name, value in task.critic.named_parameters()}
    batch = LabelledBatch(*(torch.rand(2, 4, 3, 32, 32) * 2 - 1), torch.tensor([0, 1, 0, 1]))
    losses = task.step(batch, progress=0.0)
    assert 0 < losses["names"] < 5
    assert all(not torch.equal(value, before[name]) for name, value in task.critic.named_parameters())


def test_what_is_exported_is_what_was_averaged() -> None:
    assert adapt("--steps", 2).exit_code == 0
    exported = load_classifier(find_preset("shapes")).state_dict()
    assert set(exported) == set(CoupledCritic32(width=4, classes=2).state_dict())
