"""The table and the verdict of the study on real and random data."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import torch
from scipy.stats import spearmanr

from whence.studies.memorisation.contrasts import spread_of_rates
from whence.studies.memorisation.figures import HELD_WORDS, draw_contrasts
from whence.studies.parts.findings import Entry, Findings
from whence.studies.parts.trends import Trend, say_claims

HIGH_ACCURACY, GROWS, HARMLESS = 0.95, 0.8, 0.02
"""Training accuracy that counts as high, rank correlation that counts as growing, and validation
accuracy that holding back may cost."""

Measured = Mapping[str, Sequence[Mapping[str, Any]]]
"""Name of a measurement to what each seed found."""


BestEpochs = Mapping[tuple[float, int], tuple[int, int | None]]
"""By share of random labels and place of the seed: when validation accuracy is highest, and when
training accuracy becomes high; epochs from 1, None if it never is."""


class Growth(NamedTuple):
    """Critical samples over training and over noise.

    Attributes:
        grown: trainings at whose end there are more than at the first look, of ``trainings``.
        trainings: how many.
        ranks: correlation of their number at the end with the share of noise, by kind.
    """

    grown: int
    trainings: int
    ranks: Mapping[str, float]


def report_contrasts(
    found: Measured,
    shares: Sequence[float],
    widths: Sequence[int],
    sizes: Sequence[int],
    runs: int,
    classes: Sequence[str],
    made_with: Mapping[str, Any],
) -> Findings:
    """Lay everything out, and say whether the claim is borne out.

    Args:
        found: each measurement by its name, of each seed.
        shares: of the images that were replaced.
        widths: units.
        sizes: images.
        runs: networks that were trained for one epoch.
        classes: K names.
        made_with: what it takes to find it again.
    """
    peaks = find_best_epochs(found, [one for one in shares if one < 1])
    holds, verdict = say_claims(judge_contrasts(found, shares, peaks))
    return Findings(
        columns=("measure", "data", "setting", "found", "published trend"),
        rows=(
            *lay_out_sensitivity(found),
            *lay_out_critical(found, shares, peaks),
            *lay_out_easy(found, runs),
            *lay_out_times(found, widths, sizes),
            *lay_out_held_back(found),
        ),
        holds=holds,
        verdict=verdict,
        made_with=made_with,
        sentences=(describe_held_back(found),),
        figures=draw_contrasts(found, shares, widths, sizes, classes),
    )


def judge_contrasts(found: Measured, shares: Sequence[float], peaks: BestEpochs) -> list[Trend]:
    """Say of each part of the claim whether it is borne out."""
    ginis = {
        kind: average_over_seeds(found[f"sensitivity-{kind}-given"], last_gini)
        for kind in CONTRASTED
    }
    growth, early = judge_growth(found, shares), count_early(peaks)
    return [
        Trend(
            ginis["real"] > max(ginis["randX"], ginis["randY"]),
            f"the Gini coefficient of the loss sensitivity is {ginis['real']:.2f} on real data, "
            f"{ginis['randX']:.2f} with random pixels and {ginis['randY']:.2f} with random labels",
        ),
        Trend(
            growth.grown == growth.trainings,
            f"critical samples are more at the end than early in the training in {growth.grown} of "
            f"{growth.trainings} trainings",
        ),
        *(
            Trend(
                growth.ranks[kind] >= GROWS,
                f"their number and the share of {words} have rank correlation "
                f"{growth.ranks[kind]:.2f}",
            )
            for kind, words in (("randX", "random pixels"), ("randY", "random labels"))
        ),
        Trend(
            early == len(peaks),
            f"with random labels validation accuracy is highest before training accuracy is "
            f"{HIGH_ACCURACY:.0%} in {early} of {len(peaks)} trainings",
        ),
    ]


CONTRASTED = ("real", "randX", "randY")


def average_over_seeds(found: Sequence[Mapping[str, Any]], read: Any) -> float:
    """Average a number over seeds."""
    return fmean(read(one) for one in found)


def last_gini(one: Mapping[str, Any]) -> float:
    """Return the Gini coefficient at the end of a training."""
    return float(one["gini"][-1])


def last_critical(one: Mapping[str, Any]) -> float:
    """Return the share of critical samples at the end of a training."""
    return float(one["critical"][-1])


def compare_own_pairs(one: Mapping[str, Any]) -> float:
    """Divide the sensitivity of classes to their own images by that to images of the others."""
    pairs = torch.tensor(one["pairs"], dtype=torch.float64)
    own = pairs.diagonal().mean()
    others = pairs[~torch.eye(len(pairs), dtype=torch.bool)].mean()
    return float(own / others.clamp_min(1e-300))


def judge_growth(found: Measured, shares: Sequence[float]) -> Growth:
    """Look whether critical samples grow in training, and with noise."""
    trainings = [
        one for name, seeds in found.items() if name.startswith("critical-") for one in seeds
    ]
    grown = sum(one["critical"][-1] > one["critical"][0] for one in trainings)
    ranks = {}
    for kind in ("randX", "randY"):
        names = ["critical-real-0", *(f"critical-{kind}-{share:g}" for share in shares)]
        last = [average_over_seeds(found[name], last_critical) for name in names]
        ranks[kind] = float(spearmanr([0.0, *shares], last).statistic)
    return Growth(grown, len(trainings), ranks)


def find_best_epochs(found: Measured, shares: Sequence[float]) -> BestEpochs:
    """Find when validation accuracy is highest, and when training accuracy becomes high."""
    peaks = {}
    for share in shares:
        for place, one in enumerate(found[f"critical-randY-{share:g}"]):
            best = one["validation"].index(max(one["validation"])) + 1
            high = [epoch for epoch, right in enumerate(one["train"], 1) if right >= HIGH_ACCURACY]
            peaks[share, place] = best, high[0] if high else None
    return peaks


def count_early(peaks: BestEpochs) -> int:
    """Count trainings whose validation is best before training accuracy is high, which it gets."""
    return sum(high is not None and best < high for best, high in peaks.values())


def lay_out_sensitivity(found: Measured) -> list[tuple[Entry, ...]]:
    """Lay out Gini coefficients, and sensitivity by pairs of classes."""
    rows: list[tuple[Entry, ...]] = []
    listed = [(kind, "given", "classes as given") for kind in CONTRASTED]
    listed += [(kind, "own", "a class for each image") for kind in ("real", "randX")]
    for kind, own, words in listed:
        value = average_over_seeds(found[f"sensitivity-{kind}-{own}"], last_gini)
        rows.append(("Gini of loss sensitivity", kind, words, value, "higher on real data"))
    for kind in CONTRASTED:
        value = average_over_seeds(found[f"sensitivity-{kind}-given"], compare_own_pairs)
        what = "sensitivity, own class over others"
        rows.append((what, kind, "classes as given", value, "above 1, lower on real data"))
    return rows


def lay_out_critical(
    found: Measured, shares: Sequence[float], peaks: BestEpochs
) -> list[tuple[Entry, ...]]:
    """Lay out critical samples at the start and the end, and when validation was best."""
    rows: list[tuple[Entry, ...]] = []
    listed = [("real", 0.0), *((kind, share) for kind in CONTRASTED[1:] for share in shares)]
    for kind, share in listed:
        own = found[f"critical-{kind}-{share:g}"]
        setting = f"{share:.0%} replaced" if share else "nothing replaced"
        first = average_over_seeds(own, lambda one: one["critical"][0])
        rows.append(("critical samples, early", kind, setting, first, "fewer than at the end"))
        last = average_over_seeds(own, last_critical)
        rows.append(("critical samples, end", kind, setting, last, "more with more noise"))
        best = average_over_seeds(own, lambda one: max(one["validation"]))
        rows.append(("best validation accuracy", kind, setting, best, "lower with more noise"))
        end = average_over_seeds(own, lambda one: one["validation"][-1])
        rows.append(("last validation accuracy", kind, setting, end, None))
    for share in dict.fromkeys(share for share, _ in peaks):
        own_peaks = [one for (of, _), one in peaks.items() if of == share]
        setting = f"{share:.0%} replaced"
        epoch = fmean(one[0] for one in own_peaks)
        rows.append(("epoch of best validation", "randY", setting, epoch, "before high training"))
        known = [one[1] for one in own_peaks if one[1] is not None]
        high = fmean(known) if len(known) == len(own_peaks) else None
        name = f"epoch of {HIGH_ACCURACY:.0%} training accuracy"
        rows.append((name, "randY", setting, high, "after best validation"))
    return rows


def lay_out_easy(found: Measured, runs: int) -> list[tuple[Entry, ...]]:
    """Lay out how uneven images are after one epoch."""
    rows: list[tuple[Entry, ...]] = []
    for kind in CONTRASTED:
        rates = [one["rates"] for one in found[f"easy-{kind}"]]
        spread = fmean(spread_of_rates(one, runs) for one in rates)
        trend = "far above 1 on real data alone"
        rows.append(("variance of errors over chance", kind, f"{runs} runs", spread, trend))
        always = fmean(sum(rate == 0 for rate in one) / len(one) for one in rates)
        rows.append(("images that every run learnt", kind, f"{runs} runs", always, "many, real"))
    return rows


def lay_out_times(
    found: Measured, widths: Sequence[int], sizes: Sequence[int]
) -> list[tuple[Entry, ...]]:
    """Lay out epochs until all labels are fitted, by width and by number of images."""
    rows: list[tuple[Entry, ...]] = []
    for kind, share in (("real", 0.0), ("randX", 1.0), ("randY", 1.0), ("randY", 0.4)):
        data = kind if share in (0, 1) else f"{kind}, {share:.0%} replaced"
        for width in widths:
            own = found[f"width-{kind}-{share:g}-{width}"]
            trend = "fewer with more units"
            rows.append(("epochs to fit", data, f"{width} units", average_epochs(own), trend))
        if data == "randY, 40% replaced":
            for width in widths:
                own = found[f"width-{kind}-{share:g}-{width}"]
                best = average_over_seeds(own, lambda one: one["validation"])
                trend = "best with many units"
                rows.append(("best validation accuracy", data, f"{width} units", best, trend))
    for kind in CONTRASTED:
        for size in sizes:
            own = found[f"size-{kind}-{size}"]
            trend = "more with more images, most on random data"
            rows.append(("epochs to fit", kind, f"{size} images", average_epochs(own), trend))
    return rows


def average_epochs(found: Sequence[Mapping[str, Any]]) -> float | None:
    """Average epochs until all labels were fitted; None if one seed did not get there."""
    epochs = [one["epochs"] for one in found]
    return None if None in epochs else fmean(epochs)


def list_held_back(found: Measured) -> list[tuple[str, float, float, float]]:
    """List what held networks back: its name, how much, accuracy on random and on real data."""
    listed = []
    for name in found:
        if name.startswith("held-") and name.endswith("-real"):
            _, field, amount, _ = name.split("-", 3)
            memorised = average_over_seeds(found[f"{name[:-5]}-randY"], lambda one: one["train"])
            learnt = average_over_seeds(found[name], lambda one: one["validation"])
            listed.append((HELD_WORDS[field], float(amount), memorised, learnt))
    return listed


def lay_out_held_back(found: Measured) -> list[tuple[Entry, ...]]:
    """Lay out what holds networks back."""
    rows: list[tuple[Entry, ...]] = []
    for name, amount, memorised, learnt in list_held_back(found):
        setting = f"{name} {amount:g}"
        rows.append(("training accuracy", "randY", setting, memorised, "lower, most with dropout"))
        rows.append(("validation accuracy", "real", setting, learnt, "hardly lower"))
    return rows


def describe_held_back(found: Measured) -> str:
    """Say how far each regulariser caps memorising at hardly any cost on real data."""
    listed = list_held_back(found)
    parts = []
    for name in dict.fromkeys(one[0] for one in listed):
        own = [one for one in listed if one[0] == name]
        plain = next(one for one in own if one[1] == 0)
        harmless = [one for one in own if one[3] >= plain[3] - HARMLESS]
        best = min(harmless, key=lambda one: one[2])
        parts.append(f"{name} {best[1]:g} from {plain[2]:.0%} to {best[2]:.0%}")
    return (
        f"Training accuracy on random labels, at a cost of at most {HARMLESS:.0%} of validation "
        f"accuracy on real data: {', '.join(parts)}."
    )
