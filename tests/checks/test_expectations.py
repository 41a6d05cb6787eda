"""Files of expectations: what is wrong with one is said in one sentence."""

import pytest

from whence.checks.expectations import read_expectations

WRONG = [
    ("x = 1", "must hold [[check]] tables, got 'x'"),
    ("check = 3", "must hold [[check]] tables"),
    ("", "must hold 1 to 10,000 [[check]] tables, got 0"),
    ("[[check", "must be TOML, it is damaged"),
    ("[[check]]\nclass = 'a'", "check 1 must name what it asserts"),
    ("[[check]]\nassert = 'acuracy'", "Unknown assertion 'acuracy'. Choose from: answer, top_"),
    ("[[check]]\nassert = 'accuracy'", "accuracy needs at_least."),
    ("[[check]]\nassert = 'accuracy'\nat_least = 2", "at_least must be a number in 0 to 1, got 2"),
    ("[[check]]\nassert = 'accuracy'\nat_least = true", "at_least must be a number in 0 to 1, got"),
    ("[[check]]\nassert = 'accuracy'\nat_least = nan", "at_least must be a number in 0 to 1, got"),
    (
        "[[check]]\nassert = 'accuracy'\nat_least = 1\natleast = 1",
        "accuracy has no key 'atleast'. Cho",
    ),
    (
        "[[check]]\nassert = 'accuracy'\nat_least = 1\nof_images = 1",
        "accuracy has no key 'of_images'",
    ),
    (
        "[[check]]\nassert = 'accuracy'\nat_least = 1\nimage = 'x'",
        "accuracy needs labelled images;",
    ),
    ("[[check]]\nassert = 'answer'\nclass = ''", "class must be text, got ''"),
    ("[[check]]\nassert = 'answer'\nclass = 'a'\nimage = 3", "image must be text, got 3"),
    ("[[check]]\nassert = 'answer'\nclass = 'a'\nimage = []", "image must name at least one"),
    (
        "[[check]]\nassert = 'answer'\nclass = 'a'\ntest = -1",
        "test must be whole numbers from 0 on",
    ),
    ("[[check]]\nassert = 'answer'\nclass = 'a'\ntest = true", "test must be whole numbers from 0"),
    (
        "[[check]]\nassert = 'answer'\nclass = 'a'\ntest = 1\ndata = 'x'",
        "one of image, test, data, got te",
    ),
    ("[[check]]\nassert = 'no_evidence_from'", "needs stored (a class, file or pattern"),
    (
        "[[check]]\nassert = 'no_evidence_from'\nstored = 'a'\ngroup = 'b'",
        "needs stored (a class, fi",
    ),
]


@pytest.mark.parametrize(("text", "sentence"), WRONG)
def test_a_wrong_file_is_refused(tmp_path, text, sentence):
    path = tmp_path / "checks.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"checks\.toml") as caught:
        read_expectations(path)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_place_of_a_mistake_is_named(tmp_path):
    path = tmp_path / "checks.toml"
    path.write_text(
        "[[check]]\nassert = 'accuracy'\nat_least = 1\n" * 2 + "[[check]]\nassert = 'x'"
    )
    with pytest.raises(ValueError, match="check 3: Unknown assertion"):
        read_expectations(path)


def test_paths_begin_at_the_file(tmp_path):
    (tmp_path / "checks.toml").write_text("[[check]]\nassert='doubt'\nat_most=1\nimage=['a','b']")
    found = read_expectations(tmp_path / "checks.toml")
    assert found.folder == tmp_path
    assert found.items[0].image == ("a", "b")
    assert (found.items[0].test, found.items[0].data, found.items[0].of_images) == ((), None, 1.0)
