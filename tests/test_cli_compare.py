"""`normlab compare`: streams, files, widths, and every kind of input that it must refuse in a sentence."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from commanding import SMALL, Caller, Said, environment, finish, start, too_wide
from normlab.errors import ReadWriteError

ARMS = ("none", "bn", "ln")


pytestmark = pytest.mark.usefixtures("folder")  # every command writes into a folder of its own


def refused(said: Said, code: int, *phrases: str) -> None:
    """The command ended with `code` and a sentence that holds every phrase; nothing on stdout, no traceback."""
    assert said.code == code, said
    assert said.out == "" and "Traceback" not in said.err
    for phrase in phrases:
        assert phrase in said.err


def test_json_is_one_document_and_nothing_else_on_stdout(call: Caller) -> None:
    said = call("compare", *ARMS, *SMALL, "--json")
    document = json.loads(said.out)
    assert said.code == 0 and said.err == "" and document["schema"] == "normlab.compare/1"
    assert [arm["label"] for arm in document["arms"]] == list(ARMS)


def test_flags_are_the_settings(call: Caller) -> None:
    said = call("compare", "bn", *SMALL, "--layers", "3", "--activation", "tanh", "--init", "0.5", "--bias", "--seed", "7",
                "--place", "after", "--top", "loss", "--dtype", "float32", "--json")  # fmt: skip
    settings = json.loads(said.out)["settings"]
    wanted = {"layers": 3, "activation": "tanh", "init": 0.5, "bias": True, "seed": 7, "place": "after", "top": "loss",
              "dtype": "float32", "width": 12, "batch": 30, "cotangents": 2}  # fmt: skip
    assert {name: settings[name] for name in wanted} == wanted


def test_what_is_given_wins_over_the_preset(call: Caller) -> None:
    settings = json.loads(call("compare", "--preset", "note-5", "--layers", "2", "--no-bias", "--json").out)["settings"]
    assert (settings["layers"], settings["bias"], settings["width"]) == (2, False, 64)


@pytest.mark.parametrize(
    "arguments",
    [
        [*ARMS], ["all", "--preset", "note-5"], ["--preset", "note-1"], ["all", "--net", "conv", "--batch", "8", "--width", "8"],
        ["none", "bn", "--seeds", "3"], ["none", "n (g [c]) [...]:g=4", "gn:groups=4,eps=1e-3", "--width", "12"],
        ["in", "--batch", "8"], ["none", "sn", "--layers", "64", "--width", "8"], ["bn", "--init", "1e9"],
    ],
    ids=" ".join,
)  # fmt: skip
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_table_holds_80_columns_in_both_languages(call: Caller, arguments: list[str], lang: str) -> None:
    sizes = [] if "--batch" in arguments or "--preset" in arguments else ["--batch", "40"]
    said = call("compare", *arguments, *sizes, "--lang", lang)
    assert said.code == 0 and too_wide(said.out) == []
    assert "None" not in said.out and "nan" not in said.out


def test_the_command_under_the_table_can_be_run(call: Caller) -> None:
    last = call("compare", "none", "bn", *SMALL).out.splitlines()[-1].split()
    assert last[-2:] == ["--seeds", "20"] and "compare" in last
    arguments = last[last.index("compare") :]
    assert call(*arguments, "--json").code == 0


def test_reports_documents_and_figures_are_written(call: Caller, folder: Path) -> None:
    said = call("compare", "none", "bn", *SMALL, "-o", "a.html", "-o", "a.json", "--save-figures", "figures/run")
    assert said.code == 0
    assert (folder / "a.html").read_text(encoding="utf-8").lstrip().lower().startswith("<!doctype html")
    assert json.loads((folder / "a.json").read_text(encoding="utf-8"))["schema"] == "normlab.compare/1"
    drawn = {path.name for path in (folder / "figures" / "run").iterdir()}
    assert "ladder.svg" in drawn and any(name.endswith(".png") for name in drawn)
    assert {path.name for path in folder.iterdir()} == {"a.html", "a.json", "figures"}
    assert all(name in said.err for name in ("a.html", "a.json", "ladder.svg")) and "wrote" not in said.out


def test_the_document_of_the_file_is_the_document_of_stdout(call: Caller, folder: Path) -> None:
    said = call("compare", "none", "bn", *SMALL, "--json", "-o", "a.json")
    assert (folder / "a.json").read_text(encoding="utf-8") == said.out


def test_too_large_a_page_is_refused_and_the_document_kept(call: Caller, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("normlab.report.page.LARGEST_BYTES", 1000)
    said = call("compare", "none", "bn", *SMALL, "-o", "a.html", "-o", "a.json")
    assert said.code == 2 and "--large" in said.err
    assert [path.name for path in folder.iterdir()] == ["a.json"]
    assert call("compare", "none", "bn", *SMALL, "-o", "a.html", "--large").code == 0


@pytest.mark.parametrize(
    ("arguments", "phrases"),
    [
        (["n [c"], ["never closed", "character 3"]),
        (["n c"], ["bracket"]),
        (["n [c] ... ..."], ["..."]),
        (["gn:groups=7"], ["groups", "100", "7"]),
        (["gn:groups=many"], ["groups", "many"]),
        (["n (g [c]) [...]"], ["g"]),
        (["bn", "batch_norm"], ["same"]),
        (["--layers", "0"], ["layers", "1", "64", "got 0"]),
        (["--layers", "65"], ["64", "got 65"]),
        (["--width", "4096"], ["2048", "got 4096"]),
        (["--batch", "1000000"], ["100000", "got 1000000"]),
        (["--batch", "100000", "--width", "2048"], ["at most"]),
        (["--seeds", "0"], ["seeds"]),
        (["--seed", "-1"], ["seed"]),
        (["--layers", "five"], ["--layers", "whole number", "five"]),
        (["--init", "-1"], ["init"]),
        (["--init", "nan"], ["init"]),
        (["-o", "run.pdf"], [".html", ".json"]),
        (["-o", "a.json", "-o", "a.json"], ["twice"]),
        (["--lang", "kr"], ["en", "ko", "auto"]),
    ],
    ids=lambda value: " ".join(value) if value and value[0][:1] not in "." else "",
)
def test_an_argument_that_cannot_be_used_is_refused(call: Caller, arguments: list[str], phrases: list[str]) -> None:
    refused(call("compare", *arguments), 2, *phrases)


def test_a_set_of_one_is_explained_with_the_command_that_shows_it(call: Caller) -> None:
    said = call("compare", "none", "in", "--batch", "8")
    assert said.code == 0 and "single element" in said.out and "--net conv" in said.out


def test_arms_of_other_roles_are_explained_with_the_command_that_shows_them(call: Caller) -> None:
    said = call("compare", "none", "film", *SMALL)
    assert said.code == 0 and "normlab guide film" in said.out


@pytest.mark.parametrize("lang", ["en", "ko"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_what_is_not_finite_is_counted_named_and_still_reported(call: Caller, folder: Path, value: str, lang: str) -> None:
    rows = [["1", "2", "3"], ["4", value, "6"], ["7", "8", value], ["0", "1", "2"]]
    Path("data.csv").write_text("\n".join(",".join(row) for row in rows), encoding="utf-8")
    said = call("compare", "none", "bn", "--data", "data.csv", *SMALL, "-o", "a.html", "-o", "a.json", "--lang", lang)
    assert said.code == 4 and "Traceback" not in said.err
    assert re.search(r"\b2", said.err) and ("layer 1" in said.err or "1층" in said.err)
    document = json.loads((folder / "a.json").read_text(encoding="utf-8"))
    assert document["nonfinite"]["count"] == 2
    assert value != "nan" or document["arms"][0]["layers"][0]["var"] is None  # of infinity a sigmoid makes 1
    assert (folder / "a.html").stat().st_size > 10_000 and too_wide(said.out) == []


def test_what_is_not_finite_is_one_document_under_json(call: Caller) -> None:
    Path("data.csv").write_text("1,2\nnan,3\n4,5", encoding="utf-8")
    said = call("compare", "none", "--data", "data.csv", *SMALL, "--json")
    assert said.code == 4 and json.loads(said.out)["schema"] == "normlab.compare/1"


def test_text_in_a_table_is_found_by_row_and_column(call: Caller) -> None:
    Path("data.csv").write_text("a,b\n1,2\n3,oops\n", encoding="utf-8")
    refused(call("compare", "--data", "data.csv"), 2, "data.csv", "row 3", "column 2", "oops")


def test_a_missing_file_gets_the_nearest_name(call: Caller) -> None:
    Path("measured.csv").write_text("1,2\n", encoding="utf-8")
    refused(call("compare", "--data", "measurd.csv"), 5, "measurd.csv", "measured.csv")


def test_a_damaged_file_is_a_failure_of_reading(call: Caller) -> None:
    Path("data.npy").write_bytes(b"\x93NUMPY\x01\x00nonsense")
    refused(call("compare", "--data", "data.npy"), 5, "data.npy")


def test_a_folder_that_is_not_there_stops_it_before_the_work(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    def compared(*_: Any) -> None:
        raise AssertionError("the work began")

    monkeypatch.setattr("normlab.cli.working.compared", compared)
    refused(call("compare", "-o", "nowhere/a.html"), 5, "nowhere", "mkdir -p")
    Path("file").write_text("", encoding="utf-8")
    refused(call("compare", "-o", "file/a.html"), 5, "file")
    refused(call("compare", "--save-figures", "file"), 5, "file")
    refused(call("compare", "--save-figures", "file/inside"), 5, "file")
    Path("a.html").mkdir()
    refused(call("compare", "-o", "a.html"), 5, "a.html")


@pytest.mark.parametrize("arguments", [["-o", "closed/a.html"], ["--save-figures", "closed"], ["--save-figures", "closed/in"]])
def test_a_folder_without_permission_is_refused(call: Caller, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    closed = Path("closed")
    closed.mkdir()
    closed.chmod(stat.S_IRUSR | stat.S_IXUSR)
    if os.access(closed, os.W_OK):  # root may write everywhere: the question is answered as for anybody else
        real_access, real_mkdir = os.access, Path.mkdir

        def access(path: Any, mode: int) -> bool:
            return "closed" not in str(path) and real_access(path, mode)

        def mkdir(self: Path, *rest: Any, **more: Any) -> None:
            if str(self) == "closed/in":
                raise PermissionError(13, "Permission denied", str(self))
            real_mkdir(self, *rest, **more)

        monkeypatch.setattr(os, "access", access)
        monkeypatch.setattr(Path, "mkdir", mkdir)
    refused(call("compare", *SMALL, *arguments), 5, "closed", "ermission")
    assert list(closed.iterdir()) == []


def test_a_disk_that_fills_up_leaves_the_older_file_whole(call: Caller, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("a.html").write_text("older", encoding="utf-8")

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    said = call("compare", "none", "bn", *SMALL, "-o", "a.html")
    assert said.code == 5 and "No space left" in said.err and "Traceback" not in said.err
    assert [path.name for path in folder.iterdir()] == ["a.html"]
    assert Path("a.html").read_text(encoding="utf-8") == "older"


def test_a_written_file_has_the_permissions_of_any_other(call: Caller) -> None:
    Path("plain").write_text("", encoding="utf-8")
    call("compare", "none", "bn", *SMALL, "-o", "a.json")
    assert Path("a.json").stat().st_mode == Path("plain").stat().st_mode


def test_a_link_keeps_pointing_where_it_points(call: Caller) -> None:
    from normlab.cli.writing import write

    Path("real.json").write_text("older", encoding="utf-8")
    Path("link.json").symlink_to("real.json")
    write(Path("link.json"), "newer")
    assert Path("link.json").is_symlink() and Path("real.json").read_text(encoding="utf-8") == "newer"
    with pytest.raises(ReadWriteError, match="nowhere"):
        write(Path("nowhere/file"), "x")


def test_ctrl_c_keeps_what_was_finished(folder: Path) -> None:
    """The first arm takes a moment, the last one minutes: SIGINT comes between the two."""
    gate = (
        "import sys, normlab.experiments.compare as c\n"
        "real = c._arm_document\n"
        "def slow(arm, *rest):\n"
        "    if arm.label == 'ln':\n"
        "        print('waiting', file=sys.stderr, flush=True)\n"
        "        import time; time.sleep(60)\n"
        "    return real(arm, *rest)\n"
        "c._arm_document = slow\n"
        "from normlab.cli import main\n"
        f"sys.exit(main(['compare', 'none', 'bn', 'ln', *{SMALL!r}, '--json', '-o', 'a.html', '-o', 'a.json']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", gate], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=environment()
    )
    assert process.stderr is not None
    assert process.stderr.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    said = finish(process)
    assert said.code == 130 and "Traceback" not in said.err and "interrupted" in said.err
    document = json.loads(said.out)
    assert [arm["label"] for arm in document["arms"]] == ["none", "bn"] and document["verdicts"]
    assert json.loads((folder / "a.json").read_text(encoding="utf-8")) == document
    assert (folder / "a.html").stat().st_size > 10_000


def test_ctrl_c_in_the_middle_of_a_real_run_ends_it_at_once(folder: Path) -> None:
    process = start("compare", "sn", "--width", "1024", "--batch", "300", "--layers", "60", "--seeds", "100", "--json", cwd=folder)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    said = finish(process)  # which does not wait for the run's own end
    assert said.code == 130 and "Traceback" not in said.err
    assert json.loads(said.out)["code"] == 130


def test_a_bar_is_drawn_on_a_terminal_only_and_only_for_long_work(monkeypatch: pytest.MonkeyPatch) -> None:
    from normlab.cli import working

    class Terminal:
        encoding = "utf-8"

        def __init__(self) -> None:
            self.text = ""

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> int:
            self.text += text
            return len(text)

        def flush(self) -> None:
            return None

    for patience_s, shown in ((0.05, True), (10.0, False)):
        terminal = Terminal()
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setattr(working, "PATIENCE_S", patience_s)
        with working.Bar("comparing") as bar:
            time.sleep(0.5)
            bar(1, 2, {"label": "bn"})
            time.sleep(0.2)
        assert ("comparing" in terminal.text) == shown
