"""A single-page application with a token of its own logs in by phone: built with Vite and Vue,
served by Vite, in a real browser, against a real server.

Vite's proxy gives its page the origin of the API, or `origins` lists the origin of its page.
"""

import io
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import npm_parts
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.render.readers import decode
from tests.servers import CHROMIUM_ARGUMENTS, LOOPBACK, START_SECONDS, free_port, missing
from tests.spa.server import Api, served

APP = Path(__file__).parent / "app"
PAGE = Path(__file__).parents[2] / "docs" / "single-page.md"
PHONE = {"Authorization": "Bearer phone-of-alice"}

FETCH = """async ([url, init]) => {
    try {
        const answer = await fetch(url, init)
        return [answer.status, answer.headers.get("retry-after")]
    } catch (error) { return [error.name, null] }
}"""


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=chromium_path, args=CHROMIUM_ARGUMENTS
        )
        yield chromium
        chromium.close()


def vite_command() -> list[str]:
    """Vite's command line. Skips the test if Vite is not installed."""
    if not npm_parts.ready(APP):
        missing("Vite", npm_parts.HOW)
    return [npm_parts.node() or "node", "node_modules/vite/bin/vite.js"]


@contextmanager
def vite(port: int, *command: str, **environment: str) -> Iterator[None]:
    """Vite in a process of its own, which answers at this port."""
    whole = [*vite_command(), *command]
    env = {**os.environ, **environment}
    where = ["--port", str(port), "--host", LOOPBACK]
    with subprocess.Popen(
        [*whole, *where], cwd=APP, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as process:
        try:
            give_up = time.monotonic() + 3 * START_SECONDS
            while True:
                assert process.poll() is None
                assert time.monotonic() < give_up, "Vite does not answer"
                try:
                    httpx2.get(f"http://{LOOPBACK}:{port}/", trust_env=False, timeout=10)
                    break
                except httpx2.HTTPError:
                    time.sleep(0.1)
            yield
        finally:
            process.terminate()


@contextmanager
def same_origin() -> Iterator[Api]:
    """The page of Vite's development server, which passes the API's paths on."""
    page, port = free_port(), free_port()
    origin = f"http://{LOOPBACK}:{page}"
    with served(port, origin, f"{origin}/qr", ()) as api, vite(page, API=api.origin):
        yield api


@contextmanager
def other_origin(folder: Path) -> Iterator[Api]:
    """The built page, of an origin of its own."""
    page, port = free_port(), free_port()
    origin, listens = f"http://{LOOPBACK}:{page}", f"http://{LOOPBACK}:{port}"
    subprocess.run(
        [*vite_command(), "build", "--outDir", str(folder), "--logLevel", "error"],
        cwd=APP,
        env={**os.environ, "VITE_API": listens},
        stdin=subprocess.DEVNULL,
        check=True,
    )
    with (
        served(port, origin, f"{listens}/qr", [origin]) as api,
        vite(page, "preview", "--outDir", str(folder)),
    ):
        yield api


def scanned(page: Page) -> str:
    """What a camera reads from the page."""
    picture = page.locator("svg").screenshot()
    (read,) = decode(Image.open(io.BytesIO(picture)))
    return read.decode()


def phone(api: Api, verb: str, code: str) -> None:
    """The phone's app, which sends its token and no origin."""
    answer = httpx2.post(
        f"{api.origin}/qrlogin/phone/{verb}", json={"code": code}, headers=PHONE, trust_env=False
    )
    assert answer.status_code == 200, answer.text


def log_in(api: Api, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 800, "height": 700})
    page = context.new_page()
    problems = list[str]()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if line.type == "error" else None)
    page.goto(api.page)

    page.click("#log-in")  # the person says no
    page.wait_for_selector("svg")
    code = scanned(page)
    phone(api, "scan", code)
    page.wait_for_selector("svg", state="detached")
    phone(api, "confirm", code)
    page.click("#no")
    page.wait_for_selector("#log-in")
    assert not api.tokens

    page.click("#log-in")
    page.wait_for_selector("svg")
    code = scanned(page)
    phone(api, "scan", code)
    phone(api, "deny", code)
    page.wait_for_selector("#problem:has-text('denied')")

    page.click("#log-in")
    page.wait_for_selector("svg")
    code = scanned(page)
    phone(api, "scan", code)
    phone(api, "confirm", code)
    page.click("#yes")
    page.wait_for_selector("#person:has-text('Hello, Alice')")

    assert problems == []
    assert context.cookies() == []
    assert not any("cookie" in headers for _, _, headers in api.requests)
    context.close()


@pytest.mark.matrix
@pytest.mark.timeout(240)
def test_a_page_behind_a_proxy_of_the_same_origin_logs_in_with_its_own_token(
    browser: Browser,
) -> None:
    with same_origin() as api:
        log_in(api, browser)
        assert not [path for method, path, _ in api.requests if method == "OPTIONS"]
        assert {headers.get("origin", api.page) for _, _, headers in api.requests} <= {api.page}


@pytest.mark.matrix
@pytest.mark.timeout(240)
def test_a_page_of_a_listed_origin_logs_in_with_its_own_token(
    browser: Browser, tmp_path: Path
) -> None:
    with other_origin(tmp_path) as api:
        log_in(api, browser)
        assert ("OPTIONS", "qrlogin/begin") in {(one[0], one[1]) for one in api.requests}

        context = browser.new_context()
        listed, unlisted = context.new_page(), context.new_page()
        listed.goto(api.page)
        unlisted.goto(api.page.replace(LOOPBACK, "localhost"))  # the same page, of another origin

        def ask(page: Page, path: str, body: str, **init: Any) -> Any:
            headers = {"Content-Type": "application/json", **init.pop("headers", {})}
            sent = {"method": "POST", "body": body, "headers": headers, **init}
            return page.evaluate(FETCH, [f"{api.origin}/qrlogin/{path}", sent])

        begin = ("begin", '{"deliver": "body"}')
        assert ask(listed, *begin) == [201, None]
        assert ask(unlisted, *begin) == ["TypeError", None]
        assert ask(listed, *begin, credentials="include") == ["TypeError", None]
        assert ask(listed, "begin", "{}") == [403, None]  # and no cookie
        # A phone's page of another origin decides with its token, and with nothing else.
        scan = ("phone/scan", '{"code": "x"}')
        assert ask(listed, *scan, headers=PHONE) == [404, None]
        assert ask(listed, *scan, headers=PHONE, credentials="include") == ["TypeError", None]
        assert ask(listed, *scan) == [403, None]
        assert ask(unlisted, *scan, headers=PHONE) == ["TypeError", None]
        context.close()


def test_the_page_in_the_docs_shows_the_client_that_is_tested() -> None:
    shown = re.findall(r"```js\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert (APP / "src" / "phone-login.js").read_text(encoding="utf-8") in shown
    assert (APP / "vite.config.js").read_text(encoding="utf-8") in shown
