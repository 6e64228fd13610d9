"""The server's routes: a page and an answer for each view, the report as a file, the style sheets and scripts."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from ..errors import NormlabError
from ..language import LANGUAGES, both
from .fields import RefusedError, State, Text, address, check, clipped, read
from .guarding import LOOPBACK, Guard, problem
from .view import Asked, Shown, View, render
from .views import views

__all__ = ["AT_ONCE", "MOST_WAITING", "BusyError", "application"]

AT_ONCE = 2  # computations; more would only slow each other down
MOST_WAITING = 64  # behind them: at a tenth of a second each, nobody waits longer than a few seconds
PARTS = {"state": dict, "quick": bool, "lang": str, "before": dict, "folded": bool}  # of a question
THEMES = ("auto", "light", "dark")
KINDS = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


class BusyError(RefusedError):
    """More questions are waiting than can be answered soon."""

    status = 503


class Pool:
    """The threads in which everything is computed; the server itself only reads and writes."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="normlab-lab")
        self.waiting = 0  # questions, those that are being answered among them
        self._closing: list[Callable[[], None]] = []

    async def __call__(self, function: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        if self.waiting >= AT_ONCE + MOST_WAITING:
            raise BusyError(both("too many questions are waiting; ask again in a moment."))
        self.waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads, functools.partial(function, *arguments, **named)
            )
        finally:
            self.waiting -= 1

    def at_close(self, function: Callable[[], None]) -> None:
        """Have a function called when the server ends: what runs elsewhere must be told."""
        self._closing.append(function)

    def end(self) -> None:
        """End what was registered."""
        while self._closing:
            self._closing.pop()()

    def close(self) -> None:
        """End what was registered, and start nothing more."""
        self.end()
        self._threads.shutdown(wait=False, cancel_futures=True)


def application(*, token: str | None = None, hosts: Sequence[str] = LOOPBACK) -> Starlette:
    """The application, as ASGI has it.

    Args:
        token: what the first link must bring; None where only this machine can ask.
        hosts: the names under which the server answers; any where there is a token.
    """
    pool = Pool()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        pool.close()

    routes: list[BaseRoute] = [Route("/static/{name}", _static)]
    for view in views():
        routes += [*view.routes(pool), *_routes(view, pool)]
    made = Starlette(
        routes=routes, lifespan=lifespan, middleware=[Middleware(Guard, hosts=hosts, token=token)],
        exception_handlers={NormlabError: _refused, HTTPException: _http_problem},
    )  # fmt: skip
    made.state.pool = pool
    return made


def _routes(view: View, pool: Pool) -> list[BaseRoute]:
    async def page(request: Request) -> Response:
        state, notes = _followed(view, request)
        asked, theme = Asked(state, lang=_language(request)), request.cookies.get("theme", "")
        origin = str(request.base_url).rstrip("/")
        return await pool(_page, view, asked, notes=notes, theme=theme if theme in THEMES else THEMES[0], origin=origin)

    async def answer(request: Request) -> Response:
        given = await body_of(request)
        asked, notes = asked_of(view, given)
        try:
            shown = await pool(view.show, asked)
        except NormlabError as refusal:
            if _status(refusal) != RefusedError.status:
                raise
            # The question is a good one, but nothing can be drawn: a browser need not complain of that.
            return JSONResponse({"error": str(refusal), "said": _said(refusal), "hint": refusal.hint})
        return JSONResponse({
            "html": shown.html, "command": shown.command, "python": shown.python, "notes": notes, "said": shown.said,
            "address": address(view.fields, asked.state), "saves": shown.document is not None,
        })  # fmt: skip

    async def save(request: Request) -> Response:
        state, _ = _followed(view, request)
        text = await pool(_report, view, Asked(state, lang=_language(request)))
        named = {"content-disposition": f'attachment; filename="normlab-{view.name}.html"'}
        return HTMLResponse(text, headers=named)

    return [
        *(Route(path, page) for path in (view.path, *view.paths)),
        Route(f"/api/{view.name}", answer, methods=["POST"]),
        Route(f"/save/{view.name}", save),
    ]


