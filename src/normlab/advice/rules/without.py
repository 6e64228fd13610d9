"""No normalization at all, which is an answer like the others."""

from __future__ import annotations

from ...language import N_
from ..rule import AGAINST, FOR, STRONGLY_AGAINST, Rule

__all__ = ["RULES"]

RULES = (
    Rule(
        "none-costs-nothing", "none", FOR,
        N_(
            "Nothing to set, no time, nothing that differs in evaluation. Where it trains as well, it is the right "
            "one."
        ),
        shows="normlab compare none bn ln",
    ),
    Rule(
        "none-relu", "none", FOR,
        N_("With ReLU and He's initialization the gradient keeps its size over 20 layers without any: a gain of 1.00."),
        {"net": ("mlp",)}, shows="normlab compare none bn --activation relu --init he --layers 20",
    ),
    Rule(
        "none-sigmoid", "none", STRONGLY_AGAINST,
        N_("With sigmoid the gradient is multiplied by about 0.24 at each layer: 2e-12 is left after 20."),
        {"net": ("sigmoid_mlp",)}, shows="normlab compare none bn --layers 20", claim="a",
    ),
    Rule(
        "none-behind", "none", STRONGLY_AGAINST,
        N_(
            "The note's convolutional network trained worse without: 0.32 to 0.92 with SGD, where batch normalization "
            "has 0.95 to 0.99 (three seeds)."
        ),
        {"net": ("cnn",)}, shows="normlab guide lrn", claim="j",
    ),
    Rule(
        "none-others", "none", AGAINST,
        N_(
            "Deep ones without normalization take measures of another kind: Fixup (1901.09321), NFNet (2102.06171), "
            "DyT (2503.10622). None of these is part of normlab."
        ),
        {"net": ("cnn", "unet", "transformer")}, source="1901.09321; 2102.06171; 2503.10622", claim="n",
    ),
)  # fmt: skip
