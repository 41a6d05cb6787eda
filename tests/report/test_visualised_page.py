"""The page of what units look for; in a browser with ``pytest -m browser``."""

from dataclasses import replace

import pytest
import torch

from tests.helpers.browser import check_layout
from tests.helpers.pages import CLASSES, ORIGIN, picture
from whence.records.visualised import FoundPatch, MadeInput, VisualisedUnit
from whence.report.visualised_page import render_visualised, unit_section

MADE = MadeInput("nothing", picture(1), 0.0, 12.5, 6.25, 1, 0.997, rising=False)
PATCH = FoundPatch(7, 0, "<a>.png", 3.5, (2, 1, 7, 9), picture(2, (3, 5, 8)), torch.ones(5, 8))


def unit(**changes):
    fields = {
        "name": "logit of <dog>",
        "mean": 0.5,
        "deviation": 2.0,
        "highest": 4.0,
        "averaged": False,
        "made": (MADE, replace(MADE, kept_natural_by="norm", cut=0.25, rising=True)),
        "patches": (PATCH, replace(PATCH, label=None)),
        "evolution": ((0, PATCH), (3, PATCH)),
    }
    return VisualisedUnit(**(fields | changes))


def test_cards_say_what_was_made_and_found():
    section = unit_section(unit(), CLASSES, 1)
    usual, made, found, evolution = section.blocks
    assert usual.sentences == (
        "Over the training images its activation is 0.5 on average, with a standard deviation of "
        "2; the highest is 4.",
    )
    adversarial, other = made.shown[0].cards
    assert adversarial.badge == "kept natural by nothing: adversarial"
    assert adversarial.label == "activation 12.5"
    assert adversarial.lines == ("6.2 deviations above the usual", "the model sees dog (99.7%)")
    assert other.lines[2] == "25.0% of its values are no colours and were cut off"
    assert made.after == ("1 of these was still growing at the last step; more --steps give more.",)
    card, unknown = found.shown[0].cards
    assert (card.label, unknown.label) == ("cat", "no label")
    assert card.lines == ("activation 3.5", "8 x 5 pixels, from column 1, row 2")
    assert [one.badge for one in evolution.shown[0].cards] == ["before training", "after epoch 3"]


def test_a_part_that_is_all_is_the_whole_image():
    height, width = MADE.image.shape[1:]
    found = replace(PATCH, box=(0, 0, height, width))
    part = replace(PATCH, box=(0, 0, height, width - 1))
    section = unit_section(unit(patches=(found, part)), CLASSES, 1)
    first, second = section.blocks[2].shown[0].cards
    assert first.lines[1] == "the whole image"
    assert second.lines[1] == f"{width - 1} x {height} pixels, from column 0, row 0"


def test_the_activation_of_a_channel_is_said_to_be_a_mean_and_that_of_a_patch_is_not():
    usual, _, found, _ = unit_section(unit(averaged=True), CLASSES, 1).blocks
    assert usual.sentences[0].endswith("the highest is 4, each time as the mean over all places.")
    assert "of this place alone" in found.sentences[0]
    *_, plain, _ = unit_section(unit(), CLASSES, 1).blocks
    assert len(plain.sentences) == 1
    assert plain.sentences[0].startswith("Below each")


def test_a_unit_that_never_varies_is_said():
    section = unit_section(unit(deviation=0.0, evolution=()), CLASSES, 1)
    assert section.blocks[0].sentences[0].startswith("This unit gives 0.5 for every training")
    assert len(section.blocks) == 3


def test_names_are_escaped():
    page = render_visualised([unit()], ORIGIN, CLASSES)
    assert "<dog>" not in page
    assert "<a>.png" not in page
    assert "What 1 unit of the run runs-7 looks for" in page


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_sticks_out(tmp_path, width):
    long = replace(PATCH, source=f"{'folder' * 30}.png")
    units = [unit(name="channel 3 of " + "layer.1" * 30, patches=(long,) * 9), unit()]
    found = check_layout(tmp_path, render_visualised(units, ORIGIN, CLASSES), width)
    assert len(found["images"]) > 30
