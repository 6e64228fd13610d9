"""Batch normalization: every channel by its mean and variance over the batch and all positions."""

from normlab.definition import AFFINE, Definition, KnownAs, Worked

_TORCH = {"eps": "eps", "momentum": "momentum", "affine": "affine", "track_running_stats": "running"}

definition = Definition(
    name="batch_norm",
    short="bn",
    class_name="BatchNorm",
    title="Batch normalization",
    title_ko="배치 정규화",
    family="activation",
    role="norm",
    source="Ioffe and Szegedy, arXiv 1502.03167, algorithm 1",
    year=2015,
    covers=("Batch norm",),
    pools="[n] c [...]",
    params=AFFINE,
    invariances=("shift", "scale", "permute"),
    known_as=(
        KnownAs("torch.nn.BatchNorm1d", _TORCH, channels="num_features"),
        KnownAs("torch.nn.BatchNorm2d", _TORCH, channels="num_features"),
        KnownAs("torch.nn.BatchNorm3d", _TORCH, channels="num_features"),
        KnownAs(
            "torch.nn.SyncBatchNorm", {**_TORCH, "process_group": "process_group"},
            "process_group=None is all processes; on a CPU it does not merge", channels="num_features",
            fixed={"process_group": "world"},
        ),
        KnownAs(
            "flax.nnx.BatchNorm", {"epsilon": "eps"},
            "channels last; momentum weighs the old value; biased running variance",
        ),
        KnownAs(
            "keras.layers.BatchNormalization", {"epsilon": "eps"},
            "channels last; eps 1e-3; momentum weighs the old value; biased running variance",
        ),
        KnownAs("mlx.nn.BatchNorm", _TORCH, "channels last; before July 2026 the biased running variance"),
    ),
    worked=Worked(
        x=[[0.0, 2.0], [2.0, 6.0]],
        y=[[-1.0, -1.0], [1.0, 1.0]],
        eps=0.0,
        derivation=(
            "mean = ((0 + 2) / 2, (2 + 6) / 2) = (1, 4)",
            "var  = ((1 + 1) / 2, (4 + 4) / 2) = (1, 4)",
            "y    = ((0 - 1) / 1, (2 - 4) / 2), ((2 - 1) / 1, (6 - 4) / 2)",
        ),
    ),
)  # fmt: skip
