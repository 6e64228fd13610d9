"""What lacks a framework or a compiler says so in one sentence, and everything else works.

A package is taken away from an interpreter of its own: no finder finds it there, nor its metadata.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from normlab.cli import installed

TAKE_AWAY = '''
import sys

class Without:
    """A finder that does not know some packages."""

    def __init__(self, finder, gone):
        self.finder, self.gone = finder, gone

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in self.gone else self.finder.find_spec(name, path, target)

    def find_distributions(self, context):
        found = getattr(self.finder, "find_distributions", lambda context: ())(context)
        return (one for one in found if one.metadata["Name"].replace("-cpu", "") not in self.gone)

def take_away(*gone):
    sys.meta_path[:] = [Without(finder, gone) for finder in sys.meta_path]
'''
OPTIONAL = ("flax", "jax", "jaxlib", "matplotlib", "mlx", "numba", "llvmlite", "scikit-learn", "sklearn", "scipy", "torch")
LINE = 'pip install -c constraints.txt -e ".[{}]"'
# What a user does with each face; every one of them must work without what it does not stand on.
USES = {
    "numpy": """
import numpy as np
x = np.random.default_rng(0).standard_normal((6, 8, 5), dtype=np.float32)
layer = nl.numpy.BatchNorm(8)
y = layer(x)
assert layer.backward(np.ones_like(y)).shape == x.shape
assert abs(nl.functional.group_norm(x, groups=2).mean()) < 1e-6
assert nl.functional.local_response_norm(x).dtype == x.dtype
""",
    "torch": """
import torch
x = torch.randn(6, 8, 5, requires_grad=True)
nl.torch.BatchNorm(8)(x).square().sum().backward()
assert x.grad.shape == x.shape
assert abs(nl.functional.group_norm(x, groups=2).mean()) < 1e-6
assert nl.functional.local_response_norm(x).dtype == x.dtype
""",
    "jax": """
import jax
layer = nl.jax.BatchNorm(8)
params, state = layer.init(jax.random.key(0))
y, state = layer(params, state, jax.numpy.ones((6, 8, 5)), training=True)
assert y.shape == (6, 8, 5)
""",
    "mlx": """
import mlx.core as mx
y = nl.mlx.BatchNorm(8)(mx.random.normal((6, 8, 5)))
assert y.shape == (6, 8, 5)
""",
}


def alone(code: str, *gone: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `code` in an interpreter that lacks the packages `gone`."""
    whole = f"{TAKE_AWAY}\ntake_away(*{gone!r})\nimport normlab as nl\n{code}"
    kept = {k: v for k, v in os.environ.items() if k != "NORMLAB_THREADS"}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", whole], cwd=folder, env=kept, capture_output=True, text=True
    )  # fmt: skip


@pytest.mark.parametrize(
    ("gone", "asks", "extra"),
    [
        ("torch", "nl.torch", "torch"), ("torch", "from normlab.torch import BatchNorm", "torch"),
        ("jax", "nl.jax", "jax"), ("jax", "import normlab.jax", "jax"), ("mlx", "nl.mlx", "mlx"),
        ("mlx", "from normlab.mlx import GroupNorm", "mlx"), ("flax", "nl.jax.nnx.BatchNorm", "flax"),
        ("flax", "from normlab.jax import nnx; nnx.GroupNorm", "flax"),
    ],
    ids=lambda value: value,
)  # fmt: skip
def test_one_sentence_installs_what_is_missing(gone: str, asks: str, extra: str) -> None:
    run = alone(f"try:\n    {asks}\nexcept ImportError as error:\n    print(type(error).__name__, error.code, error)", gone)
    assert run.returncode == 0, run.stderr
    assert run.stdout == f"MissingExtraError 3 {gone} is not installed. Install it with: {LINE.format(extra)}\n"


