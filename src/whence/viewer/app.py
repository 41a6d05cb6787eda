"""The addresses of the viewer: a small web application on what it does."""

import json
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from importlib.resources import files
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from whence.viewer.guard import OWN_HEADER, Guard, PlainJSON, TooLargeError, say
from whence.viewer.viewer import Viewer

SCRIPTS = ("page", "ask", "memory", "heatmaps", "browse", "map", "threshold", "view")
"""What the page runs, in order; the last one begins."""

PAGES = {
    "/": ("view.html", "text/html; charset=utf-8"),
    "/view.css": ("view.css", "text/css; charset=utf-8"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in SCRIPTS},
}
"""The files of the page; there are no others."""

MOST_JSON = 2**20
"""Bytes of a request that is no image."""

ACTIONS = (
    *("describe", "tests", "stored", "ask", "change", "undo", "redo", "save", "edits"),
    *("overview", "threshold", "heatmaps", "map", "job"),
)
"""Methods of the viewer that a page calls by name."""

FIRST_ACTION = "describe"
"""What a page calls first; other calls come from known pages, so that no edit is lost unnoticed."""


class Addresses:
    """Turn requests into what the viewer does, and what goes wrong into one sentence.

    Args:
        viewer: that answers.
    """

    def __init__(self, viewer: Viewer) -> None:
        self.viewer = viewer
        content = files("whence.viewer") / "pages"
        self.pages = {path: (content / name).read_bytes() for path, (name, _) in PAGES.items()}

    async def page(self, request: Request) -> Response:
        """Send a file of the page."""
        path = request.url.path
        return Response(self.pages[path], headers={"content-type": PAGES[path][1]})

    async def call(self, request: Request) -> Response:
        """Do what the address names."""
        name = request.path_params["action"]
        if name not in ACTIONS:
            return say(404, "There is no such address.")

        async def work() -> dict[str, Any]:
            known, page = self.viewer.visitors, request.headers.get(OWN_HEADER, "")
            visitor = known.welcome(page) if name == FIRST_ACTION else known.find(page)
            given = read_given(await request.body())
            found: dict[str, Any] = await run_in_threadpool(
                getattr(self.viewer, name), visitor, given
            )
            return found

        return await answer_in_words(work)

    async def bring(self, request: Request) -> Response:
        """Take an image."""

        async def work() -> dict[str, Any]:
            visitor = self.viewer.visitors.find(request.headers.get(OWN_HEADER, ""))
            content, name = await request.body(), request.query_params.get("name", "image")
            return await run_in_threadpool(self.viewer.bring, visitor, name, content)

        return await answer_in_words(work)

    async def picture(self, request: Request) -> Response:
        """Send a picture."""
        known = request.path_params
        draw = partial(self.viewer.draw, known["part"], known["place"], known.get("visitor", ""))
        try:
            drawn = await run_in_threadpool(draw)
        except ValueError as error:
            return say(404, str(error))
        return Response(drawn, headers={"content-type": "image/png"})


async def answer_in_words(work: Callable[[], Awaitable[dict[str, Any]]]) -> Response:
    """Answer with what comes out as JSON, or with the sentence that says why nothing did."""
    try:
        return PlainJSON(await work())
    except TooLargeError as error:
        return say(413, str(error))
    except ClientDisconnect:
        return say(400, "The request was cut short.")
    except (ValueError, OSError) as error:
        return say(400, str(error))


async def say_nothing_there(request: Request, error: Exception) -> Response:
    """Answer for an address that is none."""
    return say(404, "There is no such address.")


def build_app(viewer: Viewer, *, hosts: Iterable[str], token: str | None = None) -> Guard:
    """Build the application, behind its guard.

    Args:
        viewer: what it shows.
        hosts: names with ports under which it is asked.
        token: that strangers must know.
    """
    addresses = Addresses(viewer)
    routes = [Route(path, addresses.page) for path in PAGES]
    routes += [
        Route("/api/bring", addresses.bring, methods=["POST"]),
        Route("/api/{action:str}", addresses.call, methods=["POST"]),
        Route("/picture/{part:str}/{place:int}.png", addresses.picture),
        Route("/picture/{part:str}/{visitor:str}/{place:int}.png", addresses.picture),
    ]
    handlers: dict[Any, Any] = {404: say_nothing_there, 405: say_nothing_there}
    inner = Starlette(routes=routes, exception_handlers=handlers)
    inner.router.redirect_slashes = False
    return Guard(inner, hosts=hosts, token=token)


def read_given(body: bytes) -> dict[str, Any]:
    """Read what a page sent with a request.

    Raises:
        ValueError: if it is no JSON object, or too long.
    """
    if len(body) > MOST_JSON:
        raise TooLargeError("The request is too long.")
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise ValueError("The request must be a JSON object.") from error
    if not isinstance(found, dict):
        raise ValueError("The request must be a JSON object.")
    return found
