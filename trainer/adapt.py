"""UNIT for domain adaptation (Liu et al. 2017, section 4): a classifier of A learns to work in B.

Translation and classification share the critic: it tells real from made, names what pictures of A show, and
has to see the same in a picture and in its translation.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from i2itool.networks.adaptation import CoupledCritic32, CoupledUnit32
from i2itool.preset import DIRECTIONS, Direction

from .adversarial import AdversarialTask, Losses
from .config import TrainConfig
from .data import Batch
from .ema import Ema
from .initialise import initialise_xavier
from .labelled import LabelledBatch
from .losses import l1
from .self_training import agreement, imbalance, mean_of_views
from .translators import build_translators
from .variation import vary

Parts = tuple[Tensor, Tensor, Tensor]


class AdaptTask(AdversarialTask):
    """The critic D goes first, then both VAEs answer together."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self.coupled = CoupledUnit32(**config.generator.hyper)
        self.critic = CoupledCritic32(
            width=config.critic.width,
            classes=len(config.adapt.classes),
            dropout=config.adapt.dropout,
        )
        # The VAEs keep PyTorch's start, which knows how wide they are: with N(0, 0.02) narrow ones learn
        # to give back what they see half as fast.
        initialise_xavier(self.critic)
        self.critic.first_B.load_state_dict(self.critic.first_A.state_dict())
        super().__init__(config, device, generators={"G": self.coupled}, critics={"D": self.critic})
        self.averages["D"] = Ema(self.critic, config.ema)

    def step(self, batch: Batch, *, progress: float) -> dict[str, float]:
        """One update of the critic, then, at a step that translates, one of both VAEs."""
        parts, weights = self._labelled_parts(batch), self.config.adapt
        done = round(progress * self.config.steps) + 1
        translates = done % weights.translate_every == 0
        self._freeze_critics(False)
        losses = self._descend("D", (self._of_critic(*part, progress, translates) for part in parts))
        if translates:
            self._freeze_critics(True)
            losses |= self._descend("G", (self._of_generator(a, b, progress) for a, b, _ in parts))
        self._average()
        return {name: float(loss) for name, loss in losses.items()}

    def _labelled_parts(self, batch: Batch) -> list[Parts]:
        labels = cast(LabelledBatch, batch).labels.to(self.device).chunk(self.config.accumulate)
        return [(a, b, names) for (a, b), names in zip(self._parts(batch), labels, strict=True)]

    def _of_critic(
        self, a: Tensor, b: Tensor, names: Tensor, progress: float, translates: bool
    ) -> tuple[Tensor, Losses]:
        total, losses = torch.zeros((), device=a.device), Losses()
        if self._names_apart:
            total, losses = self._of_names(a, b, names, progress)
        if translates:
            of_both, more = self._of_both(a, b, names, progress)
            total, losses = total + of_both, losses | more
        return total, losses

    @property
    def _names_apart(self) -> bool:
        """Whether names are learnt from other pictures than those that are translated, as they are."""
        weights = self.config.adapt
        return bool(weights.vary_source + weights.vary) or weights.self_trains or weights.translate_every > 1

    def _of_both(self, a: Tensor, b: Tensor, names: Tensor, progress: float) -> tuple[Tensor, Losses]:
        """The losses of pictures and translations, and of names unless they are learnt apart."""
        weights, count = self.config.adapt, len(a)
        with self._autocast():
            with torch.no_grad():
                in_a, in_b = self._translate(a, b)[:2]
            # Of each domain: real ones, then what the VAEs make in it of A and of B.
            seen = self.critic.features(torch.cat([a, in_a]), torch.cat([b, in_b]))
            of_a, of_b = seen.chunk(2)
            real_a, fake_a, real_b, fake_b = of_a[:count], of_a[count:], of_b[:count], of_b[count:]
            # A picture and what it becomes in the other domain.
            pairs = (real_a, fake_b[:count]), (real_b, fake_a[count:])
            losses = {
                "D_A": self._real(real_a, True) + self._real(fake_a, False),
                "D_B": self._real(real_b, True) + self._real(fake_b, False),
                "names_translated": F.cross_entropy(self.critic.name(fake_b[:count]).float(), names),
                "features": sum((l1(x, y) for x, y in pairs), torch.zeros((), device=a.device)),
            }
            if not self._names_apart:
                losses["names"] = F.cross_entropy(self.critic.name(real_a).float(), names)
        total = (
            weights.adversarial.at(progress) * (losses["D_A"] + losses["D_B"])
            + weights.names_translated.at(progress) * losses["names_translated"]
            + weights.features.at(progress) * seen[0].numel() * losses["features"]
        )
        if "names" in losses:
            total = total + weights.names.at(progress) * losses["names"]
        return total, losses

    def _of_names(self, a: Tensor, b: Tensor, names: Tensor, progress: float) -> tuple[Tensor, Losses]:
        """The losses of naming varied pictures: those of A by their names, those of B as the teacher does."""
        weights = self.config.adapt
        varied_a = vary(a, weights.vary_source + weights.vary)
        if not weights.self_trains:
            with self._autocast():
                named = self.critic.name(self.critic.features(varied_a)).float()
            loss = F.cross_entropy(named, names)
            return weights.names.at(progress) * loss, {"names": loss}
        # Pictures of A pass through the first layer of B, too, so that what it makes of those of B is worth
        # believing before translations are.
        own, other = varied_a.tensor_split(2)
        with self._autocast():
            of_teacher = self._shares_by_teacher(b)
            seen = self.critic.features(own, torch.cat([other, vary(b, weights.vary)]))
            named = self.critic.name(seen).float()
        loss, of_b = F.cross_entropy(named[: len(a)], names), named[len(a) :]
        agreed, sure = agreement(of_b, of_teacher, threshold=weights.threshold)
        even = imbalance(of_b)
        taught = agreed + weights.balance.at(progress) * even
        total = weights.names.at(progress) * loss + weights.self_training.at(progress) * taught
        return total, {"names": loss, "agreement": agreed, "imbalance": even, "sure": sure}

    @torch.no_grad()
    def _shares_by_teacher(self, b: Tensor) -> Tensor:
        """The shares of the classes that the averaged classifier gives each of B. N,classes."""
        teacher, weights = cast(CoupledCritic32, self.averages["D"].network), self.config.adapt
        views = b if weights.views == 1 else torch.cat([vary(b, weights.vary) for _ in range(weights.views)])
        return mean_of_views(teacher.name(teacher.features(b=views)).float(), weights.views)

    def _of_generator(self, a: Tensor, b: Tensor, progress: float) -> tuple[Tensor, Losses]:
        # Not by names: VAEs and classifier would agree on signs of a class that no real picture has.
        weights, count = self.config.adapt, len(a)
        with self._autocast():
            in_a, in_b, mean, deviation = self._translate(a, b)
            of_a, of_b = self.critic.features(in_a, in_b).chunk(2)
            losses = {
                "G_A": self._real(of_a, True),
                "G_B": self._real(of_b, True),
                "kl": kl_of_gaussian(mean, deviation),
                "ll_A": F.mse_loss(in_a[:count].float(), a),
                "ll_B": F.mse_loss(in_b[count:].float(), b),
            }
        likelihood = weights.likelihood.at(progress) * a[0].numel()
        total = (
            weights.adversarial.at(progress) * (losses["G_A"] + losses["G_B"])
            # Once for the picture's own way and once for the one across.
            + 2 * weights.kl.at(progress) * losses["kl"]
            + likelihood * (losses["ll_A"] + losses["ll_B"])
        )
        return total, losses

    def _translate(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What the VAEs make in A, and in B, of pictures of A and then of B; the codes' mean, deviation."""
        mean, deviation = self.coupled.encode(a, b)
        in_a, in_b = self.coupled.decode(mean + deviation * torch.randn_like(mean))
        return in_a, in_b, mean, deviation

    def _real(self, features: Tensor, is_real: bool) -> Tensor:
        logits = self.critic.judge(features).float()
        return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, float(is_real)))

    def translators(self) -> dict[Direction, nn.Module]:
        """The two ways through the averaged VAEs."""
        average = cast(CoupledUnit32, self.averages["G"].network)
        weights = {direction: average.translator_weights(direction) for direction in DIRECTIONS}
        return build_translators(self.config, weights, self.device)

    def examinee(self) -> nn.Module:
        """The averaged classifier."""
        return self.averages["D"].network

    def classifier(self) -> nn.Module | None:
        """The same."""
        return self.examinee()


def kl_of_gaussian(mean: Tensor, deviation: Tensor) -> Tensor:
    """KL of N(mean, deviation^2) to N(0, I), summed over the code; the mean over pictures. N,C,h,w each."""
    mean, deviation = mean.float(), deviation.float()
    each = mean.square() + deviation.square() - 2 * (deviation + 1e-6).log() - 1
    return 0.5 * each.flatten(1).sum(1).mean()
