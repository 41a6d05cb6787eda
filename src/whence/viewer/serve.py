"""Serve the viewer: choose the port, say where it is, stop with Ctrl-C."""

import ipaddress
import secrets
import socket
import webbrowser
from collections.abc import Callable
from pathlib import Path

import uvicorn

from whence.runs.where import Where
from whence.viewer.app import build_app
from whence.viewer.viewed_run import open_run
from whence.viewer.viewer import Viewer

NAMES_OF_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


def serve(
    run: Path,
    *,
    beside: Path | None,
    device: str,
    where: Where,
    host: str,
    port: int,
    token: str | None,
    show: bool,
    say: Callable[[str], None],
    batch_size: int,
) -> None:
    """Serve a run until Ctrl-C.

    Args:
        run: the run folder.
        beside: another run that answers for the same images.
        device: where to compute.
        where: the run's images are.
        host: address to open_socket at; any but the loopback needs a token.
        port: to open_socket at; 0 is any that is free.
        token: that a visitor must know; None on the loopback, elsewhere one is made.
        show: open a browser.
        say: takes the sentence that says where it is.
        batch_size: images encoded at once.

    Raises:
        FileNotFoundError: if there is no finished run.
        ValueError: if the run is damaged, the other one takes other images, or the port is taken.
    """
    socket_ = open_socket(host, port)
    with socket_:
        own = open_run(run, device=device, where=where)
        other = None if beside is None else open_run(beside, device=device, where=where)
        if other is not None and other.model.image_shape != own.model.image_shape:
            raise ValueError(
                f"{beside} must take images of {own.model.image_shape} as {run} does, it takes "
                f"{other.model.image_shape}."
            )
        found = socket_.getsockname()[1]
        names = NAMES_OF_LOOPBACK if is_loopback(host) else (host, f"[{host}]")
        if not is_loopback(host) and token is None:
            token = secrets.token_urlsafe(24)
        viewer = Viewer(own, other, batch_size=batch_size)
        app = build_app(viewer, hosts=[f"{name}:{found}" for name in names], token=token)
        address = f"http://{f'[{host}]' if ':' in host else host}:{found}/"
        if token is not None:
            address += f"?token={token}"
        say(f"{run.name} is at {address} (Ctrl-C stops).")
        if show:
            webbrowser.open(address)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="off", server_header=False
        )
        uvicorn.Server(config).run(sockets=[socket_])


def open_socket(host: str, port: int) -> socket.socket:
    """Open the socket that requests come to.

    Raises:
        ValueError: if the port is taken, or the address is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
    except (OSError, OverflowError) as error:
        opened.close()
        raise ValueError(
            f"Port {port} at {host} cannot be used, something else may; choose another --port, "
            "or leave it out."
        ) from error
    opened.listen(128)
    return opened


def is_loopback(host: str) -> bool:
    """Say whether an address is reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
