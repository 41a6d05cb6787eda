"""Where the images of a run are looked for, and where missing ones may be downloaded to."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Where:
    """What the user says of the place of images, beside what the settings of a run say.

    Settings may be from another person's file: nothing is downloaded, and no folder is written to,
    because they say so.

    Attributes:
        root: where the images are now: the folder of the named datasets, or the image folder; None
            is where the settings say.
        download_to: folder for the files of a named dataset that are not there; None forbids it.
    """

    root: Path | None = None
    download_to: Path | None = None

    @property
    def may_download(self) -> bool:
        """Say whether the user lets anything be fetched from the network."""
        return self.download_to is not None


def may_download_to(root: str) -> Where:
    """Let missing files of a named dataset be downloaded to the folder that is read."""
    return Where(download_to=Path(root).expanduser())


AS_SETTINGS_SAY = Where()
"""Images are where the settings say, and nothing is downloaded."""

BANKS = "banks"
"""Folder in that of a run: the run with other memories, each by its name."""
