"""What a run does on all its test images: answers, errors, the stored images they rest on."""

import threading
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.evidence.answers import Memory, answer
from whence.evidence.head_start import find_leads
from whence.gather.explained import find_places
from whence.gather.overview import confuse, encode_for_labels, list_suspicious, name_doubts
from whence.gather.use_of_memory import Readings, describe_use, read_all
from whence.memory.votes import Votes
from whence.messages import quote
from whence.models.evaluating import evaluating
from whence.records.measures import Suspicion
from whence.viewer.changes import EditedMemory
from whence.viewer.jobs import Told
from whence.viewer.shown import StoredPictures, show_stored_image
from whence.viewer.viewed_run import ViewedRun

DOUBT_GROUPS = 10
"""Of doubt, in the chart of doubt against errors."""

MOST_POINTS = 2000
"""Of a map; of more images some are shown, evenly spread over the files."""

ORDERS = ("place", "doubt", "wrong")
"""Of test images."""

ONE_PAGE = 48
"""Images of one answer to a search."""


class Browser:
    """A run's answers to its test images, computed when they are first asked for."""

    def __init__(self, run: ViewedRun, *, batch_size: int = BATCH_SIZE) -> None:
        self.run = run
        self.batch_size = batch_size
        self._lock = threading.RLock()
        self._readings: Readings | None = None
        self._errors: Tensor | None = None
        self._overview: dict[str, Any] | None = None
        self._suspicious: tuple[Suspicion, ...] | None = None
        self._maps: dict[str, dict[str, Any]] = {}

    def read(self) -> tuple[Readings, Tensor]:
        """Return the answers, and how doubtful each is; `(N,)`, the calibrated error if there is.

        Raises:
            ValueError: if there are no test images.
        """
        run, tests = self.run, self.run.need_tests()
        features = run.encode_tests(batch_size=self.batch_size)
        with run.lock:
            if self._readings is None or self._errors is None:
                with evaluating(run.model), torch.no_grad():
                    labels = tests.labels.to(features.device)
                    found = read_all(run.model, features, labels, batch_size=self.batch_size)
                columns = name_doubts(run.model, found.doubts)
                self._errors = next(iter(columns.values()))
                if "error_probability" not in columns:
                    self._errors = columns["softmax"]
                self._readings = found
            return self._readings, self._errors

    def list_tests(
        self,
        *,
        search: str = "",
        truth: str = "",
        predicted: str = "",
        order: str = "place",
        first: int = 0,
    ) -> dict[str, Any]:
        """List test images that a search finds, a page at a time.

        Args:
            search: part of the file's name.
            truth: true class, "" for all.
            predicted: class of the answer, "" for all.
            order: "place", "doubt" (most doubtful first) or "wrong" (wrong answers alone, the
                surest first).
            first: how many are passed over.

        Raises:
            ValueError: if there are no test images, no such class or order, or first is below 0.
        """
        check_page(first)
        for name in filter(None, (truth, predicted)):
            self.find_class(name)
        if order not in ORDERS:
            raise ValueError(f"The order must be one of {', '.join(ORDERS)}, got {order[:40]}.")
        tests, names = self.run.need_tests(), self.run.model.class_names
        found, errors = self.read()
        rows = torch.arange(len(tests))
        if truth:
            rows = rows[tests.labels[rows] == names.index(truth)]
        if predicted:
            rows = rows[found.predicted[rows] == names.index(predicted)]
        if order == "wrong":
            rows = rows[found.predicted[rows] != tests.labels[rows]]
            rows = rows[errors[rows].argsort(stable=True)]
        elif order == "doubt":
            rows = rows[errors[rows].argsort(descending=True, stable=True)]
        places = rows.tolist()
        if search:
            wanted = search.casefold()
            places = [row for row in places if wanted in self.name_test(row).casefold()]
        shown = places[first : first + ONE_PAGE]
        return {"total": len(places), "items": [self.show_test(row) for row in shown]}

    def name_test(self, place: int) -> str:
        """Name a test image by its file, or by its number."""
        sources = self.run.need_tests().sources
        return f"test image {place}" if sources is None else sources[place]

    def show_test(self, place: int) -> dict[str, Any]:
        """Lay one test image out with its answer."""
        tests, names = self.run.need_tests(), self.run.model.class_names
        found, errors = self.read()
        truth, predicted = int(tests.labels[place]), int(found.predicted[place])
        return {
            "part": "test",
            "place": place,
            "name": self.name_test(place),
            "truth": names[truth],
            "predicted": names[predicted],
            "wrong": truth != predicted,
            "share": float(found.probabilities[place]),
            "doubt": float(errors[place]),
            "picture": f"/picture/test/{place}.png",
        }

    def find_class(self, name: str) -> int:
        """Return the place of a class.

        Raises:
            ValueError: if there is no such class.
        """
        names = self.run.model.class_names
        if name not in names:
            raise ValueError(f"The run has no class {quote(name[:80])}.")
        return names.index(name)

    def overview(self, standing: EditedMemory, pictures: StoredPictures) -> dict[str, Any]:
        """Sum the run up: confusions, doubt against errors, stored images most used, suspicious."""
        run, tests = self.run, self.run.need_tests()
        found, errors = self.read()
        if self._overview is None:
            confusion = confuse(tests.labels, found.predicted, len(run.model.class_names))
            wrong = found.predicted != tests.labels
            self._overview = {
                "classes": list(run.model.class_names),
                "images": len(tests),
                "right": int((~wrong).sum()),
                "confusion": confusion.tolist(),
                "doubt": bin_doubts(errors, wrong),
                "calibrated": run.model.calibration is not None,
            }
        return {**self._overview, **self.list_memory(found, standing, pictures)}

    def list_memory(
        self, found: Readings, standing: EditedMemory, pictures: StoredPictures
    ) -> dict[str, Any]:
        """List the stored images that are used most, those of errors, and suspicious labels."""
        model, bank = self.run.model, self.run.model.bank
        if bank is None or found.use is None:
            return {"used": [], "misleading": [], "suspicious": []}
        places, names = find_places(bank), model.class_names
        use = describe_use(found.use, bank.indices.tolist())

        def lay_out(index: int) -> dict[str, Any]:
            one = bank.stored(torch.tensor([places[index]]))[0]
            return show_stored_image(one, names, standing, pictures)

        return {
            "used": [
                {**lay_out(one.index), "answers": one.answers, "weight": one.weight}
                for one in use.most
            ],
            "misleading": [
                {**lay_out(one.index), "weight": one.wrong, "part": one.wrong_share}
                for one in use.misleading
            ],
            "suspicious": [
                {**lay_out(one.index), "score": one.score, "suggested": names[one.resembles]}
                for one in self.list_suspects()[:ONE_PAGE]
            ],
        }

    def list_suspects(self) -> tuple[Suspicion, ...]:
        """Return the stored images whose labels the others speak against; computed once."""
        with self._lock:
            if self._suspicious is None:
                model = self.run.model
                with torch.no_grad():
                    compared = encode_for_labels(model, batch_size=self.batch_size)
                    listed = list_suspicious(model, compared, batch_size=self.batch_size)
                self._suspicious = listed or ()
            return self._suspicious

    def list_stored(
        self, search: str, label: str, first: int, standing: EditedMemory, pictures: StoredPictures
    ) -> dict[str, Any]:
        """List stored images that a search finds, a page at a time, as they stand after edits.

        Raises:
            ValueError: if there is no such class, none before the first, or no file to search.
        """
        check_page(first)
        model, bank = self.run.model, self.run.model.bank
        if bank is None:
            return {"total": 0, "items": []}
        names = model.class_names
        rows = torch.arange(len(bank))
        if label:
            rows = rows[bank.labels.cpu() == self.find_class(label)]
        places = rows.tolist()
        if search and bank.sources is None:
            raise ValueError("The stored images of this run have no file names.")
        if search and bank.sources is not None:
            wanted, sources = search.casefold(), bank.sources
            places = [place for place in places if wanted in sources[place].casefold()]
        shown = bank.stored(torch.tensor(places[first : first + ONE_PAGE], dtype=torch.int64))
        items = [show_stored_image(one, names, standing, pictures) for one in shown]
        return {"total": len(places), "items": items}

    def trace_threshold(self, name: str) -> dict[str, Any]:
        """Lay out, for the slider of one class, from where on each test image is answered with it.

        Of votes, from which head start in similarity on; else from which probability down.

        Raises:
            ValueError: if there is no such class.
        """
        run, tests = self.run, self.run.need_tests()
        place = self.find_class(name)
        features = run.encode_tests(batch_size=self.batch_size)
        of_class, model = tests.labels == place, run.model
        with evaluating(model), torch.no_grad():
            if isinstance(model.head, Votes):
                leads = find_leads(
                    model.head, features, model.checked_bank(), place, batch_size=self.batch_size
                )
                values, kind, low, high = leads.each, "head start", -leads.most, leads.most
            else:
                memory = Memory.of(model) if model.has_memory else None
                labels = tests.labels.to(features.device)
                found = answer(model, features, labels, memory, batch_size=self.batch_size)
                values = model.head.probabilities(found.logits)[:, place].cpu()
                kind, low, high = "probability", 0.0, 1.0
        return {
            "kind": kind,
            "low": low,
            "high": high,
            "values": [round(float(one), 6) for one in values],
            "of_class": of_class.tolist(),
        }

    def draw_map(self, kind: str, tell: Told) -> dict[str, Any]:
        """Lay stored and test images out in the plane, near ones near.

        Args:
            kind: "pca" or "tsne".
            tell: is told how far it is.

        Raises:
            ValueError: on another kind.
        """
        if kind not in ("pca", "tsne"):
            raise ValueError(f"A map is pca or tsne, got {kind[:40]}.")
        if kind not in self._maps:
            tell(0, 1)
            self._maps[kind] = self.compute_map(kind)
            tell(1, 1)
        return self._maps[kind]

    def compute_map(self, kind: str) -> dict[str, Any]:
        """Compute a map; the same every time."""
        run, model = self.run, self.run.model
        points: list[dict[str, Any]] = []
        rows: list[Tensor] = []
        bank, names = model.bank, model.class_names
        suspicious: set[int] = set()
        if bank is not None:
            suspicious = {one.index for one in self.list_suspects()}
            places = sample_evenly(len(bank), MOST_POINTS // 2)
            rows.append(bank.features[places].float().cpu())
            points += [
                {
                    "part": "stored",
                    "place": one.index,
                    "name": one.source or f"training image {one.index}",
                    "label": "" if one.label is None else names[one.label],
                    "wrong": False,
                    "suspicious": one.index in suspicious,
                }
                for one in bank.stored(places)
            ]
        if run.tests is not None and len(run.tests):
            places = sample_evenly(len(run.tests), MOST_POINTS // 2)
            rows.append(run.encode_tests(batch_size=self.batch_size)[places].float().cpu())
            points += [
                {
                    "part": "test",
                    "place": one["place"],
                    "name": one["name"],
                    "label": one["truth"],
                    "wrong": one["wrong"],
                    "suspicious": False,
                }
                for one in map(self.show_test, places.tolist())
            ]
        if len(points) < 3:
            raise ValueError("A map needs at least three images.")
        width = min(one.shape[1] for one in rows)
        table = torch.cat([one[:, :width] for one in rows]).numpy()
        where = lay_out_points(table, kind)
        for one, (across, up) in zip(points, where.tolist(), strict=True):
            one["x"], one["y"] = round(across, 4), round(up, 4)
        return {"kind": kind, "points": points, "classes": list(names)}


def check_page(first: int) -> None:
    """Refuse to pass over fewer than no images.

    Raises:
        ValueError: if it is so.
    """
    if first < 0:
        raise ValueError(f"first must be 0 or more, got {first}.")


def sample_evenly(total: int, most: int) -> Tensor:
    """Choose at most so many places of a row, evenly spread."""
    if total <= most:
        return torch.arange(total)
    return torch.linspace(0, total - 1, most).round().long()


def lay_out_points(table: NDArray[Any], kind: str) -> NDArray[Any]:
    """Lay rows `(n, E)` out in the unit square, `(n, 2)`."""
    few = min(50, *table.shape)
    lean = PCA(few, random_state=0).fit_transform(table)
    found = lean[:, :2]
    if kind == "tsne":
        near = min(30.0, max(1.0, (len(table) - 1) / 3))
        found = TSNE(2, perplexity=near, init="pca", random_state=0).fit_transform(lean)
    if found.shape[1] < 2:
        found = np.hstack([found, np.zeros_like(found)])
    low, high = found.min(0), found.max(0)
    placed: NDArray[Any] = (found - low) / np.maximum(high - low, 1e-12)
    return placed


def bin_doubts(errors: Tensor, wrong: Tensor) -> list[dict[str, Any]]:
    """Set doubt against errors, in equally large groups of images, the least doubtful first.

    Args:
        errors: `(N,)` doubt.
        wrong: `(N,)` bool.
    """
    order = errors.argsort(stable=True)
    groups = [one for one in order.tensor_split(min(DOUBT_GROUPS, len(order))) if len(one)]
    mean = partial(torch.mean, dtype=torch.float64)
    return [
        {
            "doubt": float(mean(errors[one])),
            "wrong": float(mean(wrong[one].double())),
            "images": len(one),
        }
        for one in groups
    ]
