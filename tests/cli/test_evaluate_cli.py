"""What whence evaluate prints."""

import json
import shutil
import statistics
from dataclasses import replace

import pytest
import torch

import whence
from tests.helpers.image_folders import write_images
from tests.helpers.measured_runs import SETTINGS, measure
from whence.cli import main
from whence.cli.work.evaluate_text import describe_measured, describe_summary
from whence.records.images import ImageSet
from whence.records.measures import KnownImages, Reliance
from whence.report.dependence import decides, say_dependence
from whence.report.known import say_known
from whence.runs.measured import average_runs, describe_evaluation
from whence.runs.run import run


@pytest.fixture
def model(measured_run):
    return whence.load(measured_run)


def test_text_of_one_run(measured_run, capsys):
    assert main(["evaluate", str(measured_run)]) == 0
    text = capsys.readouterr().out
    found = measure(measured_run)
    lines = {line.split("  ")[1].strip(): line for line in text.splitlines() if "  " in line}
    purity = lines["weight on stored images of the true class"].split()
    values = [found["purity"], found["purity_draws"]["mean"]]
    values += [found["controls"][name]["purity"] for name in ("random", "nearest", "untrained")]
    counted = ["of", str(found["images"])]
    assert purity[-7:] == [f"{values[0]:.2%}", *counted, *(f"{value:.2%}" for value in values[1:])]
    other = lines["right where it is not"].split()
    shown = [f"{found['counterfactual_accuracy']:.2%}", "of", str(found["counterfactual_images"])]
    assert other[5:8] == shown
    assert found["example_images"] + found["counterfactual_images"] == found["images"]
    for one in found["by_class"]:
        recall, precision = (
            "-" if one[name] is None else f"{one[name]:.2%}" for name in ("recall", "precision")
        )
        numbers = [str(one["images"]), recall, str(one["answers"]), precision]
        assert [one["class"], *numbers] in [line.split() for line in text.splitlines()]
    worst = min(found["by_class"], key=lambda one: one["recall"])
    assert found["worst_class"] == worst
    assert f"worst class {worst['class']}: {worst['right']} of {worst['images']} found" in text
    wrong = sum(one["images"] - one["right"] for one in found["by_class"])
    assert f"(measured on {found['images']} answers, {wrong} of them wrong)" in text
    support = lines["stored images with weight, mean"].split()
    assert support[-5:-2] == [
        f"{found['support_size']:.1f}",
        f"{found['support_size_draws']['mean']:.1f}",
        "-",
    ]
    flag = found["flag"]
    own = lines["calibrated probability of error"].split()
    assert own[-5:-2] == [f"{flag[name]:.3f}" for name in ("auroc", "ece", "aurc")]
    assert own[-2:] == [f"{flag['risk_coverage'][part]:.2%}" for part in ("0.8", "0.9")]
    assert (
        f"finds errors best (AUROC {flag['signals'][flag['best']]['auroc']:.3f}; 0.5 is a coin)"
        in text
    )
    assert f"calibrated on 70 held-out images, {flag['calibration_errors']} of them wrong" in text
    for sentence in say_dependence(Reliance(**found["reliance"])):
        assert f"  {sentence}\n" in text
    assert main(["evaluate", str(measured_run), "--no-controls"]) == 0
    assert "untrained" not in capsys.readouterr().out


def test_text_without_memory_and_without_calibration(standard_run, model, measured_digits):
    found = measure(standard_run)
    text = describe_measured(found)
    assert "entropy of the probabilities" in text
    assert "nearest" not in text
    assert "with draws" not in text
    model.calibration = None
    bare = describe_evaluation(whence.evaluate(model, measured_digits.test, memory_size=2, draws=1))
    text = describe_measured({"run": "x", **bare})
    assert "not calibrated: a training run does that, given 5 wrong and 5 right validation" in text
    assert "untrained" not in text
    labels = torch.full((60,), int(measured_digits.test.labels[0]))
    with torch.no_grad():
        labels = model(measured_digits.test.images).argmax(1)
    right = ImageSet(measured_digits.test.images, labels, measured_digits.test.class_names)
    text = describe_measured(
        {"run": "x", **describe_evaluation(whence.evaluate(model, right, memory_size=2))}
    )
    assert "x: 100.00% of 60 images right" in text
    assert "finds errors best" not in text


def test_a_folder_of_runs(measured_run, standard_run, tmp_path, measured_digits, capsys):
    for name in ("a", "b"):
        shutil.copytree(measured_run, tmp_path / name)
    run(replace(SETTINGS, seed=5), tmp_path / "c", measured_digits)
    assert main(["evaluate", str(tmp_path), "--json", "--no-controls"]) == 0
    summary = json.loads(capsys.readouterr().out)
    purities = [one["purity"] for one in summary["runs"]]
    assert purities[0] == purities[1] != purities[2]
    assert summary["purity"]["mean"] == pytest.approx(sum(purities) / 3)
    auroc = [one["flag"]["auroc"] for one in summary["runs"]]
    assert summary["flag"]["auroc"]["mean"] == pytest.approx(sum(auroc) / 3)
    text = describe_summary(summary)
    share = summary["reliance"]["changed_share"]
    assert share["mean"] == pytest.approx(
        statistics.fmean(one["reliance"]["changed_share"] for one in summary["runs"])
    )
    assert f"{share['mean']:.2%} ± {share['std']:.2%}" in text
    spread = summary["flag"]["auroc"]
    assert f"{spread['mean']:.3f} ± {spread['std']:.3f}" in text
    assert f"{summary['purity']['mean']:.2%} ± {summary['purity']['std']:.2%}" in text
    assert "mean of 3 runs: " in text
    mixed = [*summary["runs"], measure(standard_run)]
    assert average_runs(mixed)["purity"] == summary["purity"]


