"""The page: this looks like that, beside the stored images that votes answer from."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from whence.messages import format_number
from whence.records.images import Dataset
from whence.report.blocks import Card, PageBlock, PageSection, Strip
from whence.report.cards import draw_picture
from whence.report.figures import make_grid, show, to_bytes
from whence.report.numbers import percent
from whence.studies.prototypes.ask_parts import SHOWN_PARTS

ENLARGED = 12
"""Pixels that a pixel of a small image is drawn with, so that a frame can go round a patch."""

FRAME = (255, 210, 0)


def frame_patch(image: Tensor, box: Sequence[int]) -> Tensor:
    """Enlarge an image `(C, H, W)` uint8 and draw a frame round a patch, `(3, H', W')`."""
    factor = max(1, ENLARGED * 8 // image.shape[1])
    large = image.expand(3, -1, -1) if image.shape[0] == 1 else image
    large = large.repeat_interleave(factor, 1).repeat_interleave(factor, 2).clone()
    top, left, bottom, right = (factor * one for one in box)
    inside = torch.zeros(large.shape[1:], dtype=torch.bool)
    inside[top:bottom, left:right] = True
    inside[top + 2 : bottom - 2, left + 2 : right - 2] = False
    large[:, inside] = torch.tensor(FRAME, dtype=torch.uint8)[:, None]
    return large


def draw_parts(examples: Sequence[Mapping[str, Any]], images: Dataset) -> bytes:
    """Draw a line for each image: its patches beside those of the prototypes; a PNG file."""
    figure, axes = make_grid([2] * len(examples), 2 * SHOWN_PARTS)
    for row, one in enumerate(examples):
        asked = images.test.images[one["image"]]
        answer = images.train.class_names[one["answer"]]
        for place, part in enumerate(one["parts"]):
            this, that = axes[row, 2 * place], axes[row, 2 * place + 1]
            show(this, frame_patch(asked, part["box"]), ["this", f"answer: {answer}"], bold=True)
            origin = frame_patch(images.train.images[part["image"]], part["from"])
            added = format_number(part["score"], "+.2f")
            show(that, origin, ["looks like that", f"adds {added}"])
    return to_bytes(figure)


def show_parts(examples: Sequence[Mapping[str, Any]], images: Dataset) -> tuple[PageSection, ...]:
    """Show for each image which patches look like which prototypes, and what votes beside it."""
    about = PageBlock(
        sentences=(
            "The patch in the frame looks like the framed patch of the training image beside it; "
            "what it adds to the score stands below. The last images are the stored ones with the "
            "most weight in the votes on the same image.",
        )
    )
    blocks = []
    for one in examples:
        names = images.train.class_names
        asked = images.test.images[one["image"]]
        truth = names[int(images.test.labels[one["image"]])]
        cards = []
        for part in one["parts"]:
            cards += [
                Card(
                    role="input",
                    badge="this",
                    picture=draw_picture(frame_patch(asked, part["box"]), "a patch of the image"),
                    label=f"answer: {names[one['answer']]}",
                    conflict="" if names[one["answer"]] == truth else f"It is {truth}.",
                ),
                Card(
                    role="stored",
                    badge="looks like that",
                    picture=draw_picture(
                        frame_patch(images.train.images[part["image"]], part["from"]),
                        "a patch of a training image",
                    ),
                    label=names[int(images.train.labels[part["image"]])],
                    lines=(f"adds {format_number(part['score'], '+.2f')}",),
                ),
            ]
        cards += [
            Card(
                role="example",
                badge="votes",
                picture=draw_picture(images.train.images[voter["image"]], "a stored image"),
                label=names[int(images.train.labels[voter["image"]])],
                lines=(f"weight {percent(voter['weight'])}",),
            )
            for voter in one["votes"]
        ]
        blocks.append(PageBlock(shown=(Strip(tuple(cards), 126),)))
    return (PageSection("parts", "This looks like that", (about, *blocks)),)
