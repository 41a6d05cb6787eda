"""For the site: a link whose words are the name of a file gets the title that the navigation has.

On the pages of a repository the name of the file is what a reader looks for; on the site there are
no files. A hook of MkDocs, named in ``mkdocs.yml``.
"""

import posixpath
import re
from typing import Any

LINK = re.compile(r"\[(?:[\w-]+/)?[\w-]+\.md\]\((?P<file>[\w./-]+\.md)(?P<anchor>#[\w-]+)?\)")


def flatten(items: Any) -> dict[str, str]:
    """Find the title of each file in the navigation."""
    titles: dict[str, str] = {}
    for item in items:
        for title, inside in item.items() if isinstance(item, dict) else ():
            titles |= {inside: title} if isinstance(inside, str) else flatten(inside)
    return titles


def on_page_markdown(markdown: str, /, *, page: Any, config: Any, files: Any) -> str:
    """Name the links of a page before it is built."""
    titles = flatten(config.nav)
    folder = posixpath.dirname(page.file.src_uri)

    def name(found: re.Match[str]) -> str:
        file = posixpath.normpath(posixpath.join(folder, found["file"]))
        title = titles.get(file, found["file"])
        return f"[{title}]({found['file']}{found['anchor'] or ''})"

    return LINK.sub(name, markdown)
