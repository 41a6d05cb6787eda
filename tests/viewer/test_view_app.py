"""What the viewer answers to a page: answers, edits, lists; the oracle is the library itself."""

import copy
import io
import json
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from starlette.testclient import TestClient

import whence
from tests.viewer.conftest import HOST, ME, YOU, Page
from whence.cli import main
from whence.records.class_measures import ClassMeasures
from whence.records.decision import Decision
from whence.runs.where import AS_SETTINGS_SAY, Where
from whence.viewer import visitors
from whence.viewer.app import build_app
from whence.viewer.changes import EditedMemory
from whence.viewer.shown import StoredPictures, show_prediction
from whence.viewer.viewed_run import open_run
from whence.viewer.viewer import Viewer


def ask(page, **more):
    return page.call("ask", part="test", place=0, **more)


def indices_of(answer):
    return [one["index"] for one in answer["evidence"]]


def test_answers_are_the_library_s(page, viewed):
    found = ask(page)
    expected = whence.predict(viewed.model, viewed.tests.images[:1])[0]
    names = viewed.model.class_names
    assert found["before"]["answer"] == names[expected.predicted]
    assert found["before"]["error"] == expected.error_probability
    assert indices_of(found["before"]) == [one.index for one in expected.evidence][:24]
    for shown, one in zip(found["before"]["evidence"], expected.evidence, strict=False):
        assert shown["weight"] == pytest.approx(one.weight, rel=1e-5)
        assert shown["similarity"] == pytest.approx(one.similarity, rel=1e-5)
        assert shown["name"] == one.source
    nearest = whence.explain(viewed.model, viewed.tests.images[:1], draws=0)[0].nearest
    assert [one["index"] for one in found["before"]["nearest"]] == [one.index for one in nearest]
    assert found["after"] is None
    assert found["truth"] == names[int(viewed.tests.labels[0])]


def test_what_a_threshold_decides_is_said_and_its_class_is_among_the_bars(viewed):
    names = [f"class {number}" for number in range(8)]
    shares = torch.tensor([0.3, 0.2, 0.15, 0.12, 0.1, 0.08, 0.05, 0.0])
    measures = ClassMeasures(names[6], 10, 9, 12)
    decision = Decision(6, 0.04, 40, measures, target_recall=0.9)
    answer = whence.predict(viewed.model, viewed.tests.images[:1])[0]
    found = replace(answer, probabilities=shares, predicted=6, decision=decision)
    model = SimpleNamespace(class_names=tuple(names))
    pictures = StoredPictures(lambda index: None)
    evidence = tuple(replace(one, label=0, predicted=0) for one in answer.evidence) * 40
    found = replace(found, evidence=evidence)
    shown = show_prediction(model, found, (), EditedMemory(), pictures)
    assert [one["name"] for one in shown["classes"]] == [*names[:4], "class 6"]
    assert shown["share"] == shown["classes"][-1]["share"] == pytest.approx(0.05)
    assert shown["decided"].startswith("Answered class 6 because its probability 5.0% is not below")
    assert (shown["weighed"], len(shown["evidence"])) == (len(evidence), 24)
    plain = show_prediction(
        model, replace(found, decision=None, predicted=0), (), EditedMemory(), pictures
    )
    assert plain["decided"] == ""
    assert [one["name"] for one in plain["classes"]] == names[:5]


def test_the_pattern_that_is_offered_finds_files(page, viewed):
    about = page.call("describe")
    assert about["files"] in ("cat/*", "dog/*")
    assert about["similarity"] == viewed.model.memory_head.similarity
    edits = page.call("change", kind="untick_files", pattern=about["files"])
    assert 0 < edits["removed"] < len(viewed.model.bank)


def test_an_image_that_is_unticked_is_gone_from_the_answer(page, viewed):
    first = ask(page)["before"]["evidence"][0]
    edits = page.call("change", kind="untick", index=first["index"])
    assert edits["steps"] == [f"left out {first['name']}"]
    found = ask(page)
    assert first["index"] in indices_of(found["before"])
    assert first["index"] not in indices_of(found["after"])
    edited = whence.edit(viewed.model, remove=first["index"])
    expected = whence.predict(edited, viewed.tests.images[:1])[0]
    weights = [one.weight for one in expected.evidence][:24]
    assert [one["weight"] for one in found["after"]["evidence"]] == pytest.approx(weights, rel=1e-5)
    assert found["before"]["evidence"][0]["removed"]

    page.call("undo")
    assert ask(page)["after"] is None
    page.call("redo")
    assert first["index"] not in indices_of(ask(page)["after"])
    page.call("change", kind="tick", index=first["index"])
    assert ask(page)["after"] is None


