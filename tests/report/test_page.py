"""The page, the figures and the JSON of answers made by hand."""

import base64
import io
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.pages import (
    CLASSES,
    ORIGIN,
    answer,
    draws,
    evidence,
    explanation,
    heatmaps,
    picture,
    removal,
)
from whence.records.explained import Answer, Stored
from whence.records.relevance import Heatmaps
from whence.report.as_json import to_json
from whence.report.cards import SHOWN, evidence_strip, say_without
from whence.report.colours import find_colours
from whence.report.doubt import find_doubt
from whence.report.figures import draw_evidence, draw_heatmaps
from whence.report.numbers import add_weights, leave_out, percent, signed
from whence.report.page import make_bars, make_section, render
from whence.report.picture import (
    NEGATIVE,
    POSITIVE,
    colour,
    draw_scale,
    find_factor,
    find_limit,
    shown_size,
    to_data_uri,
    to_png,
    to_uint8,
)

VOID = {"img", "meta", "br", "link", "wbr"}


class Page(HTMLParser):
    """A page taken apart: elements with their attributes, the text, and whether tags match."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.text, self.headings = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        raise AssertionError(f"{tag} closes itself")

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self):
        return " ".join(" ".join(self.text).replace("/ ", "/").split())


def page_of(*answers, origin=ORIGIN, classes=CLASSES):
    return Page(render(answers, origin, classes))


def pixels_of(attributes):
    head, data = attributes["src"].split(",")
    assert head == "data:image/png;base64"
    return torch.from_numpy(np.array(Image.open(io.BytesIO(base64.b64decode(data)))))


# numbers


def test_leaving_out_equals_the_softmax_of_the_changed_logits(rng):
    logits = torch.randn(5, generator=rng, dtype=torch.float64) * 3
    changes = torch.randn(4, 5, generator=rng, dtype=torch.float64)
    expected = torch.stack([(logits + change).softmax(0) for change in changes])
    torch.testing.assert_close(leave_out(logits.softmax(0), changes), expected)
    by_hand = leave_out(torch.tensor([0.5, 0.5]), torch.tensor([[0.0, math.log(3)]]))
    torch.testing.assert_close(by_hand, torch.tensor([[0.25, 0.75]], dtype=torch.float64))


def test_leaving_out_survives_a_probability_of_0_and_keeps_nan():
    changes = torch.tensor([[0.0, 1.0], [math.nan, math.nan]])
    found = leave_out(torch.tensor([1.0, 0.0]), changes)
    torch.testing.assert_close(found[0], torch.tensor([1.0, 0.0], dtype=torch.float64))
    assert found[1].isnan().all()
    with pytest.raises(ValueError, match=r"probabilities must be \(K\) with K=2, got shape \(3,\)"):
        leave_out(torch.ones(3) / 3, changes)


def test_percentages_are_never_rounded_to_a_false_0_or_100():
    assert [percent(x) for x in (0, 1, 1e-9, 1 - 1e-9, 0.001, 0.999)] == [
        *("0%", "100%", "under 0.1%", "over 99.9%", "0.1%", "99.9%")
    ]
    assert signed(-1234.5) == "\N{MINUS SIGN}1.23e+03"


# pictures


@pytest.mark.parametrize("shape", [(1, 8, 12), (3, 9, 5), (3, 224, 224)])
def test_png_keeps_every_pixel(shape):
    image = picture(1, shape)
    read = torch.from_numpy(np.array(Image.open(io.BytesIO(to_png(image)))))
    assert torch.equal(read if shape[0] == 3 else read[..., None], image.permute(1, 2, 0))
    assert to_data_uri(image).startswith("data:image/png;base64,iVBOR")


def test_png_refuses_what_is_no_picture():
    with pytest.raises(TypeError, match=r"image must be uint8, got torch.float32"):
        to_png(torch.zeros(3, 4, 5))
    with pytest.raises(ValueError, match=r"image must have 1 or 3 channels, got 2"):
        to_png(torch.zeros(2, 4, 5, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"image must be \(C, H, W\), got shape \(4, 5\)"):
        to_png(torch.zeros(4, 5, dtype=torch.uint8))


def test_floats_become_the_nearest_uint8():
    found = to_uint8(torch.tensor([[[0.0, 1.0, 0.1, 100.4 / 255]]], dtype=torch.float64))
    assert found.flatten().tolist() == [0, 255, 26, 100]
    assert to_uint8(picture(3)).equal(picture(3))


def test_colours_are_white_at_0_and_reach_their_ends():
    values = torch.tensor([[0.0, 2.0, -2.0], [5.0, -5.0, 1.0]])
    found = colour(values, 2.0).permute(1, 2, 0).tolist()
    assert found[0] == [[255] * 3, list(POSITIVE), list(NEGATIVE)]
    assert found[1][:2] == [list(POSITIVE), list(NEGATIVE)]  # beyond the ends
    assert found[1][2] == [round(255 + (end - 255) / 2) for end in POSITIVE]
    scale = draw_scale(5, 2)
    assert scale.shape == (3, 2, 5)
    assert scale[:, 0, [0, 2, 4]].T.tolist() == [list(NEGATIVE), [255] * 3, list(POSITIVE)]


def test_the_scale_ends_where_few_pixels_lie_beyond():
    values = torch.arange(1, 1001).float().view(20, 50)
    assert find_limit([values]) == 995
    assert find_limit([-values[:10], values[10:], torch.zeros(7, 3)]) == 995
    assert find_limit([torch.zeros(2, 3)]) == 1


def test_factors_keep_small_maps_within_the_scale():
    for limit, smaller in ((1.0, 0.3), (0.4, 0.0057), (2.0, 1.1), (1.0, 5.0)):
        factor = find_factor(limit, smaller)
        assert factor == 1 or factor * smaller <= limit < 2.5 * factor * smaller
    assert [find_factor(1.0, x) for x in (1.0, 0.5, 0.2, 0.1, 0.05)] == [1, 2, 5, 10, 20]


def test_small_images_are_shown_large_and_large_ones_fit():
    for height, width in ((8, 8), (28, 28), (33, 20), (95, 95), (96, 96)):
        shown = shown_size(height, width)
        assert shown % width == 0
        assert max(shown, height * shown // width) >= 96
    assert shown_size(400, 200, largest=224) == 112


# the warning line


def sentences(**changes):
    return find_doubt(answer(explanation(**changes)), CLASSES)


def test_a_sure_answer_is_calm_and_says_how_much_speaks_for_it():
    found = sentences()
    assert (found.level, found.title) == ("calm", "No sign of doubt")
    assert found.sentences == (
        "Stored images that the model puts in the same class carry 80.0% of the weight. "
        "This is no proof that the answer is right.",
    )


def test_every_sign_of_doubt_is_said():
    items = (evidence(9, 0.6, 0), evidence(40, 0.4, 1))
    found = sentences(
        items=items,
        flag=True,
        error_probability=0.34,
        probabilities=torch.tensor([0.45, 0.46, 0.09]),
        draws=draws(changed=0.25),
        reliance=0.05,
        left_out=(3, 8),
    )
    assert (found.level, found.title) == ("doubtful", "Doubtful")
    assert found.sentences == (
        "The stored image with the highest weight is one that the model itself puts in another "
        "class (cat).",
        "By the calibration, about 3 of 10 answers like this one are wrong.",
        "The model gives its own answer only 46.0%.",
        "With random parts of the memory the answer changed in 25.0% of 20 draws.",
        "Stored images that the model puts in other classes carry 60.0% of the weight.",
        "The stored images had little part in this answer (5.0%): the image itself nearly "
        "decided it.",
        "This very image is in the memory (training image 3, 8); it was left out, so that it is "
        "not its own evidence.",
    )


@pytest.mark.parametrize(
    "changes, level",
    [
        ({"flag": True}, "doubtful"),
        ({"error_probability": 0.34}, "doubtful"),
        ({"error_probability": 0.33}, "careful"),
        ({"error_probability": 0.15}, "careful"),
        ({"error_probability": 0.149}, "calm"),
        ({"probabilities": torch.tensor([0.3, 0.49, 0.21])}, "doubtful"),
        ({"probabilities": torch.tensor([0.24, 0.5, 0.26])}, "careful"),
        ({"probabilities": torch.tensor([0.26, 0.5, 0.24])}, "careful"),
        ({"probabilities": torch.tensor([0.24, 0.52, 0.24])}, "calm"),
        ({"items": (evidence(1, 0.6, 1), evidence(2, 0.4, 0))}, "careful"),
        ({"items": (evidence(1, 0.7, 1), evidence(2, 0.3, 0))}, "calm"),
        ({"draws": draws(changed=0.2)}, "doubtful"),
        ({"draws": draws(changed=0.15)}, "calm"),
        ({"reliance": 0.09}, "careful"),
        ({"reliance": 0.1}, "calm"),
        ({"items": (evidence(1, 1.0, 1),)}, "careful"),
        ({"items": ()}, "careful"),
        ({"left_out": (4,)}, "calm"),
    ],
)
def test_one_sign_decides_the_level(changes, level):
    found = sentences(**changes)
    assert found.level == level
    assert len(found.sentences) >= 1


def test_a_probable_second_class_is_named():
    found = sentences(probabilities=torch.tensor([0.1, 0.55, 0.35]))
    assert found.sentences == ("The model finds fox probable, too (35.0%).",)


def test_a_small_probability_of_error_is_told_calmly():
    assert sentences(error_probability=0.04).sentences[-1] == (
        "By the calibration, about 4 of 100 answers like this one are wrong."
    )


def test_many_left_out_images_are_not_all_listed():
    assert "(training image 0, 1, 2, 3, 4, ...)" in sentences(left_out=tuple(range(9))).sentences[1]


# the parts of a section


def test_bars_begin_with_the_answer_and_sum_to_1():
    probabilities = torch.tensor([0.1, 0.2, 0.05, 0.2, 0.15, 0.12, 0.18])
    names = [f"class {place}" for place in range(7)]
    bars = make_bars(probabilities, 3, names)
    assert [bar.name for bar in bars] == [
        *("class 3", "class 1", "class 6", "class 4", "class 5", "all 2 other classes")
    ]
    assert [bar.answer for bar in bars] == [True] + 5 * [False]
    assert sum(bar.share for bar in bars) == pytest.approx(1)
    assert bars[-1].text == "15.0%"
    assert len(make_bars(probabilities[:6], 0, names)) == 6


def test_what_one_image_less_would_do():
    before, other = torch.tensor([0.1, 0.7, 0.2]), torch.tensor([0.1, 0.4, 0.5])
    assert say_without(1, before, CLASSES) == "without it 70.0%"
    assert say_without(1, other, CLASSES) == "without it the answer is fox, 50.0%"
    assert "nothing would be left" in say_without(1, before * math.nan, CLASSES)


def test_evidence_is_shown_in_order_with_all_that_is_known_of_it():
    changes = torch.zeros(3, 3)
    changes[1] = torch.tensor([math.log(10), 0.0, 0.0])  # 1.5 / 0.75 / 0.1
    items = (evidence(40, 0.5, 1), evidence(7, 0.3, 1, label=0, source="a/b.png"))
    items += (evidence(9, 0.2, 0),)
    strip = evidence_strip(answer(explanation(items, without=changes)), CLASSES)
    first, second, third = strip.cards
    assert first.lines == ("weight 50.0%", "similarity 0.750", "without it 75.0%")
    assert second.lines == (
        *("weight 30.0%", "similarity 0.650"),
        "without it the answer is cat, 63.8%",
    )
    assert [card.own for card in strip.cards] == ["", "dog", ""]
    assert (second.label, second.place) == ("cat", "training image 7, a/b.png")
    assert [card.role for card in strip.cards] == ["example", "example", "counterfactual"]
    assert [card.share for card in strip.cards] == pytest.approx([1, 0.6, 0.4])
    assert second.picture.uri == to_data_uri(picture(7))
    assert third.picture.alt == "training image 9, labelled cat, weight 20.0%, counterfactual"
    assert (first.picture.width, first.picture.enlarged) == (100, True)
    assert strip.rest == ""


def test_hundreds_of_evidence_images_are_counted():
    items = tuple(evidence(place, 1 / 300, 1) for place in range(300))
    strip = evidence_strip(answer(explanation(items)), CLASSES)
    assert len(strip.cards) == SHOWN == 24
    assert strip.rest == "Not shown: 276 stored images with 92.0% of the weight together."


def section(found=None, **changes):
    return make_section(answer(found, **changes), CLASSES)


def test_truth_is_compared_where_it_is_known():
    assert section().verdict == ""
    assert section(truth=1).verdict == "right"
    assert section(truth=2).verdict == "wrong, it is fox"
    calm = page_of(answer(truth=2)).words
    assert "the answer is wrong all the same" in calm
    assert "wrong all the same" not in page_of(answer(truth=1)).words


def test_a_near_miss_stands_in_for_a_missing_counterfactual():
    near = replace(evidence(77, 0.0, 2), role="counterfactual")
    items = (evidence(40, 0.6, 1), evidence(7, 0.4, 1))
    reason = "All 2 stored images are dogs."
    found = explanation(items, near_miss=near, counterfactual_reason=reason)
    shown = section(found)
    assert [card.role for card in shown.pair.cards] == ["input", "example", "near"]
    assert shown.pair.cards[2].picture.uri == to_data_uri(picture(77))
    assert shown.pair.cards[2].lines == ("similarity 0.500",)
    assert shown.pair_sentences[0] == "No counterfactual: all 2 stored images are dogs."
    assert "had no part in the answer" in shown.pair_sentences[1]


def test_a_missing_example_has_its_reason():
    items = (evidence(9, 0.6, 0), evidence(8, 0.4, 2))
    shown = section(explanation(items, example_reason="None is a dog."))
    assert [card.role for card in shown.pair.cards] == ["input", "counterfactual"]
    assert shown.pair_sentences == ("No example: none is a dog.",)
    assert [card.label for card in shown.others.cards] == ["cat", "fox"]


def test_counterfactuals_of_other_classes_are_shown_when_there_are_several():
    assert section().others is None
    many = tuple(evidence(place, 1 / 40, place, answer=50) for place in range(40))
    names = [f"class {place}" for place in range(51)]
    probabilities = torch.full((51,), 1 / 51)
    found = explanation(
        many, predicted=50, probabilities=probabilities, without=torch.zeros(40, 51)
    )
    others = make_section(answer(found), names).others
    assert len(others.cards) == 24
    assert others.rest == "Not shown: those of 16 more."


def test_removal_is_shown_with_the_smallest_set_first():
    found = section(removal=removal())
    assert found.removal_sentences == (
        "Without 2 stored images the answer would be cat.",
        "No smaller set of stored images changes it.",
    )
    assert [card.place for card in found.removal.cards] == ["training image 7", "training image 40"]
    assert [card.own for card in found.removal.cards] == ["dog", ""]
    one = removal(removed=(7, 40), smallest=(9,), smallest_becomes=2)
    found = section(removal=one)
    assert found.removal_sentences == ("Without 1 stored image the answer would be fox.",)
    assert [card.label for card in found.removal.cards] == ["cat"]


def test_removal_without_a_small_set_or_without_any():
    larger = removal(removed=(7, 9, 40), smallest=None, smallest_becomes=None)
    assert section(removal=larger).removal_sentences == (
        "Without 3 stored images the answer would be cat; putting any one of them back restores "
        "it.",
        "Every set of up to 2 stored images was tried: none of them changes the answer.",
    )
    none = removal(
        removed=(), becomes=None, smallest=None, smallest_becomes=None, reason="None was found."
    )
    found = section(removal=none)
    assert (found.removal, found.removal_sentences) == (None, ("None was found.",))


def test_long_removals_are_counted():
    stored = {place: Stored(0, 0, None, picture(place)) for place in range(30)}
    many = removal(removed=tuple(range(30)), smallest=None, smallest_becomes=None)
    found = section(removal=many, stored=stored | answer().stored)
    assert len(found.removal.cards) == 24
    assert found.removal.rest == "Not shown: 6 stored images."


def test_reliance_and_draws_in_words():
    found = section(explanation(draws=draws()))
    assert found.reliance_sentence == (
        "40.0% of what speaks for or against this answer comes from the stored images, 60.0% from "
        "the image itself."
    )
    assert found.draws_sentences == (
        "Read with 100 random stored images in place of all of them, the answer stayed the same "
        "in 18 of 20 draws; dog had 70.0% on average.",
        "The example was drawn 4 times and was the example again in 3 of them.",
    )
    never = section(explanation(draws=draws(example_drawn=0, example_kept=None)))
    assert never.draws_sentences[1] == "The example was never drawn."
    assert section().draws_sentences == ()


def test_heatmaps_share_a_scale_and_say_what_they_add_up_to():
    found = explanation()
    shown = section(found, maps=heatmaps(found))
    image, example, counterfactual = shown.pair.cards
    # 240 values of 0.1 are 24; evidence k has 240 values of -0.001 k; the change is 0.5 more
    assert image.heat_sum == "all its pixels: +24"
    assert example.heat_sum == "all its pixels: \N{MINUS SIGN}0.24"
    assert counterfactual.heat_sum == "all its pixels: \N{MINUS SIGN}0.72"
    assert shown.heat.factor == 20  # three channels: 0.3 a pixel, 0.009 at most in evidence
    assert shown.heat.ends == (("this image", "0.3"), ("stored images", "0.015"))
    assert shown.heat.score == "change of the score (logit of dog) per pixel"
    assert shown.heat.sentences == (
        "On the way from white images to the images as they are (16 steps), the score of dog "
        "changed by +23.1: +24 from the image, \N{MINUS SIGN}1.44 from 3 evidence images.",
        "The heatmaps add up to this change with an error of 0.5 (2.2% of it).",
    )
    red, blue = pixels_of({"src": image.heat.uri}), pixels_of({"src": counterfactual.heat.uri})
    assert (red == torch.tensor(POSITIVE)).all()
    share = 0.009 / 0.015
    expected = [round(255 + (end - 255) * share) for end in NEGATIVE]
    assert (blue == torch.tensor(expected)).all()


def test_heatmaps_of_the_whole_memory_tell_the_rest_and_a_large_error():
    found = explanation()
    maps = heatmaps(found, rest=torch.tensor([2.0]), completeness_error=torch.tensor([3.0]))
    first, _, third = section(found, maps=maps).heat.sentences
    assert first.endswith("from 3 evidence images, +2 from all other stored images.")
    assert third == "More steps (--steps) make the error smaller."
    flat = heatmaps(found, score_change=torch.tensor([0.0]))
    assert "(100% of it)" in section(found, maps=flat).heat.sentences[1]


def test_colours_follow_the_example_and_the_counterfactual():
    found = explanation()
    maps = heatmaps(found)
    maps.evidence[0][0] = 4.0  # the example
    colours = find_colours(answer(found, maps=maps))
    assert sorted(colours.stored) == [0, 2]
    assert (colours.factor, colours.limit) == (1, pytest.approx(0.3))


def test_maps_must_fit_the_image():
    found = explanation()
    with pytest.raises(ValueError, match=r"maps.images must be \(B, C, H, W\) with C=3"):
        answer(found, maps=heatmaps(found, shape=(1, 8, 10)))
    with pytest.raises(ValueError, match=r"image must be \(C, H, W\)"):
        Answer("x", torch.zeros(8, 10, dtype=torch.uint8), None, found)


# the page


def whole(**changes):
    items = (evidence(40, 0.5, 1), evidence(7, 0.3, 2), evidence(9, 0.2, 0))
    found = explanation(items, draws=draws(), **changes)
    return answer(found, maps=heatmaps(found), removal=removal(), truth=1, notes=("It was cut.",))


def test_a_page_needs_nothing_but_itself():
    page = page_of(whole(), whole())
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "base", "form"}
    for _, attributes in page.elements:
        for name, value in attributes.items():
            assert not name.startswith("on")
            if name in ("src", "href"):
                assert value.startswith(("data:image/png;base64,", "#image-"))
    html = render([whole()], ORIGIN, CLASSES)
    assert html.startswith("<!doctype html>")
    assert "url(" not in html
    assert "@import" not in html
    assert "http:" not in html.replace("http-equiv", "")
    assert "https:" not in html


def test_a_page_is_accessible():
    page = page_of(whole(), whole())
    assert page.all("html") == [{"lang": "en"}]
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(page.headings, page.headings[1:]))  # noqa: B905
    contents = [a["src"] for a in page.all("img") if a["alt"] == ""]
    assert len(contents) == 2  # decoration beside a link's own text
    named = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert {link["href"][1:] for link in page.all("a")} == {"image-1", "image-2"} <= named
    assert all(pixels_of(attributes).numel() for attributes in page.all("img"))


def test_the_page_says_answer_doubt_evidence_and_numbers_in_this_order():
    words = page_of(whole(flag=False)).words
    order = [
        *("An answer and its evidence", "runs-7", "photo.png", "The model's answer", "dog"),
        *("75.0%, right", "Read with care", "It was cut.", "The evidence the model used"),
        *("3 stored images", "Example and counterfactual", "per pixel"),
        *("The best counterfactual of every other class", "What would change the answer"),
        *("How much the memory counts", "How to read this page", "seed 5", "abc123"),
    ]
    places = []
    for text in order:
        places.append(words.index(text, places[-1] if places else 0))
    assert "the reason" not in words.lower()


def test_several_images_have_a_table_of_contents():
    page = page_of(whole(), replace(whole(flag=True), name="second", truth=0))
    assert "2 answers and their evidence" in page.words
    assert "second dog (75.0%) Doubtful; wrong, it is cat" in page.words
    assert page_of(whole()).all("a") == []


def test_everything_is_escaped():
    evil = ("<script>alert(1)</script>", "a\"b'c&d", "<b>bold</b>")
    items = (evidence(40, 0.6, 1, source='x"><img src=y>.png'), evidence(7, 0.4, 0))
    found = explanation(items, draws=draws())
    shown = answer(found, name="<i>'\"&.png", maps=heatmaps(found), truth=2, notes=("<u>note",))
    origin = replace(ORIGIN, run="<run>", facts=(("<k>", "<v>"),), notes=("<p>hello",))
    page = page_of(shown, replace(shown, removal=removal()), origin=origin, classes=evil)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "b"} - {"b"}
    for text in (*evil, "<i>'\"&.png", 'x"><img src=y>.png', "<run>", "<k>", "<v>", "<u>note"):
        assert text in page.words, text
    assert any('x"><img src=y>.png' in a["alt"] for a in page.all("img"))
    assert not tags & {"i'", "u", "k", "v", "run"}


@pytest.mark.parametrize(
    "shape, classes", [((1, 8, 8), 2), ((3, 224, 224), 3), ((1, 28, 28), 1000), ((3, 30, 50), 7)]
)
def test_all_sizes_and_numbers_of_classes(shape, classes):
    items = (evidence(4, 0.7, 1), evidence(5, 0.3, 0))
    probabilities = torch.full((classes,), 0.2 / (classes - 1))
    probabilities[1] = 0.8
    found = explanation(items, probabilities=probabilities, without=torch.zeros(2, classes))
    names = [f"a rather long name of a class, number {place}" for place in range(classes)]
    page = page_of(answer(found, shape=shape, maps=heatmaps(found, shape)), classes=names)
    sizes = {tuple(pixels_of(attributes).shape[:2]) for attributes in page.all("img")}
    assert sizes == {shape[1:], (12, 201)}  # native, and the colour scale
    enlarged = [a for a in page.all("img") if "enlarged" in a.get("class", "")]
    assert bool(enlarged) == (max(shape[1:]) < 96)
    assert all(int(a["width"]) <= 224 for a in page.all("img") if "width" in a)


def test_images_are_embedded_as_they_are():
    shown = whole()
    found = [pixels_of(attributes) for attributes in page_of(shown).all("img")]
    for image in (shown.image, *(stored.image for stored in shown.stored.values())):
        assert any(torch.equal(one, image.permute(1, 2, 0)) for one in found)


def test_a_memory_without_pixels_is_named_not_shown():
    page = page_of(answer(pixels=False, removal=removal()))
    assert len(page.all("img")) == 2  # the image itself, at the top and in the pair
    assert "training image 40" in page.words


def test_a_standard_model_says_that_it_has_no_memory():
    found = explanation(
        (),
        without=torch.zeros(0, 3),
        example_reason="A standard model has no memory.",
        counterfactual_reason="A standard model has no memory.",
        reliance=0.0,
    )
    origin = replace(ORIGIN, has_memory=False)
    page = page_of(answer(found, maps=heatmaps(found)), origin=origin)
    assert "This model has no memory" in page.words
    assert "no evidence. Heatmap this image" in page.words
    assert "heatmap of this image, sum +24" in [a["alt"] for a in page.all("img")]
    for text in ("How much the memory counts", "counterfactual", "How to read", "Read with"):
        assert (text in page.words) == (text == "Read with"), text  # "Read with care"
    plain = page_of(answer(found), origin=origin)
    assert "Heatmap" not in plain.words


def test_no_answer_is_refused():
    with pytest.raises(ValueError, match=r"answers must hold at least one answer, got none"):
        render([], ORIGIN, CLASSES)


# figures


def read_figure(content):
    return torch.from_numpy(np.array(Image.open(io.BytesIO(content)).convert("RGB")))


def count_colour(pixels, colour):
    return int((pixels == torch.tensor(colour, dtype=torch.uint8)).all(-1).sum())


def flat(number):
    """One colour for each image, to be found again in a figure."""
    return torch.tensor([number, 255 - number, 7], dtype=torch.uint8)[:, None, None].expand(3, 8, 8)


def figure_answer(amount, **changes):
    items = tuple(evidence(place, 1 / amount, place % 2) for place in range(amount))
    stored = {place: Stored(0, place % 2, None, flat(place)) for place in range(amount)}
    found = explanation(items)
    return answer(found, stored=stored, image=flat(200), **changes)


def test_the_evidence_figure_shows_the_image_and_all_active_memory_images():
    found = read_figure(draw_evidence([figure_answer(11), figure_answer(3)], CLASSES))
    area = 187.5**2  # 1.25 inches of 150 dots
    for number in (*range(11), 200):
        times = 2 if number in (0, 1, 2, 200) else 1
        colour = (number, 255 - number, 7)
        assert count_colour(found, colour) == pytest.approx(times * area, rel=0.03)
    assert count_colour(found, (11, 244, 7)) == 0
    lines = [(found == torch.tensor((n, 255 - n, 7))).all(-1).nonzero()[-1] for n in (0, 8)]
    assert lines[0][1] == lines[1][1]  # the ninth image begins a new line
    one = read_figure(draw_evidence([figure_answer(3)], CLASSES))
    assert found.shape[0] == 3 * one.shape[0]  # two lines for eleven images


def test_the_evidence_figure_counts_what_it_does_not_show():
    many = read_figure(draw_evidence([figure_answer(60)], CLASSES))
    assert count_colour(many, (47, 208, 7)) > 100 * 100
    assert count_colour(many, (48, 207, 7)) == 0


def test_the_heatmap_figure_shows_positive_relevance_only():
    found = figure_answer(4)
    maps = heatmaps(found.explanation, (3, 8, 8))
    maps.images[0, :, :4] *= -1
    pixels = read_figure(draw_heatmaps([replace(found, maps=maps)], CLASSES))
    red = count_colour(pixels, POSITIVE)
    assert count_colour(pixels, (200, 55, 7)) == pytest.approx(2 * red, rel=0.05)
    assert count_colour(pixels, NEGATIVE) == 0
    assert count_colour(pixels, (1, 254, 7)) > 100 * 100  # the example
    assert count_colour(pixels, (0, 255, 7)) > 100 * 100  # the counterfactual
    assert count_colour(pixels, (2, 253, 7)) == 0
    plain = read_figure(draw_heatmaps([found], CLASSES))
    assert count_colour(plain, POSITIVE) == 0


def test_figures_of_grey_images_without_counterfactual_pixels_or_memory():
    grey = answer(explanation((evidence(1, 1.0, 1),)), shape=(1, 8, 8), name="$a_b$ and ^")
    empty = answer(explanation((), without=torch.zeros(0, 3)))
    for shown in (grey, answer(pixels=False), empty):
        for draw in (draw_evidence, draw_heatmaps):
            assert read_figure(draw([shown], CLASSES)).shape[0] > 100


# JSON


def test_json_holds_every_field_with_classes_by_name_and_index():
    changes = torch.zeros(3, 3)
    changes[0], changes[1, 0] = math.nan, math.log(10)
    items = (evidence(40, 0.5, 1), evidence(7, 0.3, 1, label=0), evidence(9, 0.2, 0))
    found = explanation(items, without=changes, draws=draws(), error_probability=0.25)
    shown = answer(found, maps=heatmaps(found), removal=removal(), truth=2)
    content = json.loads(json.dumps(to_json([shown], ORIGIN, CLASSES), allow_nan=False))
    assert content["classes"] == list(CLASSES)
    assert (content["run"], content["facts"]["seed"]) == ("runs-7", "5")
    first = content["answers"][0]
    assert first["image"] == "photo.png"
    assert first["truth"] == {"index": 2, "name": "fox"}
    assert first["predicted"] == {"index": 1, "name": "dog"}
    assert first["probabilities"] == pytest.approx([0.15, 0.75, 0.1])
    second = first["evidence"][1]
    assert second.pop("without") == {
        "logit_changes": pytest.approx([math.log(10), 0, 0]),
        "probabilities": pytest.approx([1.5 / 2.35, 0.75 / 2.35, 0.1 / 2.35]),
    }
    assert second == {
        "index": 7,
        "label": {"index": 0, "name": "cat"},
        "predicted": {"index": 1, "name": "dog"},
        "weight": 0.3,
        "similarity": 0.65,
        "role": "example",
        "source": None,
    }
    assert first["evidence"][0]["without"]["logit_changes"] == [None] * 3
    assert first["example"]["index"] == 40
    assert [item["index"] for item in first["counterfactuals"]] == [9]
    assert first["counterfactual"]["label"] == {"index": 0, "name": "cat"}
    assert first["near_miss"] is None
    assert first["draws"]["probabilities"] == pytest.approx([0.2, 0.7, 0.1])
    assert (first["draws"]["seed"], first["draws"]["example_kept"]) == (3, 0.75)
    assert first["removal"]["smallest"] == [7, 40]
    assert first["removal"]["becomes"] == {"index": 0, "name": "cat"}
    assert first["doubt"]["level"] == "careful"
    assert (first["flag"], first["reliance"], first["error_probability"]) == (False, 0.4, 0.25)
    assert first["heatmaps"]["evidence_sums"] == pytest.approx([-0.24, -0.48, -0.72])
    assert first["heatmaps"]["image_sum"] == pytest.approx(24)
    assert "image" not in first["heatmaps"]
    fields = {name for name in type(found).__dataclass_fields__ if name != "without"}
    assert fields <= set(first)


def test_json_with_heatmaps_holds_every_pixel():
    found = explanation()
    maps = heatmaps(found, rest=torch.tensor([1.5]))
    content = to_json([answer(found, maps=maps)], ORIGIN, CLASSES, with_heatmaps=True)
    laid = content["answers"][0]["heatmaps"]
    assert torch.equal(torch.tensor(laid["image"]), maps.images[0])
    assert torch.equal(torch.tensor(laid["evidence"]), maps.evidence[0])
    assert laid["rest"] == 1.5
    assert set(Heatmaps.__dataclass_fields__) - {"images", "evidence"} <= set(laid)


def test_weights_of_one_kind_add_up_to_all():
    third = torch.tensor(1 / 3, dtype=torch.float32).item()
    items = [evidence(i, third * 0.99999, 1) for i in range(3)]
    assert add_weights(items) == 0.99999
    whole = [evidence(i, float(torch.tensor(0.1)), 1) for i in range(10)]
    assert add_weights(whole) == 1.0
    assert add_weights(whole, "counterfactual") == 0
