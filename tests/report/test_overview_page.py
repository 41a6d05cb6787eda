"""The page of a whole run, made by hand."""

from dataclasses import replace

import pytest
import torch
from scipy.stats import binomtest

from tests.helpers.html_pages import ParsedPage, check_accessible, check_alone
from tests.helpers.overviews import (
    MADE,
    evaluation,
    hard_answers,
    overview,
    quality,
    standard,
)
from tests.helpers.pages import ORIGIN, answer, explanation
from whence.records.measures import Suspicion
from whence.records.overview import Curve
from whence.report.class_blocks import say_balance
from whence.report.numbers import percent
from whence.report.overview_blocks import make_use_strip
from whence.report.overview_page import interval, render_overview, say_head


def test_the_head_says_what_the_run_is_and_how_good():
    low, high = interval(84, 100)
    assert say_head(overview()) == (
        "Trained on 200 training images from pets: encoder small_cnn, head Memory Wrap, seed 5.",
        "It answers 84.0% of 100 test images right with its whole memory of 200 stored images; "
        "16 answers are wrong. With so many test images, the accuracy on new images of the same "
        f"kind is between {percent(low)} and {percent(high)} (95% interval).",
        *say_balance(overview()),
        "Measured as the paper of Memory Wrap does, with 6 random stored images for every 9 test images in place of the "
        "whole memory, 81.0% are right (mean of 2 passes, standard deviation 1.00 percentage points).",
    )
    other = say_head(overview(made=replace(MADE, measured_on="zoo", variant="only-memory")))
    assert other[0].endswith("Only Memory, seed 5; measured on zoo.")
    assert "1 answer is wrong" in say_head(overview(evaluation=evaluation(whole_memory=0.99)))[1]
    alone = say_head(standard())
    assert "84.0% of 100 test images right; 16 answers" in alone[1]
    assert alone[-1].startswith("This model has no memory")


def test_the_interval_is_wilsons():
    for hits, images in ((0, 7), (7, 7), (5, 12), (8320, 10000)):
        wanted = binomtest(hits, images).proportion_ci(0.95, method="wilson")
        assert interval(hits, images) == pytest.approx((wanted.low, wanted.high), abs=1e-6)


def test_bars_compare_uses_with_the_largest_one():
    found = overview()
    most = make_use_strip(found, found.memory.most, wrong=False)
    assert [card.share for card in most.cards] == [1.0, 0.05]
    assert most.cards[0].lines == ("total weight 40.0", "in 60 answers (60.0%)")
    wrong = make_use_strip(found, found.memory.most, wrong=True)
    assert [card.share for card in wrong.cards] == [1.0, 0.2]
    assert wrong.cards[0].lines == ("total weight 10.0 in wrong answers", "25.0% of its use")
    assert wrong.cards[0].label == "dog"
    assert wrong.cards[0].conflict.endswith("the model itself would call it fox.")


def page(found=None, given=None, origin=ORIGIN):
    found = overview() if found is None else found
    given = hard_answers() if given is None else given
    return ParsedPage(render_overview(found, given, origin))


def test_a_page_needs_nothing_but_itself_and_its_links_lead_somewhere():
    found = check_alone(render_overview(overview(), hard_answers(), ORIGIN))
    check_accessible(found)
    links = [link["href"] for link in found.all("a")]
    assert {"#classes", "#trust", "#used", "#misleading", "#suspicious", "#hard"} <= set(links)
    assert {"#image-1", "#image-2"} <= set(links)


