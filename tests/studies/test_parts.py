"""What studies share: parts are kept and known again, the page shows all of the findings."""

import json

import numpy as np
import pytest
import torch

from tests.helpers.study_images import draw_shades
from whence.models.about import read_about
from whence.runs.sample_of_run import choose_sample
from whence.studies.concepts import of_run
from whence.studies.parts.fewer_images import draw_mixed, draw_part
from whence.studies.parts.findings import Findings, StudyFigure
from whence.studies.parts.gini import measure_gini
from whence.studies.parts.kept import KeptParts, list_by_part
from whence.studies.parts.page import render_findings, tabulate_findings
from whence.studies.parts.request import StudyRequest
from whence.studies.parts.subject import find_run, load_subject

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360000002000001e221bc330000000049454e44ae426082"
)


def count_calls(calls, value):
    calls.append(value)
    return {"value": value}


def test_a_part_is_computed_once_and_read_again(tmp_path):
    calls = []
    for _ in range(2):
        kept = KeptParts(tmp_path, "sums", {"seeds": (0, 1)})
        assert kept.do("seed-0", lambda: count_calls(calls, 4)) == {"value": 4}
    assert calls == [4]
    assert [path.name for path in (tmp_path / "sums-parts").iterdir()] == ["seed-0.json"]


def test_a_part_that_was_made_otherwise_or_is_damaged_is_made_again(tmp_path):
    calls = []
    KeptParts(tmp_path, "sums", {"size": 1}).do("a", lambda: count_calls(calls, 1))
    KeptParts(tmp_path, "sums", {"size": 2}).do("a", lambda: count_calls(calls, 2))
    path = tmp_path / "sums-parts" / "a.json"
    for damage in ("{", "[]", json.dumps({"made_with": {}, "found": {"value": 9}})):
        path.write_text(damage)
        found = KeptParts(tmp_path, "sums", {"size": 2}).do("a", lambda: count_calls(calls, 3))
        assert found == {"value": 3}
    assert calls == [1, 2, 3, 3, 3]


def test_without_a_folder_nothing_is_kept():
    calls = []
    for _ in range(2):
        KeptParts(None, "sums", {}).do("a", lambda: count_calls(calls, 1))
    assert calls == [1, 1]


def test_a_part_has_the_name_of_a_file(tmp_path):
    with pytest.raises(ValueError, match=r"name must be letters, digits, '-', '_' and '\.', got"):
        KeptParts(tmp_path, "sums", {}).do("../a", dict)


def test_the_page_shows_claim_verdict_numbers_figures_and_what_it_was_made_with():
    found = Findings(
        ("network", "error"),
        (("small <cnn>", 0.25), ("mlp", None)),
        holds=False,
        verdict="It fails on <both>.",
        made_with={"seeds": [0, 1], "data_fingerprint": "abc", "plan": {"most_steps": 1200}},
        sentences=("Read this.",),
        figures=(StudyFigure("curve", "Error falls.", PNG),),
    )
    page = render_findings("two_words", "A claim.", "Someone 2017", found)
    for text in (
        *("<title>Two words", "A claim. (Someone 2017)", "It was not borne out here in full."),
        *("It fails on &lt;both&gt;.", "Read this.", "small &lt;cnn&gt;", "0.25", "error"),
        *("Error falls.", "data:image/png;base64,iVBORw0KGgo", "data fingerprint", "abc"),
        *("<dd>0, 1</dd>", "most steps 1,200"),
    ):
        assert text in page
    own = render_findings(
        "two_words", "A claim.", "Someone 2017", Findings(("a",), (), None, "So.")
    )
    assert "It was not borne out" not in own
    assert "<p>After Someone 2017.</p>" in own


