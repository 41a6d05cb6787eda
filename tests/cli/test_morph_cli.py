"""``whence morph`` as a user meets it, on small real runs."""

import json
import os
import re
from dataclasses import replace
from functools import partial

import pytest
import torch
from PIL import Image

import whence
from whence.autoencoders.saved_vae import load_vae, read_about_vae, save_vae
from whence.cli import main
from whence.cli.morph import OTHERS as CHOICES
from whence.cli.morph import build
from whence.cli.work.morph import choose_plan, describe
from whence.data.load import load_dataset
from whence.evidence.explain import explain
from whence.gather.morph_training import Training, check_same_data, choose_training
from whence.gather.morphed import Question, check_decoded, morph_images
from whence.models.about import read_about
from whence.morphing.answers import classify_images
from whence.morphing.code import find_codes
from whence.morphing.entropy import measure_path
from whence.morphing.improve import Descent
from whence.morphing.morph import morph as morph_all
from whence.morphing.nearest import nearest_of_class
from whence.morphing.others import OTHERS, store_codes
from whence.morphing.path_mask import path_masks
from whence.morphing.walk import MorphPlan
from whence.runs.images import load_data
from whence.runs.prepare import prepare
from whence.runs.settings import Settings

SHORT = Question(steps=3, plan=MorphPlan(steps=100))
QUICK = ["--train-examples", "80", "--epochs", "6", "--device", "cpu"]
VAE = ["--train-examples", "200", "--epochs", "8", "--codes", "8", "--device", "cpu"]
FEW = 100
SMALL = ["--batch-size", "32"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run with a memory, one without, and an autoencoder of the same images."""
    folder = tmp_path_factory.mktemp("runs")
    train = ["train", "digits", *QUICK]
    assert main([*train, "--memory-size", "40", "--out", str(folder / "memory")]) == 0
    assert main([*train, "--variant", "standard", "--out", str(folder / "standard")]) == 0
    assert main(["train-vae", "digits", *VAE, *SMALL, "--out", str(folder / "vae")]) == 0
    return folder


@pytest.fixture(scope="module")
def digits():
    return load_dataset("digits")


@pytest.fixture
def here(tmp_path, monkeypatch, digits):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(digits.test.images[0, 0].numpy()).save('say "five" & <6>.png')
    (tmp_path / "more").mkdir()
    large = Image.fromarray(digits.test.images[1, 0].numpy()).resize((24, 16))
    large.convert("RGB").save("more/large.png")
    return tmp_path


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Stop codes and morphs early, as whole ones take seconds; all else is as users have it."""
    monkeypatch.setattr("whence.cli.work.morph.MorphPlan", partial(MorphPlan, steps=FEW))
    monkeypatch.setattr("whence.morphing.code.Descent", partial(Descent, steps=10))


@pytest.fixture
def call(runs, here, capsys):
    """Run ``whence morph``; returns code, standard output and standard error."""

    def calls(*words, run="memory", vae="vae"):
        capsys.readouterr()
        code = main(["morph", str(runs / run), *map(str, words), "--vae", str(runs / vae)])
        return code, *capsys.readouterr()

    return calls


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def read(call, *words, **options):
    code, output, errors = call(*words, "--format", "json", **options)
    assert code == 0, errors
    return json.loads(output)


# the command


def test_a_page_for_files_and_folders(call, here, runs, digits):
    before = files(here)
    code, output, errors = call(
        'say "five" & <6>.png', "more", "--steps", 12, "--out", "new/p.html"
    )
    assert code == 0, errors
    assert sorted({*files(here)} - {*before}) == ["new/p.html"]
    page = (here / "new" / "p.html").read_text()
    assert "say &#34;five&#34; &amp; &lt;6&gt;.png" in page
    note = "large.png has 24 x 16 pixels; the model saw its middle at 8 x 8."
    assert f"note: {note}" in errors
    assert note in page
    model = whence.load(runs / "memory")
    first = classify_images(model, digits.test.images[:1]).softmax(1)[0]
    own, other = first.topk(2).indices.tolist()
    assert f"From {other} to {own}, by semantic morphing" in page
    assert f"{float(first[own]):.1%}" in page
    assert "12 images lead from" in page
    lines = output.splitlines()
    assert lines[0].startswith(f'say "five" & <6>.png: {own} from {other} (morph): ')
    assert lines[1].startswith("more/large.png: ")
    assert lines[2] == "Written: new/p.html"
    about = json.loads((runs / "vae" / "vae.json").read_text())
    for text in (
        read_about(runs / "memory")["sha256"]["model.safetensors"],
        about["sha256"],
        "vae: residual, 8 numbers in a code",
        "40 samples of each image, seed 0",
        "radial, 12 images",
        "weight of the length 0.1",
    ):
        assert text in page, text
    assert "does not say what it was trained on" not in page


def test_the_default_name_is_the_run_and_nothing_is_overwritten(call, here):
    words = ("--test", 3, "--steps", 3)
    assert call(*words)[0] == 0
    page = (here / "memory-morph.html").read_text()
    (here / "memory-morph.html").write_text("mine")
    code, _, errors = call(*words)
    assert code == 2
    assert errors == (
        "whence: memory-morph.html is there already; choose another --out, or add --force to "
        "overwrite it.\n"
    )
    assert (here / "memory-morph.html").read_text() == "mine"
    assert call(*words, "--force")[0] == 0
    assert (here / "memory-morph.html").read_text() == page


@pytest.mark.parametrize("other", list(OTHERS))
def test_json_holds_what_the_functions_give(call, here, runs, digits, other):
    words = ("--test", 0, 1, 2, "--other", other, "--seed", 4, "--steps", 9, "--path", "linear")
    content = read(call, *words)
    assert files(here) == ["more/large.png", 'say "five" & <6>.png']
    model, vae = whence.load(runs / "memory"), load_vae(runs / "vae")
    images = digits.test.images[:3]
    training = Training(model.bank.images, model.bank.labels, model.bank.indices)
    stored = store_codes(
        vae,
        training.images,
        training.labels,
        classes=10,
        generator=torch.Generator().manual_seed(4),
    )
    expected = morph_all(
        model,
        vae,
        images,
        stored,
        generator=torch.Generator().manual_seed(4),
        other=other,
        path="linear",
        steps=9,
        morph_plan=MorphPlan(steps=FEW) if other == "morph" else None,
    )
    logits = classify_images(model, images)
    for row, found in enumerate(content["images"]):
        (way,) = found["ways"]
        assert found["image"] == f"test image {row}"
        assert found["truth"]["index"] == int(digits.test.labels[row])
        assert found["probabilities"] == pytest.approx(logits[row].softmax(0).tolist(), abs=1e-5)
        assert found["code"]["how"] == expected.codes.how[row]
        assert found["code"]["distance"] == pytest.approx(float(expected.codes.distances[row]))
        assert found["code"]["norm"] == pytest.approx(float(expected.codes.codes[row].norm()))
        others = expected.others
        classes = [way["self_class"]["index"], way["other_class"]["index"]]
        assert classes == others.classes[row].tolist()
        assert (way["other"], way["found"]) == (other, bool(others.found[row]))
        assert way["reason"] == others.reasons[row]
        assert way["steps"] == int(others.steps[row])
        shares = others.logits[row].softmax(0).tolist()
        assert way["probabilities"] == pytest.approx(shares, abs=1e-4)
        assert way["norm"] == pytest.approx(float(others.codes[row].norm()), rel=1e-4)
        apart = (expected.codes.decoded[row] - others.decoded[row]).abs().sum()
        assert way["pixel_distance"] == pytest.approx(float(apart), rel=1e-3)
        cosine = torch.cosine_similarity(expected.codes.codes[row], others.codes[row], dim=0)
        assert way["cosine"] == pytest.approx(float(cosine), abs=1e-4)
        assert way["class_norm"] == pytest.approx(float(stored.norms.means[classes[1]]))
        entropies = expected.answers.entropies[row].tolist()
        assert way["path"]["entropies"] == pytest.approx(entropies, abs=1e-3)
        assert way["path"]["mean"] == pytest.approx(
            float(expected.answers.window.mean[row]), abs=1e-2
        )
        mask = torch.tensor(way["mask"]["mask"])
        torch.testing.assert_close(mask, expected.masks.masks[row], atol=1e-3, rtol=0)
        gains = expected.masks.gains[row].tolist()
        assert way["mask"]["gains"] == pytest.approx(gains, abs=1e-3)


def test_three_others_share_one_code(call):
    words = ("--test", 0, 1, "--steps", 4)
    together = read(call, *words, *(w for name in CHOICES for w in ("--other", name)))
    for place, name in enumerate(CHOICES):
        alone = read(call, *words, "--other", name)
        for both, one in zip(together["images"], alone["images"], strict=True):
            assert both["code"] == one["code"]
            assert both["ways"][place] == one["ways"][0]


def test_nearest_and_memory_name_the_image_they_start_from(call, runs, digits):
    words = ("--test", 0, 1, 2, 3, "--steps", 4, "--other", "nearest", "--other", "memory")
    content = read(call, *words)
    model, vae = whence.load(runs / "memory"), load_vae(runs / "vae")
    images = digits.test.images[:4]
    explained = explain(model, images, draws=0)
    codes = find_codes(model, vae, images, generator=torch.Generator().manual_seed(0)).codes
    stored = vae.distribution(model.bank.images).mean.detach()
    for row, found in enumerate(content["images"]):
        nearest, memory = found["ways"]
        wanted = torch.tensor([nearest["other_class"]["index"]])
        place = int(
            nearest_of_class(codes[row : row + 1], wanted, stored, model.bank.labels).places
        )
        assert nearest["start"]["index"] == int(model.bank.indices[place])
        assert nearest["start"]["label"]["index"] == int(wanted)
        item = explained[row].counterfactual or explained[row].near_miss
        assert memory["start"]["index"] == item.index
        assert memory["start"]["source"] == item.source
        assert memory["other_class"]["index"] == item.predicted
        assert memory["found"] == (explained[row].counterfactual is not None)


def test_a_class_that_is_named(call, digits):
    own = read(call, "--test", 0, "--steps", 3)["images"][0]["predicted"]["index"]
    other = (own + 3) % 10
    way = read(call, "--test", 0, "--steps", 3, "--to", other)["images"][0]["ways"][0]
    assert way["other_class"] == {"index": other, "name": str(other)}
    (way,) = read(call, "--test", 0, "--steps", 3, "--to", other, "--other", "memory")["images"][0][
        "ways"
    ]
    assert way["other_class"]["index"] == other
    code, output, errors = call("--test", 0, "--to", own)
    assert (code, output) == (2, "")
    assert errors == (
        f"whence: test image 0 is already classified as {own}; name another class with --to.\n"
    )


def test_options_change_what_they_say(call):
    def way(*words):
        return read(call, "--test", 2, "--steps", 4, *words)["images"][0]["ways"][0]

    plain = way()
    assert way("--path", "linear")["path"]["entropies"] != plain["path"]["entropies"]
    assert way("--norm-weight", "1000")["norm"] != plain["norm"]
    assert way("--seed", 1)["norm"] != plain["norm"]
    assert len(way("--steps", 7)["path"]["entropies"]) == 7


def test_the_batch_size_changes_nothing(call):
    one, many = (
        read(call, "--test", 0, 1, 2, "--steps", 4, "--batch-size", size) for size in (2, 500)
    )
    for left, right in zip(one["images"], many["images"], strict=True):
        assert left["code"]["how"] == right["code"]["how"]
        assert left["code"]["norm"] == pytest.approx(right["code"]["norm"], abs=1e-3)
        ways = left["ways"][0], right["ways"][0]
        assert ways[0]["steps"] == ways[1]["steps"]
        assert ways[0]["mask"]["gain"] == pytest.approx(ways[1]["mask"]["gain"], abs=1e-2)


def test_a_standard_model_finds_its_training_images_again(call, runs, digits):
    content = read(call, "--test", 0, "--other", "nearest", "--steps", 3, run="standard")
    way = content["images"][0]["ways"][0]
    start = way["start"]
    assert start["label"]["index"] == way["other_class"]["index"]
    assert int(digits.train.labels[start["index"]]) == start["label"]["index"]
    settings = Settings(data="digits", train_examples=80, epochs=6, variant="standard")
    indices = prepare(settings, load_data(settings)).indices
    assert start["index"] in indices.tolist()
    code, output, errors = call("--test", 0, "--other", "memory", run="standard")
    assert (code, output) == (2, "")
    assert "This model has no memory, so there is no stored counterfactual; choose" in errors


def test_json_goes_to_a_file_if_one_is_named(call, here):
    code, output, _ = call("--test", 0, "--steps", 3, "--format", "json", "--out", "x.json")
    assert code == 0
    assert output.endswith("Written: x.json\n")
    assert json.loads((here / "x.json").read_text())["run"] == "memory"


def test_the_same_block_in_explain(runs, here, capsys):
    def explained(*words):
        capsys.readouterr()
        command = ["explain", str(runs / "memory"), "--test", "0", "--no-heatmaps", "--draws", "0"]
        return main([*command, *map(str, words)]), *capsys.readouterr()

    assert explained("--morph", runs / "vae")[0] == 0
    page = (here / "memory.html").read_text()
    for text in ("by semantic morphing", "from the memory&#39;s counterfactual", "All numbers"):
        assert text in page
    assert "40 samples of each image" in page
    content = json.loads(explained("--morph", runs / "vae", "--json")[1])
    kinds = [way["other"] for way in content["answers"][0]["morph"]["ways"]]
    assert kinds == ["morph", "memory"]
    assert json.loads(explained("--json")[1])["answers"][0]["morph"] is None
    code, _, errors = explained("--morph", runs / "vae", "--format", "png")
    assert (code, errors) == (
        2,
        "whence: morph is for --format html or json; leave one of them out.\n",
    )
    code, _, errors = explained("--morph", here / "none", "--force")
    assert code == 2
    assert "No autoencoder in" in errors


def test_an_image_that_fails_says_why(call, here):
    """The autoencoder of these tests is so poor that some images have no code."""
    code, output, errors = call("--test", *range(8), "--steps", 5, "--norm-weight", "1e9")
    assert code == 0, errors
    page = (here / "memory-morph.html").read_text()
    assert "No code: none of 40 sampled codes" in output
    assert "the nearest miss decodes to" in output
    assert "No code: none of 40 sampled codes" in page


# bad input


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
    before = files(here)
    code, output, errors = call(*words)
    assert (code, output) == (2, "")
    assert errors.startswith("whence: ")
    assert message in errors
    assert errors.count("\n") == 1
    assert files(here) == before


def test_an_autoencoder_that_does_not_fit(call, runs, here, capsys, digits):
    before = files(here)

    def refused(*words, **folders):
        code, output, errors = call(*words, "--test", 0, **folders)
        assert (code, output) == (2, "")
        assert errors.count("\n") == 1
        assert files(here) == before
        return errors

    assert "No autoencoder in" in refused(vae="none")
    assert "train one with: whence train-vae DATA" in refused(vae="none")
    assert "No run in " in refused(run="none")
    vae = load_vae(runs / "vae")
    made = json.loads((runs / "vae" / "vae.json").read_text())["run"]
    other = runs / "other"
    if not other.exists():
        save_vae(
            vae, other, about={**made, "dataset": "letters", "train_fingerprint": "abcdef012345"}
        )
    errors = refused(vae="other")
    assert "must be trained on the images of" in errors
    assert "it was trained on letters (abcdef01), the run on digits (" in errors
    large = runs / "large"
    if not large.exists():
        save_vae(whence_vae((1, 12, 10)), large, about=made)
    assert "vae must be of images (1, 8, 8) as the classifier is, got (1, 12, 10)" in refused(
        vae="large"
    )
    code = main(["morph", str(runs / "memory"), "--test", "0"])
    assert (code, capsys.readouterr().err) == (
        2,
        "whence: --vae must name the folder of an autoencoder; train one with: whence train-vae "
        "DATA\n",
    )


def whence_vae(shape):
    from whence.autoencoders import VAES

    return VAES["residual"](shape, codes=3)


def test_an_autoencoder_that_does_not_say_what_it_learnt_is_noted(call, runs, here):
    if not (runs / "silent").exists():
        save_vae(load_vae(runs / "vae"), runs / "silent")
    code, _, errors = call("--test", 0, "--steps", 3, vae="silent")
    assert code == 0
    assert "does not say what it was trained on" in errors
    assert "does not say what it was trained on" in (here / "memory-morph.html").read_text()


def test_a_memory_without_pixels_or_labels(call, runs, here, digits):
    whence.save(whence.load(runs / "memory"), here / "bare", pixels=False)
    errors = call("more", "--other", "memory", run=here / "bare")[2]
    assert "The memory was saved without its images (no pixels), so its counterfactual" in errors
    errors = call("more", run=here / "bare")[2]  # no run made it: its images cannot be found again
    assert "holds a model that no run has made" in errors
    model = whence.load(runs / "memory")
    model.remember(digits.train.images[:30])
    whence.save(model, here / "unlabelled")
    errors = call("more", run=here / "unlabelled")[2]
    assert "holds a memory without labels, so there is no image of another class" in errors
    code, _, errors = call("more", "--steps", 3, "--out", "u.html", run="memory")
    assert code == 0, errors


def test_a_class_without_images(call, runs, here, digits):
    model = whence.load(runs / "memory")
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
    before = files(here)
    code, _, errors = call("more", "--steps", 3, "--out", here / "page.html")
    assert code == 2
    assert "No space left" in errors
    assert files(here) == before


# the parts


def test_the_choices_are_those_of_the_code_behind_them():
    assert tuple(OTHERS) == CHOICES
    text = " ".join(build().format_help().split())
    assert all(name in text for name in CHOICES)


@pytest.mark.parametrize(
    "dataset, given, weight",
    [
        ("mnist", None, 0.1),
        ("fashion_mnist", None, 10.0),
        ("photos", None, 0.1),
        (None, None, 0.1),
        ("fashion_mnist", 0.5, 0.5),
        ("fashion_mnist", 0.0, 0.0),
    ],
)
def test_the_weight_of_the_length(dataset, given, weight):
    about = {"run": {} if dataset is None else {"dataset": dataset}}
    assert choose_plan(about, given) == MorphPlan(weight=weight, steps=FEW)


def test_which_data_is_the_same(tmp_path):
    run = {"dataset": "a", "train_fingerprint": "1" * 64}
    assert check_same_data(tmp_path, run, tmp_path, dict(run)) is True
    for silent in ({}, None, {"dataset": "a"}):
        assert check_same_data(tmp_path, run, tmp_path, silent) is False
    assert check_same_data(tmp_path, {}, tmp_path, run) is False
    with pytest.raises(ValueError, match=r"trained on b \(22222222\), the run on a \(11111111\)"):
        check_same_data(tmp_path, run, tmp_path, {"dataset": "b", "train_fingerprint": "2" * 64})


def test_an_image_is_not_its_own_other(runs, digits):
    """A training image that is put in the wrong class is the nearest image of its right one."""
    model, vae = whence.load(runs / "standard"), load_vae(runs / "vae")
    image, own = (
        digits.train.images[:1],
        int(classify_images(model, digits.train.images[:1]).argmax()),
    )
    wrong = (own + 1) % 10
    images = digits.train.images[[0, 3, 0]]
    training = Training(images, torch.tensor([wrong] * 3), torch.tensor([50, 3, 51]))
    question = Question(("nearest",), to=wrong, steps=3)
    (found,) = morph_images(model, vae, image, ["a"], [None], training, question=question)
    assert found.ways[0].start.index == 3


@pytest.mark.parametrize(
    "question, message",
    [
        (Question(others=()), "other must be given once or more, each once, got ()"),
        (Question(others=("morph", "morph")), "each once, got ('morph', 'morph')"),
        (Question(others=("far",)), "Unknown other 'far'"),
        (Question(path="wild"), "Unknown path 'wild'"),
        (Question(steps=1), "steps must be at least 2, the two ends, got 1"),
        (Question(to=10), "to must be in 0 to 9, got 10"),
        (Question(to=-1), "to must be in 0 to 9, got -1"),
        (Question(others=("memory",)), "This model has no memory"),
    ],
)
def test_questions_that_make_no_sense(runs, digits, question, message):
    model, vae = whence.load(runs / "standard"), load_vae(runs / "vae")
    training = Training(digits.train.images, digits.train.labels, torch.arange(len(digits.train)))
    with pytest.raises(ValueError, match=re.escape(message)):
        morph_images(model, vae, digits.test.images[:1], ["a"], [None], training, question=question)


def test_lengths_must_agree(runs, digits):
    model, vae = whence.load(runs / "standard"), load_vae(runs / "vae")
    training = Training(digits.train.images, digits.train.labels, torch.arange(len(digits.train)))
    with pytest.raises(ValueError, match=r"one entry per image \(2\), got 1 and 2"):
        morph_images(model, vae, digits.test.images[:2], ["a"], [None, None], training)


def test_an_autoencoder_that_decodes_no_numbers(runs, digits, call, tmp_path):
    vae = load_vae(runs / "vae")
    with torch.no_grad():
        list(vae.decoder.parameters())[-2].mul_(1e38)
        list(vae.decoder.parameters())[-4].mul_(1e38)
    assert not bool(vae.decode(torch.randn(4, vae.codes)).isfinite().all())
    save_vae(vae, tmp_path / "vae", about=read_about_vae(runs / "vae")["run"])
    code, _, error = call("--test", 3, run="standard", vae=tmp_path / "vae")
    assert code == 2
    assert error.splitlines()[-1] == (
        "whence: The autoencoder decodes NaN or infinity for test image 3; train another with: "
        "whence train-vae DATA"
    )


def test_reconstructions_must_be_numbers(runs, digits):
    model, vae = whence.load(runs / "standard"), load_vae(runs / "vae")
    codes = find_codes(
        model,
        vae,
        digits.test.images[:2],
        generator=torch.Generator().manual_seed(0),
        descent=Descent(steps=0),
    )
    check_decoded(codes, ["a.png", "b.png"])
    codes.decoded[1, 0, 3, 4] = torch.nan
    with pytest.raises(ValueError, match=r"decodes NaN or infinity for b.png; train another"):
        check_decoded(codes, ["a.png", "b.png"])


def test_more_images_than_are_held_at_once(runs, digits, monkeypatch):
    monkeypatch.setattr("whence.gather.morphed.TOGETHER", 2)
    model, vae = whence.load(runs / "memory"), load_vae(runs / "vae")
    training = choose_training(runs / "memory", model)
    images, names = digits.test.images[:5], list("abcde")
    found = morph_images(model, vae, images, names, [None] * 5, training, question=SHORT)
    monkeypatch.setattr("whence.gather.morphed.TOGETHER", 32)
    whole = morph_images(model, vae, images, names, [None] * 5, training, question=SHORT)
    for left, right in zip(found, whole, strict=True):
        assert left.name == right.name
        assert left.ways[0].steps == right.ways[0].steps
        assert left.code.norm == pytest.approx(right.code.norm, abs=1e-4)


def test_records_hold_what_the_model_says_of_their_pictures(runs, digits):
    model, vae = whence.load(runs / "memory"), load_vae(runs / "vae")
    training = choose_training(runs / "memory", model)
    question = Question(("nearest",), steps=6)
    (found,) = morph_images(
        model, vae, digits.test.images[:1], ["a"], [3], training, question=question
    )
    way = found.ways[0]
    assert torch.equal(found.image, digits.test.images[0])
    assert torch.equal(way.along.images[0], way.image)
    assert torch.equal(way.along.images[-1], found.code.image)
    path = way.along.images[None].float() / 255
    classes = torch.tensor([way.classes])
    again = measure_path(model, path, classes)
    torch.testing.assert_close(again.probabilities[0], way.along.probabilities, atol=0.02, rtol=0)
    masks = path_masks(model, path, classes[:, 0])
    torch.testing.assert_close(masks.full_gains[0], way.mask.full_gains, atol=0.04, rtol=0)
    shares = model.eval()(path[:, -1]).softmax(1)[0].detach()
    torch.testing.assert_close(found.code.probabilities, shares, atol=0.02, rtol=0)
    real = {int(i): image for i, image in zip(model.bank.indices, model.bank.images, strict=True)}
    assert torch.equal(way.start.image, real[way.start.index])


def test_one_line_for_each_way(runs, digits):
    model, vae = whence.load(runs / "memory"), load_vae(runs / "vae")
    training = choose_training(runs / "memory", model)
    (found,) = morph_images(
        model,
        vae,
        digits.test.images[:1],
        ["a.png"],
        [None],
        training,
        question=SHORT,
    )
    way = replace(found.ways[0], reason=None)
    own, other = way.classes
    way = replace(way, probabilities=torch.eye(10)[other])
    mask = replace(way.mask, gains=torch.tensor([0.25, 0.1]), full_gains=torch.tensor([0.25, 0.25]))
    names = [f"c{label}" for label in range(10)]
    start = f"a.png: c{way.classes[0]} from c{way.classes[1]} (morph): "
    good = replace(found, code=replace(found.code, reason=None))
    line = describe(good, replace(way, mask=mask), names)
    assert line == f"{start}the mask keeps 70.0% of the path's gain"
    nothing = replace(mask, full_gains=torch.zeros(2))
    line = describe(good, replace(way, mask=nothing), names)
    assert line == f"{start}the path gains less than 0.05 of probability"
    astray = replace(way, mask=mask, probabilities=torch.eye(10)[own])
    line = describe(good, astray, names)
    assert line == f"{start}the classifier puts the start of the path in c{own}, not in c{other}"
    assert describe(good, replace(way, reason="No way."), names) == f"{start}No way."
    coded = replace(good, code=replace(good.code, reason="No code."))
    assert describe(coded, replace(way, reason="No way."), names) == f"{start}No code."


def test_nothing_is_left_in_the_models(runs, digits):
    model, vae = whence.load(runs / "memory"), load_vae(runs / "vae")
    before = [(p.clone(), p.requires_grad) for p in (*model.parameters(), *vae.parameters())]
    training = choose_training(runs / "memory", model)
    state = torch.get_rng_state()
    morph_images(model, vae, digits.test.images[:1], ["a"], [None], training, question=SHORT)
    assert torch.equal(torch.get_rng_state(), state)
    assert not any(module.training for module in (*model.modules(), *vae.modules()))
    for parameter, (value, wants) in zip(
        (*model.parameters(), *vae.parameters()), before, strict=True
    ):
        assert torch.equal(parameter, value)
        assert (parameter.requires_grad, parameter.grad) == (wants, None)


def test_progress_goes_to_the_screen_only(call, capsys):
    assert os.environ.get("TQDM_DISABLE") is None
    errors = call("--test", 0, "--steps", 3)[2]
    assert "%|" not in errors
