"""Corners: empty batches, sets of one, odd memory, NaN, constant sets, threads and forks."""

from __future__ import annotations

import multiprocessing
from typing import Any

import numpy as np
import pytest

import normlab as nl
from comparing import compare, same_bytes
from grid import CHANNELS, Case, acting, cases, layouts, spoken
from normlab import functional, registry
from normlab import numpy as face
from normlab.definition import Definition
from normlab.errors import ShapeError

CASES = [c for c in cases(everything=False) if len(c.shape) == 4 and c.layout == layouts(c.definition)[0]]
RUNNING = [d for d in acting() if d.has_running]


def made(d: Definition, **settings: Any) -> face.Layer:
    layer: face.Layer = getattr(face, d.class_name)(CHANNELS, **settings)
    return layer


# Corners


# Weights have no batch that could be empty.
@pytest.mark.parametrize("case", [c for c in CASES if "o" not in c.layout.split()], ids=spoken)
def test_an_empty_batch_is_an_empty_output(case: Case) -> None:
    d, layer = case.definition, case.layer()
    before = {n: np.asarray(a).copy() for n, a in layer.state.items()}
    axis = case.layout.split().index("n") if "n" in case.layout.split() else 0
    x = np.delete(case.x(), slice(None), axis)
    inputs = {n: a[:0] for n, a in case.inputs().items()}
    y = layer(x, **inputs)
    assert y.shape == x.shape and y.dtype == x.dtype
    assert layer.backward(y).shape == x.shape
    assert layer.grads.keys() == {*layer.params, *inputs}
    assert all(not np.any(g) and g.shape == layer.params[n].shape for n, g in layer.grads.items() if n in layer.params)
    assert layer.backward(np.zeros((3, *x.shape))).shape == (3, *x.shape)
    for name, value in before.items():
        same_bytes(np.asarray(layer.state[name]), value, name)
    if before:
        made_ = getattr(functional, d.name)(
            x, layout=case.layout, running_mean=before["running_mean"], running_var=before["running_var"]
        )
        assert len(made_) == 3 and not np.shares_memory(made_[1], before["running_mean"])


SINGLE = [("batch_norm", (1, 8)), ("batch_norm", (1, 8, 1, 1)), ("instance_norm", (5, 8)), ("instance_norm", (5, 8, 1)),
          ("group_norm", (5, 8)), ("layer_norm", (5, 1)), ("whole_norm", (1, 1))]  # fmt: skip


@pytest.mark.parametrize(("name", "shape"), SINGLE, ids=str)
def test_a_set_of_one_names_the_method_the_shape_and_its_size(name: str, shape: tuple[int, ...]) -> None:
    d = nl.method(name)
    options = {"groups": 8} if name == "group_norm" else {}
    channels = shape[-1] if d.layout == "... c" else shape[1]
    for training in (True, False):
        for layer in (face.build(d, channels, options={**options, **({"running": False} if d.has_running else {})}),):
            layer.training = training
            with pytest.raises(ShapeError) as caught:
                layer(np.ones(shape))
            assert all(
                word in str(caught.value) for word in (f"{name}:", str(shape), "1 element in each set", "at least 2")
            )
    if d.has_running:
        layer = face.build(d, channels, options={"running": True})
        with pytest.raises(ShapeError):
            layer(np.ones(shape))
        assert layer.eval()(np.ones(shape)).shape == shape  # what was kept needs no set


def test_a_set_of_one_that_is_not_centred_is_no_error() -> None:
    compare(functional.rms_norm(np.array([[3.0], [-2.0]]), eps=0.0), np.array([[1.0], [-1.0]]), "worked")
    compare(functional.unit_norm(np.array([[3.0], [-2.0]])), np.array([[1.0], [-1.0]]), "worked")


@pytest.mark.parametrize("case", CASES, ids=spoken)
def test_input_may_be_read_only_reversed_broadcast_or_misaligned(case: Case, way: str) -> None:
    """Case 32: and what comes back may be written to."""
    layer, inputs, x = case.layer(), case.inputs(), case.x()
    layer = layer.eval() if case.definition.role == "dropout" else layer
    state = dict(layer.state)

    def call(a: np.ndarray) -> np.ndarray:
        layer.state = dict(state)
        y = layer(a, **inputs)
        assert y.flags.writeable and not np.shares_memory(a, y)
        dx = layer.backward(np.broadcast_to(np.float64(1.0), y.shape))
        assert dx.flags.writeable
        y[...] = y  # an expanded input must not give an expanded output
        return y

    def same(got: np.ndarray, wanted: np.ndarray, who: str) -> None:
        # Kernels take memory in its own order, so what lies otherwise may differ in the last bits.
        same_bytes(got, wanted, who) if way == "formula" else compare(got, wanted, "identity", who)

    wanted = call(x)
    frozen = x.copy()
    frozen.setflags(write=False)
    same_bytes(call(frozen), wanted, "read-only")
    for axis in range(x.ndim):
        same(
            np.ascontiguousarray(
                call(
                    np.ascontiguousarray(np.flip(x, axis))[
                        tuple(slice(None, None, -1) if k == axis else slice(None) for k in range(x.ndim))
                    ]
                )
            ),
            wanted,
            "reversed",
        )
    raw = np.zeros(x.nbytes + 1, np.uint8)
    odd = raw[1:].view(x.dtype).reshape(x.shape)
    odd[...] = x
    assert not odd.flags.aligned
    same(call(odd), wanted, "misaligned")
    spaced = np.zeros((*x.shape[:-1], x.shape[-1] * 3))[..., ::3]
    spaced[...] = x
    same(np.ascontiguousarray(call(spaced)), wanted, "strided")
    row = np.broadcast_to(x[:1], x.shape)
    assert row.strides[0] == 0 or x.shape[0] == 1
    same(np.ascontiguousarray(call(row)), np.ascontiguousarray(call(row.copy())), "broadcast")
    swapped = call(x.astype(">f8"))
    assert swapped.dtype == np.dtype(">f8")
    same(swapped.astype(np.float64), wanted, "big endian")


