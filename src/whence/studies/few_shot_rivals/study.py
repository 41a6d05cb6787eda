"""The study: who answers better, who shows the better example, the better counterfactual."""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor

from whence.data.augment import to_float
from whence.models.classifier import Classifier
from whence.records.images import Dataset
from whence.records.picture import to_uint8
from whence.seeds import make_generator
from whence.studies.few_shot_rivals.counterfactuals import (
    BY_CODES,
    BY_TREES,
    COUNTERFACTUAL_KINDS,
    Known,
    OtherImages,
    find_read,
    judge_counterfactuals,
    leave_out_stored,
    make_counterfactuals,
)
from whence.studies.few_shot_rivals.examples import (
    Explained,
    choose_in_class,
    input_difference,
    order_by_choice,
    prediction_difference,
    vote_of_active,
)
from whence.studies.few_shot_rivals.guided_search import Guidance
from whence.studies.few_shot_rivals.report import report_rivals
from whence.studies.few_shot_rivals.trained import (
    FULL_SIZES,
    SYSTEMS,
    RivalSizes,
    Round,
    ask,
    draw_few,
    draw_rounds,
    train_system,
)
from whence.studies.parts.class_autoencoders import train_autoencoder, train_autoencoders
from whence.studies.parts.findings import Findings
from whence.studies.parts.kept import KeptParts
from whence.studies.parts.real_images import REAL, choose_real
from whence.studies.parts.request import StudyRequest, name_seeds
from whence.studies.parts.subject import identify_data, load_subject

EXPLAINED_SYSTEMS = ("Memory Wrap", "Only Memory", "votes", "Standard")
"""Those whose examples are compared, by all rules that fit them."""

SEARCHED_SYSTEMS = ("Memory Wrap", "votes")
"""Those whose counterfactuals are compared."""

GUIDANCES = {
    BY_CODES: Guidance(rate=1e-3, realism=100, prototype=100),
    BY_TREES: Guidance(rate=2.5e-3, realism=0, prototype=100),
}
"""The publication's weights; steps as long as the search still comes to rest with."""

SHOWN_ROWS = 6


def few_shot_rivals(request: StudyRequest) -> Findings:
    """Train all systems on the same few images, and compare answers, examples, counterfactuals."""
    sizes = FULL_SIZES if request.full else RivalSizes()
    return compare_rivals(load_subject(request), request, sizes)


def compare_rivals(
    data: Dataset, request: StudyRequest, sizes: RivalSizes, *, fit_steps: int = 500
) -> Findings:
    """Do the study on some images at some size.

    Args:
        data: the images.
        request: seeds, and where parts are kept.
        sizes: of everything else.
        fit_steps: of each autoencoder.
    """
    seeds = request.list_seeds(sizes.seeds)
    made_with = {
        **identify_data(data),
        **sizes._asdict(),
        "seeds": name_seeds(seeds),
        "autoencoder_steps": fit_steps,
    }
    kept = KeptParts(request.out, "few_shot_rivals", made_with)
    know = cache(lambda: learn_known(data, sizes, fit_steps))
    parts = [
        kept.do(f"seed-{seed}", partial(compare_seed, data, sizes, seed, know)) for seed in seeds
    ]
    return report_rivals(parts, data.train.class_names, made_with)


def learn_known(data: Dataset, sizes: RivalSizes, steps: int) -> Known:
    """Train the autoencoders that guide searches and judge them, on more than the few images."""
    places = torch.randperm(len(data.train), generator=make_generator(0))[: sizes.known]
    known = data.train.take(places)
    classes = len(known.class_names)
    judges = train_autoencoders(known.images, known.labels, classes=classes, seed=0, steps=steps)
    guide = train_autoencoder(known.images, seed=1, steps=steps)
    return Known(to_float(known.images), known.labels, judges, guide)


