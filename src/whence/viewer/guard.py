"""What stands before every request: where it may come from, how large it may be, what may run."""

import hmac
import json
import re
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 32 * 2**20
"""Of the body of a request; an image of more is refused."""

COOKIE = "whence_token_"
"""The port follows: browsers send a cookie to every port of a machine, and two viewers may run."""

OWN_HEADER = "x-whence"
"""Sent by the page with everything that changes something; no form of another site can send it."""

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
FIXED = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""Headers of every answer."""


class TooLargeError(ValueError):
    """The body of a request is larger than it may be."""


class Guard:
    """Refuse requests of other sites, of strangers and of too many bytes.

    Args:
        app: behind it.
        hosts: names under which this is asked, with the port; a page of another site that has its
            own name point here is refused.
        token: that a stranger must know, or None on the loopback.
    """

    def __init__(self, app: ASGIApp, *, hosts: Iterable[str], token: str | None) -> None:
        self.app = app
        self.hosts = frozenset(hosts)
        self.token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer why not."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(FIXED)
            await send(message)

        refused = self.refuse(scope, headers)
        if refused is not None:
            await refused(scope, receive, send_guarded)
            return
        seen = 0

        async def receive_bounded() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > MOST_BYTES:
                raise TooLargeError(say_too_large())
            return message

        await self.app(scope, receive_bounded, send_guarded)

    def refuse(self, scope: Scope, headers: Headers) -> JSONResponse | RedirectResponse | None:
        """Return the answer to a request that may not pass; None if it may."""
        host = headers.get("host", "")
        if host not in self.hosts:
            return say(421, "This address is not the viewer's; open the one it printed.")
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return say(405, "Only GET and POST are answered here.")
        origin = headers.get("origin")
        site = headers.get("sec-fetch-site", "same-origin")
        foreign = origin not in (None, f"http://{host}")
        if scope["method"] == "POST" and (
            foreign or site != "same-origin" or OWN_HEADER not in headers
        ):
            return say(403, "This request comes from another page; use the viewer's own.")
        length = headers.get("content-length", "0")
        if not re.fullmatch("[0-9]{1,12}", length) or int(length) > MOST_BYTES:
            return say(413, say_too_large())
        return None if self.token is None else self.ask_token(scope, headers)

    def ask_token(self, scope: Scope, headers: Headers) -> JSONResponse | RedirectResponse | None:
        """Refuse who does not know the token; whoever does gets a cookie in its place."""
        token = self.token or ""
        cookies: SimpleCookie = SimpleCookie()
        try:
            cookies.load(headers.get("cookie", ""))
        except CookieError:  # no cookies of ours
            cookies = SimpleCookie()
        name = COOKIE + headers.get("host", "").rpartition(":")[2]
        known = cookies[name].value if name in cookies else ""
        if hmac.compare_digest(known.encode(), token.encode()):
            return None
        query = scope.get("query_string", b"").decode("latin-1")
        given = parse_qs(query).get("token", [""])[0]
        if scope["path"] == "/" and hmac.compare_digest(given.encode(), token.encode()):
            response = RedirectResponse("/", status_code=303)
            response.set_cookie(name, token, httponly=True, samesite="strict")
            return response
        return say(401, "The token is missing or wrong; open the address that the viewer printed.")


class PlainJSON(JSONResponse):
    """JSON in ASCII, which also holds names of files that are no text in UTF-8."""

    def render(self, content: Any) -> bytes:
        """Write it."""
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode("ascii")


def say(status: int, sentence: str) -> PlainJSON:
    """Answer with one sentence."""
    return PlainJSON({"error": sentence}, status_code=status)


def say_too_large() -> str:
    """Say how large a request may be."""
    return f"An image may have at most {MOST_BYTES // 2**20} MiB; make it smaller."
