"""The command line as a whole: help, languages, streams, exit codes, and failures that become sentences."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from commanding import SMALL, Caller, environment, finish, start, too_wide
from normlab.cli import app, failing, main
from normlab.errors import MissingExtraError, NonFiniteError

VERBS = tuple(app.VERBS)
BOX = re.compile("[\u2500-\u259f]")


def test_alone_it_says_three_lines_and_the_next_command(call: Caller) -> None:
    said = call()
    assert said.code == 0 and said.err == ""
    lines = said.out.splitlines()
    assert len(lines) == 4 and lines[-1].strip().endswith("compare") and not too_wide(said.out)


@pytest.mark.parametrize("name", ["LC_ALL", "LC_MESSAGES", "LANG"])
def test_alone_it_speaks_korean_where_the_locale_is_korean(call: Caller, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.delenv("LC_ALL")
    monkeypatch.setenv(name, "ko_KR.UTF-8")
    said = call()
    assert re.search("[가-힣]", said.out) and said.out.splitlines()[-1].strip().endswith("compare")


@pytest.mark.parametrize("arguments", [["--lang", "ko", "--help"], ["--help", "--lang=ko"], ["compare", "--help", "--lang", "ko"]])
def test_help_is_in_the_language_asked_for_wherever_it_is_asked(call: Caller, arguments: list[str]) -> None:
    assert re.search("[가-힣]", call(*arguments).out)


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("verb", ["", *VERBS])
def test_help_is_at_most_80_columns_wide_and_names_every_flag(call: Caller, verb: str, lang: str) -> None:
    said = call(*([verb] if verb else []), "--help", "--lang", lang)
    assert said.code == 0 and said.err == ""
    assert not too_wide(said.out) and "--debug" in said.out and "--lang en|ko|auto" in said.out
    assert (re.search("[가-힣]", said.out) is not None) == (lang == "ko")
    if verb:
        assert "--json" in said.out


def test_help_lists_the_verbs_of_this_release_and_no_others(call: Caller) -> None:
    listed = re.findall(r"^  ([a-z]+)  ", call("--help").out, re.M)
    assert listed == ["compare", "train", "sweep", "claims", "bench", "advise", "lab", "check", "guide", "report", "info"]


def test_the_flags_of_compare_are_the_arguments_of_compare() -> None:
    import inspect

    import normlab

    command = app.normlab.get_command(click.Context(app.normlab), "compare")
    assert command is not None
    flags = {p.name for p in command.params}
    assert set(inspect.signature(normlab.compare).parameters) <= flags
    assert flags - set(inspect.signature(normlab.compare).parameters) == {
        "outputs", "save_figures", "large", "as_json", "lang", "debug",
    }  # fmt: skip


def test_the_defaults_that_help_names_are_the_defaults() -> None:
    from normlab.experiments.presets import DEFAULTS

    command = app.normlab.get_command(click.Context(app.normlab), "compare")
    assert command is not None
    for option in command.params:
        if isinstance(option, click.Option) and option.name in DEFAULTS and not isinstance(DEFAULTS[option.name], bool):
            text = option.help or ""
            said = re.search(r"(\w+)(?: \(random; the default\)| \(the default\)| by default)", text)
            if option.name != "seeds":
                assert said is not None and said[1] == str(DEFAULTS[option.name]), option.name


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["compar"], "compare"), (["giude"], "guide"), (["compare", "bacth_norm"], "batch_norm"),
        (["compare", "--preset", "note5"], "note-5"), (["compare", "--activation", "sigmoyd"], "sigmoid"),
        (["compare", "--layer", "3"], "--layers"), (["guide", "layernrm"], "layer_norm"), (["compare", "--net", "dence"], "dense"),
        (["compare", "gn:group=4"], "groups"), (["compare", "--data", "digit"], "digits"), (["--lnag"], "--lang"),
        (["compare", "--dtype", "float16"], "float32"), (["compare", "--init", "xavir"], "xavier"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_a_typing_mistake_gets_the_nearest_name(call: Caller, arguments: list[str], near: str) -> None:
    said = call(*arguments)
    assert said.code == 2 and said.out == ""
    assert near in said.err and "Traceback" not in said.err


def test_a_failure_under_json_is_one_document(call: Caller) -> None:
    said = call("compare", "--json", "bnn")
    document = json.loads(said.out)
    assert said.code == document["code"] == 2
    assert document["schema"] == "normlab.error/1" and "bnn" in document["error"] and "bn" in document["hint"]
    assert set(document) == {"schema", "code", "error", "hint"}


@pytest.mark.parametrize("arguments", [["--json", "compre"], ["compare", "--json", "--nope"], ["compare", "--json", "--layers"]])
def test_what_cannot_even_be_parsed_is_one_document_too(call: Caller, arguments: list[str]) -> None:
    said = call(*arguments)
    assert said.code == 2 and json.loads(said.out)["code"] == 2


@pytest.mark.parametrize(
    ("problem", "code"),
    [
        (MissingExtraError("matplotlib is not installed.", hint="pip install it"), 3), (NonFiniteError("NaN"), 4),
        (PermissionError(13, "Permission denied", "report.html"), 5), (MemoryError(), 2), (ZeroDivisionError("x"), 70),
        (failing.Stop(1), 1),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_every_kind_of_failure_has_its_code_and_no_traceback(
    call: Caller, monkeypatch: pytest.MonkeyPatch, problem: Exception, code: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise problem

    monkeypatch.setattr("normlab.result.versions", fail)
    said = call("info")
    assert said.code == code and "Traceback" not in said.err and "Traceback" not in said.out
    said = call("info", "--debug")
    assert said.code == code and (("Traceback" in said.err) or isinstance(problem, failing.Stop))


def test_click_runs_it_as_any_other_command() -> None:
    run = CliRunner().invoke(app.normlab, ["compare", "none", "bn", *SMALL, "--json"])
    assert run.exit_code == 0 and json.loads(run.stdout)["schema"] == "normlab.compare/1"
    assert CliRunner().invoke(app.normlab, ["compare", "bnn"]).exit_code == 2


def test_the_version_is_the_package_s(call: Caller) -> None:
    import normlab

    assert call("--version").out == f"normlab {normlab.__version__}\n"


def test_whoever_has_read_enough_ends_it_quietly() -> None:
    reader = f"{sys.executable} -m normlab compare none bn {' '.join(SMALL)} --json | {sys.executable} -c 'pass'"
    run = subprocess.run(["bash", "-c", f"set -o pipefail; {reader}"], capture_output=True, text=True, env=environment())
    assert (run.returncode, run.stderr) == (0, "")


def test_a_console_without_hangul_is_no_reason_to_stop() -> None:
    said = finish(start("--lang", "ko", PYTHONIOENCODING="cp437:strict"))
    assert said.code == 0 and "???" in said.out


@pytest.mark.parametrize("switch", [{}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}], ids=str)
def test_piped_output_has_no_colour_and_no_box_drawing(switch: dict[str, str]) -> None:
    for arguments in (["compare", "none", "ln", *SMALL], ["guide", "bn"], ["guide"], ["info"]):
        said = finish(start(*arguments, **switch))
        assert said.code == 0 and "\x1b" not in said.out and not BOX.search(said.out.replace("→", "")), arguments


def test_the_entry_point_is_the_module_s() -> None:
    assert main(["info"]) == 0
    assert finish(start("info")).out.splitlines()[0].startswith("normlab ")