def test_a_subclass_comes_back_as_a_plain_array(tmp_path: Any) -> None:
    mapped = np.memmap(tmp_path / "x", np.float64, "w+", shape=(4, 3))
    mapped[...] = np.arange(12).reshape(4, 3) ** 2
    y = functional.batch_norm(mapped)
    assert type(y) is np.ndarray


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize(
    "case", [c for c in cases(everything=False) if len(c.shape) == 4 and c.definition.forward is None], ids=spoken
)
def test_what_is_not_finite_stays_in_its_own_set(case: Case, bad: float) -> None:
    """Case 31: forward and back, and without a warning."""
    layer, x = case.layer(), case.x()
    state = dict(layer.state)
    clean = layer(x)
    clean_dx = layer.backward(case.dy())
    index = (1,) * 1 + tuple(s - 1 for s in x.shape[1:])
    x[index] = bad
    line = case.definition.lines(layer.options)[""].arrange(case.layout)
    sets = nl.shares(line, x.shape, **case.definition.factor_sizes(layer.options, CHANNELS))
    same = sets == sets[index]
    layer.state = state
    y = layer(x)
    dx = layer.backward(case.dy())
    assert not np.all(np.isfinite(y[same]))
    same_bytes(y[~same], clean[~same], "the other sets")
    same_bytes(dx[~same], clean_dx[~same], "the other sets, back")


@pytest.mark.parametrize("value", [0.0, -0.0, 1.0, 1000.1, -3.3e-200, 1e300, 5e-324, 1 / 3], ids=repr)
@pytest.mark.parametrize("eps", [0.0, 1e-30, 1e-5])
@pytest.mark.parametrize(
    "case",
    [c for c in cases(everything=False) if len(c.shape) == 4 and c.definition.centre and c.definition.forward is None],
    ids=spoken,
)
def test_a_constant_set_gives_exactly_the_bias(case: Case, value: float, eps: float) -> None:
    """Case 10: elsewhere the rounding of the mean comes out times 1/sqrt(eps)."""
    d = case.definition
    layer = face.build(d, CHANNELS, layout=case.layout, eps=eps)
    layer.params = {n: np.arange(1.0, 9.0) for n in layer.params}
    y = layer(np.full(case.shape, value))
    bias = np.arange(1.0, 9.0)
    shape = [CHANNELS if name == CHANNELS else 1 for name in case.shape]
    same_bytes(y, np.ascontiguousarray(np.broadcast_to(bias.reshape(shape), y.shape)), str(value))
    assert np.all(np.isfinite(layer.backward(case.dy())))


@pytest.mark.parametrize("length", [2, 3, 7, 31, 32, 33, 97, 128, 129, 1023, 1024, 1025, 4097])
def test_a_constant_row_of_any_length_has_no_spread(length: int) -> None:
    for value in (1000.1, 0.1, 1e15 + 0.3, 7e-12, -2 / 3):
        for dtype in (np.float32, np.float64):
            y = functional.layer_norm(np.full((2, length), value, dtype), eps=0.0)
            assert not np.any(y), (value, dtype)


def test_one_method_at_a_time_is_safe_in_threads_and_forks() -> None:
    """Case 35: inside a forked worker, in several threads at once."""
    from concurrent.futures import ThreadPoolExecutor

    x = np.random.default_rng(0).standard_normal((50, 32, 9))
    wanted = functional.group_norm(x, groups=4)
    with ThreadPoolExecutor(4) as pool:
        for y in pool.map(lambda _: functional.group_norm(x, groups=4), range(16)):
            same_bytes(y, wanted, "threads")


def _in_a_worker(queue: Any) -> None:
    x = np.random.default_rng(0).standard_normal((50, 32, 9))
    layer = face.GroupNorm(32, groups=4)
    y = layer(x)
    queue.put((y.tobytes(), layer.backward(y).tobytes()))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12 warns of any fork beside threads,
@pytest.mark.filterwarnings("ignore:.*fork.*:RuntimeWarning")  # JAX of any while it is loaded; this worker does not use it
def test_a_forked_worker_gives_the_same_bytes() -> None:
    """Case 35: elsewhere a library's threads are gone after a fork and the worker waits for ever (pytorch#19163)."""
    x = np.random.default_rng(0).standard_normal((50, 32, 9))
    layer = face.GroupNorm(32, groups=4)
    y = layer(x)
    wanted = (y.tobytes(), layer.backward(y).tobytes())
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this platform does not fork")
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    worker = context.Process(target=_in_a_worker, args=(queue,), daemon=True)
    worker.start()
    assert queue.get(timeout=60) == wanted
    worker.join(60)
    assert worker.exitcode == 0


def test_every_layer_was_met() -> None:
    assert {c.definition.name for c in CASES} == {d.name for d in acting()}
    assert {d.name for d in registry.methods()} - {d.name for d in acting()} == {
        d.name for d in registry.methods() if d.role == "input"
    }
