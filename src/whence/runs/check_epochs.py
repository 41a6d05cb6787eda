"""What is expected of a model, looked at after every epoch of its training."""

import copy
import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from whence.checks.expectations import Expectation, Expectations, refuse_unknown_classes
from whence.checks.subjects import Subject, ask_model
from whence.data.label_table import NO_COLUMNS
from whence.memory.votes import Votes
from whence.models.classifier import Classifier
from whence.models.using import encode_frozen
from whence.records.checked import Checks
from whence.report.checked import checks_to_json
from whence.runs.check_run import name_labelled, place_data, read_subject
from whence.runs.groups_of_run import files_of_group
from whence.runs.load_parts import take_tested
from whence.runs.prepare import Parts
from whence.runs.sample_of_run import load_other
from whence.runs.settings import Settings
from whence.runs.where import AS_SETTINGS_SAY
from whence.storage.plain_files import read_small
from whence.storage.whole_files import write_whole
from whence.training.labelled import Labelled
from whence.training.voting import compare_as_learned

EPOCH_CHECKS = "checks.jsonl"
"""In the folder of a run: a line an epoch."""


class EpochChecks:
    """Asks a model after every epoch, on its validation images where no others are named.

    Args:
        expected: what is expected.
        folder: of the run.
        settings: of the run.
        parts: of the run, whose model is trained.
    """

    def __init__(
        self, expected: Expectations, folder: Path, settings: Settings, parts: Parts
    ) -> None:
        self.expected = expected
        self.items = [replace(one, of_run="validation images") for one in expected.items]
        self.folder = folder
        self.settings = settings
        self.parts = parts
        self.features: Tensor | None = None
        self.subjects: dict[object, Subject] = {}
        self.lines: list[str] = []

    def prepare(self) -> None:
        """Read all images that are named, and refuse what is unknown, before anything is written.

        Raises:
            FileNotFoundError: if images are not there.
            ValueError: if a class, a group or an index is unknown.
        """
        refuse_unknown_classes(self.items, self.parts.model.class_names)
        for one in self.items:
            self.find(one)
            if "group" in one.keys:
                files_of_group(self.settings, one.keys["group"])

    def begin(self, epochs: int, features: Tensor | None) -> None:
        """Keep the lines of the epochs that were done before; those after are made again.

        Args:
            epochs: that were done.
            features: `(n, D)` of the training images where the encoder is frozen, else None.

        Raises:
            ValueError: if the lines of before are damaged.
        """
        path = self.folder / EPOCH_CHECKS
        known = read_small(path).splitlines() if path.is_file() else []
        try:
            self.lines = [one.decode() for one in known if json.loads(one)["epoch"] <= epochs]
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise ValueError(f"{path} must hold a check in each line, it is damaged.") from error
        self.features = features

    def look(self, epoch: int) -> Checks:
        """Check the model as it is, keep the result and say what fails."""
        found = self.ask()
        self.lines.append(json.dumps({"epoch": epoch} | checks_to_json(found)))
        write_whole(self.folder / EPOCH_CHECKS, ("\n".join(self.lines) + "\n").encode())
        for one in found.failed:
            line = f"epoch {epoch}: fails: {one.title} ({one.found})"
            tqdm.write(line.encode("ascii", "backslashreplace").decode(), file=sys.stderr)
        return found

    def ask(self) -> Checks:
        """Ask a copy of the model in eval mode, which remembers the training images."""
        model = copy.copy(self.parts.model)
        model.encoder = copy.deepcopy(model.encoder)
        model.head = copy.deepcopy(model.head)
        model.eval()
        if model.has_memory:
            train, features = self.parts.train, self.features
            if isinstance(model.head, Votes) and features is None:
                features = self.end_training(model, model.head)
            model.remember(
                train.images, train.labels, self.parts.indices, train.sources, features=features
            )
        group = partial(files_of_group, self.settings)
        return ask_model(model, self.items, self.find, group)

    def end_training(self, model: Classifier, head: Votes) -> Tensor:
        """Let votes compare what the encoder has learned so far; returns the training features."""
        train, held_out = (
            Labelled(encode_frozen(model, part.images), part.labels.to(model.mean.device))
            for part in (self.parts.train, self.parts.validation)
        )
        asked = held_out if len(held_out.labels) else None
        compare_as_learned(head, train, asked, self.parts.plan)
        return train.features

    def find(self, one: Expectation) -> Subject:
        """Find the images of an expectation, once."""
        key = one.image, one.test, one.data
        if key not in self.subjects:
            self.subjects[key] = self.read(one)
        return self.subjects[key]

    def read(self, one: Expectation) -> Subject:
        """Read the images of an expectation; the validation images where it names none."""
        if one.image:
            return read_subject(one.image, self.expected.folder, self.parts.model)
        if one.data is not None:
            model = self.parts.model
            about = {"image_shape": model.image_shape, "classes": list(model.class_names)}
            place = place_data(one.data, self.expected.folder)
            root = self.settings.data_root
            sample = load_other(about, place, {}, NO_COLUMNS, AS_SETTINGS_SAY, known=root)
            return name_labelled(sample.images)
        if not one.test:
            return name_labelled(self.parts.validation, part="validation")
        return name_labelled(take_tested(self.parts.test, one.test), one.test)
