"""A page taken apart, for the tests of everything that is written as HTML."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import torch
from PIL import Image

VOID = {"img", "meta", "br", "link", "wbr"}


class ParsedPage(HTMLParser):
    """Elements with their attributes, the headings, the words, and whether all tags match."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.open, self.text, self.headings = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch(r"h\d", tag):
            self.headings.append(int(tag[1]))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attributes):
        raise AssertionError(f"{tag} closes itself")

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self):
        return " ".join(" ".join(self.text).replace("/ ", "/").split())


def words_of(blocks):
    """Everything that blocks say in sentences."""
    return " ".join(
        text for block in blocks for text in (block.title, *block.sentences, *block.after)
    )


def pixels_of(attributes):
    """Read the picture of an ``img`` element as `(H, W, C)` or `(H, W)`."""
    head, data = attributes["src"].split(",")
    assert head == "data:image/png;base64"
    return torch.from_numpy(np.array(Image.open(io.BytesIO(base64.b64decode(data)))))


def check_alone(html):
    """Assert that a page needs nothing but itself, and that its links lead somewhere."""
    page = ParsedPage(html)
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "embed", "form", "video", "base"}
    assert html.startswith("<!doctype html>")
    assert not re.search(r"(https?:)?//", re.sub(r"data:image/png;base64,[^\"]*", "", html))
    assert "url(" not in html
    assert "@import" not in html
    for _, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        assert attributes.get("src", "data:image/png;base64,").startswith("data:image/png;base64,")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(link["href"][0] == "#" and link["href"][1:] in ids for link in page.all("a"))
    assert all(pixels_of(image).numel() for image in page.all("img"))
    return page


def check_accessible(page):
    """Assert that headings go down by one, and that every picture says what it shows."""
    assert page.all("html") == [{"lang": "en"}]
    assert page.headings[0] == 1
    assert page.headings.count(1) == 1
    for before, after in zip(page.headings, page.headings[1:], strict=False):
        assert after <= before + 1
    assert all("alt" in image for image in page.all("img"))
    assert all("aria-label" in table for table in page.all("table"))
