"""What the batch does to a method that pools over it, and what it does for one that does not."""

from __future__ import annotations

from ...language import N_
from ..rule import AGAINST, EXCLUDES, FOR, STRONGLY_AGAINST, STRONGLY_FOR, Rule
from .words import DENSE, ENOUGH, MAPS, ONE, SOME, TINY

__all__ = ["RULES"]

RULES = (
    Rule(
        "bn-two-functions", "batch_norm", EXCLUDES,
        N_(
            "Training uses the batch's statistics, evaluation running averages: two functions, and samples of a batch "
            "leak into each other."
        ),
        {"agree": ("yes",)}, source="1502.03167, sec. 3.1; 1911.05722, sec. 3.3",
        over=("bn-convolutions", "bn-sigmoid", "bn-sigmoid-inception"),
    ),
    Rule(
        "whole-two-functions", "whole_norm", EXCLUDES,
        N_("It pools over the batch as well: samples disturb each other, and evaluation needs running averages."),
        {"agree": ("yes",)}, shows="normlab guide whole",
    ),
    Rule(
        "bn-set-of-one", "batch_norm", EXCLUDES,
        N_("A single sample in a dense layer is its own mean: nothing is left of it, and the layer here refuses."),
        {"batch": ONE, "net": DENSE}, shows="normlab guide bn", over=("bn-sigmoid", "bn-sigmoid-inception"),
    ),
    Rule(
        "bn-one", "batch_norm", STRONGLY_AGAINST,
        N_("One sample is no batch: what it estimates is that sample, and evaluation uses something else."),
        {"batch": ONE}, shows="normlab guide bn",
    ),
    Rule(
        "bn-tiny", "batch_norm", STRONGLY_AGAINST,
        N_("Its error grows as the batch shrinks: ResNet-50 23.6 % with 32 images on each GPU, 34.7 % with 2."),
        {"batch": (*ONE, *TINY)}, source="1803.08494, Table 2", claim="d",
    ),
    Rule(
        "bn-plus-minus-one", "batch_norm", STRONGLY_AGAINST,
        N_("With two samples in a dense layer every output is +1 or -1, whatever went in."),
        {"batch": TINY, "net": DENSE}, shows="normlab guide bn",
    ),
    Rule(
        "bn-luck", "batch_norm", AGAINST,
        N_(
            "Statistics of few samples are partly luck: the standard deviation comes out between 0.29 and 1.40 of the "
            "true one with 4 samples, between 0.77 and 1.18 with 32."
        ),
        {"batch": SOME}, shows="normlab guide bn", claim="d",
    ),
    Rule(
        "whole-few", "whole_norm", FOR,
        N_("Two scalars from very many elements: 2 samples of 100 units give a standard deviation within 8 % already."),
        {"batch": TINY}, shows="normlab guide whole",
    ),
    Rule(
        "whole-unused", "whole_norm", STRONGLY_AGAINST,
        N_("Hardly anybody uses it, so there is little experience to lean on."),
        source="2012.02782", shows="normlab guide whole",
    ),
    Rule(
        "ln-agrees", "layer_norm", FOR,
        N_("One function in training and evaluation, no running averages; a batch of one will do."),
        {"agree": ("yes",)}, source="1607.06450, sec. 3", claim="e",
    ),
    Rule(
        "rms-agrees", "rms_norm", FOR,
        N_("No batch, no running averages, the same in training and evaluation."),
        {"agree": ("yes",)}, shows="normlab guide rms --steps",
    ),
    Rule(
        "gn-agrees", "group_norm", FOR,
        N_("The same function in training and evaluation; a sample comes out alike alone and among others."),
        {"agree": ("yes",)}, source="1803.08494, eq. 7", shows="normlab guide gn",
    ),
    Rule(
        "gn-in-its-place", "group_norm", STRONGLY_FOR,
        N_("Where the batch may play no part it costs half a point in a convolutional network: 24.1 % against 23.6 %."),
        {"agree": ("yes",), "net": ("cnn",), "batch": ENOUGH}, source="1803.08494, Table 2", claim="d",
    ),
    Rule(
        "unit-agrees", "unit_norm", FOR,
        N_("No batch, no running average: a sample alone gives the same bytes as among 99 others."),
        {"agree": ("yes",), "data": ("embeddings",)}, shows="normlab guide unit",
    ),
    Rule(
        "in-agrees", "instance_norm", FOR,
        N_("One image never disturbs another, and both modes are the same while running statistics are off."),
        {"agree": ("yes",), "net": (*MAPS, "transformer", "rnn")}, shows="normlab guide in --steps",
    ),
    Rule(
        "selu-agrees", "selu", FOR,
        N_("No statistics and one mode: nothing can differ between training and evaluation."),
        {"agree": ("yes",)}, shows="normlab guide selu",
    ),
    Rule(
        "wn-agrees", "weight_norm", FOR,
        N_("It looks at weights only: no batch, no noise, the same in training and evaluation."),
        {"agree": ("yes",)}, source="1602.07868, abstract",
    ),
)  # fmt: skip
