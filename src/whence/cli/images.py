"""Which images a command is asked about; loads no torch."""

from pathlib import Path

from jsonargparse import Namespace


def check_asked(options: Namespace) -> None:
    """Refuse images and test images together, and neither.

    Raises:
        ValueError: if both were given, or none.
    """
    if bool(options.images) == bool(options.test):
        raise ValueError("IMAGE must name files or folders, or --test images of the test set.")


def find_images(names: list[Path]) -> list[Path]:
    """List image files, those of folders in order of their names.

    Raises:
        FileNotFoundError: if a name is neither a file nor a folder, or a folder holds no image.
    """
    found: list[Path] = []
    for name in names:
        if name.is_dir():
            from whence.data.open_image import SUFFIXES  # late: it loads Pillow

            inside = sorted(p for p in name.rglob("*") if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise FileNotFoundError(f"{name} holds no image.")
            found += inside
        elif name.exists():
            found.append(name)
        else:
            raise FileNotFoundError(f"No image {name}.")
    return found