def test_undoing_one_of_two_changes_leaves_the_other(page):
    first, second = (one["index"] for one in ask(page)["before"]["evidence"][:2])
    for index in (first, second):
        page.call("change", kind="untick", index=index)
    assert not {first, second} & set(indices_of(ask(page)["after"]))
    page.call("undo")
    found = indices_of(ask(page)["after"])
    assert second in found
    assert first not in found


def test_a_class_is_left_out_but_for_what_is_pinned(page, viewed):
    first = ask(page)["before"]["evidence"][0]
    page.call("change", kind="pin", index=first["index"])
    edits = page.call("change", kind="untick_class", label=first["label"])
    labels = viewed.model.bank.labels
    of_class = int((labels == viewed.model.class_names.index(first["label"])).sum())
    assert edits["size"] == len(labels) - of_class + 1
    found = ask(page)["after"]
    assert [one["index"] for one in found["evidence"] if one["label"] == first["label"]] in (
        [first["index"]],
        [],
    )
    page.call("change", kind="unpin", index=first["index"])
    page.call("change", kind="untick_class", label=first["label"])
    after = ask(page)["after"]
    assert after["answer"] != first["label"]
    assert all(one["label"] != first["label"] for one in after["evidence"])


def test_files_are_left_out_by_a_pattern(page, viewed):
    edits = page.call("change", kind="untick_files", pattern="cat/*")
    assert edits["removed"] == sum(name.startswith("cat/") for name in viewed.model.bank.sources)
    assert page.call("change", 400, kind="untick_files", pattern="cow/*") == (
        "No stored image has a file like 'cow/*'."
    )


def test_a_label_that_is_changed_votes_for_the_other_class(page):
    first = ask(page)["before"]["evidence"][0]
    other = "dog" if first["label"] == "cat" else "cat"
    page.call("change", kind="relabel", index=first["index"], label=other)
    shown = next(one for one in ask(page)["after"]["evidence"] if one["index"] == first["index"])
    assert (shown["label"], shown["relabelled"]) == (other, True)
    page.call("change", kind="relabel", index=first["index"], label=first["label"])
    assert ask(page)["after"] is None  # its own label again


def to_png(image):
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_an_image_of_a_person_s_own_is_asked_about_and_added(page, viewed, client):
    image = Image.new("RGB", (31, 19), (50, 20, 160))
    brought = page.bring(to_png(image), "holiday.png")
    assert brought["name"] == "holiday.png"
    found = page.call("ask", part="upload", place=brought["upload"])
    expected = whence.predict(viewed.model, image)[0]
    assert found["before"]["share"] == float(expected.probabilities[expected.predicted])
    edits = page.call("change", kind="add", upload=brought["upload"], label="cat")
    assert edits["size"] == len(viewed.model.bank) + 1
    assert edits["steps"] == ["added holiday.png as cat"]
    # the very image does not vote on itself, another one near it gets its vote
    near = page.bring(to_png(Image.new("RGB", (31, 19), (51, 20, 160))), "near.png")
    after = page.call("ask", part="upload", place=near["upload"])["after"]
    (added,) = (one for one in after["evidence"] if one["added"])
    assert added["picture"].endswith(f"/{brought['upload']}.png")
    assert (added["name"], added["label"]) == ("holiday.png", "cat")
    own = page.call("ask", part="upload", place=brought["upload"])["after"]
    assert any("is in the memory (holiday.png);" in text for text in own["doubt"]["sentences"])
    assert client.get(added["picture"]).headers["content-type"] == "image/png"


def test_two_people_edit_apart(client):
    mine, yours = Page(client, ME), Page(client, YOU)
    first = ask(mine)["before"]["evidence"][0]["index"]
    mine.call("change", kind="untick", index=first)
    assert ask(yours)["after"] is None
    assert yours.call("undo", 400) == "There is nothing to undo."
    upload = mine.bring(to_png(Image.new("RGB", (8, 8))))["upload"]
    assert "not here any more" in yours.call("ask", 400, part="upload", place=upload)


