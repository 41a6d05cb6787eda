"""Who may ask the viewer, from where, and how much; and that nonsense leaves it standing."""

import json
import random
import re

import pytest
from starlette.testclient import TestClient

from tests.viewer.conftest import HOST, ME, Page
from whence.cli import main
from whence.viewer.app import ACTIONS, SCRIPTS, build_app
from whence.viewer.guard import FIXED, MOST_BYTES
from whence.viewer.serve import is_loopback, open_socket
from whence.viewer.viewer import Viewer

TOKEN = "t" * 20
SCRIPT_FILES = tuple(f"/{name}.js" for name in SCRIPTS)


def test_every_answer_has_the_policy(client):
    for path in ("/", *SCRIPT_FILES, "/view.css", "/nothing", "/picture/test/0.png"):
        found = client.get(path)
        assert {name: found.headers[name] for name in FIXED} == FIXED
    policy = FIXED["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src")
    assert "unsafe" not in policy


def test_the_page_has_nothing_inline_and_asks_nobody_else(client):
    page = client.get("/").text
    assert "onclick" not in page
    assert "style=" not in page
    asked = re.findall('<script src="(.*?)" defer></script>', page)
    assert asked == list(SCRIPT_FILES)
    assert page.count("<script") == len(asked)
    script = "".join(client.get(path).text for path in asked)
    for part in (page, script, client.get("/view.css").text):
        assert "http://" not in part
        assert "https://" not in part
    for unsafe in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
        assert unsafe not in script


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}, 200),
        ({"origin": "http://elsewhere.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"host": "elsewhere.example"}, 421),
        ({"host": "127.0.0.1:1"}, 421),
    ],
)
def test_requests_of_other_pages_are_refused(client, headers, status):
    found = client.post("/api/describe", headers={"x-whence": ME, **headers})
    assert found.status_code == status, found.text


def test_a_form_of_another_site_cannot_send_the_own_header(client):
    assert client.post("/api/undo").status_code == 403
    assert client.put("/api/undo", headers={"x-whence": ME}).status_code == 405
    for action, sentence in (("describe", "which one it is; reload it."), ("undo", "Reload it;")):
        found = client.post(f"/api/{action}", headers={"x-whence": "me"})
        assert found.status_code == 400
        assert sentence in found.json()["error"]


def test_strangers_need_the_token(viewed):
    app = build_app(Viewer(viewed), hosts=[HOST], token=TOKEN)
    client = TestClient(app, base_url=f"http://{HOST}", follow_redirects=False)
    for address in ("/", "/?token=", "/?token=wrong", "/view.js", "/view.js?token=" + TOKEN):
        assert client.get(address).status_code == 401
    assert client.get("/", headers={"cookie": 'whence_token_8000="\x7f'}).status_code == 401
    found = client.get(f"/?token={TOKEN}")
    assert (found.status_code, found.headers["location"]) == (303, "/")
    cookie = found.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert cookie.startswith("whence_token_8000="), "another viewer, at another port, has its own"
    assert client.get("/").status_code == 200  # by the cookie
    assert Page(client).call("describe")["run"] == "run"


def test_large_requests_are_refused(page, client, monkeypatch):
    headers = {"x-whence": ME, "content-length": str(MOST_BYTES + 1)}
    assert client.post("/api/bring", headers=headers).status_code == 413
    for length in ("-1", "many", "\u0663"):
        sent = {"x-whence": ME, "content-length": length.encode("latin-1", "replace")}
        assert client.post("/api/bring", headers=sent).status_code == 413
    monkeypatch.setattr("whence.viewer.guard.MOST_BYTES", 1000)

    def pieces():  # no length is said
        for _ in range(5):
            yield b"\0" * 300

    found = client.post("/api/bring", content=pieces(), headers={"x-whence": ME})
    assert found.status_code == 413
    assert page.call("describe")["run"] == "run"
    long = client.post("/api/describe", content=b" " * 2**21, headers={"x-whence": ME})
    assert long.status_code == 413


