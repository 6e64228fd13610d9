"""The numbered cases about how a call is made: transformed, on several threads, in worker processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import numpy as np
import pytest

import faces
from comparing import compare, same_bytes
from faces import DECLARED, Work
from grid import acting
from normlab import functional
from normlab.definition import Definition

TRANSFORMING = [n for n in DECLARED if n != "numpy"]
RUNNING = [d for d in acting() if d.has_running]
X = np.random.default_rng(0).standard_normal((3, 6, 4, 5)).astype(np.float32)


def held_by(d: Definition, dtype: str = "float32") -> dict[str, np.ndarray]:
    """Running statistics for four channels."""
    return {s.name: np.linspace(1, 2, 4 if s.axes else 1).reshape([4] if s.axes else []).astype(dtype) for s in d.states}


def moving(face: faces.Face, d: Definition) -> Callable[[Any], Any]:
    """A training call that is given running statistics, and gives y and the new ones."""
    held = {n: face.array(a) for n, a in held_by(d).items()}
    return lambda x: getattr(functional, d.name)(x, **held)


@pytest.mark.parametrize("name", TRANSFORMING)
@pytest.mark.parametrize("d", RUNNING, ids=lambda d: d.name)
def test_case_33_a_call_with_running_statistics_may_be_mapped(d: Definition, name: str) -> None:
    """Elsewhere vmap over running statistics is refused: they change in place. Here a function gives new ones."""
    face = faces.of(name)
    mapped = face.mapped(moving(face, d), X)
    for k, x in enumerate(X):
        for got, wanted in zip(mapped, face.call(d.name, x, **held_by(d)), strict=True):
            compare(got[k], wanted, "identity", f"{d.name} {k}")


@pytest.mark.parametrize("name", TRANSFORMING)
@pytest.mark.parametrize("d", RUNNING, ids=lambda d: d.name)
def test_case_33_forward_and_backward_mode_agree(d: Definition, name: str) -> None:
    """<dy, J dx> = <J' dy, dx>, in float64, and J' dy is that of the NumPy face."""
    face, wide = faces.of(name), held_by(d, "float64")
    x, dx, dy = np.random.default_rng(1).standard_normal((3, 6, 4, 5))
    with face.region(x.dtype):
        held = {n: face.array(a) for n, a in wide.items()}

    def forward(x: Any) -> Any:
        return getattr(functional, d.name)(x, **held)[0]

    back = face.gradient(forward, x, dy)
    compare(np.sum(dy * face.pushed(forward, x, dx)), np.sum(back * dx), "gradient, small set", scale=np.abs(back * dx).sum())
    work = Work(d, x, 4, affine=False, options={"running": True}, state=wide, dy=dy)
    wanted = faces.of("numpy").run(work).dx
    assert wanted is not None
    compare(back, wanted, "gradient, small set", scale=np.abs(wanted).max())


@pytest.mark.parametrize("name", TRANSFORMING)
def test_case_33_a_gradient_of_a_mapped_call_is_that_of_each(name: str) -> None:
    face, d = faces.of(name), RUNNING[0]
    together = face.mapped(lambda x: moving(face, d)(x)[:1], X)[0]
    assert together.shape == X.shape
    dy = np.random.default_rng(2).standard_normal(X[0].shape).astype(np.float32)
    alone = [face.gradient(lambda x: moving(face, d)(x)[0], x, dy) for x in X]
    for k, x in enumerate(X):
        wanted = faces.of("numpy").run(Work(d, x, 4, affine=False, dy=dy)).dx
        assert wanted is not None
        compare(alone[k], wanted, "gradient, small set", scale=np.abs(wanted).max())


# Parts of a batch that are merged: the slices of an axis that is mapped over (torch's processes: test_torch_distributed)


def merged(parts: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray, faces.Done]:
    """y of the parts and their variance, merged by JAX; and the whole batch on the NumPy face."""
    face, d = faces.of("jax"), RUNNING[0]
    jax = face.jax  # type: ignore[attr-defined]
    layer = face.module.build(d, parts.shape[2], affine=False, axis_name="parts", options={"momentum": 1.0})
    params, state = layer.init(0)
    y, moved = jax.vmap(lambda x, m: layer(params, state, x, mask=m), axis_name="parts")(parts, masks)
    whole = Work(d, parts.reshape(-1, *parts.shape[2:]).astype(float), parts.shape[2], affine=False,
                 mask=masks.reshape(-1), options={"momentum": 1.0})  # fmt: skip
    return np.asarray(y), np.asarray(moved["running_var"])[0], faces.of("numpy").run(whole)


def check_merged(parts: np.ndarray, masks: np.ndarray) -> None:
    y, var, whole = merged(parts.astype(np.float32), masks)
    compare(y.reshape(whole.y.shape), whole.y, "forward", scale=np.abs(whole.y).max(0))
    compare(var, whole.state["running_var"], "running", scale=whole.state["running_var"])


def test_case_19_parts_count_by_their_elements() -> None:
    masks = np.arange(20) < np.array([[20], [3], [11]])
    check_merged(np.random.default_rng(0).standard_normal((3, 20, 4)) + np.array([0, 5, -9])[:, None, None], masks)


def test_case_20_deviations_are_from_the_mean_of_all() -> None:
    far = np.random.default_rng(0).standard_normal((3, 20, 4)) + np.array([0, 100, 1e4])[:, None, None]
    check_merged(far, np.ones((3, 20), bool))


def test_case_21_nothing_overflows_where_the_variance_is_finite() -> None:
    """Parts 2e18 apart in float32: the square of that times both counts would be 4e36 * 32,768^2."""
    parts = np.repeat(np.array([-1e18, 1e18])[:, None], 32768, 1)[..., None] * np.ones(2)
    check_merged(parts + 1e17 * np.random.default_rng(0).standard_normal(parts.shape), np.ones((2, 32768), bool))


def test_case_22_parts_may_be_empty_and_unequal() -> None:
    masks = np.arange(9) < np.array([[0], [9], [1], [4]])
    check_merged(np.random.default_rng(0).standard_normal((4, 9, 3)) + 7, masks)


# One thread or several


BIG = np.random.default_rng(0).standard_normal((64, 32, 40)).astype(np.float32)  # above what is given to one thread


def there_and_back(name: str) -> bytes:
    """What a worker gives: batch norm of BIG, forward and back."""
    done = faces.of(name).run(Work(RUNNING[0], BIG, 32, dy=BIG))
    assert done.dx is not None
    return b"".join([done.y.tobytes(), done.dx.tobytes(), *(g.tobytes() for _, g in sorted(done.grads.items()))])


@pytest.mark.parametrize("d", [d for d in acting() if d.forward is None and d.role == "norm"], ids=lambda d: d.name)
@pytest.mark.parametrize("way", [w for w in faces.WAYS if w.startswith("torch")])
def test_case_34_one_thread_gives_the_bytes_of_two(way: str, d: Definition) -> None:
    """Elsewhere the number of threads decides in which order is added; in torch's own sum, which the formula takes, too."""
    import torch

    x, found = BIG, []
    dy = np.random.default_rng(1).standard_normal(x.shape).astype(np.float32)
    with faces.on(way) as face:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            try:
                found.append(face.run(Work(d, x, 32, "n c ...", dy=dy)))
            finally:
                torch.set_num_threads(1)
    one, two = found
    assert one.dx is not None and two.dx is not None
    for what, a, b in (("y", one.y, two.y), ("dx", one.dx, two.dx), *((n, g, two.grads[n]) for n, g in one.grads.items())):
        if "formula" in way:
            compare(a, b, "gradient", what)
        else:
            same_bytes(a, b, what)


