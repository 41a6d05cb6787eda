"""What tests of tables share."""

import json
import shutil
from pathlib import Path

from whence.models.save import describe
from whence.models.wrap import wrap
from whence.runs.settings import to_toml
from whence.tables.cell import Number, Paper

ROOT = Path(__file__).parents[2]
COUNTS = {1: 27, 2: 27, 3: 27, 4: 27, 8: 27, 9: 27, 10: 27, 12: 36}
OTHER_COUNTS = {5: 18, 6: 18, 7: 12, 13: 12}  # tables that show what else those runs measured
OUR_NAMES = {
    "SVHN": "svhn",
    "CIFAR10": "cifar10",
    "CINIC10": "cinic10",
    "EfficientNetB0": "efficientnet_b0",
    "MobileNet-v2": "mobilenet_v2",
    "ResNet18": "resnet18",
    "GoogLeNet": "googlenet",
    "DenseNet": "densenet",
    "ShuffleNet": "shufflenet_v2",
    "Standard": "standard",
    "Only Memory": "only-memory",
    "Memory Wrap": "memory-wrap",
}
PUBLISHED = [  # read by hand from the paper
    (1, "mobilenet_v2-memory-wrap-1000", 66.93, 3.15),
    (1, "resnet18-standard-1000", 20.63, 2.85),
    (1, "efficientnet_b0-only-memory-5000", 85.30, 0.52),
    (2, "mobilenet_v2-memory-wrap-1000", 43.87, 1.40),
    (3, "resnet18-standard-2000", 37.67, 0.98),
    (4, "svhn-efficientnet_b0-memory-wrap-full", 94.67, 0.16),
    (4, "cifar10-resnet18-standard-full", 91.94, 0.19),
    (4, "cinic10-mobilenet_v2-only-memory-full", 74.60, 0.13),
    (8, "densenet-only-memory-1000", 40.94, 12.06),
    (9, "shufflenet_v2-memory-wrap-5000", 68.52, 1.38),
    (10, "googlenet-memory-wrap-2000", 50.47, 0.77),
    (12, "efficientnet_b0-memory-wrap-1000-memory-20", 64.95, 2.46),
    (12, "resnet18-memory-wrap-2000-memory-500", 76.97, 2.48),
]
TOY = """
seeds = 3
[settings]
data = "digits"
encoder = "small_cnn"
variant = "{variant}"
train_examples = 128
memory_size = 20
epochs = 1
precision = "float32"
compat = "authors"
[paper]
table = 1
dataset = "SVHN"
encoder = "Toy"
variant = "{variant}"
train_examples = 128
accuracy = 0.25
accuracy_std = 0.0125
"""
EXPLANATION = """
[paper.explanation_accuracy]
table = 5
mean = 0.75
std = 0.03
[paper.counterfactual_accuracy]
table = 13
mean = 0.5
std = 0.02
"""
PAPER = Paper(
    1, "SVHN", "Toy", "Memory Wrap", 128, 0.25, 0.0125, counterfactual_accuracy=Number(6, 0.5, 0.02)
)


def write_toys(folder: Path, variants=("standard", "memory-wrap")) -> Path:
    (folder / "table-01").mkdir(parents=True)
    for variant in variants:
        path = folder / "table-01" / f"small_cnn-{variant}-128.toml"
        more = "" if variant == "standard" else EXPLANATION
        path.write_text(TOY.format(variant=variant) + more)
    for table in (2, 3):
        shutil.copytree(folder / "table-01", folder / f"table-{table:02}")
        for path in (folder / f"table-{table:02}").iterdir():
            text = path.read_text().replace("table = 1\n", f"table = {table}\n")
            path.write_text(text.split("[paper.explanation_accuracy]")[0])
    return folder


def write_run(folder, settings, *, accuracy, draws, fingerprint="same", more=None):
    """What a finished run leaves, as far as a summary reads it."""
    folder.mkdir(parents=True)
    (folder / "settings.toml").write_bytes(to_toml(settings))
    test = {"accuracy": accuracy, "accuracy_draws": draws and {"mean": draws, "std": 0.0}}
    (folder / "metrics.json").write_text(json.dumps({"test": test | (more or {})}))
    model = wrap("small_cnn", 2, variant=settings.head, image_shape=(1, 8, 8))
    identity = {"train_fingerprint": "t", "test_fingerprint": fingerprint}
    about = {**describe(model), "sha256": {}, "run": identity}
    (folder / "whence.json").write_text(json.dumps(about))
