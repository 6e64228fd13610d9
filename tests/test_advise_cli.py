"""`normlab advise`: flags, the four questions asked on a terminal, and what it refuses."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import normlab.cli.advise as verb
import normlab.cli.app as app
from commanding import Caller, too_wide
from normlab.advice.questions import QUESTIONS

LANGUAGES = ("en", "ko")


@pytest.fixture
def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if somebody sat at a terminal: Click's runner hands in what they type."""
    monkeypatch.setattr(verb, "is_asking", lambda: True)


def typing(*lines: str, arguments: tuple[str, ...] = ()) -> Result:
    return CliRunner().invoke(app.normlab, ["advise", *arguments], input="".join(f"{line}\n" for line in lines))


@pytest.mark.parametrize("lang", LANGUAGES)
def test_flags_are_answered_within_80_columns(call: Caller, lang: str) -> None:
    said = call("advise", "--data", "images", "--batch", "8", "--agree", "no", "--net", "cnn", "--lang", lang)
    assert (said.code, said.err) == (0, "") and too_wide(said.out) == []
    assert {"en": "First choice: group normalization (gn).", "ko": "첫째 선택: 그룹 정규화(gn)."}[lang] in said.out


def test_the_document_is_the_functions(call: Caller) -> None:
    import normlab

    document = json.loads(call("advise", "--batch", "32", "--net", "cnn", "--json").out)
    expected = normlab.advise(batch=32, net="cnn").to_dict()
    assert document | {"wall_s": 0} == expected | {"wall_s": 0}


@pytest.mark.parametrize("arguments", [("--data", "unknown"), ("--batch", "4", "--net", "u-net"), ("--agree", "yes", "--data", "?")], ids=" ".join)
def test_the_command_in_the_document_asks_the_same(call: Caller, arguments: tuple[str, ...]) -> None:
    document = json.loads(call("advise", *arguments, "--json").out)
    again = json.loads(call(*document["command"].split()[1:], "--json").out)
    assert again["ranking"] == document["ranking"] and again["settings"] == document["settings"]


def test_without_flags_and_without_a_terminal_the_flags_are_named(call: Caller) -> None:
    said = call("advise")
    assert said.code == 2 and said.out == ""
    assert all(f"--{name}" in said.err for name in (*QUESTIONS, "model")) and "normlab advise --data" in said.err
    assert json.loads(call("advise", "--json").out)["code"] == 2


@pytest.mark.usefixtures("at_a_terminal")
def test_without_flags_on_a_terminal_it_asks_four_questions() -> None:
    answered = typing("1", "32", "1", "1")
    assert answered.exit_code == 0 and "First choice: batch normalization (bn)." in answered.stdout
    asked = re.sub(r"(?<=\S)\n(?=\S)", " ", answered.stderr)
    assert [asked.count(one.asks) for one in QUESTIONS.values()] == [1] * 4
    assert [asked.index(one.asks) for one in QUESTIONS.values()] == sorted(asked.index(one.asks) for one in QUESTIONS.values())
    assert "\n  1) images: pictures" in answered.stderr and "\n  7) unknown: I don't know\n" in answered.stderr


@pytest.mark.usefixtures("at_a_terminal")
@pytest.mark.parametrize("lang", LANGUAGES)
def test_questions_hold_80_columns_in_both_languages(lang: str) -> None:
    answered = typing("images", "2", "", "unet", arguments=("--lang", lang))
    assert answered.exit_code == 0 and too_wide(answered.stderr) == [] == too_wide(answered.stdout)
    assert bool(re.search("[가-힣]", answered.stderr)) == (lang == "ko")
    assert "gn" in answered.stdout


@pytest.mark.usefixtures("at_a_terminal")
def test_enter_takes_the_default() -> None:
    answered = typing("", "", "", "", arguments=("--json",))
    settings = json.loads(answered.stdout)["settings"]
    assert settings == {"data": None, "batch": None, "agree": "no", "net": None, "measure": None}


@pytest.mark.usefixtures("at_a_terminal")
def test_a_mistake_is_asked_again() -> None:
    answered = typing("9", "tokns", "tokens", "0", "8", "yes", "transformer")
    assert answered.exit_code == 0 and "RMS normalization" in answered.stdout
    assert "A number from 1 to 7 is required, got 9." in answered.stderr
    assert "Did you mean tokens" in answered.stderr and "at least 1, is required, got '0'" in answered.stderr


