"""Batch renormalization: batch norm corrected towards the running statistics."""

from normlab.definition import AFFINE, Definition, Interval, Option


def forward(ops, x, params, state, options, *, training):
    mean, var = ops.mean(x, "[n] c [...]"), ops.var(x, "[n] c [...]")
    past = ops.sqrt(state["running_var"] + options["eps"])
    if not training:
        return ops.affine((x - state["running_mean"]) / past, params)
    sigma = ops.sqrt(var + options["eps"])
    r = ops.clip(ops.stop(sigma / past), 1 / options["r_max"], options["r_max"])
    d = ops.clip(ops.stop((mean - state["running_mean"]) / past), -options["d_max"], options["d_max"])
    m = options["momentum"]
    fresh = {
        "running_mean": state["running_mean"] + m * (mean - state["running_mean"]),
        "running_var": state["running_var"] + m * (var - state["running_var"]),
    }
    return ops.affine((x - mean) / sigma * r + d, params), fresh


definition = Definition(
    name="batch_renorm",
    short="brn", class_name="BatchRenorm",
    title="Batch renormalization", title_ko="배치 재정규화",
    family="activation", role="norm",
    source="Ioffe, arXiv 1702.03275, algorithm 1", year=2017,
    covers=("Batch renorm",), pools="[n] c [...]", params=AFFINE, forward=forward,
    options=(
        Option("r_max", 3.0, Interval(1), "the largest r"),
        Option("d_max", 5.0, Interval(0), "the largest d"),
    ),
)  # fmt: skip
