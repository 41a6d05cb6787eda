"""The page of explained images: answers, and the evidence that the model used for them."""

from collections.abc import Sequence

from whence.records.explained import Answer, Origin
from whence.report.answer_blocks import explain_section, say_verdict
from whence.report.blocks import Contents, ContentsEntry, Page, PageBlock
from whence.report.cards import draw_picture
from whence.report.doubt import find_doubt
from whence.report.numbers import percent
from whence.report.page import EVIDENCE_WORDS, list_facts, list_words, note_all, render_page


def render_answers(answers: Sequence[Answer], origin: Origin, class_names: Sequence[str]) -> str:
    """Write a page that needs nothing but itself: no script, no other file, no network.

    Args:
        answers: at least one, in the order in which they are shown.
        origin: what they were computed from, for the foot of the page.
        class_names: one name per class.

    Returns:
        HTML; every name and file name in it is escaped.

    Raises:
        ValueError: if there is no answer.
    """
    if not answers:
        raise ValueError("answers must hold at least one answer, got none.")
    sections = tuple(
        explain_section(answer, class_names, number) for number, answer in enumerate(answers, 1)
    )
    one = len(sections) == 1
    title = "An answer and its evidence" if one else f"{len(sections)} answers and their evidence"
    contents = () if one else (list_answers(answers, class_names),)
    words = (list_words(*EVIDENCE_WORDS),) if origin.has_memory else ()
    return render_page(
        Page(
            title=title,
            head=(
                PageBlock(sentences=(say_origin(origin),)),
                *note_all(origin),
                *contents,
            ),
            sections=sections,
            foot=(*words, list_facts(origin)),
        )
    )


def say_origin(origin: Origin) -> str:
    """Say what the answers are from."""
    text = f"Computed by the run {origin.run}."
    if origin.has_memory:
        text += " Every answer is shown with the stored training images that it was computed with."
    return text


def list_answers(answers: Sequence[Answer], classes: Sequence[str]) -> PageBlock:
    """Link to every image of the page."""
    entries = []
    for number, answer in enumerate(answers, 1):
        explanation = answer.explanation
        share = percent(float(explanation.probabilities[explanation.predicted]))
        verdict = say_verdict(answer.truth, explanation.predicted, classes)
        doubt = find_doubt(answer.explanation, classes).title
        entries.append(
            ContentsEntry(
                anchor=f"image-{number}",
                picture=draw_picture(answer.image, "", smallest=60, largest=120),
                name=answer.name,
                answer=f"{classes[explanation.predicted]} ({share})",
                lines=(f"{doubt}; {verdict}" if verdict else doubt,),
            )
        )
    return PageBlock(shown=(Contents("Images on this page", tuple(entries)),))
