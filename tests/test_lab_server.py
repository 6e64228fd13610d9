"""The lab's server: pages and answers without a browser, ports, languages, links that are out of date, how it ends."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

import normlab as nl
from commanding import Caller, finish, start
from lab_server import ORIGIN, PATIENCE_S, Client, serving
from normlab import lab
from normlab.errors import ReadWriteError
from normlab.formatting import ratio
from normlab.lab import serving as ports
from normlab.lab.application import AT_ONCE, MOST_WAITING, BusyError, Pool, application
from normlab.lab.fields import Field, address, check, defaults, read
from normlab.lab.view import View
from normlab.lab.views import views
from normlab.lab.views.ladder import VIEW as LADDER

EVERY_VIEW = pytest.mark.parametrize("view", views(), ids=lambda view: view.name)
NUMBERED = [(view, field) for view in views() for field in view.fields]
EVERY_FIELD = pytest.mark.parametrize(("view", "field"), NUMBERED, ids=lambda one: one.name)


@pytest.fixture(scope="module")
def client() -> Client:
    return Client()


@EVERY_VIEW
def test_every_view_is_a_page_with_its_first_result_in_it(client: Client, view: View) -> None:
    page = client.get(view.path)
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    output = page.text.partition('id="output"')[2]
    assert len(output) > 500 and "None" not in re.sub(r"<[^>]*>", " ", output)


def test_an_answer_holds_the_numbers_that_compare_gives(client: Client) -> None:
    answer = client.post("/api/ladder", json={"state": {"layers": 7, "seed": 3}}).json()
    arms = nl.compare(["none", "bn"], layers=7, seed=3).to_dict()["arms"]
    assert all(f"<b>{ratio(arm['first_over_last'])}</b>" in answer["html"] for arm in arms)
    assert answer["command"] == "normlab compare none bn --layers 7 --seed 3"
    assert answer["address"] == "layers=7&seed=3" and answer["notes"] == []


def test_a_quick_answer_takes_fewer_inputs_and_names_the_full_command(client: Client) -> None:
    answer = client.post("/api/ladder", json={"state": {"layers": 3}, "quick": True}).json()
    arms = nl.compare(["none", "bn"], layers=3, batch=256, cotangents=1).to_dict()["arms"]
    assert all(f"<b>{ratio(arm['first_over_last'])}</b>" in answer["html"] for arm in arms)
    assert answer["command"] == "normlab compare none bn --layers 3"


def test_a_quick_answer_leaves_out_what_is_folded_where_nothing_is_unfolded(client: Client) -> None:
    whole = client.post("/api/ladder", json={"state": {"layers": 3}, "quick": True}).json()["html"]
    folded = client.post("/api/ladder", json={"state": {"layers": 3}, "quick": True, "folded": True}).json()["html"]
    full = client.post("/api/ladder", json={"state": {"layers": 3}, "folded": True}).json()["html"]
    parts = [re.findall(r'<details class="part" id="(\w+)"', html) for html in (whole, folded, full)]
    assert parts == [["law", "table"]] * 3 and folded.count("<summary") == 3  # those, and the ladder's own
    assert whole.count("<td") == full.count("<td") > folded.count("<td")


def test_the_run_before_is_drawn_only_where_one_is_named(client: Client) -> None:
    plain = client.post("/api/ladder", json={"state": {"layers": 4}}).json()["html"]
    ghost = client.post("/api/ladder", json={"state": {"layers": 4}, "before": {"layers": 5, "init": "he"}}).json()["html"]
    dashes = 'stroke-dasharray="2 1.5"'
    assert plain.count(dashes) == 0 and ghost.count(dashes) == 8  # both arms, the four layers that both runs have
    assert "layers 5, weights he" in ghost


def test_a_stale_link_gets_the_nearest_state_and_a_note_for_each_change(client: Client) -> None:
    page = client.get("/?layers=1e9&left=lnn&batch=minus&activation=sigmoyd&colour=red&seed=4").text
    notes = re.findall(r'<p class="note"><span lang="en">([^<]*)', page)
    assert len(notes) == 5 and "from 1 to 64" in notes[0] and "1e9" in notes[0]
    assert 'name="layers" value="64"' in page and 'name="seed" value="4"' in page
    assert '<option value="sigmoid" selected' in page


@EVERY_FIELD
def test_what_a_field_refuses_is_replaced_by_what_it_accepts(view: View, field: Field) -> None:
    for value in field.constraint.refused():
        state, notes = read(view.fields, {field.name: str(value)})
        assert field.constraint.accepts(state[field.name])
        assert notes or field.constraint.accepts(field.typed(str(value)))
        assert all(note["en"] and note["ko"] for note in notes)


@EVERY_FIELD
def test_a_request_with_what_a_field_refuses_is_refused_by_name(view: View, field: Field) -> None:
    for value in field.constraint.refused():
        if not field.constraint.accepts(field.typed(value)):
            with pytest.raises(ValueError, match=field.name):
                check(view.fields, {field.name: value})


@EVERY_VIEW
def test_the_address_of_a_state_leads_back_to_it(view: View) -> None:
    state = defaults(view.fields)
    assert address(view.fields, state) == "" and read(view.fields, {}) == (state, [])


def test_two_equal_arms_are_told_apart_and_it_is_said() -> None:
    settled, notes = LADDER.settle({**defaults(LADDER.fields), "left": "bn", "right": "batch_norm"})
    assert (settled["left"], settled["right"]) == ("bn", "none") and len(notes) == 1


def test_the_page_speaks_the_language_asked_for_then_chosen_then_preferred(client: Client) -> None:
    korean = {"accept-language": "fr;q=0.9,ko-KR,en;q=0.5"}
    assert '<html lang="ko"' in client.get("/", headers=korean).text
    assert '<html lang="en"' in client.get("/", headers={**korean, "cookie": "lang=en"}).text
    assert '<html lang="ko"' in client.get("/?lang=ko", headers={"cookie": "lang=en"}).text
    assert '<html lang="en"' in client.get("/", headers={"accept-language": "fr, de"}).text


def test_what_is_saved_is_the_report_of_what_is_shown(client: Client) -> None:
    saved = client.get("/save/ladder?layers=3&right=ln")
    assert saved.headers["content-disposition"] == 'attachment; filename="normlab-ladder.html"'
    kept = json.loads(re.search(r'<script type="application/json"[^>]*>(.*?)</script>', saved.text, re.S)[1])  # type: ignore[index]
    run = nl.compare(["none", "ln"], layers=3).to_dict()
    assert {**kept, "wall_s": 0, "machine": 0} == {**run, "wall_s": 0, "machine": 0}


@pytest.mark.parametrize("path", ["/static/lab.js", "/static/lab.css", "/static/report.css", "/static/icon.svg"])
def test_the_assets_are_served_as_what_they_are(client: Client, path: str) -> None:
    kinds = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
    assert client.get(path).headers["content-type"].startswith(kinds[path.rpartition(".")[2]])


@pytest.mark.parametrize("path", ["/nothing", "/api/nothing", "/static/../application.py", "/static/%2e%2e%2fview.py", "/static/x"])
def test_what_is_not_there_is_said_in_both_languages(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert "no such page" in answer.text and "그런 페이지는 없다" in answer.json()["said"]["ko"] if "api" in path else answer.text


def test_twenty_pages_at_once_are_all_answered() -> None:
    async def run() -> list[int]:
        transport = httpx.ASGITransport(app=application())
        async with httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=60) as client:
            answers = await asyncio.gather(*(client.get(f"/?layers=2&seed={k}") for k in range(20)))
            return [answer.status_code for answer in answers]

    assert asyncio.run(run()) == [200] * 20


def test_more_questions_than_can_be_answered_soon_are_sent_away() -> None:
    async def run() -> None:
        pool, go_on = Pool(), threading.Event()
        waiting = [asyncio.ensure_future(pool(go_on.wait)) for _ in range(AT_ONCE + MOST_WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(BusyError) as refusal:
            await pool(go_on.wait)
        assert refusal.value.status == 503 and refusal.value.said["ko"]
        go_on.set()
        assert all(await asyncio.gather(*waiting)) and pool.waiting == 0
        pool.close()

    asyncio.run(run())


@pytest.fixture
def taken() -> socket.socket:
    """A port that somebody else uses."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other  # type: ignore[misc]


