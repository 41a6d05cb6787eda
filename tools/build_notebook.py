"""Execute the notebook of the docs and write it with what came out.

    python -m pip install '.[notebook]'
    python -m tools.build_notebook          # from docs/notebook.py to docs/notebook.ipynb

``docs/notebook.py`` holds the cells: a line ``# %%`` begins one of code, ``# %% [markdown]`` one of
text, whose lines begin with ``# ``.
"""

import argparse
import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"

PATIENCE = 600
"""Seconds that a kernel may take to start, and a cell to run: on a busy machine both are slow."""


def read_cells(text: str) -> list[tuple[str, str]]:
    r"""Divide a script into cells: ("code" or "markdown", content).

    >>> read_cells("# %% [markdown]\n# Hello\n# %%\nx = 1\n")
    [('markdown', 'Hello'), ('code', 'x = 1')]
    """
    cells = []
    for head, body in re.findall(r"(?ms)^# %%([^\n]*)\n(.*?)(?=^# %%|\Z)", text):
        content = body.strip()
        if "[markdown]" in head:
            lines = [line.removeprefix("#").removeprefix(" ") for line in content.splitlines()]
            cells.append(("markdown", "\n".join(lines)))
        else:
            cells.append(("code", content))
    return cells


def build(source: Path, target: Path) -> None:
    """Execute a script's cells in a kernel, and write the notebook without times and bars.

    Raises:
        RuntimeError: if the kernel does not start, dies, or takes too long over a cell.
    """
    import nbformat  # late: reading cells needs neither
    from nbclient import NotebookClient

    book = nbformat.v4.new_notebook()
    makers = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    book.cells = [makers[kind](content) for kind, content in read_cells(source.read_text())]
    for number, cell in enumerate(book.cells):
        cell["id"] = f"cell-{number}"  # the same in every build
    client = NotebookClient(book, timeout=PATIENCE, startup_timeout=PATIENCE, kernel_name="python3")
    try:
        client.execute()
    except (RuntimeError, TimeoutError) as error:  # an error in a cell is neither
        said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RuntimeError(
            f"The kernel must run every cell, each within {PATIENCE} seconds, it did not: {said} "
            "(python -m ipykernel_launcher shows whether a kernel starts at all; one that died "
            "had no memory left, or was killed.)"
        ) from error
    for cell in book.cells:
        cell.metadata.clear()
        if cell.cell_type == "code":
            kept = [one for one in cell.outputs if one.get("name") != "stderr"]
            cell.outputs = [one for one in kept if "widget" not in str(one.get("data", {}).keys())]
    book.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.write(book, target)
    print(f"{target}: {len(book.cells)} cells, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, default=DOCS / "notebook.py")
    parser.add_argument("--target", type=Path, default=DOCS / "notebook.ipynb")
    options = parser.parse_args()
    build(options.source, options.target)
