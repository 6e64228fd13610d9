"""The notebooks: both run from top to bottom, show what is stored in them, and are one notebook in two languages."""

from __future__ import annotations

import ast
import importlib.util
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

import pytest

import normlab as nl

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
LANGUAGES = ("en", "ko")
MOST_BYTES = 400_000
PATIENCE_S = 300
NUMBER = re.compile(r"(?<![\w.])[-−]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
ROUNDING = 1e-12  # below it a mean is what rounding left of 0, and differs from machine to machine
CLOSE = 2e-2  # two digits are printed of some numbers
# Numbers that the prose may name although no output shows them: definitions and settings.
GIVEN = {"0.05", "0.95", "0.25", "1/100", "0.5"}
# What the note names, in its order, as the cells may write it.
TEN = (
    "BatchNorm", "LayerNorm", "InstanceNorm", "group_norm", "whole_norm", "unit_norm", "FeatureWise", "FiLM",
    "SpectralNorm", "selu", "AlphaDropout", "WeightNorm", "LocalResponseNorm",
)  # fmt: skip


@cache
def stored(lang: str) -> Any:
    import nbformat

    notebook = nbformat.read(EXAMPLES / f"note.{lang}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Both notebooks, run now, side by side; a cell that fails fails here.

    In processes of their own, because the client of a kernel leaves sockets and loops open until its process ends.
    """
    import nbformat

    folder = tmp_path_factory.mktemp("executed")
    command = [sys.executable, str(EXAMPLES / "execute.py"), "-o", str(folder)]
    started = {
        lang: subprocess.Popen(
            [*command, str(EXAMPLES / f"note.{lang}.ipynb")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for lang in LANGUAGES
    }
    said = {lang: process.communicate(timeout=PATIENCE_S)[0] for lang, process in started.items()}
    assert all(process.returncode == 0 for process in started.values()), "\n".join(said.values())
    return {lang: nbformat.read(folder / f"note.{lang}.ipynb", as_version=4) for lang in LANGUAGES}


def code_cells(notebook: Any) -> Iterator[Any]:
    return (cell for cell in notebook.cells if cell.cell_type == "code")


def outputs(cell: Any) -> Iterator[tuple[str, str]]:
    """Kind and text of what a cell shows; a picture's bytes depend on matplotlib's version, so only that it is there."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.name, output.text
        else:
            for kind, text in sorted(output.data.items()):
                yield kind, "" if kind == "image/png" else text


def numbers(text: str) -> list[float]:
    found = (float(word.replace("−", "-")) for word in NUMBER.findall(text))
    return [0.0 if abs(value) < ROUNDING else value for value in found]


def agree(old: str, new: str) -> bool:
    """Whether two texts are equal, but for the last digits of their numbers."""
    left, right = numbers(old), numbers(new)
    return NUMBER.sub("#", old) == NUMBER.sub("#", new) and all(
        math.isclose(a, b, rel_tol=CLOSE, abs_tol=ROUNDING) for a, b in zip(left, right, strict=True)
    )


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_notebook_shows_what_is_stored_in_it(lang: str, executed: dict[str, Any]) -> None:
    for old, new in zip(code_cells(stored(lang)), code_cells(executed[lang]), strict=True):
        shown, now = list(outputs(old)), list(outputs(new))
        assert [kind for kind, _ in shown] == [kind for kind, _ in now], f"{old.id}: run examples/execute.py"
        for (kind, before), (_, after) in zip(shown, now, strict=True):
            assert agree(before, after), f"{old.id}, {kind}: run examples/execute.py\n{before}\n{after}"


def test_another_number_is_found() -> None:
    assert agree("mean 0.0439 of 3e-18 −1", "mean 0.0440 of -7e-19 −1")
    assert not agree("mean 0.0439", "mean 0.0539")
    assert not agree("mean 0.0439", "variance 0.0439")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_what_is_stored_is_complete_and_small(lang: str) -> None:
    path = EXAMPLES / f"note.{lang}.ipynb"
    assert path.stat().st_size < MOST_BYTES
    cells = list(code_cells(stored(lang)))
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [o for cell in cells for o in cell.outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert all(cell.outputs for cell in cells if cell.id != "setup")
    kinds = {kind for cell in cells for kind, _ in outputs(cell)}
    assert {"image/png", "image/svg+xml", "text/html", "stdout"} <= kinds
    # test_house looks for the places of this machine; these are anybody's.
    assert not re.search(r"[\"' (](/home/|/Users/|/usr/)|site-packages", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_outputs_speak_the_notebooks_language(lang: str) -> None:
    page = "".join(text for cell in code_cells(stored(lang)) for kind, text in outputs(cell) if kind != "text/plain")
    hangul = len(re.findall("[가-힣]", page))
    assert hangul > 1000 if lang == "ko" else hangul == 0
    assert f'<div lang="{lang}">' in page


def tree(source: str) -> ast.AST:
    """The code of a cell without comments and magics."""
    return ast.parse("\n".join(re.sub(r"^(\s*)%.*", r"\1pass", line) for line in source.splitlines()))


def translated(one: Any, other: Any) -> bool:
    """Whether two pieces of code differ in words alone: an English text here, a Korean one there."""
    if type(one) is not type(other):
        return False
    if isinstance(one, ast.JoinedStr):  # where the values stand among the words is the language's own affair
        left, right = ([ast.dump(v) for v in j.values if isinstance(v, ast.FormattedValue)] for j in (one, other))
        return sorted(left) == sorted(right)
    if isinstance(one, ast.Constant) and isinstance(one.value, str):
        hangul = re.search("[가-힣]", other.value) and not re.search("[가-힣]", one.value)
        return one.value == other.value or bool(hangul) or (one.value[:2], other.value[:2]) == LANGUAGES
    if isinstance(one, ast.AST):
        return all(translated(getattr(one, name, None), getattr(other, name, None)) for name in one._fields)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(translated, one, other))
    return bool(one == other)


def test_other_code_is_found() -> None:
    assert translated(tree('print(f"mean {x:.2f}", "no")  # here'), tree('print(f"{x:.2f} 평균", "없음")'))
    assert not translated(tree('print(f"mean {x:.2f}")'), tree('print(f"{x:.3f} 평균")'))
    assert not translated(tree('run("bn")'), tree('run("ln")'))
    assert not translated(tree("run(1)"), tree("run(2)"))


def test_both_notebooks_are_one_in_two_languages() -> None:
    en, ko = (stored(lang).cells for lang in LANGUAGES)
    assert [(c.id, c.cell_type) for c in en] == [(c.id, c.cell_type) for c in ko]
    for one, other in zip(en, ko, strict=True):
        if one.cell_type == "code":
            assert translated(tree(one.source), tree(other.source)), one.id
        else:
            assert not re.search("[가-힣]", one.source) and re.search("[가-힣]", other.source), one.id
            for mark in ("#", "| ---", "\n| ", "\n- ", "`normlab ", "$"):
                assert one.source.count(mark) == other.source.count(mark), (one.id, mark)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_numbers_in_the_prose_are_those_that_the_cells_print(lang: str) -> None:
    notebook = stored(lang)
    printed = " ".join(text for cell in code_cells(notebook) for _, text in outputs(cell))
    values = {abs(value) for value in numbers(printed)}
    for cell in notebook.cells:
        if cell.cell_type != "markdown":
            continue
        prose = re.sub(r"^#+ .*$|`[^`]*`|\$[^$]*\$", "", cell.source, flags=re.M)
        for word in re.findall(r"1/\d+|(?<![\d.])\d+\.\d+", prose):
            if word in GIVEN:
                continue
            if "/" in word:
                assert word in printed, f"{cell.id}: {word}"
            else:
                digits = len(word.partition(".")[2])
                assert any(f"{value:.{digits}f}" == word for value in values), f"{cell.id}: {word}"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_each_of_the_notes_ten_has_its_cell(lang: str) -> None:
    sections = re.findall(r"^### 8\.(\d+) ", "\n".join(c.source for c in stored(lang).cells), flags=re.M)
    assert [int(number) for number in sections] == list(range(1, 11))
    code = "\n".join(cell.source for cell in code_cells(stored(lang)))
    assert all(re.search(rf"\b{name}\(", code) for name in TEN)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_notes_network_is_there_and_its_normalization_is_a_constant(lang: str) -> None:
    """The cell says so with its own numbers: that it ran, and not that PyTorch is missing, is what is looked at here."""
    (cell,) = [cell for cell in code_cells(stored(lang)) if cell.id == "cnn-torch"]
    ((_, said),) = outputs(cell)
    assert "620,362" in said and "(1, 10)" in said and said.count("True") == 2 and "False" not in said
    assert numbers(said)[-4:] == [round(2.0**-0.75, 4)] * 4


def test_the_script_has_the_notes_network_and_its_control() -> None:
    import torch

    spec = importlib.util.spec_from_file_location("cnn", EXAMPLES / "cnn.py")
    assert spec is not None and spec.loader is not None
    cnn = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(cnn)
    x, y = cnn.images()
    assert x.shape == (1797, 3, 32, 32) and y.shape == (1797,) and len(x) - cnn.TRAINED_ON == 450
    found = []
    for name, norm in cnn.NORMS.items():
        torch.manual_seed(0)
        net = cnn.network(norm)
        scales = 2 * (32 + 64 + 128) if name == "batch norm" else 0
        assert sum(p.numel() for p in net.parameters()) == 620_362 + scales
        with torch.no_grad():
            found.append(net(x[:4]))
        assert net(x[:1]).shape == (1, 10)
    none, lrn, constant, _ = found
    # At activations of order one the energy adds 1e-4 / 5 * 5 to k = 2: 4e-5 of the factor, in each of three layers.
    assert float((lrn - constant).abs().max()) < 2e-4 * float(constant.abs().max()) < float((lrn - none).abs().max())
    cnn.TRAINED_ON = 2 * cnn.BATCH
    right, seconds = cnn.train(cnn.NORMS["times 0.5946"], x[:192], y[:192], seed=0, epochs=1)
    assert 0 <= right <= 1 and seconds > 0


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_notes_functions_are_shown_in_numpy_and_mlx(lang: str) -> None:
    from normlab.note_functions import table

    assert table(lang) in [text for cell in code_cells(stored(lang)) for kind, text in outputs(cell) if kind == "text/markdown"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_commands_in_the_prose_exist(lang: str) -> None:
    prose = "\n".join(c.source for c in stored(lang).cells if c.cell_type == "markdown")
    commands = re.findall(r"`(normlab [^`]+)`", prose)
    calls = re.findall(r"`(nl\.compare\([^`]+)`", prose)
    assert len(commands) >= 4 and len(calls) >= 3
    assert {command.split()[1] for command in commands} <= {"bench", "compare", "guide", "report", "info"}
    for call in calls:
        assert eval(call, {"nl": nl}).to_dict()["arms"]


@pytest.mark.parametrize("place", ["", "examples", "any name", "normlab"])
def test_the_first_cell_finds_the_copy_beside_or_around_it(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without normlab it installs the checkout that it stands in, or that was cloned beside it; here pip is a list."""
    copy = tmp_path if place in ("", "examples") else tmp_path / place
    (copy / "src" / "normlab").mkdir(parents=True)
    (tmp_path / place).mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / place if place == "examples" else tmp_path)
    found = first_cell(monkeypatch)
    assert [Path(path).resolve() for path in found] == [copy.resolve()]


def test_the_first_cell_says_what_to_do_where_there_is_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="git clone"):
        first_cell(monkeypatch)


def test_the_first_cell_does_nothing_where_normlab_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert first_cell(monkeypatch, missing=False) == []


def first_cell(monkeypatch: pytest.MonkeyPatch, *, missing: bool = True) -> list[str]:
    """Run the first cell of the English notebook; returns the folders that it would install."""
    source = next(code_cells(stored("en"))).source
    line = re.search(r'%pip install --quiet -e "(\{copies\[0\]\}\[plot,sklearn\])"', source)
    assert line is not None
    asked: list[str] = []
    source = source.replace(line.group(), "pip.append(str(copies[0]))")
    if missing:
        # What Python finds of a checkout that was cloned under its own name beside the notebook: a bare folder.
        bare = ModuleSpec("normlab", None, is_package=True) if Path("normlab").is_dir() else None
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: bare)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv("LC_ALL", os.environ["LC_ALL"])  # so that it is put back
    exec(compile(source, "setup", "exec"), {"pip": asked})
    return asked


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_notebook_names_no_host(lang: str) -> None:
    text = json.dumps(stored(lang), ensure_ascii=False)
    assert not re.search(r"https?://(?!www\.w3\.org/)", text)
