"""``whence morph`` as a user meets it, on small real runs."""

import json
import os

import pytest
import torch

import whence
from tests.helpers.html_pages import ParsedPage
from tests.helpers.morph_runs import FEW, list_files, stop_early
from whence.autoencoders.saved_vae import load_vae
from whence.cli import main
from whence.cli.morph import build
from whence.cli.work.morph import choose_plan, refuse_all_failed
from whence.evidence.explain import explain
from whence.gather.morph_training import (
    Training,
)
from whence.models.about import read_about
from whence.morphing import OTHERS
from whence.morphing.answers import classify_images
from whence.morphing.code import find_codes
from whence.morphing.morph import morph as morph_all
from whence.morphing.nearest import nearest_of_class
from whence.morphing.stored_codes import store_codes
from whence.morphing.walk import MorphPlan
from whence.records.morphed import Code, Morph
from whence.report.numbers import percent
from whence.runs.images import load_data
from whence.runs.prepare import prepare
from whence.runs.settings import Settings


def test_a_page_for_files_and_folders(call, here, morph_runs, digits, coded):
    before = list_files(here)
    code, output, errors = call(
        'say "five" & <6>.png', "more", "--steps", 12, "--out", "new/p.html"
    )
    assert code == 0, errors
    assert sorted({*list_files(here)} - {*before}) == ["new/p.html"]
    page = (here / "new" / "p.html").read_text()
    assert "say &#34;five&#34; &amp; &lt;6&gt;.png" in page
    note = "large.png has 24 x 16 pixels; the model saw its middle at 8 x 8."
    assert f"note: {note}" in errors
    assert note in page
    model = whence.load(morph_runs / "memory")
    image = digits.test.images[coded[0][:1]]
    first = classify_images(model, image).softmax(1)[0]
    own, other = first.topk(2).indices.tolist()
    assert f"From {other} to {own}, by semantic morphing" in page
    assert percent(float(first[own])) in page
    assert "12 images lead from" in page
    lines = output.splitlines()
    assert lines[0].startswith(f'say "five" & <6>.png: {own} from {other} (morph): ')
    assert lines[1].startswith("more/large.png: ")
    assert lines[2] == "Written: new/p.html"
    about = json.loads((morph_runs / "vae" / "vae.json").read_text())
    for text in (
        read_about(morph_runs / "memory")["sha256"]["model.safetensors"],
        about["sha256"],
        "vae: residual, 8 numbers in a code",
        "40 samples of each image, seed 0",
        "radial, 12 images",
        "weight of the length 0.1",
    ):
        assert text in page, text
    assert "does not say what it was trained on" not in page


def test_the_default_name_is_the_run_and_nothing_is_overwritten(call, here, coded):
    words = ("--test", coded[0][0], "--steps", 3)
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
def test_json_holds_what_the_functions_give(call, here, morph_runs, digits, coded, other):
    rows = coded[0][:3]
    words = ("--test", *rows, "--other", other, "--seed", 4, "--steps", 9, "--path", "linear")
    content = call.json(*words)
    assert list_files(here) == ["more/large.png", 'say "five" & <6>.png']
    model, vae = whence.load(morph_runs / "memory"), load_vae(morph_runs / "vae")
    images = digits.test.images[rows]
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
        assert found["image"] == f"test image {rows[row]}"
        assert found["truth"]["index"] == int(digits.test.labels[rows[row]])
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


def test_three_others_share_one_code(call, coded):
    words = ("--test", *coded[0][:2], "--steps", 4)
    together = call.json(*words, *(w for name in OTHERS for w in ("--other", name)))
    for place, name in enumerate(OTHERS):
        alone = call.json(*words, "--other", name)
        for both, one in zip(together["images"], alone["images"], strict=True):
            assert both["code"] == one["code"]
            assert both["ways"][place] == one["ways"][0]


def test_nearest_and_memory_name_the_image_they_start_from(call, morph_runs, digits, coded):
    rows = coded[0][:4]
    words = ("--test", *rows, "--steps", 4, "--other", "nearest", "--other", "memory")
    content = call.json(*words)
    model, vae = whence.load(morph_runs / "memory"), load_vae(morph_runs / "vae")
    images = digits.test.images[rows]
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


def test_a_class_that_is_named(call, coded):
    first = coded[0][0]
    own = call.way("--test", first, "--steps", 3)["self_class"]["index"]
    other = (own + 3) % 10
    words = ("--test", first, "--steps", 3, "--to", other)
    assert call.way(*words)["other_class"] == {"index": other, "name": str(other)}
    assert call.way(*words, "--other", "memory")["other_class"]["index"] == other
    code, output, errors = call("--test", first, "--to", own)
    assert (code, output) == (2, "")
    assert errors == (
        f"whence: test image {first} is already classified as {own}; name another class with --to.\n"
    )


def test_options_change_what_they_say(call, coded):
    def way(*words):
        return call.way("--test", coded[0][1], "--steps", 4, *words)

    plain = way()
    assert way("--path", "linear")["path"]["entropies"] != plain["path"]["entropies"]
    assert way("--norm-weight", "1000")["norm"] != plain["norm"]
    assert way("--seed", 1)["norm"] != plain["norm"]
    assert len(way("--steps", 7)["path"]["entropies"]) == 7


def test_the_batch_size_changes_nothing(call, coded):
    words = ("--test", *coded[0][:3], "--steps", 4, "--batch-size")
    one, many = (call.json(*words, size) for size in (2, 500))
    for left, right in zip(one["images"], many["images"], strict=True):
        assert left["code"]["how"] == right["code"]["how"]
        assert left["code"]["norm"] == pytest.approx(right["code"]["norm"], abs=1e-3)
        ways = left["ways"][0], right["ways"][0]
        assert ways[0]["steps"] == ways[1]["steps"]
        assert ways[0]["mask"]["gain"] == pytest.approx(ways[1]["mask"]["gain"], abs=1e-2)