def compare_seed(
    data: Dataset, sizes: RivalSizes, seed: int, know: Callable[[], Known]
) -> dict[str, Any]:
    """Train and compare all systems with one seed."""
    few, asked = draw_few(data, sizes, seed)
    rounds = draw_rounds(asked, few, sizes, seed)
    models = {name: train_system(name, few, sizes, seed).requires_grad_(False) for name in SYSTEMS}
    answers = {name: [ask(model, one) for one in rounds] for name, model in models.items()}
    generator = make_generator(seed)
    counterfactuals: dict[str, Any] = {}
    for name in SEARCHED_SYSTEMS:
        counterfactuals[name], shown = compare_counterfactuals(
            models[name], rounds, answers[name], know(), models["Standard"], sizes.searched
        )
        if name == SEARCHED_SYSTEMS[0]:
            pictures = show_rows(rounds[0], answers[name][0], shown, generator)
    return {
        "answers": {name: count_right(rounds, answers[name]) for name in SYSTEMS},
        "examples": {
            name: compare_examples(rounds, answers[name], generator) for name in EXPLAINED_SYSTEMS
        },
        "counterfactuals": counterfactuals,
        "pictures": pictures,
    }


def count_right(rounds: list[Round], answers: list[Explained]) -> dict[str, float | None]:
    """Measure the share of right answers, and of both votes over stored images with a weight."""
    found: dict[str, list[Tensor]] = {"accuracy": [], "own classes": [], "labels": []}
    for round_, one in zip(rounds, answers, strict=True):
        right = round_.asked.labels
        found["accuracy"].append(one.logits.argmax(1) == right)
        if one.weights is not None:
            total = one.logits.shape[1]
            own = one.stored_logits.argmax(1)
            found["own classes"].append(vote_of_active(one.weights, own, total) == right)
            voted = vote_of_active(one.weights, round_.stored.labels, total)
            found["labels"].append(voted == right)
    return {
        name: float(torch.cat(hits).double().mean()) if hits else None
        for name, hits in found.items()
    }


def compare_examples(
    rounds: list[Round], answers: list[Explained], generator: torch.Generator
) -> dict[str, dict[str, float]]:
    """Measure the examples of every rule on the asked images for which every rule has one."""
    found: dict[str, dict[str, list[Tensor]]] = {}
    for round_, one in zip(rounds, answers, strict=True):
        own, said = one.stored_logits.argmax(1), one.logits.argmax(1)
        orders = order_by_choice(one, generator)
        chosen = {
            rule: choose_in_class(order, own == said[:, None]) for rule, order in orders.items()
        }
        rows = (torch.stack([*chosen.values()]) >= 0).all(0)
        for rule, places in chosen.items():
            picked, logits = places[rows], one.logits[rows]
            numbers = {
                "input": input_difference(logits, one.stored_logits[picked]),
                "prediction": prediction_difference(logits, one.stored_logits[picked]),
                "label": (round_.stored.labels[picked] == round_.asked.labels[rows]).double(),
            }
            kept = found.setdefault(rule, {})
            for measure, values in {**numbers, "share": rows.double()}.items():
                kept.setdefault(measure, []).append(values)
            nearest = own[orders[rule].argmin(1)] == said
            kept.setdefault("first", []).append(nearest.double())
    return {
        rule: {measure: average_parts(parts) for measure, parts in measures.items()}
        for rule, measures in found.items()
    }


def average_parts(parts: list[Tensor]) -> float:
    """Average numbers in parts `(n,)`, together at least one.

    Raises:
        ValueError: if there are none.
    """
    values = torch.cat(parts).double()
    if len(values) == 0:
        raise ValueError(
            "The study must have an asked image that every rule has an example for, got none; "
            "give more training images."
        )
    return float(values.mean())


