"""What is masked out, on every face: it is shown as what it is, and nobody else hears of it."""

from __future__ import annotations

import numpy as np
import pytest

from faces import Face, Work
from grid import CHANNELS, acting
from normlab.definition import Definition

X = np.random.default_rng(0).standard_normal((6, CHANNELS, 5)).astype(np.float32)
DY = np.random.default_rng(1).standard_normal(X.shape).astype(np.float32)
MASK = np.random.default_rng(2).random((6, 5)) > 0.3
OUT = ~np.broadcast_to(MASK[:, None], X.shape)
MASKED = [d for d in acting() if d.forward is None and d.role == "norm"
          and {"n", "..."} & set(d.lines(d.validate({}))[""].arrange("n c ...").pooled)]  # fmt: skip


@pytest.mark.parametrize("bad", [np.nan, np.inf], ids=str)
@pytest.mark.parametrize("d", MASKED, ids=lambda d: d.name)
def test_nobody_hears_of_what_is_masked_out(d: Definition, bad: float, every_face: Face) -> None:
    """NaN in all of it, which no loss looks at: the rest, its gradients and the statistics are as if it were ordinary."""
    dy = np.where(OUT, np.float32(0), DY)
    clean, dirty = (every_face.run(Work(d, x, CHANNELS, "n c ...", mask=MASK, dy=dy)) for x in (X, np.where(OUT, np.float32(bad), X)))
    assert dirty.dx is not None and clean.dx is not None
    assert np.array_equal(dirty.y[~OUT], clean.y[~OUT]) and not np.any(np.isfinite(dirty.y[OUT]))
    assert np.array_equal(dirty.dx[~OUT], clean.dx[~OUT])
    for mine, theirs in ((dirty.grads, clean.grads), (dirty.state, clean.state)):
        assert all(np.array_equal(mine[n], a) for n, a in theirs.items())


@pytest.mark.parametrize("d", MASKED, ids=lambda d: d.name)
def test_a_mask_that_leaves_nothing_gives_the_bias_and_moves_nothing(d: Definition, every_face: Face) -> None:
    done = every_face.run(Work(d, X, CHANNELS, "n c ...", mask=np.zeros((6, 5), bool), dy=DY))
    assert not np.any(done.y) and done.dx is not None and np.all(np.isfinite(done.dx))
    if d.has_running and "running_mean" in done.state:
        assert not np.any(done.state["running_mean"]) and np.all(done.state["running_var"] == 1)
