"""The rows of elsewhere.md: a situation, and how what a library makes of it is judged."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import hard_inputs as hard
from accurate import row_sets
from comparing import Exact, error
from elsewhere_libraries import Absent, Library, Normlab, threads
from long_references import long_reference
from test_numerics_range import outside

GOAL = {"float16": 1.0, "float32": 2.0, "float64": 2.0}
Say = Callable[[Library], str]
Row = tuple[str, Say]


def off(got: np.ndarray, wanted: Exact, goal: float | None = None) -> str:
    """How far a result is off, every row a set; infinite and NaN are said as they are."""
    got = np.ascontiguousarray(got)
    if np.any(np.isnan(got)):
        return f"NaN in {int(np.isnan(got).any(axis=1).sum())} of {len(got)} sets"
    if np.any(np.isinf(got)):
        return f"infinite in {int(np.isinf(got).any(axis=1).sum())} of {len(got)} sets"
    zeros = ~np.any(got, axis=1) & np.any(wanted.high, axis=1)
    if np.any(zeros):
        return f"0 throughout in {int(zeros.sum())} of {len(got)} sets"
    if got.dtype.name not in GOAL:
        return f"gives {got.dtype}"
    worst = float(np.max(error(got, wanted, row_sets(got)), initial=0.0))
    goal = GOAL[got.dtype.name] if goal is None else goal
    return f"right ({worst:.2g})" if worst <= goal else f"off by {worst:,.3g}"


def same_dtype(y: np.ndarray, x: np.ndarray, wanted: Exact) -> str:
    return off(y, wanted) if y.dtype == x.dtype else f"gives {y.dtype}"


def yes(true: object, otherwise: str) -> str:
    return "right" if true else otherwise


def layer(x: np.ndarray, eps: float = 1e-5, name: str = "layer norm") -> Row:
    """Layer norm of rows."""
    truth = long_reference(x, eps=eps).z
    return f"{name}, {x.dtype}", lambda lib: same_dtype(lib.layer(x, eps), x, truth)


def near_1e200() -> Row:
    x = np.random.default_rng(0).standard_normal((4, 64)) * 2.0**664
    truth = long_reference(x * 2.0**-664, eps=0.0).z  # eps does not show at that size
    return "layer norm near 1e200, float64", lambda lib: same_dtype(lib.layer(x), x, truth)


def columns(x: np.ndarray) -> Row:
    """Batch norm: columns are sets."""
    truth = long_reference(np.ascontiguousarray(x.T)).z
    return f"batch norm, {x.dtype}", lambda lib: same_dtype(lib.batch(x).T, x, truth)


def rms(x: np.ndarray, eps: float) -> Row:
    truth = long_reference(x, centre=False, spread="rms", eps=eps).z
    return f"RMS norm, {x.dtype}, eps {eps:g}", lambda lib: same_dtype(lib.rms(x, eps), x, truth)


def groups(x: np.ndarray, count: int, what: str) -> Row:
    def flat(y: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(y).reshape(x.shape[0] * count, -1)

    truth = long_reference(flat(x)).z
    return f"group norm, {what}", lambda lib: same_dtype(flat(lib.group(x, count)), x, truth)


def noise(y: np.ndarray) -> str:
    return "NaN" if np.any(np.isnan(y)) else yes(not np.any(y), f"{np.abs(y).max():.2g} of noise")


def constant(value: float) -> list[Row]:
    x = hard.constant_rows(value)
    return [
        (f"batch norm of {value:g} throughout", lambda lib: noise(lib.batch(x))),
        (f"layer norm of {value:g} throughout", lambda lib: noise(lib.layer(x))),
        (f"layer norm of {value:g} throughout, eps 0", lambda lib: noise(lib.layer(x, 0.0))),
    ]


def alone() -> Row:
    """Sets of one: 0 throughout is a layer from which a network learns nothing, without a word."""
    x = np.ones((7, 27), np.float32)
    return "GroupNorm(27, 27) on (7, 27)", lambda lib: "gives " + yes(not np.any(lib.group(x, 27)), "noise").replace("right", "zeros")


def flat() -> Row:
    x = np.full((1000, 3), 1e6 + 0.1, np.float32)
    return "batch norm of 1e6 throughout, a thousand rows", lambda lib: noise(lib.batch(x))


def running(x: np.ndarray) -> Row:
    """The variance after one step with all weight on the new value, whichever way the library stores it."""
    truth = long_reference(np.ascontiguousarray(x.T))
    count = len(x)

    def judge(lib: Library) -> str:
        var = lib.running(x, _all_new(lib))[1][:, None]
        unbiased = Exact(truth.var.high * count / (count - 1), 0 * truth.var.low)
        return min((off(var, unbiased, 3.0), off(var, truth.var, 3.0) + ", biased"), key=lambda said: (not said.startswith("right"), len(said)))

    return f"running variance, {x.dtype}", judge


def _old_weighs(lib: Library) -> bool:
    return lib.name in ("Flax", "Keras")


def _all_new(lib: Library) -> float:
    return 0.0 if _old_weighs(lib) else 1.0


def frozen() -> Row:
    x = hard.ratio(1e15, (400, 3), "float64")
    truth = long_reference(np.ascontiguousarray(x.T)).mean.high.ravel()

    def judge(lib: Library) -> str:
        away = np.abs(lib.running(x, 0.9 if _old_weighs(lib) else 0.1, 400)[0] - truth).max()
        return f"{away:.2g} from the mean after 400 steps (1 ulp is {np.spacing(1e15):g})"

    return "running mean near 1e15, the new value weighs 0.1", judge


def sense() -> Row:
    x = np.array([[9.0], [11.0]], np.float32)

    def judge(lib: Library) -> str:
        mean = float(lib.running(x, 0.1)[0][0])
        return {1.0: "right (weighs the new value)", 9.0: "weighs the old value"}.get(round(mean, 4), f"gives {mean:.3g}")

    return "momentum=0.1, one batch with mean 10", judge


def slope_outside() -> Row:
    def judge(lib: Library) -> str:
        if not isinstance(lib, Normlab):
            raise Absent
        return yes(np.all(np.isfinite(lib.outside(outside(1e-5), np.zeros((2, 8))))), "NaN")

    return "eps outside the root, gradient at spread 0", judge


def selections() -> list[Row]:
    x = np.random.default_rng(0).standard_normal((5, 33)).astype(np.float32)
    bad = x.copy()
    bad[2, 7] = np.nan
    tiny = (np.random.default_rng(0).integers(-50, 50, (3, 40)) * np.float32(1e-45)).astype(np.float32)

    def judge(lib: Library) -> str:
        return yes(np.array_equal(np.delete(lib.layer(bad), 2, 0), np.delete(lib.layer(x), 2, 0)), "spreads")

    return [("NaN in one row of five", judge), layer(tiny, 0.0, "subnormals, eps 0")]


def half_weight() -> Row:
    return layer(np.array([[65504.0, -65504.0, 65504.0, 0.0]], np.float16), 1e-5, "layer norm of values at 65504")


def zero_vector() -> Row:
    x = np.zeros((1, 8), np.float16)
    return "zero vector to length 1, float16, eps 1e-12", lambda lib: noise(lib.unit(x))


def memory() -> Row:
    x = hard.channels_last_far()

    def judge(lib: Library) -> str:
        if "torch" not in lib.name and "numpy" not in lib.name:
            raise Absent  # their arrays do not tell how they lie
        made = {"batch": lib.batch(x), "group": lib.group(x, 4), "instance": lib.instance(x)}
        copied = [n for n, y in made.items() if y.strides != x.strides]
        return yes(not copied, f"copied by {', '.join(copied)} norm")

    return "channels-last memory: batch, group, instance norm", judge


def one_value() -> Row:
    x = np.ones((1, 3), np.float32)
    return "one value per channel, training", lambda lib: f"gives running variance {lib.running(x, _all_new(lib))[1][0]:g}"


def default_eps() -> Row:
    def judge(lib: Library) -> str:
        found = {d: lib.default_eps(d) for d in ("float16", "float32", "float64")}
        return yes(len(set(found.values())) == 1, "differs by dtype: " + ", ".join(f"{v:.2g}" for v in found.values()))

    return "the default", judge


def rounded_once() -> Row:
    x = np.random.default_rng(0).standard_normal((50, 64)).astype(np.float16)
    w = (1 + np.random.default_rng(1).standard_normal(64)).astype(np.float16)
    once = (long_reference(x, centre=False, spread="rms").z.high * w.astype(np.float64)).astype(np.float16)

    def judge(lib: Library) -> str:
        y = lib.rms(x, 1e-5, w)
        if y.dtype != np.float16:
            return f"gives {y.dtype}"
        others = float(np.mean(y != once))
        return yes(others <= 3 / 4096, f"{100 * others:.0f} % of the elements rounded twice")  # see test_case_30

    return "RMS norm, float16: rounded once, after the weight", judge


def both_threads() -> Row:
    x = np.random.default_rng(0).standard_normal((64, 32, 40)).astype(np.float32)

    def judge(lib: Library) -> str:
        if "torch" not in lib.name:
            raise Absent  # whose threads are set before it starts, or has none
        found = set()
        for count in (1, 2):
            with threads(count):
                found.add(lib.batch(x).tobytes())
        return yes(len(found) == 1, "other bytes for one thread and two")

    return "batch norm by one thread and two", judge


def corner(name: str, x: np.ndarray) -> Row:
    return name, lambda lib: f"gives {lib.batch(x).shape}"
