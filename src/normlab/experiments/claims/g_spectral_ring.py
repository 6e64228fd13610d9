"""Spectral normalization bounds the discriminator's Lipschitz constant, and a small GAN on a ring keeps its modes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from normlab.language import N_, both
from normlab.statistics import contrasts, interval

from ..activations import Array
from .claim import Claim, Finding
from .saying import bracketed, difference, percent

if TYPE_CHECKING:
    from torch import Tensor, nn

MODES, RADIUS, SPREAD = 8, 2.0, 0.02
NEAR = 3 * SPREAD
DRAWN = 2500  # samples by which the modes are counted
NOISE, WIDTH = 16, 128
STEPS, BATCH = 4000, 128
ADAM: dict[str, Any] = {"lr": 1e-3, "betas": (0.5, 0.999)}
LOOKED_EVERY = 100  # steps
LOOSE = 1.01  # one power iteration a step is an estimate, late by a step
GRID = np.linspace(-3.0, 3.0, 33)  # both ways: the points at which gradients are looked at


@dataclass
class Trained:
    """What one GAN showed: bounds of the Lipschitz constant at every look, and its samples at the end."""

    above: list[float] = field(default_factory=list)
    below: list[float] = field(default_factory=list)
    modes: int = 0
    share: float = 0.0


def measure(seeds: Sequence[int]) -> list[Finding]:
    """Both GANs on the same ring, from the same weights and with the same random numbers."""
    from .torch_networks import alone

    with alone():
        plain, normed = ([trained(seed, spectral) for seed in seeds] for spectral in (False, True))
    return [*_bounded(plain, normed), *_kept(plain, normed)]


def _bounded(plain: Sequence[Trained], normed: Sequence[Trained]) -> list[Finding]:
    found = []
    for name, most, message in (
        ("below", 1.0, N_("largest gradient norm seen: {most} over all seeds, {normed} on average with it, {plain} "
                          "without")),
        ("above", LOOSE, N_("largest product of singular values: {most} over all seeds, {normed} on average with it, "
                            "{plain} without")),
    ):  # fmt: skip
        worst = {arm: [max(getattr(t, name)) for t in runs] for arm, runs in (("plain", plain), ("normed", normed))}
        words = {arm: _mean(values, ".3f" if arm == "normed" else ".3g") for arm, values in worst.items()}
        said = both(message, most=f"{max(worst['normed']):.4f}", **words)
        found.append(Finding(max(worst["normed"]) <= most, said, worst))
    return found


def _kept(plain: Sequence[Trained], normed: Sequence[Trained]) -> list[Finding]:
    counts = {"plain": [t.modes for t in plain], "normed": [t.modes for t in normed]}
    shares = {"plain": [t.share for t in plain], "normed": [t.share for t in normed]}
    own, more = interval(counts["normed"], resolution=1, bounds=(0, MODES)), contrasts(counts, resolution=1)[0]
    better = contrasts(shares)[0]
    kept = both(
        N_("modes hit: {counts} of {modes}, on average {mean}"),
        counts=", ".join(map(str, counts["normed"])), modes=MODES, mean=bracketed(own.mean, own.low, own.high),
    )  # fmt: skip
    compared = both(
        N_("modes hit without: {counts}; difference {difference}"),
        counts=", ".join(map(str, counts["plain"])), difference=bracketed(more.difference, more.low, more.high, "+.1f"),
    )  # fmt: skip
    closer = both(
        N_("samples within three standard deviations of a mode: {normed} with it, {plain} without; difference "
           "{difference} points"),
        normed=percent(shares["normed"]), plain=percent(shares["plain"]),
        difference=difference(better),
    )  # fmt: skip
    enough = own.mean == MODES if own.low is None else own.low >= MODES - 1
    return [
        Finding(enough, kept, counts), Finding(more.verdict == "better", compared, counts),
        Finding(better.verdict == "better", closer, shares),
    ]  # fmt: skip


def _mean(values: Sequence[float], form: str) -> str:
    found = interval(values)
    return bracketed(found.mean, found.low, found.high, form)


def centres() -> Array:
    """Where the Gaussians stand: (modes, 2)."""
    angles = 2 * math.pi * np.arange(MODES) / MODES
    return RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def hits(samples: Array) -> tuple[int, float]:
    """How many Gaussians have a sample within three standard deviations, and the share of samples that are so near one.

    Source: Srivastava et al., arXiv 1705.07761, section 4.1.
    """
    distances = np.linalg.norm(samples[:, None] - centres(), axis=-1)  # (samples, modes)
    near = distances <= NEAR
    return int(near.any(axis=0).sum()), float(near.any(axis=1).mean())


def product_of_norms(network: nn.Module) -> float:
    """The product of the exact largest singular values of the layers: with 1-Lipschitz activations an upper bound."""
    import torch

    with torch.no_grad():
        weights = [m.weight for m in network.modules() if isinstance(m, torch.nn.Linear)]
        return math.prod(float(torch.linalg.matrix_norm(w.double(), 2)) for w in weights)


def steepest(network: nn.Module, points: Tensor) -> float:
    """The largest norm of the gradient at these points: a lower bound of the Lipschitz constant."""
    import torch

    x = points.detach().requires_grad_()
    gradient = torch.autograd.grad(network(x).sum(), x)[0]
    return float(torch.linalg.vector_norm(gradient, dim=1).max())


def networks(spectral: bool) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator."""
    from torch import nn

    import normlab as nl

    sizes = (2, WIDTH, WIDTH, 1)
    layers = [nn.Linear(a, b) for a, b in pairwise((NOISE, WIDTH, WIDTH, 2))]
    judges = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    if spectral:
        for layer in judges:
            nl.torch.spectral_norm(layer)
    generator = nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])
    return generator, nn.Sequential(judges[0], nn.LeakyReLU(0.1), judges[1], nn.LeakyReLU(0.1), judges[2])


