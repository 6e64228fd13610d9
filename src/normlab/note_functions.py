"""What the study note's first experiment uses of NumPy, and what MLX calls it: seven of the ten keep their names.

Neither library is imported here; the tests call both columns of every row.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["FUNCTIONS", "NoteFunction", "rows", "table"]


@dataclass(frozen=True)
class NoteFunction:
    """A function by its name in `numpy` and in `mlx.core`, with the call of the note and the same call in MLX."""

    numpy: str
    mlx: str
    numpy_call: str
    mlx_call: str

    @property
    def same(self) -> bool:
        """Whether both libraries have it under one name."""
        return self.numpy == self.mlx


FUNCTIONS = (
    NoteFunction("random.seed", "random.seed", "np.random.seed(0)", "mx.random.seed(0)"),
    NoteFunction("random.rand", "random.uniform", "np.random.rand(100, 20)", "mx.random.uniform(shape=(100, 20))"),
    NoteFunction("random.randn", "random.normal", "np.random.randn(20, 64)", "mx.random.normal((20, 64))"),
    NoteFunction("exp", "exp", "np.exp(-x)", "mx.exp(-x)"),
    NoteFunction("dot", "matmul", "np.dot(X, W)", "mx.matmul(X, W)"),
    NoteFunction("mean", "mean", "np.mean(Z, axis=0)", "mx.mean(Z, axis=0)"),
    NoteFunction("var", "var", "np.var(Z, axis=0)", "mx.var(Z, axis=0)"),
    NoteFunction("ones", "ones", "np.ones(64)", "mx.ones(64)"),
    NoteFunction("zeros", "zeros", "np.zeros(64)", "mx.zeros(64)"),
    NoteFunction("sqrt", "sqrt", "np.sqrt(sigma2 + epsilon)", "mx.sqrt(sigma2 + epsilon)"),
)
_WORDS = {"en": ("same name", "yes", "no"), "ko": ("이름이 같은가", "같다", "다르다")}


def rows() -> tuple[NoteFunction, ...]:
    """The ten functions, in the order in which the note meets them."""
    return FUNCTIONS


def table(lang: str = "en") -> str:
    """The rows as a Markdown table, in English or Korean."""
    head, yes, no = _WORDS[lang]
    lines = [f"| NumPy | MLX | {head} |", "| --- | --- | --- |"]
    lines += [f"| `{f.numpy_call}` | `{f.mlx_call}` | {yes if f.same else no} |" for f in rows()]
    return "\n".join(lines)
