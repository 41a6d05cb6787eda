"""Images that are measured, from a table, and images without labels."""

import pandas as pd
import pytest

import whence
from tests.helpers.image_folders import write_images
from whence.data.sample_table import is_unlabelled, load_unlabelled

CLASSES, SHAPE = ("ant", "bee"), (3, 8, 8)


@pytest.fixture
def photos(tmp_path):
    write_images(tmp_path / "photos", {"ant": 3, "crack": 2})
    return tmp_path


def write(folder, heads, *, tail=lambda kind, k: "", kinds=(("ant", 3), ("crack", 2))):
    rows = [f"photos/{kind}/{k}.png{tail(kind, k)}" for kind, count in kinds for k in range(count)]
    (folder / "x.csv").write_text("\n".join([heads, *rows]))
    return folder / "x.csv"


def test_all_rows_are_measured_under_the_models_names(photos):
    table = write(photos, "path,label", tail=lambda kind, k: f",{kind}")
    found = whence.load_sample(table, CLASSES, SHAPE, renamed={"crack": "bee"})
    assert (found.name, found.images.labels.tolist()) == ("x", [0, 0, 0, 1, 1])
    assert found.images.class_names == CLASSES
    assert found.images.sources[3] == "photos/crack/0.png"
    with pytest.raises(ValueError, match=r"x\.csv must have the classes of the model .* got crack"):
        whence.load_sample(table, CLASSES, SHAPE)


def test_rows_for_the_test_are_measured_alone_and_one_class_is_enough(photos):
    table = write(
        photos, "path,kind,part", tail=lambda kind, k: f",{kind},{'test' if k else 'val'}"
    )
    columns = {"label": "kind", "split": "part"}
    found = whence.load_sample(table, CLASSES, SHAPE, renamed={"crack": "bee"}, columns=columns)
    assert found.images.sources == ("photos/ant/1.png", "photos/ant/2.png", "photos/crack/1.png")
    assert found.notes == ("Of x.csv, the 3 rows for the test are measured, not the 2 others.",)
    alone = write(photos, "path,label,note", tail=lambda kind, k: ",ant,1", kinds=(("ant", 3),))
    found = whence.load_sample(alone, CLASSES, SHAPE)
    assert found.images.labels.tolist() == [0, 0, 0]
    assert found.notes == ("Of x.csv, note is not used.",)


def test_frames_are_measured(photos, monkeypatch):
    monkeypatch.chdir(photos)
    frame = pd.DataFrame({"path": ["photos/ant/0.png"], "label": ["bee"]})
    found = whence.load_sample(frame, CLASSES, SHAPE)
    assert (found.name, found.images.labels.tolist()) == ("frame", [1])


def test_what_has_no_labels(photos):
    assert is_unlabelled(photos / "photos" / "ant", {})
    assert not is_unlabelled(photos / "photos", {})
    assert not is_unlabelled(photos / "gone", {})
    assert is_unlabelled(write(photos, "path"), {})
    assert not is_unlabelled(photos / "x.csv", {"label": "kind"})
    assert not is_unlabelled(write(photos, "path,label", tail=lambda *_: ",ant"), {})


def test_images_without_labels(photos):
    found = load_unlabelled(write(photos, "path"), SHAPE, columns={})
    assert (found.name, len(found.images)) == ("x", 5)
    (photos / "photos" / "bad.png").write_bytes(b"no image")
    found = load_unlabelled(photos / "photos", SHAPE, columns={})
    assert found.sources == (*(f"ant/{k}.png" for k in range(3)), "crack/0.png", "crack/1.png")
    assert any("bad.png" in note for note in found.notes)
    (photos / "photos" / "photo.heic").write_bytes(b"x")
    notes = load_unlabelled(photos / "photos", SHAPE, columns={}).notes
    assert notes[0].startswith(f"Of {photos / 'photos'}, 1 file is left out ('photo.heic'), named")
    (photos / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no image"):
        load_unlabelled(photos / "empty", SHAPE, columns={})
    with pytest.raises(FileNotFoundError, match="must be a folder of images"):
        load_unlabelled(photos / "gone", SHAPE, columns={})
