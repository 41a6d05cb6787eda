"""What the viewer does for the pages that are open: each method answers one kind of request."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image
from torch import Tensor

from whence.bounds import BATCH_SIZE
from whence.data.open_image import DAMAGED, FORMATS
from whence.data.read_images import read_images
from whence.messages import quote
from whence.models.classifier import Classifier
from whence.records.picture import to_png, to_uint8
from whence.viewer.browse import Browser
from whence.viewer.changes import TAKEN, MemoryChange, apply_standing, describe_change, take_step
from whence.viewer.heatmaps import draw_heatmaps, list_offered
from whence.viewer.jobs import Jobs
from whence.viewer.saving import save_memory, write_edits
from whence.viewer.shown import Address, StoredPictures, show_prediction
from whence.viewer.viewed_run import ViewedRun, answer_one
from whence.viewer.visitors import Upload, Visitor, Visitors


@dataclass(frozen=True)
class AskedImage:
    """The image that a page asks about.

    Attributes:
        key: tells it from every other image.
        name: of it, for people.
        image: `(C, H, W)` uint8.
        truth: its true class, None where it is not known.
        picture: address of its picture.
    """

    key: tuple[object, ...]
    name: str
    image: Tensor
    truth: str | None
    picture: str


class Viewer:
    """All that the addresses of the viewer do; each method answers one.

    Args:
        run: that is viewed.
        beside: another run that answers for the same images, or None.
        batch_size: images encoded at once.
    """

    def __init__(
        self, run: ViewedRun, beside: ViewedRun | None = None, *, batch_size: int = BATCH_SIZE
    ) -> None:
        self.run, self.beside, self.batch_size = run, beside, batch_size
        self.visitors, self.jobs = Visitors(), Jobs()
        self.browser = Browser(run, batch_size=batch_size)

    def describe(self, visitor: Visitor, given: dict[str, Any]) -> dict[str, Any]:
        """Say what is viewed."""
        run, bank = self.run, self.run.model.bank
        return {
            "run": run.folder.resolve().name,
            "classes": list(run.model.class_names),
            "memory": None if bank is None else len(bank),
            "similarity": run.model.memory_head.similarity if run.model.has_memory else None,
            "files": None if bank is None or bank.sources is None else exemplify(bank.sources[0]),
            "tests": 0 if run.tests is None else len(run.tests),
            "notes": list(run.notes),
            "methods": list_offered(run.model),
            "beside": None if self.beside is None else self.beside.folder.resolve().name,
            "edits": self.list_edits(visitor),
        }

    def tests(self, visitor: Visitor, given: dict[str, Any]) -> dict[str, Any]:
        """List test images that a search finds."""
        return self.browser.list_tests(
            search=text_of(given, "search"),
            truth=text_of(given, "truth"),
            predicted=text_of(given, "predicted"),
            order=text_of(given, "order") or "place",
            first=number_of(given, "first") or 0,
        )

    def stored(self, visitor: Visitor, given: dict[str, Any]) -> dict[str, Any]:
        """List stored images that a search finds."""
        return self.browser.list_stored(
            text_of(given, "search"),
            text_of(given, "label"),
            number_of(given, "first") or 0,
            visitor.standing,
            self.find_pictures(visitor),
        )

    def ask(self, visitor: Visitor, given: dict[str, Any]) -> dict[str, Any]:
        """Answer for an image, before and after the edits, and by the run beside."""
        asked = self.find_asked(visitor, given)
        with visitor.lock:  # one state of the memory for all that is answered
            pictures, standing = self.find_pictures(visitor), visitor.standing
            edited = None if standing.is_empty else self.make_edited(visitor)
        query = self.run.queries.find(asked.key, asked.image)
        before = answer_one(self.run.model, asked.image, query)
        answer: dict[str, Any] = {
            "name": asked.name,
            "truth": asked.truth,
            "picture": asked.picture,
            "before": show_prediction(self.run.model, *before, standing, pictures),
            "after": None,
            "beside": None,
            "stale": self.run.replaced,
        }
        if edited is not None:
            after = answer_one(edited, asked.image, query)
            answer["after"] = show_prediction(edited, *after, standing, pictures)
        if self.beside is not None:
            other = self.beside
            theirs = other.queries.find(asked.key, asked.image)
            found = answer_one(other.model, asked.image, theirs)
            answer["beside"] = show_prediction(
                other.model, *found, standing, StoredPictures(address_in(other.model, "beside"))
            )
        return answer

    def change(self, visitor: Visitor, given: dict[str, Any]) -> dict[str, Any]:
        """Take one step of an edit."""
        bank = self.run.model.bank
        if bank is None:
            raise ValueError("A standard model has no memory to edit.")
        change = read_step(given)
        with visitor.lock:
            if change.upload is not None and change.upload not in visitor.uploads:
                raise ValueError("That image is not here any more; choose it again.")
            names = self.run.model.class_names
            standing = take_step(visitor.standing, change, bank, names)
            visitor.record(change, standing)
        return self.list_edits(visitor)

    def undo(self, visitor: Visitor, given: dict[str, Any]) -> dict[str, Any]:
        """Take the last step back."""
        with visitor.lock:
            visitor.undo()
        return self.list_edits(visitor)

    def redo(self, visitor: Visitor, given: dict[str, Any]) -> dict[str, Any]:
        """Take a step again."""
        with visitor.lock:
            visitor.redo()
        return self.list_edits(visitor)

    def save(self, visitor: Visitor, given: dict[str, Any]) -> dict[str, Any]:
        """Keep the edited memory under a name."""
        with visitor.lock:  # a step that is taken meanwhile is not in what is kept
            standing, steps = visitor.standing, self.list_edits(visitor)["steps"]
            edited = self.make_edited(visitor)
        return save_memory(
            self.run,
            edited,
            standing,
            steps,
            text_of(given, "name"),
            batch_size=self.batch_size,
        )

    def edits(self, visitor: Visitor, given: dict[str, Any]) -> dict[str, Any]:
        """Write the edits as a table of corrections."""
        bank = self.run.model.bank
        if bank is None:
            raise ValueError("A standard model has no memory to edit.")
        return {"csv": write_edits(bank, visitor.standing, self.run.model.class_names)}

    def overview(self, visitor: Visitor, given: dict[str, Any]) -> dict[str, Any]:
        """Sum the run up."""
        return self.browser.overview(visitor.standing, self.find_pictures(visitor))

    def threshold(self, visitor: Visitor, given: dict[str, Any]) -> dict[str, Any]:
        """Lay out what the slider of a class needs."""
        return self.browser.trace_threshold(text_of(given, "class"))

    def heatmaps(self, visitor: Visitor, given: dict[str, Any]) -> dict[str, Any]:
        """Begin to find the relevance of pixels."""
        asked, method = self.find_asked(visitor, given), text_of(given, "method")
        model = self.run.model if visitor.standing.is_empty else self.find_edited(visitor)
        work = lambda tell: draw_heatmaps(model, asked.image, method, tell)  # noqa: E731
        return {"job": self.jobs.start(work)}

    def map(self, visitor: Visitor, given: dict[str, Any]) -> dict[str, Any]:
        """Begin to draw a map."""
        kind = text_of(given, "kind")
        return {"job": self.jobs.start(lambda tell: self.browser.draw_map(kind, tell))}

    def job(self, visitor: Visitor, given: dict[str, Any]) -> dict[str, Any]:
        """Say how far a computation is, and what came out."""
        job = self.jobs.find(number_of(given, "job") or 0)
        return {"done": job.done, "total": job.total, "result": job.result, "error": job.error}

    def bring(self, visitor: Visitor, name: str, content: bytes) -> dict[str, Any]:
        """Take an image that a person chose; it is written nowhere."""
        upload = read_upload(self.run.model, name, content)
        with visitor.lock:
            number = visitor.bring(upload)
        return {"upload": number, "name": upload.name, "notes": list(upload.notes)}

    def list_edits(self, visitor: Visitor) -> dict[str, Any]:
        """List the steps of a visitor in words."""
        bank, standing = self.run.model.bank, visitor.standing
        steps = []
        if bank is not None:
            brought = {number: one.name for number, one in visitor.uploads.items()}
            steps = [describe_change(change, bank, brought) for change, _ in visitor.done]
        size = 0 if bank is None else len(bank) + len(standing.added) - len(standing.removed)
        return {
            "steps": steps,
            "undo": bool(visitor.done),
            "redo": bool(visitor.undone),
            "changed": not standing.is_empty,
            "size": size,
            "removed": len(standing.removed),
            "pinned": sorted(standing.pinned),
        }

    def find_edited(self, visitor: Visitor) -> Classifier:
        """Return the model with a visitor's memory, which is made once for all that are asked."""
        with visitor.lock:
            return self.make_edited(visitor)

    def make_edited(self, visitor: Visitor) -> Classifier:
        """Make the model with a visitor's memory, once; the visitor's lock is held."""
        if visitor.edited is None:
            visitor.edited = apply_standing(
                self.run.model, visitor.standing, visitor.images, batch_size=self.batch_size
            )
        return visitor.edited

    def find_asked(self, visitor: Visitor, given: dict[str, Any]) -> AskedImage:
        """Find the image that a page asks about.

        Raises:
            ValueError: if there is none.
        """
        place, part = number_of(given, "place"), text_of(given, "part")
        if part == "test":
            tests = self.run.need_tests()
            if place is None or not 0 <= place < len(tests):
                raise ValueError(f"There is no test image {place}.")
            truth = tests.class_names[int(tests.labels[place])]
            name, address = self.browser.name_test(place), f"/picture/test/{place}.png"
            return AskedImage(("test", place), name, tests.images[place], truth, address)
        if part == "stored":
            bank = self.run.model.bank
            if bank is None or bank.images is None or place is None:
                raise ValueError("The memory was saved without its images; choose another one.")
            rows = (bank.indices == place).nonzero()
            if not len(rows):
                raise ValueError(f"The memory holds no training image {place}.")
            row = int(rows[0])
            name = f"training image {place}" if bank.sources is None else bank.sources[row]
            label = int(bank.labels[row])
            known = None if label < 0 else self.run.model.class_names[label]
            image, address = to_uint8(bank.images[row]), f"/picture/stored/{place}.png"
            return AskedImage(("stored", place), name, image, known, address)
        if part == "upload" and place in visitor.uploads:
            one, address = visitor.uploads[place], f"/picture/upload/{visitor.name}/{place}.png"
            return AskedImage(("upload", visitor.name, place), one.name, one.image, None, address)
        raise ValueError("That image is not here any more; choose it again.")

    def find_pictures(self, visitor: Visitor) -> StoredPictures:
        """Find the pictures of stored and added images."""
        own, added = address_in(self.run.model, "stored"), visitor.standing.added
        bank, pool = self.run.model.bank, self.run.model.pool
        if bank is None or not added:
            return StoredPictures(own)
        first = 1 + int(bank.indices.max() if pool is None else pool.indices.max())
        uploads = {first + place: number for place, (number, _) in enumerate(added)}

        def find(index: int) -> str | None:
            if index in uploads:
                return f"/picture/upload/{visitor.name}/{uploads[index]}.png"
            return own(index)

        names = {index: visitor.uploads[number].name for index, number in uploads.items()}
        return StoredPictures(find, names)

    def draw(self, part: str, place: int, name: str = "") -> bytes:
        """Encode one picture as PNG.

        Raises:
            ValueError: if there is no such image.
        """
        if part == "upload":
            uploads = self.visitors.look(name).uploads
            if place not in uploads:
                raise ValueError("That image is not here any more.")
            return to_png(uploads[place].image)
        if part == "test":
            tests = self.run.need_tests()
            if not 0 <= place < len(tests):
                raise ValueError(f"There is no test image {place}.")
            return to_png(to_uint8(tests.images[place]))
        if part not in ("stored", "beside") or (part == "beside" and self.beside is None):
            raise ValueError("There is no such picture.")
        shown = self.run if self.beside is None or part == "stored" else self.beside
        bank, place = shown.model.bank, min(place, 2**53)  # no image has a number of so many digits
        rows = [] if bank is None else (bank.indices == place).nonzero().flatten().tolist()
        if bank is None or bank.images is None or not rows:
            raise ValueError(f"There is no picture of training image {place}.")
        return to_png(to_uint8(bank.images[rows[0]]))


