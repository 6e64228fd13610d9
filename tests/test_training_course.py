"""Arms that are trained side by side: the same bytes as one after another, whoever looks on, and an end at any moment."""

from __future__ import annotations

import json
from typing import Any

import pytest

import normlab as nl
from normlab.experiments.train import run
from normlab.experiments.training.course import Course

# 45 steps: records every two, so that there are steps with and without one; two arms of each engine's kinds.
SETTING: dict[str, Any] = {"layers": 2, "width": 12, "batch": 20, "steps": 45, "seeds": 2}
METHODS = ["none", "bn", "wn", "adrop"]


class Ended(Exception):
    """What a looker-on ends a race with."""


def steady(document: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in document.items() if name not in ("wall_s", "machine")})


def test_looking_and_measuring_change_no_byte() -> None:
    def look(course: Course, level: bool) -> None:
        if level:
            course.look()
            course.measure(lambda: None)
            course.arms()

    watched = run(METHODS, on_turn=look, **SETTING).to_dict()
    assert steady(watched) == steady(nl.train(METHODS, **SETTING).to_dict())


def test_every_arm_takes_its_step_before_any_takes_the_next() -> None:
    steps: list[set[int]] = []

    def look(course: Course, level: bool) -> None:
        if level:
            steps.append({one.taken for one in course.trainings})

    run(METHODS, on_turn=look, **SETTING)
    assert steps == [{k} for k in range(45)]


def test_a_look_is_a_point_between_the_records_and_a_record_takes_its_place() -> None:
    curves: dict[int, list[dict[str, Any]]] = {}

    def look(course: Course, level: bool) -> None:
        if level:
            curves[course.step] = course.arms()[1]["curve"]
            if course.step == 4:  # the next step, 5, has no record
                course.look()

    final = run(METHODS, on_turn=look, lr=0.1, **SETTING).to_dict()["arms"][1]["curve"]
    assert [point["step"] for point in curves[5]] == [2, 4, 5] and [point["step"] for point in curves[6]] == [2, 4, 6]
    looked, recorded = curves[5][-1], curves[6][-1]
    assert looked["test_accuracy"]["mean"] is None and looked["gradient_ratio"]["mean"] > 0
    assert {name: recorded[name] for name in final[2]} == final[2]


def test_a_measurement_holds_for_the_step_at_which_it_was_made() -> None:
    found: dict[int, dict[str, Any]] = {}

    def look(course: Course, level: bool) -> None:
        if level and course.step == 10:
            course.measure(lambda: None)
        if level and course.step in (10, 11):
            found[course.step] = course.arms()[1]["final"]

    run(METHODS, on_turn=look, lr=0.1, **SETTING)
    assert found[10]["own_statistics_accuracy"]["mean"] is not None
    assert found[11]["own_statistics_accuracy"]["mean"] is None


@pytest.mark.parametrize("moment", [0, 1, 5, 37])
def test_what_on_turn_raises_ends_everything_at_once(moment: int) -> None:
    calls: list[int] = []

    def end(course: Course, level: bool) -> None:
        calls.append(course.step)
        if len(calls) > moment:
            raise Ended

    with pytest.raises(Ended):
        run(METHODS, on_turn=end, **SETTING)
    assert len(calls) == moment + 1


def test_a_run_that_diverged_is_told_while_the_others_go_on() -> None:
    told: list[dict[str, Any]] = []

    def look(course: Course, level: bool) -> None:
        told.extend(line for line in course.arms()[0].get("grid", ()) if line["first_diverged"])

    run("none", on_turn=look, activation="identity", lr=[0.01, 1e30], **SETTING)  # beyond float32 in a few steps
    assert {line["lr"] for line in told} == {1e30} and told[-1]["stopped"] == {"diverged": 2, "going": 0}
    assert set(told[0]["first_diverged"]) == {"seed", "step", "layer"}
