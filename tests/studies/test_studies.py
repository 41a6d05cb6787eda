"""Studies: files, table, oracles and documentation name the same ones; the command shows them."""

import json
import pkgutil
import re
from dataclasses import replace
from pathlib import Path

import pytest

from whence import studies
from whence.cli import main
from whence.data.load import load_dataset
from whence.studies import FUNCTIONS, STUDIES
from whence.studies.erasure.study import ErasureSizes, study_erasure
from whence.studies.parameter_counts import PARAMETERS
from whence.studies.parts import subject as subjects
from whence.studies.parts.findings import Findings
from whence.studies.parts.kept import KeptParts
from whence.studies.parts.request import StudyRequest
from whence.studies.parts.sentences.table_of_sentences import divide_sentences, read_sentences

PAGES = [
    Path(__file__).parents[2] / "docs" / name for name in ("studies.md", "studies-of-parts.md")
]
DOCS = "\n".join(page.read_text() for page in PAGES)


def count_of_table_11():
    """The published numbers, and that ours are the same: parameters are counted, not estimated."""
    rows = [(*pair, theirs, theirs, 0) for pair, theirs in PARAMETERS.items()]
    return Findings(
        columns=("encoder", "variant", "whence", "paper", "difference"),
        rows=tuple(rows),
        holds=True,
        verdict="9 of 9 models have the published number of parameters.",
    )


ORACLES = {"parameter_counts": count_of_table_11}

SLOW = {
    "bag_of_words",
    "few_shot_rivals",
    "text",
    "random_labels",
    "concepts",
    "deconvolutional",
    "memorisation",
    "surrogates",
    "concept_embedding",
    "erasure",
    "deep_belief",
    "prototypes",
    "path_on_activations",
}
"""Studies of minutes, with tests of their parts and of a small one in a file of their own."""


def test_files_table_oracles_and_documentation_name_the_same_studies():
    files = {module.name for module in pkgutil.iter_modules(studies.__path__)} - {"parts"}
    sections = set(re.findall(r"^## `(\w+)`$", DOCS, flags=re.MULTILINE))
    assert files == set(STUDIES) == set(FUNCTIONS) == set(ORACLES) | SLOW == sections
    assert all((Path(__file__).parent / f"test_{name}.py").exists() for name in SLOW)


@pytest.mark.parametrize("name", ORACLES)
def test_a_study_finds_what_its_oracle_says(name):
    assert FUNCTIONS[name](StudyRequest()) == ORACLES[name]()


class FirstPartError(Exception):
    """A study has come so far that it computes."""


@pytest.mark.parametrize("name", [name for name in STUDIES if "full" in STUDIES[name].takes])
def test_the_published_size_comes_to_its_first_part(name, monkeypatch):
    made_with = []

    def stop(kept, part, compute):
        made_with.append(kept.made_with)
        raise FirstPartError

    monkeypatch.setattr(KeptParts, "do", stop)
    for full in (False, True):
        with pytest.raises(FirstPartError):
            FUNCTIONS[name](StudyRequest(full=full))
    assert made_with[0] != made_with[1]


@pytest.mark.parametrize("name", [name for name in STUDIES if "data" in STUDIES[name].takes])
def test_parts_are_made_again_where_any_image_or_sentence_is_another(name, monkeypatch, tmp_path):
    made_with = []

    def stop(kept, part, compute):
        made_with.append(kept.made_with)
        raise FirstPartError

    monkeypatch.setattr(KeptParts, "do", stop)
    for subject in list_changed_tables(tmp_path) if name == "text" else ("digits",) * 3:
        images = change_a_pixel(load_dataset("digits"), len(made_with))
        monkeypatch.setattr(subjects, "load_or_download", lambda *_, own=images, **__: own)
        with pytest.raises(FirstPartError):
            FUNCTIONS[name](StudyRequest(subject=subject))
    assert made_with[0] != made_with[1]
    assert made_with[2] not in made_with[:2]


def change_a_pixel(images, number):
    """Of a training image, of a test image, or of none."""
    name = ("", "train", "test")[number]
    if not name:
        return images
    part = getattr(images, name)
    pixels = part.images.clone()
    pixels[-1, 0, 3, 3] ^= 1
    return replace(images, **{name: replace(part, images=pixels)})


