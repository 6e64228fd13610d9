"""`check`: reads what is asked, lets another process grade it, and makes the document of what came back."""

from __future__ import annotations

import inspect
import os
import shlex
import sys
import time
from collections.abc import Mapping
from typing import Any

from ..definition import Definition
from ..errors import ReadWriteError, UsageError
from ..language import N_, both, translate
from ..result import Result, machine, versions
from . import sentences
from .loading import Target
from .mending import mend
from .process import MOST_PRINTED, Ended, run
from .reading import read

__all__ = ["LIMIT_S", "Grade", "check", "found"]

LIMIT_S = 20.0
MOST_LIMIT_S = 86_400.0
PLACE_OF = N_("{file}, line {line}")


class Grade(Result):
    """A finished grading: `passed`, `faults`, and the document behind them."""

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong; another library's convention is not wrong."""
        return bool(self._document["passed"])

    @property
    def faults(self) -> list[dict[str, Any]]:
        """The faults: key, sentence in both languages, the line that mends it, evidence."""
        return list(self.to_dict()["faults"])

    @property
    def exit_code(self) -> int:
        """0 right, 1 where it has a fault."""
        return 0 if self.passed else 1


def check(
    function: Any, as_: str | Definition = "batch_norm", backward: Any = None, *, timeout: float = LIMIT_S
) -> Grade:
    """Grade somebody's own implementation of a method, and name what is wrong with it.

    Args:
        function: a function or class, or text "FILE.py:NAME". It is called by its parameters' names: the first is x;
            then gamma|weight, beta|bias, eps, momentum, running_mean, running_var, training|mode, and the method's
            options; what has a default may be left out. A class is built with the channels and called.
        as_: a method's name, with options if you like ("gn:groups=4"), or a line of notation.
        backward: the function that gives dx (and the gradients of weight and bias, in any order) for dy and the second
            of the forward's tuple; a name where `function` is text. A class's own method `backward` is found. What
            torch differentiates by itself is compared too.
        timeout: seconds after which it is stopped, 20 by default.
    Returns: a `Grade`. The code runs in a process of its own: a fresh one where it can be found by file or by name,
        else a fork of this one (where the system has no fork, a thread).
    Raises: UsageError for what cannot be graded, ReadWriteError for a file that cannot be read.
    Numerics: outputs in float64 must agree to 2**-36 of the largest, float32 to 2**-14; gradients with central
        differences to 2**-20.
    Example:
        >>> import numpy as np
        >>> def norm(x, gamma, beta, eps=1e-5):
        ...     return gamma * (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + eps) + beta
        >>> check(norm).passed
        True
    """
    began = time.perf_counter()
    definition, given = read(as_)
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not 0 < timeout <= MOST_LIMIT_S:
        message = N_("check: timeout must be a number of seconds above 0 and at most {most}, got {came}.")
        raise UsageError(translate(message, most=f"{MOST_LIMIT_S:g}", came=repr(timeout)))
    task, target, shown = _task(function, as_, backward)
    ended = run(task, float(timeout), target)
    settings = {
        "function": shown, "as": as_ if isinstance(as_, str) else definition.name,
        "backward": _name_of(backward), "timeout": float(timeout),
    }  # fmt: skip
    document = _document(ended, definition, given, settings, task.get("file"))
    return Grade(document | {"wall_s": round(time.perf_counter() - began, 6)})


def found(function: str, as_: str) -> None:
    """Raise what `check` would raise before it runs anything."""
    read(as_)
    _file_of(function)


def _name_of(function: Any) -> str | None:
    return None if function is None else function if isinstance(function, str) else getattr(function, "__name__", "?")


