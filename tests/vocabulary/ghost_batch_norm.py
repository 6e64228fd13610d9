"""Ghost batch norm: batch norm on slices of the batch."""

from normlab.definition import AFFINE, Definition, Interval, Option, State

definition = Definition(
    name="ghost_batch_norm",
    short="gbn", class_name="GhostBatchNorm",
    title="Ghost batch normalization",
    title_ko="고스트 배치 정규화", family="activation", role="norm",
    source="Hoffer, Hubara and Soudry, arXiv 1705.08741, algorithm 1", year=2017,
    covers=("Ghost BN / GhostNorm / SeqNorm",), pools="(k [n]) c [...]", params=AFFINE,
    state=(State("running_mean", "c", 0.0), State("running_var", "c", 1.0)),
    options=(Option("slices", 2, Interval(1, whole=True), "slices of the batch", factor="k"),),
    invariances=("shift", "scale"),
)  # fmt: skip
