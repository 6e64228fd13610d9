"""The document of a grading: what another process found, in words of both languages."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Any

from ..definition import Definition
from ..errors import UsageError
from ..language import N_, both, choose, translate
from ..result import machine, versions
from . import sentences
from .likeness import same_sharing
from .mending import mend
from .process import MOST_PRINTED, Ended

__all__ = ["LIMIT_S", "written"]

LIMIT_S = 20.0
PLACE_OF = N_("{file}, line {line}")


def written(
    ended: Ended, definition: Definition, given: Mapping[str, Any], settings: dict[str, Any], file: str | None
) -> dict[str, Any]:  # fmt: skip
    lines = ended.lines
    refused = next((line for line in lines if line["kind"] == "refused"), None)
    if refused is not None:
        raise _refusal(refused["key"], refused["fields"], settings)
    defect = next((line["what"] for line in lines if line["kind"] == "defect"), None)
    if defect is not None:
        raise RuntimeError(f"the grader failed:\n{defect}")
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
    if ":" not in str(settings["function"]):  # an object has no command, but a line of Python
        more = f", backward={settings['backward']}" if settings["backward"] else ""
        return f"normlab.check({settings['function']}, {settings['as']!r}{more})"
    words = ["normlab", "check", str(settings["function"]), "--as", str(settings["as"])]
    if settings["backward"] is not None:
        words += ["--backward", str(settings["backward"])]
    if settings["timeout"] != LIMIT_S:
        words += ["--timeout", f"{settings['timeout']:g}"]
    return shlex.join(words)
