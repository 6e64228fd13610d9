"""The two READMEs: every command in them runs, every number is the run's, both say the same, every link leads somewhere."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import normlab as nl
from faces import of
from normlab.cli import main
from normlab.formatting import share

ROOT = Path(__file__).resolve().parents[1]
READMES = {"en": "README.md", "ko": "README.ko.md"}
LANGUAGES = tuple(READMES)
VERBS = ("compare", "train", "claims", "sweep", "bench", "lab", "advise", "check", "guide", "report", "info")
# They take from half a minute to many, or until Ctrl-C, and have tests of their own.
LONG = tuple(f"normlab {verb}" for verb in ("bench", "lab", "train", "claims", "sweep"))
PICTURE_BYTES = 60_000
# What a copy for a fresh environment need not carry.
LEFT_BEHIND = shutil.ignore_patterns(".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__", "*.egg-info", "build")


@cache
def readme(lang: str) -> str:
    return (ROOT / READMES[lang]).read_text(encoding="utf-8")


def fences(lang: str) -> list[tuple[str, str]]:
    """Language and text of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", readme(lang), flags=re.M | re.S)


def plain_lines(lang: str) -> list[str]:
    """The three lines behind `<!-- plain pip -->`."""
    block = re.search(r"^<!-- plain pip -->\n```\n(.*?)^```$", readme(lang), flags=re.M | re.S)
    assert block is not None
    return block.group(1).splitlines()


def commands(lang: str) -> list[str]:
    """Every command of normlab: inline, abbreviated in a list (`normlab guide bn`, `ln`, `in`), in a block."""
    found = []
    for line in readme(lang).splitlines():
        last = ""
        for code in re.findall(r"`([^`]+)`", line):
            if code.startswith("normlab "):
                last = code
            elif last.startswith("normlab guide ") and re.fullmatch("[a-z]+", code):
                code = f"normlab guide {code}"
            else:
                continue
            found.append(code)
    found += [f"normlab {line.removeprefix('python -m normlab ')}" for line in plain_lines(lang)[1:]]
    return found


ALL = list(dict.fromkeys(c for lang in LANGUAGES for c in commands(lang) if not c.startswith(LONG)))