def test_a_port_in_use_is_an_error_where_it_was_asked_for(taken: socket.socket, call: Caller) -> None:
    said = call("lab", "--no-open", "--port", str(taken.getsockname()[1]))
    assert said.code == 5 and "is in use" in said.err and "--port" in said.err


def test_the_next_free_port_is_taken_where_none_was_asked_for(
    taken: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports, "USUAL_PORT", taken.getsockname()[1])
    with ports.bound(None, "127.0.0.1") as one:
        assert one.getsockname()[1] not in (0, taken.getsockname()[1])


@pytest.mark.parametrize(("lang", "words"), [("en", "port 8421 is in use, so this is port 8422"), ("ko", "포트 8421 쓰이고 있음")])
def test_that_another_port_was_taken_is_said(call: Caller, monkeypatch: pytest.MonkeyPatch, lang: str, words: str) -> None:
    monkeypatch.setattr(lab, "serve", lambda *given, ready, **more: ready("http://127.0.0.1:8422/", 8422))
    said = call("lab", "--no-open", "--lang", lang)
    assert said.out == "http://127.0.0.1:8422/\n" and words in said.err
    assert "8421" not in call("lab", "--no-open", "--port", "8422").err


def test_an_address_of_another_machine_cannot_be_served_on() -> None:
    with pytest.raises(ReadWriteError, match=r"192\.0\.2\.1"):  # kept free for documentation by RFC 5737
        ports.bound(0, "192.0.2.1")