def trained(seed: int, spectral: bool) -> Trained:
    """One GAN from its start to its end."""
    import torch
    from torch.nn.functional import softplus

    torch.manual_seed(seed)
    generator, judge = networks(spectral)
    rules = [torch.optim.Adam(network.parameters(), **ADAM) for network in (generator, judge)]
    draw, ring = torch.Generator().manual_seed(seed), torch.tensor(centres(), dtype=torch.float32)
    points = torch.tensor(np.stack(np.meshgrid(GRID, GRID), -1).reshape(-1, 2), dtype=torch.float32)
    found = Trained()

    def fake(rows: int) -> Tensor:
        made: Tensor = generator(torch.randn(rows, NOISE, generator=draw))
        return made

    def real() -> Tensor:
        chosen = torch.randint(MODES, (BATCH,), generator=draw)
        return ring[chosen] + SPREAD * torch.randn(BATCH, 2, generator=draw)

    for step in range(1, STEPS + 1):
        scores = judge(torch.cat([real(), fake(BATCH).detach()]))
        _down(rules[1], softplus(-scores[:BATCH]).mean() + softplus(scores[BATCH:]).mean())
        _down(rules[0], softplus(-judge(fake(BATCH))).mean())
        if step % LOOKED_EVERY == 0:
            judge.eval()
            found.above.append(product_of_norms(judge))
            found.below.append(steepest(judge, torch.cat([points, fake(BATCH)])))
            judge.train()
    with torch.no_grad():
        found.modes, found.share = hits(fake(DRAWN).double().numpy())
    return found


def _down(rule: Any, loss: Tensor) -> None:
    rule.zero_grad()
    loss.backward()
    rule.step()


claim = Claim(
    letter="g",
    title=both(N_("Spectral normalization keeps the discriminator's Lipschitz constant at 1, and a GAN its modes.")),
    source="Miyato, Kataoka, Koyama and Yoshida, arXiv 1802.05957, sections 2.1 and 4",
    setting=both(
        N_("a ring of eight Gaussians of standard deviation 0.02 at radius 2; generator and discriminator of two "
           "layers of 128 units, Adam at 1e-3 with 0.5 and 0.999, batches of 128, 4000 steps each; looked at every "
           "100 steps")
    ),
    conditions=(
        both(N_("with it the norm of the discriminator's gradient is at most 1 at every point and every look")),
        both(N_("with it the product of the layers' exact largest singular values is at most 1.01 at every look")),
        both(N_("with it at least seven of the eight modes are hit, by the lower end of the interval of the mean")),
        both(N_("more modes are hit than without: the interval of the difference lies above 0")),
        both(N_("more of the samples lie within three standard deviations of a mode: the interval of the difference "
                "lies above 0")),
    ),
    measure=measure,
    seeds=5,
    seconds=155,
    needs=("torch",),
)  # fmt: skip
