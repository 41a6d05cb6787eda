"""Photograph the viewer on a run, for the documentation.

    python -m tools.shoot_viewer RUN FOLDER [--place 153]

Needs playwright and Chromium (``WHENCE_CHROMIUM`` names the program where it is not found). Of the
test image the stored images with the label that is answered lose their ticks, the heaviest first,
until the answer changes; then the map is opened. Pictures have 1280 x 800 pixels and 256 colours.
"""

import argparse
import os
import shutil
import threading
from io import BytesIO
from pathlib import Path

import uvicorn
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from whence.runs.where import AS_SETTINGS_SAY
from whence.viewer.app import build_app
from whence.viewer.serve import open_socket
from whence.viewer.viewed_run import open_run
from whence.viewer.viewer import Viewer

SIZE = {"width": 1280, "height": 800}
PATIENCE = 120_000
"""Milliseconds that a busy machine may take for one answer."""


def main() -> None:
    """Serve the run, and photograph its page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--place", type=int, default=0, help="of the test image")
    options = parser.parse_args()
    viewer = Viewer(open_run(options.run, device="cpu", where=AS_SETTINGS_SAY))
    opened = open_socket("127.0.0.1", 0)
    address = f"127.0.0.1:{opened.getsockname()[1]}"
    server = uvicorn.Server(uvicorn.Config(build_app(viewer, hosts=[address]), log_level="error"))
    threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True).start()
    program = os.environ.get("WHENCE_CHROMIUM") or shutil.which("chromium")
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE)
        page.set_default_timeout(PATIENCE)
        page.goto(f"http://{address}/")
        change_answer(page, options.place)
        photograph(page, options.folder / "view.png")
        open_map(page)
        photograph(page, options.folder / "view-map.png")
        browser.close()
    server.should_exit = True


def change_answer(page: Page, place: int) -> None:
    """Ask about a test image, and take ticks from stored images until the answer is another one."""
    page.wait_for_selector("#before")
    page.locator("#test-number").fill(str(place))
    with page.expect_response("**/api/ask"):
        page.locator("#test-number").press("Enter")
    page.wait_for_selector(f'img.asked[src*="/test/{place}."]')
    answer = page.locator("#before .answer").inner_text()
    cards = page.locator("#before .evidence li")
    for number in range(cards.count()):
        if cards.nth(number).locator("select").input_value() != answer:
            continue
        with page.expect_response("**/api/ask"):
            cards.nth(number).get_by_role("checkbox").uncheck()
        page.wait_for_selector(f"#before .evidence li:nth-child({number + 1}).out")
        if page.locator("#changed").count():
            return
    raise SystemExit(f"The answer to test image {place} stays {answer}.")


def open_map(page: Page) -> None:
    """Open the map of the features."""
    page.locator("#views").get_by_role("button", name="Map").click()
    page.wait_for_selector("canvas")


def photograph(page: Page, path: Path) -> None:
    """Write what a person sees as a small file."""
    page.evaluate("scrollTo(0, 0); document.activeElement.blur()")
    page.wait_for_load_state("networkidle")
    with Image.open(BytesIO(page.screenshot())) as picture:
        picture.convert("RGB").quantize(256).save(path, optimize=True)
    print(f"Written: {path}")


if __name__ == "__main__":
    main()
