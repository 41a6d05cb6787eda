"""``whence explain`` as a user meets it, on small real runs."""

import json
import os

import pytest
from PIL import Image

import whence
from tests.helpers.folders import list_files
from whence.evidence.explain import explain
from whence.gather.explained import hash_memory
from whence.runs.finished import read_about


@pytest.mark.parametrize(
    "mode, name, options, note",
    [
        ("RGB", "a.png", {}, None),
        ("L", "a.png", {}, None),
        ("RGBA", "a.png", {}, "a.png: its transparent parts were put on white."),
        ("CMYK", "a.jpg", {}, "a.jpg: it was converted from CMYK to RGB."),
        ("I;16", "a.png", {}, "a.png: its 16-bit values were brought to 8 bits."),
        ("L", "a.gif", {"save_all": True}, "a.gif: only the first of its frames counts."),
    ],
)
def test_conversions_are_said(tmp_path, mode, name, options, note):
    from whence.cli.work.images import note_file
    from whence.data.image_file import read_files

    first, second = Image.new(mode, (8, 6)), Image.new(mode, (8, 6), 200)
    more = {"append_images": [second], **options} if options else {}
    first.save(tmp_path / name, **more)
    file = read_files([tmp_path / name], size=(6, 8)).files[0]
    assert note_file(file, 6, 8) == (() if note is None else (note,))
    assert len(note_file(file, 3, 4)) == (1 if note is None else 2)


def test_only_ordinary_files_are_replaced(tmp_path, capsys):
    from whence.cli.files import refuse_existing

    pipe, file = tmp_path / "pipe", tmp_path / "file"
    os.mkfifo(pipe)
    file.write_text("")
    for path, what in (
        (pipe, "no ordinary file"),
        (tmp_path, "is a folder"),
        (file / "page.html", "must be in a folder, but"),
    ):
        with pytest.raises(FileExistsError, match=what):
            refuse_existing([path], force=True)
    refuse_existing([file, tmp_path / "new" / "page.html"], force=True)


def test_a_page_for_files_and_folders(call_explain, place, digits_run, digits):
    before = list_files(place)
    code, output, errors = call_explain('say "five" & <6>.png', "more", "--out", "new/page.html")
    assert code == 0
    assert sorted({*list_files(place)} - {*before}) == ["new/page.html"]
    page = (place / "new" / "page.html").read_text()
    model = whence.load(digits_run)
    first = explain(model, digits.test.images[:1])[0]
    assert f"{first.probabilities[first.predicted]:.1%}" in page
    for item in first.evidence[:24]:
        assert f"training image {item.index}" in page
    assert "say &#34;five&#34; &amp; &lt;6&gt;.png" in page
    note = "large.png has 24 x 16 pixels; the model saw its middle at 8 x 8."
    assert f"note: {note}" in errors
    assert note in page
    lines = output.splitlines()
    assert lines[0].startswith(f'say "five" & <6>.png: {model.class_names[first.predicted]} (')
    assert lines[1].startswith("more/large.png: ")
    assert lines[2] == "Written: new/page.html"
    about = read_about(digits_run)
    for text in (about["sha256"]["model.safetensors"], about["run"]["train_fingerprint"]):
        assert text in page
    assert hash_memory(model.bank) in page
    assert "<dd>integrated gradients, baseline white, memory evidence</dd>" in page


def test_the_default_name_is_the_run_and_nothing_is_overwritten(call_explain, place):
    words = ("--test", 3, "--method", "none", "--draws", 0)
    assert call_explain(*words)[0] == 0
    page = (place / "digits.html").read_text()
    assert "relevance of" not in page
    assert "random stored images" not in page
    (place / "digits.html").write_text("mine")
    code, _, errors = call_explain(*words)
    assert code == 2
    assert errors == (
        "whence: digits.html is there already; choose another --out, or add --force to overwrite "
        "it.\n"
    )
    assert (place / "digits.html").read_text() == "mine"
    assert call_explain(*words, "--force")[0] == 0
    assert (place / "digits.html").read_text() == page
    code, _, errors = call_explain(*words, "--out", "more", "--force")
    assert (code, errors) == (2, "whence: more is a folder; name a file with --out.\n")


def test_test_images_are_compared_with_their_labels(call_explain, place, digits_run, digits):
    model = whence.load(digits_run)
    predicted = [one.predicted for one in explain(model, digits.test.images[:40], draws=0)]
    labels = digits.test.labels[:40].tolist()
    right = next(i for i in range(40) if predicted[i] == labels[i])
    wrong = next(i for i in range(40) if predicted[i] != labels[i])
    assert call_explain("--test", right, wrong, "--method", "none")[0] == 0
    page = (place / "digits.html").read_text()
    assert f'verdict wrong">wrong, it is {labels[wrong]}<' in page
    assert 'verdict right">right<' in page
    assert f"test image {wrong}" in page
    code, _, errors = call_explain("--test", 3, 500, "--force")
    assert (code, errors) == (2, "whence: test must be in 0 to 499, got 500.\n")


def test_an_image_of_the_memory_is_left_out_and_said(call_explain, place, digits_run):
    bank = whence.load(digits_run).bank
    Image.fromarray(bank.images[5, 0].numpy()).save(place / "known.png")
    assert call_explain("known.png", "--steps", 1)[0] == 0
    text = f"This very image is in the memory (training image {int(bank.indices[5])})"
    assert text in (place / "digits.html").read_text()


