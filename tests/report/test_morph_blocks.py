"""The blocks of the ways to one image, made by hand."""

import math
from dataclasses import replace

import pytest
import torch

from tests.helpers.html_pages import words_of
from tests.helpers.morph_pages import CLASSES, along, mask, morph, picture, way
from whence.morphing import OTHERS
from whence.report.morph_blocks import KINDS, shade_mask, show_ways
from whence.report.morph_numbers import list_numbers


def blocks_of(*ways, **changes):
    return show_ways(morph(*ways, **changes), CLASSES)


def strips_of(blocks):
    return [shown for block in blocks for shown in block.shown if shown.kind == "strip"]


def tables_of(blocks):
    return [shown for block in blocks for shown in block.shown if shown.kind == "table"]


def plots_of(blocks):
    return [shown for block in blocks for shown in block.shown if shown.kind == "plot"]


def test_every_other_has_a_name():
    assert list(KINDS) == list(OTHERS)


def test_a_mask_is_black_where_it_follows():
    found = shade_mask(torch.tensor([[0.0, 0.5, 1.0]]))
    assert found.tolist() == [[[255, 128, 0]]]
    assert found.dtype == torch.uint8


def test_a_morph_in_words():
    words = words_of(blocks_of())
    for part in (
        "From fox to dog, by semantic morphing",
        "13 images lead from fox (step 0) to dog (step 12)",
        "The answer turns around step 5.0, the mean of the steps by entropy; framed steps lie in "
        "the window around it, 3.6 to 6.4",
        "the closest in which the model sees the same two classes first, in the same order.",
        "It is off by 3.5% of the range of a pixel on average.",
        "dog gains 0.900 of probability",
        "the gains add up to 0.600, 66.7% of that",
        "80% of what the mask gains lies between step 5 and step 6.",
    ):
        assert part in words, part


def test_three_ways_side_by_side():
    memory = way("memory", classes=3, image=picture(310))
    memory = replace(memory, classes=(1, 0), probabilities=torch.tensor([0.7, 0.2, 0.1]))
    blocks = blocks_of(way(), way("nearest", image=picture(320)), memory)
    sides = strips_of(blocks)[0].cards
    assert [(card.badge, card.label) for card in sides] == [
        ("this image", "dog"),
        ("reconstruction", "dog"),
        ("morph", "fox"),
        ("nearest", "fox"),
        ("nearest, real", "fox"),
        ("memory", "cat"),
        ("memory, real", "fox"),
    ]
    assert sides[0].lines == ("dog: 90.0%", "fox: 8.0%", "cat: 2.0%")
    assert sides[2].lines == ("dog: 3.0%", "fox: 96.0%")
    assert sides[5].lines == ("dog: 20.0%", "cat: 70.0%")
    assert sides[4].place == "training image 41, fox/41.png"
    titles = [block.title for block in blocks if block.title.startswith("From")]
    assert titles == [
        "From fox to dog, by semantic morphing",
        "From fox to dog, from the nearest training image",
        "From cat to dog, from the memory's counterfactual",
    ]
    assert tables_of(blocks)[0].header == ("morph", "nearest", "memory")
    assert len(plots_of(blocks)) == 6


# what goes wrong


NOT_FOX = torch.tensor([0.5, 0.3, 0.2])


@pytest.mark.parametrize("kind", ["morph", "nearest"])
def test_a_way_that_failed_stops_with_what_to_do(kind):
    failed = way(kind, found=False, reason="No way at all: too far.", probabilities=NOT_FOX)
    blocks = blocks_of(failed)
    box = blocks[1]
    assert (box.tone, box.title) == ("doubtful", f"From fox to dog, {KINDS[kind].title}: failed")
    assert box.sentences[0] == "No way at all: too far."
    assert "Try another start (--other" in box.sentences[-1]
    assert "train the autoencoder longer" in box.sentences[-1]
    assert box.shown == ()
    assert f"{KINDS[kind].short}, near miss" in [card.badge for card in strips_of(blocks)[0].cards]
    assert len(blocks) == 2
    assert tables_of(blocks) == plots_of(blocks) == []


def test_one_way_that_failed_leaves_the_others_and_their_numbers():
    failed = way(found=False, reason="No.", probabilities=NOT_FOX)
    blocks = blocks_of(failed, way("nearest"))
    assert len(plots_of(blocks)) == 2
    (table,) = tables_of(blocks)
    assert all(len(row.cells) == 1 for row in table.rows)


def test_a_start_that_the_model_does_not_see_as_the_other_class_failed():
    blocks = blocks_of(way("nearest", probabilities=NOT_FOX))
    assert blocks[1].sentences[0] == (
        "The model sees cat, not fox, in what the autoencoder makes of the image at the start."
    )
    assert plots_of(blocks) == []


