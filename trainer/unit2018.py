"""The 2018 form of UNIT: a VAE for each domain, no shared weights, multi-scale critics, least squares.

D_A judges pictures of A and D_B those of B.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from i2itool.networks import build
from i2itool.networks.unit import Unit2018Vae
from i2itool.preset import Direction

from .adversarial import AdversarialTask, Losses
from .config import TrainConfig
from .data import Batch
from .discriminators import MultiScaleDiscriminator
from .feature_critic import add_feature_critics
from .initialise import initialise, initialise_kaiming
from .losses import kl_to_unit_normal, l1, least_squares
from .steadiness import unsteadiness
from .unit import with_noise


class Unit2018Task(AdversarialTask):
    """The critics go first; then both VAEs answer. Noise joins the code before decoding, KL sees it bare."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        critic = config.critic
        self.vaes = {name: Unit2018Vae(**config.generator.hyper) for name in ("A", "B")}
        critics: dict[str, nn.Module] = {
            name: MultiScaleDiscriminator(width=critic.width, depth=critic.depth) for name in ("D_A", "D_B")
        }
        for vae in self.vaes.values():
            initialise_kaiming(vae)
        for network in critics.values():
            initialise(network)
        critics = add_feature_critics(critics, critic.features, device)
        super().__init__(config, device, generators=dict(self.vaes), critics=critics)

    def step(self, batch: Batch, *, progress: float) -> dict[str, float]:
        """One update of both critics, then one of both VAEs."""
        parts = self._parts(batch)
        self._freeze_critics(False)
        losses = self._descend("D", (self._of_critics(a, b, progress) for a, b in parts))
        self._freeze_critics(True)
        losses |= self._descend("G", (self._of_generators(a, b, progress) for a, b in parts))
        self._average()
        return {name: float(loss) for name, loss in losses.items()}

    def _of_critics(self, real_a: Tensor, real_b: Tensor, progress: float) -> tuple[Tensor, Losses]:
        a, b = self.vaes["A"], self.vaes["B"]
        losses = {}
        with self._autocast():
            with torch.no_grad():
                fake_a = a.dec(with_noise(b.enc(real_b)))
                fake_b = b.dec(with_noise(a.enc(real_a)))
            for name, real, fake in (("D_A", real_a, fake_a), ("D_B", real_b, fake_b)):
                of_real, of_fake = self._judge_both(name, real, fake)
                losses[name] = _over_scales(of_real, is_real=True) + _over_scales(of_fake, is_real=False)
        return self.config.unit2018.adversarial.at(progress) * (losses["D_A"] + losses["D_B"]), losses

    def _of_generators(self, real_a: Tensor, real_b: Tensor, progress: float) -> tuple[Tensor, Losses]:
        a, b = self.vaes["A"], self.vaes["B"]
        with self._autocast():
            code_a, code_b = self._pass(a.enc, real_a), self._pass(b.enc, real_b)
            noisy_a, noisy_b = with_noise(code_a), with_noise(code_b)
            # Each decoder takes the codes of both domains at once: it normalises them one by one.
            same_a, fake_a = self._pass(a.dec, torch.cat([noisy_a, noisy_b])).chunk(2)
            same_b, fake_b = self._pass(b.dec, torch.cat([noisy_b, noisy_a])).chunk(2)
            again_b, again_a = self._pass(a.enc, fake_a), self._pass(b.enc, fake_b)
            losses = {
                "G_A": _over_scales(self._judge("D_A", fake_a), is_real=True),
                "G_B": _over_scales(self._judge("D_B", fake_b), is_real=True),
                "kl": kl_to_unit_normal(code_a) + kl_to_unit_normal(code_b),
                "recon_A": l1(same_a, real_a),
                "recon_B": l1(same_b, real_b),
                "kl_cycle": kl_to_unit_normal(again_a) + kl_to_unit_normal(again_b),
                "cycle_A": l1(self._pass(a.dec, with_noise(again_a)), real_a),
                "cycle_B": l1(self._pass(b.dec, with_noise(again_b)), real_b),
            }
        weights = self.config.unit2018
        total = (
            weights.adversarial.at(progress) * (losses["G_A"] + losses["G_B"])
            + weights.kl.at(progress) * losses["kl"]
            + weights.reconstruction.at(progress) * (losses["recon_A"] + losses["recon_B"])
            + weights.kl_cycle.at(progress) * losses["kl_cycle"]
            + weights.cycle.at(progress) * (losses["cycle_A"] + losses["cycle_B"])
        )
        if (weight := self.config.temporal_noise) > 0:
            losses["steady_A"] = self._unsteadiness("A", "B", real_a)
            losses["steady_B"] = self._unsteadiness("B", "A", real_b)
            total = total + weight * (losses["steady_A"] + losses["steady_B"])
        return total, losses

    def _unsteadiness(self, source: str, target: str, real: Tensor) -> Tensor:
        """Of a translation as it is made in the end: without the noise of the code."""

        def translate(pictures: Tensor) -> Tensor:
            translated: Tensor = self._pass(
                self.vaes[target].dec, self._pass(self.vaes[source].enc, pictures)
            )
            return translated

        with self._autocast():
            return unsteadiness(translate, real, translate(real))

    def translators(self) -> dict[Direction, nn.Module]:
        """The averaged encoder of one domain with the averaged decoder of the other."""
        a, b = (cast(Unit2018Vae, self.averages[name].network) for name in ("A", "B"))
        return {"a2b": self._joined(a, b), "b2a": self._joined(b, a)}

    def _joined(self, source: Unit2018Vae, target: Unit2018Vae) -> nn.Module:
        way = cast(Unit2018Vae, build("unit2018", **self.config.generator.hyper))
        way.enc.load_state_dict(source.enc.state_dict())
        way.dec.load_state_dict(target.dec.state_dict())
        return way.to(self.device).eval()


def _over_scales(scores: list[Tensor], *, is_real: bool) -> Tensor:
    """The sum over scales of the least-squares loss."""
    return len(scores) * least_squares(scores, is_real=is_real)
