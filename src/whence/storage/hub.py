"""Folders on the Hugging Face Hub: their addresses, and fetching them as plain files."""

import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from whence.messages import describe_failure, quote

SCHEME = "hf://"
HUB_NAME = re.compile(r"[\w][\w.-]{0,95}/[\w][\w.-]{0,95}", re.ASCII)
HUB_REVISION = re.compile(r"[\w][\w./-]{0,199}", re.ASCII)
NO_HUB = (
    "The Hugging Face Hub needs huggingface_hub, which is not installed: pip install 'whence[hub]'."
)


class HubAddress(NamedTuple):
    """A repository on the Hub."""

    name: str
    """Owner and name, with a slash."""

    revision: str | None
    """A branch, tag or commit; None is the main branch."""


def read_address(address: str) -> HubAddress:
    """Read "hf://owner/name" or "hf://owner/name@revision".

    Raises:
        ValueError: with what came.

    >>> read_address("hf://name/of@v2")
    HubAddress(name='name/of', revision='v2')
    """
    name, at, revision = address.removeprefix(SCHEME).partition("@")
    check_hub_name(name)
    if at and (HUB_REVISION.fullmatch(revision) is None or ".." in revision):
        raise ValueError(f"revision must be a branch, tag or commit, got {quote(revision)}.")
    return HubAddress(name, revision or None)


def check_hub_name(name: str) -> None:
    """Refuse a name of a repository that is none.

    Raises:
        ValueError: with what came.
    """
    if HUB_NAME.fullmatch(name) is None or ".." in name or "--" in name:
        raise ValueError(f"A name on the Hub must be OWNER/NAME, got {quote(name)}.")


def import_hub() -> Any:
    """Import the client of the Hub.

    Raises:
        ModuleNotFoundError: if it is not installed.
    """
    try:
        for part in ("constants", "errors"):  # they are attributes only when they are imported
            import_module(f"huggingface_hub.{part}")
        return import_module("huggingface_hub")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(NO_HUB) from error


def list_refusals(hub: Any) -> tuple[type[Exception], ...]:
    """List what the client of the Hub raises where the Hub, or the way to it, is at fault."""
    return (hub.errors.HfHubHTTPError, hub.errors.HTTPError, OSError)


def fetch_from_hub(address: str, files: Sequence[str]) -> Path:
    """Fetch a few files of a repository to the Hub's cache, as plain files and not as links.

    Nothing else of the repository is fetched, and nothing is executed.

    Args:
        address: "hf://owner/name", perhaps with "@revision".
        files: names of those that are wanted; one that is not there is no error.

    Returns:
        The folder that they are in.

    Raises:
        ValueError: if it is no such address.
        ModuleNotFoundError: if the client of the Hub is not installed.
        FileNotFoundError: if there is no such repository or revision.
        ConnectionError: if the Hub does not answer, or not to this user.
    """
    found = read_address(address)
    hub = import_hub()
    parts = [found.name, found.revision] if found.revision else [found.name]
    place = Path(hub.constants.HF_HUB_CACHE) / "whence" / "@".join(parts).replace("/", "--")
    try:
        hub.snapshot_download(
            found.name, revision=found.revision, local_dir=str(place), allow_patterns=list(files)
        )
    except (hub.errors.RepositoryNotFoundError, hub.errors.RevisionNotFoundError) as error:
        raise FileNotFoundError(
            f"{address} is not on the Hub, or not for this user; log in with: hf auth login."
        ) from error
    except list_refusals(hub) as error:
        raise ConnectionError(
            f"{address} could not be fetched ({describe_failure(error)})."
        ) from error
    return place
