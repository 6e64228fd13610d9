"""Alpha dropout: drops to SELU's lower limit and rescales, so that mean 0 and variance 1 stay."""

from normlab.definition import Definition, Interval, KnownAs, Option, Worked

LIMIT = -1.7580993408473766  # -scale * alpha of SELU, its value at minus infinity


def forward(ops, x, params, state, options, *, training):
    """a * (x kept, LIMIT where dropped) + b, with a and b such that (0, 1) stays (0, 1)."""
    p = options["p"]
    if not training or p == 0:
        return x
    if p == 1:
        return 0.0 * x
    keep = 1.0 - p
    a = (keep + LIMIT * LIMIT * keep * p) ** -0.5
    kept = ops.random(x.shape) < keep
    return a * ops.where(kept, x, LIMIT) - a * p * LIMIT


definition = Definition(
    name="alpha_dropout",
    short="adrop",
    class_name="AlphaDropout",
    title="Alpha dropout",
    title_ko="알파 드롭아웃",
    family="self_normalizing",
    role="dropout",
    source="Klambauer and others, arXiv 1706.02515, section 'New dropout technique'",
    year=2017,
    covers=("Alpha dropout",),
    eps=None,
    init="lecun_normal",
    activation="selu",
    options=(Option("p", 0.05, Interval(0, 1), "the probability of dropping"),),
    layout="...",
    affine=(None, None),
    forward=forward,
    known_as=(
        KnownAs("torch.nn.AlphaDropout", {"p": "p"}, "p 0.5 by default"),
        KnownAs("keras.layers.AlphaDropout", {"rate": "p"}),
    ),
    worked=Worked(x=[[1.0, -1.0]], y=[[1.0, -1.0]], options={"p": 0.0}, derivation=("p = 0: y = x",)),
)
