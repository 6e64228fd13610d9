"""Feature-wise normalization of input data: every column of a table by the scaler that serves it best."""

from normlab.definition import Definition, Interval, OneOf, Option, Worked

# The names of normlab.data.scalers: this file describes the method, `normlab.data.FeatureWise` computes it.
_SCALERS = (
    "none", "centred", "z_score", "pareto", "variable_stability", "power", "min_max", "max", "decimal",
    "median_mad", "tanh", "tanh_variant", "sigmoid", "logistic", "min_max_signed",
)  # fmt: skip

definition = Definition(
    name="feature_wise",
    short="fw",
    class_name="FeatureWise",
    title="Feature-wise normalization",
    title_ko="특징별 정규화",
    family="data",
    role="input",
    source="Singh and Singh, Pattern Recognition 122, 108307",
    year=2022,
    covers=(),
    pools="[n] c",
    layout="n c",
    eps=None,
    state=(),
    affine=(None, None),
    options=(
        Option("pool", "all", OneOf("all", *_SCALERS), "the scalers to choose from: the paper's 13, or one"),
        Option("cv", 3, Interval(2, whole=True), "folds, inside and outside"),
        Option("restarts", 1, Interval(1, whole=True), "starts of the search"),
        Option("random_state", 0, Interval(0, 2**32 - 1, whole=True), "seed of folds and further starts"),
    ),
    worked=Worked(
        x=[[1.0, 0.0], [3.0, 5.0], [1.0, 10.0], [3.0, 20.0]],
        y=[[-1.0, 0.0], [1.0, 0.25], [-1.0, 0.5], [1.0, 1.0]],
        derivation=(
            "column 1, z_score: mean = (1 + 3 + 1 + 3) / 4 = 2, std = sqrt((1 + 1 + 1 + 1) / 4) = 1",
            "                   y = (1 - 2) / 1, (3 - 2) / 1, (1 - 2) / 1, (3 - 2) / 1",
            "column 2, min_max: min = 0, max - min = 20",
            "                   y = 0 / 20, 5 / 20, 10 / 20, 20 / 20",
        ),
    ),
)
