"""A tanh with a learnt slope does what layer normalization does in a Transformer, without statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from normlab.data import load
from normlab.language import N_, both
from normlab.statistics import contrasts

from .claim import Claim, Finding
from .saying import difference, percent

MARGIN = 0.01
SETTINGS: dict[str, Any] = {"rates": (1e-3, 3e-3), "batch": 64, "steps": 400}
START = 0.5  # of the slope, as the paper has it


def measure(seeds: Sequence[int]) -> list[Finding]:
    """The same Transformer with a layer normalization, with the tanh, and with nothing in their place."""
    from torch import nn

    import normlab as nl

    from .torch_networks import Transformer, alone, race

    norms = {
        "layer_norm": lambda width: nl.torch.LayerNorm(width), "dyt": dynamic_tanh, "none": lambda width: nn.Identity(),
    }  # fmt: skip
    makes = {label: (lambda norm=norm: Transformer(norm)) for label, norm in norms.items()}
    data = load("digits")
    with alone():
        found = race(makes, data, seeds, **SETTINGS)
    step, chance = 1 / len(data.test_y), 1 / len(data.classes)
    layer, none = contrasts(found, against="dyt", margin=MARGIN, resolution=step, diverged=chance)
    shares = {label: [chance if v is None else v for v in values] for label, values in found.items()}
    said = {label: percent(values, step) for label, values in shares.items()}
    same = both(
        N_("test accuracy {layer} with layer normalization, {dyt} with the tanh; difference {difference} points"),
        layer=said["layer_norm"], dyt=said["dyt"], difference=difference(layer),
    )  # fmt: skip
    better = both(
        N_("test accuracy {none} with nothing, {dyt} with the tanh; difference {difference} points"),
        none=said["none"], dyt=said["dyt"], difference=difference(none),
    )  # fmt: skip
    return [
        Finding(layer.verdict == "equivalent", same, {"accuracies": found}),
        Finding(none.verdict == "worse", better, {"difference": none.difference}),
    ]


def dynamic_tanh(width: int) -> Any:
    """y = weight * tanh(slope * x) + bias, a `torch.nn.Module`; weight starts at 1, bias at 0, slope at `START`.

    Source: Zhu et al., arXiv 2503.10622, section 4.
    """
    import torch
    from torch import Tensor, nn

    class DynamicTanh(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.slope = nn.Parameter(torch.tensor(START))
            self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

        def forward(self, x: Tensor) -> Tensor:
            return self.weight * torch.tanh(self.slope * x) + self.bias

    return DynamicTanh()


claim = Claim(
    letter="n",
    title=both(N_("In a Transformer a tanh with a learnt slope does as well as layer normalization.")),
    source="Zhu, Chen, He, LeCun and Liu, arXiv 2503.10622, sections 4 and 5",
    setting=both(
        N_("two layers of width 32 with the normalization before each branch, on the digits with each line of pixels "
           "as a token; Adam, batches of 64, 400 steps, each at its better learning rate")
    ),
    conditions=(
        both(N_("the difference of the test accuracies is less than one point either way, by its interval")),
        both(N_("the test accuracy with it is higher than with nothing in its place: the interval of the difference "
                "does not hold 0")),
    ),
    measure=measure,
    seeds=8,
    seconds=150,
    needs=("torch",),
)  # fmt: skip
