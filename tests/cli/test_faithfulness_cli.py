"""``whence faithfulness``: a table on a run, kept cell by cell."""

import json

import pytest

from tests.helpers.html_pages import ParsedPage
from tests.helpers.torch_calls import TorchCalls
from whence.attribution import METHODS
from whence.cli import main
from whence.metrics.faithfulness import FAITHFULNESS

FEW = ("--images", "4", "--again", "2", "--batch-size", "50")


def call(capsys, *arguments):
    code = main(["faithfulness", *map(str, arguments)])
    read = capsys.readouterr()
    return code, read.out, read.err


@pytest.fixture(scope="module")
def table(standard_run, tmp_path_factory):
    """All measures of one method, and the controls."""
    out = tmp_path_factory.mktemp("faithfulness") / "out"
    command = [str(standard_run), *FEW, "--methods", "gradient_x_input", "--out", str(out)]
    assert main(["faithfulness", *command, "--idsds"]) == 0
    return out, command


def test_a_table_has_methods_and_controls_by_measures(table):
    out, _ = table
    found = json.loads((out / "faithfulness.json").read_text())
    assert [*found["methods"]] == ["gradient_x_input", "random", "edges", "untrained"]
    assert found["controls"] == ["random", "edges", "untrained"]
    measures = [name for name in FAITHFULNESS if not name.startswith("trigger")]
    for method, cells in found["methods"].items():
        assert [*cells] == measures
        for name, cell in cells.items():
            if cell["mean"] is None:
                assert method != "gradient_x_input"
                assert "needs" in cell["refused"]
                continue
            assert cell["low"] <= cell["mean"] <= cell["high"]
            assert cell["images"] <= (2 if cell_asks_again(name) else 4)
            assert (cell["passes"] is None) == (
                method != "gradient_x_input" or name == "max_sensitivity"
            )
    cells = found["methods"]
    assert cells["gradient_x_input"]["aopc_morf"]["mean"] > cells["random"]["aopc_morf"]["mean"]
    assert cells["random"]["mprt"]["mean"] == pytest.approx(1)
    assert cells["edges"]["random_logit"]["mean"] == pytest.approx(1)
    assert len(cells["edges"]["deletion"]["curve"]) == 21
    (note,) = (one for one in found["notes"] if "learned with hidden patches" in one)
    assert "of 60 test images right" in note  # all that there are, not the four of the table


def cell_asks_again(name):
    return name in ("max_sensitivity", "mprt", "smprt", "emprt", "random_logit")


def test_the_page_stands_alone_and_says_that_nothing_is_a_ranking(table):
    out, _ = table
    page = (out / "faithfulness.html").read_text()
    parsed = ParsedPage(page)
    assert not [tag for tag, _ in parsed.elements if tag in ("script", "link", "iframe")]
    assert "No number here ranks the methods" in page
    assert "gradient_x_input" in page
    assert 'src="data:image/png;base64,' in page
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_a_stopped_command_goes_on_with_what_is_missing(table, capsys):
    out, command = table
    kept = {path: path.stat().st_mtime_ns for path in out.glob("cells/*/*.json")}
    assert len(kept) == 4 * 16
    gone = out / "cells" / "gradient_x_input" / "deletion.json"
    before = json.loads(gone.read_text())
    gone.unlink()
    code, text, _ = call(capsys, *command)
    assert code == 0
    assert json.loads(gone.read_text()) == before
    del kept[gone]
    assert kept == {path: path.stat().st_mtime_ns for path in kept}
    assert "No better than the control" in text
    assert "aopc_morf (higher)" in text


def test_where_nothing_is_missing_no_copy_of_the_model_is_made(table, capsys):
    _, command = table

    def count_shuffles(*more):
        with TorchCalls() as calls:
            assert call(capsys, *command, *more)[0] == 0
        return len(calls.shapes("randperm"))

    least = count_shuffles("--measures", "deletion")  # of the images
    assert count_shuffles() == least
    assert count_shuffles("--methods", "gradient", "--measures", "mprt") > least + 5


def test_a_folder_of_other_numbers_is_refused(table, capsys):
    _, command = table
    for more, what in (
        (["--seed", "1"], "test images"),
        (["--again", "3"], "images asked again"),
        (["--refill", "blur"], "refill"),
        (["--baseline", "blur"], "baseline"),
    ):
        code, _, error = call(capsys, *command, *more)
        assert code == 2
        assert f"holds a table that differs in its {what}; choose another --out." in error


def test_damaged_cells_are_refused(table, capsys):
    out, command = table
    cell = out / "cells" / "random" / "deletion.json"
    content = cell.read_text()
    for damaged in ('{"values": ["x"], "curve": null, "refused": ""}', "{}", "[]", "{"):
        cell.write_text(damaged)
        code, _, error = call(capsys, *command)
        assert code == 2
        assert "deletion.json must" in error
        assert "damaged" in error or "JSON" in error
    cell.write_text(content)


def test_a_model_with_a_memory_and_other_options(measured_run, tmp_path, capsys):
    command = [
        measured_run,
        "--images",
        "3",
        "--methods",
        "integrated_gradients",
        "--out",
        tmp_path,
    ]
    command += ["--measures", "deletion", "unexplained", "--baseline", "black", "--json"]
    code, text, _ = call(capsys, *command, "--refill", "noise", "--no-untrained")
    assert code == 0
    found = json.loads(text)
    assert [*found["methods"]] == ["integrated_gradients", "random", "edges"]
    assert found["methods"]["integrated_gradients"]["unexplained"]["mean"] < 0.1
    assert found["methods"]["random"]["unexplained"]["refused"].endswith("a ledger.")
    assert found["facts"]["baseline of methods that have one"] == "black"
    assert found["refill"] == "noise"


def test_an_autoencoder_fills_hidden_pixels(morph_runs, tmp_path, capsys):
    command = [morph_runs / "memory", "--images", "3", "--methods", "gradient", "--no-untrained"]
    command += ["--measures", "deletion", "--refill", "autoencoder", "--vae", morph_runs / "vae"]
    assert call(capsys, *command, "--out", tmp_path / "one")[0] == 0
    found = json.loads((tmp_path / "one" / "faithfulness.json").read_text())
    assert found["refill"] == "autoencoder"


def test_what_cannot_be_measured_is_refused(standard_run, tmp_path, capsys):
    lines = {
        (
            "--methods",
            "path_integrated_gradients",
        ): "path_integrated_gradients needs the option path,",
        ("--vae", tmp_path, "--refill", "autoencoder"): "No finished autoencoder in",
    }
    for more, message in lines.items():
        code, _, error = call(capsys, standard_run, *more, "--out", tmp_path / "none")
        assert code == 2
        assert message in error
    assert call(capsys, tmp_path / "no-run")[0] == 2
    assert not (tmp_path / "none" / "cells").exists()


def test_of_all_methods_those_that_no_command_can_feed_are_left_out(standard_run, tmp_path):
    command = [str(standard_run), "--images", "2", "--measures", "trigger_mass"]
    assert main(["faithfulness", *command, "--out", str(tmp_path), "--no-untrained"]) == 0
    found = json.loads((tmp_path / "faithfulness.json").read_text())
    assert set(METHODS) - set(found["methods"]) == {"path_integrated_gradients"}
    assert found["methods"]["gradient"]["trigger_mass"]["refused"] == (
        "trigger_mass needs images of which it is known where the answer comes from."
    )
