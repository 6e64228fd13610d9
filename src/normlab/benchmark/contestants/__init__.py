"""Who is timed: normlab on each of its faces, and on each framework what its users have without normlab.

A contestant turns a case into a `Ready`: a call without arguments, and what it gave, to be compared with float64. Where
it cannot (the framework is missing, or has nothing of the kind) it says why in a `Refusal`.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

from ...errors import NormlabError
from ..suite import Case
from .material import Material, Outcome

__all__ = ["CONTESTANTS", "Contestant", "Material", "Outcome", "Ready", "Refusal", "present", "ready"]


@dataclass(frozen=True)
class Ready:
    """A contestant at the start: `run` is what is timed, `outcome` what a run gives."""

    run: Callable[[], object]
    outcome: Callable[[], Outcome]


class Refusal(NormlabError):
    """Why a contestant does not take part in a case."""


@dataclass(frozen=True)
class Contestant:
    """Whose it is, the module that makes it ready, and the package and the extra that it needs."""

    name: str
    module: str
    function: str
    needs: str
    extra: str
    ours: bool = False


CONTESTANTS = {
    c.name: c
    for c in (
        Contestant("normlab torch", "with_torch", "ours", "torch", "torch", True),
        Contestant("torch", "with_torch", "eager", "torch", "torch"),
        Contestant("torch compiled", "with_torch", "compiled", "torch", "torch"),
        Contestant("normlab numpy", "with_numpy", "ours", "numpy", "", True),
        Contestant("numpy", "with_numpy", "plain", "numpy", ""),
        Contestant("normlab jax", "with_jax", "ours", "jax", "jax", True),
        Contestant("jax", "with_jax", "jitted", "jax", "jax"),
        Contestant("normlab mlx", "with_mlx", "ours", "mlx", "mlx", True),
        Contestant("mlx", "with_mlx", "theirs", "mlx", "mlx"),
        Contestant("onnxruntime", "with_onnxruntime", "session", "onnxruntime", "test"),
    )
}


def present() -> list[str]:
    """The names of those whose package is installed."""
    return [c.name for c in CONTESTANTS.values() if importlib.util.find_spec(c.needs) is not None]


def ready(name: str, case: Case) -> Ready:
    """The contestant at the start of a case. Raises Refusal."""
    contestant = CONTESTANTS[name]
    module = importlib.import_module(f"{__name__}.{contestant.module}")
    made: Ready = getattr(module, contestant.function)(case, Material.of(case))
    return made