def test_a_morph_that_came_to_the_other_class_but_not_to_its_end_is_shown():
    blocks = blocks_of(way(found=False, reason="No morph to fox: in 100 steps."))
    assert blocks[1].sentences[0] == (
        "No morph to fox: in 100 steps. The way starts where it came to, which the model sees as "
        "fox."
    )
    assert len(plots_of(blocks)) == 2


def test_without_a_counterfactual_the_way_starts_at_the_most_similar_image():
    instead = way("memory", found=False, reason="No counterfactual.")
    blocks = blocks_of(instead)
    assert blocks[1].sentences[0] == (
        "No counterfactual. So the way starts at the most similar stored image of another class, "
        "which had no part in the answer."
    )
    assert len(plots_of(blocks)) == 2
    bare = blocks_of(replace(instead, start=None, probabilities=NOT_FOX))
    assert bare[1].title.endswith("failed")
    assert "Try another start (--other morph or --other nearest)" in bare[1].sentences[-1]


def test_a_broken_mask_leaves_the_answer_along_the_path():
    blocks = blocks_of(way(mask=mask(reason="The gain became NaN.")))
    box = next(block for block in blocks if block.tone == "doubtful")
    assert (box.title, box.sentences) == ("The mask failed", ("The gain became NaN.",))
    assert [plot.title for plot in plots_of(blocks)] == ["The answer along the path"]
    assert [strip.layout for strip in strips_of(blocks)] == ["cards", "frames"]


def test_an_image_without_a_code_stops_with_what_to_do():
    found = morph()
    code = replace(found.code, how="none", reason="The autoencoder is not good enough.")
    blocks = show_ways(replace(found, code=code, ways=()), CLASSES)
    assert [block.title for block in blocks] == [
        "This image cannot be morphed",
        "The image and what the autoencoder makes of it",
    ]
    assert blocks[0].tone == "doubtful"
    assert blocks[0].sentences == ("The autoencoder is not good enough.",)
    cards = strips_of(blocks)[0].cards
    assert [(card.role, card.badge) for card in cards] == [
        ("input", "this image"),
        ("near", "reconstruction"),
    ]
    assert cards[0].lines == ("dog: 90.0%", "fox: 8.0%")


def test_how_the_code_was_found():
    found = morph()
    improved = replace(found, code=replace(found.code, how="optimised"))
    assert "so the best try was improved until it did." in words_of(show_ways(improved, CLASSES))


# numbers


def test_all_numbers():
    found = morph(way(), way("nearest", cosine=0.5))
    (table,) = tables_of(show_ways(found, CLASSES))
    assert table.header == ("morph", "nearest")
    given = {(row.name, row.meaning): tuple(cell.text for cell in row.cells) for row in table.rows}
    expected = {
        ("other class", ""): ("fox", "fox"),
        ("probability of self, image", ""): ("90.0%", "90.0%"),
        ("probability of self, other image", ""): ("3.0%", "3.0%"),
        ("probability of other, reconstruction", ""): ("8.0%", "8.0%"),
        ("probability of other, other image", ""): ("96.0%", "96.0%"),
        ("entropy of the other image", "bits, between the two classes"): ("0.0000", "0.0000"),
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
    assert {name: given[name] for name in expected} == expected
    assert len(given) == len(list_numbers(found, found.ways[0], CLASSES)) == 25


def test_numbers_that_are_none():
    nothing = torch.full((12,), math.nan)
    broken = way(
        norm=math.nan,
        class_norm=math.nan,
        norm_range=(0.0, math.inf),
        along=along(
            mean=math.nan, low=math.nan, high=math.nan, entropies=torch.full((13,), math.nan)
        ),
        mask=mask(gains=nothing, full_gains=nothing),
    )
    blocks = blocks_of(broken)
    words = words_of(blocks)
    assert "never in doubt between the two" in words
    assert "dog gains nothing, so no mask can show where from." in words
    assert "no number" in [row.cells[0].text for row in tables_of(blocks)[0].rows]
    assert "nan" not in words
    assert [plot.band for plot in plots_of(blocks)] == [None, None]
    little = mask(gains=torch.full((12,), 0.02), full_gains=torch.full((12,), 0.004))
    words = words_of(blocks_of(way(mask=little)))
    assert "dog gains only 0.048 of probability, so no mask can show where from." in words


def test_the_window_ends_with_the_path():
    words = words_of(blocks_of(way(along=along(low=-3.0, high=40.0))))
    assert "the window around it, 0.0 to 12.0" in words
