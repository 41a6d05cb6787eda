"""Folders as tests look at them."""


def list_files(folder):
    """Name every file below a folder, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
