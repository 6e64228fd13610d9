"""FiLM: every feature map scaled and shifted by what a condition says. No statistic, so no normalization by itself."""

from normlab.definition import Definition, Input, Interval, Option, Param, Worked


def forward(ops, x, params, state, options, *, training, weight=None, bias=None, z=None):
    """weight * x + bias; with a condition z, weight - 1 and bias come from one linear map of it."""
    if z is not None:
        made = ops.einsum("n d, k c d -> k n c", z, params["projection"]) + params["offset"][:, None, :]
        weight, bias = 1.0 + made[0], made[1]
    y = x
    if weight is not None:
        y = y * ops.align(weight, "n c" if len(weight.shape) == 2 else "n c ...", x)
    if bias is not None:
        y = y + ops.align(bias, "n c" if len(bias.shape) == 2 else "n c ...", x)
    return y


definition = Definition(
    name="film",
    short="film",
    class_name="FiLM",
    title="Feature-wise linear modulation (FiLM)",
    title_ko="특징별 선형 변조(FiLM)",
    family="conditional",
    role="condition",
    source="Perez and others, arXiv 1709.07871, equations 1 and 2",
    year=2017,
    covers=("FiLM",),
    eps=None,
    inputs=(
        Input("weight", "n c ...", "gamma, one factor for each sample and channel", where="function"),
        Input("bias", "n c ...", "beta, one summand for each sample and channel", required=False, where="function"),
        Input("z", "n d", "the condition, of which the layer makes weight and bias", where="layer"),
    ),
    params=(
        Param("projection", "k c d", "normal", "the linear map from a condition to gamma - 1 and beta", "layer"),
        Param("offset", "k c", 0.0, "its constant", "layer"),
    ),
    options=(Option("condition", 1, Interval(1, 1_000_000, whole=True), "features of the condition z", factor="d"),),
    sizes={"k": 2},
    affine=(None, None),
    forward=forward,
    worked=Worked(
        x=[[1.0, 2.0], [1.0, 2.0]],
        y=[[2.0, 0.0], [1.0, 7.0]],
        arrays={"weight": [[2.0, 0.0], [0.0, 3.0]], "bias": [[0.0, 0.0], [1.0, 1.0]]},
        derivation=("y = (2 * 1 + 0, 0 * 2 + 0), (0 * 1 + 1, 3 * 2 + 1)",),
    ),
)
