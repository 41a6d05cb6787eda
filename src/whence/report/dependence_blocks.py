"""What an answer hangs on: what would change it, and how much the memory counts."""

from collections.abc import Sequence

from whence.messages import count
from whence.records.answers import Draws, Removal
from whence.records.explained import Answer
from whence.report.blocks import (
    Bar,
    BarChart,
    PageBlock,
)
from whence.report.cards import (
    SHOWN,
    make_stored_card,
    make_strip,
)
from whence.report.numbers import percent


def show_removal(answer: Answer, classes: Sequence[str]) -> tuple[PageBlock, ...]:
    """Show the stored images without which the answer would be another one."""
    removal, title = answer.removal, "What would change the answer"
    if removal is None:
        return ()
    places = removal.smallest or removal.removed
    if not places:
        return (PageBlock(title, (removal.reason,)),) if removal.reason else ()
    cards = [
        make_stored_card(index, answer.stored[index], classes)
        for index in places[:SHOWN]
        if index in answer.stored
    ]
    more = len(places) - len(cards)
    rest = f"Not shown: {count(more, 'stored image')}." if more else ""
    return (PageBlock(title, say_removal(removal, classes), shown=(make_strip(cards, rest),)),)


def say_removal(removal: Removal, classes: Sequence[str]) -> tuple[str, ...]:
    """Say what the answer becomes, and what is known of smaller sets."""
    if removal.smallest and removal.smallest_becomes is not None:
        images = count(len(removal.smallest), "stored image")
        what = classes[removal.smallest_becomes]
        first = f"Without {images} the answer would be {what}."
        if len(removal.smallest) > 1:
            return (first, "No smaller set of stored images changes it.")
        return (first,)
    images = count(len(removal.removed), "stored image")
    what = "" if removal.becomes is None else classes[removal.becomes]
    sentences = [
        f"Without {images} the answer would be {what}; putting any one of them back restores it."
    ]
    if removal.searched:
        sentences.append(
            f"Every set of up to {count(removal.searched, 'stored image')} was tried: none of them "
            "changes the answer."
        )
    return tuple(sentences)


def show_reliance(answer: Answer, classes: Sequence[str]) -> tuple[PageBlock, ...]:
    """Show how much of the answer comes from the memory, and what random memories give."""
    explanation = answer.explanation
    if not explanation.evidence:
        return ()
    share = explanation.reliance
    chart = BarChart(
        "Where the answer comes from",
        (
            Bar("the stored images", share, percent(share), strong=True),
            Bar("the image itself", 1 - share, percent(1 - share)),
        ),
    )
    return (
        PageBlock(
            "How much the memory counts",
            ("What speaks for or against this answer comes from:",),
            shown=(chart,),
            after=say_draws(
                explanation.draws, explanation.predicted, classes[explanation.predicted]
            ),
        ),
    )


def say_draws(draws: Draws | None, predicted: int, name: str) -> tuple[str, ...]:
    """Say what becomes of the answer when random parts of the memory are read."""
    if draws is None:
        return ()
    same = draws.draws - round(draws.changed * draws.draws)
    sentences = [
        f"Read with {count(draws.memory_size, 'random stored image')} in place of all of them, "
        f"the answer stayed the same in {same} of {count(draws.draws, 'draw')}; {name} had "
        f"{percent(float(draws.probabilities[predicted]))} on average."
    ]
    if draws.example_kept is not None:
        kept = round(draws.example_kept * draws.example_drawn)
        sentences.append(
            f"The example was drawn {count(draws.example_drawn, 'time')} and was the example "
            f"again in {kept} of them."
        )
    else:
        sentences.append("The example was never drawn.")
    return tuple(sentences)
