"""The numbered cases about means far from zero and long sets. What torch does is in `elsewhere.md`."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import hard_inputs as hard
import normlab as nl
from accurate import METHODS, in_rows, on_layer, row_sets, rows_of, shape_with, truth_of
from comparing import compare, same_bytes
from faces import Face
from grid import layouts
from long_references import Long, long_reference
from normlab.definition import Definition

BATCH = nl.method("batch_norm")


def test_case_1_a_small_batch_far_from_zero(every_face: Face) -> None:
    """randn(5, 4) + 2000: torch 1.7 gave variances up to 48425 (pytorch#51102)."""
    x = hard.batch_far_from_zero()
    done = on_layer(every_face, BATCH, x, options={"momentum": 1.0})
    truth = long_reference(np.ascontiguousarray(x.T))
    compare(np.ascontiguousarray(done.y.T), truth.z, "forward", sets=row_sets(x.T))
    compare(done.state["running_var"][:, None] * np.float32(0.8), truth.var, "running")


@pytest.mark.parametrize("rows", [8, pytest.param(1024, marks=pytest.mark.slow)])
def test_case_2_long_rows_with_little_spread(rows: int, every_face: Face) -> None:
    """(1024, 32768), 0.01 randn + 100: elsewhere the variance came out 0 instead of 1e-4 (pytorch#40302)."""
    x = hard.narrow_rows(rows)
    y = every_face.call("layer_norm", x)
    for first in range(0, rows, 64):
        in_rows(x[first : first + 64], y[first : first + 64])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_case_3_a_spread_far_below_the_mean(dtype: str, every_face: Face) -> None:
    """1e6 with spread 1e-3, 1e7 with 1e-2: one pass in float32 gives NaN or 100 % error (onnxruntime#31973)."""
    for x in hard.far(dtype):
        in_rows(x, every_face.call("layer_norm", x))
        if dtype == "float64":
            in_rows(x, every_face.call("layer_norm", x, eps=0.0), eps=0.0)


def test_case_4_sixteen_values_about_1449(every_face: Face) -> None:
    """MLX on a GPU gave rows of NaN (mlx#2238)."""
    x = hard.fourteen_hundred()
    in_rows(x, every_face.call("layer_norm", x))


@pytest.mark.parametrize("d", METHODS, ids=lambda d: d.name)
def test_case_5_a_million_spreads_from_zero(d: Definition, every_face: Face) -> None:
    """x + 1e6: Flax's default variance blows up by its own test's comment."""
    layout = layouts(d)[0]
    shape = shape_with(d, layout, 500)
    x = hard.ratio(1e6, shape)
    rows = rows_of(d, layout, shape)
    y = on_layer(every_face, d, x, layout).y
    compare(y.ravel()[rows], truth_of(d, x, rows).z, "forward", d.name, sets=row_sets(rows))


@cache
def million() -> tuple[np.ndarray, np.ndarray, Long]:
    x = hard.million_near_1e12()
    dy = np.random.default_rng(0).standard_normal(x.shape)
    return x, dy, long_reference(x, dy)


def test_case_6_a_million_values_near_1e12(every_face: Face) -> None:
    """1e12 + U(0, 1), float64: Welford's running update is off by 2.5e-4."""
    x, dy, truth = million()
    done = on_layer(every_face, nl.method("layer_norm"), x, dy=dy)
    assert truth.dx is not None and done.dx is not None
    compare(done.y, truth.z, "forward")
    compare(done.dx, truth.dx, "gradient")


def test_case_7_a_running_mean_near_1e15(every_face: Face) -> None:
    """Mean 1e15, spread 1: a mean that is moved by small steps freezes, for a step below half an ulp (1/16) is lost.

    The normalization itself is exact to the goal. A running mean can be no better than its dtype and its momentum: it
    stops where momentum times the distance is under half an ulp, which is stated here as its bound.
    """
    x = hard.ratio(1e15, (400, 3), "float64")
    truth = long_reference(np.ascontiguousarray(x.T))
    done = on_layer(every_face, BATCH, x)
    compare(np.ascontiguousarray(done.y.T), truth.z, "forward", sets=row_sets(x.T))
    # 0.9^400 of the start is nothing; beside the mean it takes 360 steps to an ulp.
    close = {"running_mean": truth.mean.high.ravel() - 3.0, "running_var": np.ones(3)}
    for _ in range(40):
        _, close["running_mean"], close["running_var"] = every_face.call("batch_norm", x, **close)
    ulp = np.spacing(1e15)
    assert np.all(np.abs(close["running_mean"] - truth.mean.high.ravel()) <= ulp / 2 / 0.1 + ulp)


@pytest.mark.slow
def test_case_8_a_group_of_38_million(every_face: Face) -> None:
    """U[0, 1), 256 * 256 * 72 * 8 values in one group: serial float32 sums drift (pytorch#54293)."""
    x = np.random.default_rng(8).random((1, 8, 256, 256, 72), np.float32)
    y = every_face.call("group_norm", x, groups=1)
    in_rows(x.reshape(1, -1), y.reshape(1, -1))


def test_case_9_group_norm_does_not_depend_on_the_memory_layout(every_face: Face) -> None:
    """Channels last, mean far above spread: torch gives two answers for two layouts, 13,863 units off at 1e2.

    Two layouts may be summed in two orders; each is right. On NumPy they are the same bytes.
    """
    x, d = hard.channels_last_far(), nl.method("group_norm")
    rows = rows_of(d, "n c ...", x.shape, {"groups": 4})
    truth = long_reference(x.ravel()[rows]).z
    ways = [on_layer(every_face, d, x, options={"groups": 4}, memory=memory).y for memory in ("contiguous", "channels last")]
    moved = on_layer(every_face, d, np.ascontiguousarray(np.moveaxis(x, 1, -1)), "n ... c", options={"groups": 4}).y
    for y in (*ways, np.moveaxis(moved, -1, 1)):
        compare(y.ravel()[rows], truth, "forward", sets=row_sets(rows))
        if every_face.name == "numpy":
            same_bytes(np.ascontiguousarray(y), np.ascontiguousarray(ways[0]))


@pytest.mark.parametrize(("channels", "groups"), [(48, 16), (30, 6), (33, 11), (31, 1), (96, 32)])
def test_case_23_groups_whose_size_is_no_power_of_two(channels: int, groups: int, every_face: Face) -> None:
    """48 channels in 16 groups: a kernel library's maximum error was 0.594."""
    x = np.random.default_rng(0).standard_normal((3, channels, 5)).astype(np.float32)
    y = every_face.call("group_norm", x, groups=groups)
    rows = x.reshape(3 * groups, -1)
    in_rows(rows, y.reshape(rows.shape))


@pytest.mark.parametrize("length", [2, 3, 7, 8, 9, 31, 32, 33, 127, 128, 129, 255, 256, 257, 1023, 1024, 1025])
def test_case_32_lengths_beside_powers_of_two(length: int, every_face: Face) -> None:
    """2^k and one more or less: where blocks and vectors end."""
    x = hard.ratio(10.0, (3, length))
    in_rows(x, every_face.call("layer_norm", x))
    x = hard.ratio(10.0, (3, length), "float64")
    in_rows(x, every_face.call("rms_norm", x), centre=False, spread="rms")


def test_every_numbered_case_is_a_test() -> None:
    named = "".join(p.read_text(encoding="utf-8") for p in Path(__file__).parent.glob("test_*.py"))
    for number in hard.APPLIES:
        assert f"test_case_{number}_" in named or f"Case {number}:" in named or f"Case {number}'" in named or any(
            f"ases {a} and {b}:" in named for a in range(1, 36) for b in range(1, 36) if number in (a, b)
        ), number  # fmt: skip
    assert set(hard.APPLIES) == set(range(1, 36))


def test_the_table_of_what_others_do_has_every_case_and_ours_are_right() -> None:
    """Written by `elsewhere.py`; a case that goes wrong on a face must not be committed with its number beside it."""
    rows = [
        [cell.strip() for cell in line.strip("|").split(" | ")]
        for line in Path(__file__).with_name("elsewhere.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and line[2].isdigit()
    ]
    assert {int(r[0]) for r in rows} == set(range(1, 36))
    for row in rows:
        assert len(row) == 11
        for said in row[-4:]:
            refusal = int(row[0]) in (10, 17, 32) and "raises ShapeError" in said
            spoken = int(row[0]) in (7, 32) and (said.startswith("gives") or "ulp" in said)
            flushed = int(row[0]) == 31 and "subnormals" in row[2] and said.startswith("0 throughout")  # XLA on a CPU
            assert not said.strip("|") or said.startswith("right") or refusal or spoken or flushed, (row[:3], said)