def test_an_edited_memory_is_saved_and_loads(page, viewed_folder, tmp_path):
    first = ask(page)["before"]["evidence"][0]
    page.call("change", kind="untick", index=first["index"])
    shown = ask(page)["after"]
    assert page.call("save", 400, name="../out").startswith("The name of a memory has letters")
    saved = page.call("save", name="mine")
    folder = viewed_folder / "run" / saved["folder"]
    measured = json.loads((folder / "metrics.json").read_text())["test"]["accuracy"]
    assert saved["accuracy"] == measured
    model = whence.load(folder)
    assert first["index"] not in model.bank.indices.tolist()
    images = whence.load_parts(viewed_folder / "run").test.images[:1]
    again = whence.predict(model, images)[0]
    expected = [one["weight"] for one in shown["evidence"]]
    assert [one.weight for one in again.evidence][:24] == pytest.approx(expected, rel=1e-4)
    assert page.call("save", 400, name="mine") == (
        "A memory is called mine already; choose another name."
    )
    table = tmp_path / "corrections.csv"
    table.write_text(page.call("edits")["csv"])
    out = tmp_path / "edited"
    run = str(viewed_folder / "run")
    assert main(["edit", run, "--corrections", str(table), "--out", str(out)]) == 0
    assert whence.load(out).bank.indices.tolist() == model.bank.indices.tolist()


def test_nothing_is_saved_without_a_change(page):
    assert page.call("save", 400, name="same").startswith("The memory is as it was saved")
    assert page.call("edits", 400).startswith("No stored image was left out or relabelled")


def test_test_images_are_listed_with_their_answers(page, viewed):
    found = page.call("tests")
    answers = whence.predict(viewed.model, viewed.tests.images)
    names = viewed.model.class_names
    assert [one["predicted"] for one in found["items"]] == [names[one.predicted] for one in answers]
    assert [one["truth"] for one in found["items"]] == [names[one] for one in viewed.tests.labels]
    wrong = page.call("tests", order="wrong")
    assert all(one["wrong"] for one in wrong["items"])
    assert wrong["total"] == sum(one["wrong"] for one in found["items"])
    doubts = [one["doubt"] for one in page.call("tests", order="doubt")["items"]]
    assert doubts == sorted(doubts, reverse=True)
    part = page.call("tests", truth="dog", search="DOG/")
    assert part["total"] == sum(one["truth"] == "dog" for one in found["items"])
    assert page.call("tests", search="nothing like it")["items"] == []


def test_the_overview_counts_what_the_library_counts(page, viewed):
    found = page.call("overview")
    measured = whence.evaluate(viewed.model, viewed.tests, memory_size=4)
    assert found["right"] / found["images"] == pytest.approx(measured.whole_memory)
    assert sum(map(sum, found["confusion"])) == len(viewed.tests)
    assert sum(one["images"] for one in found["doubt"]) == len(viewed.tests)
    listed = [one.index for one in whence.find_suspicious(viewed.model)]
    assert [one["index"] for one in found["suspicious"]] == listed[:48]
    assert found["used"][0]["weight"] >= found["used"][-1]["weight"]


def test_suspicious_labels_are_listed_and_marked_on_the_map(mislabelled):
    run, dog = mislabelled
    listed = [one.index for one in whence.find_suspicious(run.model)]
    assert dog in listed, "else nothing is tested"
    app = build_app(Viewer(run), hosts=[HOST])
    page = Page(TestClient(app, base_url=f"http://{HOST}"))
    drawn = wait(page, page.call("map", kind="pca"))["result"]["points"]  # before the overview
    marked = {one["place"] for one in drawn if one["suspicious"]}
    assert marked == set(listed)
    shown = page.call("overview")["suspicious"]
    assert [one["index"] for one in shown] == listed[:48]
    assert {one["index"]: one["suggested"] for one in shown}[dog] == "dog"


def wait(page, started):
    """Return what a computation in the background comes to."""
    for _ in range(600):
        found = page.call("job", job=started["job"])
        if found["result"] or found["error"]:
            return found
        time.sleep(0.05)
    raise AssertionError("nothing came")


