"""How fast an exported model answers: onnxruntime beside torch.

    python -m benchmarks.export [--encoder NAME ...] [--stored N ...] [--repeats 7]

Claim: the ONNX file gives the model's answers within 1e-5, at any size of memory. Both sides take
uint8 images and give answers, evidence and weights: torch by ``whence.predict``, onnxruntime by the
exported file. One thread each; they take turns, and the median of the repeats is printed.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from onnxruntime import InferenceSession, SessionOptions

import whence

BATCHES = (1, 64)


def build_model(encoder: str, size: int, stored: int) -> whence.Classifier:
    """Build votes on a random network with random stored images."""
    torch.manual_seed(0)
    model = whence.wrap(encoder, 10, variant="votes", image_shape=(3, size, size)).eval()
    model.head.sharpness.fill_(40)
    features = torch.randn(stored, model.features)
    images = torch.randint(0, 256, (stored, 3, size, size), dtype=torch.uint8)
    return model.remember(images, torch.arange(stored) % 10, features=features)


def time_both(
    model: whence.Classifier, session: InferenceSession, batch: int, repeats: int
) -> None:
    """Print the median time of both sides, and by how much their probabilities differ."""
    images = torch.randint(0, 256, (batch, *model.image_shape), dtype=torch.uint8)
    given = {"images": images.numpy()}
    times: dict[str, list[float]] = {"torch": [], "onnxruntime": []}
    for turn in range(repeats + 1):
        start = time.perf_counter()
        answers = whence.predict(model, images)
        middle = time.perf_counter()
        found = session.run(["probabilities"], given)[0]
        end = time.perf_counter()
        if turn:
            times["torch"].append(middle - start)
            times["onnxruntime"].append(end - middle)
    shares = torch.stack([answer.probabilities for answer in answers]).numpy()
    theirs, ours = (statistics.median(times[name]) * 1e3 for name in ("torch", "onnxruntime"))
    print(
        f"{model.kind.name:18} {model.image_shape[1]:4} {len(model.bank or ()):7,} {batch:5} "
        f"{theirs:9.2f} {ours:11.2f} {ours / theirs:6.2f}  {np.abs(found - shares).max():.1e}"
    )


def main() -> None:
    """Export models and time them."""
    parser = argparse.ArgumentParser(description="onnxruntime beside torch")
    parser.add_argument("--encoder", nargs="+", default=["small_cnn", "resnet18"])
    parser.add_argument("--stored", nargs="+", type=int, default=[1000, 50000])
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    one_thread = SessionOptions()
    one_thread.intra_op_num_threads = 1
    print("encoder            size  stored batch  torch ms  onnxrt ms  ratio  difference")
    for encoder in options.encoder:
        for stored in options.stored:
            model = build_model(encoder, options.size, stored)
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.onnx"
                whence.export_onnx(model, path)
                session = InferenceSession(path, one_thread, providers=["CPUExecutionProvider"])
                for batch in BATCHES:
                    time_both(model, session, batch, options.repeats)


if __name__ == "__main__":
    main()
