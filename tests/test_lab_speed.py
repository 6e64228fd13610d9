"""The speed view without a browser: one measurement at a time, kept with its date; who is absent has a line, never a number."""

from __future__ import annotations

import html
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import normlab as nl
from lab_server import Client
from normlab.benchmark import contestants
from normlab.lab.application import application
from normlab.lab.measuring import BusyMeasuringError, Measurement
from normlab.lab.views import speed as view
from normlab.result import Result

PATIENCE_S = 20.0


@pytest.fixture(scope="module")
def measured() -> dict[str, Any]:
    """A real benchmark of the shortest kind: two contestants that are always there, and the smallest cache."""
    return nl.bench(
        ["rms"], contestants=["normlab numpy", "numpy"], tiers=["L1"], passes=["forward"], seconds=0.01
    ).to_dict()


class Bench:
    """Stands for the benchmark: tells of three cases and waits for a nod before each."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document, self.given, self.may_go = document, {}, threading.Semaphore(0)  # type: ignore[var-annotated]

    def __call__(self, on_case: Callable[[int, int, str], None], **given: Any) -> Result:
        self.given = given
        for k in range(3):
            assert self.may_go.acquire(timeout=PATIENCE_S)
            on_case(k + 1, 3, "rms_norm")
        return Result(self.document)

    def finish(self) -> None:
        for _ in range(3):
            self.may_go.release()


@pytest.fixture
def bench(measured: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    one = Bench(measured)
    monkeypatch.setattr(view.VIEW, "measurement", Measurement(one))
    yield one
    one.finish()
    until(lambda: not view.VIEW.measurement.progress.running)


@pytest.fixture
def client() -> Client:
    return Client(application())


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def test_nothing_is_shown_before_something_was_measured(client: Client, bench: Bench) -> None:
    page = client.get("/speed").text
    assert "Nothing has been measured here yet" in page
    assert "<table" not in page


def test_a_measurement_is_followed_and_shown_with_its_date(client: Client, bench: Bench) -> None:
    assert client.post("/api/speed/start", json={"state": {"method": "rms_norm", "tier": "L1"}}).status_code == 202
    bench.may_go.release()
    until(lambda: client.get("/api/speed/progress").json()["share"] > 0)
    found = client.get("/api/speed/progress").json()
    assert found["running"]
    assert found["latest"] == "rms_norm"
    assert "disturbs" in client.get("/speed").text
    bench.finish()
    until(lambda: not client.get("/api/speed/progress").json()["running"])
    page = client.get("/speed").text
    assert bench.document["machine"]["processor"] in page
    assert time.strftime("%Y-") in page
    assert "<table" in page
    assert bench.given["methods"] == ["rms_norm"]
    assert bench.given["tiers"] == ["L1"]


def test_a_second_measurement_is_refused_while_one_runs(client: Client, bench: Bench) -> None:
    client.post("/api/speed/start", json={"state": {}})
    answer = client.post("/api/speed/start", json={"state": {}})
    assert answer.status_code == 409
    assert "would disturb it" in answer.json()["error"]
    with pytest.raises(BusyMeasuringError):
        view.VIEW.measurement.start({})


def test_a_stopped_measurement_keeps_nothing(client: Client, bench: Bench) -> None:
    client.post("/api/speed/start", json={"state": {}})
    client.post("/api/speed/stop", json={})
    bench.finish()
    until(lambda: not client.get("/api/speed/progress").json()["running"])
    assert view.VIEW.measurement.document is None
    assert "nothing was kept" in client.get("/speed").text


def test_a_measurement_that_fails_says_why(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(**given: Any) -> Result:
        raise nl.NormlabError("bench: no case fits what was asked for.")

    monkeypatch.setattr(view.VIEW, "measurement", Measurement(broken))
    client.post("/api/speed/start", json={"state": {}})
    until(lambda: not client.get("/api/speed/progress").json()["running"])
    assert "no case fits" in client.get("/speed").text


def test_who_is_absent_has_the_line_that_installs_it_and_no_number(
    client: Client, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = [name for name in contestants.present() if "mlx" not in name]
    monkeypatch.setattr(view, "present", lambda: there)
    page = html.unescape(client.get("/speed").text)
    for name in ("normlab mlx", "mlx"):
        line = page.partition(f"<b>{name}</b>")[2].partition("</p>")[0]
        assert "pip install" in line
        assert "[mlx]" in line
        assert not any(sign.isdigit() for sign in line)
    client.post("/api/speed/start", json={"state": {}})
    until(lambda: bool(bench.given))
    assert not [name for name in bench.given["contestants"] if "mlx" in name]


def test_what_compiles_for_long_is_asked_for(client: Client, bench: Bench) -> None:
    short, long = (view.VIEW.settings({**base(), "compiled": compiled}) for compiled in (False, True))
    assert set(long["contestants"]) - set(short["contestants"]) <= {view.SLOW}
    assert set(long["contestants"]) == set(contestants.present())


def base() -> dict[str, Any]:
    from normlab.lab.fields import defaults

    return defaults(view.VIEW.fields)


@pytest.mark.parametrize("tier", ["L1", "L2"])
@pytest.mark.parametrize("method", [name for name, _ in view.VIEW.fields[0].choices])
def test_every_choice_is_a_case_that_can_be_timed(method: str, tier: str) -> None:
    from normlab.benchmark import suite

    settings = view.VIEW.settings({**base(), "method": method, "tier": tier})
    asked = {name: settings[name] for name in ("dtype", "passes", "tiers", "threads", "shapes")}
    assert suite.cases(settings["methods"], **asked)


def test_the_saved_report_is_the_benchmarks(client: Client, bench: Bench) -> None:
    assert client.get("/save/speed").status_code == 422
    view.VIEW.measurement.document = bench.document
    page = client.get("/save/speed")
    assert page.status_code == 200
    assert "normlab.bench/1" in page.text
