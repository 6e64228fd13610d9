"""Filter response normalization with its thresholded linear unit."""

from normlab.definition import AFFINE, Definition, Param


def forward(ops, x, params, state, options, *, training):
    y = ops.affine(ops.standardize(x, "n c [...]", eps=options["eps"], centre=False), params)
    return ops.maximum(y, params["tau"])


definition = Definition(
    name="frn_tlu",
    short="frn", class_name="FilterResponseNorm",
    title="Filter response normalization with TLU",
    title_ko="필터 반응 정규화와 TLU", family="activation", role="norm_and_activation",
    source="Singh and Krishnan, arXiv 1911.09737, equations 1 to 3", year=2019, covers=("FRN + TLU",),
    pools="n c [...]", centre=False, spread="rms", eps=1e-6, params=(*AFFINE, Param("tau", "c", 0.0, "threshold")),
    forward=forward, invariances=("independent",),
)  # fmt: skip
