"""One self-contained HTML page about a whole run."""

import math
from collections.abc import Sequence
from dataclasses import replace

from whence.memory.heads import find_head
from whence.messages import count
from whence.records.explained import Answer, Origin
from whence.records.overview import Made, Overview
from whence.report.answer_blocks import explain_section
from whence.report.blocks import Page, PageBlock, PageSection
from whence.report.class_blocks import say_balance, show_confusion, show_recall
from whence.report.corrections import show_corrected
from whence.report.curve_blocks import show_class_curves
from whence.report.decision import say_here, say_rule
from whence.report.dependence import decides, say_dependence
from whence.report.group_blocks import show_groups
from whence.report.imbalance import say_imbalance
from whence.report.known import say_known
from whence.report.near_pairs import SECTION, show_near_pairs
from whence.report.numbers import percent
from whence.report.overview_blocks import show_hard, show_misleading, show_suspicious, show_used
from whence.report.page import EVIDENCE_WORDS, list_facts, list_words, note_all, render_page
from whence.report.trust import show_doubt_quality, show_evidence_quality

TOTAL_WEIGHT = (
    "total weight",
    "the weights of a stored image added up over all test images",
)


def render_overview(overview: Overview, answers: Sequence[Answer], origin: Origin) -> str:
    """Write a page that needs nothing but itself: no script, no other file, no network.

    Args:
        overview: the run in numbers.
        answers: one per hard case, in their order.
        origin: what all was computed from, for the foot of the page.

    Returns:
        HTML; every name and file name in it is escaped.

    Raises:
        ValueError: if there is not one answer per hard case.
    """
    if len(answers) != len(overview.hard):
        raise ValueError(
            f"answers must be one per hard case ({len(overview.hard)}), got {len(answers)}."
        )
    words = (list_words(TOTAL_WEIGHT, *EVIDENCE_WORDS),) if origin.has_memory else ()
    return render_page(
        Page(
            title=f"The run {origin.run} as a whole",
            head=(PageBlock(sentences=say_head(overview)), *note_all(origin)),
            sections=(*make_sections(overview, answers), *explain_cases(overview, answers)),
            foot=(*words, list_facts(origin)),
        )
    )


def make_sections(overview: Overview, answers: Sequence[Answer]) -> tuple[PageSection, ...]:
    """Make the sections on the run itself, those that there is something to say in."""
    memory, suspicious = overview.memory, overview.suspicious
    trust = (*show_evidence_quality(overview), *show_doubt_quality(overview))
    found = []
    if overview.corrections is not None:
        changes = show_corrected(overview.corrections)
        title = "What the corrections changed"
        found.append(PageSection("corrections", title, changes, jump="Corrections"))
    found += [
        PageSection(
            "classes",
            "How good it is for each class",
            (
                show_recall(overview),
                show_confusion(overview),
                *show_class_curves(overview.evaluation),
            ),
            jump="Each class",
        ),
        *make_group_section(overview),
        PageSection("trust", "How far to trust it", trust, jump="How far to trust it"),
    ]
    if memory is not None:
        used, misleading = show_used(overview, memory), show_misleading(overview, memory)
        title = "The stored images most used"
        found += [
            PageSection("used", f"{title} as evidence", (used,), jump="Most used images"),
            PageSection(
                "misleading", f"{title} in errors", (misleading,), jump="Images used in errors"
            ),
        ]
    if suspicious is not None:
        labels = "Suspicious labels"
        block = show_suspicious(overview, suspicious)
        found.append(PageSection("suspicious", labels, (block,), jump=labels))
    if overview.memory is not None and overview.near_pairs is not None:
        pairs = show_near_pairs(overview.near_pairs)
        found.append(PageSection("near-duplicates", SECTION, pairs, jump=SECTION))
    if overview.hard:
        cases = show_hard(overview, answers)
        found.append(PageSection("hard", "Hard cases", cases, jump="Hard cases"))
    return tuple(found)


def make_group_section(overview: Overview) -> tuple[PageSection, ...]:
    """Make the section on groups, where they are known."""
    if overview.groups is None:
        return ()
    blocks = show_groups(overview, overview.groups)
    return (PageSection("groups", "How good it is for each group", blocks, jump="Each group"),)


def explain_cases(overview: Overview, answers: Sequence[Answer]) -> tuple[PageSection, ...]:
    """Explain the hard cases in full."""
    back = ("hard", "Back to the hard cases")
    return tuple(
        replace(explain_section(answer, overview.class_names, number), back=back)
        for number, answer in enumerate(answers, 1)
    )


def say_head(overview: Overview) -> tuple[str, ...]:
    """Say what the run is and how good its answers are."""
    made, found = overview.made, overview.evaluation
    wrong = found.images - round(found.whole_memory * found.images)
    low, high = interval(found.images - wrong, found.images)
    whole = "" if overview.memory is None else f" with its whole memory of {memory_size(overview)}"
    sentences = [
        say_made(made),
        f"It answers {percent(found.whole_memory)} of {count(found.images, 'test image')} right"
        f"{whole}; {wrong:,} {'answer is' if wrong == 1 else 'answers are'} wrong. With so many "
        f"test images, the accuracy on new images of the same kind is between {percent(low)} and "
        f"{percent(high)} (95% interval).",
        *say_balance(overview),
    ]
    unequal = say_imbalance(made.class_counts, overview.class_names)
    if unequal is not None:
        sentences.append(unequal)
    if found.decision is not None:
        here = found.classes[found.decision.place]
        sentences += [say_rule(found.decision), say_here(here, found.images)]
    known = None if found.known is None else say_known(found.known)
    if known is not None:
        sentences.append(known)
    if found.reliance is not None and not decides(found.reliance):
        sentences += say_dependence(found.reliance)[-2:]
    if found.draws_mean is not None and found.draws_std is not None and found.draws is not None:
        images = count(made.drawn, "random stored image")
        sentences.append(
            "Measured as the paper of Memory Wrap does, with "
            f"{images} for every {made.draw_batch:,} test images in place "
            f"of the whole memory, {percent(found.draws_mean)} are right "
            f"(mean of {len(found.draws)} passes, standard "
            f"deviation {100 * found.draws_std:.2f} percentage points)."
        )
    if overview.memory is None:
        sentences.append(
            "This model has no memory: there are no stored images to show, and no evidence to "
            "measure."
        )
    return tuple(sentences)


def say_made(made: Made) -> str:
    """Say how the run was made."""
    other = "" if made.measured_on == made.trained_on else f"; measured on {made.measured_on}"
    head = find_head(made.variant)
    kind = f"head {head.title}" if head.has_memory else "no memory"
    return (
        f"Trained on {count(made.train_images, 'training image')} from {made.trained_on}: encoder "
        f"{made.encoder}, {kind}, seed {made.seed}{other}."
    )


def memory_size(overview: Overview) -> str:
    """Count the stored images."""
    return "" if overview.memory is None else count(overview.memory.size, "stored image")


def interval(hits: int, images: int) -> tuple[float, float]:
    """Compute the 95 % interval of a share after Wilson (1927), which also holds for few images.

    >>> [round(end, 4) for end in interval(8, 10)], interval(0, 4)[0]
    ([0.4902, 0.9433], 0.0)
    """
    z, share = 1.959964, hits / images
    scale = 1 + z**2 / images
    middle = (share + z**2 / (2 * images)) / scale
    half = z * math.sqrt(share * (1 - share) / images + z**2 / (4 * images**2)) / scale
    low = 0.0 if hits == 0 else middle - half
    return low, 1.0 if hits == images else middle + half
