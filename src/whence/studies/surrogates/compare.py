"""The three comparisons of the study: rules, students, exemplars."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from whence.attribution.methods.lime import lime
from whence.attribution.regions import Regions
from whence.autoencoders.vae import decode_codes, encode_images
from whence.data.augment import to_float
from whence.morphing.quality import pixel_proximity
from whence.morphing.stored_codes import store_codes
from whence.morphing.walk import MorphPlan, morph_codes
from whence.records.picture import to_uint8
from whence.seeds import make_generator
from whence.studies.parts.ask_in_parts import ask_in_parts
from whence.studies.parts.real_images import REAL, choose_real, find_distances
from whence.studies.parts.teachers import Explainable, SurrogateSizes
from whence.studies.surrogates.anchors import (
    AnchorPlan,
    RegionRule,
    compare_rules,
    find_anchor,
)
from whence.studies.surrogates.exemplars import ExemplarPlan, in_pixels, search_exemplars
from whence.studies.surrogates.region_variants import (
    cut_regions,
    draw_kept,
    measure_agreement,
    read_regions,
    score_answers,
    top_rule,
)
from whence.studies.surrogates.students import (
    ClassNumbers,
    Lesson,
    ask_more,
    fit_line,
    grow_tree,
    measure_student,
    to_rows,
)

LIME_SAMPLES = (100, 400, 1600)
"""Variants that lines are fitted to; the middle one is the package's own number."""

ON_MANIFOLD = ExemplarPlan(150, rate=0.1, weight=10.0)
IN_PIXELS = ExemplarPlan(150, rate=0.02, weight=10.0)

SHOWN_SURROGATES = 6


def compare_rule_makers(known: Explainable, sizes: SurrogateSizes, seed: int) -> dict[str, Any]:
    """Look for anchors, and measure rules on fresh variants: theirs, LIME's and random ones.

    Rules of LIME are its regions of largest number, as many as the anchor of that image has.
    """
    images = to_float(known.test.images[: sizes.anchored])
    regions = cut_regions(images)
    lines = {
        samples: torch.stack(
            [draw_lines(known, images, regions, samples, one) for one in range(sizes.repeats)]
        )
        for samples in LIME_SAMPLES
    }
    anchors: list[dict[str, Any]] = []
    for place, image in enumerate(images):
        for repeat in range(sizes.repeats):
            generator = make_generator(10_000 * seed + 100 * place + repeat)
            numbers = regions.numbers[place]
            draw = draw_kept(known.network, image, numbers, known.pixels, generator)
            found = find_anchor(int(regions.counts[place]), draw, AnchorPlan(longest=sizes.longest))
            item: dict[str, Any] = {"image": place, "repeat": repeat, "rule": None}
            item["without"] = draw(frozenset(), sizes.fresh) / sizes.fresh
            if found is not None:
                length = len(found.rule)
                order = torch.randperm(int(regions.counts[place]), generator=generator)
                others = {
                    "LIME": top_rule(lines[LIME_SAMPLES[1]][repeat, place], length),
                    "random": frozenset(order[:length].tolist()),
                }
                rules: dict[str, RegionRule] = {"anchor": found.rule, **others}
                item |= {"rule": sorted(found.rule), "drawn": found.drawn}
                item["LIME"] = sorted(others["LIME"])
                item["precision"] = {
                    name: draw(rule, sizes.fresh) / sizes.fresh for name, rule in rules.items()
                }
            anchors.append(item)
    return {
        "anchors": anchors,
        "same anchors": agree_by_image(anchors, "rule"),
        "same LIME": agree_by_image(anchors, "LIME"),
        "lines agree": {str(samples): measure_agreement(one) for samples, one in lines.items()},
        "pictures": [
            {
                "image": known.test.images[place].tolist(),
                "numbers": regions.numbers[place].tolist(),
                **{name: anchors[place * sizes.repeats].get(name) for name in ("rule", "LIME")},
            }
            for place in range(min(SHOWN_SURROGATES, len(images)))
        ],
    }


def draw_lines(
    known: Explainable, images: Tensor, regions: Regions, samples: int, repeat: int
) -> Tensor:
    """Explain answers by the package's LIME over the same regions; `(B, R)` numbers."""
    height, width = (int(side) for side in (regions.numbers[0] == 0).nonzero().amax(0) + 1)
    found = lime(
        score_answers(known.network, images),
        images,
        generator=make_generator(repeat),
        patch=(height, width),
        samples=samples,
        repeats=1,
    )
    return read_regions(found.images, regions)


