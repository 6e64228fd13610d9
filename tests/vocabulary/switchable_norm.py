"""Switchable normalization: a learnt mixture of instance, layer and batch statistics."""

from normlab.definition import AFFINE, Definition, Param

LINES = {"instance": "n c [...]", "layer": "n [c ...]", "batch": "[n] c [...]"}


def forward(ops, x, params, state, options, *, training):
    means = [ops.mean(x, line) for line in LINES.values()]
    variances = [ops.var(x, line) for line in LINES.values()]
    fresh, m = None, options["momentum"]
    if training and state["running_mean"] is not None:
        fresh = {
            "running_mean": state["running_mean"] + m * (means[2] - state["running_mean"]),
            "running_var": state["running_var"] + m * (variances[2] - state["running_var"]),
        }
    elif state["running_mean"] is not None:
        means[2], variances[2] = state["running_mean"], state["running_var"]
    a, b = ops.softmax(params["mean_weight"]), ops.softmax(params["var_weight"])
    mean = sum(a[k] * means[k] for k in range(3))
    var = sum(b[k] * variances[k] for k in range(3))
    y = ops.affine((x - mean) / ops.sqrt(var + options["eps"]), params)
    return y if fresh is None else (y, fresh)


definition = Definition(
    name="switchable_norm",
    short="swn", class_name="SwitchableNorm",
    title="Switchable normalization",
    title_ko="전환 가능 정규화", family="activation", role="norm",
    source="Luo and others, arXiv 1806.10779, equation 3",
    year=2018, covers=("Switchable norm",), pools=LINES, sizes={"k": 3}, forward=forward,
    params=(*AFFINE, Param("mean_weight", "k", 1.0), Param("var_weight", "k", 1.0)),
)  # fmt: skip
