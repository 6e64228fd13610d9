"""The house keeps its order: arrows point one way, nothing heavy is imported early, files stay readable."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import normlab

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "normlab"
FILES = sorted(SOURCE.rglob("*.py"))

# A module may import those of its own level and of lower ones. What is not listed here has no place in the house yet.
LEVELS = {
    "errors": 0, "formatting": 0, "language": 0, "importing": 0, "processors": 0,
    "notation": 0,
    "constraints": 1, "formula": 1, "pattern": 1, "statistics": 1,
    "definition": 2, "initialization": 2, "sharing": 2,
    "methods": 3,
    "blueprint": 4, "calling": 4, "fitting": 4, "kernels": 4, "operations": 4, "registry": 4, "signatures": 4, "windowing": 4, "traced": 4,
    "jax": 5, "mlx": 5, "numpy": 5, "torch": 5,
    "data": 6, "functional": 6,
    "board": 7, "boards": 7, "cards": 7, "note_functions": 7, "result": 7, "tabs": 7, "walkthrough": 7,
    "advice": 8, "benchmark": 8, "experiments": 8, "grading": 8, "surgery": 8, "sweep": 8,
    "report": 9,
    "lab": 10,
    "cli": 11, "__main__": 11,
    "__init__": 0,
}  # fmt: skip
# What each face computes with. All of them may use NumPy, for constants and for what lies in shared memory.
FACES = {"jax": {"flax", "jax"}, "mlx": {"mlx"}, "numpy": {"autograd"}, "torch": {"torch"}}
# One call points upward: a result shows itself, and only when asked to.
UPWARD = {("result", "report")}
FRAMEWORKS = {
    "autograd", "flax", "jax", "keras", "matplotlib", "mlx", "numba", "numpy", "onnx", "onnxruntime", "scipy", "sklearn",
    "torch",
}  # fmt: skip
# What `benchmark` races against, or with, where it happens to be installed; nothing asks for it.
PEERS = {"benchmark": {"ml_dtypes", "onnx", "onnxruntime"}}
HEAVY = FRAMEWORKS | {"anyio", "click", "jinja2", "rich", "starlette", "threadpoolctl", "uvicorn"}
HOLDS_NO_MATHEMATICS = ("report", "lab", "cli", "methods")
MOST_LINES = 300
MOST_LINES_OF_KERNELS = 400
MOST_LINES_OF_TESTS = 400


@cache
def imports(path: Path) -> tuple[tuple[str, bool], ...]:
    """Every module that a file imports, by its full name, and whether it does so when it is loaded itself."""
    inside = ("normlab", *path.relative_to(SOURCE).with_suffix("").parts)
    package = inside[:-1]
    tree = ast.parse(path.read_text(encoding="utf-8"))
    deferred = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) for n in ast.walk(f)}
    checking = {
        id(n) for f in ast.walk(tree) if isinstance(f, ast.If) and "TYPE_CHECKING" in ast.dump(f.test) for n in ast.walk(f)
    }
    found: list[tuple[str, bool]] = []
    for node in ast.walk(tree):
        at_once = id(node) not in deferred
        if id(node) in checking:
            continue
        if isinstance(node, ast.Import):
            found += [(alias.name, at_once) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            whole = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            names = [f"{whole}.{alias.name}" for alias in node.names] if whole == "normlab" else [whole]
            found += [(name, at_once) for name in names]
    return tuple(found)


def part_of(name: str) -> str | None:
    """The part of normlab that a module belongs to; None for other packages."""
    pieces = name.split(".")
    if pieces[0] != "normlab":
        return None
    return pieces[1] if len(pieces) > 1 else "__init__"


def own_part(path: Path) -> str:
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def against_the_arrows(path: Path) -> Iterator[str]:
    own = own_part(path)
    for name, at_once in imports(path):
        other = part_of(name)
        if other is None or (other not in LEVELS and hasattr(normlab, other)):
            continue  # a public name, resolved by normlab/__init__.py
        allowed = LEVELS[other] <= LEVELS[own] or ((own, other) in UPWARD and not at_once)
        if not allowed:
            yield f"{path.relative_to(SOURCE)} imports {name}"


def test_every_part_has_its_level() -> None:
    assert {own_part(path) for path in FILES} <= set(LEVELS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_imports_point_one_way(path: Path) -> None:
    assert not list(against_the_arrows(path))


def test_an_import_against_the_arrows_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = tmp_path / "pattern.py"
    planted.write_text("from . import errors\ndef f():\n    from .report.table import table\n", encoding="utf-8")
    monkeypatch.setattr(sys.modules[__name__], "SOURCE", tmp_path)
    assert list(against_the_arrows(planted)) == ["pattern.py imports normlab.report.table"]


def foreign_to_the_face(path: Path) -> set[str]:
    """What a face's file imports of other faces and of their frameworks."""
    own = own_part(path)
    names = {name for name, _ in imports(path)}
    others = {name for name in names if part_of(name) in set(FACES) - {own}}
    return others | {name for name in names if name.split(".")[0] in FRAMEWORKS - FACES[own] - {"numpy"}}


