"""The study: rules, students and exemplars that stand for a network, and what they promise."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from statistics import fmean
from typing import Any

from whence.records.images import Dataset
from whence.studies.parts.averages import average_at, average_known
from whence.studies.parts.findings import Entry, Findings, lay_out_numbers
from whence.studies.parts.kept import KeptParts
from whence.studies.parts.real_images import REAL
from whence.studies.parts.request import StudyRequest, name_seeds
from whence.studies.parts.subject import are_small, identify_data, load_subject
from whence.studies.parts.teachers import (
    FULL_SURROGATES,
    LARGER_SURROGATES,
    Explainable,
    SurrogateSizes,
    train_explainable,
)
from whence.studies.parts.trends import say_parts
from whence.studies.surrogates.anchors import AnchorPlan
from whence.studies.surrogates.compare import (
    compare_exemplars,
    compare_rule_makers,
    compare_students,
)
from whence.studies.surrogates.page import draw_exemplars, draw_rules

SURROGATE_PARTS: Mapping[str, Callable[[Explainable, SurrogateSizes, int], dict[str, Any]]] = {
    "rules": compare_rule_makers,
    "students": compare_students,
    "exemplars": compare_exemplars,
}

COLUMNS_OF_SURROGATES = (
    *("what is judged", "precision", "coverage", "same again", "fidelity", "right"),
    *("found", "to real", "second agrees", "change"),
)

MORE_ANSWERS = "answers to more images"
"""What students learn that follow the network best."""

PROMISED = {name: getattr(AnchorPlan(), name) for name in ("precision", "risk", "tolerance")}
"""What anchors are looked for by."""

ABOUT_SURROGATES = (
    "Rules: an anchor is a few regions of an image; in a variant each other region is kept or, as "
    "often, taken from another image. Precision is the share of fresh variants with the image's "
    "answer, coverage the share of all variants to which the rule applies, same again how much two "
    "searches agree: regions in common of all regions of both, or the correlation of LIME's "
    "numbers.",
    "Students: fidelity is the share of test images that a student answers as the network does. "
    "More images are pairs laid over each other, which nobody has to label.",
    "Exemplars: images changed until the network finds its second class first. To real is the "
    "distance to the nearest real images of that class, second agrees what another network says, "
    "change the sum of absolute differences of pixels; of images that all three ways changed. Real "
    "test images of the same classes show what can be reached: what is blurred is near to many "
    "real ones, so the distance alone does not say that an image looks real.",
)


def surrogates(request: StudyRequest) -> Findings:
    """Explain a network by rules, students and exemplars, and measure what they promise."""
    data = load_subject(request)
    usual = SurrogateSizes() if are_small(data) else LARGER_SURROGATES
    return try_surrogates(data, request, FULL_SURROGATES if request.full else usual)


def try_surrogates(data: Dataset, request: StudyRequest, sizes: SurrogateSizes) -> Findings:
    """Do the study on some images at some size."""
    seeds = request.list_seeds(sizes.seeds)
    made_with = {
        **identify_data(data),
        **sizes._asdict(),
        "seeds": name_seeds(seeds),
        **{f"anchor_{name}": value for name, value in PROMISED.items()},
    }
    kept = KeptParts(request.out, "surrogates", made_with)
    know = cache(partial(train_explainable, data, sizes))

    def compute(name: str, seed: int) -> dict[str, Any]:
        return SURROGATE_PARTS[name](know(seed), sizes, seed)

    parts = kept.do_each({name: partial(compute, name) for name in SURROGATE_PARTS}, seeds)
    return report_surrogates(parts, data.train.class_names, made_with)


def report_surrogates(
    parts: Sequence[Mapping[str, Any]], class_names: Sequence[str], made_with: Mapping[str, Any]
) -> Findings:
    """Lay the parts of all seeds out, and say which parts of the claim held."""
    holds, verdict = judge_surrogates(parts)
    rows = (*rows_of_rules(parts), *rows_of_students(parts), *rows_of_exemplars(parts))
    return Findings(
        columns=COLUMNS_OF_SURROGATES,
        rows=rows,
        holds=holds,
        verdict=verdict,
        made_with=made_with,
        sentences=ABOUT_SURROGATES,
        figures=(
            draw_rules(parts[0]["rules"]["pictures"]),
            draw_exemplars(parts[0]["exemplars"]["pictures"], class_names),
        ),
    )


def judge_surrogates(parts: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
    """Say which of the three parts of the claim held, and what decides."""
    held = {
        "rules": judge_promise(parts),
        "students": judge_lessons(parts),
        "exemplars": judge_manifold(parts),
    }
    judged = {name: good for name, (good, _) in held.items()}
    sentences = (sentence for _, sentence in held.values())
    return all(judged.values()), " ".join([say_parts(judged), *sentences])


def list_anchors(parts: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """List what was found of every image with an anchor, of all seeds."""
    return [one for part in parts for one in part["rules"]["anchors"] if one["rule"] is not None]


def judge_promise(parts: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
    """Say whether anchors keep their precision on fresh variants, and are above LIME's rules."""
    plan, found = AnchorPlan(), list_anchors(parts)
    if not found:
        return False, "No image had an anchor."
    kept = fmean(one["precision"]["anchor"] >= plan.precision for one in found)
    ours, lines = (fmean(one["precision"][name] for one in found) for name in ("anchor", "LIME"))
    return kept >= 1 - plan.risk and ours > lines, (
        f"{kept:.0%} of {len(found)} anchors keep {plan.precision:.0%} on fresh variants, "
        f"{ours:.1%} on average, as many regions of LIME {lines:.1%}."
    )


