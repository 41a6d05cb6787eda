"""The page and the JSON of ways made by hand."""

import base64
import io
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.morph_pages import CLASSES, along, mask, morph, picture, way
from tests.helpers.pages import ORIGIN, answer
from whence.records.morphed import choose_steps, place_gain, share_kept
from whence.report.as_json import to_json
from whence.report.as_morph_json import morphs_to_json
from whence.report.morph_page import render_morphs
from whence.report.morph_plot import (
    BOTTOM,
    HEIGHT,
    LEFT,
    RIGHT,
    TOP,
    WIDTH,
    choose_lines,
    plot_path,
)
from whence.report.morph_section import KINDS, list_numbers, make_morph, shade
from whence.report.page import render
from whence.report.picture import NEGATIVE, POSITIVE

VOID = {"img", "meta", "wbr", "br"}


class Tree(HTMLParser):
    """Collects elements with their texts, and notices what is not closed."""

    def __init__(self, page):
        super().__init__()
        self.open, self.elements, self.texts = [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if "style" not in self.open:
            self.texts.append(" ".join(text.split()))

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def find(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def show(*morphs, origin=ORIGIN, classes=CLASSES):
    page = render_morphs(morphs or (morph(),), origin, classes)
    return page, Tree(page)


def pixels_of(image):
    raw = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))
    return torch.from_numpy(np.array(Image.open(io.BytesIO(raw))))


def table_of(part):
    return {(row.name, row.unit): row.numbers for row in part.rows}


# measures


@pytest.mark.parametrize(
    "gains, share, expected",
    [
        ([0.0, 1.0, 0.0, 0.0], 0.8, (1, 1)),
        ([1.0, 1.0, 1.0, 1.0, 1.0], 0.8, (0, 3)),
        ([0.1, 0.4, 0.4, 0.1], 0.8, (1, 2)),
        ([5.0, -9.0, 5.0], 1.0, (0, 2)),
        ([5.0, -9.0, 1.0], 0.5, (0, 0)),
        ([math.nan, 0.0, 2.0], 0.8, (2, 2)),
        ([0.0, 0.0], 0.8, None),
        ([-1.0, -2.0], 0.8, None),
    ],
)
def test_where_the_gain_lies(gains, share, expected):
    assert place_gain(torch.tensor(gains), share) == expected


def test_where_the_gain_lies_by_trying_every_stretch(rng):
    for _ in range(40):
        gains = torch.rand(9, generator=rng).square().tolist()
        fits = [
            (last - first, first, last)
            for first in range(9)
            for last in range(first, 9)
            if sum(gains[first : last + 1]) >= 0.8 * sum(gains)
        ]
        assert place_gain(torch.tensor(gains, dtype=torch.float64)) == min(fits)[1:]


def test_what_the_mask_keeps():
    assert share_kept(mask()) == pytest.approx(0.6 / 0.9)
    assert share_kept(mask(full_gains=torch.zeros(12))) is None
    assert share_kept(mask(full_gains=torch.full((12,), -0.1))) is None
    assert share_kept(mask(gains=torch.full((12,), math.nan))) is None


