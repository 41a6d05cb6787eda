"""Answers and small images as text for a terminal."""

from collections.abc import Sequence

from torch import Tensor

from whence.messages import count
from whence.records.answers import Evidence, Prediction
from whence.report.decision import say_decision
from whence.report.doubt import find_doubt
from whence.report.reading import say_reading
from whence.shapes import check_shape

SHADES = " .:-=+*#%@"
BAR = 20
LARGEST_PICTURE = 16


def describe_prediction(name: str, answer: Prediction, classes: Sequence[str], *, top: int) -> str:
    """Write one answer with the stored images it was computed from, highest weight first.

    Args:
        name: of the image.
        answer: the record.
        classes: names.
        top: stored images that get a line; with 0 the answer stands alone, in one line.
    """
    share = float(answer.probabilities[answer.predicted])
    lines = [f"{name}: {classes[answer.predicted]} ({share:.1%})"]
    for item in answer.evidence[:top]:
        bar = "#" * max(1, round(item.weight * BAR))
        lines.append(f"  {item.weight:6.1%} {bar:{BAR}} {describe_evidence(item, classes)}")
    more = answer.evidence[top:]
    if top and more:
        rest = sum(item.weight for item in more)
        lines.append(f"  {rest:6.1%} {'':{BAR}} {count(len(more), 'more training image')}")
    reading, doubt = say_reading(answer, classes), find_doubt(answer, classes)
    decided = say_decision(answer, classes)
    if top and decided is not None:
        lines.append(f"  {decided}")
    if top and reading is not None:
        lines.append(f"  {reading}")
    if top:
        lines.append(f"  {doubt.title}: {doubt.sentences[0]}")
    return "\n".join(lines)


def describe_evidence(item: Evidence, classes: Sequence[str]) -> str:
    """Say which training image an evidence is, and what the model itself takes it for."""
    label = "no label" if item.label is None else classes[item.label]
    text = f"training image {item.index} ({label})"
    if item.source is not None:
        text += f" {item.source}"
    if item.role == "counterfactual":
        text += f" <- taken for {classes[item.predicted]}"
    return text


def draw_pictures(images: Tensor, captions: Sequence[Sequence[str]], *, gap: int = 3) -> str:
    """Draw small images side by side, two characters a pixel, with lines of text below each.

    Args:
        images: `(N, C, H, W)` uint8; drawn in grey, larger ones thinned out to 16 pixels a side.
        captions: for each image the same number of short lines.
        gap: spaces between two images.
    """
    check_shape("images", images, "N C H W")
    step = max(1, -(-max(images.shape[-2:]) // LARGEST_PICTURE))
    grey = images[:, :, ::step, ::step].float().mean(1)  # (N, H, W)
    level = (grey / 256 * len(SHADES)).long().tolist()
    width = max([2 * grey.shape[-1], *(len(line) for lines in captions for line in lines)])
    rows = [
        [("".join(SHADES[v] * 2 for v in row)).ljust(width) for row in picture] for picture in level
    ]
    texts = [[line.ljust(width) for line in lines] for lines in captions]
    blocks = [picture + text for picture, text in zip(rows, texts, strict=True)]
    space = " " * gap
    return "\n".join(space.join(parts).rstrip() for parts in zip(*blocks, strict=True))
