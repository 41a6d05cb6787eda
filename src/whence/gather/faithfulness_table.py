"""The table of methods by measures: cells that are kept as files, and their summaries."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor

from whence.gather.faithful import KNOWING_NOTHING, FaithfulnessBench, keep_first
from whence.metrics.attributed import Attributed
from whence.metrics.bootstrap import bootstrap_mean
from whence.metrics.faithfulness_measure import FaithfulnessMeasure, find_measure
from whence.records.faithfulness import (
    CellSummary,
    Faithfulness,
    FaithfulnessCell,
    MeasureFacts,
)
from whence.report.json_values import to_list
from whence.seeds import make_generator
from whence.storage.plain_files import read_json
from whence.storage.whole_files import write_json

CELL_FILES, IDENTITY = "cells", "settings.json"


@dataclass(frozen=True)
class CellFolder:
    """Where cells are kept, so that a killed command goes on.

    Attributes:
        folder: of the whole table.
    """

    folder: Path

    def claim(self, identity: dict[str, Any]) -> None:
        """Say what the cells of the folder are of.

        Raises:
            FileExistsError: if it holds cells of something else.
        """
        path = self.folder / IDENTITY
        if not path.exists():
            write_json(path, identity)
            return
        known = read_json(path)
        for name, value in identity.items():
            if known.get(name) != value:
                raise FileExistsError(
                    f"{self.folder} holds a table that differs in its {name.replace('_', ' ')}; "
                    "choose another --out."
                )

    def place(self, method: str, measure: str) -> Path:
        """Name the file of a cell."""
        return self.folder / CELL_FILES / method / f"{measure}.json"

    def read(self, method: str, measure: str, images: int) -> FaithfulnessCell | None:
        """Read a finished cell, or None.

        Raises:
            ValueError: if it is damaged.
        """
        path = self.place(method, measure)
        if not path.exists():
            return None
        found = read_json(path)
        values, curve, refused = (found.get(name) for name in ("values", "curve", "refused"))
        if (
            not is_row(values)
            or len(values) > images
            or not (curve is None or (is_row(curve) and None not in curve))
            or not isinstance(refused, str)
        ):
            raise ValueError(f"{path} must hold a number per image, it is damaged; delete it.")
        return FaithfulnessCell(tuple(values), None if curve is None else tuple(curve), refused)

    def list_missing(
        self, methods: Sequence[str], measures: Sequence[str], images: int
    ) -> list[tuple[str, str]]:
        """List methods and measures of the cells that are not there yet.

        Raises:
            ValueError: if one is damaged.
        """
        return [
            (method, measure)
            for method in methods
            for measure in measures
            if self.read(method, measure, images) is None
        ]

    def write(self, method: str, measure: str, cell: FaithfulnessCell) -> None:
        """Keep a finished cell."""
        write_json(self.place(method, measure), asdict(cell))


def is_row(values: object) -> TypeGuard[list[Any]]:
    """Say whether a value read from JSON is a list of numbers and of None."""
    return isinstance(values, list) and all(
        one is None or isinstance(one, int | float) for one in values
    )


def fill_cells(
    bench: FaithfulnessBench,
    methods: Sequence[str],
    measures: Sequence[str],
    folder: CellFolder,
    *,
    options: Mapping[str, object],
    again: int,
    report: Callable[[str, str], None],
) -> dict[tuple[str, str], FaithfulnessCell]:
    """Measure every method in every way, and keep each cell as soon as it is there.

    Args:
        bench: model and images.
        methods: names in ``METHODS``, and "untrained".
        measures: names in ``FAITHFULNESS``.
        folder: with the cells of an earlier start.
        options: of the methods that have them.
        again: images on which measures are taken that ask a method again.
        report: called with method and measure after each cell.

    Returns:
        Every cell. A method that refuses the model has cells that say why.
    """
    cells: dict[tuple[str, str], FaithfulnessCell] = {}
    for method in methods:
        explained: Attributed | str | None = None
        for measure in measures:
            cell = folder.read(method, measure, len(bench.images))
            if cell is None:
                if explained is None:
                    explained = explain_or_say(bench, method, options)
                cell = fill_cell(explained, find_measure(measure), bench.seed, again)
                folder.write(method, measure, cell)
            cells[method, measure] = cell
            report(method, measure)
    return cells


def explain_or_say(
    bench: FaithfulnessBench, method: str, options: Mapping[str, object]
) -> Attributed | str:
    """Explain the images, or say why the method refuses."""
    try:
        return bench.explain(method, options)
    except ValueError as error:
        return str(error)


def fill_cell(
    explained: Attributed | str, measure: FaithfulnessMeasure, seed: int, again: int
) -> FaithfulnessCell:
    """Measure one method in one way."""
    if isinstance(explained, str):
        return FaithfulnessCell((), refused=explained)
    if "explain" in measure.needs:
        explained = keep_first(explained, again)
    options = {"generator": make_generator(seed)} if measure.draws else {}
    try:
        found = measure(explained, **options)
    except ValueError as error:
        return FaithfulnessCell((), refused=str(error))
    curve = None if found.curve is None else found.curve.nanmean(0)
    if curve is not None and not bool(curve.isfinite().all()):
        curve = None
    return FaithfulnessCell(
        tuple(to_list(found.values)), None if curve is None else tuple(curve.tolist())
    )


def summarise_cells(
    cells: dict[tuple[str, str], FaithfulnessCell],
    methods: Sequence[str],
    measures: Sequence[str],
    *,
    images: int,
    again: int,
    refill: str,
    seed: int,
    notes: Sequence[str] = (),
) -> Faithfulness:
    """Average cells over images, and compare them with their controls, image by image."""
    facts = tuple(describe_measure(find_measure(name)) for name in measures)
    ordered = tuple(sorted(methods, key=lambda name: name in KNOWING_NOTHING))
    summaries = {
        (method, one.name): summarise_cell(
            cells[method, one.name], cells.get((one.control, one.name)), one, method, seed
        )
        for method in ordered
        for one in facts
    }
    return Faithfulness(
        methods=ordered,
        controls=tuple(name for name in ordered if name in KNOWING_NOTHING),
        measures=facts,
        cells=summaries,
        images=images,
        again=again,
        refill=refill,
        notes=tuple(notes),
    )


def describe_measure(measure: FaithfulnessMeasure) -> MeasureFacts:
    """Collect what a reader must know of a measure."""
    return MeasureFacts(
        measure.name, measure.better, measure.question, measure.control, measure.limit
    )


def summarise_cell(
    cell: FaithfulnessCell,
    control: FaithfulnessCell | None,
    measure: MeasureFacts,
    method: str,
    seed: int,
) -> CellSummary:
    """Average a cell, and say whether it is better than its control."""
    values = to_numbers(cell)
    known = values[~values.isnan()]
    if len(known) == 0:
        return CellSummary(None, None, None, 0, len(values), None, cell.curve, cell.refused)
    found = bootstrap_mean(known, make_generator(seed))
    passes = None
    if method not in KNOWING_NOTHING and measure.limit is not None:
        passes = bool(found.mean <= measure.limit)
    elif (
        method not in KNOWING_NOTHING and control is not None and len(control.values) == len(values)
    ):
        passes = beats(values, to_numbers(control), measure.better == "lower", seed)
    return CellSummary(*found, len(known), len(values), passes, cell.curve, cell.refused)


def to_numbers(cell: FaithfulnessCell) -> Tensor:
    """Write the values of a cell as `(B,)` float64, NaN where there is none."""
    return torch.tensor(
        [torch.nan if one is None else one for one in cell.values], dtype=torch.float64
    )


def beats(values: Tensor, control: Tensor, lower: bool, seed: int) -> bool | None:
    """Say whether values are better than those of a control, beyond the 95 % interval.

    Image by image, on those where both have one; None if there is none.
    """
    gains = (control - values) if lower else (values - control)
    known = gains[~gains.isnan()]
    if len(known) == 0:
        return None
    return bootstrap_mean(known, make_generator(seed)).low > 0
