"""The notebook of the docs: its cells run, and the file is what they are."""

import json
from pathlib import Path

from tools.build_notebook import read_cells

DOCS = Path(__file__).parents[1] / "docs"
CELLS = read_cells((DOCS / "notebook.py").read_text())


def test_every_cell_runs():
    names = {}
    for kind, content in CELLS:
        if kind == "code":
            *lines, last = content.split("\n")
            exec("\n".join(lines), names)
            try:
                value = eval(last, names)
            except SyntaxError:
                exec(content, names)
            else:
                assert value is not None, "a cell ends with what it shows"
                assert getattr(value, "_repr_html_", value.__repr__)()
    assert float(names["measured"].whole_memory) > 0.5


def test_the_notebook_is_built_from_the_cells():
    book = json.loads((DOCS / "notebook.ipynb").read_text())
    kept = [(cell["cell_type"], "".join(cell["source"])) for cell in book["cells"]]
    assert kept == CELLS, "build it again: python -m tools.build_notebook"
    outputs = [out for cell in book["cells"] for out in cell.get("outputs", ())]
    assert all(out["output_type"] == "execute_result" for out in outputs)
    assert len(outputs) == sum(kind == "code" for kind, _ in CELLS)
    assert len((DOCS / "notebook.ipynb").read_bytes()) < 400_000
