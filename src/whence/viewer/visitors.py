"""The people who look at one run at the same time, each with edits of their own."""

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from whence.models.classifier import Classifier
from whence.viewer.changes import EditedMemory, MemoryChange

MOST_VISITORS = 64
"""Whose edits are kept; of more, those of the one who was away longest are forgotten."""

MOST_UPLOADS = 100
"""Images that one visitor may have at hand."""

MOST_CHANGES = 1000
"""Steps of one visitor."""

VISITOR = re.compile(r"[0-9a-f]{32}")
"""What a page calls itself: 128 random bits."""


@dataclass
class Upload:
    """An image that a visitor brought.

    Attributes:
        name: of its file.
        image: `(C, H, W)` uint8 as the model sees it.
        notes: what was changed on the way.
    """

    name: str
    image: Tensor
    notes: tuple[str, ...]


@dataclass
class Visitor:
    """One page that is open somewhere.

    Attributes:
        name: what it calls itself.
        done: steps that count, each with what all up to it come to.
        undone: steps that can be taken again, the next one last.
        uploads: images at hand by their number.
        edited: the model that the steps come to, None until it is asked for.
        lock: held while any of this changes.
    """

    name: str
    done: list[tuple[MemoryChange, EditedMemory]] = field(default_factory=list)
    undone: list[tuple[MemoryChange, EditedMemory]] = field(default_factory=list)
    uploads: dict[int, Upload] = field(default_factory=dict)
    edited: Classifier | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def standing(self) -> EditedMemory:
        """Return what the steps come to."""
        return self.done[-1][1] if self.done else EditedMemory()

    @property
    def images(self) -> Mapping[int, Tensor]:
        """Return the images at hand by their number."""
        return {number: one.image for number, one in self.uploads.items()}

    def record(self, change: MemoryChange, standing: EditedMemory) -> None:
        """Take a step; what was undone is gone.

        Raises:
            ValueError: if there are too many.
        """
        if len(self.done) >= MOST_CHANGES:
            raise ValueError(f"There are {MOST_CHANGES:,} changes already; save the memory first.")
        self.done.append((change, standing))
        self.undone.clear()
        self.edited = None

    def undo(self) -> None:
        """Take the last step back.

        Raises:
            ValueError: if there is none.
        """
        if not self.done:
            raise ValueError("There is nothing to undo.")
        self.undone.append(self.done.pop())
        self.edited = None

    def redo(self) -> None:
        """Take the step again that was taken back last.

        Raises:
            ValueError: if there is none.
        """
        if not self.undone:
            raise ValueError("There is nothing to redo.")
        self.done.append(self.undone.pop())
        self.edited = None

    def bring(self, upload: Upload) -> int:
        """Keep an image at hand; returns its number.

        Raises:
            ValueError: if there are too many.
        """
        if len(self.uploads) >= MOST_UPLOADS:
            raise ValueError(
                f"There are {MOST_UPLOADS} images of yours here already; reload the page to start "
                "anew, or ask whence predict for a whole folder."
            )
        number = len(self.uploads)
        self.uploads[number] = upload
        return number


class Visitors:
    """All visitors, by what their pages call themselves."""

    def __init__(self) -> None:
        self.known: OrderedDict[str, Visitor] = OrderedDict()
        self.lock = threading.Lock()

    def look(self, name: str) -> Visitor:
        """Return a visitor who was here before; who asks for a picture becomes none.

        Raises:
            ValueError: if nobody is called so.
        """
        with self.lock:
            if name not in self.known:
                raise ValueError(
                    "This page is not known here any more: the viewer was started anew, or many "
                    "other pages were opened since. Reload it; what was not saved is gone."
                )
            return self.known[name]

    def find(self, name: str) -> Visitor:
        """Return a visitor who was here before, and remember that they were here now.

        Raises:
            ValueError: if nobody is called so.
        """
        found = self.look(name)
        with self.lock:
            if name in self.known:
                self.known.move_to_end(name)
        return found

    def welcome(self, name: str) -> Visitor:
        """Return a visitor, a new one if the name is new.

        Raises:
            ValueError: if it is no name of a page.
        """
        if not VISITOR.fullmatch(name):
            raise ValueError("The page does not say which one it is; reload it.")
        with self.lock:
            found = self.known.setdefault(name, Visitor(name))
            self.known.move_to_end(name)
            while len(self.known) > MOST_VISITORS:
                self.known.popitem(last=False)
        return found
