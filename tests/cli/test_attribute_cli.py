"""``whence attribute`` as a user meets it, on a small real run."""

import json

import pytest
import torch

import whence
from whence.attribution import METHODS
from whence.cli import main
from whence.cli.work.method_options import read_method_options, read_target_text
from whence.runs.load_parts import load_parts


@pytest.fixture
def call_attribute(digits_run, place, capsys):
    """Run ``whence attribute`` on the run; returns code, standard output and standard error."""

    def calls(*words):
        capsys.readouterr()
        code = main(["attribute", str(digits_run), *map(str, words)])
        return code, *capsys.readouterr()

    return calls


def test_the_json_is_what_attribute_gives(call_attribute, digits_run):
    words = ("--test", 5, 4, "--method", "integrated_gradients", "gradient", "--option", "steps=3")
    code, output, _ = call_attribute(*words, "--target", "3:8", "--json", "--with-pixels")
    assert code == 0
    model = whence.load(digits_run)
    images = load_parts(digits_run).test.images[[4]]
    for found, (name, options) in zip(
        json.loads(output)["images"][1]["attributions"],
        {"integrated_gradients": {"steps": 3}, "gradient": {}}.items(),
        strict=True,
    ):
        wanted = whence.attribute(model, images, name, ("3", "8"), **options)
        assert found["target"] == "logit of 3 minus logit of 8"
        torch.testing.assert_close(torch.tensor(found["image"]), wanted.images[0])
        assert found["score"] == pytest.approx(float(wanted.score[0]))


def test_a_page_and_a_figure_of_files(call_attribute, place):
    code, output, errors = call_attribute('say "five" & <6>.png', "more", "--method", "gradient")
    assert code == 0
    assert output.count("gradient: no shares of the score") == 2
    page = (place / "digits-attribution.html").read_text()
    assert "large.png has 24 x 16 pixels" in page
    assert "large.png has 24 x 16 pixels" in errors
    assert call_attribute("more", "--method", "random", "--format", "png")[0] == 0
    assert (place / "digits-attribution.png").read_bytes().startswith(b"\x89PNG")


def test_all_leaves_out_what_does_not_apply_and_says_why(call_attribute, place, monkeypatch):
    few = ["gradient", "path_integrated_gradients", "random"]
    monkeypatch.setattr("whence.cli.attribute.METHODS", dict.fromkeys(few))
    code, _, errors = call_attribute("more", "--method", "all", "--out", "all.html")
    assert code == 0
    reason = "path_integrated_gradients needs the option path, which was not given."
    assert f"path_integrated_gradients is left out: {reason}" in errors
    page = (place / "all.html").read_text()
    assert reason in page
    assert page.count('class="block plain" id="method-') == 2


def test_what_draws_follows_the_seed(call_attribute):
    def pixels(seed):
        words = ("--test", 0, "--method", "random", "--json", "--with-pixels", "--seed", seed)
        return json.loads(call_attribute(*words)[1])["images"][0]["attributions"][0]["image"]

    assert pixels(1) == pixels(1) != pixels(2)


@pytest.mark.parametrize(
    "words, message",
    [
        (["more", "--method", "lrq"], "Unknown attribution method 'lrq'. Choose from: integrated"),
        (
            ["more", "--method", "all", "random"],
            "method must be all, or names of methods, it is bo",
        ),
        (
            ["more", "--method", "random", "--option", "steps=2"],
            "Unknown option 'steps' of random.",
        ),
        (
            ["more", "--method", "random", "gradient", "--option", "steps=2"],
            "No method asked for has an option 'steps'. They have none.",
        ),
        (["more", "--option", "steps"], "option must be NAME=VALUE, got 'steps'."),
        (["more", "--option", "random.x=1"], "option must be of a method that is asked for, got"),
        (["more", "--option", "steps=1", "--option", "steps=2"], "must be given once."),
        (["more", "--option", "steps=0"], "steps must be at least 1, got 0."),
        (["more", "--target", "10"], "target must be in 0 to 9, got 10."),
        (["more", "--target", "cow"], "Unknown target 'cow'. Choose from: 0, 1, 2"),
        (
            ["more", "--method", "gradient", "path_integrated_gradients"],
            "path_integrated_gradients needs the option path, which was not given.",
        ),
        (["more", "--score", "votes"], "Unknown score 'votes'. Choose from: logit, similarity."),
        (["more", "--target", "1:cow"], "Unknown target 'cow'."),
        (["more", "--method", "path_integrated_gradients"], "needs the option path, which was not"),
        (["more", "--with-pixels"], "with-pixels is for --format json; leave it out."),
        (["more", "--top", "0"], "top must be at least 1, got 0."),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_what_does_not_fit_is_one_sentence(call_attribute, place, words, message):
    code, output, errors = call_attribute(*words)
    assert (code, output) == (2, "")
    assert message in errors.splitlines()[-1]
    assert not list(place.glob("*.html"))


def test_options_go_to_the_methods_that_have_them():
    names = ["integrated_gradients", "random"]
    pairs = ["steps=4", "integrated_gradients.baseline=black"]
    found = read_method_options(names, pairs, {}, 3)
    assert found["integrated_gradients"] == {"steps": 4, "baseline": "black"}
    assert list(found["random"]) == ["generator"]
    assert set(names) <= set(METHODS)


@pytest.mark.parametrize(
    "text, target",
    [
        (None, None),
        ("dog", "dog"),
        ("1", 1),
        ("7", "7"),  # a name comes first
        ("dog:cat", ("dog", "cat")),
        (":dog", (None, "dog")),
        ("dog:", ("dog", None)),
        ("a:b", "a:b"),
        ("a:b:dog", ("a:b", "dog")),
    ],
)
def test_targets_are_read_from_text(text, target):
    assert read_target_text(text, ["cat", "dog", "7", "a:b"]) == target