def compare_counterfactuals(
    model: Classifier,
    rounds: list[Round],
    answers: list[Explained],
    known: Known,
    second: Classifier,
    searched: int,
) -> tuple[dict[str, Any], dict[int, dict[str, Any]]]:
    """Measure what was read and what is searched for, where all three kinds are found.

    Returns:
        By kind its measures; and of the first asked images the counterfactuals, by row and kind.
    """
    numbers: dict[str, dict[str, list[Tensor]]] = {
        kind: {} for kind in (*COUNTERFACTUAL_KINDS, REAL)
    }
    asked, readable, done = 0, 0, 0
    shown: dict[int, dict[str, Any]] = {}
    for place, (round_, one) in enumerate(zip(rounds, answers, strict=True)):
        places = find_read(one)
        rows = (places >= 0).nonzero().squeeze(1)
        asked, readable = asked + len(places), readable + len(rows)
        rows = rows[: searched - done]
        done += len(rows)
        if len(rows) == 0:
            continue
        targets = one.stored_logits.argmax(1)[places[rows]]
        made = make_counterfactuals(model, round_, one, rows, known, GUIDANCES)
        measured = measure_round(round_, one.logits.argmax(1)[rows], targets, made, known, second)
        for kind, measures in measured.items():
            for measure, values in measures.items():
                numbers[kind].setdefault(measure, []).append(values)
        if place == 0:
            shown = lay_out_counterfactuals(rows, targets, made)
    found: dict[str, Any] = {
        kind: {measure: float(torch.cat(parts).double().mean()) for measure, parts in one.items()}
        for kind, one in numbers.items()
    }
    return {"readable": readable / asked, "searched": done, "kinds": found}, shown


def measure_round(
    round_: Round,
    said: Tensor,
    targets: Tensor,
    made: dict[str, OtherImages],
    known: Known,
    second: Classifier,
) -> dict[str, dict[str, Tensor]]:
    """Measure the counterfactuals of a round, and real test images of the same classes.

    Args:
        round_: asked and stored images.
        said: `(n,)` answers to the asked images that have one of every kind, or not.
        targets: `(n,)` classes that they were to come into.
        made: by kind.
        known: the training images and their autoencoders.
        second: a classifier that took no part.

    Returns:
        By kind its measures, of the images for which every kind was found.
    """
    every = torch.stack([others.found for others in made.values()]).all(0)
    judges = leave_out_stored(known, to_float(round_.stored.images))
    compared = {kind: (others.images[every], every) for kind, others in made.items()}
    real = choose_real(round_.asked.labels, targets)
    there = every & (real >= 0)
    compared[REAL] = to_float(round_.asked.images[real[there]]), there
    found: dict[str, dict[str, Tensor]] = {}
    for kind, (images, of) in compared.items():
        found[kind] = {"found": made[kind].found.double()} if kind in made else {}
        if len(images):
            found[kind] |= judge_counterfactuals(images, said[of], targets[of], judges, second)
    return found


def lay_out_counterfactuals(
    rows: Tensor, targets: Tensor, made: dict[str, OtherImages]
) -> dict[int, dict[str, Any]]:
    """Lay out the counterfactuals of asked images, by row and kind; None where none was found."""
    pixels = {kind: to_uint8(others.images).tolist() for kind, others in made.items()}
    return {
        row: {
            kind: {"pixels": pixels[kind][at], "class": int(targets[at])}
            if bool(others.found[at])
            else None
            for kind, others in made.items()
        }
        for at, row in enumerate(rows.tolist())
    }


def show_rows(
    round_: Round, one: Explained, shown: dict[int, dict[str, Any]], generator: torch.Generator
) -> list[dict[str, Any]]:
    """Lay out the first asked images that have counterfactuals, with the example of every rule."""
    own, said = one.stored_logits.argmax(1), one.logits.argmax(1)
    rows = list(shown)[:SHOWN_ROWS]
    chosen = {
        rule: choose_in_class(order, own == said[:, None])
        for rule, order in order_by_choice(one, generator).items()
    }
    found = []
    for row in rows:
        line: dict[str, Any] = {
            "image": {"pixels": round_.asked.images[row].tolist(), "class": int(said[row])}
        }
        for rule, places in chosen.items():
            place = int(places[row])
            item = {"pixels": round_.stored.images[place].tolist(), "class": int(said[row])}
            line[f"example: {rule}"] = item if place >= 0 else None
        found.append({**line, **shown[row]})
    return found