@pytest.mark.parametrize("port", ["-1", "65536", "1e3", "x"])
def test_a_port_that_there_cannot_be_is_refused_with_the_limit(call: Caller, port: str) -> None:
    said = call("lab", "--no-open", "--port", port)
    assert said.code == 2 and "--port" in said.err


@pytest.mark.parametrize("wanted", [True, False], ids=["opened", "not opened"])
def test_the_page_is_opened_in_a_browser_unless_that_is_not_wanted(wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    shown = threading.Event()
    monkeypatch.setattr(ports, "has_browser", lambda: True)
    monkeypatch.setattr(ports.webbrowser, "open", lambda page: (opened.append(page), shown.set()))
    monkeypatch.setattr(ports.Server, "run", lambda server, sockets: server._answers())
    printed: list[str] = []
    ports.serve(0, "127.0.0.1", open_browser=wanted, ready=lambda page, port: printed.append(page))
    assert shown.wait(PATIENCE_S if wanted else 0) is wanted
    assert opened == (printed if wanted else []) and len(printed) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to another process")
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_verb_prints_the_address_serves_and_ends_with_ctrl_c(tmp_path: Path, lang: str) -> None:
    process = start("lab", "--port", "0", "--lang", lang, cwd=tmp_path, DISPLAY="", WAYLAND_DISPLAY="")
    assert process.stdout is not None
    page = process.stdout.readline().strip()
    assert page.endswith(f"/?lang={lang}") and urlsplit(page).hostname == "127.0.0.1"
    assert f'<html lang="{lang}"' in httpx.get(page, timeout=30).text
    process.send_signal(signal.SIGINT)
    said = finish(process)
    assert said.code == 130 and "Traceback" not in said.err
    assert len(said.err.splitlines()) == 3  # that there is no browser, how it ends, and that it was interrupted


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to another process")
def test_as_json_the_verb_prints_one_document_with_the_address(tmp_path: Path) -> None:
    process = start("lab", "--port", "0", "--no-open", "--json", cwd=tmp_path)
    assert process.stdout is not None
    document = json.loads(process.stdout.readline())
    assert document["schema"] == "normlab.lab/1" and document["command"] == "normlab lab --port 0 --no-open"
    assert httpx.get(document["address"], timeout=30).status_code == 200
    process.send_signal(signal.SIGINT)
    assert finish(process).code == 130


def test_a_running_server_answers_on_its_port() -> None:
    with serving() as address_of:
        assert httpx.get(address_of + "/", timeout=30).status_code == 200
