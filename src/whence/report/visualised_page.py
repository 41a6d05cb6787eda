"""The page of what units of a network look for."""

from collections.abc import Sequence

from whence.messages import count, format_number
from whence.records.explained import Origin
from whence.records.picture import colour, find_limit
from whence.records.visualised import FoundPatch, MadeInput, VisualisedUnit
from whence.report.blocks import Card, Page, PageBlock, PageSection, Strip
from whence.report.cards import draw_picture, make_strip, name_label, name_place
from whence.report.numbers import percent
from whence.report.page import list_facts, list_words, note_all, render_page

NATURAL = {
    "nothing": "nothing: adversarial",
    "norm": "its length",
    "length": "a penalty on its length",
    "variation": "its length, smooth by a penalty",
    "blur": "its length, blurred at every step",
    "jitter": "its length, smooth, shifted at every step",
    "autoencoder": "the autoencoder",
}
"""What kept an input natural, in the words of a card."""

INTRODUCTION = (
    "A unit is a number inside a network that is large for some images and small for others. This "
    "page shows what makes it large, in two ways: inputs that were made from noise, step by step, "
    "to make it as large as possible; and the parts of training images for which it is largest.",
    "The first input of each unit was kept natural by nothing but the range of a pixel. It looks "
    "like noise, and all the same it often activates the unit far more than any image, and the "
    "model may be sure of it: that is how networks are deceived. The others are held to the length "
    "or the smoothness of images, or to what an autoencoder can make. They are easier to read, but "
    "show the unit through that lens: believe what several of them share, and what the training "
    "images below them show as well. The end of the page says what its words mean, such as logit, "
    "channel and deviation.",
)

VISUALISED_WORDS = (
    ("activation", "the unit's number for an input; a channel's is the mean over all places"),
    (
        "deviations",
        "how far an activation is above the usual one: in standard deviations of the unit over the "
        "training images. More than about five hardly occurs among images",
    ),
    ("logit", "the model's output for a class before it becomes a probability"),
    (
        "channel, neuron, layer",
        "a feature map of a layer of the encoder, one place of it, and all of the layer",
    ),
    (
        "kept natural by its length",
        "after every step an input is brought to the length of an average training image "
        "(Erhan et al. 2009)",
    ),
    (
        "patch",
        "the part of a training image that the unit sees at the place where it is most active; "
        "below it which of its pixels count for that: red raises the activation, blue lowers it",
    ),
)


def render_visualised(
    units: Sequence[VisualisedUnit], origin: Origin, class_names: Sequence[str]
) -> str:
    """Write a page that needs nothing but itself: no script, no other file, no network.

    Args:
        units: at least one.
        origin: what they were computed from, for the foot of the page.
        class_names: one name per class.

    Returns:
        HTML; every name and file name in it is escaped.
    """
    look = "looks" if len(units) == 1 else "look"
    return render_page(
        Page(
            title=f"What {count(len(units), 'unit')} of the run {origin.run} {look} for",
            head=(PageBlock(sentences=INTRODUCTION), *note_all(origin)),
            sections=tuple(
                unit_section(unit, class_names, number) for number, unit in enumerate(units, 1)
            ),
            foot=(list_words(*VISUALISED_WORDS), list_facts(origin)),
        )
    )


def unit_section(unit: VisualisedUnit, classes: Sequence[str], number: int) -> PageSection:
    """Describe one unit; ``number`` is its place on the page, from 1."""
    made = Strip(tuple(make_input_card(one, classes) for one in unit.made), 140)
    whole = unit.made[0].image.shape[1:]
    patches = make_strip([make_patch_card(one, classes, whole) for one in unit.patches])
    blocks = [
        PageBlock(sentences=(say_usual(unit),)),
        PageBlock("Inputs made for it", shown=(made,), after=say_rising(unit)),
        PageBlock("Training images that activate it most", say_patches(unit), shown=(patches,)),
    ]
    if unit.evolution:
        cards = [make_epoch_card(epoch, one, classes, whole) for epoch, one in unit.evolution]
        text = "The patch that activated it most after each of these epochs of the training."
        blocks.append(PageBlock("How it came about", (text,), shown=(make_strip(cards),)))
    return PageSection(f"unit-{number}", unit.name, tuple(blocks), jump=unit.name)


