"""Dense layers: tables, and the study note's question about sigmoid."""

from __future__ import annotations

from ...language import N_
from ..rule import AGAINST, EXCLUDES, FOR, STRONGLY_AGAINST, STRONGLY_FOR, Rule
from .words import DENSE, ENOUGH, MANY

__all__ = ["RULES"]

SIGMOID = {"net": ("sigmoid_mlp",)}
TWENTY = "normlab compare none bn {} --layers 20"

RULES = (
    Rule(
        "bn-sigmoid", "batch_norm", STRONGLY_FOR,
        N_("Gradients survive sigmoid: a gain of 1.02 a layer instead of 0.24, so layer 1 of 20 still learns."),
        SIGMOID, claim="a", shows="normlab compare none bn --layers 20",
    ),
    Rule(
        "bn-sigmoid-inception", "batch_norm", STRONGLY_FOR,
        N_("On ImageNet Inception with sigmoid reached 69.8 % with it, and never rose above chance without."),
        SIGMOID, source="1502.03167, sec. 4.2.2",
    ),
    Rule(
        "bn-start", "batch_norm", FOR,
        N_("The scale of the weights before it, and their bias, stop mattering: a forgiving start."),
        {"net": DENSE, "batch": ENOUGH}, shows="normlab compare none bn --preset note-5", claim="c",
    ),
    Rule(
        "bn-dense-32", "batch_norm", FOR,
        N_("From 32 samples on its estimates are steady: nine of ten within 0.77 and 1.18 of the true deviation."),
        {"net": DENSE, "batch": MANY}, shows="normlab guide bn",
    ),
    Rule(
        "selu-tables", "selu", STRONGLY_FOR,
        N_("Best of seven kinds of dense networks on 121 tables of the UCI collection."),
        {"net": ("mlp",), "data": ("table",)}, source="1706.02515, Table 1",
    ),
    Rule(
        "selu-attracts", "selu", FOR,
        N_("Mean 0 and variance 1 attract: the signal lives through 20 layers without any statistic or batch."),
        {"net": DENSE}, source="1706.02515, Theorems 1 to 3", claim="h",
        shows="normlab compare none selu bn --layers 20",
    ),
    Rule(
        "selu-instead", "selu", FOR,
        N_("In place of sigmoid in the hidden layers it keeps the gradient: layer 1 gets as much as the last."),
        SIGMOID, shows="normlab compare none selu bn --layers 20",
    ),
    Rule(
        "selu-all-or-nothing", "selu", AGAINST,
        N_("All or nothing: SELU in every layer, LeCun's initialization, standardized inputs, alpha dropout."),
        {"net": DENSE}, source="1706.02515, Theorem 1", claim="h",
    ),
    Rule(
        "adrop-with-selu", "alpha_dropout", FOR,
        N_(
            "Where SELU is used, in place of plain dropout: over 20 layers the variance stays at 1.00 instead of "
            "growing to 1.61."
        ),
        {"net": ("mlp",)}, source="1706.02515, sec. 2", claim="h", shows="normlab guide adrop",
    ),
    Rule(
        "fw-table", "feature_wise", STRONGLY_FOR,
        N_("Before training each column gets the scaler that suits it: over four learners it beat one scaler for all."),
        {"data": ("table",)}, source="Singh and Singh, Pattern Recognition 122, 108307, 2022, abstract", claim="m",
    ),
    Rule(
        "fw-often-nothing", "feature_wise", AGAINST,
        N_("Often it gains nothing over a z-score of each column (wine 0.953 and 0.955): try that first."),
        {"data": ("table",)}, shows="normlab guide fw", claim="m",
    ),
    Rule(
        "unit-table", "unit_norm", STRONGLY_AGAINST,
        N_("One column in large units decides the length: 5 neighbours fall from 0.931 to 0.919 on breast cancer."),
        {"data": ("table",)}, shows="normlab guide unit",
    ),
    Rule(
        "ln-sigmoid", "layer_norm", STRONGLY_AGAINST,
        N_("The offsets between units stay, and sigmoid dies: first over last is about 2e-8 after 20 layers."),
        SIGMOID, shows=TWENTY.format("ln"),
    ),
    Rule(
        "gn-sigmoid", "group_norm", STRONGLY_AGAINST,
        N_("It does not rescue sigmoid: first over last is about 3e-8 after 20 layers with 4 groups."),
        SIGMOID, shows=TWENTY.format("gn:groups=4"),
    ),
    Rule(
        "whole-sigmoid", "whole_norm", STRONGLY_AGAINST,
        N_("It does not make the units equal, and sigmoid's gradient dies as with layer normalization."),
        SIGMOID, shows=TWENTY.format("whole_norm"),
    ),
    Rule(
        "rms-sigmoid", "rms_norm", STRONGLY_AGAINST,
        N_("As layer normalization it leaves sigmoid to die: about 2e-8 after 20 layers."),
        SIGMOID, shows=TWENTY.format("rms"),
    ),
    Rule(
        "sn-shrinks", "spectral_norm", STRONGLY_AGAINST,
        N_("It shrinks signals: with sigmoid layer 1 gets 1/2300 of the gradient of layer 5, without anything 1/190."),
        {"net": DENSE}, shows="normlab compare none sn",
    ),
    Rule(
        "wn-nothing", "weight_norm", AGAINST,
        N_("It says nothing about activations: at its default start all is as without it."),
        {"net": DENSE}, shows="normlab compare none wn --layers 20", claim="i",
    ),
    Rule(
        "lrn-sigmoid", "local_response_norm", STRONGLY_AGAINST,
        N_("It makes a vanishing gradient worse, since sigmoid gets smaller numbers."),
        SIGMOID, shows="normlab compare none lrn:k=2 lrn:k=1",
    ),
    Rule(
        "ln-relu", "layer_norm", FOR,
        N_(
            "With ReLU the gradient's gain is about 1 a layer, with tanh 1.09: depth is no problem, and it needs no "
            "batch."
        ),
        {"net": ("mlp",)}, shows="normlab compare none bn ln --activation relu --init he --layers 20",
    ),
    Rule(
        "ln-magnitude", "layer_norm", AGAINST,
        N_("The magnitude of a sample is lost: ten times the input is the same output."),
        {"net": ("mlp",)}, shows="normlab guide ln",
    ),
    Rule(
        "in-set-of-one", "instance_norm", EXCLUDES,
        N_("Not defined for dense features: a set of one element, which the layer here refuses."),
        {"net": DENSE}, shows="normlab compare none in", over=("in-style",),
    ),
)  # fmt: skip
