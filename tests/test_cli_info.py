"""`normlab info`: which faces, kernels and extras there are, and the line that installs each missing one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import normlab
from commanding import Caller, too_wide
from normlab.cli import first_call, installed
from normlab.cli import info as info_verb

ROOT = Path(__file__).resolve().parents[1]
LANGUAGES = ("en", "ko")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
LINE = 'pip install -c constraints.txt -e ".[{}]"'

pytestmark = pytest.mark.usefixtures("folder")


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    real = installed._version
    monkeypatch.setattr(installed, "_version", lambda package: None if package in packages else real(package))


def test_info_knows_every_extra_and_what_it_is_for() -> None:
    assert set(info_verb.PURPOSES) == set(EXTRAS)
    needed = installed.needs()
    assert set(needed) == {installed.BASE, *EXTRAS}
    to_use = [package for extra in EXTRAS if extra not in ("all", "test") for package in needed[extra]]
    assert set(needed["all"]) == set(to_use) and set(needed["all"]) < set(needed["test"])
    assert set(needed["fast"]) < set(needed["torch"]) and set(needed["jax"]) < set(needed["flax"])


@pytest.mark.parametrize(("system", "wants"), [("linux", True), ("darwin", False), ("win32", False)])
def test_what_only_another_system_needs_is_not_missing_here(monkeypatch: pytest.MonkeyPatch, system: str, wants: bool) -> None:
    monkeypatch.setattr(installed.sys, "platform", system)
    assert installed.needs()["mlx"] == ["mlx", "mlx-cpu"][: 1 + wants]


def test_an_extra_that_is_missing_comes_with_the_line_that_installs_it(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "matplotlib")
    said = call("info")
    assert said.code == 0 and too_wide(said.out) == []
    assert LINE.format("plot") in said.out and ".[sklearn]" not in said.out
    extras = json.loads(call("info", "--json").out)["extras"]
    assert extras["plot"] == {"present": False, "packages": {"matplotlib": None}, "install": LINE.format("plot")}
    assert extras["sklearn"]["present"] and extras["sklearn"]["install"] is None


def test_half_an_extra_says_which_half_is_missing(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "numba")
    shown = {line.split()[0]: line for line in call("info").out.splitlines() if line.startswith("  ")}
    assert "torch 2." in shown["torch"] and "numba -" in shown["torch"]
    document = json.loads(call("info", "--json").out)
    assert not document["extras"]["torch"]["present"] and document["extras"]["torch"]["install"] == LINE.format("torch")
    assert document["faces"]["torch"]["present"], "without kernels a face computes by the formula"


@pytest.mark.parametrize("face", installed.FACES)
def test_a_face_without_its_framework_has_the_line_that_installs_it(
    call: Caller, monkeypatch: pytest.MonkeyPatch, face: str
) -> None:
    packages = {"numpy": ["numpy"], "mlx": installed.needs()["mlx"]}.get(face, [face])
    faces = json.loads(call("info", "--json").out)["faces"]
    assert list(faces[face]["packages"]) == packages
    without(monkeypatch, packages[0])
    found = json.loads(call("info", "--json").out)["faces"]
    assert not found[face]["present"] and found[face]["install"] == LINE.format(face)
    assert all(found[other] == faces[other] for other in faces if other != face)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_info_says_versions_and_machine(call: Caller, lang: str) -> None:
    said = call("info", "--lang", lang)
    assert said.code == 0 and too_wide(said.out) == []
    assert normlab.__version__ in said.out and str(os.cpu_count()) in said.out
    rows = {line.split()[0] for line in said.out.splitlines() if line.startswith("  ") and line.strip()}
    assert rows >= {*installed.FACES, *EXTRAS}


HATCHLING = """
numpy>=2.0
torch>=2.6; extra == 'torch'
normlab[fast,torch]; extra == 'all'
numba>=0.61; extra == 'fast'
normlab[fast]; extra == 'torch'
mlx-cpu>=0.29; (sys_platform == 'linux') and extra == 'mlx'
appnope>=0.1; (sys_platform == 'no such system') and extra == 'mlx'
"""


def test_a_copy_outside_its_checkout_reads_its_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """As an installed wheel does; the lines are written the way the build backend writes them."""
    monkeypatch.setattr(installed.sys, "platform", "linux")
    monkeypatch.setattr(installed, "_declared", lambda file: [])
    monkeypatch.setattr(installed, "requires", lambda package: HATCHLING.split("\n")[1:-1])
    assert installed.needs() == {
        installed.BASE: ["numpy"], "torch": ["numba", "torch"], "all": ["numba", "torch"], "fast": ["numba"], "mlx": ["mlx-cpu"],
    }  # fmt: skip


def test_a_checkout_that_was_never_installed_knows_its_extras_too(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    known = installed.needs()

    def unknown(package: str) -> list[str]:
        raise installed.PackageNotFoundError(package)

    monkeypatch.setattr(installed, "requires", unknown)
    assert installed.needs() == known and call("info").code == 0
    monkeypatch.setattr(installed, "_declared", lambda file: [])
    assert installed.needs() == {installed.BASE: []} and call("info").code == 0


def test_where_no_extra_is_there_each_has_its_line(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    base = set(installed.needs()[installed.BASE])
    real = installed._version
    monkeypatch.setattr(installed, "_version", lambda package: real(package) if package in base else None)
    for lang in LANGUAGES:
        said = call("info", "--lang", lang)
        assert said.code == 0 and too_wide(said.out) == []
        for extra in info_verb.PURPOSES:
            assert LINE.format(extra) in said.out


KERNELS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "none": ({"present": False}, {"en": "Numba is not installed", "ko": "Numba가 설치되어 있지 않다"}),
    "broken": ({"present": True, "why": "OSError: no libLLVM"}, {"en": "OSError: no libLLVM", "ko": "OSError: no libLLVM"}),
    "compiled": (
        {"present": True, "threads": 7, "kernels": 1, "from_cache": False, "first_call_s": 2.346, "compile_s": 2.346},
        {"en": "7 threads; the first call of a kernel took 2.35 s: compiled now", "ko": "2.35초"},
    ),
    "cached": (
        {"present": True, "threads": 7, "kernels": 1, "from_cache": True, "first_call_s": 0.018, "compile_s": 2.346},
        {"en": "took 0.02 s: read from the disk (compiled in 2.35 s)", "ko": "0.02초: 디스크에서 읽었다(컴파일 2.35초)"},
    ),
    "cached, cost forgotten": (
        {"present": True, "threads": 7, "kernels": 1, "from_cache": True, "first_call_s": 0.018, "compile_s": None},
        {"en": "took 0.02 s: read from the disk, where it was kept", "ko": "0.02초"},
    ),
}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("state", KERNELS)
def test_the_kernels_line_says_what_the_first_call_costs(
    call: Caller, monkeypatch: pytest.MonkeyPatch, state: str, lang: str
) -> None:
    found, words = KERNELS[state]
    monkeypatch.setattr(first_call, "kernels", lambda: found)
    said = call("info", "--lang", lang)
    assert said.code == 0 and too_wide(said.out) == []
    assert words[lang] in " ".join(said.out.split())
    assert json.loads(call("info", "--json").out)["kernels"] == found


def test_the_first_call_is_measured_and_the_second_process_reads_the_disk(tmp_path: Path) -> None:
    """Numba keeps its machine code where NUMBA_CACHE_DIR says: here in an empty folder."""
    code = "import json\nfrom normlab.cli.first_call import kernels\nprint(json.dumps(kernels()))"
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    runs = [
        json.loads(subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout)
        for _ in range(2)
    ]
    assert all(run["present"] and run["threads"] >= 1 and run["kernels"] >= 1 for run in runs), runs
    assert [run["from_cache"] for run in runs] == [False, True]
    assert runs[0]["compile_s"] == runs[0]["first_call_s"] > 0 and any(tmp_path.rglob("*.nbi"))
    assert runs[1]["compile_s"] == runs[0]["compile_s"], "what compiling took is kept beside what was compiled"


def test_a_compiler_that_fails_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(first_call, "_CALL", "raise RuntimeError('planted')")
    first_call._measured.cache_clear()
    try:
        assert first_call.kernels() == {"present": True, "why": "RuntimeError: planted"}
    finally:
        first_call._measured.cache_clear()


def test_the_readmes_list_every_extra() -> None:
    for name in ("README.md", "README.ko.md"):
        rows = [line.split("|")[1] for line in (ROOT / name).read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
        listed = {word.strip(" `") for row in rows for word in row.split(",")}
        assert listed >= set(EXTRAS) - {"test"}, name
