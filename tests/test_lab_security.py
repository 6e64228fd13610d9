"""Who may ask the lab's server, what is refused with which words, and that nothing that comes breaks it."""

from __future__ import annotations

import inspect
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commanding import finish, start
from lab_server import ORIGIN, Client
from normlab import lab
from normlab.lab.application import application
from normlab.lab.guarding import MOST_BYTES, MOST_LETTERS
from normlab.lab.serving import bound, is_loopback, link
from normlab.lab.views import views

OWN = {"content-type": "application/json", "origin": ORIGIN}
STATE = json.dumps({"state": {"layers": 2, "batch": 8}})
FEW, MANY = 400, 10_000


@pytest.fixture(scope="module")
def client() -> Client:
    return Client()


def test_only_this_machine_can_reach_the_server_by_default() -> None:
    assert inspect.signature(lab.serve).parameters["host"].default == "127.0.0.1"
    with bound(0, "127.0.0.1") as one:
        assert one.getsockname()[0] == "127.0.0.1"
    assert is_loopback("localhost") and is_loopback("::1") and is_loopback("127.0.0.2")
    assert not is_loopback("0.0.0.0") and not is_loopback("example.org")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8421", "localhost:1", "[::1]:8421", "LOCALHOST"])
def test_our_own_names_are_answered(client: Client, host: str) -> None:
    assert client.get("/?layers=1&batch=8", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "[", "192.168.0.1", "@127.0.0.1@evil.example"])
@pytest.mark.parametrize("path", ["/", "/static/lab.js", "/save/ladder", "/nothing"])
def test_a_name_that_is_not_ours_is_refused_everywhere(client: Client, host: str, path: str) -> None:
    answer = client.get(path, headers={"host": host})
    assert answer.status_code == 421 and "127.0.0.1" in answer.text


@pytest.mark.parametrize("origin", ["http://evil.example", "https://127.0.0.1", "http://127.0.0.1:9", "null", ""])
def test_a_request_from_a_foreign_page_is_refused(client: Client, origin: str) -> None:
    answer = client.post("/api/ladder", content=STATE, headers={**OWN, "origin": origin})
    assert answer.status_code == 403 and answer.json()["said"]["ko"]


def test_a_request_from_our_own_page_is_answered(client: Client) -> None:
    assert client.post("/api/ladder", content=STATE, headers=OWN).status_code == 200


@pytest.mark.parametrize("path", ["/?layers=1", "/static/lab.js", "/save/ladder?layers=1"])
def test_a_foreign_page_cannot_load_ours_as_a_part_of_it(client: Client, path: str) -> None:
    elsewhere = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}
    assert client.get(path, headers=elsewhere).status_code == 403
    if path.startswith("/?"):  # but a link leads there
        assert client.get(path, headers={**elsewhere, "sec-fetch-mode": "navigate"}).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "application/json5"])
def test_what_a_form_of_a_foreign_page_could_send_is_refused(client: Client, kind: str) -> None:
    answer = client.post("/api/ladder", content=STATE, headers={"content-type": kind})
    assert answer.status_code == 415 and "application/json" in answer.json()["error"]


