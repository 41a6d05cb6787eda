"""Explain images by several attribution methods and write a page, a figure or JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from whence.attribution.attribute import choose_kind
from whence.cli.asked import CommandPlan
from whence.cli.files import encode_page
from whence.cli.plain_text import escape, print_note
from whence.cli.traces import without_font_folder
from whence.cli.work.images import read_images_asked, report_unread
from whence.cli.work.method_options import read_method_options, read_target_text
from whence.gather.explained import describe_origin
from whence.gather.gallery import gather_gallery
from whence.models.about import read_about
from whence.models.load import load_to_answer
from whence.records.explained import Origin
from whence.records.gallery import AttributedImage, Gallery
from whence.report.as_gallery_json import to_gallery_json
from whence.report.as_json import show_option
from whence.report.gallery_blocks import NO_SHARES, find_unexplained, name_method
from whence.report.gallery_page import render_gallery
from whence.report.numbers import percent
from whence.storage.whole_files import write_whole


def attribute_all(
    options: Namespace,
    kind: str,
    names: Sequence[str],
    plan: CommandPlan,
) -> int:
    """Explain images by several methods and write a page, a figure or JSON.

    Args:
        options: of the command, checked.
        kind: html, png or json.
        names: of the methods.
        plan: images, files and the device.

    Returns:
        1 if a file could not be read, else 0.
    """
    folder = Path(options.run)
    about = read_about(folder)
    methods = read_method_options(names, options.option or (), {}, options.seed)
    model = load_to_answer(folder, plan.device)
    target = read_target_text(options.target, model.class_names)
    score = choose_kind(model, target, options.score)
    asked = read_images_asked(options, plan.paths, model)
    gallery = gather_gallery(
        model,
        asked.images,
        asked.names,
        asked.truths,
        methods,
        target=target,
        score=score,
        leave_out="all" in options.method,
        shown_evidence=options.top,
        batch_size=options.batch_size,
    )
    noted = zip(gallery.images, asked.own_notes, strict=True)
    gallery = replace(gallery, images=tuple(replace(one, notes=own) for one, own in noted))
    settings = describe_methods(gallery, options.seed)
    origin = describe_origin(folder, about, model, settings)
    origin = replace(origin, notes=(*asked.notes, *origin.notes))
    content = write_gallery(gallery, origin, model.class_names, kind, options.with_pixels)
    if not plan.files:
        print(content.decode(), end="")
        return report_unread(asked.unread, len(plan.paths))
    write_whole(plan.files[0], content)
    for name, reason in gallery.reasons.items():
        print_note(f"{name} is left out: {reason}")
    for one in gallery.images:
        print("\n".join(describe_maps(one, model.class_names)))
    print(f"Written: {escape(str(plan.files[0]))}")
    return report_unread(asked.unread, len(plan.paths))


def describe_methods(gallery: Gallery, seed: int) -> list[tuple[str, str]]:
    """Name every method with its options, so that its maps can be made again."""
    return [
        (name_method(one.method), write_options(one.options, seed) or "no options")
        for one in gallery.images[0].relevance
    ]


def write_options(used: Mapping[str, Any], seed: int) -> str:
    """Write the options of a method that have a value; what draws is named by its seed."""
    texts = [
        f"seed {seed}" if name == "generator" else f"{name} {show_option(value)}"
        for name, value in used.items()
        if value is not None
    ]
    return ", ".join(texts)


def write_gallery(
    gallery: Gallery, origin: Origin, names: Sequence[str], kind: str, with_pixels: bool
) -> bytes:
    """Make the content of the file before it is written."""
    if kind == "html":
        return encode_page(render_gallery(gallery, origin, names))
    if kind == "json":
        content = to_gallery_json(gallery, origin, names, with_pixels=with_pixels)
        return (json.dumps(content, indent=1, allow_nan=False) + "\n").encode()
    with without_font_folder():
        from whence.report.gallery_figure import draw_gallery  # late: it loads matplotlib

        return draw_gallery(gallery, names)


def describe_maps(asked: AttributedImage, names: Sequence[str]) -> list[str]:
    """Say the answer for one image, and how much of the score each method explains."""
    prediction = asked.prediction
    share = percent(float(prediction.probabilities[prediction.predicted]))
    lines = [f"{escape(asked.name)}: {escape(names[prediction.predicted])} ({share})"]
    for one in asked.relevance:
        told = NO_SHARES
        if one.ledger is not None:
            told = f"{percent(min(1.0, find_unexplained(one)))} unexplained"
        lines.append(f"  {name_method(one.method)}: {told}")
    return lines
