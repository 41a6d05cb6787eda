"""``whence explain`` as JSON, figures and pictures, and the options of its attribution."""

import base64
import io
import json

import pytest
import torch
from PIL import Image

import whence
from tests.helpers.folders import list_files
from whence.evidence.explain import explain
from whence.evidence.removal import find_removals


def test_json_holds_what_the_functions_give(call_explain, place, digits_run, digits):
    code, output, _ = call_explain(
        "--test", 0, 1, "--json", "--seed", 4, "--draws", 7, "--steps", 5
    )
    assert code == 0
    assert list_files(place) == ["more/large.png", 'say "five" & <6>.png']
    content = json.loads(output)
    model, images = whence.load(digits_run), digits.test.images[:2]
    expected = explain(model, images, draws=7, seed=4)
    maps = whence.attribute(model, images, steps=5)
    removals = find_removals(model, images)
    for row, found in enumerate(content["answers"]):
        one = expected[row]
        assert found["image"] == f"test image {row}"
        assert found["truth"]["index"] == int(digits.test.labels[row])
        assert found["predicted"]["index"] == one.predicted
        assert found["probabilities"] == pytest.approx(one.probabilities.tolist(), abs=1e-6)
        assert [i["index"] for i in found["evidence"]] == [i.index for i in one.evidence]
        changes = [item["without"]["logit_changes"] for item in found["evidence"]]
        torch.testing.assert_close(torch.tensor(changes), one.without)
        assert found["draws"]["changed"] == one.draws.changed
        assert (found["draws"]["draws"], found["draws"]["seed"]) == (7, 4)
        assert found["reliance"] == pytest.approx(one.reliance)
        assert found["removal"]["removed"] == list(removals[row].removed)
        laid = found["attribution"]
        assert laid["score"] == pytest.approx(float(maps.score[row]))
        assert laid["start"] == pytest.approx(float(maps.start[row]))
        assert laid["target"] == f"logit of {found['predicted']['name']}"
        change = laid["score"] - laid["start"]
        assert sum(laid["ledger"].values()) == pytest.approx(change, abs=1e-6)
        sums = [float(part.sum()) for part in maps.evidence[row]]
        assert laid["evidence_sums"] == pytest.approx(sums, abs=1e-4)
        assert (laid["options"]["steps"], laid["rest"]) == (5, None)
    assert call_explain("--test", 0, 1, "--format", "json", "--out", "x.json", "--seed", 4)[0] == 0
    assert json.loads((place / "x.json").read_text())["classes"] == content["classes"]


def test_left_out_of_one_image_is_what_an_edited_memory_answers(call_explain, digits_run, digits):
    content = json.loads(call_explain("--test", 2, "--json", "--method", "none")[1])
    item = content["answers"][0]["evidence"][0]
    model = whence.load(digits_run)
    edited = whence.edit(model, remove=[item["index"]])
    expected = explain(edited, digits.test.images[2:3], draws=0)[0].probabilities
    assert item["without"]["probabilities"] == pytest.approx(expected.tolist(), abs=1e-5)


def test_options_of_a_method_change_its_relevance(call_explain, digits_run, digits):
    def sums(*words):
        content = json.loads(call_explain("--test", 0, "--json", "--draws", 0, *words)[1])
        return content["answers"][0]["attribution"]

    few = ("--steps", 4)
    plain = sums(*few)
    assert sums(*few, "--baseline", "black")["image_sum"] != plain["image_sum"]
    assert sums("--steps", 3)["image_sum"] != plain["image_sum"]
    assert sums(*few, "--memory", "all")["rest"] is not None
    assert plain["rest"] is None
    assert sums("--method", "none") is None
    pixels = torch.tensor(sums(*few, "--with-pixels")["image"])
    maps = whence.attribute(whence.load(digits_run), digits.test.images[:1], steps=4)
    torch.testing.assert_close(pixels, maps.images[0], rtol=1e-4, atol=1e-6)


def test_another_score_can_be_explained(call_explain, place, digits_run, digits):
    words = ("--test", 1, "--draws", 0, "--steps", 3, "--target", "3:8")
    found = json.loads(call_explain(*words, "--json")[1])["answers"][0]["attribution"]
    maps = whence.attribute(
        whence.load(digits_run), digits.test.images[1:2], target=("3", "8"), steps=3
    )
    assert found["target"] == maps.target[0] == "logit of 3 minus logit of 8"
    assert found["score"] == pytest.approx(float(maps.score[0]))
    assert found["image_sum"] == pytest.approx(float(maps.images.sum()), abs=1e-4)
    assert call_explain(*words, "--out", "a.html")[0] == 0
    assert "logit of 3 minus logit of 8" in (place / "a.html").read_text()


@pytest.mark.parametrize("folder", ["digits_run", "standard_digits_run"])
@pytest.mark.parametrize("method", ["gradient", "random"])
def test_every_method_that_the_command_names_makes_a_page(
    call_explain, place, request, folder, method
):
    folder = request.getfixturevalue(folder)
    code, _, errors = call_explain(
        "--test", 0, "--draws", 0, "--method", method, "--out", "a.html", folder=folder
    )
    assert (code, errors) == (0, "")
    page = (place / "a.html").read_text()
    assert "the numbers do not add up to it." in page
    assert page.count("relevance of") >= (3 if folder.name == "digits" else 1)


def test_what_is_drawn_follows_the_seed(call_explain):
    def sums(seed):
        words = ("--test", 0, "--json", "--draws", 0, "--method", "random", "--seed", seed)
        return json.loads(call_explain(*words)[1])["answers"][0]["attribution"]["image_sum"]

    assert sums(1) == sums(1) != sums(2)


def test_the_batch_size_changes_nothing(call_explain):
    one, many = (
        json.loads(
            call_explain(
                *("--test", 0, 1, "--json", "--steps", 2, "--draws", 5, "--batch-size", size)
            )[1]
        )
        for size in (1, 128)
    )
    for left, right in zip(one["answers"], many["answers"], strict=True):
        assert left["probabilities"] == pytest.approx(right["probabilities"], abs=1e-5)
        assert left["removal"] == right["removal"]
        assert left["doubt"] == right["doubt"]
        sums = [answer["attribution"]["evidence_sums"] for answer in (left, right)]
        assert sums[0] == pytest.approx(sums[1], abs=1e-4)


def test_figures_are_two_files(call_explain, place):
    code, output, _ = call_explain(
        "--test", 0, 1, "--format", "png", "--steps", 4, "--out", "fig.png"
    )
    assert code == 0
    assert output.endswith("Written: fig-evidence.png, fig-attribution.png\n")
    for name in ("fig-evidence.png", "fig-attribution.png"):
        with Image.open(place / name) as image:
            assert image.format == "PNG"
            assert min(image.size) > 300
    code, _, errors = call_explain("--test", 0, "--format", "png", "--out", "fig")
    assert code == 2
    assert "fig-evidence.png is there already" in errors
    assert call_explain("--test", 0, "--format", "png", "--steps", 1)[0] == 0
    assert (place / "digits-attribution.png").exists()


def test_png_of_a_page_is_the_pixel_itself(call_explain, place, digits):
    assert call_explain("--test", 0, "--method", "none")[0] == 0
    page = (place / "digits.html").read_text()
    start = page.index("data:image/png;base64,") + len("data:image/png;base64,")
    data = base64.b64decode(page[start : page.index('"', start)])
    pixels = torch.tensor(list(Image.open(io.BytesIO(data)).tobytes())).view(8, 8)
    assert torch.equal(pixels, digits.test.images[0, 0].long())
