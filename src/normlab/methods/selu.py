"""SELU: an activation function whose fixed point is mean 0 and variance 1."""

from normlab.definition import Definition, KnownAs, Worked

ALPHA = 1.6732632423543772848170429916717
SCALE = 1.0507009873554804934193349852946


def forward(ops, x, params, state, options, *, training):
    """scale * (x above 0, alpha * (exp(x) - 1) below)."""
    # exp(x) - 1 as 2 t / (1 - t) with t = tanh(x / 2): near 0 nothing cancels. Above 0 it is not looked at, but must
    # not overflow; `where` rather than `minimum`, whose gradient at 0 would be neither one side's nor the other's.
    t = ops.tanh(ops.where(x > 0, 0.0 * x, 0.5 * x))
    return SCALE * ops.where(x > 0, x, ALPHA * (2.0 * t / (1.0 - t)))


definition = Definition(
    name="selu",
    short="selu",
    class_name="SELU",
    title="SELU (self-normalizing)",
    title_ko="SELU(자기 정규화)",
    family="self_normalizing",
    role="activation",
    source="Klambauer and others, arXiv 1706.02515, equation 2",
    year=2017,
    covers=("SELU",),
    eps=None,
    init="lecun_normal",
    layout="...",
    affine=(None, None),
    forward=forward,
    invariances=("independent",),
    known_as=(KnownAs("torch.nn.SELU"), KnownAs("flax.nnx.selu"), KnownAs("mlx.nn.SELU")),
    worked=Worked(
        x=[[1.0, 0.0, -0.6931471805599453]],
        y=[[1.0507009873554805, 0.0, -0.8790496704236883]],
        derivation=(
            "1 -> 1.0507 * 1 = 1.0507",
            "0 -> 0",
            "-ln 2 -> 1.0507 * 1.6733 * (1/2 - 1) = -0.8790",
        ),
    ),
)