@pytest.mark.parametrize("face", [face for face in installed.FACES if face != "numpy"])
def test_a_framework_that_is_there_but_broken_is_not_called_missing(face: str, tmp_path: Path) -> None:
    """The line that installs it would change nothing: what went wrong inside is what the user must read."""
    (tmp_path / face).mkdir()
    (tmp_path / face / "__init__.py").write_text("import no_such_part_of_it\n", encoding="utf-8")
    planted = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\ntry:\n    nl.{face}\nexcept ImportError as error:\n    print(error)"
    run = alone(planted)
    assert run.returncode == 0 and run.stdout == "No module named 'no_such_part_of_it'\n", run.stdout + run.stderr


def test_half_of_mlx_is_missing_too(tmp_path: Path) -> None:
    """On Linux the package mlx holds no library: mlx-cpu, or a CUDA build, brings it."""
    (tmp_path / "mlx").mkdir()
    (tmp_path / "mlx" / "__init__.py").touch()
    why = "libmlx.so: cannot open shared object file: No such file or directory"
    (tmp_path / "mlx" / "core.py").write_text(f"raise ImportError({why!r}, name='core')\n", encoding="utf-8")
    run = alone(f"import sys; sys.path.insert(0, {str(tmp_path)!r})\ntry:\n    nl.mlx\nexcept ImportError as error:\n    print(error)")
    assert run.stdout == f"mlx is not installed. Install it with: {LINE.format('mlx')}\n", run.stderr


@pytest.mark.parametrize("face", installed.FACES)
@pytest.mark.parametrize("gone", ["numba", "everything else"])
def test_a_face_works_without_what_it_does_not_stand_on(face: str, gone: str) -> None:
    stands_on = {"jax": {"jax", "jaxlib", "scipy"}, "mlx": {"mlx"}, "torch": {"torch"}}.get(face, set())
    lost = ("numba", "llvmlite") if gone == "numba" else tuple(name for name in OPTIONAL if name not in stands_on)
    run = alone(USES[face], *lost)
    assert run.returncode == 0, run.stderr


def test_without_any_extra_the_base_package_does_its_job(tmp_path: Path) -> None:
    code = """
from normlab import *
from normlab.cli import main
assert set(dir(nl)) >= {"jax", "mlx", "numpy", "torch"}
assert main(["compare", "none", "bn", "ln", "--width", "12", "--batch", "30", "-o", "run.html"]) == 0
assert main(["guide", "bn"]) == 0
assert main(["info"]) == 0
"""
    run = alone(code, *OPTIONAL, folder=tmp_path)
    assert run.returncode == 0, run.stderr
    assert all(LINE.format(extra) in run.stdout for extra in ("fast", "torch", "jax", "flax", "mlx", "plot", "sklearn"))
    assert (tmp_path / "run.html").stat().st_size > 50_000


def test_kernels_say_that_numba_is_missing() -> None:
    run = alone("from normlab import kernels\nprint(kernels.available())", "numba", "llvmlite")
    assert run.stdout == "False\n", run.stderr
    assert alone("from normlab import kernels\nprint(kernels.available())").stdout == "True\n"


def test_with_and_without_kernels_the_numbers_agree() -> None:
    """float32, 8192 elements a set: both are within a few units in the last place of the exact value, of at most 4.5."""
    code = """
import json, numpy as np
x = np.random.default_rng(0).standard_normal((16, 8, 512), dtype=np.float32)
layer = nl.numpy.BatchNorm(8)
y = layer(x)
print(json.dumps([y[:2].ravel().tolist(), layer.backward(x[::-1].copy())[:2].ravel().tolist()]))
"""
    import json

    import numpy as np

    runs = [np.array(json.loads(alone(code, *gone).stdout)) for gone in ((), ("numba", "llvmlite"))]
    assert runs[0].shape == (2, 2 * 8 * 512)
    np.testing.assert_allclose(runs[0], runs[1], rtol=0, atol=4 * 4.5 * np.finfo(np.float32).eps)


def test_the_taking_away_can_fail() -> None:
    run = alone("import importlib.metadata as m\nimport importlib.util as u\nprint(u.find_spec('torch'), m.version('torch'))", "torch")
    assert "PackageNotFoundError" in run.stderr
    assert alone("import torch; print(torch.__name__)").stdout == "torch\n"
    assert "No module named 'torch'" in alone("import torch", "torch").stderr