def _task(function: Any, as_: Any, backward: Any) -> tuple[dict[str, Any], Target | None, str]:
    """What the other process is told; with the object itself where it cannot be found by name; and how it is shown."""
    base = {"as": as_, "path": [p or os.getcwd() for p in sys.path]}
    if isinstance(function, str):
        file, name = _file_of(function)
        if backward is not None and not isinstance(backward, str):
            message = N_("check: with a file, backward is the name of a function in it, got {came}.")
            raise UsageError(translate(message, came=type(backward).__name__))
        return {**base, "file": file, "name": name, "backward": backward}, None, function
    if not callable(function):
        message = N_("check: a function, a class, or 'FILE.py:FUNCTION' is required, got {came}.")
        raise UsageError(translate(message, came=type(function).__name__))
    if backward is not None and not callable(backward):
        message = N_("check: backward must be a function, got {came}.")
        raise UsageError(translate(message, came=type(backward).__name__))
    name = getattr(function, "__qualname__", None) or type(function).__name__
    module = _importable(function)
    inside = backward is None or _importable(backward) == module
    if module is not None and inside and isinstance(as_, str):
        named = None if backward is None else backward.__qualname__
        return {**base, "module": module, "name": name, "backward": named}, None, f"{module}.{name}"
    return base, Target(name, function, backward, _source(function)), name


def _importable(function: Any) -> str | None:
    """The module in which a fresh process finds the very same object; None where there is none."""
    name, module = getattr(function, "__qualname__", ""), getattr(function, "__module__", None) or ""
    if not name or "<" in name or module in ("", "__main__", "builtins") or inspect.ismethod(function):
        return None
    found = sys.modules.get(module)
    file = getattr(found, "__file__", None)
    spec = getattr(found, "__spec__", None)
    if file is None or spec is None or spec.name != module or not _on_the_path(module, spec):
        return None
    for part in name.split("."):
        found = getattr(found, part, None)
    return module if found is function else None


def _on_the_path(module: str, spec: Any) -> bool:
    """Whether an import by that name leads to that file."""
    import importlib.util

    try:
        other = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):
        return False
    return other is not None and other.origin == spec.origin


def _source(function: Any) -> str | None:
    try:
        return inspect.getsourcefile(inspect.unwrap(function))
    except (TypeError, OSError):
        return None


def _file_of(text: str) -> tuple[str, str]:
    """File and name of "FILE.py:NAME". Raises UsageError, ReadWriteError."""
    file, colon, name = text.rpartition(":")
    if not colon or not name or not file or "/" in name or "\\" in name:
        message = N_("check: 'FILE.py:FUNCTION' is required, got {came}.")
        raise UsageError(translate(message, came=repr(text)))
    if not os.path.exists(file):
        raise ReadWriteError(translate(N_("{path}: there is no such file."), path=file))
    if os.path.isdir(file):
        raise ReadWriteError(translate(N_("{path}: is a folder; a file is required."), path=file))
    try:
        with open(file, "rb") as stream:
            stream.read(1)
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise ReadWriteError(translate(N_("{path}: cannot be read: {reason}."), path=file, reason=reason)) from problem
    return os.path.abspath(file), name


def _document(
    ended: Ended, definition: Definition, given: Mapping[str, Any], settings: dict[str, Any], file: str | None
) -> dict[str, Any]:  # fmt: skip
    lines = ended.lines
    refused = next((line for line in lines if line["kind"] == "refused"), None)
    if refused is not None:
        raise _refusal(refused["key"], refused["fields"], settings)
    facts: dict[str, Any] = {}
    for line in lines:
        facts |= line["fields"] if line["kind"] == "subject" else {}
    framework = str(facts.get("framework", "numpy"))
    faults = [_fault(line, definition, framework, file) for line in lines if line["kind"] == "fault"]
    if ended.ended is not None:
        faults.append(_ended(ended, lines, settings))
    notes = [_note(line, sentences.NOTES) for line in lines if line["kind"] == "note"]
    return {
        "schema": "normlab.check/1", "command": _command(settings), "versions": versions(), "machine": machine(),
        "settings": settings, "wall_s": 0.0, "method": definition.name, "options": dict(given),
        "framework": framework, "kind": facts.get("kind"), "frames": facts.get("frames", []), "passed": not faults,
        "verdicts": [_verdict(definition, settings, faults, facts.get("frames", []))], "faults": faults,
        "conventions": _distinct([_note(x, sentences.CONVENTIONS) for x in lines if x["kind"] == "convention"]),
        "notes": _distinct([*notes, *_same_as(lines, definition)]),
        "checks": [_check(line) for line in lines if line["kind"] == "check"],
        "printed": {"text": ended.printed, "letters": ended.letters, "most": MOST_PRINTED},
    }  # fmt: skip


