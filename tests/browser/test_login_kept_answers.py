"""What lies between the page and the server keeps answers, or ends long requests."""

import re

import pytest

from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Stub
from tests.security_rows import row

#: Answers each GET from its cache, if it can. A POST goes to the server.
WORKER = """addEventListener("install", () => skipWaiting());
addEventListener("activate", event => event.waitUntil(clients.claim()));
addEventListener("fetch", event => {
  if (event.request.method !== "GET") return;
  event.respondWith(caches.open("all").then(async cache => {
    const kept = await cache.match(event.request, {ignoreSearch: IGNORE});
    if (kept) return kept;
    const answer = await fetch(event.request);
    await cache.put(event.request, answer.clone());
    return answer;
  })) })"""
CONTROLLED = """async () => { await navigator.serviceWorker.register("/worker.js");
  await navigator.serviceWorker.ready;
  while (!navigator.serviceWorker.controller) await new Promise(done => setTimeout(done, 20)) }"""


async def open_page(login_page: LoginPage, stub: Stub, *, ignore_query: bool) -> None:
    """Opens a page whose requests a service worker answers, from its cache where it can."""
    stub.worker = WORKER.replace("IGNORE", "true" if ignore_query else "false")
    stub.attributes += ' start="manual"'
    await login_page.page.goto(stub.url)
    await login_page.page.evaluate(CONTROLLED)
    await login_page.press("Show QR code")
    await login_page.until("pending")


async def test_a_service_worker_that_keeps_answers_does_not_stop_a_login(
    login_page: LoginPage, stub: Stub
) -> None:
    stub.rotation = 1.2
    await open_page(login_page, stub, ignore_query=False)
    link = "it => it.shadowRoot.querySelector('[part=link]').href.split('.').pop()"
    await login_page.eventually(
        lambda: login_page.element.evaluate(link), lambda code: int(code) >= 2, "later codes"
    )
    for state in ("scanned", "confirmed"):
        stub.move(state)
        await login_page.until(state)
    await login_page.press("Continue")
    await login_page.eventually(lambda: stub.login.state == "redeemed")


@pytest.mark.matrix
async def test_a_service_worker_that_ignores_the_query_is_reported(
    login_page: LoginPage, stub: Stub
) -> None:
    """No address gets past it. The page says that something is wrong, and the console says what."""
    warnings: list[str] = []
    login_page.page.on("console", lambda message: warnings.append(message.text))
    await open_page(login_page, stub, ignore_query=True)
    stub.move("scanned")
    await login_page.until("unavailable")
    assert any("exempt this path from it" in text for text in warnings)


async def test_no_two_polls_have_the_same_address(login_page: LoginPage, stub: Stub) -> None:
    stub.hold = 0.1
    await login_page.page.clock.install()
    await login_page.page.goto(stub.url)
    await login_page.eventually(lambda: stub.count("status") >= 4, hurry=True)
    echoes = [call.query["echo"] for call in stub.calls if call.kind == "status"]
    assert len(set(echoes)) == len(echoes)
    assert all(re.fullmatch("[a-z0-9]{12}", echo) for echo in echoes)


@row(38)
async def test_an_answer_with_an_older_version_is_not_shown(
    login_page: LoginPage, stub: Stub
) -> None:
    """It may come from a cache, on a server that sends no echo."""
    stub.hold = 0.1
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    stub.move("confirmed")
    await login_page.until("confirmed")
    stub.extra = {"version": 1, "state": "scanned"}
    await login_page.eventually(login_page.text, lambda text: "Retrying" in text)
    assert await login_page.state() == "confirmed"
    stub.extra = {}
    await login_page.eventually(login_page.text, lambda text: "Retrying" not in text)


async def test_a_proxy_that_ends_held_polls_is_no_trouble(
    login_page: LoginPage, stub: Stub
) -> None:
    """The page asks for shorter holds, and shows no note."""
    stub.cut = 3.2
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    await login_page.element.evaluate(
        """it => { window.notes = [];
        const note = it.shadowRoot.querySelector('[part=note]');
        new MutationObserver(() => notes.push(note.textContent))
          .observe(note, {childList: true}) }"""
    )
    await login_page.eventually(
        lambda: [int(call.query["wait"]) for call in stub.calls if call.kind == "status"],
        lambda waits: len(waits) >= 3,
        "polls",
    )
    waits = [int(call.query["wait"]) for call in stub.calls if call.kind == "status"]
    assert waits[0] > 20
    assert waits[1:3] == [0, 3]
    assert "Connection problem. Retrying…" not in await login_page.page.evaluate("() => notes")
    stub.move("scanned")
    await login_page.until("scanned")
