"""notMNIST (Bulatov, 2011): letters A to J in many fonts, grey, 28 x 28 pixels."""

from pathlib import Path

import torch

from whence.data.idx import idx_paths, read_idx_images
from whence.data.image_file import read_readable
from whence.data.missing import check_place, missing_file
from whence.data.overlap import overlap_notes
from whence.records.images import Dataset, ImageSet

LETTERS = tuple("ABCDEFGHIJ")
SIDE = 28
ARCHIVES = {"train": "notMNIST_large", "test": "notMNIST_small"}
PAGE = "http://yaroslavvb.com/upload/notMNIST"


def notmnist(root: Path, *, download: bool = True) -> Dataset:
    """Load the large set to train on and the cleaned small set to test on.

    It is not downloaded: it is published without checksums, over an unprotected connection.
    Some of the published PNG files are empty or damaged; they are left out and counted in
    ``notes``.

    Args:
        root: folder of datasets; the unpacked archives are ``root/notMNIST_large/A/*.png`` and
            ``root/notMNIST_small/A/*.png``, or four idx files are in ``root/notMNIST/raw``, named
            like those of MNIST.
        download: taken for the sake of the other datasets, changes nothing.

    Returns:
        Images `(N, 1, 28, 28)` uint8; about 529,000 and 18,700 as published.

    Raises:
        FileNotFoundError: if the files are not there.
        ValueError: if an idx file is damaged, or a letter has no readable image.
    """
    root = Path(root)
    if all((root / folder).is_dir() for folder in ARCHIVES.values()):
        return _load_png(root)
    raw = root / "notMNIST" / "raw"
    for part in ARCHIVES:
        for path in idx_paths(raw, part):
            check_place(path)
            if not path.is_file():
                raise missing_file(
                    "notmnist",
                    path,
                    "it must be downloaded by hand",
                    f"put idx files there, or unpack {PAGE}/notMNIST_large.tar.gz and "
                    f"notMNIST_small.tar.gz in {root.absolute()}",
                )
    train, test = (read_idx_images(raw, part, LETTERS) for part in ARCHIVES)
    return Dataset("notmnist", train, test)


def _load_png(root: Path) -> Dataset:
    notes: list[str] = []
    train, test = (_read_part(root, folder, notes) for folder in ARCHIVES.values())
    return Dataset("notmnist", train, test, (*notes, *overlap_notes(train, test)))


def _read_part(root: Path, folder: str, notes: list[str]) -> ImageSet:
    """Read the ten letters of one archive, and note the files that cannot be read."""
    sources: list[str] = []
    labels: list[int] = []
    for label, letter in enumerate(LETTERS):
        files = _png_files(root, f"{folder}/{letter}")
        sources += files
        labels += [label] * len(files)
    found, problems = read_readable([root / file for file in sources], size=SIDE, channels=1)
    damaged = [sources[place] for place in problems]
    kept = [place for place in range(len(sources)) if place not in problems]
    if damaged:
        verb = "file is" if len(damaged) == 1 else "files are"
        notes.append(
            f"{len(damaged)} {verb} left out of {folder}: empty or damaged (first: {damaged[0]})."
        )
    notes += found.notes
    chosen = torch.tensor([labels[place] for place in kept], dtype=torch.int64)
    empty = (chosen.bincount(minlength=len(LETTERS)) == 0).nonzero().flatten().tolist()
    if empty:
        raise ValueError(
            f"{(root / folder / LETTERS[empty[0]]).absolute()} must hold readable PNG files, "
            f"it holds none; unpack {PAGE}/{folder}.tar.gz again."
        )
    return ImageSet(found.images, chosen, LETTERS, tuple(sources[place] for place in kept))


def _png_files(root: Path, folder: str) -> list[str]:
    if not (root / folder).is_dir():
        return []
    names = sorted(path.name for path in (root / folder).iterdir())
    return [f"{folder}/{name}" for name in names if name.endswith(".png") and name[0] != "."]
