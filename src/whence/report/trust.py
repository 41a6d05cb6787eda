"""The blocks on how far to trust a run: its evidence, and its signs of doubt."""

from collections.abc import Mapping

from whence.messages import count
from whence.metrics.evidence import MEASURES
from whence.records.measures import Evaluation, EvidenceMeasures, FlagQuality
from whence.records.overview import Overview
from whence.records.spread import find_spread
from whence.report.blocks import Glossary, NumberTable, PageBlock, TableCell, TableRow
from whence.report.dependence import say_dependence
from whence.report.numbers import percent
from whence.report.plots import plot_risks

COUNTS = ("support_size", "support_size_median")
"""Measures that are numbers of images; all others are shares."""

ABSENT = "\N{EN DASH}"

SIGNAL_NAMES = {
    "error_probability": "calibrated probability of error",
    "top_memory": "top stored image in another class",
    "softmax": "1 \N{MINUS SIGN} highest probability",
    "entropy": "entropy of the probabilities",
    "nearest": "distance to the nearest stored image",
    "class_mass": "weight outside the predicted class",
    "support": "stored images with weight",
    "key_distance": "distance of keys to the nearest stored image",
    "soft_votes": "votes of all stored images for other classes",
    "similarity_gap": "how near another class's stored image is beside the answer's",
    "top_weight": "1 \N{MINUS SIGN} highest weight",
}

COVERED = 0.8
"""Share of the images that the sentence on leaving out doubtful answers speaks of."""

CONTROLS = (
    "A random image and the nearest image are controls: the same measures with another stored "
    "image in place of the one with the highest weight, any by chance, or the one with the nearest "
    "features. Evidence that tells something of the answers does better than chance. The command "
    "whence evaluate adds a third control, the network before training."
)

SIGNAL_WORDS = (
    (
        "AUROC",
        "how often a wrong answer is more doubtful than a right one; 0.5 is a coin, 1 is best",
    ),
    (
        "ECE",
        "how far the stated probability of an error is from how often errors came; 0 is best",
    ),
    (
        "AURC",
        "mean share of wrong answers over all numbers of answers kept, least doubtful first; "
        "lower is better",
    ),
    ("wrong at 80%", "share of wrong answers among the 80% of images with least doubt"),
)


def show_evidence_quality(overview: Overview) -> tuple[PageBlock, ...]:
    """Say whether the evidence fits the answers, each measure beside its controls."""
    found = overview.evaluation
    table = lay_out_evidence(found)
    if found.evidence is None or table is None:
        return ()
    depends = () if found.reliance is None else say_dependence(found.reliance)
    return (
        PageBlock(
            "Does the evidence fit the answers?",
            (" ".join(say_evidence(found.evidence, found.images)), *depends),
            shown=(table,),
        ),
        PageBlock(sentences=(CONTROLS,), tone="note"),
    )


def lay_out_evidence(found: Evaluation) -> NumberTable | None:
    """Set each measure of the evidence beside its controls; None for a standard model."""
    if found.evidence is None:
        return None
    draws, controls = found.draws_evidence or (), found.controls
    rows = []
    for name, meaning in MEASURES.items():
        numbers = [read_measure(found.evidence, name)]
        spread = find_spread(read_measure(one, name) for one in draws)
        numbers.append(None if spread is None else spread.mean)
        numbers += [read_measure(controls[one], name) for one in ("random", "nearest")]
        rests = rest_on(name, found.evidence, found.images)
        cells = tuple(TableCell(write_measure(name, number)) for number in numbers)
        cells = (TableCell(cells[0].text + rests), *cells[1:])
        rows.append(TableRow(name.replace("_", " "), meaning, cells))
    header = ("whole memory", "random memories", "a random image", "the nearest image")
    return NumberTable("Measures of the evidence", header, tuple(rows))


def rest_on(name: str, measures: EvidenceMeasures, images: int) -> str:
    """Say how many answers a measure of the whole memory rests on, where not on all."""
    agreeing = round(measures.explanation_accuracy * images)
    counts = {"example_accuracy": agreeing, "counterfactual_accuracy": images - agreeing}
    return f" of {counts[name]:,}" if counts.get(name) else ""


def read_measure(measures: EvidenceMeasures, name: str) -> float | None:
    """Read one measure."""
    value: float | None = getattr(measures, name)
    return value


