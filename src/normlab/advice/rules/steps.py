"""Tokens and time steps: Transformers and recurrent networks."""

from __future__ import annotations

from ...language import N_
from ..rule import AGAINST, FOR, STRONGLY_AGAINST, STRONGLY_FOR, Rule

__all__ = ["RULES"]

STEPS = ("tokens", "sequences")

RULES = (
    Rule(
        "ln-transformer", "layer_norm", STRONGLY_FOR,
        N_("Transformers were built on it: one set for each token, whatever the length and the batch."),
        {"net": ("transformer",)}, source="1706.03762, sec. 3.1",
    ),
    Rule(
        "rms-transformer", "rms_norm", STRONGLY_FOR,
        N_("T5 and Llama, and most open language models since, stand on it."),
        {"net": ("transformer",)}, source="1910.10683, sec. 2.1; 2302.13971, sec. 2.2",
    ),
    Rule(
        "rms-cheaper", "rms_norm", FOR,
        N_("It leaves out the mean: about layer normalization's quality in less time, by 7 to 64 percent."),
        {"net": ("transformer", "rnn")}, source="1910.07467, abstract", claim="k",
    ),
    Rule(
        "rms-language", "rms_norm", FOR,
        N_("Llama puts it in front of each sub-layer."),
        {"net": ("transformer",), "data": ("tokens",)}, source="2302.13971, sec. 2.2",
    ),
    Rule(
        "rms-mean", "rms_norm", AGAINST,
        N_(
            "The mean stays and eats the scale: 101, 102, 103, 104 leave with a spread of 0.011, layer "
            "normalization's is 1."
        ),
        {"net": ("transformer", "rnn", "mlp")}, shows="normlab guide rms",
    ),
    Rule(
        "ln-place", "layer_norm", FOR,
        N_(
            "In front of each block (pre-norm) or behind it: its place changes the gradients at initialization, so "
            "choose both."
        ),
        {"net": ("transformer",)}, source="2002.04745", claim="l",
    ),
    Rule(
        "ln-every-call", "layer_norm", AGAINST,
        N_("It pays at every call, also at inference: nothing can be folded into the layer before."),
        {"net": ("transformer", "rnn")}, source="1910.07467, abstract",
    ),
    Rule(
        "ln-shift", "layer_norm", FOR,
        N_("The same number added to all features, or a rescaled sample, changes nothing."),
        {"net": ("transformer", "rnn"), "data": ("images", "sequences", "table", "embeddings")},
        source="1607.06450, Table 1",
    ),
    Rule(
        "ln-recurrent", "layer_norm", STRONGLY_FOR,
        N_("Its statistics depend on the current time step only, so a length that was never seen is no problem."),
        {"net": ("rnn",)}, source="1607.06450, sec. 3.1", claim="e",
    ),
    Rule(
        "ln-faster", "layer_norm", FOR,
        N_(
            "Recurrent networks learn faster: an image and sentence model reached its best in three fifths of the "
            "time."
        ),
        {"net": ("rnn",)}, source="1607.06450, sec. 6.1",
    ),
    Rule(
        "ln-steps", "layer_norm", FOR,
        N_("Each time step or token is normalized by itself: padding and other lengths do not touch it."),
        {"data": STEPS, "net": ("cnn", "unet", "rnn", "mlp", "sigmoid_mlp", "gan")}, source="1607.06450, sec. 3.1",
    ),
    Rule(
        "bn-steps", "batch_norm", STRONGLY_AGAINST,
        N_(
            "It needs statistics for each time step and has none for a length that was never seen. What varies is the "
            "length, not the batch."
        ),
        {"data": STEPS, "net": ("rnn", "transformer", "unet", "mlp", "sigmoid_mlp", "gan")},
        source="1607.06450, sec. 3.1",
    ),
    Rule(
        "bn-transformer", "batch_norm", STRONGLY_AGAINST,
        N_("Transformers normalize each token by itself; layer normalization stands in its place."),
        {"net": ("transformer",)}, source="1706.03762, sec. 3.1",
    ),
    Rule(
        "gn-steps", "group_norm", AGAINST,
        N_("It pools positions too, so a token's output depends on those behind it."),
        {"net": ("transformer", "rnn")}, shows="normlab guide gn",
    ),
    Rule(
        "wn-recurrent", "weight_norm", FOR,
        N_("Made for recurrent networks, reinforcement learning and generative models: it does not know the batch."),
        {"net": ("rnn",)}, source="1602.07868, abstract", claim="i",
    ),
    Rule(
        "wn-temporal", "weight_norm", FOR,
        N_("Temporal convolutional networks use it."),
        {"net": ("cnn",), "data": ("sequences",)}, source="1803.01271",
    ),
    Rule(
        "selu-skips", "selu", STRONGLY_AGAINST,
        N_("Its proof holds for dense layers; skip connections, attention and pooling leave it."),
        {"net": ("transformer", "cnn", "unet", "rnn", "gan")}, source="1706.02515, Theorem 1",
        shows="normlab guide selu",
    ),
)  # fmt: skip
