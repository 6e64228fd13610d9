"""Conditional batch norm: weight and bias are chosen by a class."""

from normlab.definition import Definition, Input, Interval, Option, Param


def forward(ops, x, params, state, options, *, training, label):
    if training or state["running_mean"] is None:
        mean, var = ops.mean(x, "[n] c [...]"), ops.var(x, "[n] c [...]")
    else:
        mean, var = state["running_mean"], state["running_var"]
    weight = ops.align(ops.einsum("n k, k c -> n c", label, params["weight"]), "n c", x)
    bias = ops.align(ops.einsum("n k, k c -> n c", label, params["bias"]), "n c", x)
    y = (x - mean) / ops.sqrt(var + options["eps"]) * weight + bias
    if not training or state["running_mean"] is None:
        return y
    m = options["momentum"]
    return y, {
        "running_mean": state["running_mean"] + m * (mean - state["running_mean"]),
        "running_var": state["running_var"] + m * (var - state["running_var"]),
    }


definition = Definition(
    name="conditional_batch_norm",
    short="cbn", class_name="ConditionalBatchNorm",
    title="Conditional batch normalization",
    title_ko="조건부 배치 정규화", family="conditional", role="condition",
    source="de Vries and others, arXiv 1707.00683, section 3.2", year=2017, covers=("Conditional IN / BN",),
    pools="[n] c [...]", inputs=(Input("label", "n k", "the class of each sample, one-hot"),),
    params=(Param("weight", "k c", 1.0), Param("bias", "k c", 0.0)), affine=(None, None),
    options=(Option("classes", 3, Interval(1, whole=True), "number of classes", factor="k"),), forward=forward,
)  # fmt: skip
