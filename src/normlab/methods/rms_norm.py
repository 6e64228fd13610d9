"""RMS normalization: layer normalization without the mean."""

from normlab.definition import AFFINE, Definition, KnownAs, Worked

# What timm calls fast rounds to half precision where autocast would not.
_FAST = {"_fast_norm": True}

definition = Definition(
    name="rms_norm",
    short="rms",
    class_name="RMSNorm",
    title="RMS normalization",
    title_ko="RMS 정규화",
    family="activation",
    role="norm",
    source="Zhang and Sennrich, arXiv 1910.07467, equation 4",
    year=2019,
    covers=("RMSNorm",),
    pools="... [c]",
    centre=False,
    spread="rms",
    params=AFFINE[:1],
    layout="... c",
    invariances=("scale", "independent"),
    known_as=(
        KnownAs(
            "torch.nn.RMSNorm", {"eps": "eps", "elementwise_affine": "affine"},
            "eps=None is finfo(dtype).eps, of float32 where that is half precision", channels="normalized_shape",
        ),
        KnownAs(
            "timm.layers.RmsNorm", {"eps": "eps", "affine": "affine"}, "eps 1e-6",
            channels="normalized_shape", unless=_FAST,
        ),
        KnownAs(
            "timm.layers.RmsNorm2d", {"eps": "eps", "affine": "affine"}, "layout n c ...; eps 1e-6",
            channels="normalized_shape", unless=_FAST, fixed={"layout": "n c ..."},
        ),
        KnownAs("flax.nnx.RMSNorm", {"epsilon": "eps"}, "eps 1e-6"),
        KnownAs("keras.layers.RMSNormalization", {"epsilon": "eps"}, "eps 1e-6"),
        KnownAs("mlx.nn.RMSNorm", {"eps": "eps"}),
        KnownAs("onnx.RMSNormalization", {"epsilon": "eps"}),
    ),
    worked=Worked(
        x=[[1.0, 7.0], [-10.0, 70.0]],
        y=[[0.2, 1.4], [-0.2, 1.4]],
        eps=0.0,
        derivation=(
            "rms = (sqrt((1 + 49) / 2), sqrt((100 + 4900) / 2)) = (5, 50)",
            "y   = (1 / 5, 7 / 5), (-10 / 50, 70 / 50)",
        ),
    ),
)  # fmt: skip
