"""Pages in a real browser: what the reader of the HTML cannot see by reading it.

Run with ``pytest -m browser``; Chromium is looked for by name, or at ``WHENCE_CHROMIUM``.
"""

import html
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
import torch

from tests.helpers.pages import (
    CLASSES,
    ORIGIN,
    answer,
    draws,
    evidence,
    explanation,
    heatmaps,
    removal,
)
from whence.report.page import render

pytestmark = pytest.mark.browser

FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--host-resolver-rules=MAP * ~NOTFOUND",
)

WRAPPER = """<!doctype html><body style="margin:0"><pre id="found"></pre>
<script>
const frame = document.createElement("iframe");
frame.width = {width}; frame.height = 900; frame.style.border = 0;
frame.onload = () => {{
  const view = frame.contentWindow, page = frame.contentDocument, out = [];
  for (const element of page.body.querySelectorAll("*")) {{
    const box = element.getBoundingClientRect();
    const wide = element.clientWidth && element.scrollWidth > element.clientWidth + 1;
    if (box.right > view.innerWidth + 0.5 || box.left < -0.5 || wide)
      out.push(element.tagName + "." + element.className + " " + box.right);
  }}
  found.textContent = JSON.stringify({{
    inner: view.innerWidth, scroll: page.documentElement.scrollWidth, out: out,
    images: [...page.images].map(image => [image.naturalWidth, image.width]),
    shown: [...page.images].map(image => image.getBoundingClientRect().width),
  }});
}};
frame.srcdoc = {page};
document.body.append(frame);
</script>"""


def browse(tmp_path, *arguments):
    name = os.environ.get("WHENCE_CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    assert name, "Chromium is needed for these tests; name it with WHENCE_CHROMIUM."
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [name, *FLAGS, profile, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return done.stdout


def measure(tmp_path, page, width):
    """Open an unchanged page in a frame of so many pixels and measure everything in it."""
    file = tmp_path / "wrapper.html"
    file.write_text(WRAPPER.format(width=width, page=json.dumps(page).replace("</", "<\\/")))
    size = f"--window-size={width + 200},1000"
    output = browse(tmp_path, size, "--dump-dom", file.as_uri())
    text = re.search(r'<pre id="found">(.*?)</pre>', output, re.DOTALL)[1]
    return json.loads(html.unescape(text))


def requests(tmp_path, page):
    """List the addresses that a page asks for; those of the browser itself have no origin."""
    file, log = tmp_path / "page.html", tmp_path / "net.json"
    file.write_text(page)
    browse(tmp_path, f"--log-net-log={log}", "--dump-dom", file.as_uri())
    parameters = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    asked = [one for one in parameters if "url" in one and "initiator" in one]
    found = {one["url"] for one in asked if one["initiator"] != "not an origin"}
    return sorted(url for url in found if not url.startswith(("data:", "file:")))


def rich_page(shape=(3, 8, 10), classes=CLASSES):
    """Everything that a page can show, with names that do not want to break."""
    items = [
        evidence(place, 0.03, place % 3, source=f"{'x' * 90}/{place}.png") for place in range(30)
    ]
    items[0] = replace(items[0], weight=0.1)
    sized = torch.full((len(classes),), 0.4 / (len(classes) - 1))
    sized[1] = 0.6
    found = explanation(
        tuple(items),
        probabilities=sized,
        without=torch.randn(30, len(classes), generator=torch.Generator().manual_seed(0)),
        draws=draws(probabilities=sized),
        flag=True,
        error_probability=0.3,
        left_out=(1, 2, 3),
    )
    first = answer(
        found,
        shape=shape,
        name=f"{'folder' * 30}.png",
        truth=2,
        maps=heatmaps(found, shape),
        removal=removal(removed=tuple(range(30)), smallest=None, smallest_becomes=None),
        notes=("The image was made smaller.",),
    )
    near = replace(evidence(77, 0.0, 2), role="counterfactual")
    few = explanation((evidence(4, 1.0, 1),), near_miss=near, counterfactual_reason="None.")
    few = replace(few, probabilities=sized, without=torch.full((1, len(classes)), torch.nan))
    second = answer(few, shape=shape, name="second.png")
    return render([first, second], replace(ORIGIN, notes=("All are grey.",)), classes)


LONG = ("a" * 120, "supercalifragilistic " * 8, "<script>", *(f"c{i}" for i in range(300)))


@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize(
    "shape, classes",
    [((3, 8, 10), CLASSES), ((1, 28, 28), LONG), ((3, 64, 64), CLASSES), ((3, 224, 224), LONG)],
    ids=["8x10", "28x28-long-names", "64x64", "224x224-long-names"],
)
def test_nothing_sticks_out_and_every_image_loads(tmp_path, width, shape, classes):
    found = measure(tmp_path, rich_page(shape, classes), width)
    assert found["inner"] == width
    assert found["scroll"] <= width
    assert found["out"] == []
    assert len(found["images"]) > 60
    assert all(natural > 0 for natural, _ in found["images"])
    top = found["shown"][2]  # after the two of the table of contents
    assert top >= 96


def test_the_measure_sees_what_sticks_out_and_what_does_not_load(tmp_path):
    page = '<body><div style="width:500px">x</div><img src="data:image/png;base64,AAAA" alt="">'
    found = measure(tmp_path, page, 400)
    assert any(name.startswith("DIV") for name in found["out"])
    assert found["images"][0][0] == 0
    assert found["scroll"] > 400


def test_a_page_asks_for_nothing(tmp_path):
    assert requests(tmp_path, rich_page()) == []


def test_the_policy_stops_what_would_be_asked_for(tmp_path):
    outside = '<img src="http://127.0.0.1:9/seen.png" alt="">'
    page = rich_page().replace("</body>", outside + "</body>")
    for name in ("with", "without"):
        (tmp_path / name).mkdir()
    assert requests(tmp_path / "with", page) == []
    bare = re.sub(r"<meta http-equiv=[^>]*>", "", page)
    assert requests(tmp_path / "without", bare) == ["http://127.0.0.1:9/seen.png"]


def test_a_page_can_be_printed(tmp_path):
    file, paper = tmp_path / "page.html", tmp_path / "page.pdf"
    file.write_text(rich_page())
    browse(tmp_path, f"--print-to-pdf={paper}", file.as_uri())
    pages = len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes()))
    assert 2 <= pages <= 20
