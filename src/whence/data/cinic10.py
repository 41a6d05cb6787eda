"""CINIC-10 (Darlow et al., 2018): 90,000 images each to train and to test, RGB, 32 x 32 pixels."""

from dataclasses import replace
from pathlib import Path

from whence.data.folder import image_folder
from whence.data.missing import missing_file
from whence.records.images import Dataset

PAGE = "https://datashare.ed.ac.uk/handle/10283/3192"


def cinic10(root: Path, *, download: bool = True) -> Dataset:
    """Load ``train`` and ``test`` of CINIC-10, arXiv:1810.03505; ``valid`` is not used.

    The Memory Wrap experiments use ``train`` alone and take their validation images from it.
    It is not downloaded: its host asks for it to be fetched by hand.

    Args:
        root: folder of datasets; the images are ``root/CINIC10/train/<class>/*.png`` and
            ``root/CINIC10/test/<class>/*.png``.
        download: taken for the sake of the other datasets, changes nothing.

    Returns:
        Images `(90000, 3, 32, 32)` twice, uint8.

    Raises:
        FileNotFoundError: if the folders are not there.
        ValueError: if a folder is not in order or an image cannot be read.
    """
    folder = Path(root) / "CINIC10"
    for part in ("train", "test"):
        if not (folder / part).is_dir():
            raise missing_file(
                "cinic10",
                folder / part,
                "CINIC10 must be manually downloaded",
                f"unpack CINIC-10.tar.gz from {PAGE} into {folder.absolute()}",
            )
    return replace(image_folder(folder, channels=3), name="cinic10")
