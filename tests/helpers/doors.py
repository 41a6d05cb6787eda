"""Arguments that every public function takes, and wrong values of each, for ``test_refusals``."""

import numpy as np
import torch
from torch import nn

import whence

NAMES = ("a", "b")
PIXELS = torch.randint(
    0, 256, (12, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
)
LABELS = [0, 1] * 6
LABELLED = (PIXELS, LABELS)


def make(variant="memory-wrap", *, remember=True):
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 6))
    shape = (1, 8, 8)
    model = whence.wrap(encoder, NAMES, variant=variant, image_shape=shape, drop_classifier=False)
    return model.eval().remember(PIXELS, LABELS) if remember else model.eval()


WRAP, VOTES = make(), make("votes")
STANDARD, EMPTY = make("standard", remember=False), make(remember=False)
VAE = whence.VAES["residual"]((1, 8, 8)).eval()
CODES = whence.store_codes(VAE, PIXELS, LABELS, classes=2, generator=torch.Generator())
PLAN, RECIPE = whence.Plan(1, memory_size=4), whence.Recipe(batch_size=4)

NO_MODEL = ("runs/digits", None, 3, nn.Linear(2, 2), whence.Classifier)
NO_NUMBER = ("12", [1], torch.tensor([1, 2]))
NO_COUNT = (*NO_NUMBER, 1.5, None)
NO_IMAGES = (None, 3, {"a": 1}, torch.zeros(2, 3, 8, 8), WRAP)
NO_LABELLED = (3, {"a": PIXELS}, PIXELS, "digits", (PIXELS, [0]), (PIXELS, [0, 9] * 6), [1], WRAP)
NO_TENSOR = ("abc", [1, 2], 3, np.zeros((12, 6)))
WRONG_FEATURES = (
    *NO_TENSOR,
    *(
        torch.zeros(2, 6),
        torch.zeros(12),
        torch.zeros(12, 6).long(),
        torch.full((12, 6), torch.nan),
    ),
)
NO_NAME = ("unknown", 3, ["a"])
NO_PATH = (None, 3, ["a"], b"a", "")
NO_FUNCTION = ("print", 3)
NO_PLAN = ("fast", {"epochs": 1}, 3)

