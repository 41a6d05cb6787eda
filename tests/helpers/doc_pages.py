"""The pages of the documentation, read as their readers see them: blocks, links, headings."""

import re
from pathlib import Path
from typing import NamedTuple

import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
NOT_RUN = "not run by the tests"
RUN = "run by the tests"


class Fence(NamedTuple):
    """A block of code: what stands after the backticks, and what between them."""

    page: Path
    number: int
    language: str
    title: str
    text: str

    @property
    def name(self):
        return f"{self.page.stem}-{self.number}"


class Link(NamedTuple):
    page: Path
    text: str
    target: str


def read_fences(page):
    """List the blocks of a page."""
    found = re.findall(
        r'^```(\w*)(?: title="([^"\n]*)")?\n(.*?)^```$', page.read_text(), re.M | re.S
    )
    return [Fence(page, number, *one) for number, one in enumerate(found)]


def read_prose(page):
    """Return a page without its blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.M | re.S)


def read_links(page):
    """List links and pictures of a page."""
    return [Link(page, *one) for one in re.findall(r"\[([^\]]*)\]\(([^)\s]*)\)", read_prose(page))]


def slug_of_site(heading):
    """Name the anchor of a heading as Python-Markdown does."""
    plain = re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower()
    return re.sub(r"[-\s]+", "-", plain)


def slug_of_repository(heading):
    """Name it as the pages of repositories do, where every space is a dash."""
    return re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower().replace(" ", "-")


def read_headings(page):
    """List the headings of a page, without the first."""
    return re.findall(r"^##+ (.*)$", read_prose(page), re.M)


def read_navigation():
    """Flatten the navigation of ``mkdocs.yml``: sections above a page, its title, its file."""
    found = []

    def walk(items, above):
        for item in items:
            if isinstance(item, str):
                found.append((above, above[-1], item))
                continue
            ((title, inside),) = item.items()
            if isinstance(inside, str):
                found.append((above, title, inside))
            else:
                walk(inside, (*above, title))

    walk(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"], ())
    return found
