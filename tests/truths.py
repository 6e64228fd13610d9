"""What a call must give, by the formula in float64, and the scale in whose units each of its numbers may be off.

The scales follow from how errors arise. A normalized z is right to a few units of the largest |z| of its set, so y is
right to that much of max |z| |weight| + |bias|; a gradient to that much of the largest |g weight| / D of its set, D
being what divides; a weight's gradient, the sum of g z, to that much of the sum of |g| max |z|.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import normlab as nl
from comparing import Exact, compare, finfo
from face_base import channel_axis
from faces import COUNT, Done, Work, of, without_kernels
from normlab.definition import Definition
from references import reference

__all__ = ["Scales", "Truth", "check", "truth_of_work"]


class Scales(NamedTuple):
    """What an error is counted in, for each number of a result."""

    y: Any
    dx: Any
    grads: dict[str, Any]
    state: dict[str, Any]


class Truth(NamedTuple):
    done: Done
    exact: Any  # of y and dx, beyond float64, where there is one
    scales: Scales


def truth_of_work(work: Work, beyond: bool = False) -> Truth:
    """By the NumPy face in float64; `beyond`: y and dx by mpmath with 300 bits instead."""
    wide = work.wide()
    with without_kernels():
        done = of("numpy").run(wide)
    scales = _scales_of_sets(wide, done) if work.definition.forward is None else _scales_of_all(wide, done)
    return Truth(done, _beyond(wide) if beyond and wide.x.size else None, scales)


def _beyond(work: Work) -> tuple[Exact, Exact]:
    d, params, state = work.definition, _params(work), work.state or {}
    frozen = "running_var" in state and not work.training
    running = (np.ravel(state["running_mean"]), np.ravel(state["running_var"])) if frozen else None
    found = reference(d, work.x, layout=work.layout, options=work.options, eps=work.eps, arrays=params, running=running,
                      mask=None if frozen else work.mask)  # fmt: skip
    assert work.dy is not None
    return found.y, found.gradients(work.dy)[0]


def _params(work: Work) -> dict[str, np.ndarray]:
    assert work.params is not None
    return dict(work.params)


def _finite(a: np.ndarray) -> float:
    return float(np.max(np.abs(a), initial=0.0, where=np.isfinite(a)))


def _scales_of_all(work: Work, done: Done) -> Scales:
    """Of a method given by its forward: each array's largest number, or that of the call on absolute values.

    There nothing cancels, so it is what the sums were made of. A weight's sums are long and may be taken one by one,
    in eight lanes at least: half a unit for every element of a lane, where all fall the same way. Where they divide,
    and what divides came of a cancellation, the quotient is off by as much more, and its slope by the square of that.
    """
    with without_kernels():
        sums = of("numpy").run(work.absolute())
    growth = 1.0
    if work.definition.role == "weight":
        growth += work.x.size / work.channels / 64
        growth *= max(1.0, _finite(done.y) / max(_finite(sums.y), 1e-300)) ** 2

    def largest(a: np.ndarray | None, b: np.ndarray | None) -> float:
        return 0.0 if a is None or b is None else growth * max(_finite(a), _finite(b))

    return Scales(
        largest(done.y, sums.y), largest(done.dx, sums.dx), {n: largest(g, sums.grads[n]) for n, g in done.grads.items()},
        {n: largest(a, sums.state[n]) for n, a in done.state.items()},
    )  # fmt: skip


def _scales_of_sets(work: Work, done: Done) -> Scales:
    d, x = work.definition, work.x
    if not x.size:
        return Scales(0.0, 0.0, dict.fromkeys(done.grads, 0.0), dict.fromkeys(done.state, 1.0))
    channel = _along_channels(work, np.arange(work.channels))
    weight, bias = (_along_channels(work, _params(work).get(n or "", np.array(e))) for n, e in zip(d.affine, (1.0, 0.0), strict=True))
    sets = _sets(work)
    below, z = _divided(work, sets, channel)
    g = np.zeros(x.shape) if work.dy is None else np.abs(work.dy)
    largest = _largest(z, sets)
    with np.errstate(divide="ignore", invalid="ignore"):
        dx = _largest(np.where(below == 0, 0.0, g * np.abs(weight) / below), sets)
        if work.mask is not None:  # what is masked out may lie many spreads away, and pulls with that weight
            dx = dx * (1.0 + largest) ** 2
    summed = {d.affine[0]: g * largest, d.affine[1]: g}
    grads = {n: np.bincount(channel.ravel(), summed[n].ravel(), work.channels) for n in done.grads}
    state = {n: _finite(x) ** (2 if "var" in n else 1) if "var" not in n else _finite(a) for n, a in done.state.items()}
    return Scales(largest * np.abs(weight) + np.abs(bias), dx, grads, state)


def _along_channels(work: Work, a: np.ndarray) -> np.ndarray:
    """An array of the channels, for every element of x."""
    axis = _channel(work)
    return np.broadcast_to(a.reshape([-1 if k == axis else 1 for k in range(work.x.ndim)]), work.x.shape)


def _sets(work: Work) -> np.ndarray:
    d = work.definition
    options = d.validate(work.options)
    line = d.lines(options)[""].arrange(work.layout or d.layout)
    return nl.shares(line, work.x.shape, **d.factor_sizes(options, work.channels))


def _divided(work: Work, sets: np.ndarray, channel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What divides every element, and the normalized element; plainly, for scales need no last digits."""
    d, state, x = work.definition, work.state or {}, work.x
    eps = (d.eps if work.eps is None else work.eps) or 0.0
    if "running_var" in state and not work.training:
        below = np.sqrt(np.broadcast_to(np.ravel(state["running_var"]), work.channels) + eps)[channel]
        return below, (x - np.broadcast_to(np.ravel(state["running_mean"]), work.channels)[channel]) / below
    counts = np.ones(x.shape) if work.mask is None else np.broadcast_to(np.expand_dims(work.mask, _channel(work)), x.shape)
    below, about = _spread(d, np.where(counts, x, 0.0), sets, counts.astype(float), eps)
    with np.errstate(divide="ignore", invalid="ignore"):
        return below, np.where(below == 0, 0.0, (x - about) / below)