def test_colours_for_a_grey_model_are_noted_on_the_page(call_explain, place):
    Image.new("RGB", (8, 8), (250, 10, 10)).save(place / "red.png")
    code, _, errors = call_explain("red.png", "--steps", 1)
    note = "1 of 1 image is in colour and was converted to grey."
    assert code == 0
    assert f"note: {note}" in errors
    assert note in (place / "digits.html").read_text()


def test_a_turned_photo_is_measured_as_it_is_shown(call_explain, place):
    image = Image.new("L", (8, 16), 90)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(place / "turned.jpg", exif=exif)
    _, _, errors = call_explain("turned.jpg", "--steps", 1)
    assert "turned.jpg has 16 x 8 pixels; the model saw its middle at 8 x 8." in errors
    Image.new("L", (16, 16), 90).save(place / "square.png")
    _, _, errors = call_explain("square.png", "--steps", 1, "--force")
    assert "square.png has 16 x 16 pixels; the model saw it at 8 x 8." in errors


def test_a_standard_model_has_a_page_too(call_explain, place, standard_digits_run):
    assert call_explain("--test", 0, folder=standard_digits_run)[0] == 0
    page = (place / "standard.html").read_text()
    assert "This model has no memory." in page
    assert "relevance of this image" in page
    assert "hash of the memory" not in page
    content = json.loads(call_explain("--test", 0, "--json", folder=standard_digits_run)[1])
    assert content["answers"][0]["evidence"] == []
    assert content["answers"][0]["removal"] is None


def test_a_memory_without_pixels_is_named(call_explain, place, digits_run):
    bare = place / "bare"
    whence.save(whence.load(digits_run), bare, pixels=False)
    assert call_explain('say "five" & <6>.png', folder=bare)[0] == 0
    page = (place / "bare.html").read_text()
    assert "The memory was saved without its images (no pixels)" in page
    assert "training image " in page
    assert page.count("<img") == 2
    assert "hash of the training data" not in page  # no run has made it
    code, _, errors = call_explain("--test", 0, folder=bare)
    assert code == 2
    assert "bare.html is there already" in errors
    code, _, errors = call_explain("--test", 0, "--force", folder=bare)
    assert code == 2
    assert "holds a model that no run has made" in errors


def test_a_model_without_its_memory_is_refused(call_explain, place):
    whence.save(whence.wrap("small_cnn", 3, image_shape=(1, 8, 8)), place / "empty")
    code, _, errors = call_explain("more", folder=place / "empty")
    assert code == 2
    assert "holds a model without its memory; call model.remember(images)" in errors


@pytest.mark.parametrize(
    "words, message",
    [
        ([], "IMAGE must name files or folders, or --test images of the test set."),
        (["more", "--test", "1"], "IMAGE must name files or folders, or --test images"),
        (["missing.png"], "No image missing.png."),
        (["more", "--steps", "0"], "steps must be at least 1, got 0."),
        (["more", "--draws", "-1"], "draws must be at least 0, got -1."),
        (["more", "--batch-size", "0"], "batch-size must be at least 1, got 0."),
        (["more", "--seed", "-1"], "seed must be in 0 to 2**63 - 1, got -1."),
        (["more", "--baseline", "grey"], "Unknown baseline 'grey'. Choose from: white, black"),
        (["more", "--memory", "some"], "Unknown memory 'some'. Choose from: evidence, all."),
        (["more", "--format", "pdf"], "Unknown format 'pdf'. Choose from: html, png, json."),
        (["more", "--format", "png", "--json"], "format must be json with --json, got 'png'"),
        (
            ["more", "--method", "saliency"],
            "Unknown attribution method 'saliency'. Choose from: integrated_gradients, ",
        ),
        (
            ["more", "--method", "path_integrated_gradients"],
            "Unknown attribution method 'path_integrated_gradients'. Choose from: ",
        ),
        (
            ["more", "--method", "gradient", "--steps", "3"],
            "Unknown option 'steps' of gradient. It has none.",
        ),
        (["more", "--with-pixels"], "with-pixels is for --format json with a method"),
        (
            ["more", "--json", "--with-pixels", "--method", "none"],
            "with-pixels is for --format",
        ),
        (["more", "--test", "x"], "test"),
        (["more", "--score", "votes"], "Unknown score 'votes'. Choose from: logit, similarity."),
        (
            ["more", "--score", "similarity"],
            "score must be logit for a model that is not of votes",
        ),
        (["more", "--target", "cow"], "Unknown target 'cow'. Choose from: 0, 1, 2"),
        (
            ["more", "--target", "3", "--method", "none"],
            "target is for an attribution method; leave --method none out.",
        ),
        (["broken.png"], "broken.png cannot be read as an image"),
        (["more", "--device", "tpu"], "device must be cpu or cuda, got 'tpu'."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence_and_writes_nothing(call_explain, place, words, message):
    (place / "broken.png").write_bytes(b"no picture")
    before = list_files(place)
    code, output, errors = call_explain(*words)
    assert (code, output) == (2, "")
    assert errors.startswith("whence: ")
    assert message in errors
    assert errors.count("\n") == 1
    assert list_files(place) == before


def test_no_run_is_said(call_explain, place):
    code, _, errors = call_explain("more", folder=place / "none")
    assert code == 2
    assert "No run in " in errors


def test_a_full_disk_leaves_nothing(call_explain, place, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("whence.storage.whole_files.os.fsync", fail)
    before = list_files(place)
    code, _, errors = call_explain("more", "--steps", 1, "--out", place / "page.html")
    assert code == 2
    assert "No space left" in errors
    assert list_files(place) == before
