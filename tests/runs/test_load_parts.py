"""A run knows its own images: they come back as it divided them, wherever they are now."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

import whence
from tests.helpers.image_folders import write_images
from whence.runs.evaluate_run import evaluate_run
from whence.runs.images import load_data
from whence.runs.prepare import prepare
from whence.runs.run import run
from whence.runs.settings import Settings, to_toml
from whence.runs.where import Where

PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run with seed 3 on a folder of all sizes, without test/: (run, photos, settings)."""
    place = tmp_path_factory.mktemp("trained")
    write_images(place / "photos", {"ant": 12, "bee": 9}, size=(11, 8))
    numbers = np.random.default_rng(5)
    for number, size in enumerate([(300, 200), (97, 90), (150, 400), (30, 20)]):
        for name in ("ant", "bee"):
            array = numbers.integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(array).save(place / "photos" / name / f"large-{number}.jpg")
    settings = Settings(data=str(place / "photos"), seed=3, epochs=1, batch_size=8)
    run(settings, place / "run", load_data(settings))
    return place / "run", place / "photos", settings


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of it, whose images may be moved: (run, photos, settings)."""
    folder, photos, settings = trained
    shutil.copytree(folder, tmp_path / "run")
    shutil.copytree(photos, tmp_path / "photos")
    here = replace(settings, data=str(tmp_path / "photos"))
    (tmp_path / "run" / "settings.toml").write_bytes(to_toml(here))
    return tmp_path / "run", tmp_path / "photos", here


def assert_same_images(found, expected):
    assert torch.equal(found.images, expected.images)
    assert torch.equal(found.labels, expected.labels)
    assert found.class_names == expected.class_names
    assert found.sources == expected.sources


def measure(folder, **options):
    return evaluate_run(folder, data=None, device="cpu", seed=None, batch_size=50, **options)


def test_the_parts_are_those_that_the_run_was_made_with(trained):
    folder, photos, settings = trained
    expected, found = prepare(settings, load_data(settings)), whence.load_parts(folder)
    for part in PARTS:
        assert_same_images(getattr(found, part), getattr(expected, part))
    assert torch.equal(found.indices, expected.indices)
    assert found.indices.tolist() == whence.load(folder).bank.indices.tolist()
    others = set(whence.load_dataset(photos, seed=3).test.sources)
    assert others & set(found.train.sources), "else there was no fault to cure"
    assert not set(found.test.sources) & {*found.train.sources, *found.validation.sources}


def test_a_run_on_a_named_dataset_knows_its_images_too(digits, finished):
    found = whence.load_parts(finished)  # its test set is a part of the dataset's
    assert_same_images(found.test, digits.test)
    assert torch.equal(found.train.images, digits.train.images[found.indices])
    assert (len(found.train), len(found.validation)) == (30, 20)
    assert found.train.sources is None


def test_images_that_moved_are_found_and_measured(copied, tmp_path):
    folder, photos, _ = copied
    before, expected = measure(folder), whence.load_parts(folder)
    shutil.move(photos, tmp_path / "elsewhere" / "all")
    for path in list((tmp_path / "elsewhere" / "all" / "ant").iterdir()):
        path.rename(path.with_name(f"renamed-{path.name}"))
    with pytest.raises(FileNotFoundError, match=r"and .*photos is no folder; name the one that"):
        whence.load_parts(folder)
    found = whence.load_parts(folder, root=tmp_path / "elsewhere")
    for part in PARTS:
        assert torch.equal(getattr(found, part).images, getattr(expected, part).images)
    new = {
        s.replace("ant/", "all/ant/renamed-").replace("bee/", "all/bee/")
        for s in expected.test.sources
    }
    assert set(found.test.sources) == new
    after = measure(folder, where=Where(tmp_path / "elsewhere"))
    assert after == before


def test_the_test_images_alone_are_enough_to_measure(copied):
    folder, photos, _ = copied
    before, parts = measure(folder), whence.load_parts(folder)
    for source in (*parts.train.sources, *parts.validation.sources):
        (photos / source).unlink()
    assert measure(folder) == before


def test_images_that_are_gone_or_changed_are_refused_and_counted(copied):
    folder, photos, _ = copied
    sources = whence.load_parts(folder).test.sources
    (photos / sources[0]).unlink()
    shutil.copy(photos / sources[1], photos / sources[2])
    message = rf"2 of \d are gone or changed \(first: {sources[0]}\); name the folder that they are"
    with pytest.raises(ValueError, match=message):
        measure(folder)


def edit(folder, **fields):
    about = json.loads((folder / "whence.json").read_text())
    about["run"].update(fields)
    (folder / "whence.json").write_text(json.dumps(about))


def forget(folder):
    """Make a run one of a version that kept no record of its images."""
    about = json.loads((folder / "whence.json").read_text())
    del about["run"]["images_sha256"]
    (folder / "whence.json").write_text(json.dumps(about))
    (folder / "images.safetensors").unlink()


def test_a_run_without_a_record_divides_its_images_again(copied):
    folder, photos, _ = copied
    expected, measured = whence.load_parts(folder), measure(folder)
    forget(folder)
    found = whence.load_parts(folder)
    for part in PARTS:
        assert_same_images(getattr(found, part), getattr(expected, part))
    assert torch.equal(found.indices, expected.indices)
    assert measure(folder)["accuracy"] == measured["accuracy"]
    for part in ("train", "test"):
        source = getattr(expected, part).sources[0]
        content = (photos / source).read_bytes()
        write_images(photos.parent / "other", {"x": 1}, seed=9)
        shutil.copy(photos.parent / "other" / "x" / "0.png", photos / source)
        with pytest.raises(ValueError, match=f"its {part} images changed; name the folder that"):
            whence.load_parts(folder)
        (photos / source).write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "images.safetensors is missing"),
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "it is damaged"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"x"), "the hash in whence.json"),
        (lambda path: edit(path.parent, images_sha256=3), "the hash in whence.json"),
    ],
)
def test_a_damaged_record_is_refused(copied, damage, message):
    damage(copied[0] / "images.safetensors")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        whence.load_parts(copied[0])


def test_a_run_without_validation_images_has_an_empty_part(tmp_path):
    write_images(tmp_path / "photos", {"ant": 9, "bee": 9})
    settings = Settings(data=str(tmp_path / "photos"), epochs=1, validation_examples=0)
    run(settings, tmp_path / "run", load_data(settings))
    found = whence.load_parts(tmp_path / "run")
    assert (len(found.validation), found.validation.sources) == (0, ())
