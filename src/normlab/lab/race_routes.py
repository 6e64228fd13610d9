"""The routes of a race: begin it, look on, play, pause, step and stop it, take its report home.

Looking on is a stream of server-sent events. A browser keeps six connections to a server at most, so a page that is one
too many glances instead, again and again.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from ..language import LANGUAGES, both
from .guarding import problem
from .racing import ENDED, LiveRace, Races, Standing
from .turns import FullError

if TYPE_CHECKING:
    from .view import Computing
    from .views.train import Train

__all__ = ["Watching", "race_routes"]

VERBS = ("go", "pause", "step", "stop")
BETWEEN_S = 0.15  # of two messages: what comes faster is told together
ALIVE_S = 10.0  # of silence, after which a comment is sent: a connection that is gone shows itself
RETRY_MS = 500  # a browser takes a broken stream up again after that


def race_routes(view: Train, races: Races, compute: Computing) -> list[BaseRoute]:
    """The routes; `view` reads the settings."""

    async def start(request: Request) -> Response:
        from .application import asked_of, body_of

        given = dict(await body_of(request))
        paused = given.pop("paused", False) is True
        asked, notes = asked_of(view, given)
        ready = await compute(view.prepared, asked)
        try:
            race = races.start(ready.arguments, ready.draw, paused=paused)
        except FullError as refusal:
            return problem(request.scope, 503, _said(refusal))
        return JSONResponse({"run": race.id, "notes": notes})

    async def order(request: Request) -> Response:
        race, verb = races.find(request.path_params["run"]), request.path_params["verb"]
        if verb not in VERBS:
            known = ", ".join(VERBS)
            return problem(request.scope, 404, both("a race can be told {known}, and nothing else.", known=known))
        if race is None:
            return problem(request.scope, 404, _unknown())
        if race.standing.state in ENDED:
            return problem(request.scope, 409, both("this race has ended; begin a new one."))
        getattr(race, verb)()
        return JSONResponse({"state": race.standing.state, "step": race.standing.step})

    async def events(request: Request) -> Response:
        race = races.find(request.path_params["run"])
        return problem(request.scope, 404, _unknown()) if race is None else Watching(race)

    async def glance(request: Request) -> Response:
        race = races.find(request.path_params["run"])
        if race is None:
            return problem(request.scope, 404, _unknown())
        race.glanced()
        standing, fragments = race.latest
        known = request.query_params.get("after") == str(standing.number)
        return JSONResponse({**_told(standing, {} if known else fragments), "number": standing.number})

    async def save(request: Request) -> Response:
        race = races.find(request.path_params["run"])
        document = None if race is None else race.standing.document
        if document is None:
            return problem(request.scope, 404, both("this race has no report: it was not trained to the end."))
        lang = request.query_params.get("lang", "")
        text = await compute(_report, document, lang if lang in LANGUAGES else LANGUAGES[0])
        return HTMLResponse(text, headers={"content-disposition": 'attachment; filename="normlab-train.html"'})

    return [
        Route("/api/train/start", start, methods=["POST"]),
        Route("/api/train/{run}/events", events),
        Route("/api/train/{run}/now", glance),
        Route("/api/train/{run}/{verb}", order, methods=["POST"]),
        Route("/save/train/{run}", save),
    ]


class Watching(StreamingResponse):
    """The events of a race, for as long as the client listens: server-sent events with the fragments that changed."""

    def __init__(self, race: LiveRace) -> None:
        self._race, self._news = race, asyncio.Event()
        super().__init__(self._messages(), media_type="text/event-stream")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()

        def wake() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._news.set)

        with self._race.watched(wake):
            await super().__call__(scope, receive, send)

    async def _messages(self) -> AsyncIterator[str]:
        sent: dict[str, str] = {}
        yield f"retry: {RETRY_MS}\n\n"
        while True:
            self._news.clear()
            standing, fragments = self._race.latest
            changed = {name: html for name, html in fragments.items() if sent.get(name) != html}
            if changed or standing.state in ENDED:
                sent |= changed
                yield f"data: {json.dumps(_told(standing, changed), ensure_ascii=False)}\n\n"
            if standing.state in ENDED:
                return
            told_at = time.monotonic() if standing.step else 0.0  # the first point comes as soon as it is there
            try:
                await asyncio.wait_for(self._news.wait(), ALIVE_S)
            except TimeoutError:
                yield ":\n\n"
            await asyncio.sleep(max(0.0, BETWEEN_S - (time.monotonic() - told_at)))


def _told(standing: Standing, fragments: Mapping[str, str]) -> dict[str, Any]:
    return {"state": standing.state, "step": standing.step, "fragments": fragments}


def _report(document: Mapping[str, Any], lang: str) -> str:
    from ..report import render

    return render([document], lang=lang)


def _said(refusal: FullError) -> dict[str, str]:
    return both("{count} races are waiting for their turn: try again in a moment.", count=refusal.count)


def _unknown() -> dict[str, str]:
    return both("there is no such race here, or not any more.")