def judge_lessons(parts: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
    """Say whether students of both kinds follow the network better when they learn its answers."""
    words, won = [], True
    for kind in ("tree", "line"):
        taught = {told: f"{kind} that learnt {told}" for told in ("labels", MORE_ANSWERS)}
        found = average_known(
            parts, {told: ("students", name, "fidelity") for told, name in taught.items()}
        )
        if found is None:
            return False, "Not every student was taught."
        labels, answers = found["labels"], found[MORE_ANSWERS]
        won &= answers > labels
        words.append(f"a {kind} on {answers:.1%} and {labels:.1%}")
    return won, (
        "Taught its answers to more images, and the labels, students answer as the network: "
        f"{', '.join(words)} of the test images."
    )


def judge_manifold(parts: Sequence[Mapping[str, Any]]) -> tuple[bool, str]:
    """Say whether exemplars on the manifold are nearer to real images, and convince another."""
    names = ("xGEM, on the manifold", "the same search in pixels")
    real, second = (
        average_known(parts, {name: ("exemplars", "kinds", name, measure) for name in names})
        for measure in ("to real", "second agrees")
    )
    if real is None or second is None:
        return False, "No image was changed by every way."
    made, searched = names
    return real[made] < real[searched] and second[made] > second[searched], (
        f"Exemplars on the manifold are {real[made]:.3g} from real images, in pixels "
        f"{real[searched]:.3g}; another network agrees with {second[made]:.0%} and "
        f"{second[searched]:.0%}."
    )


def lay_out_surrogate(name: str, **numbers: float | None) -> tuple[Entry, ...]:
    """Lay out a row of the table; of columns of several words these are joined."""
    named = {word.replace("_", " "): number for word, number in numbers.items()}
    return lay_out_numbers(name, COLUMNS_OF_SURROGATES[1:], named)


def rows_of_rules(parts: Sequence[Mapping[str, Any]]) -> list[tuple[Entry, ...]]:
    """Lay out anchors, other rules of their length, no rule, and LIME's numbers."""
    found, every = list_anchors(parts), [one for part in parts for one in part["rules"]["anchors"]]
    rows = [lay_out_surrogate("no rule", precision=fmean(one["without"] for one in every))]
    again = {"anchor": "same anchors", "LIME": "same LIME"}
    for name in ("anchor", "LIME", "random") if found else ():
        same = [part["rules"].get(again.get(name, "")) for part in parts]
        known = [one for one in same if one is not None]
        rows.append(
            lay_out_surrogate(
                f"rule: {name}" if name == "anchor" else f"rule: as many regions, {name}",
                precision=fmean(one["precision"][name] for one in found),
                coverage=fmean(0.5 ** len(one["rule"]) for one in found),
                same_again=fmean(known) if known else None,
                found=len(found) / len(every) if name == "anchor" else None,
            )
        )
    for samples in parts[0]["rules"]["lines agree"]:
        agree = fmean(part["rules"]["lines agree"][samples] for part in parts)
        title = f"LIME's numbers, {int(samples):,} variants"
        rows.append(lay_out_surrogate(title, same_again=agree))
    return rows


def rows_of_students(parts: Sequence[Mapping[str, Any]]) -> list[tuple[Entry, ...]]:
    """Lay out the network and its students."""
    rows = [lay_out_surrogate("the network", right=fmean(p["students"]["network"] for p in parts))]
    return rows + [
        lay_out_surrogate(
            name,
            fidelity=average_at(parts, "students", name, "fidelity"),
            right=average_at(parts, "students", name, "accuracy"),
        )
        for name in parts[0]["students"]
        if name != "network"
    ]


def rows_of_exemplars(parts: Sequence[Mapping[str, Any]]) -> list[tuple[Entry, ...]]:
    """Lay out the three ways to change an image."""
    rows = []
    for name in parts[0]["exemplars"]["kinds"]:
        numbers = {
            measure.replace(" ", "_"): average_at(parts, "exemplars", "kinds", name, measure)
            for measure in ("found", "to real", "second agrees", "change")
        }
        title = name if name == REAL else f"exemplar: {name}"
        rows.append(lay_out_surrogate(title, **numbers))
    return rows
