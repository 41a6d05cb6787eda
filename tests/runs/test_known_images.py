"""Measured images that a run knows already are counted, and the others measured alone."""

import json
import shutil
from dataclasses import replace

import pytest
import torch

import whence
from tests.helpers.image_folders import write_images
from whence.evidence.calibrate import calibrate
from whence.records.images import ImageSet
from whence.runs.evaluate_run import evaluate_run
from whence.runs.images import load_data
from whence.runs.run import run
from whence.runs.settings import Settings


@pytest.fixture(scope="module", params=["memory-wrap", "standard"])
def trained(request, tmp_path_factory):
    """A run on a folder: (run, photos)."""
    place = tmp_path_factory.mktemp("trained")
    write_images(place / "photos", {"ant": 20, "bee": 20})
    settings = Settings(data=str(place / "photos"), epochs=1, variant=request.param)
    run(settings, place / "run", load_data(settings))
    return place / "run", place / "photos"


def measure(folder, data=None):
    return evaluate_run(folder, data=data, device="cpu", seed=None, batch_size=50, controls=False)


def test_all_images_of_the_folder_that_was_trained_on(trained):
    folder, photos = trained
    parts, found = whence.load_parts(folder), measure(folder, str(photos))
    own = measure(folder)
    memory = None if found["variant"] == "standard" else len(parts.train)
    assert found["images"] == 40
    assert found["known"] == {
        "images": len(parts.train) + len(parts.validation),
        "memory": memory,
        "train": len(parts.train),
        "validation": len(parts.validation),
        "others": len(parts.test),
        "accuracy_of_others": own["accuracy"],
    }
    assert own["known"]["images"] == 0
    assert own["known"]["accuracy_of_others"] == own["accuracy"]


def test_of_a_run_without_a_record_only_the_memory_is_known(trained, tmp_path):
    folder, photos = shutil.copytree(trained[0], tmp_path / "run"), trained[1]
    parts, about = whence.load_parts(folder), json.loads((folder / "whence.json").read_text())
    del about["run"]["images_sha256"]
    (folder / "whence.json").write_text(json.dumps(about))
    found = measure(folder, str(photos))
    memory = None if found["variant"] == "standard" else len(parts.train)
    assert found["known"]["images"] == (memory or 0)
    assert [found["known"][name] for name in ("memory", "train", "validation")] == [
        memory,
        None,
        None,
    ]
    assert found["notes"][-1].startswith("The run does not say which images it was made with")
    assert measure(trained[0], str(photos))["notes"] == []


def test_images_that_are_in_two_parts_of_a_run(digits, tmp_path):
    """Twice the same 60 images: most validation and test images were trained on as well."""
    few = digits.train.take(list(range(60)) * 2)
    dataset = replace(digits, train=few, test=digits.train.take(range(40, 100)))
    settings = Settings(data="digits", epochs=2, validation_examples=50, learning_rate=0.01)
    metrics = run(settings, tmp_path / "run", dataset)
    parts = whence.load_parts(tmp_path / "run")
    trained = {image.numpy().tobytes() for image in parts.train.images}
    old = [image.numpy().tobytes() in trained for image in parts.validation.images]
    assert 10 < sum(old) < 45
    assert metrics["validation"]["known"]["images"] == metrics["validation"]["known"]["train"]
    assert metrics["validation"]["known"]["images"] == sum(old)
    assert metrics["validation"]["known"]["validation"] is None, "they are what is measured"
    validated = trained | {image.numpy().tobytes() for image in parts.validation.images}
    seen = [image.numpy().tobytes() in validated for image in parts.test.images]
    assert metrics["test"]["known"]["images"] == sum(seen)
    assert metrics["test"]["known"] == measure(tmp_path / "run")["known"]
    model = whence.load(tmp_path / "run")
    new = [place for place, one in enumerate(old) if not one]
    expected = calibrate(model, parts.validation.take(new))
    assert (model.calibration is None) == (expected is None)
    if expected is not None:
        assert model.calibration.images == len(new)
        assert model.calibration.coefficients == pytest.approx(expected.coefficients, abs=1e-3)


def test_a_run_whose_validation_images_were_all_trained_on_is_not_calibrated(digits, tmp_path):
    one = digits.train.take([0] * 40 + list(range(1, 20)))
    one = ImageSet(one.images, torch.arange(59) % 10, one.class_names)
    settings = Settings(data="digits", epochs=1, validation_examples=3, batch_size=8)
    dataset = replace(digits, train=replace(one, images=one.images[[0] * 59]))
    metrics = run(settings, tmp_path / "run", dataset)
    assert metrics["validation"]["known"]["others"] == 0
    assert whence.load(tmp_path / "run").calibration is None
