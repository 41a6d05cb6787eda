"""The names of the package agree wherever they are listed, and its functions are called alike."""

import ast
import inspect
import pkgutil
from dataclasses import is_dataclass
from pathlib import Path

import pytest
import torch

import whence
from whence.bounds import BATCH_SIZE

ROOT = Path(whence.__file__).parent
FUNCTIONS = [name for name in whence.__all__ if inspect.isfunction(getattr(whence, name))]


def typed_names():
    """The names that type checkers see, each with the module that it comes from."""
    for node in ast.parse((ROOT / "__init__.py").read_text()).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            return {alias.name: found.module for found in node.body for alias in found.names}
    raise AssertionError("no TYPE_CHECKING block")


def test_every_list_of_public_names_agrees():
    typed = {name: module for name, module in typed_names().items() if module != "whence"}
    assert typed == whence.PLACES
    assert sorted(whence.__all__) == sorted([*whence.PLACES, *whence.MODULES])
    assert dir(whence) == sorted(whence.__all__)
    for name in whence.__all__:
        assert getattr(whence, name) is not None
    with pytest.raises(AttributeError, match="module 'whence' has no attribute 'predictions'"):
        _ = whence.predictions


def test_no_public_function_has_the_name_of_a_package_or_file():
    inside = {module.name for module in pkgutil.iter_modules([str(ROOT)])}
    assert set(FUNCTIONS).isdisjoint(inside)


def test_saving_and_loading_are_symmetric():
    for saving, loading in (("save", "load"), ("save_vae", "load_vae")):
        assert {saving, loading} <= set(whence.__all__)
    assert not hasattr(whence.Classifier, "save")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_options_are_given_by_name(name):
    """What has a default is an option, but for what says which model or data set is meant."""
    own = {"attend": {"mask"}}
    own |= {"attribute": {"method", "target"}, "fit_vae": {"validation"}, "sparsemax": {"dim"}}
    for option in inspect.signature(getattr(whence, name)).parameters.values():
        if option.default is not option.empty and option.name not in own.get(name, set()):
            assert option.kind is option.KEYWORD_ONLY, option.name


def test_as_many_images_at_once_everywhere():
    """What a training step takes is another number, and stands in records of plans and recipes."""
    found = set()
    for path in sorted(ROOT.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                arguments = [*node.args.args, *node.args.kwonlyargs]
                defaults = [*node.args.defaults, *node.args.kw_defaults]
                given = zip(arguments[::-1], defaults[::-1], strict=False)
                found |= {ast.unparse(d) for a, d in given if a.arg == "batch_size" and d}
    assert found == {"BATCH_SIZE"}
    assert inspect.signature(whence.predict).parameters["batch_size"].default == BATCH_SIZE


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_says_what_it_does(name):
    text = inspect.getdoc(getattr(whence, name))
    assert text.splitlines()[0].endswith(".")


SET = whence.ImageSet(torch.zeros(3, 1, 8, 8, dtype=torch.uint8), [0, 1, 1], ("a", "<b>"))


def make():
    torch.manual_seed(0)
    return whence.wrap("small_cnn", SET.class_names, image_shape=(1, 8, 8)).eval()


def test_a_model_is_shown_in_one_line():
    model = make()
    start = "Classifier(small_cnn, memory-wrap, 2 classes (a, <b>), images (1, 8, 8)"
    assert repr(model) == f"{start}, no memory yet)"
    assert repr(model.remember(SET)) == f"{start}, 3 stored images)"
    standard = whence.wrap("small_cnn", 12, variant="standard", image_shape=(1, 8, 8))
    assert "standard, 12 classes (0, 1, 2, 3, 4, ...), images (1, 8, 8))" in repr(standard)


def records():
    model = make().remember(torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    digits = whence.load_dataset("digits")
    images = digits.test.images[:2]
    return [
        SET,
        digits,
        model.bank,
        whence.predict(model, images)[0],
        whence.explain(model, images, draws=2, memory_size=3)[0],
        whence.explain(model, images, draws=2, memory_size=3)[0].draws,
        whence.attribute(model, images, steps=2),
        whence.why_similar(model, images, steps=2),
    ]


@pytest.mark.parametrize("record", records(), ids=lambda record: type(record).__name__)
def test_records_are_shown_in_one_line_and_compared_by_identity(record):
    assert is_dataclass(record)
    text = repr(record)
    assert text.startswith(f"{type(record).__name__}(")
    assert "\n" not in text
    assert "tensor(" not in text
    assert len(text) < 1500
    assert record == record
    assert hash(record) == hash(record)


def test_a_notebook_shows_an_answer_and_its_evidence():
    source = ["<script>.png", "b.png", "c.png"]
    images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    model = make().remember(images, [0, 1, 1], sources=source)
    nearly = (images[:1] * 0.98).clamp(0, 1)
    for answer in (whence.predict(model, nearly)[0], whence.explain(model, nearly, draws=0)[0]):
        text = answer._repr_html_()
        assert text.count("<span>similarity ") == len(answer.evidence)
        assert f"{answer.evidence[0].weight:.1%}" in text
        assert "<script>" not in text
        assert "&lt;script&gt;.png" in text


def test_fit_needs_no_recipe_and_no_plan():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (8, 1, 8, 8), generator=generator, dtype=torch.uint8)
    data = (images, [0, 1] * 4)

    def make_small():
        torch.manual_seed(0)
        encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 6))
        return whence.wrap(encoder, 2, image_shape=(1, 8, 8), drop_classifier=False)

    class EnoughError(Exception):
        pass

    def stop(report):
        if report.epoch == 3:
            raise EnoughError

    alone, told = make_small(), make_small()
    plan = whence.Plan(epochs=2000, memory_size=8)  # a step each
    with pytest.raises(EnoughError):
        whence.fit(alone, data, on_epoch=stop)
    with pytest.raises(EnoughError):
        whence.fit(told, data, recipe="default", plan=plan, on_epoch=stop)
    for one, other in zip(alone.parameters(), told.parameters(), strict=True):
        assert torch.equal(one, other)
