"""Global response normalization: channels compete by their norms."""

from normlab.definition import Definition, Param


def forward(ops, x, params, state, options, *, training):
    norm = ops.sqrt(ops.sum(x * x, "n c [...]"))
    share = norm / (ops.mean(norm, "n [c] ...") + options["eps"])
    return x + ops.affine(x * share, params)


definition = Definition(
    name="grn",
    short="grn", class_name="GlobalResponseNorm",
    title="Global response normalization",
    title_ko="전역 반응 정규화", family="activation", role="norm",
    source="Woo and others, arXiv 2301.00808, algorithm 1",
    year=2023, covers=("Global response norm (GRN)",), pools="n c [...]", centre=False, eps=1e-6,
    params=(Param("weight", "c", 0.0), Param("bias", "c", 0.0)), forward=forward, invariances=("independent",),
)  # fmt: skip