@pytest.mark.parametrize("face", FACES)
def test_a_face_imports_its_own_framework_only(face: str) -> None:
    files = [path for path in FILES if own_part(path) == face]
    assert files, face
    assert {path.name: found for path in files if (found := foreign_to_the_face(path))} == {}


def test_a_face_that_leans_on_another_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = tmp_path / "mlx" / "layers.py"
    planted.parent.mkdir()
    planted.write_text("import mlx.nn, numpy\nfrom ..jax import call\ndef f():\n    import torch.nn\n", encoding="utf-8")
    monkeypatch.setattr(sys.modules[__name__], "SOURCE", tmp_path)
    assert foreign_to_the_face(planted) == {"normlab.jax", "torch.nn"}


@pytest.mark.parametrize("path", sorted((SOURCE / "methods").glob("[!_]*.py")), ids=lambda path: path.stem)
def test_a_method_imports_the_definition_and_nothing_else(path: Path) -> None:
    assert {name for name, _ in imports(path)} <= {"__future__", "math", "normlab.constraints", "normlab.definition"}


@pytest.mark.parametrize("part", HOLDS_NO_MATHEMATICS)
def test_there_is_no_array_arithmetic_in(part: str) -> None:
    used = {(path.name, name) for path in (SOURCE / part).rglob("*.py") for name, _ in imports(path)}
    assert not [pair for pair in used if pair[1].split(".")[0] in FRAMEWORKS]


def test_the_product_never_imports_a_package_that_it_does_not_declare() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    to_use = [line for extra, lines in extras.items() if extra != "test" for line in lines]
    packages = {re.split(r"[^a-z0-9-]", line.lower())[0] for line in (*project["dependencies"], *to_use)}
    found = {
        top for path in FILES for name, at_once in imports(path)
        if (top := name.split(".")[0]) not in PEERS.get(own_part(path), ()) or at_once
    }  # fmt: skip
    foreign = found - set(sys.stdlib_module_names) - {"normlab"}
    providers = importlib.metadata.packages_distributions()
    assert {name for name in foreign if not packages & {p.lower() for p in providers[name]}} == set()


def modules_after(code: str) -> set[str]:
    """The top-level packages that are loaded in a fresh interpreter after `code`."""
    run = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys, json\nprint(json.dumps([*sys.modules]))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {name.split(".")[0] for name in json.loads(run.stdout.splitlines()[-1])}


def test_importing_normlab_imports_nothing_heavy() -> None:
    assert not modules_after("import normlab; dir(normlab); normlab.list_methods; normlab.NormlabError") & HEAVY


def test_the_look_into_loaded_modules_can_fail() -> None:
    assert "numpy" in modules_after("import normlab; normlab.shares('[n] c', (2, 2))")


@pytest.mark.parametrize("arguments", [["--help"], ["compare", "--help"], ["info"], []], ids=" ".join)
def test_the_command_line_imports_no_framework_before_it_needs_one(arguments: list[str]) -> None:
    loaded = modules_after(f"from normlab.cli import main; main({arguments!r})")
    assert not loaded & (FRAMEWORKS | {"jinja2", "starlette"})