def test_a_threshold_s_numbers_are_those_of_its_answers(page, viewed):
    """From each image's own head start on, and not before, it is answered with the class."""
    found = page.call("threshold", **{"class": "dog"})
    assert found["kind"] == "head start"
    place = viewed.model.class_names.index("dog")
    plain = whence.predict(viewed.model, viewed.tests.images)
    for value, one in zip(found["values"], plain, strict=True):
        share = float(one.probabilities[place])
        if abs(share - 0.5) > 1e-3:
            assert (value <= 0) == (share > 0.5)
    assert found["of_class"] == (viewed.tests.labels == place).tolist()


def test_maps_and_heatmaps_come_when_they_are_done(page, viewed):
    for kind in ("pca", "tsne"):
        found = wait(page, page.call("map", kind=kind))["result"]["points"]
        assert len(found) == len(viewed.model.bank) + len(viewed.tests)
        assert all(0 <= one["x"] <= 1 and 0 <= one["y"] <= 1 for one in found)
    asked = {"part": "test", "place": 0}
    drawn = wait(page, page.call("heatmaps", **asked, method="gradient_x_input"))["result"]
    assert drawn["image"].startswith("data:image/png;base64,")
    assert len(drawn["evidence"]) == len(
        whence.predict(viewed.model, viewed.tests.images[:1])[0].evidence
    )
    refused = wait(page, page.call("heatmaps", **asked, method="lime"))
    assert refused["error"].startswith("The method must be one of")
    assert "not known any more" in page.call("job", 400, job=10**6)


def test_another_run_answers_beside(viewed):
    client = TestClient(build_app(Viewer(viewed, viewed), hosts=[HOST]), base_url=f"http://{HOST}")
    found = ask(Page(client))
    assert found["beside"]["classes"] == found["before"]["classes"]
    assert client.get(found["beside"]["evidence"][0]["picture"]).status_code == 200


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"kind": "burn"}, "Unknown change 'burn'."),
        ({"kind": "untick", "index": 10**9}, "The memory holds no training image 1000000000."),
        ({"kind": "untick"}, "The memory holds no training image None."),
        (
            {"kind": "untick_class", "label": "cat", "index": 10**9},
            "The memory holds no training image 1000000000.",
        ),
        ({"kind": "untick_class", "label": "cow"}, "Unknown class 'cow'; the run has cat, dog."),
        ({"kind": "relabel", "index": 0}, "This change needs a class; choose one."),
        (
            {"kind": "add", "label": "cat", "upload": 7},
            "That image is not here any more; choose it again.",
        ),
        ({"kind": ["untick"]}, "kind must be a short text."),
        ({"kind": "untick", "index": "3"}, "index must be a whole number."),
        (
            {"kind": "untick_files", "pattern": "*"},
            "At least one stored image must stay in the memory.",
        ),
    ],
)
def test_what_is_no_change_is_refused_and_changes_nothing(page, viewed, given, sentence):
    if given["kind"] == "relabel":
        given = {**given, "index": int(viewed.model.bank.indices[0])}
    assert page.call("change", 400, **given) == sentence
    assert page.call("describe")["edits"]["steps"] == []


def test_uploads_that_are_no_images_are_refused(page):
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n"
    for content in (eps, b"", b"\x89PNG\r\n\x1a\n" + b"\0" * 50, b"<svg/>"):
        assert page.bring(content, "../a/bad.eps", 400) == (
            "bad.eps cannot be read as an image; choose another file."
        )
    assert page.call("ask", 400, part="upload", place=0).startswith("That image is not here")


def test_a_page_brings_only_so_many_images(page, monkeypatch):
    monkeypatch.setattr(visitors, "MOST_UPLOADS", 2)
    content = to_png(Image.new("RGB", (8, 8)))
    for _ in range(2):
        page.bring(content)
    assert page.bring(content, status=400).startswith("There are 2 images of yours here already")


def test_a_run_that_is_replaced_is_noticed(page, viewed, monkeypatch):
    monkeypatch.setattr(viewed, "stamp", (0, 0))
    assert ask(page)["stale"]
    page.call("change", kind="untick", index=ask(page)["before"]["evidence"][0]["index"])
    assert page.call("save", 400, name="late").startswith("The run folder was replaced")


