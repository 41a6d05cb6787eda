"""The page, the words and the JSON of two runs on the same images."""

import json
import re
from dataclasses import replace

import pytest

from tests.gather.test_compared import compare
from tests.helpers.browser import check_layout
from tests.helpers.deciding import make
from tests.helpers.deploying import give_calibration
from tests.helpers.html_pages import check_accessible, check_alone
from tests.helpers.pages import ORIGIN
from whence.evidence.edit import edit
from whence.records.compared import Drift
from whence.report.compare_page import render_compared
from whence.report.compared import compared_to_json, describe_compared, say_drift

DRIFT = Drift("runs-7", 40, 0.3, 0.06, 0.71, 1e-5, 0.2, 0.1)


def changed():
    first = give_calibration(make("votes"))
    return compare(first, edit(first, keep=lambda one: one.label != 0))


def test_the_page_stands_alone_and_shows_every_changed_answer():
    found = replace(changed(), notes=("a <note>",))
    html = render_compared(found, replace(ORIGIN, notes=found.notes))
    page = check_alone(html)
    check_accessible(page)
    assert "From old to new" in html
    assert "a &lt;note&gt;" in html
    for one in found.shown:
        assert one.answer.name in html
    assert "Stored images that went" in html
    assert "Stored images that came" not in html
    pictures = sum(1 + sum(map(len, one.evidence)) for one in found.shown) + len(found.went)
    assert len(page.all("img")) == pictures


def test_stored_images_with_another_label_are_said_and_shown():
    first = make("votes")
    index, label = int(first.bank.indices[0]), int(first.bank.labels[0])
    names = first.class_names
    new = (label + 1) % len(names)
    found = compare(first, edit(first, relabel={index: new}))
    said = "12 stored images in both memories, 1 of them with another label; 0 came, 0 went."
    assert said in describe_compared(found)
    html = render_compared(found, ORIGIN)
    check_accessible(check_alone(html))
    assert "Stored images with another label" in html
    assert f"was {names[label]}" in html
    laid = compared_to_json(found)["relabelled"]
    assert laid["count"] == 1
    assert (laid["images"][0]["label"], laid["images"][0]["was"]) == (names[new], names[label])
    assert "Stored images with another label" not in render_compared(changed(), ORIGIN)


def test_one_run_has_a_page_on_drift_alone():
    found = compare(make("votes"))
    html = render_compared(found, ORIGIN)
    check_accessible(check_alone(html))
    assert "old on set" in html
    assert "Answers that changed" not in html
    assert "<dt>chance, p</dt>" in html
    assert "<dt>came, went</dt>" not in html  # of two runs
    assert check_alone(html).all("nav") == []  # one part needs no list of parts


def test_what_a_frame_means_stands_on_the_card():
    html = render_compared(changed(), ORIGIN)
    badges = set(re.findall('<span class="badge">(.*?)</span>', html))
    roles = [f"{run}: {role}" for run in ("old", "new") for role in ("example", "counterfactual")]
    assert {"old: example", "new: example"} <= badges <= {"this image", *roles}
    assert {"example", "counterfactual", "came, went"} <= set(re.findall("<dt>(.*?)</dt>", html))
    assert len(check_alone(html).all("nav")) == 1


def test_words_count_what_changed():
    found = changed()
    lines = describe_compared(found)
    total, better = len(found.changed), sum(o.answers[1] == o.truth for o in found.changed)
    assert lines[0].startswith(f"{total} of 30 answers changed: {better} from wrong to right, ")
    assert "8 stored images in both memories; 0 came, 4 went." in lines
    assert any(line.startswith("  accuracy: 0.") and " -> 0." in line for line in lines)
    assert len([line for line in lines if ".png: " in line]) == min(10, total)


def test_a_run_without_a_memory_is_named():
    found = changed()
    bare = replace(found, sides=(found.sides[0], replace(found.sides[1], stored=0)))
    said = "new has no memory, so no evidence can be compared."
    assert said in describe_compared(bare)
    neither = replace(bare, sides=tuple(replace(side, stored=0) for side in bare.sides))
    assert "Neither run has a memory." in describe_compared(neither)


def test_drift_is_called_what_it_is():
    far, doubt = say_drift(DRIFT)
    assert "30.0% of 40 images are farther" in far
    assert "of the run's own test images 6.0% are" in far
    assert (
        "The images are farther from the training images than its own test images are (chance 0.71"
        in far
    )
    assert (
        doubt
        == "Doubt, runs-7: 20.0% of the answers are expected to be wrong; 10.0% were among the validation images."
    )
    assert "are nearer to the training images" in say_drift(replace(DRIFT, auroc=0.2))[0]
    assert "nearer" not in say_drift(replace(DRIFT, p_value=0.03))[0]
    level = "No difference in distance to its own images is shown (chance 0.71, p 0.03, judged at "
    assert f"{level}p < 0.01)." in say_drift(replace(DRIFT, p_value=0.03))[0]
    alone = say_drift(replace(DRIFT, control=None, doubt=None))
    assert len(alone) == 1
    assert "than those are from each other" in alone[0]


def test_json_has_every_answer():
    found = changed()
    laid = json.loads(json.dumps(compared_to_json(found), allow_nan=False))
    assert (laid["images"], laid["changed"]) == (30, len(found.changed))
    assert laid["answers"][3]["answers"] == [found.class_names[k] for k in found.answers[3].answers]
    assert laid["went"]["count"] == len(laid["went"]["images"]) == 4
    assert laid["runs"][1]["stored"] == 8
    assert 0 <= laid["drift"][0]["beyond"] <= 1


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_sticks_out(tmp_path, width):
    found = changed()
    shown = [replace(one, answer=replace(one.answer, name="folder" * 30)) for one in found.shown]
    check_layout(tmp_path, render_compared(replace(found, shown=tuple(shown)), ORIGIN), width)
