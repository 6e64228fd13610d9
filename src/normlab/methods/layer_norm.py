"""Layer normalization: every sample, or every token, by its own mean and variance over the features."""

from normlab.definition import AFFINE, Choice, Definition, KnownAs, OneOf, Option, Worked

# What timm calls fast rounds to half precision where autocast would not.
_FAST = {"_fast_norm": True}

definition = Definition(
    name="layer_norm",
    short="ln",
    class_name="LayerNorm",
    title="Layer normalization",
    title_ko="레이어 정규화",
    family="activation",
    role="norm",
    source="Ba, Kiros and Hinton, arXiv 1607.06450, equations 3 and 4",
    year=2016,
    covers=("Layer norm", "Channels-first LN (LN2d)"),
    pools=Choice("over", {"features": "... [c]", "sample": "n [c ...]"}),
    params=AFFINE,
    layout="... c",
    options=(
        Option(
            "over", "features", OneOf("features", "sample"),
            "pool the features at each position (tokens), or all of a sample (images)",
        ),
    ),
    invariances=("shift", "scale", "independent"),
    known_as=(
        KnownAs(
            "torch.nn.LayerNorm", {"eps": "eps", "elementwise_affine": "affine", "bias": "bias"},
            channels="normalized_shape",
        ),
        KnownAs(
            "timm.layers.LayerNorm", {"eps": "eps", "affine": "affine"}, "eps 1e-6",
            channels="normalized_shape", unless=_FAST,
        ),
        KnownAs(
            "timm.layers.LayerNorm2d", {"eps": "eps", "affine": "affine"}, "layout n c ...; eps 1e-6",
            channels="normalized_shape", unless=_FAST, fixed={"layout": "n c ..."},
        ),
        KnownAs("flax.nnx.LayerNorm", {"epsilon": "eps"}, "eps 1e-6; one-pass variance unless use_fast_variance=False"),
        KnownAs("keras.layers.LayerNormalization", {"epsilon": "eps"}, "eps 1e-3"),
        KnownAs("mlx.nn.LayerNorm", {"eps": "eps", "affine": "affine", "bias": "bias"}),
        KnownAs("onnx.LayerNormalization", {"epsilon": "eps"}),
    ),
    worked=Worked(
        x=[[1.0, 3.0], [10.0, 30.0]],
        y=[[-1.0, 1.0], [-1.0, 1.0]],
        eps=0.0,
        derivation=(
            "mean = ((1 + 3) / 2, (10 + 30) / 2) = (2, 20)",
            "var  = ((1 + 1) / 2, (100 + 100) / 2) = (1, 100)",
            "y    = ((1 - 2) / 1, (3 - 2) / 1), ((10 - 20) / 10, (30 - 20) / 10)",
        ),
    ),
)  # fmt: skip
