"""Group normalization: the channels of a sample in groups, each by its own mean and variance."""

from normlab.definition import AFFINE, Definition, Divides, KnownAs, Option, Worked

_TORCH = {"num_groups": "groups", "eps": "eps", "affine": "affine"}

# What timm calls fast rounds to half precision where autocast would not.
_FAST = {"_fast_norm": True}

definition = Definition(
    name="group_norm",
    short="gn",
    class_name="GroupNorm",
    title="Group normalization",
    title_ko="그룹 정규화",
    family="activation",
    role="norm",
    source="Wu and He, arXiv 1803.08494, equations 1 and 7",
    year=2018,
    covers=("Group norm",),
    pools="n (g [c]) [...]",
    params=AFFINE,
    options=(Option("groups", "auto", Divides(), "how many groups of neighbouring channels", factor="g"),),
    invariances=("shift", "scale", "independent"),
    known_as=(
        KnownAs("torch.nn.GroupNorm", _TORCH, channels="num_channels"),
        KnownAs("timm.layers.GroupNorm", _TORCH, channels="num_channels", unless=_FAST),
        KnownAs("timm.layers.GroupNorm1", _TORCH, "one group", channels="num_channels", unless=_FAST),
        KnownAs("flax.nnx.GroupNorm", {"num_groups": "groups", "epsilon": "eps"}, "channels last; eps 1e-6"),
        KnownAs("keras.layers.GroupNormalization", {"groups": "groups", "epsilon": "eps"}, "channels last; eps 1e-3"),
        KnownAs(
            "mlx.nn.GroupNorm", _TORCH,
            "channels last; groups interleave unless pytorch_compatible=True",
        ),
        KnownAs("onnx.GroupNormalization", {"num_groups": "groups", "epsilon": "eps"}, "from opset 21 on"),
    ),
    worked=Worked(
        x=[[1.0, 3.0, 10.0, 30.0]],
        y=[[-1.0, 1.0, -1.0, 1.0]],
        options={"groups": 2},
        eps=0.0,
        derivation=(
            "group 1: mean = (1 + 3) / 2 = 2,    var = (1 + 1) / 2 = 1",
            "group 2: mean = (10 + 30) / 2 = 20, var = (100 + 100) / 2 = 100",
            "y = ((1 - 2) / 1, (3 - 2) / 1, (10 - 20) / 10, (30 - 20) / 10)",
        ),
    ),
)  # fmt: skip
