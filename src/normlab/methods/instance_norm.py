"""Instance normalization: every channel of every sample by its own mean and variance over the positions."""

from normlab.definition import AFFINE, Definition, KnownAs, State, Worked

_TORCH = {"eps": "eps", "momentum": "momentum", "affine": "affine", "track_running_stats": "running"}
_NEVER_MOVES = {"momentum": None}
_DIFFERS = (
    "affine and running statistics off by default; a set of one gives 0 in evaluation; num_batches_tracked never "
    "moves, so momentum=None keeps the start"
)

definition = Definition(
    name="instance_norm",
    short="in",
    class_name="InstanceNorm",
    title="Instance normalization",
    title_ko="인스턴스 정규화",
    family="activation",
    role="norm",
    source="Ulyanov, Vedaldi and Lempitsky, arXiv 1607.08022, equation 4",
    year=2016,
    covers=("Instance norm",),
    pools="n c [...]",
    params=AFFINE,
    # Running statistics are the mean over the samples; hardly anyone wants them, so they are off by default.
    state=(State("running_mean", "c", 0.0), State("running_var", "c", 1.0)),
    running=False,
    invariances=("shift", "scale", "independent"),
    known_as=(
        KnownAs("torch.nn.InstanceNorm1d", _TORCH, _DIFFERS, channels="num_features", unless=_NEVER_MOVES),
        KnownAs("torch.nn.InstanceNorm2d", _TORCH, _DIFFERS, channels="num_features", unless=_NEVER_MOVES),
        KnownAs("torch.nn.InstanceNorm3d", _TORCH, _DIFFERS, channels="num_features", unless=_NEVER_MOVES),
        KnownAs("flax.nnx.InstanceNorm", {"epsilon": "eps"}, "channels last; eps 1e-6"),
        KnownAs("mlx.nn.InstanceNorm", {"eps": "eps", "affine": "affine"}, "channels last; affine off by default"),
        KnownAs("onnx.InstanceNormalization", {"epsilon": "eps"}),
    ),
    worked=Worked(
        x=[[[1.0, 3.0], [10.0, 30.0]]],
        y=[[[-1.0, 1.0], [-1.0, 1.0]]],
        eps=0.0,
        derivation=(
            "channel 1: mean = (1 + 3) / 2 = 2,    var = (1 + 1) / 2 = 1",
            "channel 2: mean = (10 + 30) / 2 = 20, var = (100 + 100) / 2 = 100",
            "y = ((1 - 2) / 1, (3 - 2) / 1), ((10 - 20) / 10, (30 - 20) / 10)",
        ),
    ),
)
