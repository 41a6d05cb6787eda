"""The viewer for people at a keyboard, with a screen reader, or with weak eyes, in a real browser."""

import re
from contextlib import suppress
from itertools import pairwise

import pytest

from tests.viewer.test_view_browser import open_view

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")
expect = playwright.expect

CONTROLS = ("button", "checkbox", "combobox", "spinbutton", "searchbox", "textbox", "slider")
VIEWS = ("Ask", "Test images", "Overview", "Stored images", "Map", "Threshold")

FAINT = """(least) => {
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const read = (colour, under) => {
    probe.fillStyle = under; probe.fillRect(0, 0, 1, 1);
    probe.fillStyle = colour; probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data.slice(0, 3)];
  };
  const light = rgb => rgb.map(part => part / 255)
    .map(part => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, place) => sum + part * [0.2126, 0.7152, 0.0722][place], 0);
  const faint = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].filter(one => one.nodeType === 3 && one.data.trim());
    if (!own.length || !element.checkVisibility()) continue;
    const chain = [];
    for (let one = element; one; one = one.parentElement) chain.unshift(getComputedStyle(one));
    let under = "rgb(255, 255, 255)", opacity = 1;
    for (const style of chain) {
      under = `rgb(${read(style.backgroundColor, under).join(", ")})`;
      opacity *= Number(style.opacity);
    }
    const back = read(under, under), text = read(getComputedStyle(element).color, under);
    const seen = text.map((part, place) => opacity * part + (1 - opacity) * back[place]);
    const [high, low] = [light(seen), light(back)].sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < least) faint.push(`${contrast.toFixed(2)} ${element.outerHTML.slice(0, 90)}`);
  }
  return faint;
}"""
"""Texts whose contrast with what is behind them is below the least (WCAG 2.2, 1.4.3)."""


@pytest.fixture
def page(browser_page):
    return browser_page


def leave_one_out(page):
    page.locator("#before .evidence li").first.get_by_role("checkbox").uncheck()
    page.wait_for_selector("#after")


def wait_for(page, name):
    """Open a view and wait until it is there."""
    open_view(page, name)
    ready = {"Ask": "#before", "Map": "canvas", "Threshold": "#threshold", "Overview": "#doubts"}
    page.wait_for_selector(ready.get(name, ".cards li"))


def test_every_control_has_a_name_in_the_tree_of_a_screen_reader(page):
    leave_one_out(page)
    for name in VIEWS:
        wait_for(page, name)
        tree = page.locator("body").aria_snapshot()
        found = re.findall(rf"^\s*- (?:{'|'.join(CONTROLS)})\b.*$", tree, re.M)
        assert len(found) >= len(VIEWS)
        assert [line for line in found if '"' not in line] == []
        assert re.search(rf'button "{name}"', tree)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out(page, scheme):
    page.emulate_media(color_scheme=scheme)
    leave_one_out(page)
    for name in VIEWS:
        wait_for(page, name)
        assert page.evaluate(FAINT, 4.5) == []
    assert page.evaluate(FAINT, 22) != [], "else nothing is measured"


def test_the_answer_is_announced(page):
    spoken = page.locator("#spoken")
    assert spoken.get_attribute("aria-live") == "polite"
    answer = page.locator("#before .answer").inner_text()
    expect(spoken).to_have_text(re.compile(rf"^The answer is {answer}, [\d.]+%\. \w"))
    page.locator("#class-out").select_option(answer)
    page.get_by_role("button", name="Leave this class out").click()
    page.wait_for_selector("#after")
    other = page.locator("#after .answer").inner_text()
    assert other != answer
    expect(spoken).to_have_text(
        re.compile(rf"^After your changes: {other}, .* Before: {answer}\.$")
    )


def focused(page):
    return page.evaluate(
        "[document.activeElement.tagName, document.activeElement.getAttribute('aria-label')"
        " ?? document.activeElement.textContent.slice(0, 40)]"
    )


def test_the_focus_stays_where_a_person_works(page):
    tick = page.locator("#before .evidence li").first.get_by_role("checkbox")
    tick.focus()
    before = focused(page)
    page.keyboard.press("Space")
    page.wait_for_selector("#after")
    assert focused(page) == before
    assert not tick.is_checked()
    page.get_by_role("button", name="Undo").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#after", state="detached")
    assert focused(page) == ["SECTION", "The memory"]  # there is nothing more to undo
    page.get_by_role("button", name="Stored images", exact=True).focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".cards li")
    assert focused(page) == ["BUTTON", "Stored images"]
    page.locator('input[type="search"]').fill("cat/")
    page.keyboard.press("Enter")
    expect(page.locator(".name", has_text="dog/")).to_have_count(0)
    assert focused(page) == ["INPUT", "search by file"]


