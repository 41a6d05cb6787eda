"""A new attribution method is one file, one line of the table and one oracle; nothing else."""

import sys
import textwrap

import pytest
import torch

import whence
from tests.attribution.test_methods import ORACLES
from tests.helpers.attributing import as_pixels, make
from tests.helpers.method_checks import check_exact, check_ledger, check_no_trace, models
from whence.attribution import METHODS, method
from whence.cli import explain, main
from whence.table import Table

FILE = '''
    """Gradient times input."""

    import torch

    from whence.attribution.found import FoundRelevance
    from whence.attribution.method import Method
    from whence.attribution.score import batches, find_slopes


    def gradient_times_input(score, images, *, factor=1.0):
        slopes = [factor * some * find_slopes(part, some)[0] for part, some in batches(score, images)]
        return FoundRelevance(torch.cat(slopes), None, "A pixel's number is its value times the slope there.")


    GRADIENT_TIMES_INPUT = Method("gradient_times_input", gradient_times_input, adds_up=False)
'''
LINE = {"gradient_times_input": "gradient_times_input:GRADIENT_TIMES_INPUT"}


def oracle(formula, images):
    return images * formula.slope(images)


@pytest.fixture
def name(tmp_path, monkeypatch):
    """Put the file on the path and the line into the table, where Python and command read it."""
    (tmp_path / "gradient_times_input.py").write_text(textwrap.dedent(FILE))
    monkeypatch.syspath_prepend(tmp_path)
    places = {one: f"{METHODS[one].compute.__module__}:{one.upper()}" for one in METHODS}
    table = Table("attribution method", places | LINE)
    monkeypatch.setattr(method, "METHODS", table)
    monkeypatch.setattr(explain, "METHODS", table)
    yield "gradient_times_input"
    sys.modules.pop("gradient_times_input", None)


def test_it_passes_what_every_method_owes(name, images):
    found = method.find_method(name)
    assert name not in ORACLES
    check_exact(found, oracle)
    for model in models().values():
        check_ledger(name, found, model, as_pixels(images))
        for broken in (False, True):
            check_no_trace(name, found, model, as_pixels(images), broken=broken)


def test_its_options_are_checked(name, images):
    model = make("standard")
    twice = whence.attribute(model, images, name, factor=2.0)
    assert torch.equal(twice.images, 2 * whence.attribute(model, images, name).images)
    assert twice.options == {"factor": 2.0}
    message = "Unknown option 'steps' of gradient_times_input. Choose from: factor."
    with pytest.raises(ValueError, match=message):
        whence.attribute(model, images, name, steps=3)


def test_the_page_takes_it(name, tmp_path, capsys):
    run = tmp_path / "run"
    model = whence.wrap("small_cnn", ["cat", "dog"], image_shape=(1, 8, 8)).eval()
    generator = torch.Generator().manual_seed(0)
    stored = torch.randint(0, 256, (6, 1, 8, 8), generator=generator, dtype=torch.uint8)
    whence.save(model.remember(stored), run)
    image, page = tmp_path / "one.png", tmp_path / "page.html"
    from PIL import Image

    Image.fromarray(255 - stored[0, 0].numpy()).save(image)
    words = ["explain", str(run), str(image), "--method", name, "--out", str(page)]
    assert main(words) == 0, capsys.readouterr().err
    assert "A pixel&#39;s number is its value times the slope there." in page.read_text()
    with pytest.raises(SystemExit, match="0"):
        main(["explain", "--help"])
    assert name in capsys.readouterr().out