def _refusal(key: str, fields: Mapping[str, Any], settings: Mapping[str, Any]) -> UsageError:
    """The error for a question that could not be asked."""
    file, _, _ = str(settings["function"]).rpartition(":")
    whole = {"who" if key == "unknown_parameter" else "name": settings["function"]}
    shown = {**fields, "file": file or settings["function"], **({} if key == "no_such_function" else whole)}
    near = fields.get("near")
    hint = translate(N_("Did you mean {names}?"), names=near) if near else None
    return UsageError(_chosen(sentences.say(sentences.REFUSALS, key, shown)), hint=hint)


def _chosen(text: Mapping[str, str]) -> str:
    from ..language import choose

    return text[choose("auto")]


def _distinct(texts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({str(one): one for one in texts}.values())


def _fault(line: Mapping[str, Any], definition: Definition, framework: str, file: str | None) -> dict[str, Any]:
    fields = line["fields"]
    place = None
    if fields.get("line"):
        where = both(PLACE_OF, file=os.path.basename(file) if file else "?", line=fields["line"])
        place = {**where, "line": fields["line"], "code": fields.get("code", "")}
    return {
        "key": line["key"], "sentence": sentences.say(sentences.FAULTS, line["key"], fields), "place": place,
        "mend": mend(line["key"], fields, definition, framework), "evidence": line["evidence"],
    }  # fmt: skip


def _ended(ended: Ended, lines: list[dict[str, Any]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The fault of code that did not come back."""
    asking = next((line for line in reversed(lines) if line["kind"] == "asking"), None)
    evidence: dict[str, Any] = {}
    if asking is not None:
        evidence = {"asking": sentences.say(sentences.ASKING, asking["what"], {}), **asking["fields"]}
    key = "timeout" if ended.ended == "timeout" else "crashed"
    text = sentences.say(sentences.FAULTS, key, {"limit": f"{settings['timeout']:g}", "how": ended.ended})
    return {"key": key, "sentence": text, "place": None, "mend": None, "evidence": evidence}


def _note(line: Mapping[str, Any], table: Mapping[str, str]) -> dict[str, Any]:
    return {"key": line["key"], **sentences.say(table, line["key"], line["fields"])}


def _check(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": line["name"], **sentences.say(sentences.CHECKS, line["name"], line["fields"]), "passed": line["passed"],
        "asked": line["fields"], "worst": line["worst"], "tolerance": line["tolerance"],
    }  # fmt: skip


def _same_as(lines: list[dict[str, Any]], definition: Definition) -> list[dict[str, Any]]:
    """Which registered method shares as a fault with the axes does."""
    from .likeness import same_sharing

    found = []
    for line in lines:
        if line["kind"] == "fault" and line["key"] == "wrong_axis":
            twin = same_sharing(definition, line["fields"]["got"], line["fields"]["layout"])
            if twin is not None:
                fields = {"title": {"en": twin[0].title, "ko": twin[0].title_ko}, "spec": twin[1]}
                found.append({"key": "same_as", **sentences.say(sentences.NOTES, "same_as", fields)})
    return found


def _verdict(
    definition: Definition, settings: Mapping[str, Any], faults: list[dict[str, Any]], frames: list[str]
) -> dict[str, str]:  # fmt: skip
    title = {"en": definition.title, "ko": definition.title_ko}
    name = settings["function"]
    if not faults:
        where = ", ".join(frames)
        return both("{title}: {name} is right, judged with the axes {where}.", name=name, title=title, where=where)
    if len(faults) == 1:
        return both("{title}: {name} has one fault.", name=name, title=title)
    return both("{title}: {name} has {count} faults.", name=name, title=title, count=len(faults))


def _command(settings: Mapping[str, Any]) -> str:
    words = ["normlab", "check", str(settings["function"]), "--as", str(settings["as"])]
    if settings["backward"] is not None:
        words += ["--backward", str(settings["backward"])]
    if settings["timeout"] != LIMIT_S:
        words += ["--timeout", f"{settings['timeout']:g}"]
    return shlex.join(words)
