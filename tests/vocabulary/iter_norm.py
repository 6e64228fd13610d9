"""IterNorm: whitening by Newton's iterations."""

from normlab.definition import AFFINE, Definition, Divides, Interval, Option, State


def forward(ops, x, params, state, options, *, training):
    groups, m = options["groups"], options["momentum"]
    if not training:
        centred, whitening = x - state["running_mean"], state["whitening"]
    else:
        mean = ops.mean(x, "[n] c [...]")
        centred = x - mean
        count = ops.count(x, "[n] c [...]")
        sigma = ops.einsum("n (g d) ..., n (g e) ... -> g d e", centred, centred, g=groups) / count
        one = ops.eye(sigma.shape[-1])
        sigma = sigma + options["eps"] * one
        trace = (sigma * one).sum(axis=(1, 2), keepdims=True)
        p = one
        for _ in range(options["iterations"]):
            p = 1.5 * p - 0.5 * (p @ p @ p @ (sigma / trace))
        whitening = p / ops.sqrt(trace)
    y = ops.affine(ops.einsum("g d e, n (g e) ... -> n (g d) ...", whitening, centred), params)
    if not training:
        return y
    return y, {
        "running_mean": state["running_mean"] + m * (mean - state["running_mean"]),
        "whitening": state["whitening"] + m * (whitening - state["whitening"]),
    }


definition = Definition(
    name="iter_norm",
    short="itn", class_name="IterNorm",
    title="Iterative normalization", title_ko="반복 정규화(IterNorm)",
    family="whitening", role="norm",
    source="Huang and others, arXiv 1904.03441, algorithm 1", year=2019,
    covers=("IterNorm",), pools="[n] c [...]", eps=1e-5, params=AFFINE, forward=forward,
    sizes={"d": lambda s: s["c"] // s["g"]},
    state=(State("running_mean", "c", 0.0), State("whitening", "g d d", "identity")),
    options=(
        Option("groups", 1, Divides(), "groups of channels", factor="g"),
        Option("iterations", 5, Interval(1, whole=True), "Newton steps"),
        Option("momentum", 0.1, Interval(0, 1), "weight of the new value"),
    ),
)  # fmt: skip
