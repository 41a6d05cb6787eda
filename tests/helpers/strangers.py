"""What a stranger adds to the package: one file and one line of a table for each task."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Addition:
    """A new part of the package.

    Attributes:
        file: below the package, with its text.
        text: of the file.
        table: the file that holds the table.
        after: the text that the new line follows.
        line: of the table.
        import_after: the line that the import of the part follows, where the table needs one.
        proof: Python that uses the part by its public ways alone, and fails if it does not work.
    """

    file: str
    text: str
    table: str
    after: str
    line: str
    proof: str
    import_after: tuple[str, str] | None = None


ADDITIONS = {
    "head": Addition(
        file="memory/sum_head.py",
        text='''
"""A head that classifies the sum of features and memory vector."""

from torch import Tensor

from whence.memory.feature_heads import FeatureHead, classify


class SumHead(FeatureHead):
    """Classify the query's features plus the memory vector."""

    variant, title = "sum", "Sum"
    vectors, memory_alone = 1, False

    def respond(self, queries: Tensor, vectors: Tensor) -> Tensor:
        """Classify queries `(B, D)` with their memory vectors `(B, D)`; logits `(B, K)`."""
        return classify(self.classifier, queries + vectors)
''',
        table="memory/__init__.py",
        after='"memory-wrap": "whence.memory.feature_heads:MemoryWrap",\n',
        line='        "sum": "whence.memory.sum_head:SumHead",\n',
        proof="""
model = whence.wrap("small_cnn", 3, variant="sum", image_shape=(1, 8, 8)).eval()
model.remember(images[:9], labels[:9])
whence.save(model, "sum")
again = whence.load("sum")
assert (again.variant, again.has_memory, again.features) == ("sum", True, 128)
assert torch.equal(again(images), model(images))
assert [len(p.evidence) > 0 for p in whence.predict(again, images[:2])] == [True, True]
assert main(["train", "digits", "--variant", "sum", "--train-examples", "20",
             "--epochs", "1", "--out", "sum-run"]) == 0
assert json.loads(Path("sum-run/whence.json").read_text())["variant"] == "sum"
""",
    ),
    "similarity": Addition(
        file="memory/manhattan.py",
        text='''
"""Minus the sum of absolute differences."""

import torch
from torch import Tensor

from whence.memory.similarity import Similarity


def manhattan(queries: Tensor, memory: Tensor) -> Tensor:
    """Compute `(..., B, M)` negated Manhattan distances; at most 0."""
    return -torch.cdist(queries, memory, p=1)


MANHATTAN = Similarity(manhattan)
''',
        table="memory/__init__.py",
        after='"cosine": "whence.memory.similarities:COSINE",\n',
        line='        "manhattan": "whence.memory.manhattan:MANHATTAN",\n',
        proof="""
generator = torch.Generator().manual_seed(0)
for stored in (100, 3000):
    queries = torch.randn(4, 5, generator=generator)
    memory = torch.randn(stored, 5, generator=generator, requires_grad=True)
    weights = whence.sparsemax(-torch.cdist(queries, memory, p=1))
    found = whence.attend(queries, memory, similarity="manhattan")
    torch.testing.assert_close(found.vectors, weights @ memory)
    wanted = torch.autograd.grad((weights @ memory).square().sum(), memory)
    torch.testing.assert_close(
        torch.autograd.grad(found.vectors.square().sum(), memory), wanted
    )
model = whence.wrap("small_cnn", 3, image_shape=(1, 8, 8), similarity="manhattan").eval()
model.remember(images[:9], labels[:9])
assert whence.predict(model, images[:1])[0].evidence[0].similarity < 0
""",
    ),
    "selection": Addition(
        file="selections/oldest.py",
        text='''
"""The stored images that were stored first."""

import torch
from torch import Tensor

from whence.selections.selection import SelectionMethod, StoredCandidates, lead_with_each_class


def take_oldest(candidates: StoredCandidates, size: int) -> Tensor:
    """Take the first `(size,)` places."""
    return lead_with_each_class(torch.arange(len(candidates.labels)), candidates)[:size]


OLDEST = SelectionMethod(take_oldest, asks=False, sentence="those that were stored first")
''',
        table="selections/__init__.py",
        after='"balanced": "whence.selections.balanced:BALANCED",\n',
        line='        "oldest": "whence.selections.oldest:OLDEST",\n',
        proof="""
model = whence.wrap("small_cnn", 3, image_shape=(1, 8, 8)).eval()
model.remember(images, labels)
smaller = whence.design_memory(model, 4, by="oldest")
assert smaller.bank.indices.tolist() == [0, 1, 2, 3]
""",
    ),
    "metric": Addition(
        file="metrics/margin.py",
        text='''
"""How close the second class is to the first."""

from torch import Tensor

from whence.memory.heads import Read


def margin(read: Read, own: Tensor) -> Tensor:
    """Return 1 minus the distance of the two highest probabilities; in [0, 1]."""
    first, second = read.logits.double().softmax(1).topk(2, dim=1).values.unbind(1)
    return 1 - first + second
