"""CycleGAN written down as plainly as it can be: what the trainer's step is timed against and checked by.

Nothing is done for speed: contiguous tensors, float32, PyTorch's own layers, one pass for each term, Adam as
it comes. Parameters have the names of the trainer's networks, so that both start from the same weights.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn, optim


class PlainBlock(nn.Module):
    """x + f(x) with two reflect-padded convolutions."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: N,C,H,W."""
        output: Tensor = x + self.conv_block(x)
        return output


class PlainGenerator(nn.Module):
    """The ResNet generator: N,3,H,W in [-1, 1] to the same."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        wide = width * 4
        self.model = nn.Sequential(
            nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), nn.InstanceNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width * 2, 3, 2, 1), nn.InstanceNorm2d(width * 2), nn.ReLU(),
            nn.Conv2d(width * 2, wide, 3, 2, 1), nn.InstanceNorm2d(wide), nn.ReLU(),
            *(PlainBlock(wide) for _ in range(blocks)),
            nn.ConvTranspose2d(wide, width * 2, 3, 2, 1, 1), nn.InstanceNorm2d(width * 2), nn.ReLU(),
            nn.ConvTranspose2d(width * 2, width, 3, 2, 1, 1), nn.InstanceNorm2d(width), nn.ReLU(),
            nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """x: N,3,H,W."""
        output: Tensor = self.model(x)
        return output


class PlainCritic(nn.Module):
    """The 70x70 PatchGAN: N,3,H,W to N,1,h,w."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2)]
        for inputs, outputs, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
            layers += [
                nn.Conv2d(width * inputs, width * outputs, 4, stride, 1),
                nn.InstanceNorm2d(width * outputs),
                nn.LeakyReLU(0.2),
            ]
        self.model = nn.Sequential(*layers, nn.Conv2d(width * 8, 1, 4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """x: N,3,H,W."""
        output: Tensor = self.model(x)
        return output


class PlainCycleGan:
    """Least squares, cycle 10, identity 5, no pool of earlier fakes; G_A maps A to B, D_A judges B."""

    def __init__(self, *, width: int, blocks: int, critic_width: int) -> None:
        self.networks: dict[str, nn.Module] = {
            **{name: PlainGenerator(width, blocks) for name in ("G_A", "G_B")},
            **{name: PlainCritic(critic_width) for name in ("D_A", "D_B")},
        }
        self.optimisers = {
            kind: optim.Adam(
                itertools.chain(*(self.networks[f"{kind}_{side}"].parameters() for side in "AB")),
                2e-4,
                (0.5, 0.999),
            )
            for kind in "GD"
        }

    def step(self, real_a: Tensor, real_b: Tensor) -> dict[str, float]:
        """One update of the generators, then one of each critic; N,3,H,W each. Returns the losses by name."""
        g_a, g_b, d_a, d_b = (self.networks[name] for name in ("G_A", "G_B", "D_A", "D_B"))
        for critic in (d_a, d_b):
            critic.requires_grad_(False)
        fake_b, fake_a = g_a(real_a), g_b(real_b)
        losses = {
            "G_A": ((d_a(fake_b) - 1) ** 2).mean(),
            "G_B": ((d_b(fake_a) - 1) ** 2).mean(),
            "cycle_A": (g_b(fake_b) - real_a).abs().mean(),
            "cycle_B": (g_a(fake_a) - real_b).abs().mean(),
            "idt_A": (g_a(real_b) - real_b).abs().mean(),
            "idt_B": (g_b(real_a) - real_a).abs().mean(),
        }
        self.optimisers["G"].zero_grad()
        total = losses["G_A"] + losses["G_B"] + 10 * (losses["cycle_A"] + losses["cycle_B"])
        (total + 5 * (losses["idt_A"] + losses["idt_B"])).backward()
        self.optimisers["G"].step()

        self.optimisers["D"].zero_grad()
        for name, critic, real, fake in (("D_A", d_a, real_b, fake_b), ("D_B", d_b, real_a, fake_a)):
            critic.requires_grad_(True)
            losses[name] = 0.5 * (((critic(real) - 1) ** 2).mean() + (critic(fake.detach()) ** 2).mean())
            losses[name].backward()
        self.optimisers["D"].step()
        return {name: loss.item() for name, loss in losses.items()}


def copy_weights(source: dict[str, nn.Module], target: dict[str, nn.Module]) -> None:
    """Give the networks of `target` the weights of those of the same name."""
    with torch.no_grad():
        for name, network in source.items():
            target[name].load_state_dict(network.state_dict())