def _channel(work: Work) -> int:
    return channel_axis(work.layout or work.definition.layout, work.x.ndim)


def _spread(
    d: Definition, x: np.ndarray, sets: np.ndarray, counts: np.ndarray, eps: float
) -> tuple[np.ndarray, np.ndarray]:
    def total(a: np.ndarray) -> np.ndarray:
        return np.bincount(sets.ravel(), (a * counts).ravel())

    m = np.maximum(total(np.ones_like(x)), 1.0)
    mean = total(x) / m if d.centre or d.spread == "std" else np.zeros_like(m)
    about = x - mean[sets]
    about = about - (total(about) / m)[sets] if d.centre else about
    assert d.spread in ("std", "rms", "l2"), f"say here what divides by {d.spread}"
    square = total(about**2) / (m if d.spread != "l2" else 1.0)
    rule = {"inside": np.sqrt(square + eps), "outside": np.sqrt(square) + eps, "floor": np.maximum(np.sqrt(square), eps)}
    return rule[d.eps_rule][sets], (mean if d.centre else np.zeros_like(mean))[sets]


def _largest(a: np.ndarray, sets: np.ndarray) -> np.ndarray:
    found = np.zeros(int(sets.max()) + 1)
    np.maximum.at(found, sets.ravel(), np.abs(np.nan_to_num(a, posinf=0.0, neginf=0.0)).ravel())
    return found[sets]


HALF = ("float16", "bfloat16")


def check(who: str, done: Done, truth: Truth, work: Work, *, goal: bool = True) -> None:
    """Raise AssertionError unless everything that came is what it must be, of x's dtype where it belongs to x.

    `goal`: whether the face is one of those for which 2 units are the goal; the others must be right.
    """
    d, dtype, wanted = work.definition, work.x.dtype, truth.done
    half, own = dtype.name in HALF, d.forward is not None
    y, dx = truth.exact or (wanted.y, wanted.dx)
    assert done.y.dtype == dtype, f"{who}: y has {done.y.dtype}"
    forward = "forward, affine" if goal else "forward, affine, elsewhere"
    ours = _no_numbers(work)  # what is masked out and no number: see test_grid_masks
    _within(_without(done.y, ours), _without(y, ours), "half" if half else "transcendental" if own else forward, f"{who}: y", truth.scales.y)
    if work.dy is not None:
        assert done.dx is not None and done.dx.dtype == dtype
        row = "half" if half else "transcendental" if own else "gradient, small set"
        _within(_without(done.dx, ours), _without(dx, ours), row, f"{who}: dx", truth.scales.dx)
        assert done.grads.keys() == wanted.grads.keys(), f"{who}: gradients of {sorted(done.grads)}"
    for name, g in done.grads.items():
        row = "half" if g.dtype.name in HALF else "transcendental" if own else "parameter gradient"
        _within(g, wanted.grads[name], row, f"{who}: gradient of {name}", truth.scales.grads[name])
    assert done.state.keys() == wanted.state.keys(), f"{who}: state {sorted(done.state)}"
    for name, a in done.state.items():
        _check_state(f"{who}: {name}", name, a, wanted.state[name], own, truth.scales.state[name])


def _no_numbers(work: Work) -> np.ndarray:
    if work.mask is None:
        return np.zeros(work.x.shape, bool)
    return np.isnan(work.x) & ~np.expand_dims(work.mask, _channel(work))


def _without(a: Any, where: np.ndarray) -> Any:
    return Exact(*(_without(part, where) for part in a)) if isinstance(a, Exact) else np.where(where, a.dtype.type(0), a)


def _check_state(who: str, name: str, got: np.ndarray, wanted: np.ndarray, own: bool, scale: float) -> None:
    if name == COUNT:
        assert int(got) == int(wanted), f"{who}: {int(got)} instead of {int(wanted)}"
        return
    row = "half" if got.dtype.name in HALF else "transcendental" if own else "running"
    _within(np.atleast_1d(got), np.atleast_1d(wanted), row, who, max(scale, _finite(wanted)))


def _within(got: np.ndarray, wanted: Any, row: str, who: str, scale: Any) -> None:
    """Compare; where halves no longer get finer towards 0 the scale does not either, and beyond their range is inf."""
    limits = finfo(got.dtype)
    if row == "half":
        scale = np.maximum(scale, float(limits.smallest_normal))
        with np.errstate(over="ignore"):
            wanted = np.where(np.isinf(wanted.astype(got.dtype)), wanted.astype(got.dtype).astype(np.float64), wanted)
    compare(got, wanted, row, who, scale=np.broadcast_to(np.asarray(scale, np.float64), got.shape))
