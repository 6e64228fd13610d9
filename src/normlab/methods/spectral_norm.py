"""Spectral normalization: a weight matrix divided by its largest singular value, estimated by power iteration."""

from normlab.definition import Definition, Interval, KnownAs, Option, State, Worked

SHORTEST = 1e-12  # the length below which a vector is not brought to length 1, as in torch


def _unit(ops, a):
    return a / ops.maximum(ops.sqrt((a * a).sum()), SHORTEST)


def forward(ops, w, params, state, options, *, training):
    """(w / sigma, u) with sigma = u W v; u and v are constants to the gradient."""
    u, fixed = state["u"].reshape(-1), ops.stop(w)
    if state["v"] is None:
        v = _unit(ops, ops.einsum("o i ..., o -> i ...", fixed, u))
    else:
        v = state["v"].reshape(fixed.shape[1:])
    for _ in range(options["steps"] if training else 0):
        u = _unit(ops, ops.einsum("o i ..., i ... -> o", fixed, v))
        v = _unit(ops, ops.einsum("o i ..., o -> i ...", fixed, u))
    sigma = (ops.einsum("o i ..., i ... -> o", w, v) * u).sum()
    return w / ops.where(sigma == 0, 1.0, sigma), {"u": u, "v": v}


definition = Definition(
    name="spectral_norm",
    short="sn",
    class_name="SpectralNorm",
    title="Spectral normalization",
    title_ko="스펙트럴 정규화",
    family="weight",
    role="weight",
    source="Miyato and others, arXiv 1802.05957, algorithm 1",
    year=2018,
    covers=("Spectral norm",),
    eps=None,
    state=(
        State("u", "o", "unit normal", "the estimate of the first left singular vector"),
        # It follows from u and w; kept, it is the one of the latest step, as in torch.
        State("v", "(i ...)", "unit normal", "the estimate of the first right singular vector", "host"),
    ),
    options=(Option("steps", 1, Interval(0, 10_000, whole=True), "power iterations a training call"),),
    layout="o i ...",
    subject="w",
    affine=(None, None),
    forward=forward,
    invariances=("scale",),
    known_as=(
        KnownAs(
            "torch.nn.utils.parametrizations.spectral_norm", {"n_power_iterations": "steps"},
            "15 iterations at the start",
        ),
        KnownAs("flax.nnx.SpectralNorm", {"n_steps": "steps"}, "kernels are i o"),
    ),
    worked=Worked(
        x=[[3.0, 0.0], [0.0, 1.0]],
        y=[[1.0, 0.0], [0.0, 1.0 / 3.0]],
        arrays={"u": [1.0, 0.0]},
        derivation=("v = W^T u / ||W^T u|| = (1, 0)", "sigma = u W v = 3", "w / sigma = (1, 0), (0, 1/3)"),
    ),
)  # fmt: skip
