"""Weight standardization: the weights of every unit by their own mean and variance."""

from normlab.definition import Definition

definition = Definition(
    name="weight_standardization",
    short="ws", class_name="WeightStandardization",
    title="Weight standardization",
    title_ko="가중치 표준화", family="weight", role="weight",
    source="Qiao and others, arXiv 1903.10520, equation 5",
    year=2019, covers=("Weight standardization",), pools="o [i ...]", layout="o i ...", subject="w",
    affine=(None, None), invariances=("shift", "scale"),
)  # fmt: skip
