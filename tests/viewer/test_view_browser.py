"""The viewer under a person's hands, in a real browser; every step that docs/view.md names."""

import re
import time

import pytest

from tests.viewer.conftest import serving
from whence.report.numbers import percent
from whence.viewer.viewer import Viewer

pytestmark = pytest.mark.browser
playwright = pytest.importorskip("playwright.sync_api")

expect = playwright.expect


@pytest.fixture
def page(browser_page):
    return browser_page


def check_width(page):
    """Nothing sticks out sideways, every picture loads, every control has a name."""
    found = page.evaluate(
        """() => {
          const named = element => element.getAttribute("aria-label") || element.textContent.trim()
            || (element.labels && element.labels.length);
          const controls = [...document.querySelectorAll("button, select, input, meter, progress")];
          return {
            wide: document.documentElement.scrollWidth - window.innerWidth,
            nameless: controls.filter(one => !named(one)).map(one => one.outerHTML),
            objects: document.body.textContent.includes("[object"),
            broken: [...document.images].filter(one => one.complete && !one.naturalWidth).length,
          };
        }"""
    )
    assert found == {"wide": 0, "nameless": [], "objects": False, "broken": 0}


def open_view(page, name):
    page.locator("#views").get_by_role("button", name=name, exact=True).click()


def test_ask_edit_undo_and_see_both_answers(page, viewed):
    check_width(page)
    first = page.locator("#before .evidence li").first
    index = first.get_attribute("data-index")
    first.get_by_role("checkbox").uncheck()
    page.wait_for_selector("#after")
    assert page.locator(f'#after .evidence li[data-index="{index}"]').count() == 0
    assert page.locator(f'#before .evidence li[data-index="{index}"].out').count() == 1
    check_width(page)
    page.get_by_role("button", name="Undo").click()
    page.wait_for_selector("#after", state="detached")
    page.get_by_role("button", name="Redo").click()
    page.wait_for_selector("#after")
    page.get_by_role("button", name="Undo").click()
    page.wait_for_selector("#after", state="detached")

    answer = page.locator("#before .answer").inner_text()
    expect(page.locator("#class-out")).to_have_value(answer)
    page.get_by_role("button", name="Leave this class out").click()
    page.wait_for_selector("#changed")
    assert answer in page.locator("#changed").inner_text()
    assert page.locator("#after .answer").inner_text() != answer
    check_width(page)


def test_pin_relabel_and_leave_files_out(page):
    first = page.locator("#before .evidence li").first
    index = first.get_attribute("data-index")
    first.get_by_role("button", name="pin").click()
    page.wait_for_selector(f'#before li[data-index="{index}"] button[aria-pressed="true"]')
    page.locator("#pattern").fill("*/*")
    page.get_by_role("button", name="Leave these files out").click()
    page.wait_for_selector("#after")
    assert page.locator("#after .evidence li").count() == 1
    assert page.locator("#after .evidence li").get_attribute("data-index") == index
    other = {"cat": "dog", "dog": "cat"}[page.locator("#after .answer").inner_text()]
    page.locator(f'#after .evidence li[data-index="{index}"] select').select_option(other)
    expect(page.locator("#after .answer")).to_have_text(other, timeout=60_000)
    steps = page.locator(".steps li").all_inner_texts()
    assert [text.split()[0] for text in steps] == ["pinned", "left", "labelled"]


def test_an_own_image_is_asked_about_added_and_exported(page, viewed_folder, tmp_path):
    page.set_input_files("#file", viewed_folder / "photos" / "dog" / "3.png")
    expect(page.locator("img.asked")).to_have_attribute(
        "src", re.compile("/upload/"), timeout=60_000
    )
    check_width(page)
    page.locator("#add-label").select_option("cat")
    page.get_by_role("button", name="Add it to the memory").click()
    page.wait_for_selector("#after")
    expect(page.locator(".steps li")).to_have_text("added 3.png as cat")
    page.set_input_files("#file", [viewed_folder / "photos" / "cat" / f"{n}.png" for n in (1, 2)])
    expect(page.locator("#image .name")).to_have_text("2.png")
    page.get_by_label("or one of yours").select_option("1.png")
    expect(page.locator("#image .name")).to_have_text("1.png")
    many = [tmp_path / f"{number}.png" for number in range(101)]
    for path in many:
        path.write_bytes(b"no image")
    page.set_input_files("#file", many)
    expect(page.locator("#status.error")).to_have_text(
        "Choose at most 100 images at once, you chose 101; none was read. "
        "whence predict answers for a whole folder."
    )
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    page.set_input_files("#file", bad)
    expect(page.locator("#status.error")).to_contain_text("bad.png cannot be read as an image")
    page.locator("#before .evidence li").first.get_by_role("checkbox").uncheck()
    page.wait_for_selector("#before .evidence li.out")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export changes (CSV)").click()
    text = download.value.path().read_text()
    assert text.startswith("file,index,label,")
    assert ",remove," in text


def test_an_edited_memory_is_saved_by_name(page, viewed_folder):
    page.locator("#before .evidence li").first.get_by_role("checkbox").uncheck()
    page.wait_for_selector("#after")
    name = f"browser-{time.time_ns()}"
    page.locator("#save-name").fill(name)
    page.get_by_role("button", name="Save memory").click()
    expect(page.locator("#status")).to_have_text(
        re.compile(r"^Saved as banks.*; accuracy on the test images \d"), timeout=60_000
    )
    assert (viewed_folder / "run" / "banks" / name / "whence.json").exists()
    page.get_by_role("button", name="Save memory").click()
    page.wait_for_selector("#status.error")
    assert "choose another name" in page.locator("#status").inner_text()


