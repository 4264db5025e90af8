"""CycleGAN (Zhu et al. 2017, arXiv:1703.10593): two generators, two critics, and the way back.

Names follow the authors: G_A maps A to B and G_B maps B to A; D_A judges pictures of B, D_B those of A.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from i2itool.networks import build
from i2itool.preset import Direction

from .adversarial import AdversarialTask, detached
from .config import TrainConfig
from .data import Batch
from .discriminators import PatchDiscriminator
from .initialise import initialise
from .losses import GAN_LOSSES, gradient_penalty, l1

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
        super().__init__(config, device, generators=generators, critics=critics)
        self._gan_loss = GAN_LOSSES[config.gan]

    def step(self, batch: Batch, *, progress: float) -> dict[str, float]:
        """One update of both generators, then one of both critics."""
        real_a, real_b = self._on_device(batch)
        losses, fake_a, fake_b = self._update_generators(real_a, real_b, progress)
        losses |= self._update_critics({"D_A": (real_b, fake_b), "D_B": (real_a, fake_a)})
        self._average()
        return {name: float(loss) for name, loss in losses.items()}

    def _update_generators(
        self, real_a: Tensor, real_b: Tensor, progress: float
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        g_a, g_b = self.generators["G_A"], self.generators["G_B"]
        weights = self.config.cyclegan
        adversarial, cycle = weights.adversarial.at(progress), weights.cycle.at(progress)
        identity = cycle * weights.identity.at(progress)

        self._freeze_critics(True)
        with self._autocast():
            fake_b, fake_a = g_a(real_a), g_b(real_b)
            losses = {
                "G_A": self._gan_loss(self._judge("D_A", fake_b), is_real=True),
                "G_B": self._gan_loss(self._judge("D_B", fake_a), is_real=True),
                "cycle_A": l1(g_b(fake_b), real_a),
                "cycle_B": l1(g_a(fake_a), real_b),
            }
            total = adversarial * (losses["G_A"] + losses["G_B"])
            total = total + cycle * (losses["cycle_A"] + losses["cycle_B"])
            if identity > 0:
                losses["idt_A"], losses["idt_B"] = l1(g_a(real_b), real_b), l1(g_b(real_a), real_a)
                total = total + identity * (losses["idt_A"] + losses["idt_B"])
        self._descend("G", total)
        return detached(losses), fake_a.detach(), fake_b.detach()

    def _update_critics(self, pictures: dict[str, tuple[Tensor, Tensor]]) -> dict[str, Tensor]:
        self._freeze_critics(False)
        losses = {}
        with self._autocast():
            for name, (real, fake) in pictures.items():
                fake = self.pools[name].query(fake.to(real.dtype))
                real_loss = self._gan_loss(self._judge(name, real), is_real=True)
                fake_loss = self._gan_loss(self._judge(name, fake), is_real=False)
                losses[name] = 0.5 * (real_loss + fake_loss)
                if self.config.gan == "wgangp":
                    losses[name] = losses[name] + PENALTY * gradient_penalty(self.critics[name], real, fake)
        self._descend("D", losses["D_A"] + losses["D_B"])
        return detached(losses)

    def translators(self) -> dict[Direction, nn.Module]:
        """The averaged G_A and G_B."""
        return {"a2b": self.averages["G_A"].network, "b2a": self.averages["G_B"].network}
