"""The page of the study: important and misleading words, and sets of stored images."""

from collections.abc import Mapping, Sequence
from typing import Any

from whence.messages import format_number
from whence.records.images import Dataset
from whence.report.blocks import (
    Card,
    NumberTable,
    PageBlock,
    PageSection,
    Strip,
    TableCell,
    TableRow,
)
from whence.report.cards import draw_picture
from whence.report.numbers import percent


def show_erased_words(
    found: Mapping[str, Any], titles: Mapping[str, str]
) -> tuple[PageSection, ...]:
    """Show the most important words of each network, and those whose removal helps.

    Args:
        found: as ``erase_words`` makes it.
        titles: names of networks for people.
    """
    blocks = (
        tabulate_top_words(found, titles),
        *show_misleading_words(found["bi-lstm"]["harmful"]),
    )
    return (
        PageSection("words", "Words", blocks),
        PageSection("sets", "Smallest sets of words", (show_word_sets(found["sets"]),)),
    )


def tabulate_top_words(found: Mapping[str, Any], titles: Mapping[str, str]) -> PageBlock:
    """Show the most important words of each network side by side."""
    total = max(len(found[kind]["top"]) for kind in titles)
    rows = tuple(
        TableRow(
            str(place + 1),
            "",
            tuple(TableCell(show_word(found[kind]["top"], place)) for kind in titles),
        )
        for place in range(total)
    )
    table = NumberTable("The most important words of each network", (*titles.values(),), rows)
    about = "In brackets: by which share of itself the loss grows without the word, on average."
    return PageBlock("Words by importance", (about,), (table,))


def show_misleading_words(harmful: Sequence[Mapping[str, Any]]) -> tuple[PageBlock, ...]:
    """Show the words without which the right answer would be surer, where there are some."""
    if not harmful:
        return ()
    cards = tuple(
        Card(
            role="counterfactual",
            badge=f"without “{one['word']}”",
            picture=None,
            label=f"it is {one['label']}",
            lines=(
                " ".join(one["words"]),
                f"the loss changes by {format_number(100 * one['share'], '+.0f')} %",
            ),
        )
        for one in harmful
    )
    about = (
        "Without these words the Bi-LSTM would be surer of the right answer: a way to find what it "
        "makes too much of."
    )
    return (PageBlock("Words that mislead", (about,), (Strip(cards, 200),)),)


def show_word(top: list[tuple[str, float]], place: int) -> str:
    """Write a word with its importance; nothing where the list is shorter."""
    if place >= len(top):
        return ""
    word, share = top[place]
    return f"{word} ({share:,.0f})" if share >= 10 else f"{word} ({share:.2g})"


def show_word_sets(sets: Mapping[str, Any]) -> PageBlock:
    """Show sentences with the words in capitals that the exact search leaves out."""
    rows: list[TableRow] = []
    for words, exact, drawn in zip(sets["sentences"], sets["exact"], sets["policy"], strict=True):
        if exact and len(rows) < 8:
            rows.append(
                TableRow(
                    mark_words(words, exact),
                    "",
                    (TableCell(str(len(exact))), TableCell(name_words(words, drawn))),
                )
            )
    if not rows:
        return PageBlock(sentences=("No sentence changes its answer without so few words.",))
    table = NumberTable("Smallest sets", ("words", "the policy leaves out"), tuple(rows))
    about = "In capitals: the fewest words without which the Bi-LSTM answers otherwise."
    return PageBlock(sentences=(about,), shown=(table,))


def mark_words(words: list[str], places: list[int]) -> str:
    """Write a sentence with some words in capitals.

    >>> mark_words(["a", "dull", "film"], [1])
    'a DULL film'
    """
    return " ".join(word.upper() if place in places else word for place, word in enumerate(words))


def name_words(words: list[str], places: list[int]) -> str:
    """Name the words at places; or say that there are none."""
    return ", ".join(words[place] for place in places) or "none"


def show_evidence_sets(found: Mapping[str, Any], images: Dataset) -> tuple[PageSection, ...]:
    """Show images beside the stored ones that voted, and which of them an answer hangs on."""
    names = images.train.class_names
    blocks = []
    for one in found["examples"]:
        asked = Card(
            role="input",
            badge="asked",
            picture=draw_picture(images.test.images[one["image"]], "an image"),
            label=f"answer: {names[one['answer']]}",
            lines=(f"without the marked ones: {names[one['becomes']]}",),
        )
        voters = [
            Card(
                role="counterfactual" if voter["gone"] else "stored",
                badge="left out" if voter["gone"] else "stored",
                picture=draw_picture(images.train.images[voter["image"]], "a stored image"),
                label=names[int(images.train.labels[voter["image"]])],
                lines=(f"weight {percent(voter['weight'])}",),
            )
            for voter in one["voters"]
        ]
        blocks.append(PageBlock(shown=(Strip((asked, *voters), 130),)))
    if not blocks:
        return ()
    about = PageBlock(
        sentences=(
            "The smallest set of stored images without which an image is answered otherwise, found "
            "by exact search: no smaller set changes the answer.",
        )
    )
    return (PageSection("stored", "Smallest sets of stored images", (about, *blocks)),)
