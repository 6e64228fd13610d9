"""What cannot be done: one sentence, its exit code, under --json one document, and nothing half-written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from commanding import SMALL, Caller, Said, environment
from normlab.cli import writing

SVG = "{http://www.w3.org/2000/svg}svg"


pytestmark = pytest.mark.usefixtures("folder")  # every command writes into a folder of its own


def the_one_document(said: Said) -> dict[str, Any]:
    document = json.loads(said.out)
    assert isinstance(document, dict) and set(document) == {"schema", "code", "error", "hint"}
    assert document["schema"] == "normlab.error/1" and document["code"] == said.code
    assert isinstance(document["error"], str) and (document["hint"] is None or isinstance(document["hint"], str))
    return document


# Arguments, exit code, what the sentence must hold. `data.csv` and the folder `there` exist.
REFUSED: list[tuple[list[str], int, list[str]]] = [
    (["compare", "bacth_norm"], 2, ["bacth_norm", "batch_norm"]),
    (["compare", ""], 2, ["unknown method ''"]),
    (["compare", "n (g [c]"], 2, ["never closed", "character 3"]),
    (["compare", "n [x] [x]"], 2, ["x"]),
    (["compare", "n [1c]"], 2, ["1c", "character"]),
    (["compare", "bn:eps"], 2, ["name=value", "bn:eps"]),
    (["compare", "bn:epz=1"], 2, ["epz", "eps"]),
    (["compare", "bn:eps=-1"], 2, ["eps", "at least 0", "-1"]),
    (["compare", "gn:groups=7"], 2, ["groups must divide the 100 channels", "got 7"]),
    (["compare", "n (g [c]) [...]:g=7"], 2, ["7", "100"]),
    (["compare", "none", "none"], 2, ["none", "same"]),
    (["compare", "--preset", "nöte"], 2, ["nöte", "note-"]),
    (["compare", "--activation", "Sigmoide"], 2, ["Sigmoide", "sigmoid"]),
    (["compare", "--top", "los"], 2, ["los", "loss"]),
    (["compare", "--place", "afer"], 2, ["afer", "after"]),
    (["compare", "--dtype", "float16"], 2, ["float16", "float32"]),
    (["compare", "--data", "nrmal"], 2, ["nrmal", "normal"]),
    (["compare", "--layers", "-1"], 2, ["layers", "from 1 to 64", "got -1"]),
    (["compare", "--layers", ""], 2, ["--layers", "whole number"]),
    (["compare", "--layers", "1.5"], 2, ["--layers", "whole number", "1.5"]),
    (["compare", "--layers", "1e1"], 2, ["--layers", "whole number", "1e1"]),
    (["compare", "--layers", "9" * 30], 2, ["layers", "64"]),
    (["compare", "--layers", "9" * 5000], 2, ["--layers", "whole number"]),
    (["compare", "--width", "0"], 2, ["width", "from 1 to 2048", "got 0"]),
    (["compare", "--width", "2049"], 2, ["width", "2048", "got 2049"]),
    (["compare", "--batch", "100001"], 2, ["batch", "100000", "got 100001"]),
    (["compare", "--batch", "-5"], 2, ["batch", "got -5"]),
    (["compare", "--cotangents", "0"], 2, ["cotangents", "from 1 to 64", "got 0"]),
    (["compare", "--cotangents", "65"], 2, ["cotangents", "got 65"]),
    (["compare", "--seeds", "1001"], 2, ["seeds", "1000", "got 1001"]),
    (["compare", "--seed", "4294967296"], 2, ["seed", "4294967295"]),
    (["compare", "--seed", "four"], 2, ["--seed", "four"]),
    (["compare", "--batch", "100000", "--width", "100"], 2, ["20,000,000", "50,000,000"]),
    (["compare", "--init", "0"], 2, ["init", "above 0"]),
    (["compare", "--init", "inf"], 2, ["init", "inf"]),
    (["compare", "--init", ""], 2, ["init"]),
    (["compare", "--data", ""], 2, ["--data", "empty"]),
    (["compare", "-o", " "], 2, ["-o", "empty"]),
    (["compare", "--save-figures", ""], 2, ["--save-figures", "empty"]),
    (["compare", "-o", "run.htm"], 2, ["run.htm", ".html", ".json"]),
    (["compare", "-o", "run"], 2, ["run", ".html", ".json"]),
    (["compare", "-o"], 2, ["-o", "value is required"]),
    (["compare", "--large=yes"], 2, ["--large", "no value"]),
    (["compare", "--wdith", "3"], 2, ["--wdith", "--width"]),
    (["compare", "--data", "text.csv"], 2, ["text.csv", "row 2", "column 2", "oops"]),
    (["compare", "--data", "uneven.csv"], 2, ["uneven.csv", "row 2", "2 cells"]),
    (["compare", "--data", "empty.csv"], 2, ["empty.csv", "empty"]),
    (["compare", "--data", "data.txt"], 2, ["data.txt", ".csv", ".npy"]),
    (["compare", "--data", "missing.csv"], 5, ["missing.csv", "no such file"]),
    (["compare", "--data", "there"], 5, ["there", "folder"]),
    (["compare", "--data", "there.csv"], 5, ["there.csv", "folder"]),
    (["compare", "--data", "data.csv/inside.csv"], 5, ["data.csv"]),
    (["compare", "-o", "missing/a.html"], 5, ["missing", "mkdir -p missing"]),
    (["compare", "-o", "data.csv/a.html"], 5, ["data.csv", "is a file"]),
    (["compare", "-o", "there.json"], 5, ["there.json", "folder"]),
    (["compare", "-o", "a" * 300 + ".json"], 5, ["too long"]),
    (["compare", "--save-figures", "data.csv"], 5, ["data.csv", "is a file"]),
    (["compare", "--save-figures", "data.csv/a/b"], 5, ["data.csv", "is a file"]),
    (["guide", "bath_norm"], 2, ["bath_norm", "batch_norm"]),
    (["guide", "../batch_norm"], 2, ["../batch_norm"]),
    (["guide", "bn", "ln"], 2, ["'ln'", "guide --help"]),
    (["guide", "bnn", "--steps"], 2, ["bnn", "bn"]),
    (["report"], 2, ["run.json"]),
    (["report", "missing.json"], 5, ["missing.json", "no such file"]),
    (["report", "there"], 5, ["there"]),
    (["report", "data.csv"], 5, ["data.csv", "no JSON"]),
    (["report", "data.csv", "-o", "a.json"], 2, ["a.json", ".html"]),
    (["report", "data.csv", "-o", "missing/a.html"], 5, ["missing"]),
    (["info", "extras"], 2, ["'extras'"]),
    (["trian"], 2, ["unknown verb 'trian'", "train"]),
    (["comparre"], 2, ["compare"]),
    ([""], 2, ["unknown verb ''"]),
    (["--verison"], 2, ["--version"]),
    (["--lang"], 2, ["--lang", "value is required"]),
    (["info", "--lang", "kr"], 2, ["--lang", "en, ko, auto", "kr"]),
]


@pytest.fixture
def things(folder: Path) -> set[str]:
    """Files and folders that the refused command lines stumble over."""
    for name in ("there", "there.csv", "there.json"):
        Path(name).mkdir()
    contents = {"data.csv": "a,b\n1,2\n3,4\n", "text.csv": "1,2\n3,oops\n", "uneven.csv": "1,2\n3\n", "empty.csv": "", "data.txt": "1"}
    for name, content in contents.items():
        Path(name).write_text(content, encoding="utf-8")
    return {path.name for path in folder.rglob("*")}


@pytest.mark.parametrize(
    ("arguments", "code", "phrases"), REFUSED, ids=lambda value: " ".join(value)[:50] if isinstance(value, list) else ""
)
def test_what_cannot_be_done_is_refused_in_a_sentence_and_as_one_document(
    call: Caller, folder: Path, things: set[str], arguments: list[str], code: int, phrases: list[str]
) -> None:
    said = call(*arguments)
    assert (said.code, said.out) == (code, "") and said.err.startswith("normlab: ")
    assert "Traceback" not in said.err and len(said.err) < 900
    assert all(phrase in said.err for phrase in phrases), said.err
    if arguments[-1] not in ("-o", "--lang"):  # there the next word would be the missing value
        document = the_one_document(call(*arguments, "--json"))
        assert document["error"] in said.err and (document["hint"] or "") in said.err
    assert {path.name for path in folder.rglob("*")} == things


def test_a_flag_of_the_verbs_before_the_verb_is_sent_behind_it(call: Caller) -> None:
    assert "guide --json" in the_one_document(call("--json", "guide"))["hint"]


@pytest.mark.parametrize("arguments", [["compare", "bnn"], ["compare", "--layers", "x"], ["nope"], ["report", "missing.json"]], ids=" ".join)
def test_a_traceback_is_there_with_debug_and_only_then(arguments: list[str]) -> None:
    for more, count in (([], 0), (["--debug"], 1)):
        run = subprocess.run(
            [sys.executable, "-m", "normlab", *arguments, *more], capture_output=True, text=True, encoding="utf-8", env=environment()
        )
        assert run.returncode in (2, 5) and run.stdout == ""
        assert (run.stderr.count("Traceback (most recent call last)") > 0) == bool(count)
        assert run.stderr.splitlines()[-1].startswith(("normlab: ", "  "))


@pytest.mark.parametrize("size", ["--layers", "--cotangents", "--seeds", "--width", "--batch"])
def test_the_least_that_a_size_may_be_is_done(call: Caller, size: str) -> None:
    assert call("compare", "none", *SMALL, size, "1").code == 0


def closed(*_: Any, **__: Any) -> Any:
    raise PermissionError(13, "Permission denied")


def full(*_: Any, **__: Any) -> Any:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(("fault", "reason"), [(closed, "Permission denied"), (full, "No space left")], ids=["closed", "full"])
@pytest.mark.parametrize("wanted", [["-o", "a.json"], ["-o", "a.html"], ["--save-figures", "figures"]], ids=" ".join)
def test_a_file_that_cannot_be_written_is_a_failure_and_leaves_nothing(
    call: Caller, folder: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[..., Any], reason: str, wanted: list[str]
) -> None:
    """The suite may run as root, whom no permission stops: the refusal comes from where the file is opened."""
    monkeypatch.setattr(writing, "open", fault, raising=False)
    said = call("compare", "bn", *SMALL, *wanted)
    assert said.code == 5 and reason in said.err and "Traceback" not in said.err
    assert re.search(r"^ bn ", said.out, re.M)  # the table is there all the same
    assert not [path for path in folder.rglob("*") if path.is_file()]
    assert reason in the_one_document(call("compare", "bn", *SMALL, *wanted, "--json"))["error"]


def test_a_report_that_cannot_be_written_leaves_the_older_one(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("compare", "bn", *SMALL, "-o", "run.json").code == 0
    Path("a.html").write_text("older", encoding="utf-8")
    monkeypatch.setattr("os.replace", closed)
    said = call("report", "run.json", "-o", "a.html")
    assert said.code == 5 and said.out == "" and "a.html" in said.err and "Permission denied" in said.err
    assert Path("a.html").read_text(encoding="utf-8") == "older"
    assert the_one_document(call("report", "run.json", "-o", "a.html", "--json"))["code"] == 5
    assert sorted(path.name for path in Path().iterdir()) == ["a.html", "run.json"]


@pytest.mark.parametrize("json_too", [[], ["--json"]], ids=["table", "json"])
def test_ctrl_c_while_the_page_is_made_keeps_the_run(
    call: Caller, folder: Path, monkeypatch: pytest.MonkeyPatch, json_too: list[str]
) -> None:
    def interrupted(*_: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr("normlab.cli.keeping._page", interrupted)
    said = call("compare", "bn", *SMALL, "-o", "a.html", "-o", "a.json", *json_too)
    assert said.code == 130 and "interrupted" in said.err and "Traceback" not in said.err
    assert [path.name for path in folder.iterdir()] == ["a.json"]
    assert not json_too or json.loads(said.out) == json.loads(Path("a.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("arguments", [["guide", "bn"], ["info"], ["report", "run.json"]], ids=" ".join)
def test_ctrl_c_in_any_other_verb_is_one_sentence(call: Caller, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    for place in ("normlab.cards.card", "normlab.result.versions", "normlab.cli.report.read_run", "normlab.cli.installed.needs"):
        monkeypatch.setattr(place, interrupted)
    assert call(*arguments) == Said(130, "", "normlab: interrupted\n")
    assert the_one_document(call(*arguments, "--json"))["code"] == 130


def test_every_figure_is_a_drawing_and_the_picture_a_png(call: Caller) -> None:
    said = call("compare", "none", "bn", "gn", *SMALL, "--save-figures", "deep/er/figures", "--lang", "ko")
    written = sorted(Path("deep/er/figures").iterdir())
    drawings = [path for path in written if path.suffix == ".svg"]
    assert said.code == 0 and len(drawings) >= 4
    for path in drawings:
        root = xml.etree.ElementTree.parse(path).getroot()
        assert root.tag == SVG and len(list(root.iter())) > 10 and "<script" not in path.read_text(encoding="utf-8")
    assert re.search("[가-힣]", Path("deep/er/figures/ladder.svg").read_text(encoding="utf-8"))
    assert find_spec("matplotlib") is None or Path("deep/er/figures/comparison.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_without_the_plot_extra_there_are_drawings_and_no_picture(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "find_spec", lambda name: None if name == "matplotlib" else find_spec(name))
    assert call("compare", "none", "bn", *SMALL, "--save-figures", "figures").code == 0
    assert {path.suffix for path in Path("figures").iterdir()} == {".svg"}


def test_a_refused_run_makes_no_folder_for_its_figures(call: Caller) -> None:
    assert call("compare", "bnn", "--save-figures", "figures").code == 2
    assert not Path("figures").exists()


def test_an_extra_that_is_missing_is_the_line_that_installs_it() -> None:
    """In a process of its own: in this one scikit-learn may have been imported already."""
    arguments = ["compare", "none", "fw", *SMALL, "--data", "digits"]
    code = f"import sys; sys.modules['sklearn'] = None; from normlab.cli import main; sys.exit(main({arguments!r}))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8")
    assert said.returncode == 0  # the other arm ran
    assert 'pip install -c constraints.txt -e ".[sklearn]"' in said.stdout