def test_runs_without_memory_pixels_or_test_images_are_viewed_for_the_rest(
    standard_run, viewed, viewed_folder, tmp_path
):
    standard = open_run(standard_run, device="cpu", where=AS_SETTINGS_SAY)
    client = TestClient(build_app(Viewer(standard), hosts=[HOST]), base_url=f"http://{HOST}")
    page = Page(client)
    assert page.call("describe")["memory"] is None
    assert page.call("change", 400, kind="untick", index=0).startswith("A standard model has no")

    empty = tmp_path / "empty"
    empty.mkdir()
    gone = open_run(viewed_folder / "run", device="cpu", where=Where(root=empty))
    assert gone.notes[0].startswith("The test images are not shown: ")
    page = Page(TestClient(build_app(Viewer(gone), hosts=[HOST]), base_url=f"http://{HOST}"))
    assert "no test images here" in page.call("tests", 400)
    assert page.call("ask", part="stored", place=int(gone.model.bank.indices[0]))["before"]

    bare = copy.copy(viewed.model)
    bare.attach(replace(viewed.model.bank, images=None))
    hidden = replace(viewed, model=bare)
    page = Page(TestClient(build_app(Viewer(hidden), hosts=[HOST]), base_url=f"http://{HOST}"))
    assert ask(page)["before"]["evidence"][0]["picture"] is None
    assert page.call("describe")["methods"] == []


def test_values_that_json_does_not_hold_are_not_sent(page):
    for action in ("describe", "overview", "tests"):
        json.dumps(page.call(action), allow_nan=False)
    assert torch.is_grad_enabled()


@pytest.mark.parametrize(
    ("action", "given", "sentence"),
    [
        ("tests", {"truth": "cow"}, "The run has no class 'cow'."),
        ("tests", {"predicted": "cow"}, "The run has no class 'cow'."),
        ("tests", {"order": "size"}, "The order must be one of place, doubt, wrong, got size."),
        ("tests", {"first": -1}, "first must be 0 or more, got -1."),
        ("stored", {"label": "cow"}, "The run has no class 'cow'."),
        ("stored", {"first": -5}, "first must be 0 or more, got -5."),
        ("threshold", {"class": "cow"}, "The run has no class 'cow'."),
    ],
)
def test_lists_of_what_is_not_there_are_refused(page, action, given, sentence):
    assert page.call(action, 400, **given) == sentence


def test_stored_images_without_files_are_not_searched_by_file(viewed):
    bare = copy.copy(viewed.model)
    bare.attach(replace(viewed.model.bank, sources=None))
    app = build_app(Viewer(replace(viewed, model=bare)), hosts=[HOST])
    page = Page(TestClient(app, base_url=f"http://{HOST}"))
    assert page.call("stored", 400, search="a").endswith("have no file names.")
    assert page.call("stored")["total"] == len(viewed.model.bank)


def test_lists_show_the_memory_as_it_stands(mislabelled):
    run, dog = mislabelled
    client = TestClient(build_app(Viewer(run), hosts=[HOST]), base_url=f"http://{HOST}")
    mine, yours = Page(client, ME), Page(client, YOU)

    def find(page, action, part):
        return next(one for one in page.call(action)[part] if one["index"] == dog)

    assert not find(mine, "overview", "suspicious")["relabelled"]
    mine.call("change", kind="relabel", index=dog, label="dog")
    mine.call("change", kind="untick", index=dog)
    for action, part in (("overview", "suspicious"), ("stored", "items")):
        shown = find(mine, action, part)
        assert (shown["label"], shown["relabelled"], shown["removed"]) == ("dog", True, True)
        shown = find(yours, action, part)
        assert (shown["label"], shown["relabelled"], shown["removed"]) == ("cat", False, False)


def test_a_page_that_is_not_known_any_more_is_told_so(page, client, monkeypatch):
    page.call("change", kind="untick", index=ask(page)["before"]["evidence"][0]["index"])
    monkeypatch.setattr(visitors, "MOST_VISITORS", 1)
    Page(client, YOU)
    for action, given in (("ask", {"part": "test", "place": 0}), ("undo", {}), ("edits", {})):
        assert page.call(action, 400, **given) == (
            "This page is not known here any more: the viewer was started anew, or many other "
            "pages were opened since. Reload it; what was not saved is gone."
        )
    assert page.call("describe")["edits"]["steps"] == []
