"""The grader's process: what somebody's code does there never reaches this one, and ends in a sentence."""

from __future__ import annotations

import functools
import json
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import normlab as nl
from commanding import Caller, finish, start, too_wide
from normlab.errors import ReadWriteError, UsageError
from normlab.grading import process
from normlab.report import fragment, render

LANGUAGES = ("en", "ko")
MINE = """
    import os, sys
    import numpy as np
    print("loaded")

    def good(x, gamma, beta, eps=1e-5):
        return gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta

    def backward(dy, x, gamma, eps=1e-5):
        root = np.sqrt(x.var(0) + eps)
        hat, g = (x - x.mean(0)) / root, gamma * dy
        return (g - g.mean(0) - hat * (g * hat).mean(0)) / root, (dy * hat).sum(0), dy.sum(0)

    def bad(x, gamma, beta, eps=1e-5):
        return gamma * (x - x.mean(0) / np.sqrt(x.var(0) + eps)) + beta

    class Outer:
        @staticmethod
        def inner(x):
            return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)

    def loops(x):
        while True:
            pass

    def loops_in_evaluation(x, running_mean, running_var, training=True):
        while not training:
            pass
        return x

    def crashes(x):
        os._exit(3)

    def segfaults(x):
        import ctypes
        ctypes.string_at(0)

    def exits(x):
        sys.exit("enough")

    def fails(x):
        return x.nothing

    def fails_in_float32(x):
        if x.dtype == np.float32:
            raise TypeError("only float64 here")
        return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)

    def yields(x):
        yield x

    async def waits(x):
        return x

    def nothing(x):
        x.mean()

    def scalar(x):
        return float(x.mean())

    def flat(x):
        return x.ravel()

    def not_a_number(x):
        return x * np.nan

    def a_list(x):
        return ((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)).tolist()

    def text(x):
        return "no"

    def empty(x):
        return ()

    def reads(x):
        return x + float(input())

    def chatters(x):
        sys.stdout.write("chatter " * 500_000)
        sys.stderr.write("more")
        return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)

    def starts_another(x):
        import subprocess
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)

    def draws(x):
        return x + np.random.default_rng().standard_normal(x.shape)

    def stranger(x, wat):
        return x

    def no_parameters():
        return 1

    number = 3
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the implementations in `mine.py`."""
    (tmp_path / "mine.py").write_text(textwrap.dedent(MINE), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def keys(grade: Any) -> list[str]:
    return [one["key"] for one in grade.faults]


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_verb_names_the_fault_within_80_columns(call: Caller, mine: Path, lang: str) -> None:
    said = call("check", "mine.py:bad", "--as", "batch_norm", "--lang", lang)
    assert said.code == 1 and too_wide(said.out) == [] == too_wide(said.err)
    assert {"en": "Parentheses are missing", "ko": "괄호가 빠졌다"}[lang] in said.out
    assert "xhat = (x - mean) / np.sqrt(var + eps)" in said.out
    assert "mine.py" in said.err and {"en": "runs mine.py", "ko": "실행한다"}[lang] in said.err


def test_what_is_right_ends_with_0(call: Caller, mine: Path) -> None:
    said = call("check", "mine.py:good", "--backward", "backward")
    assert said.code == 0 and "mine.py:good is right" in said.out
    assert said.out.count("correct") > 6 and "wrong" not in said.out.replace("wrong way", "")


def test_json_is_one_document_whatever_is_printed(call: Caller, mine: Path) -> None:
    said = call("check", "mine.py:chatters", "--json")
    document = json.loads(said.out)
    assert said.code == 0 and document["schema"] == "normlab.check/1" and document["passed"] is True
    assert document["printed"]["text"].startswith("loaded") and len(document["printed"]["text"]) <= process.MOST_PRINTED
    assert document["printed"]["letters"] > 4_000_000


def test_the_same_question_gives_the_same_bytes(mine: Path) -> None:
    def asked(name: str) -> dict[str, Any]:
        found = nl.check(f"mine.py:{name}", "bn", "backward").to_dict()
        return {k: v for k, v in found.items() if k not in ("wall_s", "machine")}

    for name in ("good", "bad"):
        assert json.dumps(asked(name)) == json.dumps(asked(name))


def test_the_command_in_the_document_asks_the_same(call: Caller, mine: Path) -> None:
    document = json.loads(call("check", "mine.py:bad", "--backward", "backward", "--timeout", "30", "--json").out)
    again = json.loads(call(*document["command"].split()[1:], "--json").out)
    assert again["faults"] == document["faults"] and again["settings"] == document["settings"]


ENDS = {
    "loops": "timeout", "crashes": "crashed", "segfaults": "crashed", "exits": "exits", "fails": "raises",
    "yields": "returns_generator", "waits": "returns_coroutine", "nothing": "returns_none",
    "scalar": "returns_scalar", "flat": "wrong_shape", "not_a_number": "not_finite", "a_list": "returns_list",
    "text": "returns_other", "empty": "returns_other", "reads": "raises", "draws": "not_repeatable",
    "fails_in_float32": "raises", "loops_in_evaluation": "timeout",
}  # fmt: skip


@pytest.mark.parametrize(("name", "key"), ENDS.items(), ids=str)
def test_whatever_code_does_ends_in_a_sentence(mine: Path, name: str, key: str) -> None:
    grade = nl.check(f"mine.py:{name}", timeout=3.0 if key == "timeout" else 60.0)
    assert key in keys(grade) and not grade.passed and grade.exit_code == 1
    assert str(grade)


def test_an_exception_is_shown_with_its_line(mine: Path) -> None:
    (fault,) = nl.check("mine.py:fails").faults
    wanted = MINE.splitlines().index("        return x.nothing")
    assert fault["place"]["line"] == wanted + 1 and fault["place"]["code"] == "return x.nothing"
    assert "AttributeError" in fault["sentence"]["en"] and f"line {wanted + 1}" in fault["place"]["en"]


def test_what_hangs_says_what_was_asked(mine: Path) -> None:
    (fault,) = [one for one in nl.check("mine.py:loops", timeout=2.0).faults if one["key"] == "timeout"]
    assert "output" in fault["evidence"]["asking"]["en"] and "2 s" in fault["sentence"]["en"]


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
def test_what_it_starts_ends_with_it(mine: Path) -> None:
    def sleepers() -> int:
        lines = (p.read_bytes() for p in Path("/proc").glob("[0-9]*/cmdline") if p.exists())
        return sum(b"time.sleep(600)" in line and b"-c" in line for line in lines)

    before = sleepers()
    assert nl.check("mine.py:starts_another").passed
    until = time.monotonic() + 10
    while sleepers() > before and time.monotonic() < until:
        time.sleep(0.05)
    assert sleepers() == before


@pytest.mark.parametrize(
    ("source", "said"),
    [("def f(x:\n  return x\n", "SyntaxError"), ("import numpy as np\nnp.nothing\ndef f(x): return x\n", "AttributeError"),
     ("import sys\nsys.exit(2)\n", "sys.exit(2)"), ("import no_such_module_at_all\n", "ModuleNotFoundError"),
     ("def f(x):\n\treturn x\n        return x\n", "Error"), ("\0", "Error")],
    ids=["syntax", "attribute", "exit", "import", "indentation", "no text"],
)  # fmt: skip
def test_a_file_that_cannot_be_run_is_a_fault_with_its_line(call: Caller, mine: Path, source: str, said: str) -> None:
    (mine / "broken.py").write_text(source, encoding="utf-8")
    document = json.loads(call("check", "broken.py:f", "--json").out)
    (fault,) = document["faults"]
    assert fault["key"] in ("raises", "exits") and said in fault["sentence"]["en"]
    if source != "\0":
        assert fault["place"]["line"] >= 1


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "FILE.py:FUNCTION"), (("mine.py",), 2, "FILE.py:FUNCTION"), (("nowhere.py:f",), 5, "no such file"),
        ((".:f",), 5, "is a folder"), (("mine.py:goood",), 2, "Did you mean good"),
        (("mine.py:good", "--backward", "backwards"), 2, "Did you mean backward"),
        (("mine.py:number",), 2, "a function or a class is required, got int"),
        (("mine.py:stranger",), 2, "gamma|weight|scale|w|g"), (("mine.py:no_parameters",), 2, "takes no parameters"),
        (("mine.py:good", "--as", "bathc_norm"), 2, "Did you mean batch_norm"),
        (("mine.py:good", "--as", "adrop"), 2, "random"), (("mine.py:good", "--as", "fw"), 2, "search"),
        (("mine.py:good", "--timeout", "0"), 2, "above 0"), (("mine.py:good", "--timeout", "soon"), 2, "--timeout"),
        (("mine.py:good", "-o", "grade.txt"), 2, "must end in"), (("mine.py:good", "more"), 2, "too many"),
    ],
    ids=" ".join if False else lambda v: " ".join(v) if isinstance(v, tuple) else str(v)[:20],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(call: Caller, mine: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    answer = call("check", *arguments)
    assert answer.code == code and answer.out == "" and said in answer.err
    failed = json.loads(call("check", *arguments, "--json").out)
    assert failed["schema"] == "normlab.error/1" and failed["code"] == code


def test_a_name_inside_a_class_is_found(mine: Path) -> None:
    assert nl.check("mine.py:Outer.inner").passed


def test_a_local_module_beside_the_file_is_found_and_the_main_guard_is_not_entered(mine: Path) -> None:
    (mine / "helper.py").write_text("EPS = 1e-5\n", encoding="utf-8")
    source = """
        import numpy as np
        from helper import EPS
        def f(x):
            return (x - x.mean(0)) / np.sqrt(x.var(0) + EPS)
        if __name__ == "__main__":
            raise SystemExit("entered")
    """
    (mine / "uses.py").write_text(textwrap.dedent(source), encoding="utf-8")
    assert nl.check(str(mine / "uses.py") + ":f").passed


def test_a_file_named_like_a_module_of_the_library_does_no_harm(mine: Path) -> None:
    source = "import numpy as np\ndef f(x):\n    return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)\n"
    for name in ("json.py", "numpy_norm.py", "random.py", "grading.py"):
        (mine / name).write_text(source, encoding="utf-8")
        assert nl.check(f"{name}:f").passed, name


def test_the_files_that_were_asked_for_are_written(call: Caller, mine: Path) -> None:
    said = call("check", "mine.py:bad", "-o", "grade.html", "-o", "grade.json")
    page = (mine / "grade.html").read_text(encoding="utf-8")
    document = json.loads((mine / "grade.json").read_text(encoding="utf-8"))
    assert said.code == 1 and document["faults"][0]["key"] == "no_parentheses"
    assert "Parentheses are missing" in page and "괄호가 빠졌다" in page and "np.sqrt(var + eps)" in page
    assert call("report", "grade.json", "-o", "again.html").code == 0


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_page_and_a_fragment_escape_what_somebody_named(lang: str, tmp_path: Path) -> None:
    def evil(x: np.ndarray) -> np.ndarray:
        raise ValueError("</script><img src=x onerror=alert(1)>")

    grade = nl.check(evil)
    assert "<img" not in render([grade.to_dict()], lang=lang) and "<img" not in fragment(grade.to_dict(), lang)
    assert "&lt;img" in grade._repr_html_()


# In Python ------------------------------------------------------------------------------------------------------------


def plain(x: np.ndarray, gamma: np.ndarray, beta: np.ndarray, eps: float = 1e-5) -> np.ndarray:
    return gamma * (x - x.mean(0)) / np.sqrt(x.var(0) + eps) + beta


def test_a_function_of_a_module_is_graded() -> None:
    assert nl.check(plain).passed


def test_a_function_that_no_name_leads_to_is_graded_in_a_fork() -> None:
    eps = 1e-5

    def closure(x: np.ndarray) -> np.ndarray:
        print("said aloud")
        return (x - x.mean(0)) / (x.std(0) + eps)

    grade = nl.check(closure)
    assert keys(grade) == ["eps_outside_root"] and "said aloud" in grade.to_dict()["printed"]["text"]
    assert nl.check(lambda x: (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)).passed
    assert nl.check(functools.partial(plain, eps=1e-5)).passed


@pytest.mark.parametrize("how", ["loop", "exit", "raise"])
def test_a_closure_cannot_end_this_process(how: str) -> None:
    def f(x: np.ndarray) -> np.ndarray:
        import os

        while how == "loop":
            pass
        if how == "exit":
            os._exit(9)
        raise KeyboardInterrupt

    grade = nl.check(f, timeout=2.0)
    assert keys(grade) == [{"loop": "timeout", "exit": "crashed", "raise": "crashed"}[how]]


def test_a_script_that_grades_its_own_function_ends(mine: Path) -> None:
    source = """
        import numpy as np, normlab as nl
        def f(x):
            return (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)
        print(nl.check(f).passed)
    """
    (mine / "script.py").write_text(textwrap.dedent(source), encoding="utf-8")
    import subprocess

    from commanding import environment

    done = subprocess.run([sys.executable, "script.py"], capture_output=True, text=True, env=environment(), timeout=120)
    assert done.stdout.strip() == "True", done.stderr


@pytest.mark.parametrize("given", [3, None, np.zeros(3), "mine"])
def test_what_is_no_function_is_refused(given: Any) -> None:
    with pytest.raises(UsageError):
        nl.check(given)


def test_other_arguments_are_checked() -> None:
    for arguments in ({"timeout": 0}, {"timeout": float("nan")}, {"timeout": True}, {"backward": 3}, {"as_": "bnn"}):
        with pytest.raises(UsageError):
            nl.check(plain, **arguments)
    with pytest.raises(ReadWriteError):
        nl.check("nowhere.py:f")
    with pytest.raises(UsageError):
        nl.check(f"{__file__}:plain", backward=plain)


def test_without_a_fork_a_thread_grades(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("os.fork", raising=False)
    assert nl.check(lambda x: (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5)).passed


def test_ctrl_c_ends_the_verb_with_130(mine: Path) -> None:
    import signal

    running = start("check", "mine.py:loops", cwd=mine)
    assert running.stderr is not None
    while "runs" not in running.stderr.readline():
        pass
    time.sleep(0.5)  # until the other process is asked
    running.send_signal(signal.SIGINT)
    assert finish(running).code == 130
