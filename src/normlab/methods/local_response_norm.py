"""Local response normalization: every channel divided by a power of the energy of its neighbours."""

from normlab.definition import Definition, Interval, KnownAs, OneOf, Option, Worked


def forward(ops, x, params, state, options, *, training):
    """x / (k + alpha / size * sum of squares in the window)^beta."""
    size = options["size"]
    short, long = (size - 1) // 2, size // 2
    before, after = (long, short) if options["window"] == "torch" else (short, long)
    return ops.window_power(
        x, "c", before, after, k=options["k"], alpha=options["alpha"] / size, beta=options["beta"]
    )


definition = Definition(
    name="local_response_norm",
    short="lrn",
    class_name="LocalResponseNorm",
    title="Local response normalization",
    title_ko="국소 반응 정규화",
    family="activation",
    role="norm",
    source="Krizhevsky, Sutskever and Hinton, NeurIPS 2012, section 3.3",
    year=2012,
    covers=("Local response norm (LRN)",),
    eps=None,
    options=(
        Option("size", 5, Interval(1, whole=True), "channels in the window"),
        Option("alpha", 1e-4, Interval(0), "weight of the energy; it is divided by size (the paper's is not)"),
        Option("beta", 0.75, Interval(0), "the power"),
        Option("k", 1.0, Interval(0, open_low=True), "what is added to the energy (the paper's is 2)"),
        Option("window", "torch", OneOf("torch", "onnx"), "where an even window is longer: before c, or after (onnx)"),
    ),
    affine=(None, None),
    forward=forward,
    invariances=("independent",),
    known_as=(
        KnownAs("torch.nn.LocalResponseNorm", {"size": "size", "alpha": "alpha", "beta": "beta", "k": "k"}),
        KnownAs("onnx.LRN", {"size": "size", "alpha": "alpha", "beta": "beta", "bias": "k"}, "window='onnx'"),
    ),
    worked=Worked(
        x=[[1.0, 2.0, 2.0]],
        y=[[1.0 / 6.0, 2.0 / 10.0, 2.0 / 9.0]],
        options={"size": 3, "alpha": 3.0, "beta": 1.0, "k": 1.0},
        derivation=(
            "energy = (1 + 4, 1 + 4 + 4, 4 + 4) = (5, 9, 8)",
            "y = (1 / (1 + 5), 2 / (1 + 9), 2 / (1 + 8)); alpha / size = 1",
        ),
    ),
)
