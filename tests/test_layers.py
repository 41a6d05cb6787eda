"""Imports point one way only: a stage may use the stages above it in this list, and no ring."""

import ast
from pathlib import Path

import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

STAGES = [
    "messages",
    "table",
    "bounds",
    "kinds",
    "shapes",
    "seeds",
    "freed_memory",
    "progress_bar",
    "records",
    "storage",
    "encoders",
    "data",
    "memory",
    "metrics",
    "selections",
    "models",
    "training",
    "evidence",
    "checks",
    "deploy",
    "estimators",
    "attribution",
    "autoencoders",
    "morphing",
    "visualisation",
    "report",
    "runs",
    "gather",
    "sharing",
    "cluster",
    "tables",
    "studies",
    "viewer",
    "compat",
    "cli",
]
SOURCE = Path(__file__).parents[1] / "src"
ROOT = SOURCE / "whence"
FILES = [
    path for path in ROOT.rglob("*.py") if path.parent != ROOT or not path.stem.startswith("__")
]


def module_of(path: Path, source: Path) -> str:
    return ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")


def imported(path: Path) -> set[str]:
    """Every name that a file imports, also inside functions: modules, and what is taken from them."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: use absolute imports"
            names.add(node.module or "")
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
    return names


def find_rings(files: list[Path], source: Path) -> list[list[str]]:
    """The strongly connected components of the import graph that hold more than one file."""
    modules = [module_of(path, source) for path in files]
    places = {name: place for place, name in enumerate(modules)}
    edges = [
        (places[name], places[other])
        for name, path in zip(modules, files, strict=True)
        for other in imported(path)
        if other in places and other != name
    ]
    start, end = zip(*edges, strict=True)
    graph = coo_array(([1] * len(edges), (start, end)), shape=(len(files), len(files)))
    _, ring_of = connected_components(graph, directed=True, connection="strong")
    rings: dict[int, list[str]] = {}
    for name, ring in zip(modules, ring_of.tolist(), strict=True):
        rings.setdefault(ring, []).append(name)
    return sorted(sorted(ring) for ring in rings.values() if len(ring) > 1)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_flow_forward(path):
    stage = path.relative_to(ROOT).parts[0].removesuffix(".py")
    allowed = set(STAGES[: STAGES.index(stage) + 1])
    used = {name.split(".")[1] for name in imported(path) if name.startswith("whence.")}
    assert used <= allowed


def test_every_stage_is_there():
    found = {path.relative_to(ROOT).parts[0].removesuffix(".py") for path in FILES}
    assert found == set(STAGES)


def test_studies_share_by_their_parts_alone():
    studies = ROOT / "studies"
    for path in studies.rglob("*.py"):
        own = path.relative_to(studies).parts[0].removesuffix(".py")
        used = {
            name.split(".")[2]
            for name in imported(path)
            if name.startswith("whence.studies.") and (studies / name.split(".")[2]).is_dir()
        }
        assert used <= {own, "parts"}, path


def test_no_files_import_each_other_in_a_ring():
    assert find_rings(FILES, SOURCE) == []


def test_a_ring_is_found(tmp_path):
    texts = {
        "one": "import pkg.two\n",
        "two": "def late():\n    from pkg import three\n",
        "three": "from pkg.one import name\n",
        "four": "import pkg.one\n",
    }
    for name, text in texts.items():
        (tmp_path / "pkg").mkdir(exist_ok=True)
        (tmp_path / "pkg" / f"{name}.py").write_text(text)
    files = sorted((tmp_path / "pkg").glob("*.py"))
    assert find_rings(files, tmp_path) == [["pkg.one", "pkg.three", "pkg.two"]]
