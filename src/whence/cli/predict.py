"""``whence predict``: answers for image files, with the images each answer came from."""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whence.cli.options import add_device, build_parser, check_device, choose_device, parse
from whence.cli.plain_text import escape, print_note

if TYPE_CHECKING:  # it loads torch, which the help has no use for
    from whence.records.answers import Prediction


def predict(arguments: list[str]) -> None:
    """Classify image files or folders of images."""
    parser = build_parser(
        "predict",
        "Classify images with a trained run and name the training images each answer was computed "
        "from. `whence explain` shows them.",
    )
    parser.add_argument("run", type=str, metavar="RUN", help="run folder")
    parser.add_argument("images", type=str, nargs="+", metavar="IMAGE", help="files or folders")
    parser.add_argument("--batch-size", type=int, default=128, help="images encoded at once (128)")
    parser.add_argument("--json", action="store_true", help="print one JSON object per image")
    add_device(parser)
    options = parse(parser, arguments)
    if options.batch_size < 1:
        raise ValueError(f"batch-size must be at least 1, got {options.batch_size}.")
    check_device(options.device)
    files = find_images([Path(name) for name in options.images])
    device = choose_device(options.device)
    from whence.data.image_file import read_images  # late: they load torch
    from whence.evidence.predict import predict as predict_images
    from whence.models.saved import load
    from whence.report.terminal import describe_prediction

    model = load(options.run, device=device)
    for start in range(0, len(files), options.batch_size):
        batch = files[start : start + options.batch_size]
        found = read_images(batch, size=model.image_shape[1:], channels=model.image_shape[0])
        for note in found.notes:
            print_note(note)
        answers = predict_images(model, found.images, batch_size=options.batch_size)
        for path, answer in zip(batch, answers, strict=True):
            if options.json:
                print(json.dumps(to_json(path, answer, model.class_names)))
            else:
                shown = escape_sources(answer)
                print(describe_prediction(escape(str(path)), shown, model.class_names))


def find_images(names: list[Path]) -> list[Path]:
    """List image files, those of folders in order of their names.

    Raises:
        FileNotFoundError: if a name is neither a file nor a folder, or a folder holds no image.
    """
    found: list[Path] = []
    for name in names:
        if name.is_dir():
            from whence.data.decode import SUFFIXES  # late: it loads Pillow

            inside = sorted(p for p in name.rglob("*") if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise FileNotFoundError(f"{name} holds no image.")
            found += inside
        elif name.exists():
            found.append(name)
        else:
            raise FileNotFoundError(f"No image {name}.")
    return found


def escape_sources(answer: "Prediction") -> "Prediction":
    """Make the file names of the evidence fit for a terminal."""
    evidence = tuple(
        item if item.source is None else replace(item, source=escape(item.source))
        for item in answer.evidence
    )
    return replace(answer, evidence=evidence)


def to_json(path: Path, answer: "Prediction", names: tuple[str, ...]) -> dict[str, Any]:
    """Lay one answer out as JSON."""
    return {
        "image": str(path),
        "predicted": names[answer.predicted],
        "probabilities": dict(zip(names, answer.probabilities.tolist(), strict=True)),
        "evidence": [
            {
                "index": item.index,
                "label": None if item.label is None else names[item.label],
                "predicted": names[item.predicted],
                "weight": item.weight,
                "similarity": item.similarity,
                "role": item.role,
                "source": item.source,
            }
            for item in answer.evidence
        ],
    }
