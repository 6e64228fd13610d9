"""`axis_name=`: the slices of a mapped axis are normalized as the one batch that they are, forward, backward, masked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import normlab as nl
from comparing import compare
from grid import acting
from normlab.definition import Definition
from normlab.jax import build
from normlab.jax.layers import shares_batches

ids = {"ids": lambda value: getattr(value, "name", str(value))}
SHARING = [d for d in acting() if shares_batches(d)]
X = np.random.default_rng(0).standard_normal((4, 6, 8, 5)).astype(np.float32) + 3  # slices, samples, channels, positions
DY = np.random.default_rng(1).standard_normal(X.shape).astype(np.float32)
WHOLE = (24, 8, 5)


def both(d: Definition, **options: Any) -> tuple[Any, Any, Any, Any]:
    """A layer that shares its sets, the plain one, parameters and state."""
    layer = build(d, 8, options=options)
    params, state = layer.init()
    return build(d, 8, axis_name="batch", options=options), layer, {n: a + 0.5 for n, a in params.items()}, state


def test_some_methods_share_their_batches_and_others_have_no_such_argument() -> None:
    assert SHARING
    for d in acting():
        if d not in SHARING:
            with pytest.raises(nl.NormlabError, match="unknown argument"):
                build(d, 8, axis_name="batch")


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("d", SHARING, **ids)
def test_mapped_slices_are_one_batch(d: Definition, masked: bool) -> None:
    shares, plain, params, state = both(d)
    mask = np.random.default_rng(2).random((4, 6, 5)) < 0.6 if masked else None
    given = [] if mask is None else [mask]

    def mapped(params: Any, x: Any) -> Any:
        run = jax.vmap(lambda x, *m: shares(params, state, x, mask=m[0] if m else None), axis_name="batch", out_axes=(0, None))
        return run(x, *given)

    def whole(params: Any, x: Any) -> Any:
        return plain(params, state, x, mask=None if mask is None else mask.reshape(24, 5))

    y, pull, new = jax.vjp(jax.jit(mapped), params, X, has_aux=True)
    wanted, pull_wanted, new_wanted = jax.vjp(whole, params, X.reshape(WHOLE), has_aux=True)
    compare(np.asarray(y).reshape(WHOLE), np.asarray(wanted), "identity")
    (dparams, dx), (dparams_wanted, dx_wanted) = pull(DY), pull_wanted(DY.reshape(WHOLE))
    compare(np.asarray(dx).reshape(WHOLE), np.asarray(dx_wanted), "identity")
    for n, g in dparams_wanted.items():
        compare(np.asarray(dparams[n]), np.asarray(g), "identity", n)
    for n, a in new_wanted.items():
        compare(np.asarray(new[n], np.float32), np.asarray(a, np.float64), "identity", n)


def test_a_mean_far_away_is_merged_as_exactly_as_it_is_measured() -> None:
    """Slices whose means differ by 1e4 spreads, in float32: Chan's formula about the merged mean, not sums of squares."""
    x = X + 1e4 * np.arange(4, dtype=np.float32).reshape(4, 1, 1, 1)
    shares, _, params, state = both(nl.method("batch_norm"))
    y = jax.vmap(lambda x: shares({n: a * 0 + (n == "weight") for n, a in params.items()}, state, x)[0], axis_name="batch")(x)
    wide = x.reshape(WHOLE).astype(np.float64)
    d = wide - wide.mean((0, 2), keepdims=True)
    compare(np.asarray(y).reshape(WHOLE), d / np.sqrt((d * d).mean((0, 2), keepdims=True) + 1e-5), "forward")


def test_one_sample_a_slice_is_enough_and_one_in_all_is_not() -> None:
    layer = nl.jax.BatchNorm(8, axis_name="batch", layout="c ...")
    params, state = layer.init()
    x = X[:, 0]
    y = jax.vmap(lambda x: layer(params, state, x)[0], axis_name="batch")(x)
    compare(np.asarray(y), np.asarray(nl.functional.batch_norm(jnp.asarray(x))), "identity")
    y = jax.vmap(lambda x: layer(params, state, x)[0], axis_name="batch")(x[..., 0])
    compare(np.asarray(y), np.asarray(nl.functional.batch_norm(jnp.asarray(x[..., 0]))), "identity")
    with pytest.raises(nl.NormlabError, match=r"1 element in each set, on all of axis_name='batch' together"):
        jax.vmap(lambda x: layer(params, state, x)[0], axis_name="batch")(x[:1, :, 0])