def address_in(model: Classifier, part: str) -> Address:
    """Return what gives the address of a stored image of one run; None without pixels."""
    pixels = model.bank is not None and model.bank.images is not None
    return lambda index: f"/picture/{part}/{index}.png" if pixels else None


def exemplify(source: str) -> str:
    """Give a pattern of files that a stored file is one of.

    >>> exemplify("train/cat/7.png"), exemplify("7.png")
    ('train/cat/*', '*.png')
    """
    path = PurePosixPath(source)
    return f"*{path.suffix}" if path.parent == PurePosixPath() else f"{path.parent}/*"


def read_upload(model: Classifier, name: str, content: bytes) -> Upload:
    """Read an image file that came as bytes, as a training file is read.

    Raises:
        ValueError: if it is no image of a format that is read.
    """
    shown = Path(name.replace("\\", "/")).name[:120] or "image"
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as opened:
            found = read_images(opened, like=model)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, *DAMAGED) as error:
        raise ValueError(f"{shown} cannot be read as an image; choose another file.") from error
    return Upload(shown, found.images[0], found.notes)


def read_step(given: dict[str, Any]) -> MemoryChange:
    """Read one step from what a page sent.

    Raises:
        ValueError: if it is none.
    """
    kind = text_of(given, "kind")
    known = [one for one in TAKEN if one == kind]
    if not known:
        raise ValueError(f"Unknown change {quote(kind[:40])}.")
    return MemoryChange(
        kind=known[0],
        index=number_of(given, "index"),
        label=text_of(given, "label") or None,
        pattern=text_of(given, "pattern") or None,
        upload=number_of(given, "upload"),
    )


def text_of(given: dict[str, Any], name: str) -> str:
    """Return a text that a page sent, "" where it sent none.

    Raises:
        ValueError: if it is something else, or long.
    """
    found = given.get(name, "")
    if found is None:
        return ""
    if not isinstance(found, str) or len(found) > 1000:
        raise ValueError(f"{name} must be a short text.")
    return found


def number_of(given: dict[str, Any], name: str) -> int | None:
    """Return a whole number that a page sent, None where it sent none.

    Raises:
        ValueError: if it is something else, or large.
    """
    found = given.get(name)
    if found is None:
        return None
    if not isinstance(found, int) or isinstance(found, bool) or abs(found) >= 2**53:
        raise ValueError(f"{name} must be a whole number.")
    return found
