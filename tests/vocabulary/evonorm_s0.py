"""EvoNorm-S0: normalization and activation in one."""

from normlab.definition import AFFINE, Definition, Divides, Option, Param


def forward(ops, x, params, state, options, *, training):
    var = ops.var(x, "n (g [c]) [...]", g=options["groups"])
    return ops.affine(x * ops.sigmoid(params["v"] * x) / ops.sqrt(var + options["eps"]), params)


definition = Definition(
    name="evonorm_s0",
    short="evos0", class_name="EvoNormS0",
    title="EvoNorm-S0", title_ko="EvoNorm-S0",
    family="activation", role="norm_and_activation",
    source="Liu and others, arXiv 2004.02967, table 1", year=2020,
    covers=("EvoNorm B0..B2, S0..S2",), pools="n (g [c]) [...]", params=(*AFFINE, Param("v", "c", 1.0, "slope")),
    options=(Option("groups", "auto", Divides(), "groups of channels", factor="g"),), forward=forward,
    invariances=("independent",),
)  # fmt: skip
