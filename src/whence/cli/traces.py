"""What libraries below would leave on the disk, and leave nowhere here."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path


@contextmanager
def without_compiler_folder() -> Iterator[None]:
    """Keep torch from making a folder for compiled code as soon as its compiler is imported.

    Nothing here is compiled, so that the folder would stay empty; another one that is there
    already, the system's for temporary files, does as well.
    """
    from tempfile import gettempdir  # late: the help has no use for it

    with environment("TORCHINDUCTOR_CACHE_DIR", gettempdir()):
        yield


@contextmanager
def without_font_folder() -> Iterator[None]:
    """Keep matplotlib from making folders for its list of fonts, where the user has none yet."""
    caches = os.environ.get("XDG_CACHE_HOME") or str(Path("~") / ".cache")
    with ExitStack() as stack:
        if not (Path(caches).expanduser() / "matplotlib").is_dir():
            from tempfile import TemporaryDirectory  # late, too

            folder = stack.enter_context(TemporaryDirectory(prefix="whence-fonts-"))
            stack.enter_context(environment("MPLCONFIGDIR", folder))
        yield


@contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """Set a variable of the environment that the user has not set, for a while."""
    if name in os.environ:
        yield
        return
    os.environ[name] = value
    try:
        yield
    finally:
        del os.environ[name]