@pytest.mark.parametrize("way", faces.WAYS)
def test_case_35_four_threads_at_once(way: str) -> None:
    """Inside one process, as a data loader's threads or a server's do."""
    name = way.partition(", ")[0]
    with faces.on(way):
        wanted = there_and_back(name)
        with ThreadPoolExecutor(4) as pool:  # each in its own copy of what holds here
            done = [pool.submit(copy_context().run, there_and_back, name) for _ in range(12)]
            assert all(f.result(timeout=120) == wanted for f in done)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12 warns of any fork beside threads,
@pytest.mark.filterwarnings("ignore:.*fork.*:RuntimeWarning")  # JAX of any while it is loaded; these workers do not use it
@pytest.mark.parametrize("name", [n for n in DECLARED if n in ("numpy", "torch")])  # JAX, MLX and CUDA are not to be forked
def test_case_35_a_forked_worker(name: str) -> None:
    """Elsewhere a library's threads are gone after a fork, and the worker waits for ever (pytorch#19163)."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this platform does not fork")
    wanted = there_and_back(name)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        assert [f.result(timeout=120) for f in [pool.submit(there_and_back, name) for _ in range(4)]] == [wanted] * 4
    assert there_and_back(name) == wanted  # the parent works on


@pytest.mark.parametrize("name", DECLARED)
def test_case_35_a_pool_of_processes(name: str) -> None:
    """Started anew, each imports the framework for itself: the same bytes."""
    wanted = there_and_back(name)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(there_and_back, name).result(timeout=300) == wanted
