"""Style, GANs and vectors compared by their angle."""

from __future__ import annotations

from ...language import N_
from ..rule import AGAINST, FOR, STRONGLY_AGAINST, STRONGLY_FOR, Rule

__all__ = ["RULES"]

STYLE = {"data": ("style",)}
HIDDEN = ("images", "tokens", "sequences", "table", "style")

RULES = (
    Rule(
        "in-style", "instance_norm", STRONGLY_FOR,
        N_("Put in place of batch normalization, it was the small change that made generated images much better."),
        STYLE, source="1607.08022, abstract", claim="f",
    ),
    Rule(
        "in-contrast", "instance_norm", FOR,
        N_("It takes out each image's brightness and contrast, channel by channel, and no other image's."),
        {"data": ("style", "images"), "net": ("cnn", "unet", "gan")}, shows="normlab guide in", claim="f",
    ),
    Rule(
        "in-adain", "instance_norm", FOR,
        N_("Style is two numbers a channel then: another image's mean and spread as weight and bias are AdaIN."),
        STYLE, source="1703.06868, eq. 8",
    ),
    Rule(
        "in-cyclegan", "instance_norm", STRONGLY_FOR,
        N_("In the generators of CycleGAN; spectral normalization would stand in the discriminator beside it."),
        {"data": ("style",), "net": ("gan",)}, source="1703.10593, sec. 4",
    ),
    Rule(
        "bn-style", "batch_norm", STRONGLY_AGAINST,
        N_("Instance normalization in its place, in training and at test time, made the generated images much better."),
        STYLE, source="1607.08022, abstract", claim="f",
    ),
    Rule(
        "bn-contrastive", "batch_norm", STRONGLY_AGAINST,
        N_("Samples leak into each other, which lets a contrastive network cheat at its task."),
        {"data": ("embeddings",)}, source="1911.05722, sec. 3.3",
    ),
    Rule(
        "film-style", "film", STRONGLY_FOR,
        N_("Where one network serves many styles: the condition chooses scale and shift of each map."),
        STYLE, source="1610.07629; 1703.06868",
    ),
    Rule(
        "film-conditions", "film", FOR,
        N_("Where a text, a label or a time step conditions the network (adaLN in DiT)."),
        {"net": ("unet", "gan", "transformer"), "data": ("images",)}, source="2212.09748",
    ),
    Rule(
        "film-heals-nothing", "film", AGAINST,
        N_("It measures nothing and so heals nothing: a normalization stands in front of it."),
        STYLE, shows="normlab compare none film",
    ),
    Rule(
        "sn-lipschitz", "spectral_norm", STRONGLY_FOR,
        N_("Every normalized layer stretches by 1 at most, hence the discriminator is 1-Lipschitz."),
        {"net": ("gan",)}, source="1802.05957, eq. 7 and 8", claim="g",
    ),
    Rule(
        "sn-scores", "spectral_norm", STRONGLY_FOR,
        N_("Inception score 7.42 on CIFAR-10, against 6.68 for WGAN-GP and 6.84 for weight normalization."),
        {"net": ("gan",)}, source="1802.05957, sec. 4.1, Table 2", claim="g",
    ),
    Rule(
        "sn-cheap", "spectral_norm", FOR,
        N_("Cheap: on CIFAR-10 a training step takes 1.1 to 1.2 times as long as with weight normalization."),
        {"net": ("gan",)}, source="1802.05957, sec. 4.1.1",
    ),
    Rule(
        "sn-convolutions", "spectral_norm", AGAINST,
        N_("In a convolution the reshaped matrix is not the operator: the true norm is about 1.5 times as large."),
        {"net": ("gan", "cnn", "unet")}, source="1805.10408", shows="normlab guide sn",
    ),
    Rule(
        "wn-generating", "weight_norm", FOR,
        N_("Generative models of images and sound use it: PixelCNN++, WaveGlow, MelGAN."),
        {"net": ("gan",)}, source="1701.05517; 1811.00002; 1910.06711",
    ),
    Rule(
        "unit-angle", "unit_norm", STRONGLY_FOR,
        N_(
            "On the last embedding: a dot product becomes the cosine, and face embeddings gained 0.2 to 0.4 points on"
            " LFW."
        ),
        {"data": ("embeddings",)}, source="1704.06369, abstract",
    ),
    Rule(
        "unit-contrastive", "unit_norm", STRONGLY_FOR,
        N_("Contrastive learning compares vectors of length one; what it takes out is exposure, gain, length."),
        {"data": ("embeddings",)}, source="2002.05709", shows="normlab guide unit",
    ),
    Rule(
        "unit-last-only", "unit_norm", AGAINST,
        N_("It stands there only; between hidden layers take what comes next in this ranking."),
        {"data": ("embeddings",)}, shows="normlab compare none unit_norm",
    ),
    Rule(
        "unit-hidden", "unit_norm", STRONGLY_AGAINST,
        N_(
            "Inside a network the entries shrink as one over the root of their number; it is no replacement for "
            "others."
        ),
        {"data": HIDDEN}, shows="normlab compare none unit_norm ln bn --preset note-5",
    ),
)  # fmt: skip