def list_changed_tables(folder):
    """A table of sentences, and the same with another word of a sentence that is asked about."""
    rows = [f"{'good' if place % 2 else 'bad'}\tfilm {place} is long" for place in range(60)]
    changed = [row.replace("long", f"long {place}") for place, row in enumerate(rows)]
    for number, some in enumerate((rows, rows[:30] + changed[30:], changed[:30] + rows[30:])):
        path = folder / f"{number}.tsv"
        path.write_text("\n".join(some))
        yield str(path)


def test_a_word_of_a_sentence_that_makes_vectors_alone_makes_parts_again(monkeypatch, tmp_path):
    """Word vectors are of all sentences of a table, of which networks learn from some."""
    stems = [f"{a}{b}{c}" for a in "bcdfgh" for b in "aeiou" for c in "lmnprst"]
    rows = [
        f"{'good' if place % 2 else 'bad'}\t{' '.join(stems[(place * 7) % 196 :][:14])}"
        for place in range(400)
    ]
    made_with = []

    def stop(kept, part, compute):
        made_with.append(kept.made_with)
        raise FirstPartError

    monkeypatch.setattr(KeptParts, "do", stop)
    sizes = ErasureSizes(sentences=(20, 5))
    table = tmp_path / "films.tsv"
    known = {tuple(row.split("\t")[1].split()) for row in rows}
    for last in ("", " bal"):
        asked = divide_sentences(read_sentences(write(table, rows)), seed=0)[0].words[:20]
        spare = sorted(known - set(asked))[-1]
        changed = [
            row + last if tuple(row.split("\t")[1].split()) == spare else row for row in rows
        ]
        write(table, changed)
        with pytest.raises(FirstPartError):
            study_erasure(StudyRequest(subject=str(table)), sizes)
    assert made_with[0] != made_with[1]


def write(path, rows):
    path.write_text("\n".join(rows))
    return str(path)


@pytest.mark.parametrize("name", STUDIES)
def test_claim_and_source_stand_in_the_documentation(name):
    study = STUDIES[name]
    assert study.claim.endswith(".")
    text = " ".join(DOCS.split())
    assert study.claim in text
    assert study.source in text


def test_a_row_has_an_entry_for_every_column():
    with pytest.raises(ValueError, match=r"rows must have 2 entries, one per column, got 1\."):
        Findings(("a", "b"), ((1,),), holds=True, verdict="")


def test_the_command_prints_the_table_and_the_verdict(capsys):
    assert main(["study", "parameter_counts"]) == 0
    printed = capsys.readouterr().out
    assert "resnet18         memory-wrap  13,288,522  13,288,522           0" in printed
    assert printed.endswith("9 of 9 models have the published number of parameters.\n")


def test_the_folder_holds_what_json_prints(tmp_path, capsys):
    assert main(["study", "parameter_counts", "--out", str(tmp_path / "new"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert json.loads((tmp_path / "new" / "parameter_counts.json").read_text()) == printed
    assert printed["rows"][0]["whence"] == 2_296_922
    assert printed["holds"] is True
    assert set(printed["versions"]) == {"whence", "torch"}
    page = (tmp_path / "new" / "parameter_counts.html").read_text()
    assert "13,288,522" in page
    assert "9 of 9 models have the published number of parameters." in page


def test_the_list_says_what_each_study_claims(capsys):
    assert main(["study", "--list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [item["study"] for item in listed] == list(STUDIES)
    assert main(["study", "--list"]) == 0
    assert STUDIES["parameter_counts"].claim in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], f"NAME must be one of {', '.join(STUDIES)}; --list says what they claim."),
        (["nothing"], f"Unknown study 'nothing'. Choose from: {', '.join(STUDIES)}."),
        (
            ["parameter_counts", "--seeds", "2"],
            "Study parameter_counts takes no --seeds; leave it out.",
        ),
        (
            ["parameter_counts", "digits"],
            "Study parameter_counts has images of its own, leave out 'digits'.",
        ),
        (
            ["surrogates", "--device", "cuda"],
            "Study surrogates computes on the CPU alone; leave out --device.",
        ),
        (["parameter_counts", "--list"], "--list prints every study; leave out NAME and --out."),
    ],
)
def test_bad_input_gets_one_sentence(arguments, sentence, capsys):
    assert main(["study", *arguments]) == 2
    assert capsys.readouterr().err == f"whence: {sentence}\n"
