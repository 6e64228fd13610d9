"""Who may ask the server, and what a page of it may do: every page in the browser can reach a loop-back address.

Hence: the `Host` must be ours (a name that somebody let point here is not), a POST must be JSON from our own origin,
which no foreign page can send, nothing is longer than it needs to be, and the pages carry a policy that allows nothing
from elsewhere. On another address than the loop-back a token is required, which the printed link brings and a cookie
keeps.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..language import both

__all__ = ["COOKIE", "LOOPBACK", "MOST_BYTES", "Guard", "problem"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")
COOKIE = "normlab_token"
MOST_BYTES = 16_384  # of a body: the largest state of any view is a tenth of that
MOST_LETTERS = 4_096  # of an address with its query
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Guard:
    """Stands before the application and lets through what may be answered."""

    def __init__(self, app: ASGIApp, *, hosts: Sequence[str] = LOOPBACK, token: str | None = None) -> None:
        self.app, self.hosts, self.token = app, hosts, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = self._refusal(scope) or self._asked_for_token(scope)
        if answer is not None:
            await answer(scope, receive, _sealed(send))
            return
        try:
            body = await _whole(receive) if scope["method"] == "POST" else None
        except _TooLargeError:
            await _too_large(scope)(scope, receive, _sealed(send))
            return
        await self.app(scope, receive if body is None else _again(body, receive), _sealed(send))

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.token is None and _name(host) not in self.hosts:
            known = ", ".join(self.hosts)
            return problem(scope, 421, both("this server answers to {known}, not to that name.", known=known))
        if len(scope.get("raw_path") or scope["path"]) + len(scope["query_string"]) > MOST_LETTERS:
            return problem(scope, 414, both("an address may have {most} letters at most.", most=MOST_LETTERS))
        site, mode = headers.get("sec-fetch-site", "same-origin"), headers.get("sec-fetch-mode", "")
        if site not in ("same-origin", "none") and (mode != "navigate" or scope["method"] == "POST"):
            return problem(scope, 403, both("only a page of this server may ask for that."))
        return _refused_post(scope, headers, host) if scope["method"] == "POST" else None

    def _asked_for_token(self, scope: Scope) -> Response | None:
        """None where no token is needed or the right one came; the way in for a link that brings it; a refusal."""
        if self.token is None:
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        brought = dict(query).get("token")
        if brought is not None and _equal(brought, self.token):
            rest = urlencode([pair for pair in query if pair[0] != "token"])
            answer = RedirectResponse("/" + scope["path"].lstrip("/") + (f"?{rest}" if rest else ""), 303)
            answer.set_cookie(COOKIE, self.token, httponly=True, samesite="strict")
            return answer
        if _equal(_cookie(Headers(scope=scope).get("cookie", "")), self.token):
            return None
        said = both("the link that normlab printed when it started opens this page; it has a token.")
        return problem(scope, 401, said)


def problem(scope: Scope, status: int, said: dict[str, str], hint: str | None = None) -> Response:
    """A refusal: a JSON document for a program, two lines for a person."""
    if scope["path"].startswith("/api/"):
        return JSONResponse({"error": said["en"], "said": said, "hint": hint}, status)
    return PlainTextResponse(f"{said['en']}\n{said['ko']}\n", status)


def _refused_post(scope: Scope, headers: Headers, host: str) -> Response | None:
    origin = headers.get("origin")
    if origin is not None and origin != f"{scope['scheme']}://{host}":
        return problem(scope, 403, both("a request must come from this server's own pages."))
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return problem(scope, 415, both("a request must be {kind}.", kind="application/json"))
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:12]) > MOST_BYTES:
        return _too_large(scope)
    return None


class _TooLargeError(Exception):
    """A body that is longer than it said, or said nothing."""


def _too_large(scope: Scope) -> Response:
    return problem(scope, 413, both("a request may have {most} bytes at most.", most=MOST_BYTES))


async def _whole(receive: Receive) -> bytes:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":  # the client has gone away
            break
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MOST_BYTES:
            raise _TooLargeError
        more = message.get("more_body", False)
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """The body as if it had not been read yet; then whatever comes."""
    left = [body]

    async def read() -> Message:
        if left:
            return {"type": "http.request", "body": left.pop(), "more_body": False}
        return await receive()

    return read


def _sealed(send: Send) -> Send:
    async def seal(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return seal


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _cookie(text: str) -> str:
    try:
        found = SimpleCookie(text).get(COOKIE)
    except CookieError:
        return ""
    return "" if found is None else found.value


def _equal(came: str, token: str) -> bool:
    return secrets.compare_digest(came.encode(), token.encode())
