"""CycleGAN (Zhu et al. 2017, arXiv:1703.10593): two generators, two critics, and the way back.

Names follow the authors: G_A maps A to B and G_B maps B to A; D_A judges pictures of B, D_B those of A.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2itool.networks import build
from i2itool.preset import Direction

from .adversarial import AdversarialTask, Losses
from .config import TrainConfig
from .data import Batch
from .discriminators import PatchDiscriminator
from .feature_critic import add_feature_critics
from .initialise import initialise
from .losses import GAN_LOSSES, gradient_penalty, l1
from .steadiness import unsteadiness

# Weight of the gradient penalty (Gulrajani et al. 2017).
PENALTY = 10.0


class CycleGanTask(AdversarialTask):
    """Both generators answer today's critics; then each critic sees real pictures and a pool of fakes."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        generator, critic = config.generator, config.critic
        generators = {name: build(generator.name, **generator.hyper) for name in ("G_A", "G_B")}
        critics: dict[str, nn.Module] = {
            name: PatchDiscriminator(width=critic.width, depth=critic.depth) for name in ("D_A", "D_B")
        }
        for network in (generators | critics).values():
            initialise(network)
        critics = add_feature_critics(critics, critic.features, device)
        super().__init__(config, device, generators=generators, critics=critics)
        self._gan_loss = GAN_LOSSES[config.gan]
        # Batch normalisation would mix what goes through a generator together.
        self._is_batched = config.generator.hyper.get("norm") != "batch"

    def step(self, batch: Batch, *, progress: float) -> dict[str, float]:
        """One update of both generators, then one of both critics."""
        parts = self._parts(batch)
        fakes: list[tuple[Tensor, Tensor]] = []
        self._freeze_critics(True)
        losses = self._descend("G", (self._of_generators(a, b, progress, fakes) for a, b in parts))
        self._freeze_critics(False)
        pairs = zip(parts, fakes, strict=True)
        losses |= self._descend("D", (self._of_critics(*real, *fake) for real, fake in pairs))
        self._average()
        return {name: float(loss) for name, loss in losses.items()}

    def _of_generators(
        self, real_a: Tensor, real_b: Tensor, progress: float, fakes: list[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Losses]:
        """The generators' objective and its terms; the translations, in A and in B, are left in `fakes`."""
        g_a, g_b = self.generators["G_A"], self.generators["G_B"]
        weights = self.config.cyclegan
        adversarial, cycle = weights.adversarial.at(progress), weights.cycle.at(progress)
        identity = cycle * weights.identity.at(progress)

        with self._autocast():
            fake_b, same_b = self._translate(g_a, real_a, real_b if identity > 0 else None)
            fake_a, same_a = self._translate(g_b, real_b, real_a if identity > 0 else None)
            losses = {
                "G_A": self._gan_loss(self._judge("D_A", fake_b), is_real=True),
                "G_B": self._gan_loss(self._judge("D_B", fake_a), is_real=True),
                "cycle_A": l1(self._pass(g_b, fake_b), real_a),
                "cycle_B": l1(self._pass(g_a, fake_a), real_b),
            }
            total = adversarial * (losses["G_A"] + losses["G_B"])
            total = total + cycle * (losses["cycle_A"] + losses["cycle_B"])
            if same_a is not None and same_b is not None:
                losses["idt_A"], losses["idt_B"] = l1(same_b, real_b), l1(same_a, real_a)
                total = total + identity * (losses["idt_A"] + losses["idt_B"])
            if (weight := self.config.temporal_noise) > 0:
                losses["steady_A"] = unsteadiness(lambda x: self._pass(g_a, x), real_a, fake_b)
                losses["steady_B"] = unsteadiness(lambda x: self._pass(g_b, x), real_b, fake_a)
                total = total + weight * (losses["steady_A"] + losses["steady_B"])
        fakes.append((fake_a.detach(), fake_b.detach()))
        return total, losses

    def _translate(
        self, generator: nn.Module, source: Tensor, target: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        """A generator's outputs for its source domain and, for the identity loss, for its target domain."""
        if target is None:
            return self._pass(generator, source), None
        if not self._is_batched:
            return self._pass(generator, source), self._pass(generator, target)
        translated, same = self._pass(generator, torch.cat([source, target])).chunk(2)
        return translated, same

    def _of_critics(
        self, real_a: Tensor, real_b: Tensor, fake_a: Tensor, fake_b: Tensor
    ) -> tuple[Tensor, Losses]:
        """The critics' objective and its terms."""
        losses = {}
        with self._autocast():
            for name, real, fake in (("D_A", real_b, fake_b), ("D_B", real_a, fake_a)):
                fake = self.pools[name].query(fake.to(real.dtype))
                of_real, of_fake = self._judge_both(name, real, fake)
                losses[name] = 0.5 * (
                    self._gan_loss(of_real, is_real=True) + self._gan_loss(of_fake, is_real=False)
                )
                if self.config.gan == "wgangp":
                    losses[name] = losses[name] + PENALTY * gradient_penalty(self.critics[name], real, fake)
        return losses["D_A"] + losses["D_B"], losses

    def translators(self) -> dict[Direction, nn.Module]:
        """The averaged G_A and G_B."""
        return {"a2b": self.averages["G_A"].network, "b2a": self.averages["G_B"].network}
