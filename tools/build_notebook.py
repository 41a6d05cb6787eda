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
    """Execute a script's cells in a kernel, and write the notebook without times and bars."""
    import nbformat  # late: reading cells needs neither
    from nbclient import NotebookClient

    book = nbformat.v4.new_notebook()
    makers = {"code": nbformat.v4.new_code_cell, "markdown": nbformat.v4.new_markdown_cell}
    book.cells = [makers[kind](content) for kind, content in read_cells(source.read_text())]
    for number, cell in enumerate(book.cells):
        cell["id"] = f"cell-{number}"  # the same in every build
    NotebookClient(book, timeout=600, kernel_name="python3").execute()
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
