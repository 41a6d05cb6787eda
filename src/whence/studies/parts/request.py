"""What was asked of a study."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from whence.runs.where import AS_SETTINGS_SAY, Where


@dataclass(frozen=True)
class StudyRequest:
    """What was asked of a study; the table of studies says which of it each one takes.

    Attributes:
        subject: a run folder, or images as ``whence train`` takes them; None for the study's own.
        seeds: how many, from 0; None is the study's own number.
        full: the published size, not the one that is done in minutes.
        out: folder for what is found, and for the parts that are done; None keeps none.
        where: the images are, and may be downloaded to.
        concepts: folders of images, one for each concept.
        device: where to compute.
    """

    subject: str | None = None
    seeds: int | None = None
    full: bool = False
    out: Path | None = None
    where: Where = AS_SETTINGS_SAY
    concepts: tuple[Path, ...] = ()
    device: str = "cpu"

    def list_seeds(self, usual: int) -> range:
        """List the seeds, from 0: as many as were asked for, or as a study usually has."""
        return range(usual if self.seeds is None else self.seeds)


def name_seeds(seeds: Sequence[int]) -> str:
    """Name seeds that follow each other.

    >>> name_seeds(range(1)), name_seeds(range(3))
    ('0', '0 to 2')
    """
    return str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
