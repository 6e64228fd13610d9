"""Whole-layer normalization: everything a layer gives for a batch, by one mean and one variance."""

from normlab.definition import AFFINE, Definition, Worked

definition = Definition(
    name="whole_norm",
    short="whole",
    class_name="WholeNorm",
    title="Whole-layer normalization",
    title_ko="층 전체 정규화",
    family="activation",
    role="norm",
    source="nearest in print: batch group normalization with one group, arXiv 2012.02782",
    year=2020,
    covers=("Batch group norm",),
    pools="[n c ...]",
    params=AFFINE,
    invariances=("shift", "scale", "permute"),
    worked=Worked(
        x=[[1.0, 1.0], [1.0, 5.0], [5.0, 5.0]],
        y=[[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0]],
        eps=0.0,
        derivation=(
            "mean = (1 + 1 + 1 + 5 + 5 + 5) / 6 = 3",
            "var  = (4 + 4 + 4 + 4 + 4 + 4) / 6 = 4",
            "y    = (x - 3) / 2",
        ),
    ),
)
