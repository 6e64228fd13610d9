"""Per-sample normalization: every sample divided by its own length."""

from normlab.definition import Definition, KnownAs, Worked

definition = Definition(
    name="unit_norm",
    short="unit",
    class_name="UnitNorm",
    title="Per-sample (unit length) normalization",
    title_ko="샘플별(단위 길이) 정규화",
    family="activation",
    role="norm",
    source="torch.nn.functional.normalize, v = v / max(||v||_p, eps) with p = 2",
    year=2017,
    covers=("L2 / unit norm",),
    pools="n [c ...]",
    centre=False,
    spread="l2",
    eps=1e-12,
    eps_rule="floor",
    invariances=("scale", "independent"),
    known_as=(
        KnownAs("torch.nn.functional.normalize", {"eps": "eps"}, "a function; pools one axis, dim=1"),
        KnownAs("keras.layers.UnitNormalization", {}, "pools the axes it is told, by default the last"),
        KnownAs("onnx.LpNormalization", {}, "pools one axis, by default the last; no eps, and zeros stay zeros"),
    ),
    worked=Worked(
        x=[[3.0, 4.0], [30.0, 40.0]],
        y=[[0.6, 0.8], [0.6, 0.8]],
        derivation=(
            "length = (sqrt(9 + 16), sqrt(900 + 1600)) = (5, 50)",
            "y      = (3 / 5, 4 / 5), (30 / 50, 40 / 50)",
        ),
    ),
)
