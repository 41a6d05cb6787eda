"""What ``whence morph`` refuses, on small real runs."""

import json

import pytest

import whence
from tests.helpers.morph_runs import list_files
from whence.autoencoders import VAES
from whence.autoencoders.saved_vae import load_vae, save_vae
from whence.cli import main
from whence.morphing.answers import classify_images


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "IMAGE must name files or folders, or --test images of the test set."),
        (["more", "--test", "1"], "IMAGE must name files or folders, or --test images"),
        (["missing.png"], "No image missing.png."),
        (["broken.png"], "broken.png cannot be read as an image"),
        (["more", "--other", "far"], "Unknown other 'far'. Choose from: morph, nearest, memory."),
        (
            ["more", *("--other", "morph") * 2],
            "other must be given once for each, got morph, morph.",
        ),
        (["more", "--path", "wild"], "Unknown path 'wild'. Choose from: radial, linear."),
        (["more", "--format", "png"], "Unknown format 'png'. Choose from: html, json."),
        (["more", "--to", "ten"], "Unknown class 'ten'. Choose from: 0, 1, 2, 3, 4, ...."),
        (["more", "--steps", "1"], "steps must be at least 2, got 1."),
        (["more", "--batch-size", "0"], "batch-size must be at least 1, got 0."),
        (["more", "--seed", "-1"], "seed must be in 0 to 2**63 - 1, got -1."),
        (["more", "--norm-weight", "-1"], "norm-weight must be at least 0, got -1.0."),
        (["more", "--device", "tpu"], "device must be cpu or cuda, got 'tpu'."),
        (["--test", "500"], "test must be in 0 to 499, got 500."),
        (["more", "--out", "more"], "more is a folder; name a file with --out."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence_and_writes_nothing(call, here, words, message):
    (here / "broken.png").write_bytes(b"no picture")
    before = list_files(here)
    code, output, errors = call(*words)
    assert (code, output) == (2, "")
    assert errors.startswith("whence: ")
    assert message in errors
    assert errors.count("\n") == 1
    assert list_files(here) == before


def test_an_autoencoder_that_does_not_fit(call, morph_runs, here, capsys, digits):
    before = list_files(here)

    def refused(*words, **folders):
        code, output, errors = call(*words, "--test", 0, **folders)
        assert (code, output) == (2, "")
        assert errors.count("\n") == 1
        assert list_files(here) == before
        return errors

    assert "No autoencoder in" in refused(vae="none")
    assert "train one with: whence train-vae DATA" in refused(vae="none")
    assert "No run in " in refused(run="none")
    vae = load_vae(morph_runs / "vae")
    made = json.loads((morph_runs / "vae" / "vae.json").read_text())["run"]
    other = morph_runs / "other"
    if not other.exists():
        save_vae(
            vae, other, about={**made, "dataset": "letters", "train_fingerprint": "abcdef012345"}
        )
    errors = refused(vae="other")
    assert "must be trained on the images of" in errors
    assert "it was trained on letters (abcdef01), the run on digits (" in errors
    large = morph_runs / "large"
    if not large.exists():
        save_vae(VAES["residual"]((1, 12, 10), codes=3), large, about=made)
    assert "vae must be of images (1, 8, 8) as the classifier is, got (1, 12, 10)" in refused(
        vae="large"
    )
    code = main(["morph", str(morph_runs / "memory"), "--test", "0"])
    assert (code, capsys.readouterr().err) == (
        2,
        "whence: --vae must name the folder of an autoencoder; train one with: whence train-vae "
        "DATA\n",
    )


def test_an_autoencoder_that_does_not_say_what_it_learnt_is_noted(call, morph_runs, here, coded):
    if not (morph_runs / "silent").exists():
        save_vae(load_vae(morph_runs / "vae"), morph_runs / "silent")
    code, _, errors = call("--test", coded[0][0], "--steps", 3, vae="silent")
    assert code == 0
    assert "does not say what it was trained on" in errors
    assert "does not say what it was trained on" in (here / "memory-morph.html").read_text()


def test_a_memory_without_pixels_or_labels(call, morph_runs, here, digits):
    whence.save(whence.load(morph_runs / "memory"), here / "bare", pixels=False)
    errors = call("more", "--other", "memory", run=here / "bare")[2]
    assert "The memory was saved without its images (no pixels), so its counterfactual" in errors
    errors = call("more", run=here / "bare")[2]  # no run made it: its images cannot be found again
    assert "holds a model that no run has made" in errors
    model = whence.load(morph_runs / "memory")
    model.remember(digits.train.images[:30])
    whence.save(model, here / "unlabelled")
    errors = call("more", run=here / "unlabelled")[2]
    assert "holds a memory without labels, so there is no image of another class" in errors
    code, _, errors = call("more", "--steps", 3, "--out", "u.html", run="memory")
    assert code == 0, errors


def test_a_class_without_images(call, morph_runs, here, digits):
    model = whence.load(morph_runs / "memory")
    gone = int(classify_images(model, digits.test.images[1:2]).argmin())
    kept = digits.train.labels[:80] != gone
    model.remember(digits.train.images[:80][kept], digits.train.labels[:80][kept])
    whence.save(model, here / "some")
    code, output, errors = call("more", "--to", gone, "--steps", 3, run=here / "some")
    assert (code, output) == (2, "")
    assert f"Class {gone} has no stored image to compare with; choose another class" in errors


def test_a_full_disk_leaves_nothing(call, here, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("whence.storage.whole_files.os.fsync", fail)
    before = list_files(here)
    code, _, errors = call("more", "--steps", 3, "--out", here / "page.html")
    assert code == 2
    assert "No space left" in errors
    assert list_files(here) == before
