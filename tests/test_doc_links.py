"""Every link of the documentation leads somewhere, and six pages are two clicks from the start."""

import re
from urllib.parse import urlsplit

import pytest

import whence
from tests.helpers.doc_pages import (
    DOCS,
    PAGES,
    ROOT,
    read_headings,
    read_links,
    read_navigation,
    read_prose,
    slug_of_repository,
    slug_of_site,
)
from whence.cli import SUMMARIES

NAVIGATION = read_navigation()
GOALS = {
    "own encoder": "encoders.md#an-encoder-of-your-own",
    "own photos": "data.md",
    "edit the memory": "editing.md",
    "attribution method": "which-method.md",
    "reliance": "evidence.md#reliance",
    "deploy": "deploy.md",
}
"""By words that a stranger looks for: the place that answers."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    for _, text, target in read_links(page):
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            assert parts.scheme == "https", f"{page.name}: {target}"
            assert re.fullmatch(r"[\w-]+(\.[\w-]+)+", parts.netloc), f"{page.name}: {target}"
            continue
        there = (page.parent / parts.path).resolve() if parts.path else page
        assert text, f"{page.name}: {target} has no words"
        assert there.exists(), f"{page.name}: {target}"
        assert there.is_relative_to(ROOT)
        if DOCS in page.parents:
            assert there.is_relative_to(DOCS), f"{page.name}: {target} is not on the site"
        if parts.fragment:
            headings = read_headings(there)
            for slug in (slug_of_site, slug_of_repository):
                assert parts.fragment in map(slug, headings), f"{page.name}: {target}"


def test_every_page_is_in_the_navigation_once():
    files = [file for _, _, file in NAVIGATION]
    assert sorted(files) == sorted(p.relative_to(DOCS).as_posix() for p in DOCS.rglob("*.md"))


def count_clicks():
    """Count clicks from the start page to every page, and to every heading that a link names.

    A page of a section that is not open takes two: the section, then the page.
    """
    places = {file: len(above) + 1 for above, _, file in NAVIGATION}
    places["index.md"] = 0
    for link in read_links(DOCS / "index.md"):
        places[link.target] = 1
    for file, clicks in list(places.items()):
        if "#" not in file and file.endswith(".md"):
            for heading in read_headings(DOCS / file):  # one more in the table of contents
                place = f"{file}#{slug_of_site(heading)}"
                places[place] = min(places.get(place, 9), clicks + 1)
    return places


@pytest.mark.parametrize(("words", "place"), GOALS.items())
def test_a_stranger_needs_two_clicks_at_most(words, place):
    assert count_clicks()[place] <= 2
    file, _, anchor = place.partition("#")
    assert not anchor or anchor in map(slug_of_site, read_headings(DOCS / file))
    rows = [row for row in (DOCS / "index.md").read_text().splitlines() if f"({place})" in row]
    said = [re.sub(r"\([^)]*\)", "", row).lower() for row in rows]  # not the name of its file
    assert any(words in row for row in said), f"the start page does not say {words!r}"


@pytest.mark.parametrize(
    "place", [p for p in GOALS.values() if "#" not in p] + ["evidence.md", "encoders.md"]
)
def test_the_navigation_alone_needs_two_clicks(place):
    assert [len(above) + 1 for above, _, file in NAVIGATION if file == place] == [2]


def test_lists_begin_after_an_empty_line():
    """Else the site shows them as one paragraph, though pages of repositories do not."""
    for page in PAGES:
        in_list, before = False, ""
        for line in read_prose(page).splitlines():
            item = bool(re.match(r"([-*]|\d+\.) ", line))
            assert not item or in_list or not before.strip(), f"{page.name}: {line}"
            in_list = item or (in_list and bool(line.strip()))
            before = line


def test_the_start_page_begins_as_the_readme():
    def first_words(path):
        return path.read_text().split("\n\n")[1]

    assert first_words(DOCS / "index.md") == first_words(ROOT / "README.md")
    assert len(re.findall(r"[.](?=\s|$)", first_words(DOCS / "index.md"))) == 3


def test_the_api_has_every_public_name_once():
    found = re.findall(r"^::: whence\.(\w+)$", "\n".join(map(read_prose, PAGES)), re.M)
    assert sorted(found) == sorted(whence.__all__)
    overview = (DOCS / "api" / "index.md").read_text()
    for page in (DOCS / "api").glob("*.md"):
        rows = [row for row in overview.splitlines() if f"]({page.name})" in row]
        names = re.findall(r"^::: whence\.(\w+)$", page.read_text(), re.M)
        assert re.findall(r"`(\w+)`", "".join(rows)) == names, page.name


def test_every_command_has_its_row():
    rows = re.findall(
        r"^\| `whence ([\w-]+)` \| (.*?) \|", (DOCS / "commands.md").read_text(), re.M
    )
    assert dict(rows) == SUMMARIES