def test_no_other_file_is_read(client):
    for path in (
        *("/../settings.toml", "/pages/view.js", "/%2e%2e/%2e%2e/etc/passwd", "/view.js/"),
        *("/picture/stored/../../settings.toml", "/picture/%2e%2e/0.png", "/picture/run/0.png"),
        *("/picture/test/-1.png", "/picture/test/99999999999999999999.png", "/api/describe"),
        *("/picture/stored/99999999999999999999.png", "/picture/beside/99999999999999999999.png"),
    ):
        assert client.get(path).status_code in (404, 405), path
    assert client.get(f"/picture/upload/{ME}/0.png").status_code == 404


def test_nonsense_leaves_it_standing(page, client):
    """Random requests and uploads: each is answered, none with an error of the server."""
    numbers = random.Random(0)
    values = [
        *(None, True, -1, 0, 1, 10**30, 1.5, float("1e308"), "", "cat", "\0", "\ud800", "x" * 2000),
        *([], {}, ["cat"], {"a": 1}, "../..", "<script>", "test", "stored", "upload", "untick"),
    ]
    names = ["part", "place", "kind", "index", "label", "pattern", "upload", "search", "first"]
    names += ["truth", "order", "class", "job", "name", "visitor"]
    actions = [*(one for one in ACTIONS if one not in ("heatmaps", "map")), "nothing", "__init__"]
    for number in range(1000):
        given = {name: numbers.choice(values) for name in numbers.sample(names, 4)}
        if number % 4 == 0:
            content = numbers.randbytes(numbers.randrange(400))
            if number % 8 == 0:
                content = b"\x89PNG\r\n\x1a\n" + content
            found = client.post("/api/bring", content=content, headers={"x-whence": ME})
        elif number % 7 == 0:
            content = numbers.randbytes(50)
            action = numbers.choice(actions)
            found = client.post(f"/api/{action}", content=content, headers={"x-whence": ME})
        else:
            action = numbers.choice(actions)
            sent = json.dumps(given)
            found = client.post(f"/api/{action}", content=sent, headers={"x-whence": ME})
        assert found.status_code in (200, 400, 404, 413), ascii((given, found.text))
    assert page.call("ask", part="test", place=0)["before"]


def test_addresses_of_this_machine():
    assert is_loopback("::1")
    assert not is_loopback("192.168.0.1")
    assert not is_loopback("name.example")


def test_a_port_that_is_taken_is_said(viewed_folder, capsys):
    with open_socket("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        assert main(["view", str(viewed_folder / "run"), "--port", port, "--no-open"]) == 2
    line = capsys.readouterr().err
    assert line == (
        f"whence: Port {port} at 127.0.0.1 cannot be used, something else may; choose another "
        "--port, or leave it out.\n"
    )


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["--port", "65536"], "port must be in 0 to 65535, got 65536."),
        (["--port", "-1"], "port must be in 0 to 65535, got -1."),
        (["--token", "short"], "token must have at least 16 characters"),
        (["--beside", "nowhere"], "nowhere"),
        (["--host", "0.0.0.0"], "host must be the one address of this machine that others call"),
    ],
)
def test_bad_options_are_one_sentence(viewed_folder, capsys, given, sentence):
    assert main(["view", str(viewed_folder / "run"), "--no-open", *given]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert sentence in line


def test_another_run_must_take_the_same_images(viewed_folder, measured_run, capsys):
    arguments = ["view", str(viewed_folder / "run"), "--beside", str(measured_run), "--no-open"]
    assert main(arguments) == 2
    assert "must take images of (3, 8, 8) as" in capsys.readouterr().err


def test_pictures_that_other_sites_show_send_nobody_away(page, client):
    page.call("change", kind="untick_class", label="cat")
    for number in range(70):  # as many <img> of another site
        assert client.get(f"/picture/upload/{number:032x}/0.png").status_code == 404
    assert page.call("describe")["edits"]["changed"]


def test_a_length_of_very_many_digits_is_too_large(client):
    assert client.get("/", headers={"content-length": "9" * 5000}).status_code == 413