def hold_back(page, address, milliseconds):
    """Let the answers to an address come late."""

    def answer_late(route):
        page.wait_for_timeout(milliseconds)
        with suppress(playwright.Error):  # it went on by itself where it is held back no more
            route.continue_()

    page.route(address, answer_late)


def test_a_view_that_comes_late_is_not_shown(page):
    hold_back(page, "**/api/stored", 500)
    with page.expect_response("**/api/stored"):
        open_view(page, "Stored images")
        open_view(page, "Map")
    page.wait_for_selector("canvas")
    page.wait_for_timeout(200)
    assert page.locator("main h2").all_inner_texts() == ["Map of the images"]


def test_what_is_waited_for_is_said_in_place_of_the_view_before(page):
    held = []

    def hold(route):
        held.append(route)

    page.route("**/api/tests", hold)
    open_view(page, "Test images")
    expect(page.locator("main h2")).to_have_text(["Test images"])
    expect(page.locator("#status")).to_have_text(re.compile("^Answering the test images"))
    expect(page.locator("main progress")).to_have_count(1)
    assert page.locator("main").get_attribute("aria-busy") == "true"
    held[0].continue_()
    page.wait_for_selector(".cards li")
    expect(page.locator("#status")).to_have_text("")
    assert page.locator("main").get_attribute("aria-busy") is None


def test_the_view_that_was_opened_last_wins_over_questions_maps_and_errors(page):
    """Whatever was asked for before comes to nothing, its message and its error too."""
    hold_back(page, "**/api/job", 300)
    open_view(page, "Map")
    page.wait_for_selector("main progress")
    open_view(page, "Threshold")
    page.wait_for_selector("#threshold")
    page.unroute("**/api/job")

    open_view(page, "Test images")
    page.wait_for_selector(".cards li")
    hold_back(page, "**/api/ask", 500)
    with page.expect_response("**/api/ask"):
        page.locator(".cards li button.image").nth(1).click()
        open_view(page, "Threshold")
    page.wait_for_selector("#threshold")
    page.wait_for_timeout(200)
    assert page.locator("main h2").all_inner_texts() == ["A threshold for one class"]
    current = page.locator("#views button[aria-current]")
    assert current.all_inner_texts() == ["Threshold"]

    page.unroute("**/api/ask")
    page.route("**/api/overview", lambda route: route.fulfill(status=400, json={"error": "No."}))
    open_view(page, "Overview")
    expect(page.locator("#status.error")).to_have_text("No.")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    open_view(page, "Stored images")
    page.wait_for_selector(".cards li")
    expect(page.locator("#status")).to_have_text("")


def test_a_step_that_is_refused_leaves_the_controls_as_the_memory_stands(page):
    page.route("**/api/change", lambda route: route.fulfill(status=400, json={"error": "No."}))
    tick = page.locator("#before .evidence li").first.get_by_role("checkbox")
    tick.click()
    expect(page.locator("#status.error")).to_have_text("No.")
    expect(tick).to_be_checked()


def test_the_map_is_walked_with_arrow_keys(page):
    open_view(page, "Map")
    page.wait_for_selector("canvas")
    page.locator("canvas").focus()
    seen = []
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowLeft", "ArrowUp"):
        page.keyboard.press(key)
        seen.append(page.locator("#point").inner_text())
    assert all("labelled" in text for text in seen)
    assert len(set(seen)) >= 3
    expect(page.locator("#seen img")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_selector("#before")
    assert page.locator("#image .name").inner_text() in seen[-1]


def test_headings_follow_each_other_in_order(page):
    leave_one_out(page)
    for name in VIEWS:
        wait_for(page, name)
        levels = [
            int(one) for one in re.findall(r"\[level=(\d)\]", page.locator("body").aria_snapshot())
        ]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))


def test_a_page_with_changes_asks_before_it_is_left(page):
    asks = "!dispatchEvent(new Event('beforeunload', { cancelable: true }))"
    assert page.evaluate(asks) is False
    leave_one_out(page)
    assert page.evaluate(asks) is True
    page.get_by_role("button", name="Undo").click()
    page.wait_for_selector("#after", state="detached")
    assert page.evaluate(asks) is False
