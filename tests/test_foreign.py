"""The libraries that tests compare with import beside any torch, and leave nothing behind on the machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent


def alone(code: str, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh interpreter that takes every warning for an error."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("KERAS_", "HF_", "TRANSFORMERS_"))}
    kept |= {"PYTHONPATH": str(TESTS), "HOME": str(home), "TMPDIR": str(home), "USERPROFILE": str(home), **environment}
    return subprocess.run([sys.executable, "-W", "error", "-c", code], env=kept, capture_output=True, text=True)


@pytest.mark.parametrize(
    "code",
    [
        "from foreign import timm, transformers; timm.create_model('resnet18', pretrained=False); transformers.BertModel",
        "from foreign import keras, torchvision; assert keras.backend.backend() == 'torch'",
    ],
    ids=["timm and transformers", "keras and torchvision"],
)
def test_it_imports_without_a_warning_and_writes_no_settings(code: str, tmp_path: Path) -> None:
    run = alone(code, tmp_path)
    assert run.returncode == 0, run.stderr
    assert not [path for path in tmp_path.rglob("*") if re.search("keras|huggingface|torch/hub", str(path.relative_to(tmp_path)))]


def test_a_model_is_never_fetched(tmp_path: Path) -> None:
    run = alone("from foreign import transformers\ntransformers.AutoModel.from_pretrained('bert-base-uncased')", tmp_path)
    assert run.returncode != 0 and "offline" in run.stderr.lower()


def test_the_backend_of_keras_can_be_chosen_outside(tmp_path: Path) -> None:
    run = alone("from foreign import keras; print(keras.backend.backend())", tmp_path, KERAS_BACKEND="jax")
    assert run.stdout.split() == ["jax"], run.stderr


def test_an_unknown_name_is_an_import_error() -> None:
    with pytest.raises(ImportError, match="tensorflow"):
        from foreign import tensorflow  # noqa: F401
