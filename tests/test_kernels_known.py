"""Statistics that are given to the kernels, or carried from batch to batch by a layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from comparing import compare, same_bytes
from kernel_cases import Case
from normlab import kernels

pytest.importorskip("numba", reason="kernels need Numba")

LAST = (0, 2, 3, 1)
CASES = [
    Case("[n] c [...]", (4, 3, 9, 9), "c", why="runs"),
    Case("... [c]", (6, 200), "c", why="a weight for each element"),
    Case("[n] c [...]", (3, 2, 300, 301), "c", why="long"),
    Case("... [c]", (2, 140_000), "c", why="long, a weight for each element"),
    Case("[n] c [...]", (4, 40, 9, 9), "c", LAST, why="columns in one block of rows"),
    Case("[n] c [...]", (16, 40, 30, 30), "c", LAST, why="columns in several"),
    Case("n [c] ...", (3, 37, 8, 9), "c", why="columns, a weight for each row"),
]


def random(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def holding(case: Case, planted: float) -> np.ndarray:
    x = random(case.shape, 1)
    x.reshape(-1)[:: max(1, x.size // 7)] = planted
    return case.lay(x)


@pytest.mark.parametrize("planted", [np.nan, np.inf])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_gradient_past_given_statistics_does_not_ask_what_x_is(case: Case, planted: float) -> None:
    plan, spread = case.plan, case.spread or ()
    kept = tuple(plan.split[k] if k in plan.kept else 1 for k in range(len(plan.split)))
    mean, var = random(kept, 2), np.abs(random(kept, 3)) + 0.1
    weight, bias = random(spread, 4), random(spread, 5)
    x, dy = holding(case, planted), case.lay(random(case.shape, 6))
    done = kernels.standardize(x, plan, weight=weight, bias=bias, running=(mean, var))
    assert done is not None
    back = kernels.standardize_backward(dy, x, plan, done.kept, weight=weight, bias=bias, running=True)
    assert back is not None
    wanted = dy.reshape(plan.split) * weight / np.sqrt(var + 1e-5)
    compare(back[0], wanted.reshape(case.shape), "identity")


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_gradient_past_a_mean_alone_does_not_ask_what_x_is(case: Case) -> None:
    """y = x - mean(x) gives dx = dy - mean(dy), whatever x is."""
    dy = case.lay(random(case.shape, 6))
    found = []
    for planted in (1.0, np.nan):
        x = holding(case, planted)
        done = kernels.standardize(x, case.plan, spread=None)
        assert done is not None
        back = kernels.standardize_backward(dy, x, case.plan, done.kept, spread=None)
        assert back is not None and np.isfinite(back[0]).all()
        found.append(back[0])
    same_bytes(found[1], found[0])


@pytest.fixture
def torch() -> Any:
    return pytest.importorskip("torch", reason="layers that carry statistics are torch's here")


@pytest.mark.parametrize("affine", [True, False])
def test_a_layer_in_evaluation_passes_gradients_past_a_nan(torch: Any, affine: bool) -> None:
    import normlab as nl

    layer = nl.torch.BatchNorm(3, affine=affine).eval()
    x = torch.randn(4, 3, 5, 5)
    x[1, 2, 3, 4] = torch.nan
    x.requires_grad_()
    for _ in range(3):  # decided, then remembered
        (dx,) = torch.autograd.grad(layer(x).sum(), x)
        compare(dx.numpy(), np.full(x.shape, 1 / np.sqrt(1 + 1e-5), np.float32), "identity")


def test_moving_statistics_in_place_is_seen_by_whoever_saved_them(torch: Any) -> None:
    """Autograd refuses a backward pass through numbers that have been overwritten since."""
    import normlab as nl

    layer, x = nl.torch.BatchNorm(3), torch.randn(4, 3, 5, 5, requires_grad=True)
    for _ in range(2):
        layer(x)
    y = layer.eval()(x)
    layer.train()(x)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("biased", [True, False])
def test_statistics_move_by_the_batchs_exact_ones(torch: Any, biased: bool) -> None:
    """A tenth of the way each time; 75 elements a set, so that dividing by 74 shows."""
    import normlab as nl

    layer = nl.torch.BatchNorm(3, running_var_biased=biased)
    mean, var = np.zeros(3), np.ones(3)
    for seed in range(4):  # the first is decided, the others remembered
        batch = random((3, 3, 5, 5), seed).astype(np.float32) * 7 + 3
        layer(torch.from_numpy(batch))
        wide = batch.astype(np.float64)
        mean += 0.1 * (wide.mean((0, 2, 3)) - mean)
        var += 0.1 * (wide.var((0, 2, 3), ddof=0 if biased else 1) - var)
    compare(layer.running_mean.numpy(), mean, "running")
    compare(layer.running_var.numpy(), var, "running")


@pytest.mark.parametrize(("of_torch", "of_kernels", "used"), [(1, 3, 1), (2, 3, 2), (3, 2, 2), (3, 1, 1)])
def test_no_more_threads_than_torch_has_nor_than_kernels_may_have(
    torch: Any, monkeypatch: pytest.MonkeyPatch, of_torch: int, of_kernels: int, used: int
) -> None:
    import normlab as nl
    from normlab.kernels import pool

    told = []

    def spread(kernel: Any, count: int, arguments: Any, many: int) -> None:
        told.append(many)
        kernel(0, count, *arguments)

    monkeypatch.setattr(pool, "WORTH_ELEMENTS", 1)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(of_torch)
        kernels.set_threads(of_kernels)
        for layer in (nl.torch.LayerNorm(40), nl.torch.LayerNorm(8, layout="n c ..."), nl.torch.LocalResponseNorm()):
            x = torch.randn(16, 8, 6, 40, requires_grad=True)
            y = layer(x)
            with monkeypatch.context() as spying:
                spying.setattr(pool, "spread", spread)
                y = layer(x)
            assert max(told) == used
            told.clear()
            y.sum().backward()
    finally:
        torch.set_num_threads(before)
        kernels.set_threads(None)
