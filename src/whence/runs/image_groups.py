"""Which group each image of a run is of: from a table, its own table of labels, or a folder."""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from whence.data.label_list import locate, place_below, share_folder
from whence.data.label_table import NO_COLUMNS, LabelTable, is_table, read_label_table
from whence.data.names import compose
from whence.messages import shorten_text
from whence.records.by_group import Groups
from whence.runs.settings import Settings

FOLDER = "folder"
"""What is given in place of a table where the folder of a file says its group."""

PART_FOLDERS = ("train", "val", "validation", "test")

NO_FILES = "Groups are of files, and the {what} images of this run come from none."


def read_groups(
    table: str, sources: Sequence[str] | None, columns: Mapping[str, str] = NO_COLUMNS
) -> list[str]:
    """Read the group of every stored image from a table.

    Args:
        table: a text file with the columns path and group.
        sources: the file of each image.
        columns: names of columns by role, as in ``read_label_table``.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it has no groups, or none for an image.
    """
    known = read_group_of(table, columns)
    return [one for one in look_up_groups(known, sources, table, "stored") if one is not None]


def read_all_groups(
    given: str,
    measured: Sequence[str] | None,
    stored: Sequence[str] | None,
    columns: Mapping[str, str],
    class_names: Sequence[str],
) -> Groups:
    """Read the groups of measured and of stored images; those of stored ones may be missing.

    Args:
        given: a table, or "folder".
        measured: the file of each measured image.
        stored: the file of each stored image.
        columns: as in ``read_groups``.
        class_names: of the model; a folder named after a class says no group.

    Raises:
        FileNotFoundError: if there is no such table.
        ValueError: if it has no groups, or none for a measured image.
    """
    if given == FOLDER:
        if measured is None:
            raise ValueError(NO_FILES.format(what="measured"))
        ours = tuple(name_folder(one, class_names) for one in measured)
        theirs = tuple(name_folder(one, class_names) for one in stored or ())
        return Groups("folders of the files", ours, theirs)
    known = read_group_of(given, columns)
    found = look_up_groups(known, measured, given, "measured")
    others = look_up_groups(known, stored, given, "stored", all_of_them=False)
    column = columns.get("group", "group")
    return Groups(
        f"{Path(given).name}, column {column}",
        tuple(one for one in found if one is not None),
        tuple(others),
    )


def find_own_table(settings: Settings, data: str | None, columns: Mapping[str, str]) -> str | None:
    """Name the table that an image's label was read from, if it says groups; None for none.

    Args:
        settings: of the run.
        data: the other images that are measured, or None for the run's own.
        columns: of the table of other images.
    """
    place, roles = (settings.data, settings.columns) if data is None else (data, columns)
    if not is_table(place) or not Path(place).expanduser().is_file():
        return None
    return place if read_table(place, roles).groups is not None else None


def read_table(table: str, columns: Mapping[str, str]) -> LabelTable:
    """Read a table of which path and group are wanted alone."""
    wanted = {role: name for role, name in columns.items() if role in ("path", "group")}
    return read_label_table(str(Path(table).expanduser()), wanted, unlabelled=True)


def read_group_of(table: str, columns: Mapping[str, str]) -> dict[str, str]:
    """Read the group of each file, by its name as the table writes it and as a run does.

    Raises:
        FileNotFoundError: if there is no such table.
        ValueError: if it has no groups.
    """
    rows = read_table(table, columns)
    if rows.groups is None:
        raise ValueError(
            f"{table} must have a column group, it has none; name another one with --group-column."
        )
    base = Path(table).expanduser().parent.absolute()
    paths = [locate(base, one) or place_below(base, one.replace("\\", "/")) for one in rows.paths]
    root = share_folder(base, paths)
    found = {compose(name): one for name, one in zip(rows.paths, rows.groups, strict=True)}
    for path, one in zip(paths, rows.groups, strict=True):
        found.setdefault(compose(path.relative_to(root).as_posix()), one)
    return found


def look_up_groups(
    known: Mapping[str, str],
    sources: Sequence[str] | None,
    table: str,
    what: str,
    *,
    all_of_them: bool = True,
) -> list[str | None]:
    """Find the group of each image.

    Args:
        known: groups by file.
        sources: the file of each image.
        table: for messages.
        what: the images are, for messages.
        all_of_them: refuse an image without a group.

    Raises:
        ValueError: if an image must have a group and has none.
    """
    if sources is None:
        if all_of_them:
            raise ValueError(NO_FILES.format(what=what))
        return []
    found = [known.get(compose(one)) for one in sources]
    missing = [source for source, one in zip(sources, found, strict=True) if one is None]
    if missing and all_of_them:
        raise ValueError(
            f"{table} must name the group of every {what} image, {len(missing):,} are missing "
            f"(first: {shorten_text(missing[0])})."
        )
    return found


def name_folder(source: str, class_names: Sequence[str]) -> str:
    """Name the group of a file after its folders, without those of classes and parts.

    >>> name_folder("train/cat/garden/3.png", ["cat", "dog"]), name_folder("cat/3.png", ["cat"])
    ('garden', '(none)')
    """
    skipped = {*class_names, *PART_FOLDERS}
    kept = [one for one in PurePosixPath(source).parent.parts if one not in skipped]
    return "/".join(kept) or "(none)"
