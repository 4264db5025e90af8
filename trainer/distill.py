"""Distillation: a small network learns to do what a large one does (Hinton et al. 2015, arXiv:1503.02531)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from i2itool.networks import build
from i2itool.preset import Direction

from .adversarial import AdversarialTask, Losses
from .config import TrainConfig
from .data import Batch
from .discriminators import PatchDiscriminator
from .initialise import initialise
from .losses import GAN_LOSSES, l1
from .perceptual import PerceptualLoss
from .steadiness import unsteadiness


class DistillTask(AdversarialTask):
    """The student G comes near its teacher's pictures; the critic D tells the two apart.

    Of a batch, `a` is what both see, and `b` what the teacher makes of it.
    """

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        generator, critic = config.generator, config.critic
        student = build(generator.name, **generator.hyper)
        judge: nn.Module = PatchDiscriminator(width=critic.width, depth=critic.depth)
        for network in (student, judge):
            initialise(network)
        super().__init__(config, device, generators={"G": student}, critics={"D": judge})
        self._gan_loss = GAN_LOSSES["lsgan"]
        self._perceptual: PerceptualLoss | None = None
        if config.distill.features is not None:
            self._perceptual = PerceptualLoss(Path(config.distill.features)).to(device)

    def step(self, batch: Batch, *, progress: float) -> dict[str, float]:
        """One update of the student, then one of the critic."""
        parts = self._parts(batch)
        made: list[Tensor] = []
        self._freeze_critics(True)
        losses = self._descend("G", (self._of_student(a, b, progress, made) for a, b in parts))
        self._freeze_critics(False)
        pairs = zip(parts, made, strict=True)
        losses |= self._descend("D", (self._of_critic(b, fake) for (_, b), fake in pairs))
        self._average()
        return {name: float(loss) for name, loss in losses.items()}

    def _of_student(
        self, seen: Tensor, wanted: Tensor, progress: float, made: list[Tensor]
    ) -> tuple[Tensor, Losses]:
        """The student's objective and its terms; what it makes is left in `made`."""
        weights, student = self.config.distill, self.generators["G"]
        with self._autocast():
            fake = self._pass(student, seen)
            losses = {
                "likeness": l1(fake, wanted),
                "G_A": self._gan_loss(self._judge("D", fake), is_real=True),
            }
            total = weights.l1.at(progress) * losses["likeness"]
            total = total + weights.adversarial.at(progress) * losses["G_A"]
            if self._perceptual is not None:
                losses["features"] = self._perceptual(fake, wanted)
                total = total + weights.perceptual.at(progress) * losses["features"]
            if (weight := self.config.temporal_noise) > 0:
                losses["steady"] = unsteadiness(lambda x: self._pass(student, x), seen, fake)
                total = total + weight * losses["steady"]
        made.append(fake.detach())
        return total, losses

    def _of_critic(self, wanted: Tensor, fake: Tensor) -> tuple[Tensor, Losses]:
        """The critic's objective and its terms."""
        with self._autocast():
            fake = self.pools["D"].query(fake.to(wanted.dtype))
            of_real, of_fake = self._judge_both("D", wanted, fake)
            loss = 0.5 * (self._gan_loss(of_real, is_real=True) + self._gan_loss(of_fake, is_real=False))
        return loss, {"D_A": loss}

    def translators(self) -> dict[Direction, nn.Module]:
        """The averaged student, as A to B."""
        return {"a2b": self.averages["G"].network}