@pytest.mark.usefixtures("at_a_terminal")
def test_an_input_that_ends_is_an_interruption() -> None:
    assert typing("1", "32").exit_code == 130


def test_a_pipe_is_never_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    assert not verb.is_asking()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--net", "transfomer"), "Did you mean transformer"),
        (("--data", "imags"), "Did you mean images"),
        (("--batch", "0"), "at least 1, is required, got '0'"),
        (("--batch", "two"), "at least 1, is required, got 'two'"),
        (("--agree", "maybe"), "unknown answer for agree"),
        (("--data", ""), "--data: must not be empty"),
        (("--input", "8x3x32x32"), "--input: needs --model beside it"),
        (("--model", "nowhere"), "'module:name' is required"),
        (("--model", "nowhere_at_all:make"), "nowhere_at_all cannot be imported"),
        (("--model", "math:sine"), "module math has no sine"),
        (("--model", "math:pi"), "must give a torch.nn.Module, got float"),
        (("--model", "os:getcwd"), "must give a torch.nn.Module, got str"),
        (("--model", "math:sin"), "math:sin() failed: TypeError"),
        (("--model", "torch.nn:Identity", "--input", "8x-3"), "sizes of at least 1 with x between are required"),
        (("--model", "torch.nn:Identity", "--input", "0x3"), "sizes of at least 1 with x between are required"),
        (("--model", "torch.nn:Identity", "--input", "8x3:half"), "sizes of at least 1 with x between are required"),
        (("--model", "torch.nn:Identity", "--input", "x".join("1" * 9)), "at most 8 sizes"),
        (("--model", "torch.nn:Identity", "--input", "281474976710656x2"), "3e+14 elements at most"),
        (("--model", "torch.nn:Identity", "--input", "9" * 5000), "sizes of at least 1 with x between are required"),
        (("--model", "torch.nn:Identity", "--input", "8x3", "--batch", "8"), "cannot be given together"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_cannot_be_used_is_refused_with_what_was_required(call: Caller, arguments: tuple[str, ...], said: str) -> None:
    answer = call("advise", *arguments)
    assert answer.code == 2 and answer.out == "" and said in answer.err


def test_a_model_of_the_users_own_is_read(call: Caller, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    source = """
        from torch import nn
        def make():
            return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(7200, 10))
    """
    (folder / "advised_model.py").write_text(textwrap.dedent(source), encoding="utf-8")
    said = call("advise", "--model", "advised_model:make", "--input", "2x3x32x32")
    assert said.code == 0 and "First choice: group normalization (gn)." in said.out
    assert "network: cnn, from convolution x 1" in said.out and "batch: 2, axis 0" in said.out
    assert "In the model: batch normalization (bn), 1 layers" in re.sub(r"\s+", " ", said.out)
    document = json.loads(call("advise", "--model", "advised_model:make", "--input", "64x3x32x32", "--agree", "yes", "--json").out)
    assert document["settings"] == {"data": "images", "batch": 64, "agree": "yes", "net": "cnn", "measure": None}


@pytest.mark.parametrize(("flags", "data"), [(("--measure",), "digits"), (("--measure", "mine.csv"), "mine.csv")])
def test_measure_trains_on_what_it_is_given(call: Caller, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], data: str) -> None:
    class Trained:
        def to_dict(self) -> dict[str, object]:
            arm = {"label": "gn", "method": "group_norm", "refused": None, "final": {"test_accuracy": {"mean": 0.9, "low": 0.8, "high": 1.0}}}
            return {"command": "normlab train", "arms": [arm], "ranking": None, "verdicts": []}

    told = {}
    monkeypatch.setattr(verb, "_training", lambda methods, **options: told.update(options, methods=methods) or Trained())
    said = call("advise", "--data", "images", "--batch", "8", "--net", "cnn", *flags, "--json")
    document = json.loads(said.out)
    assert said.code == 0 and told["data"] == data and told["batch"] == 8 and told["methods"][-1] == "none"
    assert document["measured"]["outcome"] == "held" and document["command"].endswith(f"--measure {data}")