@pytest.fixture
def photos(tmp_path):
    """A run on a folder with the classes ant and bee: (run, other images)."""
    write_images(tmp_path / "photos", {"ant": 12, "bee": 12})
    command = ["train", str(tmp_path / "photos"), "--epochs", "1", "--device", "cpu"]
    assert main([*command, "--out", str(tmp_path / "run")]) == 0
    return tmp_path / "run", tmp_path / "other"


def test_all_images_of_another_folder_are_measured(photos, capsys):
    run_folder, other = photos
    write_images(other, {"ant": 13, "bee": 10}, seed=1)
    capsys.readouterr()
    assert main(["evaluate", str(run_folder), "--data", str(other), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["data"]) == (23, "other")
    sample = whence.load_sample(other, ["ant", "bee"], (3, 8, 8)).images
    logits = whence.load(run_folder)(sample.images)
    assert found["accuracy"] == float((logits.argmax(1) == sample.labels).double().mean())
    assert main(["report", str(run_folder), "--data", str(other), "--json", "--hard", "1"]) == 0
    assert json.loads(capsys.readouterr().out)["accuracy"] == found["accuracy"]


@pytest.mark.parametrize("command", ["evaluate", "report"])
def test_one_image_of_one_class_is_measured_under_another_name(photos, capsys, command):
    run_folder, other = photos
    write_images(other / "test", {"Biene": 1}, seed=1)
    capsys.readouterr()
    arguments = [command, str(run_folder), "--data", str(other), "--map", "Biene=bee", "--json"]
    assert main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["images"] == 1
    assert found["by_class"][0] | {"answers": None, "precision": None} == {
        "class": "ant",
        "images": 0,
        "right": 0,
        "recall": None,
        "answers": None,
        "precision": None,
    }
    assert found["by_class"][1]["recall"] == found["balanced_accuracy"] == found["accuracy"]
    assert found["worst_class"] is None
    assert (
        main(
            arguments[:-1]
            if command == "evaluate"
            else [*arguments[:-1], "--out", str(other / "page.html")]
        )
        == 0
    )


def test_images_that_the_run_knows_are_told_with_the_accuracy_without_them(photos, capsys):
    run_folder, other = photos
    shutil.copytree(other.parent / "photos", other)
    write_images(other, {"ant": 2}, seed=8)  # two images become new ones
    capsys.readouterr()
    assert main(["evaluate", str(run_folder), "--data", str(other), "--json"]) == 0
    output = capsys.readouterr()
    found = json.loads(output.out)
    known = found["known"]
    assert (found["images"], known["images"] + known["others"]) == (24, 24)
    sentence = say_known(KnownImages(**known))
    assert f"are not new to the run ({known['memory']} in its memory, " in sentence
    assert f"note: {sentence}\n" in output.err
    assert main(["evaluate", str(run_folder), "--data", str(other)]) == 0
    assert f"  {sentence}\n" in capsys.readouterr().out
    page = str(other.parent / "page.html")
    assert (
        main(["report", str(run_folder), "--data", str(other), "--out", page, "--hard", "0"]) == 0
    )
    assert f"note: {sentence}\n" in capsys.readouterr().err
    text = (other.parent / "page.html").read_text()
    assert sentence in text
    reliance = Reliance(**found["reliance"])
    for one in say_dependence(reliance):
        assert one in text
    assert decides(reliance) == (text.count(say_dependence(reliance)[-1]) == 1), "else it opens too"
    assert main(["report", str(run_folder), "--data", str(other), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["known"] == known


def test_a_run_whose_images_moved_is_measured_with_data_root(photos, capsys):
    run_folder, other = photos
    capsys.readouterr()
    assert main(["evaluate", str(run_folder), "--json"]) == 0
    before = capsys.readouterr().out
    shutil.move(other.parent / "photos", other)
    assert main(["evaluate", str(run_folder)]) == 2
    assert (
        "is no folder; name the one that they are in now with --data-root"
        in capsys.readouterr().err
    )
    for command in ("evaluate", "report"):
        assert main([command, str(run_folder), "--data-root", str(other), "--json"]) == 0
        after = capsys.readouterr().out
        assert command == "report" or after == before
    page = ["--test", "0", "1", "--format", "json", "--method", "none"]
    assert main(["explain", str(run_folder), *page, "--data-root", str(other)]) == 0
    source = whence.load_parts(run_folder, root=other).test.sources[1]
    assert f'"test image 1, {source}"' in capsys.readouterr().out


def test_a_training_says_how_far_its_answers_hang_on_the_memory(photos, capsys):
    run_folder, _ = photos
    metrics = json.loads((run_folder / "metrics.json").read_text())["test"]
    command = ["train", str(run_folder.parent / "photos"), "--epochs", "1", "--device", "cpu"]
    capsys.readouterr()
    assert main([*command, "--out", str(run_folder), "--resume"]) == 0
    text = capsys.readouterr().out
    for sentence in say_dependence(Reliance(**metrics["reliance"])):
        assert f"  {sentence}\n" in text
    assert f"worst class {metrics['worst_class']['class']}: " in text
    for name in ("reliance", "known", "worst_class"):  # as an older whence left it
        del metrics[name]
    (run_folder / "metrics.json").write_text(
        json.dumps({"test": metrics, "train_seconds": 1.0, "device": "cpu"})
    )
    assert main([*command, "--out", str(run_folder), "--resume"]) == 0
    assert capsys.readouterr().out.count("\n") == 1