def test_a_batch_may_lie_on_two_axes() -> None:
    layer = nl.jax.BatchNorm(8, axis_name=("outer", "inner"))
    params, state = layer.init()
    inner = jax.vmap(lambda x: layer(params, state, x)[0], axis_name="inner")
    y = jax.vmap(inner, axis_name="outer")(X.reshape(2, 2, 6, 8, 5))
    compare(np.asarray(y).reshape(WHOLE), np.asarray(nl.functional.batch_norm(jnp.asarray(X.reshape(WHOLE)))), "identity")


def test_the_largest_of_all_slices_has_a_slope() -> None:
    """A set divided by its largest magnitude: the slope goes to the element that is the largest, wherever it is."""
    d = nl.method("batch_norm")
    fields = {n: v for n, v in vars(d).items() if n in Definition.__dataclass_fields__}
    largest = Definition(**{**fields, "spread": "max"})
    shares, plain, params, state = both(largest)
    one = jax.grad(lambda x: (jax.vmap(lambda x: shares(params, state, x)[0], axis_name="batch")(x) * DY).sum())(X)
    two = jax.grad(lambda x: (plain(params, state, x)[0] * DY.reshape(WHOLE)).sum())(X.reshape(WHOLE))
    compare(np.asarray(one).reshape(WHOLE), np.asarray(two), "identity")


def test_evaluation_needs_no_axis_and_training_says_that_it_does() -> None:
    shares, plain, params, state = both(nl.method("batch_norm"))
    evaluated = shares(params, state, X[0], training=False)[0]
    compare(np.asarray(evaluated), np.asarray(plain(params, state, X[0], training=False)[0]), "identity")
    with pytest.raises(nl.NormlabError, match=r"batch_norm: axis_name='batch' is the name of no mapped axis here\. Call it inside jax\.vmap"):
        shares(params, state, X[0])
    with pytest.raises(nl.NormlabError, match="axis_name must be the name of a mapped axis"):
        nl.jax.BatchNorm(8, axis_name=())


ON_DEVICES = """
import sys, warnings
sys.path.insert(0, sys.argv[1])
warnings.simplefilter("error")
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, PartitionSpec as P
from comparing import compare
from test_jax_axis import DY, SHARING, WHOLE, X, both
assert len(jax.devices()) == 2
x, dy = X.reshape(WHOLE), DY.reshape(WHOLE)
mesh = Mesh(np.array(jax.devices()), ("batch",))
for d in SHARING:
    shares, plain, params, state = both(d)
    run = jax.jit(jax.shard_map(lambda p, x: shares(p, state, x), mesh=mesh, in_specs=(P(), P("batch")), out_specs=(P("batch"), P())))
    y, pull, new = jax.vjp(run, params, x, has_aux=True)
    wanted, pull_wanted, new_wanted = jax.vjp(lambda p, x: plain(p, state, x), params, x, has_aux=True)
    found = (y, *pull(dy), new)
    jax.tree.map(lambda a, b: compare(np.asarray(a, np.float32), np.asarray(b, np.float64), "identity", d.name), found, (wanted, *pull_wanted(dy), new_wanted))
    warnings.simplefilter("ignore", DeprecationWarning)  # pmap announces that it will go
    y, _ = jax.pmap(lambda x: shares(params, state, x), axis_name="batch")(x.reshape(2, 12, 8, 5))
    compare(np.asarray(y).reshape(WHOLE), np.asarray(wanted), "identity", d.name)
    warnings.simplefilter("error")
print("equal on two devices")
"""


def test_two_devices_are_one_batch() -> None:
    """`shard_map` and `pmap`, in an interpreter of its own, which is told that its processor is two devices."""
    environment = {**os.environ, "XLA_FLAGS": "--xla_force_host_platform_device_count=2", "JAX_PLATFORMS": "cpu"}
    run = subprocess.run([sys.executable, "-c", ON_DEVICES, str(Path(__file__).parent)], env=environment, capture_output=True, text=True)
    assert run.stdout.split("\n")[-2:-1] == ["equal on two devices"], run.stderr
