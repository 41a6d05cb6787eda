"""``whence explain`` as a user meets it, on small real runs."""

import hashlib
import io
import json
import os

import pytest
import torch
from PIL import Image

import whence
from whence.attribution.joint import heatmaps
from whence.cli import main
from whence.data.load import load_dataset
from whence.evidence.explain import explain
from whence.evidence.removal import find_removals
from whence.gather.explained import describe_origin, explain_images, hash_memory
from whence.runs.finished import read_about

QUICK = ["--train-examples", "60", "--epochs", "6", "--memory-size", "20"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "digits"
    assert main(["train", "digits", *QUICK, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def standard(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "standard"
    command = ["train", "digits", *QUICK, "--variant", "standard", "--out", str(folder)]
    assert main(command) == 0
    return folder


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits").test


@pytest.fixture
def here(tmp_path, monkeypatch, digits):
    """A current folder with two digits as files, one of them in a folder and larger."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(digits.images[0, 0].numpy()).save('say "five" & <6>.png')
    (tmp_path / "more").mkdir()
    large = Image.fromarray(digits.images[1, 0].numpy()).resize((24, 16))
    large.convert("RGB").save("more/large.png")
    return tmp_path


@pytest.fixture
def call(run, here, capsys):
    """Run ``whence explain`` on the run; returns code, standard output and standard error."""

    def calls(*words, folder=run):
        capsys.readouterr()
        code = main(["explain", str(folder), *map(str, words)])
        return code, *capsys.readouterr()

    return calls


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


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
    from whence.data.image_file import read_asked

    first, second = Image.new(mode, (8, 6)), Image.new(mode, (8, 6), 200)
    more = {"append_images": [second], **options} if options else {}
    first.save(tmp_path / name, **more)
    file = read_asked([tmp_path / name], size=(6, 8)).files[0]
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


def test_a_page_for_files_and_folders(call, here, run, digits):
    before = files(here)
    code, output, errors = call('say "five" & <6>.png', "more", "--out", "new/page.html")
    assert code == 0
    assert sorted({*files(here)} - {*before}) == ["new/page.html"]
    page = (here / "new" / "page.html").read_text()
    model = whence.load(run)
    first = explain(model, digits.images[:1])[0]
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
    about = read_about(run)
    for text in (about["sha256"]["model.safetensors"], about["run"]["train_fingerprint"]):
        assert text in page
    assert hash_memory(model.bank) in page
    assert "integrated gradients, 32 steps from white" in page


def test_the_default_name_is_the_run_and_nothing_is_overwritten(call, here):
    words = ("--test", 3, "--no-heatmaps", "--draws", 0)
    assert call(*words)[0] == 0
    page = (here / "digits.html").read_text()
    assert "heatmap of" not in page
    assert "random stored images" not in page
    (here / "digits.html").write_text("mine")
    code, _, errors = call(*words)
    assert code == 2
    assert errors == (
        "whence: digits.html is there already; choose another --out, or add --force to overwrite "
        "it.\n"
    )
    assert (here / "digits.html").read_text() == "mine"
    assert call(*words, "--force")[0] == 0
    assert (here / "digits.html").read_text() == page
    code, _, errors = call(*words, "--out", "more", "--force")
    assert (code, errors) == (2, "whence: more is a folder; name a file with --out.\n")


def test_test_images_are_compared_with_their_labels(call, here, run, digits):
    model = whence.load(run)
    predicted = [one.predicted for one in explain(model, digits.images[:40], draws=0)]
    labels = digits.labels[:40].tolist()
    right = next(i for i in range(40) if predicted[i] == labels[i])
    wrong = next(i for i in range(40) if predicted[i] != labels[i])
    assert call("--test", right, wrong, "--no-heatmaps")[0] == 0
    page = (here / "digits.html").read_text()
    assert f'verdict wrong">wrong, it is {labels[wrong]}<' in page
    assert 'verdict right">right<' in page
    assert f"test image {wrong}" in page
    code, _, errors = call("--test", 3, 500, "--force")
    assert (code, errors) == (2, "whence: test must be in 0 to 499, got 500.\n")


def test_json_holds_what_the_functions_give(call, here, run, digits):
    code, output, _ = call("--test", 0, 1, "--json", "--seed", 4, "--draws", 7, "--steps", 5)
    assert code == 0
    assert files(here) == ["more/large.png", 'say "five" & <6>.png']
    content = json.loads(output)
    model, images = whence.load(run), digits.images[:2]
    expected = explain(model, images, draws=7, seed=4)
    maps = heatmaps(model, images, steps=5)
    removals = find_removals(model, images)
    for row, found in enumerate(content["answers"]):
        one = expected[row]
        assert found["image"] == f"test image {row}"
        assert found["truth"]["index"] == int(digits.labels[row])
        assert found["predicted"]["index"] == one.predicted
        assert found["probabilities"] == pytest.approx(one.probabilities.tolist(), abs=1e-6)
        assert [i["index"] for i in found["evidence"]] == [i.index for i in one.evidence]
        changes = [item["without"]["logit_changes"] for item in found["evidence"]]
        torch.testing.assert_close(torch.tensor(changes), one.without)
        assert found["draws"]["changed"] == one.draws.changed
        assert (found["draws"]["draws"], found["draws"]["seed"]) == (7, 4)
        assert found["reliance"] == pytest.approx(one.reliance)
        assert found["removal"]["removed"] == list(removals[row].removed)
        assert found["heatmaps"]["score_change"] == pytest.approx(float(maps.score_change[row]))
        sums = [float(part.sum()) for part in maps.evidence[row]]
        assert found["heatmaps"]["evidence_sums"] == pytest.approx(sums, abs=1e-4)
        assert (found["heatmaps"]["steps"], found["heatmaps"]["rest"]) == (5, None)
    assert call("--test", 0, 1, "--format", "json", "--out", "x.json", "--seed", 4)[0] == 0
    assert json.loads((here / "x.json").read_text())["classes"] == content["classes"]


def test_left_out_of_one_image_is_what_an_edited_memory_answers(call, run):
    content = json.loads(call("--test", 2, "--json", "--no-heatmaps")[1])
    item = content["answers"][0]["evidence"][0]
    model = whence.load(run)
    edited = whence.edit(model, remove=[item["index"]])
    images = load_dataset("digits").test.images[2:3]
    expected = explain(edited, images, draws=0)[0].probabilities
    assert item["without"]["probabilities"] == pytest.approx(expected.tolist(), abs=1e-5)


def test_heatmap_options_change_the_heatmaps(call, run, digits):
    def sums(*words):
        content = json.loads(call("--test", 0, "--json", "--draws", 0, *words)[1])
        return content["answers"][0]["heatmaps"]

    plain = sums()
    assert sums("--baseline", "black")["image_sum"] != plain["image_sum"]
    assert sums("--steps", 3)["image_sum"] != plain["image_sum"]
    assert sums("--memory", "all")["rest"] is not None
    assert plain["rest"] is None
    assert sums("--no-heatmaps") is None
    pixels = torch.tensor(sums("--with-heatmaps")["image"])
    maps = heatmaps(whence.load(run), digits.images[:1])
    torch.testing.assert_close(pixels, maps.images[0], rtol=1e-4, atol=1e-6)


def test_the_batch_size_changes_nothing(call):
    one, many = (
        json.loads(call("--test", 0, 1, 2, "--json", "--steps", 4, "--batch-size", size)[1])
        for size in (1, 128)
    )
    for left, right in zip(one["answers"], many["answers"], strict=True):
        assert left["probabilities"] == pytest.approx(right["probabilities"], abs=1e-5)
        assert left["removal"] == right["removal"]
        assert left["doubt"] == right["doubt"]
        sums = [answer["heatmaps"]["evidence_sums"] for answer in (left, right)]
        assert sums[0] == pytest.approx(sums[1], abs=1e-4)


def test_figures_are_two_files(call, here):
    code, output, _ = call("--test", 0, 1, "--format", "png", "--steps", 4, "--out", "fig.png")
    assert code == 0
    assert output.endswith("Written: fig-evidence.png, fig-heatmaps.png\n")
    for name in ("fig-evidence.png", "fig-heatmaps.png"):
        with Image.open(here / name) as image:
            assert image.format == "PNG"
            assert min(image.size) > 300
    code, _, errors = call("--test", 0, "--format", "png", "--out", "fig")
    assert code == 2
    assert "fig-evidence.png is there already" in errors
    assert call("--test", 0, "--format", "png", "--steps", 1)[0] == 0
    assert (here / "digits-heatmaps.png").exists()


def test_an_image_of_the_memory_is_left_out_and_said(call, here, run):
    bank = whence.load(run).bank
    Image.fromarray(bank.images[5, 0].numpy()).save(here / "known.png")
    assert call("known.png", "--steps", 1)[0] == 0
    text = f"This very image is in the memory (training image {int(bank.indices[5])})"
    assert text in (here / "digits.html").read_text()


def test_colours_for_a_grey_model_are_noted_on_the_page(call, here):
    Image.new("RGB", (8, 8), (250, 10, 10)).save(here / "red.png")
    code, _, errors = call("red.png", "--steps", 1)
    note = "1 of 1 images are in colour and were converted to grey."
    assert code == 0
    assert f"note: {note}" in errors
    assert note in (here / "digits.html").read_text()


def test_a_turned_photo_is_measured_as_it_is_shown(call, here):
    image = Image.new("L", (8, 16), 90)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(here / "turned.jpg", exif=exif)
    _, _, errors = call("turned.jpg", "--steps", 1)
    assert "turned.jpg has 16 x 8 pixels; the model saw its middle at 8 x 8." in errors
    Image.new("L", (16, 16), 90).save(here / "square.png")
    _, _, errors = call("square.png", "--steps", 1, "--force")
    assert "square.png has 16 x 16 pixels; the model saw it at 8 x 8." in errors


def test_a_standard_model_has_a_page_too(call, here, standard):
    assert call("--test", 0, folder=standard)[0] == 0
    page = (here / "standard.html").read_text()
    assert "This model has no memory." in page
    assert "heatmap of this image" in page
    assert "hash of the memory" not in page
    content = json.loads(call("--test", 0, "--json", folder=standard)[1])
    assert content["answers"][0]["evidence"] == []
    assert content["answers"][0]["removal"] is None


def test_a_memory_without_pixels_is_named(call, here, run):
    bare = here / "bare"
    whence.save(whence.load(run), bare, pixels=False)
    assert call('say "five" & <6>.png', folder=bare)[0] == 0
    page = (here / "bare.html").read_text()
    assert "The memory was saved without its images (no pixels)" in page
    assert "training image " in page
    assert page.count("<img") == 2
    assert "hash of the training data" not in page  # no run has made it
    code, _, errors = call("--test", 0, folder=bare)
    assert code == 2
    assert "bare.html is there already" in errors
    code, _, errors = call("--test", 0, "--force", folder=bare)
    assert code == 2
    assert "holds a model that no run has made" in errors


def test_a_model_without_its_memory_is_refused(call, here):
    whence.save(whence.wrap("small_cnn", 3, image_shape=(1, 8, 8)), here / "empty")
    code, _, errors = call("more", folder=here / "empty")
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
        (["more", "--with-heatmaps"], "with-heatmaps is for --format json with heatmaps"),
        (["more", "--json", "--with-heatmaps", "--no-heatmaps"], "with-heatmaps is for --format"),
        (["more", "--test", "x"], "test"),
        (["broken.png"], "broken.png cannot be read as an image"),
        (["more", "--device", "tpu"], "device must be cpu or cuda, got 'tpu'."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence_and_writes_nothing(call, here, words, message):
    (here / "broken.png").write_bytes(b"no picture")
    before = files(here)
    code, output, errors = call(*words)
    assert (code, output) == (2, "")
    assert errors.startswith("whence: ")
    assert message in errors
    assert errors.count("\n") == 1
    assert files(here) == before


def test_no_run_is_said(call, here):
    code, _, errors = call("more", folder=here / "none")
    assert code == 2
    assert "No run in " in errors


def test_a_full_disk_leaves_nothing(call, here, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("whence.storage.whole_files.os.fsync", fail)
    before = files(here)
    code, _, errors = call("more", "--steps", 1, "--out", here / "page.html")
    assert code == 2
    assert "No space left" in errors
    assert files(here) == before


# gather/explained.py


def test_memory_hash_by_hand(run):
    bank = whence.load(run).bank
    expected = hashlib.sha256("\n".join(bank.hashes).encode()).hexdigest()
    assert hash_memory(bank) == expected
    assert hash_memory(bank.take(torch.arange(1, len(bank)))) != expected


def test_lengths_must_agree(run):
    model = whence.load(run)
    images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match=r"one entry per image \(2\), got 1 and 2"):
        explain_images(model, images, ["a"], [None, None])


def test_answers_hold_the_pixels_that_they_name(run, digits):
    model = whence.load(run)
    answers = explain_images(model, digits.images[:6], list("abcdef"), [None] * 6, steps=2)
    places = {index: place for place, index in enumerate(model.bank.indices.tolist())}
    for row, answer in enumerate(answers):
        named = {item.index for item in answer.explanation.evidence} | {*answer.removal.removed}
        if answer.explanation.near_miss:
            named.add(answer.explanation.near_miss.index)
        assert set(answer.stored) == named
        for index, stored in answer.stored.items():
            assert torch.equal(stored.image, model.bank.images[places[index]])
            assert stored.label == int(model.bank.labels[places[index]])
            assert stored.predicted == int(model.bank.predicted[places[index]])
        assert torch.equal(answer.image, digits.images[row])
        assert len(answer.maps.evidence[0]) == len(answer.explanation.evidence)
    whole = heatmaps(model, digits.images[:6], steps=2)
    torch.testing.assert_close(answers[4].maps.images[0], whole.images[4])
    torch.testing.assert_close(answers[4].maps.evidence[0], whole.evidence[4])
    torch.testing.assert_close(answers[4].maps.completeness_error[0], whole.completeness_error[4])


def test_float_images_and_unknown_labels(run, digits):
    model = whence.load(run)
    model.remember(model.bank.images)
    images = digits.images[:1].float() / 255
    answer = explain_images(model, images, ["x"], [None], with_heatmaps=False)[0]
    assert torch.equal(answer.image, digits.images[0])
    assert {stored.label for stored in answer.stored.values()} == {None}
    assert answer.maps is None


def test_origin_of_a_run(run):
    model, about = whence.load(run), read_about(run)
    origin = describe_origin(run, about, model, [("heatmaps", "none")])
    facts = dict(origin.facts)
    assert origin.run == facts["run"] == "digits"
    assert (facts["seed"], facts["training images"], facts["data"]) == ("0", "60", "digits")
    assert facts["memory"] == "60 stored images"
    assert facts["heatmaps"] == "none"
    assert f"torch {about['versions']['torch']}" in facts["trained with"]
    assert origin.notes == ()


def test_png_of_a_page_is_the_pixel_itself(call, here, digits):
    import base64

    assert call("--test", 0, "--no-heatmaps")[0] == 0
    page = (here / "digits.html").read_text()
    start = page.index("data:image/png;base64,") + len("data:image/png;base64,")
    data = base64.b64decode(page[start : page.index('"', start)])
    pixels = torch.tensor(list(Image.open(io.BytesIO(data)).tobytes())).view(8, 8)
    assert torch.equal(pixels, digits.images[0, 0].long())
