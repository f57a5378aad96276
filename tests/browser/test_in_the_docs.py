"""The two pages that docs/http.md shows, the login page and the phone's page.

The test takes them from the document without a change.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from qrlogin import MemoryStore, QRLogin, State
from qrlogin.demo.server import Server
from qrlogin.wire import Endpoint, Person, Request, Response
from qrlogin.wire.message import StartResponse
from tests.browser.login_page import LoginPage

PAGE = Path(__file__).parent.parent.parent / "docs" / "http.md"
HTML = "text/html; charset=utf-8"


def shown(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )


def application(
    endpoint: Endpoint,
) -> Callable[[Mapping[str, Any], StartResponse], Iterable[bytes]]:
    """The application: Alice is signed in on every phone, and /account is for every browser."""
    login_page, phone = shown("html")
    pages = {"": (HTML, f'<!doctype html><html lang="en"><title>Log in</title>{login_page}</html>')}
    pages["account"] = (
        HTML,
        '<!doctype html><html lang="en"><title>Account</title><h1>Welcome</h1></html>',
    )

    def answer(environ: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        path = str(environ["PATH_INFO"]).removeprefix("/")
        if path.startswith("qrlogin/phone/"):
            asked = Request.from_wsgi(environ, path.removeprefix("qrlogin/phone/"))
            return endpoint.phone(asked, Person("alice", shown_as="A•••e")).to_wsgi(start_response)
        if path.startswith("qrlogin/"):
            return endpoint.browser(
                Request.from_wsgi(environ, path.removeprefix("qrlogin/"))
            ).to_wsgi(start_response)
        kind, page = (HTML, phone) if path.startswith("qr/") else pages.get(path, (HTML, ""))
        return Response(200 if page else 404, (("Content-Type", kind),), page.encode()).to_wsgi(
            start_response
        )

    return answer


async def test_the_two_pages_of_the_docs_log_a_browser_in(login_page: LoginPage) -> None:
    with Server("127.0.0.1", 0) as server:
        origin = f"http://127.0.0.1:{server.port}"
        qr = QRLogin(MemoryStore(), secret_keys=[bytes(range(32))], verification_uri=f"{origin}/qr")
        server.start(application(Endpoint(qr, max_waiting=8)))
        try:
            await login_page.page.goto(origin)
            await login_page.until("pending")
            [cookie] = await login_page.context.cookies()
            begun = qr.status(cookie["value"])

            phone = await login_page.context.new_page()
            await phone.goto(begun.verification_uri_complete)
            await phone.locator("dd", has_text="Chrome").wait_for()
            assert qr.status(cookie["value"]).state is State.PENDING, (
                "opening the page changes nothing"
            )
            await phone.wait_for_timeout(600)  # the question's buttons are inert at first
            await phone.get_by_role("button", name="Yes, log in").click()
            await phone.locator("qr-approve[state=approved]").wait_for()

            await login_page.until("confirmed")
            await login_page.page.wait_for_timeout(600)  # the question's buttons are inert at first
            await login_page.press("Continue")
            await login_page.page.wait_for_url(f"{origin}/account")
        finally:
            server.stop(qr.close)