@pytest.mark.parametrize("said", [True, False], ids=["its length is said", "its length is not said"])
def test_a_body_that_is_too_large_is_refused_with_the_limit(client: Client, said: bool) -> None:
    async def pieces() -> Any:
        for _ in range(MOST_BYTES // 1000 + 1):
            yield b" " * 1000

    answer = client.post("/api/ladder", content=b" " * (MOST_BYTES + 1) if said else pieces(), headers=OWN)
    assert answer.status_code == 413 and str(MOST_BYTES) in answer.json()["error"]


@pytest.mark.parametrize("length", ["-1", "x", "9" * 400])
def test_a_length_that_is_none_is_refused(client: Client, length: str) -> None:
    assert client.post("/api/ladder", content=STATE, headers={**OWN, "content-length": length}).status_code == 413


def test_an_address_that_is_too_long_is_refused_with_the_limit(client: Client) -> None:
    answer = client.get("/?left=" + "x" * MOST_LETTERS)
    assert answer.status_code == 414 and str(MOST_LETTERS) in answer.text


@pytest.mark.parametrize(("state", "words"), [
    ({"layers": 1e9}, "a whole number from 1 to 64, got 1000000000.0"), ({"layers": 0}, "from 1 to 64, got 0"),
    ({"layers": True}, "got True"), ({"layers": "2.5"}, "got 2.5"), ({"layers": None}, "got None"), ({"layers": [5]}, "got [5]"),
    ({"batch": 10**30}, "from 1 to 1000"), ({"seed": -1}, "from 0 to 4294967295"), ({"init": 0}, "from 1e-06 to 1000"),
    ({"init": "1e400"}, "a number from"), ({"activation": "softmax"}, "one of sigmoid"), ({"left": "bn:nothing=1"}, "left must be"),
    ({"left": "x" * 300}, "left must be"), ({"left": "n ((("}, "left must be"), ({"data": "/etc/passwd"}, "one of normal, digits, note"),
    ({"width": 5}, "Known: left, right, layers"),
], ids=str)  # fmt: skip
def test_a_setting_out_of_range_is_refused_with_its_limit(client: Client, state: dict[str, Any], words: str) -> None:
    answer = client.post("/api/ladder", content=json.dumps({"state": state}), headers=OWN)
    assert answer.status_code == 422 and words in answer.json()["error"] and answer.json()["said"]["ko"]


@pytest.mark.parametrize("body", [b"", b"[]", b"5", b"{", b'{"state": NaN}', b'{"state": {"init": Infinity}}', b"\xff", b"[" * 9000,
                                  b'{"state": []}', b'{"quick": 1}', b'{"before": 0}', b'{"nothing": 1}', b'{"lang": 7}'])  # fmt: skip
def test_a_body_that_is_no_question_is_refused(client: Client, body: bytes) -> None:
    answer = client.post("/api/ladder", content=body, headers=OWN)
    assert answer.status_code == 422 and answer.json()["error"]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "POST"])
def test_a_page_can_only_be_read(client: Client, method: str) -> None:
    headers = OWN if method == "POST" else {}
    assert client.ask(method, "/", headers=headers, content=b"{}").status_code == 405


