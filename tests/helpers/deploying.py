"""Models as ONNX files, run by onnxruntime beside ``predict``."""

import json

import numpy as np
import torch
from onnxruntime import InferenceSession

import whence
from whence.records.measures import Calibration


def open_session(path):
    """Run a file: images to a dictionary of arrays."""
    session = InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(images):
        return dict(zip(names, session.run(None, {"images": images.numpy()}), strict=True))

    return run


def read_about(path):
    return json.loads(path.with_suffix(".json").read_text())


def give_calibration(model, names=("softmax",)):
    """Set a calibration by hand, of signals that are all about 1."""
    count = len(names)
    model.calibration = Calibration(
        names,
        (0.1,) * count,
        (0.7,) * count,
        tuple(0.3 + 0.1 * n for n in range(count)),
        -0.4,
        90,
        20,
    )
    return model


def check_answers(model, path, images, *, close=1e-5):
    """Compare all that a file returns for images with the answers of the model; return them."""
    found, about = open_session(path)(images), read_about(path)
    answers = whence.predict(model, images)
    calibrated = model.calibration is not None
    for row, answer in enumerate(answers):
        share = answer.probabilities.numpy()
        assert np.abs(found["probabilities"][row] - share).max() <= close
        top = np.sort(share)[-2:]
        if model.decision is None and top[1] - top[0] > 2 * close:
            assert found["answers"][row] == answer.predicted
        if calibrated:
            assert abs(found["error_probability"][row] - answer.error_probability) <= close
        if model.has_memory:
            check_evidence(found, row, answer, about["memory"], close)
    assert ("error_probability" in found) == calibrated
    return found


def check_evidence(found, row, answer, memory, close):
    shown = {
        memory[place]["index"]: weight
        for place, weight in zip(found["places"][row], found["weights"][row], strict=True)
        if weight > 0
    }
    expected = {item.index: item.weight for item in answer.evidence}
    for index in shown.keys() | expected.keys():
        assert abs(shown.get(index, 0) - expected.get(index, 0)) <= close
    by_weight = list(shown.values())
    assert by_weight == sorted(by_weight, reverse=True)
    assert not set(answer.left_out) & shown.keys()


def noise(model, count, *, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(
        0, 256, (count, *model.image_shape), generator=generator, dtype=torch.uint8
    )


def pictures(model, count, *, seed=3):
    """Random images of few colours and shapes, which differ more than noise does."""
    channels, height, width = model.image_shape
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 3, 3, generator=generator)
    ends = torch.rand(2, count, channels, 1, 1, generator=generator)
    images = ends[0] + (ends[1] - ends[0]) * coarse
    large = torch.nn.functional.interpolate(images, (height, width), mode="bilinear")
    return (large * 255).round().to(torch.uint8)
