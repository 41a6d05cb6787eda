"""Which images a command is asked about; loads no torch."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import Namespace

from whence.cli.plain_text import print_note
from whence.data.names import describe_no_image, is_left_behind, list_images, note_left_out


def check_asked(options: Namespace) -> None:
    """Refuse images and test images together, and neither.

    Raises:
        ValueError: if both were given, or none.
    """
    if bool(options.images) == bool(options.test):
        raise ValueError("IMAGE must name files or folders, or --test images of the test set.")


def find_images(names: Sequence[str]) -> list[Path]:
    """List image files, those of folders in order of their names.

    What operating systems leave beside images is passed over, as in a folder that is trained on,
    and so is every hidden file of a folder. Which other files of a folder are no images is noted.

    Raises:
        FileNotFoundError: if a name is neither a file nor a folder, or a folder holds no image.
    """
    given = [Path(name) for name in names]
    wanted = [path for path in given if not is_left_behind(path.name)]
    if given and not wanted:
        raise FileNotFoundError(f"No image {given[0]}; an operating system left it there.")
    found: list[Path] = []
    for path in wanted:
        if path.is_dir():
            inside = list_images(path)
            if not inside:
                raise FileNotFoundError(describe_no_image(path))
            for note in note_left_out(path):
                print_note(note)
            found += inside
        elif path.exists():
            found.append(path)
        else:
            raise FileNotFoundError(f"No image {path}.")
    return found
