"""UNIT (Liu, Breuel, Kautz 2017, arXiv:1703.00848): coupled VAE-GANs with a shared latent space.

D_A judges pictures of A and D_B those of B; q(z | x) is a Gaussian of unit variance around the encoding.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from i2itool.networks.unit import CoupledUnit
from i2itool.preset import DIRECTIONS, Direction

from .adversarial import AdversarialTask, Losses
from .config import TrainConfig
from .data import Batch
from .discriminators import UnitDiscriminator
from .feature_critic import add_feature_critics
from .initialise import initialise
from .losses import cross_entropy, kl_to_unit_normal, l1
from .steadiness import unsteadiness
from .translators import build_translators


class UnitTask(AdversarialTask):
    """The critics go first and see real pictures and translations; then both VAEs answer together."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        critic = config.critic
        self.coupled = CoupledUnit(**config.generator.hyper)
        critics: dict[str, nn.Module] = {
            name: UnitDiscriminator(width=critic.width, depth=critic.depth) for name in ("D_A", "D_B")
        }
        for network in (self.coupled, *critics.values()):
            initialise(network, zero_bias=False)
        if config.unit.same_start:
            # A code means the same in both from the first step on, and not the negative of it.
            self.coupled.encode_B.load_state_dict(self.coupled.encode_A.state_dict())
            self.coupled.decode_B.load_state_dict(self.coupled.decode_A.state_dict())
        critics = add_feature_critics(critics, critic.features, device)
        super().__init__(config, device, generators={"G": self.coupled}, critics=critics)

    def step(self, batch: Batch, *, progress: float) -> dict[str, float]:
        """One update of both critics, then one of both VAEs."""
        parts = self._parts(batch)
        self._freeze_critics(False)
        losses = self._descend("D", (self._of_critics(a, b, progress) for a, b in parts))
        self._freeze_critics(True)
        losses |= self._descend("G", (self._of_generator(a, b, progress) for a, b in parts))
        self._average()
        return {name: float(loss) for name, loss in losses.items()}

    def _of_critics(self, real_a: Tensor, real_b: Tensor, progress: float) -> tuple[Tensor, Losses]:
        losses = {}
        with self._autocast():
            with torch.no_grad():
                fake_a, fake_b = self._cross(with_noise(self.coupled.encode(real_a, real_b)))
            for name, real, fake in (("D_A", real_a, fake_a), ("D_B", real_b, fake_b)):
                of_real, of_fake = self._judge_both(name, real, fake)
                losses[name] = cross_entropy(of_real, is_real=True) + cross_entropy(of_fake, is_real=False)
        return self.config.unit.adversarial.at(progress) * (losses["D_A"] + losses["D_B"]), losses

    def _of_generator(self, real_a: Tensor, real_b: Tensor, progress: float) -> tuple[Tensor, Losses]:
        with self._autocast():
            # Each picture comes back through its own VAE and crosses over to the other domain ...
            code = with_noise(self._pass(self.coupled.encode, real_a, real_b))
            in_a, in_b = self._pass(self.coupled.decode, code)
            (same_a, fake_a), (fake_b, same_b) = in_a.chunk(2), in_b.chunk(2)
            # ... and each translation crosses back.
            cycle_code = with_noise(self._pass(self.coupled.encode, fake_a, fake_b))
            cycle_a, cycle_b = self._pass(self._cross, cycle_code)
            losses = {
                "G_A": cross_entropy(self._judge("D_A", fake_a), is_real=True),
                "G_B": cross_entropy(self._judge("D_B", fake_b), is_real=True),
                "kl": _kl_of_both(code),
                "ll_A": l1(same_a, real_a),
                "ll_B": l1(same_b, real_b),
                "kl_cycle": _kl_of_both(cycle_code),
                "ll_cycle_A": l1(cycle_a, real_a),
                "ll_cycle_B": l1(cycle_b, real_b),
            }
        weights = self.config.unit
        total = (
            weights.adversarial.at(progress) * (losses["G_A"] + losses["G_B"])
            + weights.kl.at(progress) * losses["kl"]
            + weights.likelihood.at(progress) * (losses["ll_A"] + losses["ll_B"])
            + weights.kl_cycle.at(progress) * losses["kl_cycle"]
            + weights.likelihood_cycle.at(progress) * (losses["ll_cycle_A"] + losses["ll_cycle_B"])
        )
        if (weight := self.config.temporal_noise) > 0:
            losses["steady"] = self._unsteadiness(real_a, real_b)
            total = total + weight * losses["steady"]
        return total, losses

    def _unsteadiness(self, real_a: Tensor, real_b: Tensor) -> Tensor:
        """Of both translations, as they are made in the end: without the noise of the code."""

        def translate(both: Tensor) -> Tensor:
            a, b = both.chunk(2)
            in_a, in_b = self._pass(self._cross, self._pass(self.coupled.encode, a, b))
            return torch.cat([in_a, in_b])

        both = torch.cat([real_a, real_b])
        with self._autocast():
            return unsteadiness(translate, both, translate(both))

    def _cross(self, code: Tensor) -> tuple[Tensor, Tensor]:
        """Decode codes of A (first half) into B and codes of B (second half) into A; returns (in A, in B)."""
        of_a, of_b = self.coupled.dec_shared(code).chunk(2)
        return self.coupled.decode_A(of_b), self.coupled.decode_B(of_a)

    def translators(self) -> dict[Direction, nn.Module]:
        """The two ways through the averaged networks."""
        average = cast(CoupledUnit, self.averages["G"].network)
        weights = {direction: average.translator_weights(direction) for direction in DIRECTIONS}
        return build_translators(self.config, weights, self.device)


def with_noise(mean: Tensor) -> Tensor:
    """Draw from q(z | x), the Gaussian of unit variance around `mean`; draws from torch's generator."""
    return mean + torch.randn_like(mean)


def _kl_of_both(code: Tensor) -> Tensor:
    """The sum of the KL terms of A's codes (first half) and B's."""
    of_a, of_b = code.chunk(2)
    return kl_to_unit_normal(of_a) + kl_to_unit_normal(of_b)
