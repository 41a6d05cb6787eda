"""The study: do nine starts agree, and do clamped samples look like what excites a unit most."""

from collections.abc import Mapping, Sequence
from functools import partial
from statistics import fmean
from typing import Any

from scipy.stats import wilcoxon

from whence.seeds import make_generator
from whence.studies.deep_belief.figures import draw_belief
from whence.studies.deep_belief.look_at_units import (
    STARTS,
    BeliefSize,
    lay_flat,
    look_at_network,
)
from whence.studies.deep_belief.natural_patches import cut_natural_patches
from whence.studies.deep_belief.train_layers import DEEP_KINDS, LayerRecipe
from whence.studies.parts.fewer_images import draw_part
from whence.studies.parts.findings import Entry, Findings
from whence.studies.parts.kept import KeptParts
from whence.studies.parts.request import StudyRequest, name_seeds
from whence.studies.parts.subject import identify_data, load_subject

SMALL_BELIEF = BeliefSize(
    images=3000,
    widths=(300, 300, 300),
    epochs=40,
    batch=20,
    units=36,
    shown=10,
    steps=500,
    chains=10,
    samples=10,
    between=50,
)
FULL_BELIEF = BeliefSize(
    images=None,
    widths=(500, 500, 500),
    epochs=100,
    batch=20,
    units=100,
    shown=10,
    steps=1000,
    chains=20,
    samples=50,
    between=100,
)

AGREED, ONE_MAXIMUM, UNLIKELY = 0.9, 0.95, 0.01
"""Mean cosine at which nine starts agree, that of a unit which counts as having one maximum, and
the probability below which a likeness is not put down to chance."""

BELIEF_COLUMNS = (
    *("layer", "cosine of starts", "one maximum", "other units"),
    *("filters added", "own samples", "others' samples", "own, centred"),
)

ABOUT_COLUMNS = (
    "Columns: mean cosine of what nine starts lead to; share of units where that is "
    f"{ONE_MAXIMUM} or more; then correlations, over pixels, of what excites a unit most with that "
    "of other units, with the filters of the layers below added up, with the mean of samples while "
    "this unit is kept on, with the means for other units, and with its own once what all units "
    "share is taken away."
)


def deep_belief(request: StudyRequest) -> Findings:
    """Train a deep belief net and stacked denoising autoencoders, and look at their units.

    Colour images are natural ones: patches of them are learned from, by Gaussian units.

    Raises:
        FileNotFoundError: if the images are not there.
        ValueError: if they are not in order.
    """
    size = FULL_BELIEF if request.full else SMALL_BELIEF
    seeds = request.list_seeds(1)
    dataset = load_subject(request)
    natural = dataset.train.images.shape[1] > 1
    made_with = {
        **identify_data(dataset),
        "seeds": name_seeds(seeds),
        **size._asdict(),
        "starts": STARTS,
        **LayerRecipe(size.epochs, size.batch)._asdict(),
        "pixels": "whitened patches" if natural else "whole images",
    }
    kept = KeptParts(request.out, "deep_belief", made_with)
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in DEEP_KINDS}
    height, width = dataset.train.images.shape[2:]
    for seed in seeds:
        draw = make_generator(seed)
        if natural:
            count = size.images or len(dataset.train)
            pixels, (height, width) = cut_natural_patches(dataset.train, count, generator=draw)
        else:
            pixels = lay_flat(draw_part(dataset.train, size.images, draw))
        for kind, networks in found.items():
            look = partial(look_at_network, kind, pixels, size, seed, gaussian=natural)
            networks.append(kept.do(f"{kind}-{seed}", look))
    return report_belief(found, (height, width), made_with)


def report_belief(
    found: Mapping[str, Sequence[Mapping[str, Any]]],
    shape: tuple[int, int],
    made_with: Mapping[str, Any],
) -> Findings:
    """Lay out every layer of every network, and say whether the claim is borne out.

    Args:
        found: of each kind, the networks of each seed.
        shape: (H, W) of the pictures.
        made_with: what it takes to find it again.
    """
    rows: list[tuple[Entry, ...]] = []
    cosines, likely = [], []
    for kind, networks in found.items():
        for depth in range(len(networks[0]["layers"])):
            layers = [one["layers"][depth] for one in networks]
            row, cosine = lay_out_layer(layers)
            rows.append((f"{kind}, layer {depth + 1}", *row))
            cosines.append(cosine)
            if kind == "DBN" and depth:  # the publication compares the second layer
                own, other = (join_units(layers, name) for name in ("own", "other"))
                likely.append((depth + 1, fmean(own), fmean(other), compare_paired(own, other)))
    same = min(cosines) >= AGREED
    alike = likely[0][3] < UNLIKELY
    samples = "; ".join(
        f"layer {depth}: {own:.2f} against {other:.2f} of other units"
        for depth, own, other, _ in likely
    )
    verdict = (
        f"Nine starts agree with a mean cosine of {min(cosines):.2f} or more in every layer"
        f"{'' if same else f' ({AGREED} was asked)'}; the mean of samples with a unit kept on and "
        f"what excites it most correlate ({samples})"
        f"{'' if alike else ', which in layer 2 may be chance'}."
    )
    return Findings(
        columns=BELIEF_COLUMNS,
        rows=tuple(rows),
        holds=same and alike,
        verdict=verdict,
        made_with=made_with,
        sentences=(describe_errors(found), ABOUT_COLUMNS),
        figures=draw_belief({kind: networks[0] for kind, networks in found.items()}, shape),
    )


def lay_out_layer(layers: Sequence[Mapping[str, Any]]) -> tuple[tuple[Entry, ...], float]:
    """Average what the seeds found of one layer; the row, and the mean cosine of the starts."""
    agreement = join_units(layers, "agreement")
    sampled = "own" in layers[0]
    row: tuple[Entry, ...] = (
        fmean(agreement),
        sum(one >= ONE_MAXIMUM for one in agreement) / len(agreement),
        fmean(one["between_units"] for one in layers),
        fmean(join_units(layers, "combined")),
        *(fmean(join_units(layers, name)) if sampled else None for name in ("own", "other")),
        fmean(join_units(layers, "special")) if sampled else None,
    )
    return row, fmean(agreement)


def join_units(layers: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    """List a number of each unit, over all seeds."""
    return [float(value) for one in layers for value in one[name]]


def compare_paired(own: Sequence[float], other: Sequence[float]) -> float:
    """Return the probability of such differences if there were none: Wilcoxon's, one-sided."""
    return float(wilcoxon(own, other, alternative="greater").pvalue)


def describe_errors(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """Say how well networks give pixels back, so that it is seen that they learnt something."""
    parts = [
        f"{kind} {fmean(float(one['error']) for one in networks):.3f}"
        for kind, networks in found.items()
    ]
    return f"Mean error of a pixel that went up all layers and down: {', '.join(parts)}."
