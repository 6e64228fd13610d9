"""Train in the lab: what a race answers, when it stands still and why it ends, and that it is `normlab train`'s."""

from __future__ import annotations

import html
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import normlab as nl
from commanding import Caller
from lab_server import serving
from live_race import LONG, SMALL, Onlooker, Page, onlooker, threads, until
from normlab.lab import race_settings, racing, turns
from normlab.lab.fields import Field, check

pytest.importorskip("starlette")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving() as found:
        yield found


@pytest.fixture
def page(address: str) -> Iterator[Page]:
    with Page(address) as found:
        yield found
    until(lambda: not threads(), "every race has ended")


def steady(document: dict[str, Any]) -> str:
    """A document's bytes without what differs from run to run."""
    return json.dumps({name: value for name, value in document.items() if name not in ("wall_s", "machine")})


def saved(page: Page, run: str) -> dict[str, Any]:
    """The document in the report that a race gives."""
    answer = page.http.get(f"/save/train/{run}")
    assert answer.status_code == 200 and "attachment" in answer.headers["content-disposition"]
    found = re.search(r'<script type="application/json" id="c1-json">(.*?)</script>', answer.text)
    assert found
    return json.loads(found[1])


def words(fragment: str) -> str:
    """A fragment's English, without tags."""
    english = re.sub(r'<(span|tspan) lang="ko"[^>]*>.*?</\1>', "", fragment)
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", english)))


def test_the_race_is_that_of_train_byte_for_byte_though_it_was_paused_and_stepped(page: Page) -> None:
    with onlooker(page, SMALL, paused=True) as race:
        race.order("step")
        race.see("paused", 1)
        race.order("step")
        race.see("paused", 2)
        race.order("go")
        race.see("finished")
        ours = nl.train(["none", "bn"], layers=3, width=20, batch=20, steps=60, seeds=2).to_dict()
        assert steady(saved(page, race.run)) == steady(ours)


def test_the_verdicts_are_those_of_the_copied_command(page: Page, call: Caller) -> None:
    run, messages = page.to_the_end({**SMALL, "activation": "relu", "lr": "0.1"})
    command = page.post("/api/train", {"state": {**SMALL, "activation": "relu", "lr": "0.1"}}).json()["command"]
    said = json.loads(call(*command.split()[1:], "--json").out)
    shown = words(messages[-1]["fragments"]["verdict"])
    assert steady(said) == steady(saved(page, run)) and len(said["verdicts"]) >= 2
    assert [one["en"] for one in said["verdicts"] if one["en"] not in shown] == []


def test_a_pause_freezes_the_counter(page: Page) -> None:
    with onlooker(page, LONG) as race:
        until(lambda: race.latest["step"] > 3, "the race goes on")
        race.order("pause")
        step = race.see("paused")["step"]
        time.sleep(0.5)  # in which it would take a hundred steps
        assert race.latest["step"] == step < 2000
        assert f'data-step="{step}"' in last_of(race, "status")
        race.order("go")
        until(lambda: race.latest["step"] > step, "it goes on from there")


def last_of(race: Onlooker, name: str) -> str:
    """The newest fragment of a name."""
    return next(str(one["fragments"][name]) for one in reversed(race.messages) if name in one["fragments"])


def test_a_step_is_one_step_of_every_arm_and_measures_it(page: Page) -> None:
    with onlooker(page, LONG, paused=True) as race:
        race.see("paused", 0)
        for step in (1, 2, 3):
            race.order("step")
            until(lambda step=step: measured(race) == [str(k + 1) for k in range(step)], f"step {step} is measured")
            assert race.latest["step"] == step
        assert " - " not in words(last_of(race, "modes-table"))  # both modes are known at a pause


def measured(race: Onlooker) -> list[str]:
    """The steps of which the page's table has a test accuracy."""
    tables = [one["fragments"]["curves-table"] for one in race.messages if "curves-table" in one["fragments"]]
    return re.findall(r" (\d+) [\d.]+ %", words(tables[-1])) if tables else []


def test_a_step_that_is_asked_for_before_the_first_is_one_step_too(page: Page) -> None:
    with onlooker(page, LONG, paused=True) as race:
        race.order("step")  # the networks are being built
        race.see("paused", 1)
        time.sleep(0.3)  # in which it would take dozens of steps
        assert race.latest["step"] == 1