def test_a_standard_model_finds_its_training_images_again(call, digits):
    content = call.json("--test", *range(6), "--other", "nearest", "--steps", 3, run="standard")
    way = next(way for image in content["images"] for way in image["ways"])
    start = way["start"]
    assert start["label"]["index"] == way["other_class"]["index"]
    assert int(digits.train.labels[start["index"]]) == start["label"]["index"]
    settings = Settings(data="digits", train_examples=200, epochs=15, variant="standard")
    indices = prepare(settings, load_data(settings)).indices
    assert start["index"] in indices.tolist()
    code, output, errors = call("--test", 0, "--other", "memory", run="standard")
    assert (code, output) == (2, "")
    assert "This model has no memory, so there is no stored counterfactual; choose" in errors


def test_json_goes_to_a_file_if_one_is_named(call, here, coded):
    code, output, _ = call(
        "--test", coded[0][0], "--steps", 3, "--format", "json", "--out", "x.json"
    )
    assert code == 0
    assert output.endswith("Written: x.json\n")
    assert json.loads((here / "x.json").read_text())["run"] == "memory"


def test_the_same_blocks_in_explain(morph_runs, here, capsys, coded, monkeypatch):
    stop_early(monkeypatch)

    def explained(*words, test=coded[0][0]):
        capsys.readouterr()
        quick = ["--method", "none", "--draws", 0]
        command = ["explain", morph_runs / "memory", "--test", test, *quick]
        return main([*map(str, command), *map(str, words)]), *capsys.readouterr()

    assert explained("--morph", morph_runs / "vae")[0] == 0
    page = (here / "memory.html").read_text()
    for text in ("by semantic morphing", "from the memory&#39;s counterfactual", "All numbers"):
        assert text in page
    assert "40 samples of each image" in page
    content = json.loads(explained("--morph", morph_runs / "vae", "--json")[1])
    kinds = [way["other"] for way in content["answers"][0]["morph"]["ways"]]
    assert kinds == ["morph", "memory"]
    assert json.loads(explained("--json")[1])["answers"][0]["morph"] is None
    code, _, errors = explained("--morph", morph_runs / "vae", "--format", "png")
    assert (code, errors) == (
        2,
        "whence: morph is for --format html or json; leave one of them out.\n",
    )
    code, _, errors = explained("--morph", here / "none", "--force")
    assert code == 2
    assert "No autoencoder in" in errors
    assert explained("--morph", morph_runs / "vae", "--force", test=coded[1][0])[0] == 0
    page = ParsedPage((here / "memory.html").read_text()).words
    assert "This image cannot be morphed The autoencoder is not good enough" in page
    assert "How much the memory counts" in page
    assert "All numbers" not in page


def test_an_image_that_the_autoencoder_is_not_good_enough_for(call, here, coded):
    (good, *_), (poor, *_) = coded
    code, output, errors = call("--test", poor, good, "--steps", 5, "--other", "nearest")
    assert code == 0, errors
    line = output.splitlines()[0]
    assert line.startswith(
        f"test image {poor}: The autoencoder is not good enough for this image: in none of 40 "
        "samples and 10 steps of improving one does the model clearly see "
    )
    assert "Train the autoencoder longer. The command is: whence train-vae DATA --epochs N" in line
    error = json.loads((call.runs / "vae" / "metrics.json").read_text())["test"]["l1"]
    known = f"its reconstructions of 500 test images are off by {error:.1%})."
    assert line.endswith(f"(it was trained for 10 epochs, {known}")
    page = ParsedPage((here / "memory-morph.html").read_text())
    assert "This image cannot be morphed The autoencoder is not good enough" in page.words
    sections = [one for _, one in page.elements if one.get("id", "").startswith("image-")]
    assert len(sections) == 2
    assert len(page.all("svg")) == 2 + 6  # the plots of one way, and the lines of their legends


def test_where_no_image_can_be_morphed_nothing_is_written(call, here, coded):
    before = list_files(here)
    poor = coded[1]
    for words in (("--test", poor[0]), ("--test", poor[0], "--format", "json")):
        code, output, errors = call(*words)
        assert (code, output) == (2, "")
        start = f"whence: test image {poor[0]} cannot be morphed. The autoencoder is not good"
        assert errors.splitlines()[-1].startswith(start)
    assert list_files(here) == before


def test_of_many_images_that_cannot_be_morphed_the_first_is_named(coded):
    code = Code(torch.zeros(1, 2, 2), torch.tensor([1.0, 0.0]), "none", "Train it.", 0.5, 1.0)
    image = torch.zeros(1, 2, 2, dtype=torch.uint8)
    failed = [Morph(name, image, None, code.probabilities, code, ()) for name in "abc"]
    with pytest.raises(
        ValueError, match=r"^a cannot be morphed, and 2 other images neither\. Train it\.$"
    ):
        refuse_all_failed(failed)
    with pytest.raises(ValueError, match=r"^a cannot be morphed\. Train it\.$"):
        refuse_all_failed(failed[:1])


def test_the_help_names_every_choice():
    text = " ".join(build().format_help().split())
    assert all(name in text for name in OTHERS)


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
    assert choose_plan(about, given) == MorphPlan(weight=weight)


def test_progress_goes_to_the_screen_only(call, coded):
    assert os.environ.get("TQDM_DISABLE") is None
    errors = call("--test", coded[0][0], "--steps", 3)[2]
    assert "%|" not in errors
