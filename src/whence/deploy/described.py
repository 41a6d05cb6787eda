"""What a program must know of an exported model beside the numbers that come out of it."""

from importlib.metadata import version
from typing import Any

from whence.deploy.answering_graph import AnsweringGraph
from whence.models.classifier import Classifier
from whence.models.saved_decision import decision_to_json

MEANINGS = {
    "answers": "place of the class in classes; a threshold, if there is one, is in it already",
    "probabilities": "of each class, as whence predict prints them",
    "places": "of the stored images of the answer in memory, the highest weight first",
    "weights": "share of each of them; 0 fills up where another image of the batch has more",
    "error_probability": "calibrated probability that the answer is wrong",
}
"""Of the outputs, in words."""

PREPARATION = [
    "turn it upright by its EXIF orientation",
    "decode JPEG files with a side above 96 pixels at half, quarter, ... size, both sides at least "
    "twice the larger of height and width (Pillow: draft)",
    "put transparent parts on white",
    "convert it to RGB, or with 1 channel to grey (Pillow: L)",
    "crop the centre of the proportions of height and width, and resize it to them with Pillow's "
    "bilinear filter",
    "lay its values 0 to 255 out as channels, rows, columns; the model normalises them itself",
]
"""What becomes of an image file, as training files are read."""


def describe_export(model: Classifier, graph: AnsweringGraph) -> dict[str, Any]:
    """Lay out as JSON what an exported model takes and returns, and the files of its memory."""
    channels, height, width = model.image_shape
    return {
        "whence": version("whence"),
        "variant": model.variant,
        "classes": list(model.class_names),
        "input": {
            "name": "images",
            "type": "uint8",
            "shape": ["batch", channels, height, width],
            "preparation": PREPARATION,
        },
        "normalisation": {
            "inside": True,
            "mean": model.mean.flatten().tolist(),
            "std": model.std.flatten().tolist(),
        },
        "outputs": {name: MEANINGS[name] for name in graph.outputs},
        "threshold": name_class(decision_to_json(model.decision), model.class_names),
        "calibrated": model.calibration is not None,
        "leaves_stored_image_out_for_itself": graph.leaves_out,
        "memory": list_memory(model, graph),
    }


def name_class(decision: dict[str, Any] | None, names: tuple[str, ...]) -> dict[str, Any] | None:
    """Name the class of a threshold, which is kept by index."""
    return None if decision is None else decision | {"class": names[decision["class"]]}


def list_memory(model: Classifier, graph: AnsweringGraph) -> list[dict[str, Any]] | None:
    """List the stored images in the order of the output places; None without a memory."""
    if model.bank is None:
        return None
    names = model.class_names
    return [
        {
            "file": one.source,
            "label": None if one.label is None else names[one.label],
            "own_class": names[one.predicted],
            "index": one.index,
        }
        for one in model.bank.stored(graph.order)
    ]
