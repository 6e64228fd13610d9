"""Dynamic tanh: no statistic at all."""

from normlab.definition import AFFINE, Definition, Interval, Option, Param


def forward(ops, x, params, state, options, *, training):
    return ops.affine(ops.tanh(params["alpha"] * x), params)


definition = Definition(
    name="dyt",
    short="dyt", class_name="DyT",
    title="Dynamic tanh", title_ko="동적 tanh(DyT)", family="replacement",
    role="norm", source="Zhu and others, arXiv 2503.10622, equation 1", year=2025, covers=("DyT",), eps=None,
    params=(*AFFINE, Param("alpha", "", lambda options: options["alpha_start"], "slope")), layout="... c",
    options=(Option("alpha_start", 0.5, Interval(0), "alpha at the start"),), forward=forward, invariances=("independent",),
)  # fmt: skip