def test_stop_ends_the_work_at_once_and_is_the_last_that_is_told(page: Page) -> None:
    with onlooker(page, LONG) as race:
        until(lambda: race.latest["step"] > 3, "the race goes on")
        asked = time.perf_counter()
        answer = race.order("stop")
        until(lambda: race.run not in threads(), "the thread ends")
        print(f"stop: the thread ended {1000 * (time.perf_counter() - asked):.0f} ms after the order")
        race.closed()
        assert answer.status_code == 200 and race.latest["state"] == "stopped"
        assert [one["state"] for one in race.messages].count("stopped") == 1
        assert "Stopped by you" in words(last_of(race, "status")) and "verdict" not in race.latest["fragments"]
        assert race.order("go").status_code == 409 and page.http.get(f"/save/train/{race.run}").status_code == 404


@pytest.mark.parametrize("how", ["running", "paused"])
def test_a_closed_page_frees_the_worker(page: Page, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "UNWATCHED_S", 0.2)
    run = page.start(LONG, paused=how == "paused")
    with page.events(run) as messages:
        assert next(messages)["state"] == how and run in threads()
    until(lambda: run not in threads(), "the race is let go")
    assert page.post(f"/api/train/{run}/go").status_code == 409


def test_a_race_that_nobody_ever_looked_at_is_let_go(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "UNCLAIMED_S", 0.1)
    run = page.start(LONG)
    until(lambda: run not in threads(), "the race is let go")


def test_a_stream_that_broke_is_taken_up_again(page: Page) -> None:
    run = page.start(SMALL)
    with page.events(run) as messages:
        next(messages)
    with page.events(run) as messages:
        found = list(messages)
    assert found[-1]["state"] == "finished" and "test-accuracy" in found[0]["fragments"]  # at first, all there is


def test_glances_instead_of_a_stream_keep_a_race_and_bring_only_what_is_new(page: Page) -> None:
    run = page.start(SMALL)
    seen = until(lambda: (found := page.http.get(f"/api/train/{run}/now").json())["state"] == "finished" and found, "its end")
    assert "verdict" in seen["fragments"]
    assert page.http.get(f"/api/train/{run}/now?after={seen['number']}").json()["fragments"] == {}
    assert page.http.get("/api/train/nobody/now").status_code == 404


def test_divergence_ends_with_step_and_layer(page: Page) -> None:
    run, messages = page.to_the_end({**SMALL, "activation": "relu", "lr": 1000.0, "seeds": 5})
    lines = [line["first_diverged"] for arm in saved(page, run)["arms"] for line in arm["grid"] if line["first_diverged"]]
    assert messages[-1]["state"] == "finished" and lines
    reasons = words(messages[-1]["fragments"]["reasons"])
    assert [one for one in lines if f"the first at step {one['step']}, in layer {one['layer']}" not in reasons] == []
    assert "was no number any more" in reasons
    verdict = words(messages[-1]["fragments"]["verdict"])  # with one rate, of the same runs
    assert [one for one in lines if f"the first at step {one['step']}, in layer {one['layer']}" not in verdict] == []


def test_what_diverged_before_its_first_record_is_drawn_as_it_was_seen_until_then(page: Page) -> None:
    run, messages = page.to_the_end({**SMALL, "b": "", "activation": "identity", "lr": 1000.0, "steps": 2000})
    assert saved(page, run)["arms"][0]["curve"] == []  # the first record would be that of step 100
    last = messages[-1]["fragments"]
    assert "no point" not in words(last["train-loss"]) and "at the end" in words(last["layers"])
    assert "No comparison" in words(last["verdict"])


