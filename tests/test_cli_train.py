"""`normlab train`: what it prints and writes, in both languages, what it refuses, and how it ends."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import normlab as nl
from commanding import Caller, too_wide
from normlab.cli.racing import LiveTable
from normlab.cli.train import needed
from normlab.experiments.training.running import run_all
from racing import SMALL
from test_cli_languages import HANGUL, is_at_an_edge

pytestmark = pytest.mark.usefixtures("folder")  # every command writes into a folder of its own

LANGUAGES = ("en", "ko")


def steady(text: str) -> dict[str, Any]:
    """A document without what differs from run to run."""
    found: dict[str, Any] = json.loads(text)
    return {key: value for key, value in found.items() if key not in ("wall_s", "machine")}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("more", [["none", "bn"], ["bn", "--seeds", "1"], ["bn", "film", "n (long_name [c]) [...]:long_name=4"]], ids=" ".join)
def test_the_table_holds_80_columns_and_hangul_keeps_to_its_edges(call: Caller, more: list[str], lang: str) -> None:
    said = call("train", *SMALL, *more, "--lang", lang)
    assert said.code == 0 and said.err == "" and "\x1b" not in said.out
    lines = [line for line in said.out.splitlines() if " train " not in line]
    assert too_wide("\n".join(lines)) == [] and bool(HANGUL.search(said.out)) == (lang == "ko")
    for line in (line for line in said.out.splitlines() if re.match(r" (norm|방법|none|bn) ", line)):
        for word in re.finditer(r"\S*[가-힣]\S*(?: \S*[가-힣]\S*)*", line):
            assert is_at_an_edge(line, *word.span()), line


def test_flags_carry_the_names_of_the_function_and_mean_the_same(call: Caller) -> None:
    said = call("train", "none", "bn", *SMALL, "--optimizer", "adam", "--lr", "0.01", "--no-bias", "--init", "0.3",
                "--weight-decay", "0.01", "--dtype", "float64", "--place", "after", "--json")  # fmt: skip
    race = nl.train(["none", "bn"], layers=2, width=8, batch=20, steps=20, seeds=2, optimizer="adam", lr=0.01, bias=False,
                    init=0.3, weight_decay=0.01, dtype="float64", place="after")  # fmt: skip
    assert said.code == 0 and steady(said.out) == steady(race.to_json())


def test_the_command_in_the_document_gives_the_document_again(call: Caller) -> None:
    first = steady(call("train", "none", "bn", *SMALL, "--activation", "relu", "--json").out)
    words = first["command"].split()
    assert words[:2] == ["normlab", "train"] and steady(call(*words[1:], "--json").out) == first


def test_what_is_written_is_what_is_printed_and_a_report_reads_it(call: Caller) -> None:
    said = call("train", "none", "bn", *SMALL, "-o", "run.json", "-o", "run.html", "--json", "--lang", "ko")
    assert said.code == 0 and json.loads(said.out) == json.loads(Path("run.json").read_text(encoding="utf-8"))
    again = call("report", "run.json", "-o", "again.html", "--lang", "ko")
    assert again.code == 0 and Path("again.html").read_bytes() == Path("run.html").read_bytes()


def test_figures_are_files_of_their_own(call: Caller) -> None:
    assert call("train", "none", "bn", *SMALL, "--save-figures", "figures").code == 0
    names = {path.stem for path in Path("figures").glob("*.svg")}
    assert {"test-accuracy", "train-loss", "modes", "learning-rates", "layers-1", "layers-2"} == names


def test_the_last_line_is_a_command_that_goes_on_from_here(call: Caller) -> None:
    more_seeds = call("train", "none", "bn", *SMALL).out.splitlines()[-1]
    assert more_seeds.endswith("--seeds 5") and more_seeds.count("--seeds") == 1
    assert call("train", "bn", *SMALL).out.splitlines()[-1].endswith("-o report.html")
    assert "-o report.html" not in call("train", "bn", *SMALL, "-o", "a.html").out


@pytest.mark.parametrize(
    ("seeds", "found", "proposed"), [(1, [], 5), (5, [287, 9], 9), (5, [287], None), (5, [], None), (12, [9], None)]
)
def test_more_seeds_are_proposed_where_they_would_help(seeds: int, found: list[int], proposed: int | None) -> None:
    pairs = [{"seeds": {"needed": n}} for n in found] + [{"seeds": None}]
    document: dict[str, Any] = {"seeds": list(range(seeds)), "ranking": {"ranked": False}, "contrasts": pairs}
    assert needed(document) == proposed
    assert needed({**document, "ranking": {"ranked": True}}) is None


def test_without_a_method_there_are_four_arms(call: Caller) -> None:
    said = call("train", *SMALL, "--steps", "2", "--json")
    assert [arm["label"] for arm in json.loads(said.out)["arms"]] == ["none", "bn", "ln", "gn"]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_an_arm_that_diverges_is_a_result(call: Caller, lang: str) -> None:
    said = call("train", "none", "bn", *SMALL, "--activation", "relu", "--lr", "1e30", "-o", "a.html", "--lang", lang)
    reason = {"en": r"none at 1e\+30: 2 of 2 diverged", "ko": r"none, 학습률 1e\+30: 실행 2개 중 2개 발산"}[lang]
    assert said.code == 0 and re.search(reason, said.out) and Path("a.html").exists()


REFUSED: tuple[tuple[list[str], int, str], ...] = (
    (["nope"], 2, "nope"),
    (["bn", "bn"], 2, "bn"),
    (["bn", "--net", "tree"], 2, "tree"),
    (["bn", "--net", "no_such_module:make"], 2, "no_such_module"),
    (["bn", "--lr", "x"], 2, "--lr"),
    (["bn", "--lr", ""], 2, "--lr"),
    (["bn", "--lr", "0.1,0"], 2, "learning rate"),
    (["bn", "--lr", "-1"], 2, "learning rate"),
    (["bn", "--lr", "nan"], 2, "learning rate"),
    (["bn", "--optimizer", "adagrad"], 2, "adagrad"),
    (["bn", "--momentum", "1"], 2, "momentum"),
    (["bn", "--weight-decay", "-1"], 2, "weight_decay"),
    (["bn", "--steps", "0"], 2, "steps"),
    (["bn", "--seeds", "0"], 2, "seeds"),
    (["bn", "--seeds", "1001"], 2, "1000"),
    (["bn", "--layers", "65"], 2, "64"),
    (["bn", "--batch", "5000"], 2, "batch"),
    (["bn", "--dtype", "float16"], 2, "float16"),
    (["bn", "--data", "none.csv"], 5, "none.csv"),
    (["bn", "--data", "nan.csv"], 4, "nan.csv"),
    (["bn", "-o", "run.pdf"], 2, "run.pdf"),
    (["bn", "-o", "no/run.json"], 5, "no"),
)


@pytest.mark.parametrize(("arguments", "code", "word"), REFUSED, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_what_cannot_be_run_is_one_sentence_and_a_code(call: Caller, arguments: list[str], code: int, word: str) -> None:
    Path("nan.csv").write_text("a,b,class\n" + "\n".join(f"{k},{k % 3},{k % 2}" for k in range(80)) + "\nnan,1,0\n", encoding="utf-8")
    said = call("train", *arguments)
    assert said.code == code and said.out == "" and word in said.err and said.err.startswith("normlab: ")
    assert "Traceback" not in said.err and "defect" not in said.err
    as_json = call("train", *arguments, "--json")
    assert as_json.code == code and json.loads(as_json.out)["code"] == code


@pytest.mark.parametrize("json_too", [[], ["--json"]], ids=["table", "json"])
def test_ctrl_c_keeps_the_arms_that_were_finished(call: Caller, monkeypatch: pytest.MonkeyPatch, json_too: list[str]) -> None:
    def first_arm_only(makers: Any, keep: Any, **rest: Any) -> None:
        run_all(makers[:1], keep, **rest)
        raise KeyboardInterrupt

    monkeypatch.setattr("normlab.experiments.train.run_all", first_arm_only)
    said = call("train", "none", "bn", *SMALL, "-o", "a.json", "-o", "a.html", *json_too)
    assert said.code == 130 and "interrupted" in said.err and "Traceback" not in said.err
    kept = json.loads(Path("a.json").read_text(encoding="utf-8"))
    assert [arm["label"] for arm in kept["arms"]] == ["none"] and kept["interrupted"] is True
    assert "This race was interrupted" in Path("a.html").read_text(encoding="utf-8")
    assert json.loads(said.out) == kept if json_too else " none " in said.out


def test_ctrl_c_before_anything_was_finished_is_one_sentence(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("normlab.experiments.train.run_all", nothing)
    said = call("train", "none", "bn", *SMALL, "-o", "a.json")
    assert (said.code, said.out, said.err) == (130, "", "normlab: interrupted\n") and not Path("a.json").exists()


def recorded() -> list[tuple[int, int, str, Any]]:
    """What a race tells while it runs."""
    from normlab.experiments.train import run

    told: list[tuple[int, int, str, Any]] = []
    run(["none", "bn"], layers=2, width=8, batch=20, steps=40, seeds=2, lr=[0.1, 1.0],
        on_step=lambda *latest: told.append(latest))  # fmt: skip
    return told


def test_a_race_tells_how_far_each_arm_has_come() -> None:
    told = recorded()
    assert told[-1][0] == told[-1][1] == 80
    for label in ("none", "bn"):
        latest = [standing for _, _, one, standing in told if one == label][-1]
        assert (latest["taken"], latest["of"]) == (40, 40) and [rate["lr"] for rate in latest["rates"]] == [0.1, 1.0]
        assert all(rate["runs"] == 2 and 0 <= rate["test_accuracy"] <= 1 for rate in latest["rates"])


def printed(live: LiveTable) -> str:
    from rich.console import Console

    console = Console(width=80, no_color=True)
    with console.capture() as captured:
        console.print(live.table())
    return captured.get()


def test_the_live_table_has_a_row_for_each_arm_within_80_columns() -> None:
    live = LiveTable()
    for latest in recorded():
        live(*latest)
    shown = printed(live)
    assert re.search(r"^none +.*0\.1.* 40 ", shown, re.M) and re.search(r"^bn ", shown, re.M)
    assert all(len(line) <= 80 for line in shown.splitlines())


def test_the_live_table_takes_a_label_as_it_is_and_says_that_runs_diverged() -> None:
    lost = {"lr": 1.0, "runs": 2, "diverged": 2, "step": 3, "train_loss": None, "test_accuracy": None}
    live = LiveTable()
    live(3, 10, "n [c] [red]", {"taken": 3, "of": 10, "rates": [lost]})
    shown = printed(live)
    assert "n [c] [red]" in shown and "2 diverged" in shown


@pytest.fixture
def a_terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    return lambda is_one: monkeypatch.setattr("sys.stderr.isatty", lambda: is_one, raising=False)


@pytest.mark.parametrize("terminal", [True, False])
def test_only_a_terminal_gets_a_live_table(call: Caller, a_terminal: Callable[[bool], None], terminal: bool) -> None:
    a_terminal(terminal)
    said = call("train", "bn", *SMALL, "--json")
    assert said.code == 0 and json.loads(said.out)["schema"] == "normlab.train/1"
    assert bool(said.err) == terminal