def write_measure(name: str, value: float | None) -> str:
    """Write a measure: a number of images as it is, a share in percent.

    >>> write_measure("purity", 0.5), write_measure("support_size", 3.14)
    ('50.0%', '3.1')
    >>> write_measure("purity", None) == ABSENT
    True
    """
    if value is None:
        return ABSENT
    return f"{value:,.1f}" if name in COUNTS else percent(value)


FEW = 10
"""Answers below which a share of them says little."""


def say_evidence(found: EvidenceMeasures, images: int) -> tuple[str, ...]:
    """Say what the measures of the evidence mean for a reader of single answers."""
    share = percent(found.explanation_accuracy)
    agreeing = round(found.explanation_accuracy * images)
    sentences = [
        f"For {share} of the images ({agreeing:,} of {images:,}), the stored image with the "
        "highest weight is one that the model itself puts in the class of its answer."
    ]
    same, other = found.example_accuracy, found.counterfactual_accuracy
    if same is not None and other is not None:
        sentences.append(
            f"Of these answers {percent(same)} are right; of the other {images - agreeing:,}, "
            f"{percent(other)} are."
        )
        if images - agreeing < FEW:
            sentences.append("So few others say little.")
        elif other < same:
            sentences.append("So a stored image of another class on top is a sign of doubt.")
    return tuple(sentences)


def show_doubt_quality(overview: Overview) -> tuple[PageBlock, ...]:
    """Say whether signs of doubt find the errors, and draw what leaving out answers gives."""
    found = overview.evaluation
    names = [SIGNAL_NAMES[curve.signal] for curve in overview.curves]
    return (
        PageBlock(
            "Do signs of doubt find the errors?",
            (" ".join(say_doubt(found)),),
            shown=(
                plot_risks(overview.curves, names),
                lay_out_signals(found),
                Glossary(SIGNAL_WORDS, strong=True),
            ),
        ),
    )


def lay_out_signals(found: Evaluation) -> NumberTable:
    """Set the signs of doubt side by side, the one that finds errors best marked."""
    best = find_best(found.signals)
    rows = [
        TableRow(
            SIGNAL_NAMES[name], "", write_quality(quality), mark="best" if name == best else ""
        )
        for name, quality in found.signals.items()
    ]
    header = ("AUROC", "ECE", "AURC", f"wrong at {COVERED:.0%}")
    return NumberTable("Signs of doubt", header, tuple(rows))


def find_best(signals: Mapping[str, FlagQuality]) -> str | None:
    """Name the signal of the highest AUROC; None when all answers are right, or all wrong."""
    known = {name: one.auroc for name, one in signals.items() if one.auroc is not None}
    return max(known, key=lambda name: known[name]) if known else None


def write_quality(quality: FlagQuality) -> tuple[TableCell, ...]:
    """Write the numbers of one signal."""
    numbers = (quality.auroc, quality.ece, quality.aurc)
    texts = [ABSENT if number is None else f"{number:.3f}" for number in numbers]
    return tuple(TableCell(text) for text in (*texts, percent(quality.risk_coverage[COVERED])))


def say_doubt(found: Evaluation) -> tuple[str, ...]:
    """Say what leaving out the most doubtful answers gives, and where the numbers are from."""
    name = "error_probability" if "error_probability" in found.signals else "softmax"
    risks = found.signals[name].risk_coverage
    before = risks[1.0]
    if before == 0:
        return ("No answer is wrong, so no sign of doubt can be judged.",)
    sentences = [
        f"Answering only for the {COVERED:.0%} of images with least doubt, "
        f"{percent(risks[COVERED])} are wrong instead of {percent(before)}; for the "
        f"{0.5:.0%} with least doubt, {percent(risks[0.5])}. The sign of doubt used here is "
        f"{describe_signal(name)}."
    ]
    if found.calibration is None:
        sentences.append(
            "This run has no calibrated probability of error: it was saved without one, or too "
            "few validation images were answered wrongly, or rightly, to fit it."
        )
    else:
        images = count(found.calibration.images, "held-out image")
        sentences.append(
            f"That probability was calibrated on {images}, {found.calibration.errors:,} of them "
            "answered wrongly."
        )
    return tuple(sentences)


def describe_signal(name: str) -> str:
    """Name a signal within a sentence."""
    if name == "error_probability":
        return "the calibrated probability of an error"
    return "how far the highest probability is from 1"
