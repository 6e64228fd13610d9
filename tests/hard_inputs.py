"""The inputs of the numbered cases: what other libraries were seen to get wrong. Used by the tests and by `elsewhere`."""

from __future__ import annotations

import numpy as np

__all__ = [
    "APPLIES", "BY_TESTS", "batch_far_from_zero", "channels_last_far", "constant_rows", "far", "fourteen_hundred",
    "half_large", "million_near_1e12", "narrow_rows", "ratio", "tiny_and_huge",
]  # fmt: skip

# What a case is about, in a few words, for the table.
APPLIES = {
    1: "randn(5, 4) + 2000",
    2: "rows of 32,768, 0.01 randn + 100",
    3: "1e6 with spread 1e-3, 1e7 with 1e-2",
    4: "sixteen values about 1449",
    5: "randn + 1e6",
    6: "1e12 + U(0, 1), a million values, float64",
    7: "mean 1e15, spread 1, float64",
    8: "U[0, 1), 37.7 million values in one group",
    9: "group norm, channels last, mean 1e3 spreads away",
    10: "constant sets: zeros, 1000.1; GroupNorm(27, 27) on (7, 27)",
    11: "eps outside the root, spread 1e-8 and 0",
    12: "a variance that may come out negative",
    13: "float16: eps 1e-12, a zero vector",
    14: "float16: values above 256, squared",
    15: "float16: weight or input at 65504",
    16: "float32 near 1e20 and near 1e-30",
    17: "running variance biased or not; one value per channel",
    18: "momentum's two senses",
    19: "merging parts: their counts",
    20: "merging parts: whose mean the deviations are from",
    21: "merging parts: the square of the distance times both counts overflows",
    22: "merging parts: empty and unequal ones",
    23: "group size not a power of two: 48 channels, 16 groups",
    24: "backward with rank above 2",
    25: "more rows than a tile",
    26: "LRN: alpha over size, even windows, the padded side",
    27: "channels_last memory in and out",
    28: "instance norm with running statistics, evaluation",
    29: "RMS norm's default eps by dtype",
    30: "the cast before or after the weight",
    31: "NaN, +Inf, -Inf in one row; -0.0; subnormals",
    32: "empty, zero channels, 0-d, N = 1, sizes beside powers of two, strides, misaligned, in place",
    33: "vmap, grad and jvp with running statistics",
    34: "one thread or several",
    35: "forked worker, threads, worker processes",
}
def _random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def batch_far_from_zero() -> np.ndarray:
    """Case 1."""
    return (_random(1).standard_normal((5, 4)) + 2000).astype(np.float32)


def narrow_rows(rows: int) -> np.ndarray:
    """Case 2: the issue's input has 1024 rows."""
    return (0.01 * _random(2).standard_normal((rows, 32768)) + 100).astype(np.float32)


def far(dtype: str) -> list[np.ndarray]:
    """Case 3. In float32 the numbers about 1e6 lie 1/16 apart, so that hardly anything is left of the spread."""
    base = [(1e6, 1e-3), (1e7, 1e-2)]
    return [(m + s * _random(3).standard_normal((8, 512))).astype(dtype) for m, s in base]


def fourteen_hundred() -> np.ndarray:
    """Case 4."""
    return (1449 + _random(4).random((4, 16))).astype(np.float32)


def ratio(mean_over_spread: float, shape: tuple[int, ...], dtype: str = "float32", seed: int = 5) -> np.ndarray:
    """Mean and spread as told (case 5: 1e6; case 7: 1e15)."""
    return (_random(seed).standard_normal(shape) + mean_over_spread).astype(dtype)


def million_near_1e12() -> np.ndarray:
    """Case 6."""
    return 1e12 + _random(6).random((1, 1_000_000))


def channels_last_far() -> np.ndarray:
    """Case 9: NHWC in memory, NCHW by its axes; 2 x 32 channels x 16 x 16."""
    x = _random(9).standard_normal((2, 16, 16, 32)) + 1e3
    return x.astype(np.float32).transpose(0, 3, 1, 2)


def constant_rows(value: float, dtype: str = "float32") -> np.ndarray:
    """Case 10."""
    return np.full((16, 24), value, dtype)


def half_large() -> np.ndarray:
    """Cases 14 and 15: values whose squares leave float16's range."""
    return (1000 * _random(14).standard_normal((6, 64))).astype(np.float16)


def tiny_and_huge() -> list[np.ndarray]:
    """Case 16: squares that are infinite and squares that are 0 in float32."""
    x = _random(16).standard_normal((5, 64))
    return [(x * 1e20).astype(np.float32), (x * 1e-30).astype(np.float32)]

# Cases that the tests try, not a row: where, and what torch, Flax, Keras and MLX do by those tests.
_MERGED = ("not tried: SyncBatchNorm merges on a GPU only", "not tried", "", "")
BY_TESTS = {
    **dict.fromkeys((19, 20, 21, 22), ("test_numerics_calls, test_torch_distributed, test_jax_axis", _MERGED)),
    24: ("test_grid: every rank; test_grid_twins: theirs", ("right", "right", "right", "right")),
    25: ("test_grid and test_numpy_backward: 1,025 and 4,097 rows", ("not tried", "not tried", "not tried", "not tried")),
    26: ("test_against_torch, test_grid_twins: sizes 1 to 11", ("right (divides alpha, longer before)", "", "", "")),
    28: ("test_numerics_conventions; test_grid_twins: torch's", ("right", "", "", "")),
    33: ("test_numerics_calls", ("refuses vmap: its buffers change in place", "not tried", "", "not tried")),
    35: ("test_numerics_calls", ("not tried: it may wait for ever", "not tried", "not tried", "not tried")),
}
