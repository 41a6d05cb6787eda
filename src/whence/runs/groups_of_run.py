"""The groups of a run's images, by the table of labels that it was made with."""

from pathlib import Path

from whence.data.label_list import find_listed
from whence.data.label_table import is_table, read_label_table
from whence.messages import quote, shorten_text
from whence.records.labels import list_names
from whence.runs.settings import Settings


def files_of_group(settings: Settings, group: str) -> frozenset[str]:
    """List the files of a group, as stored images name them.

    Args:
        settings: of the run.
        group: as the table calls it.

    Raises:
        FileNotFoundError: if the table, or files that it names, are not there.
        ValueError: if the run was not made with a table of groups, or there is no such group.
    """
    if not is_table(settings.data):
        raise ValueError(
            f"group names a group of a table of labels, and the run was made with "
            f'{shorten_text(settings.data)}; name stored images by stored = "FOLDER/*".'
        )
    table = Path(settings.data).expanduser()
    rows = read_label_table(table, settings.columns)
    if rows.groups is None:
        raise ValueError(f"{table} has no column of groups; name it with --column group=NAME.")
    listed = find_listed(rows, table.parent)
    found = frozenset(
        source for source, one in zip(listed.sources, rows.groups, strict=True) if one == group
    )
    if not found:
        known = list_names(sorted(set(rows.groups)))
        raise ValueError(f"{table} has no group {quote(group)}; it has {known}.")
    return found