@pytest.mark.parametrize("steps", [2, 3, 9, 10, 11, 37, 100])
def test_steps_that_are_shown(steps):
    found = choose_steps(steps)
    assert (found[0], found[-1], len(found)) == (0, steps - 1, min(steps, 10))
    apart = [right - left for left, right in pairwise(found)]
    assert max(apart) - min(apart) <= 1
    assert min(apart) >= 1


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda: along(images=picture(1)), "images must be (S, C, H, W)"),
        (lambda: along(entropies=torch.zeros(12)), "entropies must be (S) with S=13"),
        (lambda: along(gradients=torch.zeros(13, 1)), "gradients must be (S), got shape (13, 1)"),
        (lambda: mask(increase=torch.zeros(8, 9)), "increase must be (H, W) with W=10"),
        (lambda: mask(full_gains=torch.zeros(11)), "full_gains must be (S) with S=12"),
        (lambda: morph(image=torch.zeros(8, 10)), "image must be (C, H, W)"),
        (lambda: replace(morph(), ways=()), "ways must hold at least one way, got none."),
    ],
)
def test_records_refuse_what_does_not_fit(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        change()


# drawings


def test_a_drawing_by_hand():
    found = plot_path(
        (("up", torch.tensor([0.0, 0.5, 1.0])), ("between", torch.tensor([0.5, -0.25]))),
        steps=3,
        window=(0.5, 1.0, 7.0),
        title="Title",
        label="Label",
    )
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    middle = (LEFT + right) / 2
    assert [tick.text for tick in found.across] == ["0", "1", "2"]
    assert [tick.place for tick in found.across] == [LEFT, middle, right]
    assert [tick.text for tick in found.up] == ["\N{MINUS SIGN}0.5", "0", "0.5", "1"]
    assert found.up[0].place == pytest.approx(bottom)
    assert found.up[-1].place == pytest.approx(TOP)
    third = (bottom - TOP) / 3
    assert found.zero == pytest.approx(bottom - third)
    points = [
        (LEFT, bottom - third),
        (middle, bottom - 2 * third),
        (right, TOP),
    ]
    assert found.lines[0].path == "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    quarter = (right - LEFT) / 4
    ends = [(LEFT + quarter, bottom - 2 * third), (right - quarter, bottom - third / 2)]
    assert found.lines[1].path == "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in ends)
    assert found.band.left == pytest.approx(LEFT + quarter)
    assert found.band.width == pytest.approx(3 * quarter)  # cut off at the last step
    assert found.middle == pytest.approx(middle)


def test_a_drawing_without_numbers_has_gaps_and_no_band():
    values = torch.tensor([math.nan, 1.0, math.inf, 2.0])
    found = plot_path((("a", values),), steps=4, window=(math.nan,) * 3, title="", label="")
    assert (found.band, found.middle) == (None, None)
    assert found.lines[0].path.count("M") == 2
    assert "nan" not in found.lines[0].path
    flat = plot_path((("a", torch.zeros(4)),), steps=4, window=(0, 1, 2), title="", label="")
    assert [tick.text for tick in flat.up] == ["0", "1"]


def test_a_little_below_zero_needs_no_line_below():
    def texts(low):
        numbers = torch.tensor([low, 0.1, 1.0])
        found = plot_path((("a", numbers),), steps=3, window=(0, 1, 2), title="", label="")
        return [tick.text for tick in found.up]

    assert texts(-0.01)[0] == "0"
    assert texts(-0.03)[0] == "\N{MINUS SIGN}0.5"


@pytest.mark.parametrize(
    "lowest, highest", [(0.0, 3e-9), (-4.0, 0.0), (-0.3, 0.7), (0.0, 123.4), (-0.001, 0.9)]
)
def test_grid_lines_enclose_the_numbers(lowest, highest):
    step, low, high = choose_lines(lowest, highest)
    assert low * step <= lowest + 1e-9
    assert high * step >= highest - 1e-9
    assert 1 <= high - low <= 5
    assert low <= 0 <= high


def test_drawings_refuse_what_does_not_fit():
    five = tuple((str(place), torch.zeros(3)) for place in range(5))
    with pytest.raises(ValueError, match="curves must be 1 to 4, got 5"):
        plot_path(five, steps=3, window=(0, 1, 2), title="", label="")
    with pytest.raises(ValueError, match="curves must be 1 to 4, got 0"):
        plot_path((), steps=3, window=(0, 1, 2), title="", label="")
    with pytest.raises(ValueError, match="up must have 3 or 4 numbers, got 2"):
        plot_path((("up", torch.zeros(2)),), steps=4, window=(0, 1, 2), title="", label="")
    with pytest.raises(ValueError, match="must be numbers"):
        choose_lines(0.0, math.nan)


def test_a_mask_is_black_where_it_follows():
    found = shade(torch.tensor([[0.0, 0.5, 1.0]]))
    assert found.tolist() == [[[255, 128, 0]]]
    assert found.dtype == torch.uint8


# the page


def test_the_page_needs_nothing_but_itself():
    page, tree = show(morph(way(), way("nearest"), way("memory")), morph(name="b.png"))
    names = {name for name, _ in tree.elements}
    assert not names & {"script", "link", "iframe", "object", "embed", "form", "video", "base"}
    policy = next(one for one in tree.find("meta") if "http-equiv" in one)
    assert policy["content"] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    assert all(image["src"].startswith("data:image/png;base64,") for image in tree.find("img"))
    assert not re.search(r"(https?:)?//", re.sub(r"data:image/png;base64,[^\"]*", "", page))
    ids = [attributes["id"] for _, attributes in tree.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [one["href"].removeprefix("#") for one in tree.find("a")]
    assert targets == ["image-1", "image-2"]
    assert set(targets) <= set(ids)


def test_every_name_is_escaped():
    bad = '<img src=x onerror="x">&'
    classes = (bad, f"{bad}1", f"{bad}2")
    found = morph(
        way("nearest", reason=bad, found=False, mask=replace(mask(), reason=bad)),
        name=bad,
        notes=(bad,),
    )
    found = replace(
        found,
        ways=(replace(found.ways[0], start=replace(found.ways[0].start, source=bad)),),
        code=replace(found.code, reason=bad, how="none"),
    )
    origin = replace(ORIGIN, run=bad, facts=((bad, bad),), notes=(bad,))
    page, tree = show(found, origin=origin, classes=classes)
    assert bad not in page
    assert tree.text.count(bad) > 20
    assert all("onerror" not in attributes for _, attributes in tree.elements)


def test_a_morph_in_pictures():
    found = morph()
    _, tree = show(found)
    images = {image["alt"]: pixels_of(image) for image in tree.find("img")}
    assert "colour scale from blue over white to red" in images
    path = found.ways[0].along
    expected = {
        "this image, the model says dog": found.image,
        "reconstruction, the model says dog": found.code.image,
        "morph, the model says fox": found.ways[0].image,
        "where the path starts": path.images[0],
        "where the path ends": path.images[12],
        "step 0 of the path, entropy 0.00 bits": path.images[0],
        "step 4 of the path, in the window, entropy 0.50 bits": path.images[4],
        "step 5 of the path, in the window, entropy 1.00 bits": path.images[5],
        "step 12 of the path, entropy 0.00 bits": path.images[12],
    }
    for alt, image in expected.items():
        assert torch.equal(images[alt], image.permute(1, 2, 0)), alt
    assert sum(" of the path" in alt and alt.startswith("step") for alt in images) == 10
    grey = images["mask of the path, mean 0.250"]
    assert torch.equal(grey == 0, found.ways[0].mask.mask == 1)
    red, blue = (
        images["pixels in the mask that become brighter on the path"],
        images["pixels in the mask that become darker on the path"],
    )
    assert tuple(blue[7, 0].tolist()) == NEGATIVE  # the strongest is at the end of the scale
    white = torch.tensor([255.0, 255.0, 255.0])
    half = white + (torch.tensor(POSITIVE) - white) / 2
    assert (red[0, 0] - half).abs().max() <= 1
    assert red[7, 9].tolist() == [255, 255, 255]


def test_a_morph_in_words():
    _, tree = show()
    for words in (
        "The way to an answer",
        "From fox to dog, by semantic morphing",
        "13 images lead from fox (step 0) to dog (step 12)",
        "The answer is open around step 5.0, the mean of the steps by entropy; framed steps lie in "
        "its window, 3.6 to 6.4",
        "of the codes whose decoding has the image's two top classes",
        "The reconstruction is off by 3.5% of the range of a pixel",
        "dog gains 0.900 of probability",
        "the gains add up to 0.600, 66.7% of that",
        "80% of what the mask gains lies between step 5 and step 6.",
        "dog: 90.0% fox: 8.0%",
        "dog: 3.0% fox: 96.0%",
        "mean 25.0%",
        "25.0% of pixels at 0.1 or more",
        "sum 5",
        "sum 10",
    ):
        assert words in tree.text, words
    assert "failed" not in tree.text
    frames = [
        a.get("class")
        for tag, a in tree.elements
        if tag == "li" and "card" not in a.get("class", "")
    ]
    assert frames.count("inside") == 2  # of steps 0, 1, 3, 4, 5, 7, 8, 9, 11, 12


def test_all_numbers():
    found = morph(way(), way("nearest", cosine=0.5))
    part = make_morph(found, CLASSES)
    assert part.header == ("morph", "nearest")
    table = table_of(part)
    expected = {
        ("other class", ""): ("fox", "fox"),
        ("probability of self, image", ""): ("90.0%", "90.0%"),
        ("probability of self, other image", ""): ("3.0%", "3.0%"),
        ("probability of other, reconstruction", ""): ("8.0%", "8.0%"),
        ("probability of other, other image", ""): ("96.0%", "96.0%"),
        ("entropy of the other image", "bits, two classes"): ("0.0000", "0.0000"),
        ("steps of the morph", "steps of Adam"): ("1,240", "none"),
        ("pixels apart", "sum, pixels in 0 to 1"): ("12.35", "12.35"),
        ("codes apart", "cosine"): ("\N{MINUS SIGN}0.250", "0.500"),
        ("length of the code", "of the image"): ("10.50", "10.50"),
        ("length of the code", "of the other"): ("9.88", "9.88"),
        ("mean length of codes", "of the other class"): ("8.77", "8.77"),
        ("lengths allowed", "of a morph"): ("4.50 to 14.25", "4.50 to 14.25"),
        ("mean step by entropy", "of 0 to 12"): ("5.0", "5.0"),
        ("window", "steps"): ("3.6 to 6.4", "3.6 to 6.4"),
        ("gain, every pixel", "probability"): ("+0.900", "+0.900"),
        ("gain, mask", "probability"): ("+0.600", "+0.600"),
        ("gain kept by the mask", "share"): ("66.7%", "66.7%"),
        ("where 80% of the mask's gain lies", "steps"): ("5 to 6", "5 to 6"),
        ("mask", "mean of its pixels"): ("25.0%", "25.0%"),
        ("mask below 0.1", "share of pixels"): ("75.0%", "75.0%"),
        ("increase", "sum, pixels in 0 to 1"): ("5.00", "5.00"),
        ("decrease", "sum, pixels in 0 to 1"): ("10.00", "10.00"),
    }
    assert {name: table[name] for name in expected} == expected
    _, tree = show(found)
    for name, unit, text in list_numbers(found, found.ways[0], CLASSES):
        assert f"{name} {unit}".strip() in tree.text
        assert text in tree.text


def test_three_ways_side_by_side():
    memory = way("memory", classes=3, image=picture(310))
    memory = replace(memory, classes=(1, 0), probabilities=torch.tensor([0.7, 0.2, 0.1]))
    _, tree = show(morph(way(), way("nearest", image=picture(320)), memory))
    for words in (
        "From fox to dog, by semantic morphing",
        "From fox to dog, from the nearest training image",
        "From cat to dog, from the memory's counterfactual",
        "training image 41, fox/ 41.png",
        "dog: 90.0% fox: 8.0% cat: 2.0%",
        "dog: 20.0% cat: 70.0%",
    ):
        assert words in tree.text, words
    alts = [image["alt"] for image in tree.find("img")]
    assert alts.count("training image 41, fox/41.png, labelled fox") == 2
    headers = [a for a in tree.find("th") if a["scope"] == "col"]
    assert len(headers) == 3
    assert len(tree.find("figure")) == 6


@pytest.mark.parametrize(
    "kind, miss",
    [
        ("morph", "What is shown is the nearest miss."),
        ("memory", "it had no part in the answer."),
    ],
)
def test_a_way_that_failed_says_so(kind, miss):
    failed = way(kind, found=False, reason="No way at all: too far.")
    _, tree = show(morph(failed))
    text = tree.text
    assert "This way failed No way at all: too far." in text
    assert miss in text
    assert f"{KINDS[kind].short}, near miss" in text
    bare = replace(failed, start=None)
    assert (miss in show(morph(bare))[1].text) == (kind == "morph")


def test_a_start_of_another_class_says_so():
    unsure = way("nearest", probabilities=torch.tensor([0.5, 0.3, 0.2]))
    words = "The classifier puts the image at the start in cat, not in fox"
    assert words in show(morph(unsure))[1].text
    assert "The classifier puts" not in show()[1].text


def test_a_broken_mask_says_so():
    _, tree = show(morph(way(mask=mask(reason="The gain became NaN."))))
    assert "This way failed The gain became NaN." in tree.text


@pytest.mark.parametrize(
    "how, reason, words",
    [
        ("optimised", None, "so the best of them was improved until its decoding does."),
        ("none", "No code: nothing helps.", "This image has no code No code: nothing helps."),
        ("none", "No code: nothing helps.", "All that follows starts at the nearest miss."),
        ("none", "No code: nothing helps.", "reconstruction, near miss"),
    ],
)
def test_how_the_code_was_found(how, reason, words):
    found = morph()
    found = replace(found, code=replace(found.code, how=how, reason=reason))
    _, tree = show(found)
    assert words in tree.text


def test_numbers_that_are_none():
    nothing = torch.full((12,), math.nan)
    broken = way(
        norm=math.nan,
        class_norm=math.nan,
        norm_range=(0.0, math.inf),
        along=along(
            mean=math.nan, low=math.nan, high=math.nan, entropies=torch.full((13,), math.nan)
        ),
        mask=mask(gains=nothing, full_gains=nothing, reason="NaN."),
    )
    page, tree = show(morph(broken))
    assert "never in doubt between the two" in tree.text
    assert "dog gains nothing, so no mask can show where from." in tree.text
    assert "no number" in tree.text
    assert "nan" not in re.sub(r"base64,[^\"]*|<style>.*?</style>", "", page, flags=re.DOTALL)
    assert 'class="band"' not in page


def test_a_gain_too_small_for_shares():
    little = mask(gains=torch.full((12,), 0.02), full_gains=torch.full((12,), 0.004))
    assert share_kept(little) is None
    _, tree = show(morph(way(mask=little)))
    assert "dog gains only 0.048 of probability, so no mask can show where from." in tree.text
    enough = mask(gains=torch.full((12,), 0.02), full_gains=torch.full((12,), 0.005))
    assert share_kept(enough) == pytest.approx(4)


def test_the_window_ends_with_the_path():
    _, tree = show(morph(way(along=along(low=-3.0, high=40.0))))
    assert "its window, 0.0 to 12.0" in tree.text


@pytest.mark.parametrize("truth, words", [(1, "right"), (0, "wrong, it is cat"), (None, None)])
def test_true_classes(truth, words):
    part = make_morph(morph(truth=truth), CLASSES)
    assert part.verdict == (words or "")
    _, tree = show(morph(truth=truth))
    assert ("verdict" in str(tree.elements)) == (words is not None)


def test_notes_and_origin_are_shown():
    origin = replace(ORIGIN, notes=("All are grey.",), facts=(("autoencoder", "deep"),))
    _, tree = show(morph(notes=("It was made smaller.",)), origin=origin)
    for words in ("All are grey.", "It was made smaller.", "autoencoder deep", "How to read"):
        assert words in tree.text


def test_there_must_be_something_to_show():
    with pytest.raises(ValueError, match="morphs must hold at least one image, got none"):
        render_morphs([], ORIGIN, CLASSES)


def test_the_same_block_on_the_page_of_answers():
    plain = render([answer()], ORIGIN, CLASSES)
    page = render([answer(morph=morph())], ORIGIN, CLASSES)
    tree = Tree(page)
    assert "From fox to dog, by semantic morphing" in tree.text
    assert "All numbers" in tree.text
    assert ".frames" in page
    assert ".frames" not in plain
    assert "All numbers" not in Tree(plain).text


def test_every_other_has_a_name():
    from whence.morphing.others import OTHERS

    assert list(KINDS) == list(OTHERS)


# JSON


def test_json_by_hand():
    found = morph(way("nearest"), truth=0, notes=("Small.",))
    content = morphs_to_json([found], ORIGIN, CLASSES)
    assert json.loads(json.dumps(content, allow_nan=False)) == json.loads(json.dumps(content))
    (image,) = content["images"]
    assert image["truth"] == {"index": 0, "name": "cat"}
    assert image["predicted"] == {"index": 1, "name": "dog"}
    assert image["notes"] == ["Small."]
    assert image["code"]["how"] == "sampled"
    assert image["code"]["distance"] == pytest.approx(0.0345)
    (one,) = image["ways"]
    assert one["start"] == {
        "index": 41,
        "label": {"index": 2, "name": "fox"},
        "source": "fox/41.png",
    }
    assert (one["other"], one["found"], one["reason"], one["steps"]) == ("nearest", True, None, 0)
    assert (one["self_class"]["name"], one["other_class"]["name"]) == ("dog", "fox")
    assert one["norm_range"] == [4.5, 14.25]
    assert one["mask"]["kept"] == pytest.approx(2 / 3)
    assert one["mask"]["most_of_gain"] == (5, 5)
    assert (one["mask"]["gain"], one["mask"]["full_gain"]) == pytest.approx((0.6, 0.9))
    for name in ("mask", "increase", "decrease", "gains", "full_gains"):
        torch.testing.assert_close(
            torch.tensor(one["mask"][name]), getattr(found.ways[0].mask, name)
        )
    for name in ("probabilities", "entropies", "gradients"):
        torch.testing.assert_close(
            torch.tensor(one["path"][name]), getattr(found.ways[0].along, name)
        )
    assert one["path"]["low"] == pytest.approx(3.614)
    assert (content["run"], list(content["classes"])) == (ORIGIN.run, list(CLASSES))


def test_json_has_no_nan():
    broken = way(
        norm=math.nan,
        norm_range=(0.0, math.inf),
        along=along(mean=math.nan, probabilities=torch.full((13,), math.nan)),
        mask=mask(gains=torch.full((12,), math.nan)),
    )
    content = morphs_to_json([morph(broken)], ORIGIN, CLASSES)
    text = json.dumps(content, allow_nan=False)
    one = json.loads(text)["images"][0]["ways"][0]
    assert (one["norm"], one["norm_range"], one["path"]["mean"]) == (None, [0.0, None], None)
    assert one["mask"]["gain"] is None
    assert one["start"] is None


def test_json_of_answers_holds_their_ways():
    with_way = answer(morph=morph(name="photo.png"))
    content = to_json([answer(), with_way], ORIGIN, CLASSES)
    assert content["answers"][0]["morph"] is None
    expected = morphs_to_json([with_way.morph], ORIGIN, CLASSES)["images"][0]
    assert content["answers"][1]["morph"] == expected
