"""A run of votes on small photographs, and the viewer on it, in a browser if a test asks for one."""

import os
import shutil
import threading
from contextlib import contextmanager

import pytest
import uvicorn
from PIL import Image
from starlette.testclient import TestClient

import whence
from whence.cli import main
from whence.runs.where import AS_SETTINGS_SAY
from whence.viewer.app import build_app
from whence.viewer.serve import open_socket
from whence.viewer.viewed_run import open_run
from whence.viewer.viewer import Viewer

HOST = "127.0.0.1:8000"
ME, YOU = "0" * 32, "1" * 32
WIDTHS = (1280, 400)


class Page:
    """An open page: what its script would send, and what it gets."""

    def __init__(self, client, name=ME):
        self.client, self.name = client, name
        self.call("describe")  # as a page does first

    def call(self, action, status=200, **given):
        """Call the viewer; what comes back, or the sentence of a refusal."""
        found = self.client.post(f"/api/{action}", json=given, headers={"x-whence": self.name})
        assert found.status_code == status, found.text
        return found.json() if status == 200 else found.json()["error"]

    def bring(self, content, name="mine.png", status=200):
        found = self.client.post(
            "/api/bring", content=content, params={"name": name}, headers={"x-whence": self.name}
        )
        assert found.status_code == status, found.text
        return found.json() if status == 200 else found.json()["error"]


@pytest.fixture(scope="session")
def viewed_folder(tmp_path_factory):
    """A finished run on two classes of colours, with files, and its photographs."""
    folder = tmp_path_factory.mktemp("viewed")
    for number, name in enumerate(("cat", "dog")):
        for count in range(12):
            place = folder / "photos" / name / f"{count}.png"
            place.parent.mkdir(parents=True, exist_ok=True)
            colour = (200 - 150 * number, 5 * count, 60 + 100 * number)
            Image.effect_noise((8, 8), 30 + count).convert("RGB").point(lambda p: p // 4).save(
                place
            )
            held = Image.open(place).convert("RGB")
            Image.blend(held, Image.new("RGB", (8, 8), colour), 0.8).save(place)
    arguments = [str(folder / "photos"), "--epochs", "4", "--encoder", "small_cnn", "--recipe"]
    arguments += ["paper", "--variant", "votes", "--validation-examples", "4"]
    assert main(["train", *arguments, "--out", str(folder / "run")]) == 0
    return folder


@pytest.fixture(scope="session")
def viewed(viewed_folder):
    return open_run(viewed_folder / "run", device="cpu", where=AS_SETTINGS_SAY)


@pytest.fixture(scope="session")
def mislabelled(viewed_folder):
    """The run with a stored dog that is called a cat."""
    run = open_run(viewed_folder / "run", device="cpu", where=AS_SETTINGS_SAY)
    names, bank = run.model.class_names, run.model.bank
    dog = int(bank.indices[bank.labels == names.index("dog")][0])
    run.model = whence.edit(run.model, relabel={dog: "cat"})
    return run, dog


@pytest.fixture
def client(viewed):
    return TestClient(build_app(Viewer(viewed), hosts=[HOST]), base_url=f"http://{HOST}")


@pytest.fixture
def page(client):
    return Page(client)


@contextmanager
def serving(viewer, token=None):
    """Serve a viewer as the command does; gives its address."""
    opened = open_socket("127.0.0.1", 0)
    port = opened.getsockname()[1]
    app = build_app(viewer, hosts=[f"127.0.0.1:{port}"], token=token)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [opened]}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.should_exit = True
        thread.join(20)
        opened.close()


@pytest.fixture(scope="module")
def browser():
    name = os.environ.get("WHENCE_CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    assert name, "Chromium is needed for these tests; name it with WHENCE_CHROMIUM."
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=name, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(params=WIDTHS)
def browser_page(request, browser, viewed):
    """The viewer's page, on the first test image; nothing may be said on the console."""
    with serving(Viewer(viewed)) as address:
        page = browser.new_page(viewport={"width": request.param, "height": 900})
        page.set_default_timeout(60_000)
        said, asked = [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda sent: asked.append(sent.url))
        page.goto(address)
        page.wait_for_selector("#before")
        yield page
        assert all(url.startswith((address, "data:", "blob:")) for url in asked)
        allowed = "Failed to load resource: the server responded with a status of 400"
        assert [text for text in said if not text.startswith(allowed)] == []
        page.close()
