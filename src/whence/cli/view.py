"""``whence view``: a run in the browser, to ask, to see the evidence, and to change it."""

from importlib.util import find_spec
from pathlib import Path

from jsonargparse import ArgumentParser

from whence.cli.options import (
    add_answering,
    add_run,
    build_parser,
    choose_device,
    parse,
    read_where,
)
from whence.cli.plain_text import escape

VIEW_PACKAGES = ("starlette", "uvicorn")
"""Packages of the extra ``[view]``."""


def build() -> ArgumentParser:
    """Build the parser."""
    parser = build_parser(
        "view",
        "Show a run in the browser: ask about images, see the stored images that the answer was "
        "computed from, leave some out or relabel them and see the answer change, browse errors "
        "and suspicious labels. Only this machine can look unless --host says otherwise.",
    )
    add_run(parser)
    parser.add_argument(
        "--beside",
        type=str,
        metavar="RUN",
        help="another run, or an edited memory of this one, that answers for the same images",
    )
    parser.add_argument("--port", type=int, default=0, help="by default any that is free")
    parser.add_argument(
        "--host",
        type=str,
        default="127.0.0.1",
        metavar="ADDRESS",
        help="address of this machine to listen at, for others to look (127.0.0.1); they need the "
        "token that is printed",
    )
    parser.add_argument(
        "--token",
        type=str,
        metavar="TEXT",
        help="what visitors must know; where others may look, one is made unless it is given",
    )
    parser.add_argument(
        "--open", action="store_true", default=None, help="open a browser (where there is a screen)"
    )
    parser.add_argument("--no-open", dest="open", action="store_false", help="open none")
    add_answering(parser)
    return parser


def view(arguments: list[str]) -> None:
    """Serve a run until Ctrl-C.

    Raises:
        ModuleNotFoundError: if the extra is not installed.
        ValueError: if an option does not fit.
    """
    options = parse(build(), arguments)
    if options.host in ("0.0.0.0", "::"):  # refused, nothing listens there
        raise ValueError(
            f"host must be the one address of this machine that others call it by, not all of them "
            f"({options.host})."
        )
    if options.token is not None and len(options.token) < 16:
        raise ValueError("token must have at least 16 characters; leave it out and one is made.")
    missing = [name for name in VIEW_PACKAGES if find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(
            f"The viewer needs {missing[0]}; install it with: python -m pip install 'whence[view]'"
        )
    device = choose_device(options.device)
    from whence.viewer.serve import serve  # late: it loads torch

    serve(
        Path(options.run),
        beside=None if options.beside is None else Path(options.beside),
        device=device,
        where=read_where(options),
        host=options.host,
        port=options.port,
        token=options.token,
        show=options.open is not False,
        say=lambda sentence: print(escape(sentence), flush=True),
        batch_size=options.batch_size,
    )