async def body_of(request: Request) -> Mapping[str, Any]:
    """The JSON object that a POST brings. Raises RefusedError."""
    try:
        found = json.loads(await request.body(), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RefusedError(both("a request must be a JSON object."))
    return found


def asked_of(view: View, given: Mapping[str, Any]) -> tuple[Asked, list[Text]]:
    """The question in a request, checked, and notes on what was brought together. Raises RefusedError."""
    for name, kind in PARTS.items():
        if given.get(name) is not None and not isinstance(given[name], kind):
            raise RefusedError(both("{name} must be of type {kind}.", name=name, kind=kind.__name__))
    unknown = sorted(set(given) - set(PARTS))
    if unknown:
        values = {"name": clipped(unknown[0]), "known": ", ".join(PARTS)}
        raise RefusedError(both("unknown part {name} of a request. Known: {known}.", **values))
    state, notes = view.settle(check(view.fields, given.get("state") or {}))
    before = given.get("before")
    earlier = None if before is None else view.settle(check(view.fields, before))[0]
    lang = given.get("lang") if given.get("lang") in LANGUAGES else LANGUAGES[0]
    return Asked(state, bool(given.get("quick")), str(lang), earlier, bool(given.get("folded"))), notes


def _no_constant(name: str) -> float:
    raise ValueError(name)  # NaN and Infinity are no JSON


def _followed(view: View, request: Request) -> tuple[State, list[Text]]:
    query = {**{k: v for k, v in request.query_params.items() if k != "lang"}, **request.path_params}
    state, notes = read(view.fields, query)
    settled, more = view.settle(state)
    return settled, notes + more


def _page(view: View, asked: Asked, **shell: Any) -> Response:
    """The whole page; a refusal stands where the result would."""
    status = 200
    try:
        shown = view.show(asked)
    except NormlabError as refusal:
        shown, status = Shown(render("refused.html", asked.lang, said=_said(refusal))), _status(refusal)
    page = render(
        view.template, asked.lang, view=view, views=views(), state=asked.state, shown=shown,
        address=address(view.fields, asked.state), **shell, **view.context(asked),
    )  # fmt: skip
    return HTMLResponse(page, status)


def _report(view: View, asked: Asked) -> str:
    from ..report import render as write

    document = view.show(asked).document
    if document is None:
        raise RefusedError(both("there is nothing to save here."))
    return write([document], lang=asked.lang)


def _language(request: Request) -> str:
    """What the address asks for, else what was chosen before, else what the browser prefers."""
    for wanted in (request.query_params.get("lang"), request.cookies.get("lang")):
        if wanted in LANGUAGES:
            return str(wanted)
    preferred = request.headers.get("accept-language", "").split(",")
    named = (part.partition(";")[0].strip().lower().partition("-")[0] for part in preferred)
    return next((name for name in named if name in LANGUAGES), LANGUAGES[0])


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _assets():
        raise HTTPException(404)
    return Response(_assets()[name], media_type=KINDS[name[name.rindex(".") :]])


_read: dict[str, bytes] = {}


def _assets() -> dict[str, bytes]:
    """The files of `static/`, and the report's style sheet, by name; read once."""
    if not _read:
        found = {one.name: one for one in files("normlab.lab").joinpath("static").iterdir()}
        found["report.css"] = files("normlab.report").joinpath("templates", "style.css")
        _read.update({name: one.read_bytes() for name, one in found.items() if name[name.rfind(".") :] in KINDS})
    return _read


def _said(problem: NormlabError) -> dict[str, str]:
    """The refusal in both languages, where it has both."""
    return dict(getattr(problem, "said", None) or {"en": str(problem), "ko": str(problem)})


def _status(problem: NormlabError) -> int:
    """422, what a request asks for cannot be; a refusal of another kind says which."""
    return int(getattr(problem, "status", 422))


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, NormlabError)  # registered for nothing else
    hint = None if isinstance(refusal, RefusedError) else refusal.hint
    return problem(request.scope, _status(refusal), _said(refusal), hint)


async def _http_problem(request: Request, refusal: Exception) -> Response:
    status = refusal.status_code if isinstance(refusal, HTTPException) else 500
    said = both("there is no such page.") if status == 404 else both("this address cannot be asked in that way.")
    answer = problem(request.scope, status, said)
    answer.headers.update(getattr(refusal, "headers", None) or {})
    return answer
