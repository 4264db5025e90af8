"""One optimisation step of each method against values worked out from the papers' equations."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable

import pytest
import torch
from i2itool.trainer.config import TrainConfig
from i2itool.trainer.cyclegan import CycleGanTask
from i2itool.trainer.data import Batch
from i2itool.trainer.tasks import TASKS
from i2itool.trainer.unit import UnitTask, with_noise
from i2itool.trainer.unit2018 import Unit2018Task
from torch import Tensor, nn

CPU = torch.device("cpu")
MakeConfig = Callable[..., TrainConfig]


@pytest.fixture
def batch() -> Batch:
    generator = torch.Generator().manual_seed(5)
    a, b = torch.rand(2, 2, 3, 32, 32, generator=generator) * 2 - 1
    return Batch(a=a, b=b)


def first_adam_step(network: nn.Module, loss: Tensor, rate: float) -> dict[str, tuple[Tensor, Tensor]]:
    """Where Adam's first step takes each weight: against the sign of its gradient, by the rate."""
    names, parameters = zip(*network.named_parameters(), strict=True)
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
    return {
        name: (parameter - rate * gradient.sign(), gradient.abs() > 1e-4)
        for name, parameter, gradient in zip(names, parameters, gradients, strict=True)
    }


def assert_stepped(network: nn.Module, expected: dict[str, tuple[Tensor, Tensor]]) -> None:
    checked = 0
    for name, parameter in network.named_parameters():
        value, is_clear = expected[name]
        checked += int(is_clear.sum())
        torch.testing.assert_close(parameter[is_clear], value[is_clear], rtol=0, atol=2e-6)
    assert checked > 100


def test_a_cyclegan_step_descends_the_objective_of_the_paper(
    make_tiny_config: MakeConfig, batch: Batch
) -> None:
    torch.manual_seed(0)
    task = CycleGanTask(make_tiny_config("cyclegan"), CPU)
    # At 0.02 the generators' outputs hardly depend on their inputs; larger weights make every term count.
    for network in task.networks.values():
        for parameter in network.parameters():
            parameter.data.mul_(5)
    nets = {name: copy.deepcopy(network) for name, network in task.networks.items()}
    losses = task.step(batch, progress=0)

    a, b = batch.a, batch.b
    fake_b, fake_a = nets["G_A"](a), nets["G_B"](b)
    expected = {
        "G_A": ((nets["D_A"](fake_b)[0] - 1) ** 2).mean(),
        "G_B": ((nets["D_B"](fake_a)[0] - 1) ** 2).mean(),
        "cycle_A": (nets["G_B"](fake_b) - a).abs().mean(),
        "cycle_B": (nets["G_A"](fake_a) - b).abs().mean(),
        "idt_A": (nets["G_A"](b) - b).abs().mean(),
        "idt_B": (nets["G_B"](a) - a).abs().mean(),
    }
    gan, cycle, identity = (expected[f"{kind}_A"] + expected[f"{kind}_B"] for kind in ("G", "cycle", "idt"))
    objective = gan + 10 * cycle + 10 * 0.5 * identity
    for name in ("G_A", "G_B"):
        assert_stepped(task.networks[name], first_adam_step(nets[name], objective, 2e-4))

    # The pool is still filling, so each critic sees today's fakes.
    for name, real, fake in (("D_A", b, fake_b.detach()), ("D_B", a, fake_a.detach())):
        critic = nets[name]
        expected[name] = 0.5 * (((critic(real)[0] - 1) ** 2).mean() + (critic(fake)[0] ** 2).mean())
        assert_stepped(task.networks[name], first_adam_step(critic, expected[name], 2e-4))
    assert losses == pytest.approx({name: loss.item() for name, loss in expected.items()}, rel=1e-4)


