"""Write a model as one ONNX file that answers without whence, and a JSON file about it."""

import copy
import hashlib
import json
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whence.deploy.answering_graph import AnsweringGraph
from whence.deploy.described import describe_export
from whence.evidence.predict import predict
from whence.kinds import check_arguments
from whence.messages import shorten_text
from whence.models.classifier import Classifier
from whence.seeds import make_generator
from whence.storage.whole_files import write_whole

OPSET = 20
LARGEST_FILE = 2**31 - 2**20
"""Bytes of an ONNX file: protobuf holds 2 GB."""

LARGEST_DIFFERENCE = 1e-5
"""By how much a probability may always differ from the model's."""

ROUNDINGS = 10
"""So many times its own error of rounding may it differ where that is more."""

TRIED = 8
"""Images that every exported file is tried on: stored ones and noise."""

NOT_INSTALLED = (
    "Export to ONNX needs onnx, onnxscript and onnxruntime, and {} is not installed: "
    "pip install 'whence[onnx]'."
)


class RoundingWarning(UserWarning):
    """Rounding moves a model's probabilities, so that other runtimes answer a little otherwise."""


@check_arguments
def export_onnx(model: Classifier, path: str | Path, *, overwrite: bool = False) -> float:
    """Write a model with its memory as one ONNX file, and a JSON file of the same name about it.

    The file takes uint8 images `(batch, C, H, W)` and returns answers, probabilities, the places
    and weights of the evidence, and, of a calibrated model, the probability of an error, as
    ``predict`` does. It is tried in onnxruntime, beside the model, before anything is written;
    where rounding alone moves the model's own answers, a ``RoundingWarning`` says by how much.

    Args:
        model: in eval mode, with its memory.
        path: of the ONNX file, ending in .onnx.
        overwrite: write over files that are there.

    Returns:
        The largest difference of a probability from the model's on the images it was tried on.

    Raises:
        FileExistsError: if a file is there.
        ModuleNotFoundError: without onnx, onnxscript and onnxruntime.
        RuntimeError: if the model has no bank that fits it, or is in training mode.
        ValueError: if the encoder has an operator that ONNX lacks, the file would be larger than
            2 GB, or its answers differ from the model's.
    """
    path = Path(path)
    files = check_export_files(path, overwrite=overwrite)
    check_packages()
    graph = AnsweringGraph(model).eval()
    with torch.no_grad():
        content = convert(graph if graph.mean.device.type == "cpu" else to_cpu(graph), model)
    images = choose_tried(model)
    shares = torch.stack([answer.probabilities for answer in predict(model, images)])
    worst = measure_difference(content, graph.outputs, images, shares)
    if not worst <= LARGEST_DIFFERENCE:
        rounding = measure_rounding(graph, images, shares)
        if not worst <= ROUNDINGS * rounding:
            raise ValueError(
                f"The exported {model.kind.name} must give the model's probabilities, in "
                f"onnxruntime they differ by up to {worst:.2g}, and by rounding the model's own "
                f"are wrong by {rounding:.2g}; nothing was written."
            )
        stored = count_stored(model)
        some = images[:stored], shares[:stored]
        alone = measure_difference(content, graph.outputs, *some) if stored else worst
        warnings.warn(say_rounding(model, worst, alone), RoundingWarning, stacklevel=3)
    about = describe_export(model, graph) | {
        "sha256": hashlib.sha256(content).hexdigest(),
        "file": path.name,
    }
    write_whole(files[0], content)
    write_whole(files[1], (json.dumps(about, indent=1, allow_nan=False) + "\n").encode())
    return worst


def check_export_files(path: Path, *, overwrite: bool) -> tuple[Path, Path]:
    """Name both files that an export writes.

    Raises:
        ValueError: if the path does not end in .onnx.
        FileExistsError: if one of them is there, and may not be written over.
    """
    if path.suffix != ".onnx":
        raise ValueError(f"{path} must end in .onnx; a .json file beside it says what it holds.")
    files = path, path.with_suffix(".json")
    for one in files:
        if one.is_dir() or (not overwrite and (one.exists() or one.is_symlink())):
            raise FileExistsError(f"{one} is there already; name another file, or allow it.")
    return files