def agree_by_image(anchors: list[dict[str, Any]], name: str) -> float | None:
    """Average how much the rules of one image overlap between repeats; None without a pair."""
    by_image: dict[int, list[RegionRule]] = {}
    for item in anchors:
        if item.get(name) is not None:
            by_image.setdefault(item["image"], []).append(frozenset(item[name]))
    overlaps = [compare_rules(rules) for rules in by_image.values() if len(rules) > 1]
    return sum(overlaps) / len(overlaps) if overlaps else None


def compare_students(known: Explainable, sizes: SurrogateSizes, seed: int) -> dict[str, Any]:
    """Teach trees and lines the labels, the network's answers, and its answers to more images."""
    generator = make_generator(seed)
    classes = len(known.train.class_names)
    asked = ask_more(known.pixels, sizes.times, generator)
    logits, rows = ask_network(known, asked), to_rows(asked)
    test = to_float(known.test.images)
    teacher, labels = ask_network(known, test).argmax(1), known.test.labels.numpy()
    own = len(known.pixels)
    truth: ClassNumbers = known.train.labels.numpy()
    trees = {
        "labels": Lesson(rows[:own], truth),
        "answers": Lesson(rows[:own], logits[:own].argmax(1)),
        "answers to more images": Lesson(rows, logits.argmax(1)),
    }
    lines = {
        "labels": Lesson(rows[:own], np.eye(classes)[truth]),
        "answers": Lesson(rows[:own], logits[:own]),
        "answers to more images": Lesson(rows, logits),
    }
    asked_rows = to_rows(test)
    found: dict[str, Any] = {"network": float((teacher == labels).mean())}
    for told in trees:
        tree, line = grow_tree(trees[told], seed), fit_line(lines[told])
        for name, student in (("tree", tree), ("line", line)):
            measured = measure_student(student, asked_rows, teacher, labels)
            found[f"{name} that learnt {told}"] = measured
    return found


def ask_network(known: Explainable, images: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Ask the network about many images; logits `(N, K)`."""
    found: np.ndarray[Any, np.dtype[np.float64]] = (
        ask_in_parts(known.network, images).double().numpy()
    )
    return found


def judge_looks(known: Explainable, images: Tensor, classes: Tensor) -> dict[str, float]:
    """Measure how far images are from real ones of their classes, and if the second network agrees.

    Args:
        known: training images and the second network.
        images: `(B, C, H, W)` in [0, 1], at least one.
        classes: `(B,)` that they are to show.
    """
    real = find_distances(images, classes, known.pixels, known.train.labels)
    agreed = ask_in_parts(known.second, images).argmax(1) == classes
    return {"to real": float(real.mean()), "second agrees": float(agreed.double().mean())}


def compare_exemplars(known: Explainable, sizes: SurrogateSizes, seed: int) -> dict[str, Any]:
    """Change images to their second class: on the manifold, by the package's morph, in pixels."""
    images = to_float(known.test.images[: sizes.changed])
    top = ask_in_parts(known.network, images).topk(2).indices  # (B, 2)
    wanted = top[:, 1]
    codes = encode_images(known.vae, images).mean
    search = (known.network, images, wanted)
    stored = store_codes(
        known.vae,
        known.train.images,
        known.train.labels,
        classes=len(known.train.class_names),
        generator=make_generator(seed),
    )
    walked = morph_codes(known.network, known.vae, codes, top, stored.norms, plan=MorphPlan())
    made = {
        "xGEM, on the manifold": search_exemplars(*search, codes, known.vae.decode, ON_MANIFOLD),
        "morph of the package": (decode_codes(known.vae, walked.codes), walked.found),
        "the same search in pixels": search_exemplars(*search, images, in_pixels, IN_PIXELS),
    }
    every = torch.stack([found for _, found in made.values()]).all(0)
    kinds: dict[str, Any] = {}
    for name, (pictures, found) in made.items():
        kinds[name] = {"found": float(found.double().mean())}
        if bool(every.any()):
            some = pictures[every]
            kinds[name] |= judge_looks(known, some, wanted[every])
            kinds[name]["change"] = float(pixel_proximity(images[every], some).mean())
    places = choose_real(known.test.labels, wanted[every])
    if bool((places >= 0).any()):
        real = known.test.take(places[places >= 0])
        kinds[REAL] = judge_looks(known, to_float(real.images), real.labels)
    shown = {"image": images, "its code": decode_codes(known.vae, codes)}
    shown |= {name: pictures for name, (pictures, _) in made.items()}
    return {
        "kinds": kinds,
        "pictures": [
            {
                "classes": top[row].tolist(),
                **{name: to_uint8(pictures[row]).tolist() for name, pictures in shown.items()},
            }
            for row in range(min(SHOWN_SURROGATES, len(images)))
        ],
    }