@pytest.mark.parametrize("command", ALL)
def test_a_command_runs(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = shlex.split(command)[1:]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert len(said.out) > 300 and "Traceback" not in said.err
    if "ko" in arguments:
        assert re.search("[가-힣]", said.out)
    if "-o" in arguments:
        page = Path(arguments[arguments.index("-o") + 1]).read_text(encoding="utf-8")
        assert page.startswith("<!") and page.rstrip().endswith("</html>")


def test_every_technique_has_its_command() -> None:
    for lang in LANGUAGES:
        shown = {command.split()[2] for command in commands(lang) if re.fullmatch(r"normlab guide [a-z]+", command)}
        covered = {nl.method(name).name for name in shown}
        left = set(nl.list_methods()) - covered
        assert left == {"alpha_dropout", "rms_norm"}  # on selu's card; not among the note's ten


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_takes_what_the_readme_says(verb: str, capsys: Any) -> None:
    assert main([verb, "--help"]) == 0
    page = capsys.readouterr().out
    assert all(flag in page for flag in ("--lang en|ko", "--json", "--help"))


def python_blocks(lang: str) -> list[str]:
    return [text for name, text in fences(lang) if name == "python"]


def run(block: str) -> dict[str, Any]:
    held: dict[str, Any] = {}
    exec(compile(block, "README", "exec"), held)
    return held


@pytest.mark.parametrize("face", ["torch", "jax", "mlx"])
def test_the_block_of_a_framework_runs(face: str, capsys: Any) -> None:
    """The English one: both READMEs have the same code but for remarks, which another test looks after."""
    arrays = of(face)
    (block,) = [text for text in python_blocks("en") if re.search(rf"^import {face}\b", text, flags=re.M)]
    held = run(block)
    y = arrays.back(held["y"])
    assert f"nl.{face}." in block and y.shape[0] == 8 and (y == y).all()
    if face == "torch":
        assert capsys.readouterr().out.startswith("1 changed, 0 refused")
        assert type(held["net"][4]).__name__ == "BatchNorm" and hasattr(held["net"][3], "parametrizations")
    if face == "jax":
        assert (arrays.back(held["evaluated"]) != y).any() and int(held["state"]["num_batches_tracked"]) == 1


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_python_block_runs(lang: str, capsys: Any) -> None:
    block = python_blocks(lang)[0]
    held = run(block)
    assert "gn:groups=4" in capsys.readouterr().out
    assert held["dx"].shape == held["x"].shape
    remark = re.search(r"\[\[0 0 1 1\], \[2 2 3 3\]\]", block)
    assert remark and nl.shares("n (g [c])", (2, 4), g=2).tolist() == [[0, 0, 1, 1], [2, 2, 3, 3]]
    assert (nl.normalize(held["x"], "n (g [c]) [...]", g=8) == nl.functional.group_norm(held["x"], groups=8)).all()


@cache
def first_run() -> dict[str, dict[str, Any]]:
    """The arms of the first command that a reader runs, by their labels."""
    return {arm["label"]: arm for arm in nl.compare(["none", "bn", "ln"]).to_dict()["arms"]}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_numbers_of_the_first_screen_are_those_of_the_first_command(lang: str) -> None:
    first = readme(lang).partition("\n## ")[0]
    arms = first_run()
    ratios = [100 * arms[label]["first_over_last"] for label in ("none", "bn", "ln")]
    said = re.findall(r"\*\*([\d.]+) %\*\*", first)
    assert said == [f"{ratios[0]:.1f}", f"{ratios[1]:.0f}", f"{ratios[2]:.1f}"]
    last = [arms[label]["layers"][-1] for label in ("bn", "ln")]
    for words in {f"{layer['mean']:.2f}" for layer in last} | {f"{layer['var']:.3f}" for layer in last}:
        assert words in first, words
    alt = re.sub(r"\s+", " ", first[first.index("![") :])
    for arm in arms.values():
        layer = arm["layers"][-1]
        assert share(layer["signal_var"] / layer["var"]) in alt


def test_other_seeds_tell_the_same_story() -> None:
    """The first screen shows one seed; over ten the ratios stay where it says, to the digit that matters."""
    over_seeds = {
        arm["label"]: arm["first_over_last"] for arm in nl.compare(["none", "bn", "ln"], seeds=10).to_dict()["arms"]
    }
    assert 0.0045 < over_seeds["none"]["low"] < over_seeds["none"]["high"] < 0.0062
    assert 1.05 < over_seeds["bn"]["low"] < over_seeds["bn"]["high"] < 1.13
    assert 0.020 < over_seeds["ln"]["low"] < over_seeds["ln"]["high"] < 0.030


@pytest.mark.parametrize("lang", LANGUAGES)
def test_names_that_the_readme_gives_to_parts_are_their_names(lang: str, capsys: Any) -> None:
    from normlab.report import render

    page = render([nl.compare(preset="note-5").to_dict()], lang=lang)
    chapter, heading = re.findall(r"(?<!\*)\*([^*\n`]+)\*(?!\*)", "\n".join(re.findall(r"^\| .*$", readme(lang), re.M)))
    assert f">{chapter}<" in page
    assert main(["guide", "bn", "--lang", lang]) == 0
    assert heading in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_number_of_methods(lang: str) -> None:
    assert len(nl.list_methods()) == 14
    assert re.search("The fourteen methods|열네 가지 기법", readme(lang))


def test_both_readmes_have_one_structure() -> None:
    en, ko = (readme(lang) for lang in LANGUAGES)
    for pattern in (r"^#+ ", r"^\| ", r"^- ", r"^```\w*$", r"^<!-- .* -->$", r"!\[", r"\]\(", r"\*\*[\d.]+ %\*\*"):
        one, other = (re.findall(pattern, text, flags=re.M) for text in (en, ko))
        assert one == other, pattern
    assert not re.search("[가-힣]", en.replace("한국어", "")) and re.search("[가-힣]", ko)


def test_both_readmes_have_the_same_commands() -> None:
    en, ko = ([command.replace(" --lang ko", "") for command in commands(lang)] for lang in LANGUAGES)
    assert en == ko
    without_remarks = [
        [(name, re.sub(r" *#.*| --lang ko", "", text)) for name, text in fences(lang)] for lang in LANGUAGES
    ]
    assert without_remarks[0] == without_remarks[1]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_links_lead_to_files(lang: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", readme(lang))
    assert len(links) >= 6
    for link in links:
        assert "://" not in link and (ROOT / link).is_file(), link


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_readme_sends_nobody_elsewhere(lang: str) -> None:
    assert "://" not in readme(lang)


def test_the_make_targets_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M)
    for lang in LANGUAGES:
        named = set(re.findall(r"^make (\w+)$|`make (\w+)`", readme(lang), flags=re.M))
        named = {name for pair in named for name in pair if name}
        assert named == {"demo", "test"} and named <= set(targets)


def pictures() -> dict[str, str]:
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "docs" / "pictures.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made: dict[str, str] = module.pictures()
    return made


def test_the_pictures_are_what_is_drawn_now() -> None:
    for name, text in pictures().items():
        assert (ROOT / "docs" / name).read_text(encoding="utf-8") == text, f"{name}: run python docs/pictures.py"


@pytest.mark.parametrize("lang", LANGUAGES)
def test_three_views_of_the_lab_are_shown_small_and_in_the_readers_language(lang: str) -> None:
    shown = re.findall(r"!\[[^\]]{20,}\]\(docs/lab-(\w+)\.(ko\.)?png\)", readme(lang))
    assert sorted(name for name, _ in shown) == ["ladder", "share", "train"]
    for name, end in shown:
        path = ROOT / "docs" / f"lab-{name}.{end}png"
        assert bool(end) == (lang == "ko") and path.stat().st_size < PICTURE_BYTES
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_picture_is_small_text_is_text_and_its_ground_is_its_own(lang: str) -> None:
    (link,) = re.findall(r"!\[[^\]]*\]\(([^)]+\.svg)\)", readme(lang))
    path = ROOT / link
    assert path.stat().st_size < PICTURE_BYTES
    root = ElementTree.fromstring(path.read_text(encoding="utf-8"))
    space = "{http://www.w3.org/2000/svg}"
    words = " ".join("".join(node.itertext()) for node in root.iter(f"{space}text"))
    assert all(part in words for part in ("none", "bn", "ln", "0.003 %", "0.06 %", "1/189", "1.10", "1/39"))
    assert bool(re.search("[가-힣]", words)) == (lang == "ko")
    ground = next(root.iter(f"{space}rect"))  # a code host shows it on white and on black
    assert ground.get("fill") == "#ffffff" and ground.get("width") == root.get("width")
    assert not list(root.iter(f"{space}image")) and not list(root.iter(f"{space}style"))


def test_the_plain_lines_are_three() -> None:
    for lang in LANGUAGES:
        install, *runs = plain_lines(lang)
        assert install == "python -m pip install -c constraints.txt -e ."
        assert len(runs) == 2 and all(line.startswith("python -m normlab ") for line in runs)


@pytest.mark.slow
def test_the_plain_lines_do_in_a_fresh_environment(tmp_path: Path) -> None:
    """In a copy of the checkout whose folder has a space in its name. Needs the network, for pip."""
    copy, environment = tmp_path / "any name", tmp_path / "environment"
    shutil.copytree(ROOT, copy, ignore=LEFT_BEHIND)
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    binaries = environment / ("Scripts" if os.name == "nt" else "bin")
    surroundings = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
    surroundings["PATH"] = f"{binaries}{os.pathsep}{surroundings['PATH']}"
    for line in plain_lines("en") + plain_lines("ko")[1:]:
        done = subprocess.run(line, shell=True, cwd=copy, env=surroundings, capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert (copy / "normlab-report.html").stat().st_size > 50_000