@pytest.mark.parametrize(
    ("rows", "names", "header"),
    [
        ((("a", "x", "p", 1), ("b", "x", "p", 2)), ["a", "b"], ("two", "three", "four")),
        ((("a", "x", "p", 1), ("a", None, "p", 2)), ["a, x", "a"], ("three", "four")),
        ((("a", "x", "p", 1), ("a", "x", "p", 2)), ["a, x, p", "a, x, p"], ("four",)),
        ((("a", "x", "p", "s"), ("a", "x", "p", "t")), ["a, x, p", "a, x, p"], ("four",)),
        ((("a", 1, "p", 1), ("a", 2, "p", 2)), ["a", "a"], ("two", "three", "four")),
    ],
)
def test_rows_are_named_by_as_many_columns_of_text_as_tell_them_apart(rows, names, header):
    table = tabulate_findings(Findings(("one", "two", "three", "four"), rows, True, "Found."))
    assert [row.name for row in table.rows] == names
    assert table.header == header
    assert [len(row.cells) for row in table.rows] == [len(header)] * 2
    said = {2: "Rows: one, two.", 1: "Rows: one, two, three."}
    assert table.caption == said.get(len(header), "")


def test_images_of_a_study_are_its_own_unless_others_are_named():
    own = load_subject(StudyRequest(), "digits")
    assert own.train.images.shape[1:] == (1, 8, 8)
    assert load_subject(StudyRequest(subject="digits"), "mnist", size=16).test.images.shape[2] == 16
    with pytest.raises(ValueError, match="Unknown dataset 'nothing'"):
        load_subject(StudyRequest(subject="nothing"))


def test_a_run_and_images_are_told_apart(tmp_path):
    with pytest.raises(ValueError, match=r"must be the folder of a finished run; make one with"):
        find_run(StudyRequest(subject=str(tmp_path)))
    with pytest.raises(ValueError, match=r"^RUN must be the folder of a finished run"):
        find_run(StudyRequest())
    (tmp_path / "whence.json").write_text("{}")
    assert find_run(StudyRequest(subject=str(tmp_path))) == tmp_path
    with pytest.raises(ValueError, match="is a run, and this study asks about images"):
        load_subject(StudyRequest(subject=str(tmp_path)))


def test_images_are_drawn_by_class_also_where_hardly_any_is_left():
    images = draw_shades().train.take(torch.arange(60).argsort(stable=True))
    generator = torch.Generator().manual_seed(0)
    assert draw_part(images, 59, generator).labels.bincount().tolist() in ([30, 29], [29, 30])
    assert draw_part(images, 60, generator) is images
    assert draw_part(images, None, generator) is images
    mixed = draw_mixed(images.take(images.labels.argsort(stable=True)), 100, generator)
    assert mixed.labels.bincount().tolist() == [30, 30]
    assert 0 < int(mixed.labels[:20].sum()) < 20


def test_a_run_with_hardly_more_images_than_are_asked_is_asked(monkeypatch, standard_run, tmp_path):
    total = len(choose_sample(standard_run, read_about(standard_run), None).sample.images)
    monkeypatch.setattr(of_run, "MOST_OF_RUN", total - 1)
    monkeypatch.setattr(of_run, "read_concept", lambda *_: torch.zeros(10, 1, 8, 8).byte())
    monkeypatch.setattr(KeptParts, "do", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        of_run.look_for_concepts(StudyRequest(subject=str(standard_run), concepts=(tmp_path,)))


@pytest.mark.parametrize("values", [[3.0, 1.0, 2.0], [0.0, 0.0, 5.0, 1.0], [1.0, -4.0, 2.0]])
def test_gini_is_the_mean_difference_of_all_pairs(values):
    kept = [max(0.0, value) for value in values]
    pairs = np.mean([abs(one - other) for one in kept for other in kept])
    assert measure_gini(torch.tensor(values)) == pytest.approx(pairs / (2 * np.mean(kept)))
    assert measure_gini(torch.zeros(3)) == 0


def test_every_part_is_done_with_every_seed(tmp_path):
    calls = []
    for _ in range(2):
        kept = KeptParts(tmp_path, "sums", {"seeds": "0 to 1"})
        parts = {"one word": lambda seed: count_calls(calls, seed), "b": lambda seed: {"value": 9}}
        found = kept.do_each(parts, range(2))
    assert found == [{"one word": {"value": seed}, "b": {"value": 9}} for seed in range(2)]
    assert calls == [0, 1]
    more = KeptParts(tmp_path, "sums", {"seeds": "0 to 2"}).do_each(parts, range(3))
    assert list_by_part(more)["one word"] == [{"value": seed} for seed in range(3)]
    assert calls == [0, 1, 2]
    assert (tmp_path / "sums-parts" / "one-word-2.json").exists()
