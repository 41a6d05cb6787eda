"""Answers and evaluations as frames, and as they are shown in notebooks."""

import builtins
import pickle
import re
from dataclasses import replace
from html import escape

import pandas as pd
import pytest
import torch

import whence
from whence.gather.viewed import view
from whence.records.answer_tuple import AnswerTuple
from whence.records.measures import Evaluation
from whence.records.picture import to_data_uri


@pytest.fixture(scope="module")
def made():
    """A votes model on 30 noisy images of three named classes, with files, and 8 others."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(38) % 3
    noise = torch.randint(0, 60, (38, 1, 8, 8), generator=generator)
    images = (noise + 60 * labels[:, None, None, None]).to(torch.uint8)
    names, files = ("dark", "<grey>", "bright"), tuple(f"{k}.png" for k in range(38))
    whole = whence.ImageSet(images, labels, names, files)
    torch.manual_seed(0)
    model = whence.wrap("small_cnn", names, variant="votes", image_shape=(1, 8, 8))
    stored = whole.take(range(30))
    whence.fit(model, stored, plan=whence.Plan(epochs=1, memory_size=10))
    model.remember(stored.images, stored.labels, sources=stored.sources)
    return model, whole.take(range(30, 38))


def test_predictions_are_a_frame_one_row_an_image(made):
    model, new = made
    found = whence.predict(model, new.images)
    assert isinstance(found, tuple)
    frame = found.to_frame()
    assert list(frame.image) == list(range(8))
    assert list(frame.answer) == [model.class_names[one.predicted] for one in found]
    assert list(frame["probability of <grey>"]) == [float(one.probabilities[1]) for one in found]
    assert list(frame.top_file) == [one.evidence[0].source for one in found]
    assert list(frame.top_weight) == [one.evidence[0].weight for one in found]
    assert list(frame.evidence) == [len(one.evidence) for one in found]
    assert frame.error_probability.isna().all()


def test_evidence_is_a_frame_one_row_a_stored_image(made):
    model, new = made
    found = whence.explain(model, new.images, draws=0)
    frame = found.to_frame(evidence=True)
    assert len(frame) == sum(len(one.evidence) for one in found)
    assert frame.groupby("image").weight.sum().tolist() == pytest.approx([1] * 8)
    first = frame[frame.image == 2].iloc[0]
    best = found[2].evidence[0]
    assert (first["rank"], first["index"], first.file, first.weight) == (
        1,
        best.index,
        best.source,
        best.weight,
    )
    assert first.label == model.class_names[best.label]
    assert (first.own_class, first.role) == (model.class_names[best.predicted], best.role)
    rows = found.to_frame()
    assert list(rows.reliance) == [one.reliance for one in found]
    assert list(rows.example_index.dropna()) == [one.example.index for one in found if one.example]


def test_answers_stay_what_they_are_in_files_and_slices(made):
    model, new = made
    found = whence.predict(model, new.images)
    again = pickle.loads(pickle.dumps(found))
    assert isinstance(again, AnswerTuple)
    assert again.to_frame().equals(found.to_frame())
    assert AnswerTuple(found[:2]).to_frame().equals(found.to_frame().head(2))
    assert whence.predict(model, new.images[:0]).to_frame().empty
    assert list(AnswerTuple().to_frame(evidence=True).columns)[:3] == ["image", "rank", "index"]


def test_an_evaluation_is_a_frame_of_its_answers(made):
    model, new = made
    found = whence.evaluate(model, new, memory_size=10)
    frame = found.to_frame()
    assert list(frame.image) == list(new.sources)
    assert list(frame.label) == [new.class_names[label] for label in new.labels]
    assert frame.right.mean() == found.whole_memory
    assert list(frame.right) == list(frame.label == frame.answer)
    shares = frame[[f"probability of {name}" for name in new.class_names]]
    assert list(shares.sum(axis=1)) == pytest.approx([1] * 8)
    assert list(frame.probability) == [
        row[f"probability of {row.answer}"] for _, row in frame.iterrows()
    ]
    with pytest.raises(ValueError, match="its answers were not kept"):
        Evaluation(1, 1.0, found.classes).to_frame()


def test_without_pandas_it_says_what_is_missing(made, monkeypatch):
    load = builtins.__import__

    def refuse(name, *rest, **more):
        if name == "pandas":
            raise ModuleNotFoundError(name)
        return load(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ModuleNotFoundError, match=r"to_frame needs pandas; .*whence\[frames\]"):
        whence.predict(made[0], made[1].images).to_frame()


def mislabelled(images):
    """Give every second image the next class, so that some answers are wrong."""
    labels = (images.labels + torch.arange(len(images)) % 2) % 3
    return replace(images, labels=labels)


def uri(image):
    return to_data_uri(image)


def pictures_of(html):
    return re.findall(r'src="(data:image/png[^"]+)"', html)


def test_answers_that_were_pickled_name_their_images(made):
    model, new = made
    found = whence.predict(model, new.images[:1])
    packed = pickle.dumps(found)
    assert len(packed) < 20_000
    [again] = pickle.loads(packed)
    html = again._repr_html_()
    assert "Stored images behind the answer" in html
    assert again.evidence[0].source in html
    assert pictures_of(html) == []


def test_answers_to_many_images_let_them_go(made, monkeypatch):
    model, new = made
    monkeypatch.setattr("whence.evidence.predict.KEPT_IMAGES", 3)
    assert whence.predict(model, new.images[:3])[0].seen.image is not None
    [first, *_] = whence.predict(model, new.images[:4])
    assert first.seen.image is None
    assert len(pictures_of(first._repr_html_())) == min(12, len(first.evidence))


@pytest.mark.parametrize(
    "kind", ["answers", "prediction", "explanation", "evaluation", "images", "classifier", "view"]
)
def test_notebooks_show_the_blocks_of_pages(made, kind):
    model, new = made
    found = {
        "answers": lambda: whence.predict(model, new.images),
        "prediction": lambda: whence.predict(model, new.images)[0],
        "explanation": lambda: whence.explain(model, new.images[:1], draws=0)[0],
        "evaluation": lambda: whence.evaluate(model, mislabelled(new), memory_size=10),
        "images": lambda: new,
        "classifier": lambda: model,
        "view": lambda: view(model, new.images[:2], truths=["dark", "bright"]),
    }[kind]()
    html = found._repr_html_()
    said = {
        "answers": "heaviest stored image",
        "prediction": "Stored images behind the answer",
        "explanation": "Stored images behind the answer",
        "evaluation": "ROC curves",
        "images": "8 images of 3 classes",
        "classifier": "Some stored images",
        "view": "The evidence the model used",
    }[kind]
    assert said in html
    assert html.startswith('<div class="whence-view">')
    assert "&lt;grey&gt;" in html
    assert "<grey>" not in html
    assert "<script" not in html
    style = html[html.index("<style>") : html.index("</style>")]
    assert ":root" not in style
    assert "\nbody" not in style
    pictures = {"images": 8, "classifier": 12}
    if kind in ("prediction", "explanation"):
        shown = min(12, len(found.evidence))
        pictures[kind] = 1 + shown
        assert [uri(found.seen.image)] == pictures_of(html)[:1]
        at = [model.bank.indices.tolist().index(one.index) for one in found.evidence[:shown]]
        assert [uri(model.bank.images[place]) for place in at] == pictures_of(html)[1:]
    if kind == "evaluation":
        wrong = [one for one in found.mistakes if one.truth != found.predicted[one.place]]
        assert 0 < len(wrong) == len(found.mistakes)
        titles = [f": wrong, it is {escape(model.class_names[one.truth])}<" for one in wrong]
        assert all(title in html for title in titles)
        assert pictures_of(html)[0] == uri(new.images[wrong[0].place])
        shares = [float(one.answer.probabilities.max()) for one in wrong]
        assert shares == sorted(shares, reverse=True)
        pictures[kind] = sum(1 + min(3, len(one.answer.evidence)) for one in wrong)
    if kind in pictures:
        assert html.count("data:image/png") == pictures[kind]
    if kind == "view":
        assert html.count('<div class="whence-view">') == 2
        assert repr(found) == "Viewed(2 images; look at it in a notebook)"


def test_the_surest_wrong_answers_are_kept(made):
    model, _ = made
    greys = torch.arange(89, 98, dtype=torch.uint8)  # between dark and grey, where it doubts
    images = greys[:, None, None, None].expand(9, 1, 8, 8)
    labels = [(one.predicted + 1) % 3 for one in whence.predict(model, images)]
    asked = whence.ImageSet(images, torch.tensor(labels), model.class_names)
    found = whence.evaluate(model, asked, memory_size=10)
    shares = found.answered.probabilities.amax(1).tolist()
    order = sorted(range(9), key=lambda place: (-shares[place], place))
    assert shares[order[5]] > shares[order[6]], "else nothing is tested"
    assert [one.place for one in found.mistakes] == order[:6]
    html = found._repr_html_()
    assert html.index("The surest wrong answers") < html.index(": wrong, it is ")
    assert html.count(": wrong, it is ") == 6


def test_many_answers_are_counted(made):
    model, new = made
    html = AnswerTuple(list(whence.predict(model, new.images)) * 3)._repr_html_()
    assert "Not shown: 4 answers." in html
    assert html.count("<tr>") == 21


def test_pandas_reads_what_was_written(made, tmp_path):
    model, new = made
    frame = whence.predict(model, new.images).to_frame()
    frame.to_csv(tmp_path / "x.csv", index=False)
    assert list(pd.read_csv(tmp_path / "x.csv").answer) == list(frame.answer)