''',
        table="metrics/__init__.py",
        after='"softmax": "whence.metrics.doubt:softmax",\n',
        line='        "margin": "whence.metrics.margin:margin",\n',
        proof="""
model = whence.wrap("small_cnn", 3, image_shape=(1, 8, 8)).eval()
model.remember(images[:9], labels[:9])
found = whence.evaluate(model, whence.ImageSet(images, labels, ("0", "1", "2")), memory_size=5)
assert "margin" in found.signals
""",
    ),
    "dataset": Addition(
        file="data/stripes.py",
        text='''
"""Horizontal and vertical stripes."""

from pathlib import Path

import torch

from whence.records.images import Dataset, ImageSet


def stripes(root: Path, *, download: bool = True) -> Dataset:
    """Draw 40 training and 20 test images `(1, 8, 8)`, half of them of each kind."""
    row = torch.arange(8).remainder(2).mul(255).to(torch.uint8).expand(8, 8)
    noise = torch.Generator().manual_seed(0)

    def draw(count: int) -> ImageSet:
        labels = torch.arange(count).remainder(2)
        images = torch.stack([row if label else row.T for label in labels])[:, None]
        grains = torch.randint(0, 9, images.shape, generator=noise, dtype=torch.uint8)
        return ImageSet(images // 2 + grains, labels, ("across", "along"))

    return Dataset("stripes", draw(40), draw(20))
''',
        table="data/__init__.py",
        after='"digits": "whence.data.digits:digits",\n',
        line='        "stripes": "whence.data.stripes:stripes",\n',
        proof="""
assert main(["train", "stripes", "--epochs", "2", "--out", "stripes-run"]) == 0
assert json.loads(Path("stripes-run/metrics.json").read_text())["test"]["images"] == 20
assert len(whence.load_dataset("stripes").train) == 40
""",
    ),
    "encoder": Addition(
        file="encoders/tiny.py",
        text='''
"""One convolution."""

from torch import nn


def tiny(channels: int = 3, image_size: int | tuple[int, int] = 32) -> nn.Module:
    """Build one convolution and a global average pool; maps `(B, C, H, W)` to `(B, 4)`."""
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
''',
        table="encoders/__init__.py",
        after='"small_cnn": "whence.encoders.small_cnn:small_cnn",\n',
        line='        "tiny": "whence.encoders.tiny:tiny",\n',
        proof="""
assert whence.wrap("tiny", 3, image_shape=(1, 8, 8)).features == 4
assert main(["train", "digits", "--encoder", "tiny", "--train-examples", "20",
             "--epochs", "1", "--out", "tiny-run"]) == 0
assert whence.load("tiny-run").features == 4
""",
    ),
    "study": Addition(
        file="studies/sums.py",
        text='''
"""Two and two."""

from whence.studies.parts.findings import Findings
from whence.studies.parts.request import StudyRequest


def sums(request: StudyRequest) -> Findings:
    """Add two and two, beside what was published."""
    return Findings(("whence", "published"), ((2 + 2, 4),), True, "They are equal.")
''',
        table="studies/__init__.py",
        after="""            "La Rosa et al. 2021, arXiv:2106.01440, table 11",
        ),
""",
        line='        "sums": Study("whence.studies.sums:sums", "Two and two are four.", "Euclid"),\n',
        proof="""
assert main(["study", "sums", "--out", "sums"]) == 0
assert json.loads(Path("sums/sums.json").read_text())["rows"] == [{"whence": 4, "published": 4}]
""",
    ),
    "attribution method": Addition(
        file="attribution/methods/even.py",
        text='''
"""Every pixel the same."""

import torch
from torch import Tensor

from whence.attribution.found import FoundRelevance
from whence.attribution.method import Method
from whence.attribution.score import Score


def even(score: Score, images: Tensor, *, amount: float = 1.0) -> FoundRelevance:
    """Give every pixel the same amount: a control that no method should lose to."""
    return FoundRelevance(torch.full_like(images, amount), None, "Every pixel counts the same.")


EVEN = Method("even", even, adds_up=False)
''',
        table="attribution/__init__.py",
        after='"gradient": f"{FILES}.gradient:GRADIENT",\n',
        line='        "even": f"{FILES}.even:EVEN",\n',
        proof="""
model = whence.wrap("small_cnn", 3, image_shape=(1, 8, 8)).eval()
model.remember(images[:9], labels[:9])
found = whence.attribute(model, images[:2], method="even", amount=2.0)
assert found.method == "even"
assert torch.equal(found.images, torch.full((2, 1, 8, 8), 2.0))
""",
    ),
    "block of a page": Addition(
        file="report/greeting.py",
        text='''
"""A greeting."""

from collections.abc import Sequence

from whence.records.explained import Answer
from whence.report.blocks import PageBlock


def show_greeting(answer: Answer, classes: Sequence[str]) -> tuple[PageBlock, ...]:
    """Greet whoever reads the page."""
    return (PageBlock("Welcome", ("Good day to you.",)),)
''',
        table="report/answer_blocks.py",
        after="    show_answer,\n",
        line="    show_greeting,\n",
        import_after=(
            "from whence.report.reading import say_reading\n",
            "from whence.report.greeting import show_greeting\n",
        ),
        proof="""
assert main(["train", "digits", "--train-examples", "20", "--epochs", "1", "--out", "run"]) == 0
assert main(["explain", "run", "--test", "0", "--out", "page.html"]) == 0
assert "Good day to you." in Path("page.html").read_text()
""",
    ),
}
"""The tasks that ``docs/architecture.md`` counts."""
