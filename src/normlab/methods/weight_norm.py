"""Weight normalization: length and direction of every unit's weights apart, w = g v / ||v||."""

from normlab.definition import Definition, KnownAs, OneOf, Option, Param, Worked


def start(ops, v, params, options, respond):
    """g by the option `start`: the length of v (so w = v), one, or from data, so that each unit's response is (0, 1).

    From data (section 3 of the paper): t = response of v / ||v||, g = 1 / std(t), and a bias of -mean(t) / std(t).
    """
    g = params["g"]
    axes = tuple(range(1, v.ndim))
    length = ops.sqrt((v * v).sum(axis=axes))
    if options["start"] == "norm":
        return {"g": length}
    if options["start"] == "one":
        return {"g": 0.0 * g + 1.0}
    if respond is None:
        raise ValueError("weight_norm: start='data' needs the responses to a batch; use it inside a network.")
    t = respond(v / length.reshape(-1, *(1 for _ in axes)))
    others = (0, *range(2, t.ndim))
    mean = t.mean(axis=others)
    std = ops.sqrt(((t - t.mean(axis=others, keepdims=True)) ** 2).mean(axis=others))  # frameworks' own std differ
    return {"g": 1.0 / std, "bias": -mean / std}


definition = Definition(
    name="weight_norm",
    short="wn",
    class_name="WeightNorm",
    title="Weight normalization",
    title_ko="가중치 정규화",
    family="weight",
    role="weight",
    source="Salimans and Kingma, arXiv 1602.07868, equations 2 and 3",
    year=2016,
    covers=("Weight norm",),
    pools="o [i ...]",
    centre=False,
    spread="l2",
    eps=None,
    params=(Param("g", "o", 1.0, "the length of a unit's weights"),),
    options=(
        Option("start", "norm", OneOf("norm", "one", "data"), "g at the start: the length of v, one, or from data"),
    ),
    layout="o i ...",
    subject="v",
    affine=("g", None),
    start=start,
    invariances=("scale",),
    known_as=(
        KnownAs("torch.nn.utils.parametrizations.weight_norm", {}, "g keeps axes of size 1"),
        KnownAs("flax.nnx.WeightNorm", {}, "g starts at 1; kernels are i o"),
    ),
    worked=Worked(
        x=[[3.0, 4.0], [0.0, 5.0]],
        y=[[6.0, 8.0], [0.0, 1.0]],
        arrays={"g": [10.0, 1.0]},
        derivation=("||v|| = (5, 5)", "w = (10 * 3 / 5, 10 * 4 / 5), (1 * 0 / 5, 1 * 5 / 5)"),
    ),
)
