"""The vocabulary carries methods that are not in the catalogue: ten files, each written to a folder of its own.

Every one is checked against its paper's equation, written here in plain float64 NumPy on whole arrays, and its
gradients against central differences; it must have a sharing board and find its place in a network by its role.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from normlab import numpy as face
from normlab import shares
from normlab.definition import Definition
from normlab.functional import function
from normlab.registry import Registry

FILES = sorted(p for p in (Path(__file__).parent / "vocabulary").glob("*.py"))
NAMES = [p.stem for p in FILES]
EPS = 1e-5
SHAPE = (4, 8, 3, 2)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Definition]:
    """Write one file alone into an empty folder and register what is in it."""

    def write(name: str) -> Definition:
        shutil.copy(Path(__file__).parent / "vocabulary" / f"{name}.py", tmp_path)
        return Registry(tmp_path).find(name)

    return write


def sample(definition: Definition, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """An input with a mean, random parameters and the further inputs, for one call."""
    generator = np.random.default_rng(seed)
    weights = definition.role == "weight"
    x = generator.standard_normal((8, 4, 3) if weights else SHAPE) + 0.3
    if definition.layout == "... c":
        x = np.moveaxis(x, 1, -1).copy()
    layer = face.build(definition, 8)
    arrays = {n: generator.standard_normal(a.shape) for n, a in layer.params.items()}
    inputs = {"label": np.eye(3)[[0, 2, 1, 2]]} if definition.inputs else {}
    return x, arrays, inputs


def along(x: np.ndarray, *axes: int) -> tuple[np.ndarray, np.ndarray]:
    return x.mean(axis=axes, keepdims=True), x.var(axis=axes, keepdims=True)


def channel(a: np.ndarray) -> np.ndarray:
    return a[:, None, None]


def ghost(x: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    parts = []
    for part in np.split(x, 2):
        mean, var = along(part, 0, 2, 3)
        parts.append((part - mean) / np.sqrt(var + EPS))
    return np.concatenate(parts) * channel(p["weight"]) + channel(p["bias"])


def renorm(x: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    mean, var = along(x, 0, 2, 3)
    sigma, past = np.sqrt(var + EPS), np.sqrt(1 + EPS)
    r, d = np.clip(sigma / past, 1 / 3, 3), np.clip(mean / past, -5, 5)
    return ((x - mean) / sigma * r + d) * channel(p["weight"]) + channel(p["bias"])


def evonorm(x: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    var = np.var(x.reshape(4, 1, 8, 3, 2), axis=(2, 3, 4), keepdims=True).reshape(4, 1, 1, 1)
    swish = x / (1 + np.exp(-channel(p["v"]) * x))
    return swish / np.sqrt(var + EPS) * channel(p["weight"]) + channel(p["bias"])


def response(x: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    g = np.sqrt((x**2).sum(axis=(2, 3), keepdims=True))
    return channel(p["weight"]) * x * (g / (g.mean(axis=1, keepdims=True) + 1e-6)) + channel(p["bias"]) + x


def filter_response(x: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    nu = (x**2).mean(axis=(2, 3), keepdims=True)
    return np.maximum(channel(p["weight"]) * x / np.sqrt(nu + 1e-6) + channel(p["bias"]), channel(p["tau"]))


def switchable(x: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    found = [along(x, 2, 3), along(x, 1, 2, 3), along(x, 0, 2, 3)]
    a, b = (np.exp(p[n]) / np.exp(p[n]).sum() for n in ("mean_weight", "var_weight"))
    mean = sum(w * f[0] for w, f in zip(a, found, strict=True))
    var = sum(w * f[1] for w, f in zip(b, found, strict=True))
    return (x - mean) / np.sqrt(var + EPS) * channel(p["weight"]) + channel(p["bias"])


def whitened(x: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    rows = np.moveaxis(x, 1, 0).reshape(8, -1)
    rows = rows - rows.mean(axis=1, keepdims=True)
    sigma = rows @ rows.T / rows.shape[1] + EPS * np.eye(8)
    scaled, matrix = sigma / np.trace(sigma), np.eye(8)
    for _ in range(5):
        matrix = (3 * matrix - matrix @ matrix @ matrix @ scaled) / 2
    white = matrix @ rows / np.sqrt(np.trace(sigma))
    return np.moveaxis(white.reshape(8, 4, 3, 2), 0, 1) * channel(p["weight"]) + channel(p["bias"])


def conditional(x: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    mean, var = along(x, 0, 2, 3)
    chosen = [0, 2, 1, 2]
    weight, bias = (p[n][chosen][:, :, None, None] for n in ("weight", "bias"))
    return (x - mean) / np.sqrt(var + EPS) * weight + bias


def dynamic_tanh(x: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    return p["weight"] * np.tanh(p["alpha"] * x) + p["bias"]


def standardized_weights(w: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    mean, var = along(w, 1, 2)
    return (w - mean) / np.sqrt(var + EPS)


EQUATIONS = {
    "ghost_batch_norm": ghost, "batch_renorm": renorm, "evonorm_s0": evonorm, "grn": response,
    "frn_tlu": filter_response, "switchable_norm": switchable, "iter_norm": whitened,
    "conditional_batch_norm": conditional, "dyt": dynamic_tanh, "weight_standardization": standardized_weights,
}  # fmt: skip


def test_every_file_has_its_equation() -> None:
    assert sorted(EQUATIONS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_output_is_the_papers_equation(name: str, written: Callable[[str], Definition]) -> None:
    definition = written(name)
    x, arrays, inputs = sample(definition)
    layer = face.build(definition, 8)
    layer.params.update(arrays)
    y = layer(x, **inputs)
    np.testing.assert_allclose(y, EQUATIONS[name](x, arrays), rtol=1e-12, atol=1e-12)
    assert y.dtype == x.dtype and layer(x.astype(np.float32), **inputs).dtype == np.float32


@pytest.mark.parametrize("name", NAMES)
def test_function_equals_layer(name: str, written: Callable[[str], Definition]) -> None:
    definition = written(name)
    x, arrays, inputs = sample(definition)
    layer = face.build(definition, 8)
    layer.params.update(arrays)
    state = {n: a.copy() for n, a in layer.state.items() if n != "num_batches_tracked"}
    made = function(definition)(x, **inputs, **arrays, **state)
    y = made[0] if isinstance(made, tuple) else made
    np.testing.assert_array_equal(y, layer(x, **inputs))
    if isinstance(made, tuple):
        for value, spec in zip(made[1:], definition.states, strict=True):
            np.testing.assert_array_equal(value, layer.state[spec.name])


@pytest.mark.parametrize("name", NAMES)
def test_gradients_agree_with_central_differences(name: str, written: Callable[[str], Definition]) -> None:
    definition = written(name)
    x, arrays, inputs = sample(definition, seed=3)
    layer = face.build(definition, 8)
    layer.params.update(arrays)
    if name == "batch_renorm":
        # r and d count as constants: with them held by their clips, differences see the same function.
        layer.options |= {"r_max": 1.0, "d_max": 0.0}
    state = {n: a.copy() for n, a in layer.state.items()}
    y = layer(x, **inputs)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    dx = layer.backward(dy)
    pairs = {"x": (x, dx), **{n: (layer.params[n], layer.grads[n]) for n in arrays}}

    def loss() -> float:
        layer.state.update({n: a.copy() for n, a in state.items()})
        return float(np.sum(layer(x, **inputs) * dy))

    for label, (array, gradient) in pairs.items():
        numeric = np.zeros_like(array)
        for index in np.ndindex(array.shape):
            kept = array[index]
            array[index] = kept + 1e-5
            above = loss()
            array[index] = kept - 1e-5
            numeric[index] = (above - loss()) / 2e-5
            array[index] = kept
        error = np.abs(numeric - gradient).max() / max(np.abs(numeric).max(), 1e-3)
        assert error < 1e-6, f"{name}: gradient of {label} is off by {error:.1e}"


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_runs_for_one_sample(name: str, written: Callable[[str], Definition]) -> None:
    definition = written(name)
    x, _, inputs = sample(definition)
    layer = face.build(definition, 8)
    layer(x, **inputs)
    y = layer.eval()(x[:1] if definition.role != "weight" else x, **{n: a[:1] for n, a in inputs.items()})
    assert np.isfinite(y).all()


@pytest.mark.parametrize("name", [n for n in NAMES if n != "dyt"])
def test_every_pool_has_a_sharing_board(name: str, written: Callable[[str], Definition]) -> None:
    definition = written(name)
    options = definition.validate({})
    lines = definition.lines(options)
    assert lines
    for line in lines.values():
        shape = (8, 4, 3) if definition.role == "weight" else SHAPE
        plan = line.plan(shape, {n: s for n, s in definition.factor_sizes(options, 8).items() if n in line.names})
        numbers = shares(
            line, shape, **{n: s for n, s in definition.factor_sizes(options, 8).items() if n in line.names}
        )
        assert numbers.shape == shape and numbers.max() + 1 == plan.sets
        assert set(np.bincount(numbers.ravel())) == {plan.count}
