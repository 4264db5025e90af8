"""However a step is arranged, it is the same step: plainly written, in parts, or with little memory."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from i2itool.trainer.adversarial import AdversarialTask
from i2itool.trainer.config import TrainConfig
from i2itool.trainer.cyclegan import CycleGanTask
from i2itool.trainer.data import Batch
from i2itool.trainer.unit import UnitTask
from i2itool.trainer.unit2018 import Unit2018Task
from torch import Tensor

from benchmarks.plain_cyclegan import PlainCycleGan, copy_weights

CPU = torch.device("cpu")
MakeConfig = Callable[..., TrainConfig]
METHODS = {"cyclegan": CycleGanTask, "unit": UnitTask, "unit2018": Unit2018Task}


def make_batch(seed: int, *, count: int = 2) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.rand(2, count, 3, 32, 32, generator=generator) * 2 - 1
    return Batch(a=a, b=b)


def make_task(config: TrainConfig) -> AdversarialTask:
    """A task whose weights are large enough for every term to count."""
    torch.manual_seed(0)
    task = METHODS[config.method](config, CPU)
    for network in task.networks.values():
        for parameter in network.parameters():
            parameter.data.mul_(3)
    return task


def double(task: AdversarialTask) -> None:
    """Take a task to float64, where what is left of a difference is no rounding."""
    for network in (*task.networks.values(), *(average.network for average in task.averages.values())):
        network.double()


def doubled(batch: Batch) -> Batch:
    return Batch(batch.a.double(), batch.b.double())


def gradients(task: AdversarialTask) -> dict[str, Tensor]:
    return {
        f"{network}.{name}": parameter.grad
        for network, module in task.networks.items()
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    }


@pytest.mark.parametrize("count", [1, 2])
def test_the_plain_formulation_of_cyclegan_gives_the_same_losses_within_1e_5(
    make_tiny_config: MakeConfig, count: int
) -> None:
    config = make_tiny_config(
        "cyclegan", critic={"width": 8, "depth": 3}, batch_size=count, pool_size=0, adam={"constant": 1.0}
    )
    task = make_task(config)
    plain = PlainCycleGan(width=4, blocks=1, critic_width=8)
    copy_weights(task.networks, plain.networks)
    for seed in range(3):
        batch = make_batch(seed, count=count)
        assert task.step(batch, progress=0) == pytest.approx(plain.step(batch.a, batch.b), abs=1e-5)


def test_without_rounding_the_plain_formulation_gives_the_same_losses_step_after_step(
    make_tiny_config: MakeConfig,
) -> None:
    config = make_tiny_config("cyclegan", critic={"width": 8, "depth": 3}, pool_size=0)
    task, plain = make_task(config), PlainCycleGan(width=4, blocks=1, critic_width=8)
    copy_weights(task.networks, plain.networks)
    double(task)
    for network in plain.networks.values():
        network.double()
    for seed in range(8):
        batch = doubled(make_batch(seed, count=1))
        assert task.step(batch, progress=0) == pytest.approx(plain.step(batch.a, batch.b), rel=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_a_batch_in_two_parts_has_the_gradients_of_the_whole(
    make_tiny_config: MakeConfig, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    for module in ("unit", "unit2018"):
        monkeypatch.setattr(f"i2itool.trainer.{module}.with_noise", lambda mean: mean + 0.5)
    found = []
    for accumulate in (1, 2):
        config = make_tiny_config(method, batch_size=2, accumulate=accumulate, pool_size=0)
        task = make_task(config)
        double(task)
        found.append((task.step(doubled(make_batch(5)), progress=0), gradients(task)))
    (whole, of_whole), (parted, of_parts) = found
    assert parted == pytest.approx(whole, abs=1e-12)
    assert of_parts.keys() == of_whole.keys()
    for name, gradient in of_whole.items():
        torch.testing.assert_close(of_parts[name], gradient, rtol=0, atol=1e-10, msg=name)


@pytest.mark.parametrize("method", METHODS)
def test_recomputing_changes_no_weight_and_keeps_less(make_tiny_config: MakeConfig, method: str) -> None:
    results = []
    for recompute in (False, True):
        config = make_tiny_config(
            method, recompute=recompute, augment=True, precision="bf16", accumulate=2, batch_size=2
        )
        task = make_task(config)
        kept: list[int] = []

        def note(tensor: Tensor, kept: list[int] = kept) -> Tensor:
            kept.append(tensor.nbytes)
            return tensor

        torch.manual_seed(1)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            task.step(make_batch(5), progress=0)
        results.append((copy.deepcopy(task.state()["networks"]), sum(kept)))
    (plain, all_kept), (recomputed, inputs_kept) = results
    for network, weights in plain.items():
        for name, weight in weights.items():
            assert torch.equal(recomputed[network][name], weight), f"{network}.{name}"
    assert inputs_kept < 0.75 * all_kept


@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")  # torch's own
@pytest.mark.parametrize("method", METHODS)
def test_compiling_is_for_every_part_of_a_step_and_keeps_the_names_of_weights(
    make_tiny_config: MakeConfig, method: str
) -> None:
    compiled, plain = (
        METHODS[method](make_tiny_config(method, compile=value), CPU) for value in (True, False)
    )
    for name, network in compiled.networks.items():
        assert network.state_dict().keys() == plain.networks[name].state_dict().keys()
        parts = [part for part in network.modules() if part._compiled_call_impl is not None]
        held = {id(parameter) for part in parts for parameter in part.parameters()}
        assert held == {id(parameter) for parameter in network.parameters()}
    for direction, way in compiled.translators().items():
        assert all(part._compiled_call_impl is None for part in way.modules()), direction