def say_usual(unit: VisualisedUnit) -> str:
    """Say what is usual for a unit over the training images."""
    if unit.deviation == 0:
        return (
            f"This unit gives {format_number(unit.mean, '.3g')} for every training image: it looks "
            "for nothing in them."
        )
    mean, deviation, highest = (
        format_number(value, ".3g") for value in (unit.mean, unit.deviation, unit.highest)
    )
    places = ", each time as the mean over all places" if unit.averaged else ""
    return (
        f"Over the training images its activation is {mean} on average, with a standard deviation "
        f"of {deviation}; the highest is {highest}{places}."
    )


def say_patches(unit: VisualisedUnit) -> tuple[str, ...]:
    """Say what a card of a training image shows."""
    told = (
        "Below each is which of its pixels count for that: red raises the activation, blue lowers "
        "it. Each map has a scale of its own.",
    )
    if not unit.averaged:
        return told
    return (
        "The part that the channel sees where it is most active; the activation is that of this "
        "place alone, and so may be above the highest mean.",
        *told,
    )


def say_rising(unit: VisualisedUnit) -> tuple[str, ...]:
    """Say how many activations were still growing when the steps ended."""
    rising = sum(one.rising for one in unit.made)
    if not rising:
        return ()
    were = "was" if rising == 1 else "were"
    return (f"{rising} of these {were} still growing at the last step; more --steps give more.",)


def make_input_card(made: MadeInput, classes: Sequence[str]) -> Card:
    """Describe one input that was made."""
    name = NATURAL[made.kept_natural_by]
    lines = [
        say_deviations(made.deviations),
        f"the model sees {classes[made.predicted]} ({percent(made.probability)})",
    ]
    if made.cut >= 0.001:
        lines.append(f"{percent(made.cut)} of its values are no colours and were cut off")
    return Card(
        role="counterfactual" if made.kept_natural_by == "nothing" else "step",
        badge=f"kept natural by {name}",
        picture=draw_picture(made.image, f"input made for the unit, {name}", smallest=112),
        label=f"activation {format_number(made.activation, '.3g')}",
        lines=tuple(lines),
    )


def say_deviations(deviations: float) -> str:
    """Say how far an activation is from the usual one, in standard deviations of the unit.

    >>> say_deviations(5.5), say_deviations(-0.25)
    ('5.5 deviations above the usual', '0.2 deviations below the usual')
    """
    side = "above" if deviations >= 0 else "below"
    return f"{format_number(abs(deviations), '.1f')} deviations {side} the usual"


def make_patch_card(found: FoundPatch, classes: Sequence[str], whole: Sequence[int]) -> Card:
    """Describe the part of a training image of ``whole`` height and width that activates a unit."""
    label, place = name_label(found.label, classes), name_place(found.index, found.source)
    limit = find_limit([found.projection])
    alt = f"pixels of {place} that count for the activation"
    top, left, bottom, right = found.box
    seen = f"{right - left} x {bottom - top} pixels, from column {left}, row {top}"
    if found.box == (0, 0, *whole):
        seen = "the whole image"
    return Card(
        role="stored",
        badge="",
        picture=draw_picture(found.patch, f"part of {place}, labelled {label}"),
        label=label,
        lines=(
            f"activation {format_number(found.activation, '.3g')}",
            seen,
        ),
        place=place,
        relevance=draw_picture(colour(found.projection, limit), alt),
        relevance_sum=f"full colour at \N{PLUS-MINUS SIGN}{limit:.2g}",
    )


def make_epoch_card(
    epoch: int, found: FoundPatch, classes: Sequence[str], whole: Sequence[int]
) -> Card:
    """Describe the most active patch after an epoch."""
    card = make_patch_card(found, classes, whole)
    badge = "before training" if epoch == 0 else f"after epoch {epoch}"
    return Card(
        role=card.role,
        badge=badge,
        picture=card.picture,
        label=card.label,
        lines=card.lines[:1],
        place=card.place,
        relevance=card.relevance,
        relevance_sum=card.relevance_sum,
    )