def test_a_unit_step_descends_the_objective_of_the_paper(
    make_tiny_config: MakeConfig, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A fixed "noise" in place of the draw, whose own law is tested below.
    monkeypatch.setattr("i2itool.trainer.unit.with_noise", lambda mean: mean + 0.5)
    torch.manual_seed(0)
    task = UnitTask(make_tiny_config("unit", adam={"weight_decay": 0.0}), CPU)
    for network in task.networks.values():
        for parameter in network.parameters():
            parameter.data.mul_(5)
    vae = copy.deepcopy(task.coupled)
    critics = {name: copy.deepcopy(task.networks[name]) for name in ("D_A", "D_B")}
    losses = task.step(batch, progress=0)

    a, b = batch.a, batch.b
    code_a, code_b = (vae.enc_shared(encode(x)) + 0.5 for encode, x in ((vae.encode_A, a), (vae.encode_B, b)))
    fake_a, fake_b = vae.decode_A(vae.dec_shared(code_b)), vae.decode_B(vae.dec_shared(code_a))

    # The critics go first, on real pictures and translations: -log D(x) - log(1 - D(G(z))), weight 10.
    expected = {}
    for name, real, fake in (("D_A", a, fake_a), ("D_B", b, fake_b)):
        critic = critics[name]
        said_real, said_fake = critic(real)[0].sigmoid(), critic(fake.detach())[0].sigmoid()
        expected[name] = -said_real.log().mean() - (1 - said_fake).log().mean()
        assert_stepped(task.networks[name], first_adam_step(critic, 10 * expected[name], 1e-4))

    # The generator answers the critics as they are now.
    again_a, again_b = (
        vae.enc_shared(encode(x)) + 0.5 for encode, x in ((vae.encode_A, fake_a), (vae.encode_B, fake_b))
    )
    expected |= {
        "G_A": -task.networks["D_A"](fake_a)[0].sigmoid().log().mean(),
        "G_B": -task.networks["D_B"](fake_b)[0].sigmoid().log().mean(),
        "kl": (code_a**2).mean() + (code_b**2).mean(),
        "ll_A": (vae.decode_A(vae.dec_shared(code_a)) - a).abs().mean(),
        "ll_B": (vae.decode_B(vae.dec_shared(code_b)) - b).abs().mean(),
        "kl_cycle": (again_a**2).mean() + (again_b**2).mean(),
        "ll_cycle_A": (vae.decode_A(vae.dec_shared(again_b)) - a).abs().mean(),
        "ll_cycle_B": (vae.decode_B(vae.dec_shared(again_a)) - b).abs().mean(),
    }
    objective = (
        10 * (expected["G_A"] + expected["G_B"])
        + 0.1 * (expected["kl"] + expected["kl_cycle"])
        + 100 * sum(loss for name, loss in expected.items() if name.startswith("ll_"))
    )
    assert_stepped(task.coupled, first_adam_step(vae, objective, 1e-4))
    assert losses == pytest.approx({name: loss.item() for name, loss in expected.items()}, rel=1e-4)


def test_a_step_of_the_2018_form_descends_its_objective(
    make_tiny_config: MakeConfig, batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("i2itool.trainer.unit2018.with_noise", lambda mean: mean + 0.5)
    torch.manual_seed(0)
    task = Unit2018Task(make_tiny_config("unit2018", adam={"weight_decay": 0.0}), CPU)
    of_a, of_b = copy.deepcopy(task.vaes["A"]), copy.deepcopy(task.vaes["B"])
    critics = {name: copy.deepcopy(task.networks[name]) for name in ("D_A", "D_B")}
    losses = task.step(batch, progress=0)

    a, b = batch.a, batch.b
    code_a, code_b = of_a.enc(a), of_b.enc(b)
    fake_a, fake_b = of_a.dec(code_b + 0.5), of_b.dec(code_a + 0.5)
    expected = {}
    for name, real, fake in (("D_A", a, fake_a.detach()), ("D_B", b, fake_b.detach())):
        critic = critics[name]
        pairs = zip(critic(real), critic(fake), strict=True)
        expected[name] = torch.stack([((x - 1) ** 2).mean() + (y**2).mean() for x, y in pairs]).sum()
        assert_stepped(task.networks[name], first_adam_step(critic, expected[name], 1e-4))

    again_b, again_a = of_a.enc(fake_a), of_b.enc(fake_b)
    expected |= {
        "G_A": torch.stack([((score - 1) ** 2).mean() for score in task.networks["D_A"](fake_a)]).sum(),
        "G_B": torch.stack([((score - 1) ** 2).mean() for score in task.networks["D_B"](fake_b)]).sum(),
        "kl": (code_a**2).mean() + (code_b**2).mean(),
        "recon_A": (of_a.dec(code_a + 0.5) - a).abs().mean(),
        "recon_B": (of_b.dec(code_b + 0.5) - b).abs().mean(),
        "kl_cycle": (again_a**2).mean() + (again_b**2).mean(),
        "cycle_A": (of_a.dec(again_a + 0.5) - a).abs().mean(),
        "cycle_B": (of_b.dec(again_b + 0.5) - b).abs().mean(),
    }
    objective = (
        expected["G_A"] + expected["G_B"]
        + 0.01 * (expected["kl"] + expected["kl_cycle"])
        + 10 * sum(loss for name, loss in expected.items() if name.startswith(("recon", "cycle")))
    )  # fmt: skip
    assert_stepped(task.vaes["A"], first_adam_step(of_a, objective, 1e-4))
    assert_stepped(task.vaes["B"], first_adam_step(of_b, objective, 1e-4))
    assert losses == pytest.approx({name: loss.item() for name, loss in expected.items()}, rel=1e-4)


@pytest.mark.parametrize("gan", ["vanilla", "wgangp"])
def test_other_adversarial_losses_train_too(make_tiny_config: MakeConfig, batch: Batch, gan: str) -> None:
    torch.manual_seed(0)
    task = CycleGanTask(make_tiny_config("cyclegan", gan=gan), CPU)
    before = copy.deepcopy(task.networks)
    losses = task.step(batch, progress=0)
    assert all(math.isfinite(loss) for loss in losses.values())
    for name, network in task.networks.items():
        pairs = zip(network.parameters(), before[name].parameters(), strict=True)
        assert any(not torch.equal(now, then) for now, then in pairs), name


def test_latent_noise_has_unit_variance_and_no_mean() -> None:
    torch.manual_seed(0)
    noise = with_noise(torch.full((4, 64, 16, 16), 3.0)) - 3.0
    assert abs(noise.mean().item()) < 0.01
    assert noise.std().item() == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("method", ["cyclegan", "unit", "unit2018"])
def test_augmented_and_bf16_steps_stay_finite_and_near_fp32(
    make_tiny_config: MakeConfig, batch: Batch, method: str
) -> None:
    results = []
    for precision in ("fp32", "bf16"):
        torch.manual_seed(0)
        task = TASKS[method](make_tiny_config(method, precision=precision, augment=True), CPU)
        torch.manual_seed(1)
        results.append(task.step(batch, progress=0))
    exact, rounded = results
    assert rounded == pytest.approx(exact, rel=0.05, abs=0.02)