def test_no_public_name_is_the_name_of_a_submodule() -> None:
    submodules = {path.stem for path in SOURCE.glob("*.py")} | {path.name for path in SOURCE.iterdir() if path.is_dir()}
    assert set(normlab.__all__) & submodules <= {*FACES, "functional", "data"}


def test_every_public_name_can_be_had_whatever_was_imported_before() -> None:
    for path in FILES:
        if path.stem != "__main__":
            importlib.import_module(".".join(["normlab", *path.relative_to(SOURCE).with_suffix("").parts]))
    assert all(not isinstance(getattr(normlab, name), type(normlab)) for name in ("compare", "method", "shares"))


@pytest.mark.parametrize("path", [*FILES, *sorted((ROOT / "tests").rglob("*.py"))], ids=lambda p: str(p.relative_to(ROOT)))
def test_a_file_can_be_read_in_one_sitting(path: Path) -> None:
    place = path.relative_to(ROOT).parts
    most = MOST_LINES_OF_TESTS if "tests" in place else MOST_LINES_OF_KERNELS if "kernels" in place else MOST_LINES
    assert len(path.read_text(encoding="utf-8").splitlines()) <= most


def test_files_are_short_on_the_whole() -> None:
    lengths = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in FILES)
    assert lengths[len(lengths) // 2] <= 120


def test_the_licences_are_there() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert re.search("CC[ -]BY[ -]4.0|Attribution 4.0", (SOURCE / "data" / "DIGITS-LICENSE.md").read_text(encoding="utf-8"))


def test_the_package_says_that_it_is_typed() -> None:
    assert (SOURCE / "py.typed").exists()


def project() -> dict:  # type: ignore[type-arg]
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def requirements() -> list[str]:
    extras = project()["optional-dependencies"].values()
    return [line for lines in (project()["dependencies"], *extras) for line in lines if not line.startswith("normlab[")]


def test_metadata_hold_lower_bounds_only() -> None:
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+>=[0-9.]+(; sys_platform == '[a-z0-9]+')?", line) for line in requirements())


def test_the_constraints_pin_every_requirement_at_or_above_its_bound() -> None:
    from packaging.version import Version

    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if line and not line.startswith("#"))
    assert len(pins) == sum(not line.startswith("#") for line in lines), "a package is pinned twice"
    for line in requirements():
        name, bound = line.partition(";")[0].split(">=")
        assert Version(pins[name.lower()]) >= Version(bound), line


def test_the_version_is_the_same_everywhere() -> None:
    assert normlab.__version__ == project()["version"]


def test_no_service_and_no_place_outside_is_named() -> None:
    assert not [name for name in (".github", ".gitlab-ci.yml", ".travis.yml", ".circleci") if (ROOT / name).exists()]
    forbidden = re.compile("/wo" "rk/|/tm" "p/dev|/ro" "ot/|pypi\\.o" "rg|pythonho" "sted")
    texts = {".py", ".md", ".toml", ".txt", ".ipynb", ".po", ".html", ".css", ".js", ""}
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    names = listed.stdout.splitlines() if listed.returncode == 0 else [str(p.relative_to(ROOT)) for p in FILES]
    found = [
        name for name in names
        if (ROOT / name).is_file() and Path(name).suffix in texts
        and forbidden.search((ROOT / name).read_text(encoding="utf-8", errors="replace"))
    ]  # fmt: skip
    assert not found


@pytest.mark.parametrize(("switch", "code"), [("", 0), ("1", 1)], ids=["skips are skips", "skips are failures"])
def test_a_skip_becomes_a_failure_where_it_is_asked_for(tmp_path: Path, switch: str, code: int) -> None:
    shutil.copy(ROOT / "tests" / "conftest.py", tmp_path)
    (tmp_path / "test_planted.py").write_text(
        "import pytest\ndef test_one():\n    pytest.skip('no browser')\ndef test_two():\n    pass\n", encoding="utf-8"
    )
    environment = {**os.environ, "NORMLAB_NO_SKIP": switch}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert run.returncode == code, run.stdout
    assert ("no browser" in run.stdout) == bool(switch) or not switch
