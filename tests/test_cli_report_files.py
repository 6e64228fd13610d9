"""`normlab report` of a sweep's results file and of an advice, `advise -o`, `sweep --retry`."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

import sweep_documents as made_up
from commanding import Caller
from normlab.report import render
from normlab.sweep import read
from sweeping import spec, swept, table
from test_cli_runs import HOSTILE, Elements, altered, write
from test_sweep_cli import SPEC

pytestmark = pytest.mark.usefixtures("folder")


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_results_file_is_a_page_whatever_it_is_called(call: Caller, lang: str) -> None:
    swept(spec(6), "a.db")
    said = call("report", "a.db", "-o", "a.html", "--lang", lang)
    assert said.code == 0 and said.err == "" and "a.html" in said.out
    assert Path("a.html").read_text(encoding="utf-8") == render([read("a.db")], lang=lang)
    Path("a.db").rename("results")
    assert call("report", "results", "-o", "b.html", "--lang", lang).code == 0
    assert Path("b.html").read_bytes() == Path("a.html").read_bytes()


def test_its_document_is_the_same_page(call: Caller) -> None:
    document = swept(spec(6), "a.db").to_dict()
    write(document)
    assert call("report", "run.json", "-o", "a.html").code == call("report", "a.db", "-o", "b.html").code == 0
    assert Path("a.html").read_bytes() == Path("b.html").read_bytes()


def test_an_unfinished_file_is_a_page_that_says_so_and_nothing_is_written_to_it(call: Caller) -> None:
    swept(spec(6), "a.db")
    with sqlite3.connect("a.db") as connection:
        connection.execute("UPDATE trials SET state = 'waiting', metrics = NULL WHERE trial > 4")
    connection.close()
    before = Path("a.db").read_bytes()
    assert call("report", "a.db", "-o", "a.html").code == 0
    assert "2 of 6 trials wait" in Path("a.html").read_text(encoding="utf-8") and Path("a.db").read_bytes() == before
    assert {path.name for path in Path().iterdir()} == {"a.db", "a.html"}


def test_the_metric_is_chosen_and_the_page_keeps_it(call: Caller) -> None:
    write(made_up.arms_alone())
    said = call("report", "run.json", "--metric", "test_loss", "-o", "a.html", "--json")
    assert said.code == 0 and json.loads(said.out)["command"].endswith("-o a.html --metric test_loss")
    page = Path("a.html").read_text(encoding="utf-8")
    assert "Test loss, best first" in page and page == render([{**made_up.arms_alone(), "metric": "test_loss"}])


@pytest.mark.parametrize(
    ("arguments", "code", "phrase"),
    [
        (["run.json", "--metric", "test_los"], 2, "Did you mean test_loss"), (["run.json", "--metric", ""], 2, "must not be empty"),
        (["advice.json", "--metric", "test_loss"], 2, "results of a sweep"), (["run.db"], 5, "run.json"), (["bad.db"], 5, "damaged"),
        (["empty.db"], 5, "no sweep has begun"), (["other.db"], 5, "not of a sweep"), (["cut"], 5, "damaged"),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_refused_in_one_sentence(call: Caller, arguments: list[str], code: int, phrase: str) -> None:
    write(made_up.arms_alone())
    assert call("advise", "--net", "cnn", "-o", "advice.json").code == 0
    Path("bad.db").write_text("no database at all", encoding="utf-8")
    Path("empty.db").touch()
    with sqlite3.connect("other.db") as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    swept(spec(40), "whole.db")
    Path("cut").write_bytes(Path("whole.db").read_bytes()[:9000])
    said = call("report", *arguments, "-o", "a.html")
    assert said.code == code and phrase in said.err and said.out == "" and "Traceback" not in said.err
    assert not Path("a.html").exists()


@pytest.mark.parametrize("made", [made_up.unfinished, made_up.no_arms], ids=lambda made: made.__name__)
def test_a_document_that_was_changed_anywhere_is_a_page_or_a_sentence(call: Caller, made: object) -> None:
    codes = set()
    for place, changed in altered(made()):  # type: ignore[operator]
        write(changed)
        said = call("report", "run.json", "-o", "a.html")
        assert said.code in (0, 2) and "Traceback" not in said.err and "defect" not in said.err, (place, said)
        assert said.code == 0 or (said.err.startswith("normlab: ") and not Path("a.html").exists()), (place, said)
        if said.code == 0:
            assert "img" not in Elements(Path("a.html").read_text(encoding="utf-8")).tags or HOSTILE not in str(changed)
        Path("a.html").unlink(missing_ok=True)
        codes.add(said.code)
    assert codes == {0, 2}


def test_an_advice_is_kept_as_page_and_document_and_reported_again(call: Caller) -> None:
    arguments = ("advise", "--data", "images", "--batch", "8", "--net", "cnn")
    said = call(*arguments, "-o", "a.html", "-o", "a.json")
    assert said.code == 0 and "wrote a.json" in said.err and "wrote a.html" in said.err
    assert said.out == call(*arguments).out
    page = Path("a.html").read_bytes()
    assert call("report", "a.json", "-o", "b.html").code == 0 and Path("b.html").read_bytes() == page
    assert "First choice: group normalization (gn)." in page.decode()
    document = call(*arguments, "--json", "-o", "c.json").out
    assert json.loads(document) == json.loads(Path("c.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("output", "code"), [("a.txt", 2), ("missing/a.html", 5)])
def test_a_file_that_an_advice_cannot_be_kept_in_is_refused_before_anything_is_asked(call: Caller, output: str, code: int) -> None:
    said = call("advise", "-o", output)
    assert said.code == code and said.out == "" and output.split("/")[0] in said.err


def test_an_advice_of_another_kind_is_refused(call: Caller) -> None:
    write({"schema": "normlab.advise/1", "command": "normlab advise"})
    said = call("report", "run.json")
    assert said.code == 2 and "lacks settings, ranking" in said.err


def test_retry_gives_the_table_of_a_sweep_that_never_failed(call: Caller) -> None:
    Path("small.toml").write_text(SPEC, encoding="utf-8")
    assert call("sweep", "small.toml").code == 0
    whole = table("small.db")
    with sqlite3.connect("small.db") as connection:
        connection.execute("UPDATE trials SET state = 'failed', metrics = NULL, error = 'the worker died' WHERE trial = 2")
    connection.close()
    assert "failed: 1" in call("sweep", "small.toml").out
    said = call("sweep", "small.toml", "--retry", "--json")
    assert said.code == 0 and table("small.db") == whole and "--retry" not in json.loads(said.out)["command"]
