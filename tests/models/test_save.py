"""What is written, and what is not."""

import pytest
import torch
from torch.testing import assert_close

import whence
from tests.helpers.saved_models import make
from whence.models.about import BANK, DONE, FORMAT, MODEL, read_about
from whence.models.save import write_model


def test_nothing_is_written_over(stored_images, tmp_path):
    model = make(stored_images)
    for name in (MODEL, BANK, DONE):
        folder = tmp_path / name
        folder.mkdir()
        (folder / name).write_bytes(b"mine")
        with pytest.raises(FileExistsError, match=f"already holds {name}; save to another folder"):
            whence.save(model, folder)
        assert [path.read_bytes() for path in folder.iterdir()] == [b"mine"]
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / DONE).symlink_to("nowhere")
    with pytest.raises(FileExistsError, match="already holds"):
        whence.save(model, tmp_path / "link")


def test_a_bank_that_does_not_fit_any_more_is_not_saved(stored_images, tmp_path):
    model = make(stored_images)
    with torch.no_grad():
        model.head.classifier[0].bias.add_(1)
    with pytest.raises(RuntimeError, match=r"call model\.remember"):
        whence.save(model, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_saving_keeps_the_mode(saved_images, stored_images, tmp_path):
    model = make(stored_images)
    model.train()
    model.encoder.eval()
    whence.save(model, tmp_path)
    assert model.training
    assert not model.encoder.training
    assert_close(whence.load(tmp_path)(saved_images), model.eval()(saved_images), rtol=0, atol=0)


@pytest.mark.parametrize(
    "source", ["/etc/passwd", "../x", "a/../../x", "..\\x", "C:\\x", "\\\\host\\x"]
)
def test_sources_outside_the_dataset_are_not_saved(stored_images, tmp_path, source):
    model = make(stored_images).remember(stored_images, sources=["a"] * 5 + [source])
    with pytest.raises(ValueError, match="must name files inside the dataset's folder, got"):
        whence.save(model, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_strange_but_harmless_sources_come_back(stored_images, tmp_path):
    names = ("1:1/x.png", "a b/…", "..a/b..", "dd:", "xx:y/z", "\udcff.png")
    whence.save(make(stored_images).remember(stored_images, sources=names), tmp_path)
    assert whence.load(tmp_path).bank.sources == names


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_not_saved(stored_images, tmp_path, value):
    model = make(stored_images)
    with torch.no_grad():
        model.encoder[0].weight[0, 0, 0, 0] = value
    with pytest.raises(
        ValueError, match=r"model must hold finite numbers, encoder.0.weight has NaN"
    ):
        whence.save(model, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_what_could_not_be_read_is_not_saved(stored_images, tmp_path):
    model = make(stored_images)
    model.class_names = ("a", "b", 3)
    with pytest.raises(
        ValueError, match="model must list classes that are named by text, got 3 for class 2; it"
    ):
        whence.save(model, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_what_the_record_says(stored_images, tmp_path):
    write_model(make(stored_images), tmp_path, pixels=True, about={"seed": 3})
    about = read_about(tmp_path)
    assert about["run"] == {"seed": 3}
    assert about["format"] == FORMAT
    assert about["parameters"] == sum(p.numel() for p in make(stored_images).parameters())
    assert about["features"] == 128
    encoder = {"family": "whence", "name": "small_cnn", "type": "Sequential", "layers": []}
    assert about["encoder"] == encoder
    assert about["versions"]["torch"] == torch.__version__.split("+")[0]
    assert about["sha256"].keys() == {MODEL, BANK}
    assert about["mean"] == [0.0]
    assert about["std"] == [1.0]
