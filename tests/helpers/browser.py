"""Pages in a real browser: what the reader of the HTML cannot see by reading it.

Chromium is looked for by name, or at ``WHENCE_CHROMIUM``.
"""

import html
import json
import os
import re
import shutil
import subprocess

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
  const cut = [];
  for (const text of page.querySelectorAll("svg text")) {{
    const box = text.getBoundingClientRect();
    const whole = text.ownerSVGElement.getBoundingClientRect();
    if (box.left < whole.left - 0.5 || box.right > whole.right + 0.5
        || box.top < whole.top - 0.5 || box.bottom > whole.bottom + 0.5)
      cut.push(text.textContent);
  }}
  found.textContent = JSON.stringify({{
    inner: view.innerWidth, scroll: page.documentElement.scrollWidth, out: out, cut: cut,
    images: [...page.images].map(image => [image.naturalWidth, image.width]),
    shown: [...page.images].map(image => image.getBoundingClientRect().width),
  }});
}};
frame.srcdoc = {page};
document.body.append(frame);
</script>"""


def browse(tmp_path, *arguments):
    """Run Chromium and return what it prints."""
    name = os.environ.get("WHENCE_CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    assert name, "Chromium is needed for these tests; name it with WHENCE_CHROMIUM."
    profile = f"--user-data-dir={tmp_path / 'profile'}"
    command = [name, *FLAGS, profile, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return done.stdout


def measure(tmp_path, page, width):
    """Open an unchanged page in a frame of so many pixels and measure everything in it."""
    file = tmp_path / "wrapper.html"
    file.write_text(WRAPPER.format(width=width, page=json.dumps(page).replace("</", "<\\/")))
    size = f"--window-size={width + 200},1000"
    output = browse(tmp_path, size, "--dump-dom", file.as_uri())
    text = re.search(r'<pre id="found">(.*?)</pre>', output, re.DOTALL)[1]
    return json.loads(html.unescape(text))


def check_layout(tmp_path, page, width):
    """Assert that nothing sticks out of a page or is cut, and that every picture loads."""
    found = measure(tmp_path, page, width)
    assert found["inner"] == width
    assert found["scroll"] <= width
    assert found["out"] == []
    assert found["cut"] == []
    assert all(natural > 0 for natural, _ in found["images"])
    return found


def requests(tmp_path, page):
    """List the addresses that the text of a page asks for."""
    file = tmp_path / "page.html"
    file.write_text(page)
    return requests_of_file(tmp_path, file)


def requests_of_file(tmp_path, file):
    """List the addresses that a file asks for; those of the browser itself have no origin."""
    log = tmp_path / "net.json"
    browse(tmp_path, f"--log-net-log={log}", "--dump-dom", file.as_uri())
    parameters = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    asked = [one for one in parameters if "url" in one and "initiator" in one]
    found = {one["url"] for one in asked if one["initiator"] != "not an origin"}
    return sorted(url for url in found if not url.startswith(("data:", "file:")))


def count_printed(tmp_path, page):
    """Print a page and count the sheets."""
    file, paper = tmp_path / "page.html", tmp_path / "page.pdf"
    file.write_text(page)
    browse(tmp_path, f"--print-to-pdf={paper}", file.as_uri())
    return len(re.findall(rb"/Type\s*/Page\b", paper.read_bytes()))