def test_twenty_pages_at_once_are_all_answered(page: Page) -> None:
    answers = [page.post("/api/train/start", {"state": LONG}) for _ in range(20)]
    begun = [answer.json()["run"] for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(begun) >= turns.IN_LINE and len(begun) + len(refused) == 20
    assert all(one.status_code == 503 and "races are waiting" in one.json()["error"] for one in refused)
    races = [Onlooker(page, run) for run in begun]
    for race in races:
        until(lambda race=race: race.messages, "the first message")
    waiting = [race for race in races if race.latest["state"] == "waiting"]
    assert len(waiting) >= len(races) - turns.HELD and "in line" in words(last_of(waiting[-1], "status"))
    for race in reversed(races):
        race.order("stop")
    until(lambda: not threads(), "all races end")
    assert page.http.get("/train").status_code == 200


def test_who_pauses_gives_the_turn_away_and_gets_it_back(page: Page) -> None:
    with onlooker(page, LONG) as first, onlooker(page, LONG) as second, onlooker(page, SMALL) as third:
        third.see("waiting")
        assert "number 1 in line" in words(last_of(third, "status"))
        first.order("pause")
        third.see("finished")
        first.order("go")
        first.see("running")
        assert second.latest["state"] == "running"


def test_who_pauses_for_long_makes_room_for_those_who_wait(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(racing, "PATIENCE_S", 0.1)
    monkeypatch.setattr(turns, "HELD", 1)
    with onlooker(page, LONG, paused=True) as first:
        first.see("paused", 0)
        with onlooker(page, SMALL) as second:
            second.see("finished")
        first.see("made room")
        assert "others waited" in words(last_of(first, "status"))


def test_the_end_of_the_server_ends_its_races() -> None:
    with serving() as address, Page(address) as page:
        race = Onlooker(page, page.start(LONG))
        until(lambda: race.latest["step"] > 0, "the race goes on")
        assert race.run in threads()
    until(lambda: race.run not in threads(), "the thread ends with the server")


HOSTILE = (
    ("start", {"state": {"layers": 1e9}}, 422, "from 1 to 20"),
    ("start", {"state": {"seeds": 11}}, 422, "from 1 to 10"),
    ("start", {"state": {"lr": "-1"}}, 422, "a number from 1e-06 to 10000"),
    ("start", {"state": {"a": "no such method"}}, 422, "a method such as bn"),
    ("start", {"state": {"e": "bn"}}, 422, "unknown setting e"),
    ("start", {"state": [1]}, 422, "state"),
    ("start", {"run": "x"}, 422, "unknown part run"),
    ("nobody/go", {}, 404, "no such race"),
    ("nobody/jump", {}, 404, "go, pause, step, stop"),
)


@pytest.mark.parametrize(("path", "body", "status", "word"), HOSTILE, ids=lambda value: str(value)[:30])
def test_what_cannot_be_asked_is_refused_with_the_limit(page: Page, path: str, body: Any, status: int, word: str) -> None:
    answer = page.post(f"/api/train/{path}", body)
    assert (answer.status_code, word in answer.json()["error"]) == (status, True), answer.text
    assert set(answer.json()["said"]) == {"en", "ko"} and not threads()


def test_a_stream_and_a_report_of_no_race_are_404(page: Page) -> None:
    assert page.http.get("/api/train/nobody/events").status_code == 404
    assert page.http.get("/save/train/nobody").status_code == 404
    assert page.http.get("/api/train/start").status_code == 405


def test_an_arm_that_cannot_act_is_said_while_the_others_run(page: Page) -> None:
    _, messages = page.to_the_end({**SMALL, "b": "film"})
    assert "film" in words(messages[-1]["fragments"]["reasons"]) and "none" in messages[-1]["fragments"]["numbers"]


def test_a_race_that_cannot_be_run_says_why(page: Page) -> None:
    _, messages = page.to_the_end({**SMALL, "b": "n (g [c]) [...]:g=3"})
    assert messages[-1]["state"] in ("failed", "finished")
    assert "3" in words(messages[-1]["fragments"]["status"] + messages[-1]["fragments"].get("reasons", ""))


def field_named(name: str) -> Field:
    return next(field for field in race_settings.FIELDS if field.name == name)


STATES = st.fixed_dictionaries({
    **{name: st.sampled_from(["", "none", "bn", "batch_norm", "ln", "gn:groups=4", "n [c]", "selu"]) for name in "abcd"},
    **{name: st.sampled_from([value for value, _ in field_named(name).choices]) for name in ("data", "net", "optimizer")},
    **{name: st.integers(int(field_named(name).numbers.low), int(field_named(name).numbers.high))
       for name in ("layers", "width", "batch", "steps", "seeds", "seed")},
    "activation": st.sampled_from(["sigmoid", "relu"]), "init": st.sampled_from(["he", 0.5]),
    "lr": st.sampled_from(["grid", 0.1]),
})  # fmt: skip


@given(STATES)
@settings(max_examples=150, deadline=None)
def test_every_state_of_the_form_becomes_one_that_fits_and_stays_as_it_is(state: dict[str, Any]) -> None:
    settled, notes = race_settings.settled(state)
    assert check(race_settings.FIELDS, settled) == settled and race_settings.settled(settled) == (settled, [])
    assert race_settings.values(settled) <= race_settings.MOST_VALUES
    assert len(notes) >= len([name for name in state if name not in "abcd" and state[name] != settled[name]])
    assert 1 <= len(race_settings.arms_of(settled)) == len(set(race_settings.arms_of(settled)))
