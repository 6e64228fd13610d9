"""Convolutional networks that recognize, find and make images."""

from __future__ import annotations

from ...language import N_
from ..rule import AGAINST, FOR, STRONGLY_AGAINST, STRONGLY_FOR, Rule
from .words import ENOUGH, MANY, MAPS, SMALL

__all__ = ["RULES"]

RULES = (
    Rule(
        "bn-convolutions", "batch_norm", STRONGLY_FOR,
        N_(
            "Right behind each convolution it is what ResNet, Inception and most networks for recognition are built "
            "on."
        ),
        {"net": ("cnn",), "batch": ENOUGH}, source="1512.03385, sec. 3.4",
    ),
    Rule(
        "bn-32", "batch_norm", FOR,
        N_("With 32 images on each GPU ResNet-50's error is 23.6 %; with group normalization it is 24.1 %."),
        {"net": ("cnn",), "batch": MANY}, source="1803.08494, Table 2", claim="d",
    ),
    Rule(
        "bn-rates", "batch_norm", FOR,
        N_("It allows larger learning rates: Inception reached its old accuracy in 14 times fewer steps."),
        {"net": ("cnn", "unet", "mlp", "sigmoid_mlp"), "batch": ENOUGH}, source="1502.03167, sec. 4.2.1 and 4.2.2",
        claim="b",
    ),
    Rule(
        "bn-folds", "batch_norm", FOR,
        N_("Free at inference: with fixed statistics the layer before absorbs it."),
        {"net": ("cnn", "unet", "mlp", "sigmoid_mlp")}, source="1502.03167, Algorithm 2",
    ),
    Rule(
        "bn-explodes", "batch_norm", AGAINST,
        N_("Without skip connections gradients grow with depth at initialization: by 1.21 a layer with ReLU."),
        {"net": ("cnn", "mlp")}, source="1902.08129, abstract",
        shows="normlab compare none bn --activation relu --init he --layers 20",
    ),
    Rule(
        "gn-flat", "group_norm", STRONGLY_FOR,
        N_("Its error does not depend on the batch: ResNet-50 has 24.0 to 24.2 %, be it 32 images on each GPU or 2."),
        {"net": ("cnn",), "batch": SMALL}, source="1803.08494, Table 2", claim="d",
    ),
    Rule(
        "gn-half-a-point", "group_norm", AGAINST,
        N_(
            "Half a point behind batch normalization at large batches: the noise of the batch, which regularizes, is "
            "missing."
        ),
        {"net": ("cnn",), "batch": ENOUGH}, source="1803.08494, sec. 4.1",
    ),
    Rule(
        "gn-learns", "group_norm", FOR,
        N_("It learns as easily as batch normalization: its training error was even lower."),
        {"net": ("cnn",)}, source="1803.08494, sec. 4.1",
    ),
    Rule(
        "gn-alone", "group_norm", FOR,
        N_("No running averages and no batch in it: nothing to go wrong between training and evaluation."),
        {"net": MAPS}, shows="normlab guide gn --steps",
    ),
    Rule(
        "gn-tasks", "group_norm", STRONGLY_FOR,
        N_("Better than batch normalization in detection and segmentation on COCO and on video (Kinetics)."),
        {"net": ("unet",)}, source="1803.08494, abstract",
    ),
    Rule(
        "gn-diffusion", "group_norm", FOR,
        N_("The U-Net of denoising diffusion models, and its successors, use it."),
        {"net": ("unet",)}, source="2006.11239, appendix B",
    ),
    Rule(
        "gn-every-call", "group_norm", AGAINST,
        N_("It pays at every call, at inference too, and the number of groups is one more setting."),
        {"net": MAPS}, source="1803.08494, eq. 7; 1803.08494, Table 3",
    ),
    Rule(
        "ln-weaker", "layer_norm", STRONGLY_AGAINST,
        N_("In a classical convolutional network it is weaker: ResNet-50 25.3 % against 23.6 %."),
        {"net": MAPS, "data": ("images", "style")}, source="1803.08494, Table 1",
    ),
    Rule(
        "ln-convnext", "layer_norm", FOR,
        N_("ConvNeXt, modernized by other means, works as well with it as with batch normalization."),
        {"net": ("cnn",), "data": ("images",)}, source="2201.03545, sec. 2.6",
    ),
    Rule(
        "in-recognition", "instance_norm", STRONGLY_AGAINST,
        N_("Recognition suffers, because the strength of a feature is information: ResNet-50 28.4 % against 23.6 %."),
        {"net": ("cnn", "unet"), "data": ("images", "sequences", "embeddings")}, source="1803.08494, Table 1",
    ),
    Rule(
        "wn-behind", "weight_norm", STRONGLY_AGAINST,
        N_("On ImageNet with ResNet-50 it ended about 6 points below batch normalization, and trained less steadily."),
        {"net": ("cnn", "unet"), "data": ("images",)}, source="1709.08145, abstract",
    ),
    Rule(
        "lrn-constant", "local_response_norm", STRONGLY_AGAINST,
        N_(
            "At activations of order one it is the constant 0.5946, and shrinking by that harms. Choose it only to "
            "rerun networks of 2012 to 2014."
        ),
        {"net": MAPS}, shows="normlab guide lrn", claim="j",
    ),
    Rule(
        "lrn-alexnet", "local_response_norm", FOR,
        N_("AlexNet's top-1 and top-5 errors fell by 1.4 and 1.2 points with it, at responses in the hundreds."),
        {"net": ("cnn",), "data": ("images",)}, source="Krizhevsky, Sutskever, Hinton, NeurIPS 2012, sec. 3.3",
    ),
    Rule(
        "lrn-vgg", "local_response_norm", AGAINST,
        N_("VGG tried it: top-1 error 29.7 % with and 29.6 % without, for more memory and time."),
        {"net": ("cnn",), "data": ("images",)}, source="1409.1556, sec. 2.1, Table 3",
    ),
)  # fmt: skip