def test_the_page_says_all_of_it_in_order():
    words = page().words
    parts = [
        "The run runs-7 as a whole",
        "balanced accuracy over 2 classes",
        "The class found least often is dog: recall 78.0% (39 of 50), precision 88.6% (39 of 44).",
        "How good it is for each class",
        "90.0% (45 of 50)",
        "none (0 of 0)",
        "dog taken for cat 11 of 50 images (22.0%)",
        "Does the evidence fit the answers?",
        "explanation accuracy",
        "the network before training.",
        "7.0% are wrong instead of 16.0%",
        "calibrated probability of error (best)",
        "The stored images most used as evidence",
        "All but 20 of 200 stored images took part in some answer; 31 carry half of all weight.",
        "total weight 40.0",
        "in 60 answers (60.0%)",
        "The stored images most used in errors",
        "On average 16.0% of the use",
        "total weight 2.0 in wrong answers",
        "100% of its use",
        "Suspicious labels",
        "2 stored images in all",
        "a list to look at, not a list of errors",
        "resembles fox",
        "label probability 12.5%",
        "score 0.93",
        "Hard cases",
        "Wrong with high confidence",
        "dog; it is cat",
        "probability of an error 5.0%",
        "Most doubtful",
        "dog; right",
        "test image 8",
        "The evidence the model used",
        "hash of the memory",
    ]
    place = 0
    for part in parts:
        place = words.find(part, place)
        assert place >= 0, part


def test_thumbnails_are_the_images_and_no_pixels_leave_captions():
    found = page()
    alts = [image["alt"] for image in found.all("img")]
    for index, times in ((4, 1), (5, 2), (30, 1), (31, 1)):
        assert sum(f"training image {index}," in alt for alt in alts) == times
    bare = page(overview(pixels=False), hard_answers(pixels=False))
    assert not any("training image" in image["alt"] for image in bare.all("img"))
    assert "training image 30" in bare.words
    assert "total weight 40.0" in bare.words


def test_a_standard_model_is_told_as_one():
    lone = answer(explanation((), flag=False), name="test image 8", truth=0)
    origin = replace(ORIGIN, has_memory=False)
    found = page(standard(), (lone, lone), origin)
    assert "This model has no memory: there are no stored images to show" in found.words
    assert "Suspicious labels" not in found.words
    assert "Does the evidence fit" not in found.words
    assert "entropy of the probabilities" in found.words
    assert "dog taken for cat" in found.words
    assert "#used" not in [link["href"] for link in found.all("a")]


def test_nothing_wrong_and_nothing_suspicious_is_said():
    memory = replace(overview().memory, misleading=(), unused=0, half=1)
    found = overview(
        confusion=torch.tensor([[50, 0, 0], [0, 50, 0], [0, 0, 0]]),
        evaluation=evaluation(whole_memory=1.0, signals={"softmax": quality(None, wrong=0.0)}),
        curves=(Curve("softmax", (0.05, 1.0), (0.0, 0.0)),),
        memory=memory,
        suspicious=(),
        hard=(),
    )
    words = page(found, ()).words
    assert "No image was taken for one of another class." in words
    assert "No answer is wrong, so no stored image was used in an error." in words
    assert "No stored image has a label that the other stored images speak against." in words
    assert "Every one of 200 stored images took part in some answer; 1 carries half" in words
    assert "Hard cases" not in words


def test_many_suspicious_labels_are_counted():
    one = Suspicion(30, 0, 0, 2, None, 0.93, 0.125, 0.5)
    words = page(overview(suspicious=(one,) * 40)).words
    assert words.count("score 0.93") == 24
    assert "40 stored images in all" in words
    assert "Not shown: 16 stored images with lower scores." in words


def test_everything_is_escaped():
    nasty = "<b>&\"'x"
    found = overview(class_names=(nasty, "dog", "fox"), made=replace(MADE, measured_on=nasty))
    html = page(found, hard_answers(), replace(ORIGIN, run=nasty))
    assert nasty in html.words
    raw = render_overview(found, hard_answers(), ORIGIN)
    assert nasty not in raw


def test_records_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"answers must be one per hard case \(2\), got 1\."):
        render_overview(overview(), hard_answers()[:1], ORIGIN)
    with pytest.raises(
        ValueError, match=r"confusion must be \(K, K\) with K=3, got shape \(2, 3\)"
    ):
        overview(confusion=torch.ones(2, 3))
