"""The card of a shared model: what it is, what it holds, how good it is, what it answers from."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from whence.records.labels import list_names

EVIDENCE_PICTURE = "evidence.png"

HOLDS_PIXELS = (
    "**This repository holds training images.** Its memory keeps the pixels of {stored:,} of them, "
    "their labels and the names of their files, in `bank.safetensors`: whoever can read it can see "
    "them. Share it only if you may share the images."
)
HOLDS_FEATURES = (
    "**This repository holds numbers computed from training images.** Its memory keeps the "
    "features of {stored:,} of them, their labels and the names of their files, not their pixels; "
    "features can still tell whether an image was among them. Share it only if you may."
)
HOLDS_NONE = "It has no memory and holds no training images."


@dataclass(frozen=True)
class CardFacts:
    """What a card says.

    Attributes:
        name: of the repository, or of the folder.
        classes: their names.
        kind: of the head, for people.
        variant: its name.
        encoder: its name.
        image_shape: (C, H, W).
        stored: images in the memory; 0 without one.
        pixels: whether their pixels are there.
        files: SHA-256 of each file, by name.
        measures: what was measured, by what it is called.
        calibrated: whether answers carry a probability of error.
        own_encoder: the encoder is the author's own module, and must be passed to load.
        pictured: whether there is a picture of evidence.
    """

    name: str
    classes: tuple[str, ...]
    kind: str
    variant: str
    encoder: str
    image_shape: tuple[int, int, int]
    stored: int
    pixels: bool
    files: Mapping[str, str]
    measures: Mapping[str, str] = field(default_factory=dict)
    calibrated: bool = False
    own_encoder: bool = False
    pictured: bool = False


def write_card(facts: CardFacts) -> str:
    """Write a model card in Markdown, with the front matter that the Hub reads."""
    channels, height, width = facts.image_shape
    argument = ", encoder=my_encoder" if facts.own_encoder else ""
    address = f"hf://{facts.name}" if "/" in facts.name else facts.name
    parts = [
        "---",
        "library_name: whence",
        "pipeline_tag: image-classification",
        "tags:",
        "- whence",
        "- memory-wrap",
        "- explainable",
        "---",
        "",
        f"# {escape_markdown(facts.name)}",
        "",
        f"An image classifier that shows the training images every answer was computed from: "
        f"{facts.kind} on `{facts.encoder}`, images of {height} x {width} pixels with {channels} "
        f"channel{'s' if channels > 1 else ''}, {len(facts.classes)} classes "
        f"({escape_markdown(list_names(facts.classes))}).",
        "",
        f"> {warn(facts)}",
        "",
        "## Use",
        "",
        "```python",
        "import whence  # pip install 'whence[hub]'",
        "",
        f'model = whence.load("{address}"{argument})',
        'for answer in whence.predict(model, ["photo.jpg"]):',
        "    print(model.class_names[answer.predicted], answer.error_probability)",
        "    for item in answer.evidence[:3]:",
        "        print(item.weight, item.source)",
        "```",
        "",
        "Loading executes nothing: tensors are safetensors, the rest is JSON, and both are checked "
        "against the hashes below. No file is a pickle.",
        "",
        *show_evidence_picture(facts),
        *list_measures(facts),
        "## Files",
        "",
        "| file | SHA-256 |",
        "| --- | --- |",
        *(f"| `{name}` | `{digest}` |" for name, digest in facts.files.items()),
        "",
    ]
    return "\n".join(parts)


def warn(facts: CardFacts) -> str:
    """Say what of training images the repository holds."""
    if not facts.stored:
        return HOLDS_NONE
    return (HOLDS_PIXELS if facts.pixels else HOLDS_FEATURES).format(stored=facts.stored)


def show_evidence_picture(facts: CardFacts) -> list[str]:
    """Show what some answers were computed from, where there is a picture."""
    if not facts.pictured:
        return []
    return [
        "## Evidence",
        "",
        "Stored images, each answered without itself, and the stored images of highest weight:",
        "",
        f"![stored images, their answers and evidence]({EVIDENCE_PICTURE})",
        "",
    ]


def list_measures(facts: CardFacts) -> list[str]:
    """List what was measured, and whether answers carry their doubt."""
    doubt = (
        "Answers carry a calibrated probability that they are wrong."
        if facts.calibrated
        else "Answers are not calibrated: they carry no probability of an error."
    )
    measures = facts.measures.items()
    rows = [f"| {escape_markdown(key)} | {escape_markdown(one)} |" for key, one in measures]
    table = ["| measure | value |", "| --- | --- |", *rows, ""] if rows else []
    said = [] if rows else ["Nothing was measured when it was shared.", ""]
    return ["## Measures", "", *table, *said, doubt, ""]


def escape_markdown(text: str) -> str:
    r"""Write characters that Markdown or HTML would obey as what they are.

    >>> escape_markdown("a|b<c>")
    'a\\|b&lt;c&gt;'
    """
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for letter in "\\`*[]|":
        plain = plain.replace(letter, f"\\{letter}")
    return plain
