"""``whence export`` writes two files, or one sentence and nothing."""

import whence
from tests.helpers.deploying import check_answers, noise, read_about
from whence.cli import main


def test_a_run_is_exported(digits_run, tmp_path, capsys):
    path = tmp_path / "model.onnx"
    assert main(["export", str(digits_run), "--to", "onnx", str(path)]) == 0
    output = capsys.readouterr()
    assert "60 stored images inside; on 8 images probabilities in onnxruntime differ" in output.out
    assert output.out.splitlines()[-1] == f"Written: {path} and {path.with_suffix('.json')}"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["model.json", "model.onnx"]
    model = whence.load(digits_run)
    assert len(read_about(path)["memory"]) == 60
    check_answers(model, path, noise(model, 3))


def test_answers_that_rounding_moves_are_said_once(digits_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("whence.deploy.export_onnx.measure_difference", lambda *_: 0.02)
    monkeypatch.setattr("whence.deploy.export_onnx.measure_rounding", lambda *_: 0.01)
    path = tmp_path / "model.onnx"
    assert main(["export", str(digits_run), "--to", "onnx", str(path)]) == 0
    output = capsys.readouterr()
    note = "note: Rounding moves the answers of small_cnn: in onnxruntime its probabilities differ"
    assert output.err.count(note) == 1
    assert "by up to 0.02, 0.02 of stored images. Random weights" in output.err
    assert "UserWarning" not in output.err
    assert path.is_file()


def test_what_cannot_be_exported_leaves_nothing(fails, tmp_path):
    fails("export", tmp_path / "none", "a.onnx", message="No run in")
    (tmp_path / "folder.onnx").mkdir()
    fails("export", "RUN", tmp_path / "folder.onnx", message="is a folder; name a file with FILE.")
