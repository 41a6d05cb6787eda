"""The built documentation; run with ``pytest -m site`` (extra ``[docs]``, and Chromium)."""

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest

import whence
from tests.helpers.browser import requests_of_file
from tests.helpers.doc_pages import DOCS, ROOT, read_navigation

pytestmark = pytest.mark.site
ASKED = {
    "script": ("src",),
    "link": ("href",),
    "img": ("src", "srcset"),
    "source": ("src", "srcset"),
    "iframe": ("src",),
    "object": ("data",),
    "video": ("src", "poster"),
    "audio": ("src",),
    "embed": ("src",),
}
"""What a browser asks for by itself while it shows a page, by the tag."""


class Reader(HTMLParser):
    """List what a page asks for, its links, and its anchors."""

    def __init__(self, text):
        super().__init__()
        self.asked, self.links, self.anchors = [], [], {""}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag != "link" or found.get("rel") not in ("canonical", "next", "prev"):
            self.asked += [found[name] for name in ASKED.get(tag, ()) if found.get(name)]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("mkdocs")
    place = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(place)]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return place


@pytest.fixture(scope="module")
def pages(site):
    return {path: Reader(path.read_text()) for path in sorted(site.rglob("*.html"))}


def test_every_page_is_built(site):
    for _, _, file in read_navigation():
        assert (site / file).with_suffix(".html").stat().st_size > 2000, file


def test_nothing_is_asked_of_other_machines(site, pages):
    for path, page in pages.items():
        outside = [one for one in page.asked if re.match(r"\s*(\w+:)?//", one)]
        assert outside == [], path
        assert "mermaid" not in path.read_text()  # its script would be fetched
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(\w+:)?//|@import", path.read_text()), path


def test_what_is_asked_for_is_there(site, pages):
    for path, page in pages.items():
        for one in page.asked:
            if one.startswith("data:"):
                continue
            base = site if one.startswith("/") else path.parent
            assert (base / unquote(urlsplit(one).path.lstrip("/"))).is_file(), (path, one)


def test_every_link_and_anchor_is_there(site, pages):
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc or link.startswith("/"):  # 404.html begins at the root
                continue
            there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = there / "index.html" if there.is_dir() else there
            assert there.is_file(), (path.name, link)
            if there.suffix == ".html":
                assert unquote(parts.fragment) in pages[there].anchors, (path.name, link)


def test_the_api_shows_every_name_with_its_words(site, pages):
    anchors = set().union(
        *(page.anchors for path, page in pages.items() if path.parent.name == "api")
    )
    for name in whence.__all__:
        assert any(one.endswith(f".{name}") for one in anchors), name
    text = (site / "api" / "models.html").read_text()
    assert "Turn an encoder into a classifier that reads a memory." in text


def test_the_search_knows_the_pages(site):
    index = json.loads((site / "search" / "search_index.json").read_text())
    found = {one["location"] for one in index["docs"] if "reliance" in one["text"].lower()}
    assert "evidence.html#reliance" in found
    places = {one["location"].partition("#")[0] for one in index["docs"]}
    assert {f.removesuffix(".md") + ".html" for _, _, f in read_navigation()} <= places | {
        "index.html"
    }


@pytest.mark.parametrize("page", ["index.html", "api/models.html", "gallery.html"])
def test_a_browser_asks_for_nothing_outside(site, page, tmp_path):
    assert requests_of_file(tmp_path, site / page) == []


def test_what_is_built_is_not_kept():
    assert "/site/" in (ROOT / ".gitignore").read_text().splitlines()
    assert not (DOCS / "site").exists()