@pytest.mark.parametrize("path", ["/?layers=1&batch=8", "/nothing", "/static/lab.js", "/static/nothing"])
def test_every_answer_carries_the_policy(client: Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
    assert not [name for name in headers if name.startswith("access-control")]


def test_what_came_stands_in_the_page_as_text_only(client: Client) -> None:
    attack = "</script><img src=x onerror=alert(1)>"
    for query in (f"?left={quote(attack)}", f"?{quote(attack)}=1", f"?lang={quote(attack)}"):
        page = client.get("/" + query, headers={"cookie": f"theme={quote(attack)}"}).text
        assert "<img" not in page and "onerror=alert(1)>" not in page


@pytest.fixture(scope="module")
def locked() -> Client:
    return Client(application(token="the-token", hosts=("0.0.0.0",)), "http://lab.example:8421")


@pytest.mark.parametrize("path", ["/", "/?token=", "/?token=the-toke", "/static/lab.js", "/api/ladder", "/save/ladder"])
@pytest.mark.parametrize("cookie", ["", "normlab_token=the-toke", "normlab_token=", "other=the-token", '"; normlab_token'])
def test_without_its_token_another_address_shows_nothing(locked: Client, path: str, cookie: str) -> None:
    answer = locked.get(path, headers={"cookie": cookie})
    assert answer.status_code == 401 and "the-token" not in answer.text
    origin = {**OWN, "origin": "http://lab.example:8421", "cookie": cookie}
    assert locked.post("/api/ladder", content=STATE, headers=origin).status_code == 401


def test_the_link_with_the_token_opens_it_and_a_cookie_keeps_it_open(locked: Client) -> None:
    answer = locked.get("http://lab.example:8421//elsewhere.example?token=the-token&layers=2")
    assert answer.status_code == 303 and answer.headers["location"] == "/elsewhere.example?layers=2"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie and "samesite=strict" in cookie.lower()
    origin = {**OWN, "origin": "http://lab.example:8421", "cookie": cookie.partition(";")[0]}
    assert locked.get("/?layers=1&batch=8", headers=origin).status_code == 200
    assert locked.post("/api/ladder", content=STATE, headers=origin).status_code == 200
    assert locked.post("/api/ladder", content=STATE, headers={**origin, "origin": "http://evil.example"}).status_code == 403


def test_the_printed_link_is_one_that_this_machine_can_open() -> None:
    assert link("0.0.0.0", 80, token="x", lang=None) == "http://127.0.0.1:80/?token=x"
    assert link("::", 80) == "http://[::1]:80/" and link("127.0.0.1", 8421, lang="ko") == "http://127.0.0.1:8421/?lang=ko"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows sends no SIGINT to another process")
def test_a_server_on_every_address_refuses_who_has_not_the_printed_link(tmp_path: Path) -> None:
    process = start("lab", "--host", "0.0.0.0", "--port", "0", "--no-open", cwd=tmp_path)
    assert process.stdout is not None
    page = process.stdout.readline().strip()
    bare = page.partition("?")[0]
    assert "?token=" in page and httpx.get(bare, timeout=30).status_code == 401
    with httpx.Client(follow_redirects=True, timeout=30) as client:
        assert client.get(page).status_code == 200 and client.get(bare).status_code == 200
    process.send_signal(signal.SIGINT)
    said = finish(process)
    assert said.code == 130 and "token" in said.err


# Random requests: what is valid among them is small, so that thousands take seconds.

WORDS = st.text(max_size=30) | st.sampled_from(["none", "bn", "gn:groups=4", "n (g [c]) [...]:g=2", "all", "", "0", "-1", "1e9", "nan", "٣"])
VALUES = WORDS | st.integers(-5, 4) | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(st.integers(), max_size=2)
NAMES = st.sampled_from(sorted({field.name for view in views() for field in view.fields})) | st.text(max_size=10)
# A race that begins goes on in threads of its own; what becomes of those is told elsewhere.
POSTED = [f"/api/{view.name}" for view in views() if view.live]
PATHS = st.sampled_from(["/", *(view.path for view in views()), *POSTED, "/save/ladder", "/static/lab.js", "/api/nothing"])
BODIES = (
    st.fixed_dictionaries({"state": st.dictionaries(NAMES, VALUES, max_size=4)}, optional={
        "quick": st.booleans() | VALUES, "lang": WORDS, "before": st.dictionaries(NAMES, VALUES, max_size=2) | VALUES})
    | st.dictionaries(st.text(max_size=8), VALUES, max_size=3) | VALUES
)  # fmt: skip
SMALL = {"batch": 4, "layers": 2}
REQUESTS = st.tuples(
    st.sampled_from(["GET", "POST", "POST", "POST", "HEAD", "PUT", "OPTIONS"]),
    PATHS,
    st.dictionaries(NAMES, WORDS, max_size=4),
    BODIES.map(lambda body: json.dumps(body).encode()) | st.binary(max_size=200),
    st.sampled_from([{}, {"content-type": "text/plain"}, {"origin": "http://evil.example"}, {"host": "evil.example"}, {"cookie": b"lang=\xff"}]),
)


def small(path: str, query: dict[str, str], body: bytes) -> tuple[dict[str, str], bytes]:
    """The same request about a network of milliseconds, unless it says otherwise itself and is refused."""
    try:
        found = json.loads(body)
        if isinstance(found["state"], dict) and path == "/api/ladder":
            found["state"] = {**SMALL, **found["state"]}
            body = json.dumps(found).encode()
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return ({**{k: str(v) for k, v in SMALL.items()}, **query} if path == "/" else query), body


def send(client: Client, request: tuple[str, str, dict[str, str], bytes, dict[str, str]]) -> None:
    method, path, query, body, headers = request
    query, body = small(path, query, body)
    target = path + ("?" + urlencode(query) if query else "")
    answer = client.ask(method, target, content=body, headers={**OWN, **headers})
    assert answer.status_code in (200, 403, 404, 405, 413, 414, 415, 421, 422), (request, answer.status_code, answer.text[:300])
    if answer.status_code >= 400 and path.startswith("/api/") and method != "HEAD":
        assert answer.json()["error"] and answer.json()["said"]["ko"]


@pytest.fixture(scope="module")
def beaten() -> Iterator[Client]:
    """A server that must be alive and idle after whatever came."""
    app = application()
    client = Client(app)
    yield client
    assert app.state.pool.waiting == 0
    assert client.get("/?layers=1&batch=8").status_code == 200


@settings(max_examples=FEW, deadline=None)
@given(request=REQUESTS)
def test_random_requests_are_answered_or_refused(beaten: Client, request: Any) -> None:
    send(beaten, request)


@pytest.mark.slow
@settings(max_examples=MANY, deadline=None)
@given(request=REQUESTS)
def test_ten_thousand_random_requests_are_answered_or_refused(beaten: Client, request: Any) -> None:
    send(beaten, request)