DOORS = {
    "as_graph": ({"model": WRAP}, {"model": (*NO_MODEL, STANDARD, EMPTY)}),
    "attend": (
        {"queries": torch.rand(2, 6), "memory": torch.rand(12, 6)},
        {
            "queries": (*NO_TENSOR, torch.zeros(12), torch.zeros(12, 6).long()),
            "memory": (*NO_TENSOR, torch.zeros(12), torch.zeros(12, 6).long(), torch.zeros(0, 6)),
            "similarity": NO_NAME,
            "mask": (*NO_TENSOR, torch.ones(2, 12)),
            "values": NO_TENSOR,
            "block": ("a", 1.5),
        },
    ),
    "attribute": (
        {"model": WRAP, "images": PIXELS[:1]},
        {
            "model": ("runs/digits", None),
            "images": (*NO_IMAGES, []),
            "method": NO_NAME,
            "target": (99, "q", 0.5),
            "steps": NO_NUMBER,
            "baseline": ("q", 3, np.zeros(3)),
            "batch_size": (*NO_COUNT, 0),
            "depth": (1,),
        },
    ),
    "calibrate": (
        {"model": WRAP, "images": LABELLED},
        {
            "model": (*NO_MODEL, EMPTY),
            "images": (*NO_LABELLED, []),
            "features": WRONG_FEATURES,
            "more": (3, "a"),
            "batch_size": (*NO_COUNT, 0),
        },
    ),
    "check": (
        {"predictions": whence.predict(WRAP, PIXELS[:2]), "rules": lambda recent: True},
        {
            "predictions": (None, 3, WRAP),
            "rules": (None, 3, [3], {"assert": "q"}),
            "truths": (3, [0]),
            "names": (3, "ab"),
            "window": (*NO_COUNT, 0),
        },
    ),
    "choose_threshold": (
        {"model": WRAP, "images": LABELLED, "class_name": "a", "recall": 0.5},
        {
            "model": (*NO_MODEL, EMPTY),
            "images": NO_LABELLED,
            "class_name": NO_NAME,
            "recall": (*NO_NUMBER, 0.0, 1.5, torch.nan),
            "features": WRONG_FEATURES,
            "batch_size": (*NO_COUNT, 0),
        },
    ),
    "design_memory": (
        {"model": WRAP, "memory_size": 4, "by": "validation", "validation": LABELLED},
        {
            "model": (*NO_MODEL, STANDARD, EMPTY),
            "memory_size": (*NO_COUNT, 0, 99),
            "by": NO_NAME,
            "validation": (*NO_LABELLED, [], None),
            "pin": (0.5, "q"),
            "ban": (0.5, "q"),
            "groups": (3, ["a"]),
            "seed": (*NO_COUNT, -1),
            "batch_size": (*NO_COUNT, 0),
        },
    ),
    "edit": (
        {"model": WRAP, "remove": [0]},
        {
            "model": (*NO_MODEL, STANDARD, EMPTY),
            "remove": ([], 0.5, "q"),
            "keep": ([], 0.5, "q"),
            "swap": (3, [1], {0: 99}),
            "relabel": (3, [1], {0: 99}),
            "add": NO_LABELLED,
            "new_classes": (3, "c"),
            "batch_size": (*NO_COUNT, 0),
        },
    ),
    "erase_groups": (
        {"model": VOTES, "groups": [0, 0, 1, 1] * 3},
        {
            "model": (*NO_MODEL, STANDARD, EMPTY, WRAP),
            "groups": (None, 3, ["a"], [1] * 12),
            "features": WRONG_FEATURES,
            "validation": NO_LABELLED,
            "seed": (*NO_COUNT, -1),
            "batch_size": (*NO_COUNT, 0),
        },
    ),
    "evaluate": (
        {"model": WRAP, "images": LABELLED, "draws": 1, "memory_size": 4},
        {
            "model": (*NO_MODEL, EMPTY),
            "images": (*NO_LABELLED, []),
            "memory_size": (*NO_COUNT, 0, 99),
            "draws": (*NO_COUNT, 0),
            "seed": (*NO_COUNT, -1),
            "draw_batch": (*NO_COUNT, 0),
            "batch_size": (*NO_COUNT, 0),
            "features": WRONG_FEATURES,
        },
    ),
    "explain": (
        {"model": WRAP, "images": PIXELS[:1]},
        {
            "model": (*NO_MODEL, EMPTY),
            "images": NO_IMAGES,
            "draws": (*NO_COUNT, -1),
            "seed": (*NO_COUNT, -1),
            "memory_size": (*NO_NUMBER, 1.5, 0, 99),
            "batch_size": (*NO_COUNT, 0),
        },
    ),
    "export_onnx": (
        {"model": WRAP, "path": "model.onnx"},
        {"model": (*NO_MODEL, EMPTY), "path": NO_PATH, "overwrite": ("no",)},
    ),
    "find_near_duplicates": (
        {"images": whence.ImageSet(PIXELS, LABELS, NAMES)},
        {"images": NO_LABELLED, "measured": NO_LABELLED},
    ),
    "find_removals": (
        {"model": WRAP, "images": PIXELS[:1]},
        {
            "model": (*NO_MODEL, STANDARD, EMPTY),
            "images": NO_IMAGES,
            "limit": (*NO_COUNT, 0),
            "batch_size": (*NO_COUNT, 0),
        },
    ),
    "find_suspicious": (
        {"model": WRAP},
        {
            "model": (*NO_MODEL, STANDARD, EMPTY),
            "least": (*NO_NUMBER, None, 2, torch.nan),
            "features": WRONG_FEATURES,
            "batch_size": (*NO_COUNT, 0),
        },
    ),
    "fit": (
        {"model": make(remember=False), "train": LABELLED, "plan": PLAN, "recipe": RECIPE},
        {
            "model": NO_MODEL,
            "train": (*NO_LABELLED, [], None),
            "recipe": (
                "fast",
                {},
                3,
                *(
                    whence.Recipe(**one)
                    for one in (
                        {"learning_rate": "a"},
                        {"learning_rate": torch.nan},
                        {"batch_size": 0},
                        {"milestones": 3},
                        {"milestones": ("a",)},
                        {"augmentation": "q"},
                        {"mixing": "q"},
                        {"label_smoothing": 1.5},
                        {"weight_averaging": "a"},
                        {"warmup_epochs": -1},
                        {"optimizer": "q"},
                    )
                ),
            ),
            "plan": (
                *NO_PLAN,
                *(
                    whence.Plan(**one)
                    for one in (
                        {"epochs": "1"},
                        {"epochs": 0},
                        {"epochs": 1, "memory_size": "4"},
                        {"epochs": 1, "memory_size": 99},
                        {"epochs": 1, "seed": -1},
                        {"epochs": 1, "balance": "q"},
                    )
                ),
            ),
            "features": WRONG_FEATURES,
            "validation": NO_LABELLED,
            "validation_features": WRONG_FEATURES,
            "probe": NO_PLAN,
            "team": NO_PLAN,
            "counts": (*NO_TENSOR, torch.zeros(12)),
            "resume": (3, {}),
            "on_epoch": NO_FUNCTION,
            "on_step": NO_FUNCTION,
        },
    ),
    "fit_vae": (
        {"vae": VAE, "images": PIXELS, "plan": whence.VAEPlan(1, batch_size=4)},
        {
            "vae": (*NO_MODEL, WRAP),
            "images": (*NO_IMAGES, []),
            "plan": (*NO_PLAN, PLAN, whence.VAEPlan("1"), whence.VAEPlan(1, learning_rate=-1)),
            "on_epoch": NO_FUNCTION,
        },
    ),
    "learn_again": (
        {"model": VOTES},
        {
            "model": (*NO_MODEL, STANDARD, WRAP),
            "validation": NO_LABELLED,
            "seed": (*NO_COUNT, -1),
            "batch_size": (*NO_COUNT, 0),
        },
    ),
    "load": ({"folder": "none"}, {"folder": NO_PATH, "encoder": (3, "a"), "device": (3,)}),
    "load_dataset": (
        {"name_or_path": "digits"},
        {
            "name_or_path": (*NO_PATH, "q", {"a": 1}),
            "root": NO_PATH,
            "size": (*NO_NUMBER, 0),
            "channels": (2, "a"),
            "default_large_size": (*NO_COUNT, 0),
            "seed": (*NO_COUNT, -1),
            "columns": (3, {"path": "a"}),
        },
    ),
    "load_parts": (
        {"run": "none"},
        {"run": NO_PATH, "root": NO_PATH[1:], "download_to": NO_PATH[1:]},
    ),
    "load_sample": (
        {"path": "none", "class_names": NAMES, "image_shape": (1, 8, 8)},
        {"path": NO_PATH, "class_names": (3, "ab"), "image_shape": (3, "abc"), "renamed": (3, [1])},
    ),
    "load_vae": ({"folder": "none"}, {"folder": NO_PATH, "device": (3,)}),
    "morph": (
        {
            "model": WRAP,
            "vae": VAE,
            "images": PIXELS[:1],
            "stored": CODES,
            "generator": torch.Generator(),
        },
        {
            "model": (*NO_MODEL, EMPTY),
            "vae": (*NO_MODEL, WRAP),
            "images": NO_IMAGES,
            "stored": (None, 3, {}),
            "generator": (None, 3),
            "other": NO_NAME,
            "path": NO_NAME,
            "to": (*NO_TENSOR, torch.tensor([9])),
            "steps": (*NO_COUNT, 1),
            "morph_plan": NO_PLAN,
            "mask_plan": NO_PLAN,
        },
    ),
    "predict": (
        {"model": WRAP, "images": PIXELS},
        {
            "model": (*NO_MODEL, EMPTY),
            "images": NO_IMAGES,
            "batch_size": (*NO_COUNT, 0),
            "features": WRONG_FEATURES,
        },
    ),
    "push": (
        {"model": WRAP, "name": "owner/name"},
        {"model": (None, 3, nn.Linear(2, 2)), "name": ("a/b/c", 3, None), "measures": (3, [1])},
    ),
    "read_images": (
        {"images": PIXELS, "like": WRAP},
        {"images": (None, 3, [], {"a": 1}, WRAP), "like": (None, 3)},
    ),
    "save": ({"model": WRAP, "folder": "m"}, {"model": NO_MODEL, "folder": NO_PATH}),
    "save_vae": ({"vae": VAE, "folder": "m"}, {"vae": (*NO_MODEL, WRAP), "folder": NO_PATH}),
    "sparsemax": (
        {"scores": torch.zeros(2, 3)},
        {
            "scores": (*NO_TENSOR, torch.zeros(2).long(), torch.zeros(2, 0)),
            "dim": ("a", 1.5, None, 2),
        },
    ),
    "store_codes": (
        {
            "vae": VAE,
            "images": PIXELS,
            "labels": LABELS,
            "classes": 2,
            "generator": torch.Generator(),
        },
        {
            "vae": (*NO_MODEL, WRAP),
            "images": (*NO_IMAGES, []),
            "labels": (None, 3, [0], [9] * 12),
            "classes": (*NO_COUNT, 0, 10**30),
            "generator": (3, "a", None),
            "batch_size": (*NO_COUNT, 0),
            "report": NO_FUNCTION,
        },
    ),
    "trace_sizes": (
        {"model": WRAP, "images": LABELLED, "sizes": [4], "by": ["balanced"]},
        {
            "model": (*NO_MODEL, STANDARD, EMPTY),
            "images": (*NO_LABELLED, []),
            "sizes": (3, None, [], ["4"], [0], [99]),
            "by": (3, "herding", ["q"], [3]),
            "seed": (*NO_COUNT, -1),
            "batch_size": (*NO_COUNT, 0),
        },
    ),
    "view": (
        {"model": WRAP, "images": PIXELS[:1]},
        {
            "model": (*NO_MODEL, EMPTY),
            "images": (None, 3, []),
            "truths": (3, ["q"], ["a", "b"]),
            "method": NO_NAME,
            "options": (3, [1]),
            "draws": (*NO_COUNT, -1),
        },
    ),
    "why_similar": (
        {"model": WRAP, "images": PIXELS[:1]},
        {
            "model": (*NO_MODEL, STANDARD, EMPTY),
            "images": (*NO_IMAGES, []),
            "rank": (*NO_COUNT, -1, 99),
            "steps": (*NO_COUNT, 0),
            "baseline": ("q", 3, torch.zeros(3)),
        },
    ),
    "wrap": (
        {"encoder": nn.Flatten(), "classes": 2, "image_shape": (1, 8, 8), "drop_classifier": False},
        {
            "encoder": (None, 3, "q", nn.Linear),
            "classes": (None, 0.5, 1, "ab", ["a", "a"], 10**30),
            "variant": NO_NAME,
            "image_shape": (3, "abc", (8, 8), (1, 0, 8)),
            "mean": (3, (0.5, 0.5), ("a",), (None,)),
            "std": ((0.0,),),
            "layers": (3, "ab", ["q"]),
            "drop_classifier": ("no", 3),
            "similarity": NO_NAME,
            "classifier": NO_NAME,
        },
    ),
}
"""Arguments that are fine, and wrong values of single ones."""