def test_heatmaps_come_on_demand(page):
    page.locator("#method").select_option("gradient_x_input")
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_selector('#maps img[alt="relevance of the image\'s pixels"]')
    check_width(page)


def test_browse_confusions_doubt_and_suspicious_labels(page):
    open_view(page, "Overview")
    page.wait_for_selector("#doubts")
    check_width(page)
    page.locator("td button").first.click()
    page.wait_for_selector('input[type="search"]')
    assert page.locator(".cards li").count() >= 1
    check_width(page)
    page.locator(".cards li button.image").first.click()
    page.wait_for_selector("#before")
    open_view(page, "Test images")
    page.wait_for_selector('input[type="search"]')
    page.locator('input[type="search"]').fill("cat/")
    page.locator('input[type="search"]').press("Enter")
    expect(page.locator(".name", has_text="dog/")).to_have_count(0, timeout=60_000)
    assert page.locator(".name", has_text="cat/").count() >= 1
    open_view(page, "Stored images")
    page.wait_for_selector(".cards li")
    check_width(page)


def test_a_suspicious_label_is_accepted_another_one_rejected(browser, mislabelled):
    run, dog = mislabelled
    with serving(Viewer(run)) as address:
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(address)
        page.wait_for_selector("#before")
        open_view(page, "Overview")
        suspects = page.locator("#suspicious .card")
        expect(suspects.first).to_be_visible()
        name = run.model.bank.sources[run.model.bank.indices.tolist().index(dog)]
        card = suspects.filter(has_text=name)
        card.get_by_role("button", name="Reject").click()
        expect(card.locator(".changed")).to_have_text("label stays")
        open_view(page, "Ask")
        expect(page.locator(".steps li")).to_have_count(0)
        open_view(page, "Overview")
        card.get_by_role("button", name="Accept dog").click()
        expect(card.locator(".changed")).to_have_text("now dog")
        open_view(page, "Ask")
        expect(page.locator(".steps li")).to_have_text([f"labelled {name} dog"])
        page.close()


def test_the_map_opens_its_images(page):
    open_view(page, "Map")
    canvas = page.wait_for_selector("canvas")
    check_width(page)
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    side = box["width"]
    for across in range(1, 40):  # some dot is near one of these
        for up in range(1, 40):
            point = {"x": across * side / 40, "y": up * side / 40}
            canvas.dispatch_event(
                "mousemove", {"clientX": box["x"] + point["x"], "clientY": box["y"] + point["y"]}
            )
            if "labelled" in page.locator("#point").inner_text():
                canvas.click(position=point)
                page.wait_for_selector("#before")
                return
    raise AssertionError("no dot was found")


def test_the_slider_shows_recall_precision_and_cost(page):
    open_view(page, "Threshold")
    slider = page.wait_for_selector("#threshold")
    check_width(page)
    recalls = []
    for value in (slider.get_attribute("min"), slider.get_attribute("max")):
        slider.evaluate(
            "(one, value) => { one.value = value; one.dispatchEvent(new Event('input')); }", value
        )
        recalls.append(page.locator(".numbers b").nth(1).inner_text())
    assert recalls[0].startswith("0%")
    assert recalls[1].startswith("100%")


def test_shares_and_dots_in_words_and_colours(page):
    shares = [0, 0.0004, 0.8123, 0.99996, 1]
    told = page.evaluate("shares => shares.map(percent)", shares)
    assert told == [percent(share) for share in shares]
    colours = page.evaluate('["cat", "dog", ""].map(label => colourOf(["cat", "dog"], label))')
    assert len(set(colours)) == 3
    assert "NaN" not in colours[2]
    # by a threshold the answer is not the most probable class
    told = {"answer": "cat", "share": 0.25, "doubt": {"title": "Doubtful"}}
    told["classes"] = [{"name": "dog", "share": 0.75}, {"name": "cat", "share": 0.25}]
    assert page.evaluate("told => sayAnswer({ before: told })", told) == (
        "The answer is cat, 25.0%. Doubtful."
    )
    dot = {"part": "stored", "name": "a.png", "label": "", "wrong": False, "suspicious": False}
    assert page.evaluate("nameDot", dot) == "stored image a.png, without a label"
    assert page.evaluate("nameDot", dot | {"label": "cat"}) == "stored image a.png, labelled cat"


def test_the_keyboard_alone_reaches_everything(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "To the content"
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.tagName + document.activeElement.id"))
    assert {"BUTTON", "INPUTfile", "INPUTtest-number"} <= seen


def test_two_runs_answer_beside_each_other_and_strangers_need_the_token(browser, viewed):
    with serving(Viewer(viewed, viewed), token="t" * 20) as address:
        page = browser.new_page()
        assert page.goto(address).status == 401
        page.goto(f"{address}?token={'t' * 20}")
        page.wait_for_selector("#beside")
        assert "token" not in page.url
        answers = page.locator(".answer").all_inner_texts()
        assert answers[0] == answers[1]
        page.close()
