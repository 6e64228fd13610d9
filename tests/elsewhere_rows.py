"""The rows of elsewhere.md: a situation, and what torch and the NumPy face make of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

import hard_inputs as hard
from accurate import row_sets
from comparing import Exact, error
from long_references import long_reference
from normlab import functional, normalize
from normlab import numpy as face

GOAL = {"float16": 1.0, "float32": 2.0, "float64": 2.0}
Say = Callable[[], str]


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
    worst = float(np.max(error(got, wanted, row_sets(got)), initial=0.0))
    goal = GOAL[got.dtype.name] if goal is None else goal
    return f"right ({worst:.2g})" if worst <= goal else f"off by {worst:,.3g} units"


def yes(true: Any, otherwise: str) -> str:
    return "right" if true else otherwise


def t(x: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(x)


def layer(x: np.ndarray, eps: float = 1e-5) -> tuple[str, Say, Say]:
    """Layer norm of rows."""
    truth = long_reference(x, eps=eps).z
    return (
        f"layer norm, {x.dtype}",
        lambda: off(F.layer_norm(t(x), x.shape[1:], eps=eps).numpy(), truth),
        lambda: off(functional.layer_norm(x, eps=eps), truth),
    )


def near_1e200() -> tuple[str, Say, Say]:
    x = np.random.default_rng(0).standard_normal((4, 64)) * 2.0**664
    truth = long_reference(x * 2.0**-664, eps=0.0).z  # eps does not show at that size
    return (
        "layer norm near 1e200, float64",
        lambda: off(F.layer_norm(t(x), (64,)).numpy(), truth),
        lambda: off(functional.layer_norm(x), truth),
    )


def columns(x: np.ndarray) -> tuple[str, Say, Say]:
    """Batch norm: columns are sets."""
    truth = long_reference(np.ascontiguousarray(x.T)).z
    return (
        f"batch norm, {x.dtype}",
        lambda: off(F.batch_norm(t(x), None, None, training=True).numpy().T, truth),
        lambda: off(functional.batch_norm(x).T, truth),
    )


def rms(x: np.ndarray, eps: float) -> tuple[str, Say, Say]:
    truth = long_reference(x, centre=False, spread="rms", eps=eps).z
    return (
        f"RMS norm, {x.dtype}, eps {eps:g}",
        lambda: off(F.rms_norm(t(x), x.shape[1:], eps=eps).numpy(), truth),
        lambda: off(functional.rms_norm(x, eps=eps), truth),
    )


def groups(x: np.ndarray, count: int, what: str) -> tuple[str, Say, Say]:
    def flat(y: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(y).reshape(x.shape[0] * count, -1)

    truth = long_reference(flat(x)).z
    return (
        f"group norm, {what}",
        lambda: off(flat(F.group_norm(t(x), count).numpy()), truth),
        lambda: off(flat(functional.group_norm(x, groups=count)), truth),
    )


def noise(y: np.ndarray) -> str:
    return "NaN" if np.any(np.isnan(y)) else yes(not np.any(y), f"{np.abs(y).max():.2g} of noise")


def constant(value: float) -> list[tuple[str, Say, Say]]:
    x = hard.constant_rows(value)
    return [
        (f"batch norm of {value:g} throughout", lambda: noise(F.batch_norm(t(x), None, None, training=True).numpy()),
         lambda: noise(functional.batch_norm(x))),
        (f"layer norm of {value:g} throughout", lambda: noise(F.layer_norm(t(x), (24,)).numpy()),
         lambda: noise(functional.layer_norm(x))),
        (f"layer norm of {value:g} throughout, eps 0", lambda: noise(F.layer_norm(t(x), (24,), eps=0.0).numpy()),
         lambda: noise(functional.layer_norm(x, eps=0.0))),
    ]  # fmt: skip


def running(x: np.ndarray) -> tuple[str, Say, Say]:
    truth = long_reference(np.ascontiguousarray(x.T))
    count = len(x)

    def judge(var: np.ndarray) -> str:
        unbiased = Exact(truth.var.high * count / (count - 1), 0 * truth.var.low)
        return off(np.asarray(var)[:, None] + 0, unbiased, 3.0)

    def theirs() -> str:
        module = torch.nn.BatchNorm1d(x.shape[1], momentum=1.0, dtype=t(x).dtype)
        module(t(x))
        return judge(module.running_var.numpy())

    def ours() -> str:
        own = face.BatchNorm(x.shape[1], momentum=1.0, dtype=x.dtype)
        own(x)
        return judge(own.state["running_var"])

    return f"running variance, {x.dtype}", theirs, ours


def frozen() -> tuple[str, Say, Say]:
    x = hard.ratio(1e15, (400, 3), "float64")
    truth = long_reference(np.ascontiguousarray(x.T)).mean.high.ravel()

    def judge(mean: np.ndarray) -> str:
        away = np.abs(mean - truth).max()
        return f"{away:.2g} from the mean after 400 steps (1 ulp is {np.spacing(1e15):g})"

    def theirs() -> str:
        module = torch.nn.BatchNorm1d(3, dtype=torch.float64)
        for _ in range(400):
            module(t(x))
        return judge(module.running_mean.numpy())

    def ours() -> str:
        own = face.BatchNorm(3)
        for _ in range(400):
            own(x)
        return judge(own.state["running_mean"])

    return "running mean near 1e15, momentum 0.1", theirs, ours


def slope_outside() -> tuple[str, Say, Say]:
    x = np.zeros((2, 8))

    def theirs() -> str:
        a = t(x.copy()).requires_grad_()
        d = a - a.mean(1, keepdim=True)
        (d / (d.pow(2).mean(1, keepdim=True).sqrt() + 1e-5)).sum().backward()
        assert a.grad is not None
        return yes(bool(torch.isfinite(a.grad).all()), "NaN") + " (written by hand: torch has no such option)"

    def ours() -> str:
        y = normalize(x, "n [c]", eps=1e-5, eps_rule="outside")
        return yes(np.all(np.isfinite(y)), "NaN")

    return "eps outside the root, gradient at spread 0", theirs, ours


def selections() -> list[tuple[str, Say, Say]]:
    x = np.random.default_rng(0).standard_normal((5, 33)).astype(np.float32)
    clean_t, clean_n = F.layer_norm(t(x), (33,)).numpy(), functional.layer_norm(x)
    bad = x.copy()
    bad[2, 7] = np.nan
    tiny = (np.random.default_rng(0).integers(-50, 50, (3, 40)) * np.float32(1e-45)).astype(np.float32)
    return [
        ("NaN in one row of five",
         lambda: yes(np.array_equal(np.delete(F.layer_norm(t(bad), (33,)).numpy(), 2, 0), np.delete(clean_t, 2, 0)), "spreads"),
         lambda: yes(np.array_equal(np.delete(functional.layer_norm(bad), 2, 0), np.delete(clean_n, 2, 0)), "spreads")),
        layer_named(tiny, 0.0, "subnormals, eps 0"),
    ]  # fmt: skip


def layer_named(x: np.ndarray, eps: float, name: str) -> tuple[str, Say, Say]:
    _, theirs, ours = layer(x, eps)
    return f"{name}, {x.dtype}", theirs, ours


def half_weight() -> tuple[str, Say, Say]:
    return layer_named(np.array([[65504.0, -65504.0, 65504.0, 0.0]], np.float16), 1e-5, "layer norm of values at 65504")


def zero_vector() -> tuple[str, Say, Say]:
    x = np.zeros((1, 8), np.float16)
    return (
        "zero vector to length 1, float16, eps 1e-12",
        lambda: yes(not np.any(F.normalize(t(x)).numpy()), "NaN"),
        lambda: yes(not np.any(functional.unit_norm(x)), "NaN"),
    )


def memory() -> tuple[str, Say, Say]:
    x = hard.channels_last_far()

    def theirs(name: str) -> bool:
        call = {
            "batch": lambda a: F.batch_norm(a, None, None, training=True),
            "group": lambda a: F.group_norm(a, 4),
            "instance": F.instance_norm,
        }[name]
        return bool(call(t(x)).stride() == t(x).stride())

    keeps = [n for n in ("batch", "group", "instance") if not theirs(n)]
    own = [functional.batch_norm(x), functional.group_norm(x, groups=4), functional.instance_norm(x)]
    return (
        "channels-last memory: batch, group, instance norm",
        lambda: yes(not keeps, f"copied by {', '.join(keeps)} norm"),
        lambda: yes(all(y.strides == x.strides for y in own), "copied"),
    )


def one_value() -> tuple[str, Say, Say]:
    x = np.ones((1, 3), np.float32)
    return (
        "one value per channel, training",
        lambda: str(F.batch_norm(t(x), torch.zeros(3), torch.ones(3), training=True)),
        lambda: str(functional.batch_norm(x, running_mean=np.zeros(3), running_var=np.ones(3))),
    )


def instance_evaluation() -> tuple[str, Say, Say]:
    x = np.random.default_rng(0).standard_normal((3, 4, 5)).astype(np.float32)
    mean, var = np.arange(4, dtype=np.float32), np.arange(1, 5, dtype=np.float32)

    def theirs() -> str:
        module = torch.nn.InstanceNorm1d(4, track_running_stats=True).eval()
        module.running_mean, module.running_var = t(mean), t(var)
        same = torch.allclose(module(t(x)), F.batch_norm(t(x), t(mean), t(var)), rtol=1e-6, atol=1e-6)
        return yes(same, "differs")

    held = {"running_mean": mean, "running_var": var, "training": False}
    return (
        "equals batch norm",
        theirs,
        lambda: yes(np.array_equal(functional.instance_norm(x, **held), functional.batch_norm(x, **held)), "differs"),
    )


def default_eps() -> tuple[str, Say, Say]:
    found = {d: torch.finfo(getattr(torch, d)).eps for d in ("float16", "float32", "float64")}
    return (
        "the default",
        lambda: "differs by dtype: " + ", ".join(f"{v:.2g}" for v in found.values()),
        lambda: yes(len({face.RMSNorm(8, dtype=d).eps for d in found}) == 1, "differs"),
    )


def rounded_once() -> tuple[str, Say, Say]:
    x = np.random.default_rng(0).standard_normal((50, 64)).astype(np.float16)
    w = (1 + np.random.default_rng(1).standard_normal(64)).astype(np.float16)
    once = (long_reference(x, centre=False, spread="rms").z.high * w.astype(np.float64)).astype(np.float16)
    return (
        "RMS norm, float16: rounded once, after the weight",
        lambda: yes(np.array_equal(F.rms_norm(t(x), (64,), t(w), 1e-5).numpy(), once), "not in every element"),
        lambda: yes(np.array_equal(functional.rms_norm(x, w), once), "not in every element"),
    )


def threads() -> tuple[str, Say, Say]:
    x = np.random.default_rng(0).standard_normal((64, 32, 40)).astype(np.float32)

    def theirs() -> str:
        before = torch.get_num_threads()
        found = set()
        for count in (1, 2):
            torch.set_num_threads(count)
            module = torch.nn.BatchNorm1d(32)
            y = module(t(x))
            y.backward(t(x))
            assert module.weight.grad is not None
            found.add(y.detach().numpy().tobytes() + module.weight.grad.numpy().tobytes())
        torch.set_num_threads(before)
        return yes(len(found) == 1, "other bytes for one thread and two")

    return "batch norm, forward and gradients", theirs, lambda: "right (it has no threads of its own)"


def corner(name: str, x: np.ndarray, channels: int) -> tuple[str, Say, Say]:
    return (
        name,
        lambda: f"gives {tuple(torch.nn.BatchNorm1d(channels)(t(x)).shape)}" if channels else str(F.batch_norm(t(x), None, None, training=True)),
        lambda: f"gives {functional.batch_norm(x).shape}",
    )
