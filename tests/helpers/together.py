"""Trainings that test_distributed.py does alone, and two processes together."""

from dataclasses import replace

import torch
from torch import nn

import whence
from whence.cli.train import build, combine_settings
from whence.cli.work.train import train_here
from whence.records.images import ImageSet
from whence.runs.images import load_data
from whence.runs.run import run
from whence.storage.tensors import write_tensors
from whence.storage.whole_files import write_json
from whence.training.distributed import join, rows_of
from whence.training.fit import fit
from whence.training.plan import Plan
from whence.training.recipes import Recipe
from whence.training.shared_step import Part, SharedStep, gather
from whence.training.step import Batch, Criterion

SHAPE = (1, 6, 7)
RUN = [
    *("digits", "--train-examples", "30", "--validation-examples", "20", "--batch-size", "11"),
    *("--memory-size", "13", "--epochs", "2", "--encoder", "small_cnn", "--precision", "float32"),
    *("--device", "cpu", "--learning-rate", "0.01", "--json"),
]
SGD = Recipe(learning_rate=0.05, batch_size=7, augmentation="crop_flip", label_smoothing=0.1)
PLAIN = replace(SGD, augmentation="none")
ADAM = Recipe(optimizer="adam", learning_rate=0.01, batch_size=9, schedule="cosine")
CASES = {
    "plain": ("memory-wrap", SGD, Plan(epochs=2, memory_size=9)),
    "only memory": ("only-memory", ADAM, Plan(epochs=2, memory_size=5, seed=3)),
    "standard": ("standard", SGD, Plan(epochs=2)),
    "self": ("memory-wrap", SGD, Plan(epochs=2, memory_size=9, self_attention=True)),
    "frozen": ("memory-wrap", PLAIN, Plan(epochs=2, memory_size=9, freeze_encoder=True)),
    "counted": ("memory-wrap", SGD, Plan(epochs=2, memory_size=9)),
    "votes": ("votes", SGD, Plan(epochs=2, memory_size=9)),
    "pairs": ("memory-wrap", replace(SGD, mixing="mixup"), Plan(epochs=2, memory_size=9)),
    "norm": ("memory-wrap", replace(SGD, weight_averaging=0.7), Plan(epochs=2, memory_size=9)),
    "dropout": ("memory-wrap", SGD, Plan(epochs=2, memory_size=9)),
}


class Layers(nn.Module):
    """A user's encoder with a parameter that is never used; BatchNorm or dropout if asked for."""

    def __init__(self, middle):
        super().__init__()
        kinds = {"norm": nn.BatchNorm2d(5), "dropout": nn.Dropout(0.4)}
        self.layers = nn.Sequential(
            nn.Conv2d(1, 5, 3), kinds.get(middle, nn.Identity()), nn.ReLU(), nn.Flatten()
        )
        self.unused = nn.Parameter(torch.ones(3))

    def forward(self, images):
        return self.layers(images)


def make(case, seed=0):
    torch.manual_seed(seed)
    variant = CASES[case][0]
    return whence.wrap(
        Layers(case),
        3,
        variant=variant,
        image_shape=SHAPE,
        std=(0.5,),
        classifier="linear" if variant == "votes" else None,  # without dropout
    )


def make_images():
    """22 images of three classes; no batch of 7 or 9 of them can be halved."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(22) % 3
    noise = torch.randint(0, 60, (22, *SHAPE), generator=generator)
    pixels = (noise + 60 * labels[:, None, None, None]).to(torch.uint8)
    return ImageSet(pixels, labels, ("a", "b", "c"))


def train(case, **options):
    """Train a case, and return its parameters, statistics and reports."""
    _, recipe, plan = CASES[case]
    model, reports = make(case), []
    counts = torch.arange(22) % 5 + 1.0 if case == "counted" else None
    fit(
        model,
        make_images(),
        recipe=recipe,
        plan=plan,
        counts=counts,
        on_epoch=reports.append,
        **options,
    )
    return model, reports


def work(folder):
    with join("cpu") as team:
        try:
            train_all(folder, team)
        except ValueError as error:
            raise SystemExit(f"said: {error}") from None


def train_all(folder, team):
    for case in CASES:
        kept = []
        on_step = None
        if team.leads:
            on_step = lambda make_checkpoint, kept=kept: kept.append(make_checkpoint())
        model, reports = train(case, team=team, on_step=on_step)
        write(folder / f"{case}-{team.rank}", model, reports)
        if case in ("norm", "dropout"):
            again, reports = train(case, team=team, resume=team.share(kept[3:4])[0])
            write(folder / f"{case}-again-{team.rank}", again, reports)

    own = torch.arange(5.0)[rows_of(5, team), None].repeat(1, 3).requires_grad_()
    gathered = gather(own, 5, team)
    (gathered * (team.rank + 1) * torch.arange(1.0, 6)[:, None]).sum().backward()
    tensors = {"own": own, "gathered": gathered, "gradient": own.grad}

    model = make("plain", seed=team.rank)  # the leader's parameters count
    step = SharedStep(Part(model, team, frozen=False), team, Criterion(), seed=0, frozen=False)
    images = make_images()
    step.loss(
        Batch(
            images.images[:7],
            images.labels[:7],
            images.images[7:12],
            images.labels[7:12],
            None,
            step=0,
        )
    )
    tensors |= {"drawn": torch.rand(1), "first": next(model.parameters())}
    write_tensors(folder / f"pieces-{team.rank}.safetensors", tensors)

    said = team.collect(("rank", team.rank)), team.share(["leader", "other"][team.rank])
    write_json(folder / f"said-{team.rank}.json", {"said": said})

    options = build().parse_args([*RUN, "--out", str(folder / "run")])
    given = {name: value for name, value in vars(options).items() if value is not None}
    settings, seeds = combine_settings("digits", given)
    train_here(settings, seeds, folder / "run", options, team)
    again = run(settings, folder / "run", load_data(settings), resume=True, team=team)
    write_json(folder / f"skipped-{team.rank}.json", again)  # what every process gets

    team.check_same({"seed": 0, "first_image": team.rank})  # stops every process


def write(path, model, reports):
    write_tensors(path.with_suffix(".safetensors"), model.state_dict())
    write_json(
        path.with_suffix(".json"),
        {"losses": [r.loss for r in reports], "hits": [r.accuracy for r in reports]},
    )
