"""Streams that are closed, full, no longer read, in another encoding, or a terminal: the work is done all the same."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import click
import pytest

from commanding import SMALL, Caller, Said, environment, finish, start
from normlab.cli import demo, main
from normlab.report.cells import cell_len

COLOUR = re.compile("\x1b\\[[0-9;]*[34][0-9][0-9;]*m")
HANGUL = re.compile("[가-힣]")
FULL = Path("/dev/full")


pytestmark = pytest.mark.usefixtures("folder")  # every command writes into a folder of its own


def shell(line: str, **more: str) -> Said:
    """A line of bash in which `normlab` is this checkout's."""
    name = 'normlab() { "$PYTHON" -m normlab "$@"; }; set -o pipefail\n'
    run = subprocess.run(
        ["bash", "-c", name + line], capture_output=True, text=True, encoding="utf-8", errors="replace",
        env=environment(PYTHON=sys.executable, **more),
    )  # fmt: skip
    return Said(run.returncode, run.stdout, run.stderr)


def on_terminal(*arguments: str, before: tuple[str, ...] = ("-m", "normlab"), columns: int = 80, **more: str) -> str:
    """What a terminal shows: both streams, with everything that is meant for it alone."""
    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, *before, *arguments], stdin=its, stdout=its, stderr=its,
        env=environment(TERM="xterm-256color", **more),
    )  # fmt: skip
    os.close(its)
    shown = b""
    while True:
        try:
            piece = os.read(mine, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(mine)
    assert process.wait() == 0
    return shown.decode()


VERBS = ([], ["info"], ["guide", "bn"], ["compare", "bn", *SMALL], ["compare", "bn", *SMALL, "--json"], ["--help"])
named = pytest.mark.parametrize("arguments", VERBS, ids=lambda arguments: " ".join(arguments) or "alone")


@named
def test_a_stdout_of_text_has_no_encoding_and_needs_none(monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    out = io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert out.encoding is None
    assert main([*arguments, "--lang", "ko"]) == 0 and len(out.getvalue()) > 100
    assert arguments[-1:] == ["--json"] or HANGUL.search(out.getvalue())


@named
@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
def test_a_program_without_a_console_has_no_streams(monkeypatch: pytest.MonkeyPatch, arguments: list[str], name: str) -> None:
    monkeypatch.setattr(sys, name, None)
    try:
        assert main(arguments) == 0
    finally:
        getattr(sys, name).close()


def test_a_run_from_a_closed_stdin_is_none(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    said = call("report", "-")
    sys.stdin.close()
    assert said.code == 5 and "no JSON" in said.err


def test_closed_streams_change_no_exit_code() -> None:
    assert shell("normlab info >&-").code == 0
    assert shell("normlab compare bnn --json 2>&-").code == 2
    assert shell("normlab compare bnn >&- 2>&-").code == 2


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this machine")
@pytest.mark.parametrize("line", [f"compare bn {' '.join(SMALL)} --json", "guide bn", "--help"])
def test_a_full_disk_behind_stdout_is_a_failure_of_writing(line: str) -> None:
    said = shell(f"normlab {line} >/dev/full")
    assert said.code == 5 and "No space left" in said.err and "Traceback" not in said.err


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full on this machine")
def test_notes_that_cannot_be_written_stop_nothing(folder: Path) -> None:
    said = shell(f"normlab compare bn {' '.join(SMALL)} --json -o a.json -o a.html 2>/dev/full")
    assert said.code == 0 and json.loads(said.out)["schema"] == "normlab.compare/1"
    assert {path.name for path in folder.iterdir()} == {"a.json", "a.html"}


def test_whoever_reads_one_line_ends_it_quietly_and_gets_the_files(folder: Path) -> None:
    """Unbuffered, so that the second write already finds nobody there."""
    said = shell(f"normlab compare bn {' '.join(SMALL)} -o a.html -o a.json | head -n 1", PYTHONUNBUFFERED="1")
    assert said.code == 0 and len(said.out.splitlines()) == 1
    assert "wrote" in said.err and "Error" not in said.err and "Traceback" not in said.err
    assert {path.name for path in folder.iterdir()} == {"a.json", "a.html"}


def test_whoever_reads_nothing_gets_the_exit_code_of_the_work() -> None:
    Path("data.csv").write_text("1,2\nnan,3\n", encoding="utf-8")
    for more in ("", "--json"):
        said = shell(f"normlab compare bn {' '.join(SMALL)} --data data.csv {more} | true; echo ${{PIPESTATUS[0]}}")
        assert said.out == "4\n"
        assert re.fullmatch(r"normlab: values that are not finite in the data: 1; .*\n", said.err)


@pytest.mark.parametrize(
    "locale",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
    ids=["ascii", "C", "C-without-utf8"],
)
def test_korean_that_is_asked_for_is_written_where_the_locale_is_not_set_up(locale: dict[str, str]) -> None:
    for arguments in (["--lang", "ko"], ["guide", "bn", "--lang", "ko"]):
        said = finish(start(*arguments, **locale))
        assert said.code == 0 and HANGUL.search(said.out) and "??" not in said.out, arguments
        assert said.err == ""


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "cp437"])
def test_a_console_without_hangul_says_so_in_a_sentence(encoding: str) -> None:
    said = finish(start("--lang", "ko", PYTHONIOENCODING=encoding))
    assert said.code == 0 and "???" in said.out
    assert "has no Hangul" in said.err and "PYTHONIOENCODING=utf-8" in said.err and len(said.err.splitlines()) == 1
    assert finish(start("--lang", "en", PYTHONIOENCODING=encoding)).err == ""


@pytest.mark.parametrize("encoding", ["ascii", "cp949", "cp1252", "utf-8"])
def test_a_document_loses_nothing_in_any_encoding(encoding: str) -> None:
    """Windows pipes in the code page: the file behind `>` must be JSON for `normlab report` all the same."""
    process = subprocess.run(
        [sys.executable, "-m", "normlab", "compare", "none", "bn", *SMALL, "--json"], capture_output=True,
        env=environment(PYTHONIOENCODING=encoding),
    )  # fmt: skip
    sentence = json.loads(process.stdout.decode("utf-8"))["verdicts"][0]["ko"]
    assert HANGUL.search(sentence) and "?" not in sentence


def test_what_is_no_text_in_an_argument_is_no_reason_to_stop() -> None:
    said = shell(f"normlab compare $'bn\\xff' {' '.join(SMALL)} --json")
    assert said.code == 2 and json.loads(said.out)["code"] == 2 and "Traceback" not in said.err


@pytest.mark.parametrize("arguments", [["guide", "bn"], ["guide"], ["compare", "none", "ln", *SMALL]], ids=" ".join)
def test_a_terminal_has_colours_unless_they_are_declined(arguments: list[str]) -> None:
    assert "\x1b[" in on_terminal(*arguments)
    for declined in ({"NO_COLOR": "1"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}):
        assert "\x1b" not in on_terminal(*arguments, **declined)


def test_a_progress_bar_without_colour_has_none() -> None:
    code = (
        "import sys, time, normlab.cli.working as working, normlab.experiments.compare as c\n"
        "from normlab.cli import main\n"
        "real, working.PATIENCE_S = c._arm_document, 0.05\n"
        "def slow(*rest):\n"
        "    time.sleep(0.3)\n"
        "    return real(*rest)\n"
        "c._arm_document = slow\n"
        f"sys.exit(main(['compare', 'bn', *{SMALL!r}]))\n"
    )
    shown = on_terminal(before=("-c", code), NO_COLOR="1")
    assert "comparing" in shown and not COLOUR.search(shown)
    assert COLOUR.search(on_terminal(before=("-c", code)))


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("columns", [80, 200, 20])
def test_a_terminal_is_filled_to_what_reads_well(columns: int, lang: str) -> None:
    shown = re.sub("\x1b\\[[0-9;?]*[A-Za-z]", "", on_terminal("guide", "bn", "--lang", lang, columns=columns))
    widest = max(cell_len(line) for line in shown.splitlines() if "normlab " not in line)
    assert widest <= max(80, min(columns, 110)) and (columns <= 80 or widest > 80)


@pytest.mark.parametrize("problem", [None, KeyboardInterrupt(), OSError(28, "No space left on device"), ValueError("x")], ids=repr)
def test_the_demonstration_ends_with_the_same_codes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], problem: BaseException | None
) -> None:
    def ran() -> int:
        if problem is not None:
            raise problem
        click.echo("done")
        return 0

    monkeypatch.setattr(demo, "_run", ran)
    codes: dict[type, int] = {type(None): 0, KeyboardInterrupt: 130, OSError: 5, ValueError: 70}
    assert demo.main() == codes[type(problem)]
    said = capsys.readouterr()
    assert "Traceback" not in said.err and (problem is None) == (said.out == "done\n")