def check_packages() -> None:
    """Refuse to begin without the packages of the extra.

    Raises:
        ModuleNotFoundError: naming the first that is missing.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401 - only whether it is there
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(NOT_INSTALLED.format(error.name)) from error
    del onnx, onnxruntime


def to_cpu(graph: AnsweringGraph) -> AnsweringGraph:
    """Copy a graph to the CPU, where the file is made."""
    return copy.deepcopy(graph).cpu()


def convert(graph: AnsweringGraph, model: Classifier) -> bytes:
    """Turn a graph into the bytes of an ONNX file.

    Raises:
        ValueError: naming the operator that is missing, or what else cannot be converted.
    """
    example = torch.zeros(2, *model.image_shape, dtype=torch.uint8)
    try:
        program = torch.onnx.export(
            graph,
            (example,),
            dynamo=True,
            dynamic_shapes={"images": {0: torch.export.Dim("batch")}},
            input_names=["images"],
            output_names=list(graph.outputs),
            opset_version=OPSET,
            verbose=False,
        )
    except torch.onnx.OnnxExporterError as error:
        raise ValueError(describe_refusal(error, model)) from error
    if program is None:
        raise ValueError(f"torch.onnx made nothing of {model.kind.name}.")
    if is_fixed(program):
        raise ValueError(
            f"The encoder {model.kind.name} cannot be exported to ONNX: it fixes the number of "
            "images; in its forward, write images.shape[0] in place of len(images)."
        )
    name_columns(program, graph.outputs)
    proto = program.model_proto
    if proto.ByteSize() > LARGEST_FILE:
        raise ValueError(
            f"The file would have {proto.ByteSize() / 1e9:.1f} GB, and ONNX files hold 2; store "
            "fewer images (whence.edit)."
        )
    content: bytes = proto.SerializeToString()
    return content


def is_fixed(program: Any) -> bool:
    """Say whether a graph takes one number of images only."""
    return isinstance(program.model.graph.inputs[0].shape[0], int)


def name_columns(program: Any, names: Sequence[str]) -> None:
    """Give the number of evidence images, which the images decide, a name that can be read."""
    for name, output in zip(names, program.model.graph.outputs, strict=True):
        if name in ("places", "weights"):
            output.shape[1] = "evidence"


def describe_refusal(error: BaseException, model: Classifier) -> str:
    """Say in a sentence what of a model has no place in ONNX."""
    reasons = [error]
    while reasons[-1].__cause__ is not None:
        reasons.append(reasons[-1].__cause__)
    start = f"The encoder {model.kind.name} cannot be exported to ONNX: "
    for one in reasons:
        found = re.search(r"No ONNX function found for <OpOverload\(op='([\w.:]+)'", str(one))
        if found:
            return f"{start}ONNX has no operator for {found[1]}, which it uses."
    if "data-dependent" in str(reasons[-1]):
        return f"{start}what it computes hangs on the numbers in the images (an if or a loop)."
    first = next(iter(str(reasons[-1]).splitlines()), "")
    return f"{start}{shorten_text(first) or type(reasons[-1]).__name__}."


def measure_difference(
    content: bytes, outputs: Sequence[str], images: Tensor, shares: Tensor
) -> float:
    """Compare probabilities in onnxruntime with the model's own.

    Args:
        content: of the ONNX file.
        outputs: their names.
        images: `(B, C, H, W)` uint8.
        shares: `(B, K)` the probabilities that the model gives for them.

    Returns:
        The largest difference; NaN where there is one.
    """
    from onnxruntime import InferenceSession

    session = InferenceSession(content, providers=["CPUExecutionProvider"])
    found = dict(zip(outputs, session.run(None, {"images": images.numpy()}), strict=True))
    return float(np.abs(found["probabilities"] - shares.numpy()).max())


@torch.no_grad()
def measure_rounding(graph: AnsweringGraph, images: Tensor, shares: Tensor) -> float:
    """Measure by how much rounding alone moves the probabilities of a model.

    Random or badly scaled weights can carry the rounding of float32 from layer to layer until it
    shows. What the same numbers give in float64 is taken as exact.

    Args:
        graph: of the model.
        images: `(B, C, H, W)` uint8.
        shares: `(B, K)` the probabilities that the model gives for them.

    Returns:
        The largest difference from float64, of these probabilities and of the graph's own; 0 of
        an encoder that computes in float32 alone.
    """
    plain = to_cpu(graph)(images)[1]
    try:
        exact = to_cpu(graph).double()(images)[1]
    except RuntimeError:
        return 0.0
    return float(max((exact - found).abs().max() for found in (shares, plain)))


def say_rounding(model: Classifier, worst: float, stored: float) -> str:
    """Say by how much rounding moves answers, where that comes from and what to do.

    Args:
        model: that was exported.
        worst: the largest difference of a probability.
        stored: the largest one on stored images alone.
    """
    alone = f", {stored:.1g} of stored images" if count_stored(model) else ""
    return (
        f"Rounding moves the answers of {model.kind.name}: in onnxruntime its probabilities differ "
        f"by up to {worst:.1g}{alone}. Random weights, or BatchNorm statistics of other images, do "
        "that; train it, or run some of its images through it in training mode, and export again."
    )


def count_stored(model: Classifier) -> int:
    """Count the stored images that an export is tried on; noise makes up the number."""
    bank = model.bank
    if bank is None or bank.images is None or bank.images.dtype != torch.uint8:
        return 0
    return min(len(bank.images), TRIED // 2)


def choose_tried(model: Classifier) -> Tensor:
    """Choose images `(TRIED, C, H, W)` uint8: stored ones, if there are any, and noise."""
    shape = (TRIED, *model.image_shape)
    images = torch.randint(0, 256, shape, generator=make_generator(0), dtype=torch.uint8)
    stored = count_stored(model)
    if model.bank is not None and model.bank.images is not None:
        images[:stored] = model.bank.images[:stored]
    return images
