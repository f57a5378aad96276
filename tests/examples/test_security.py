"""Attacks on the examples, from a real Chromium and over plain HTTP."""

import re
import secrets
import threading
from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.demo.phone_page import camera
from tests.examples.profiles import at_desk, in_hand
from tests.examples.running import Running
from tests.examples.visitors import PASSWORD, OfExamples, Visitor
from tests.security_rows import row
from tests.servers import LOOPBACK, free_port
from tests.wire.sites import wsgiref_server

PAGES = ["/login", "/signup", "/", "/qr", "/qr/abc"]
HEADERS = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


@row(414, 416)
@pytest.mark.parametrize("signed_in", [False, True])
def test_every_page_has_the_security_headers(example: Running, signed_in: bool) -> None:
    manner = OfExamples()
    with manner.phone(example.origin, "alice") if signed_in else Visitor(example.origin) as visitor:
        for path in PAGES:
            seen = visitor.http.get(path, headers={"Sec-Fetch-Mode": "navigate"})
            assert seen.status_code in (200, 302, 303), path
            policy = seen.headers["content-security-policy"]
            for rule in (
                "default-src 'none'",
                "script-src 'self'",
                "frame-ancestors 'none'",
                "base-uri 'none'",
            ):
                assert rule in policy, (path, policy)
            assert "unsafe" not in policy
            for name, value in HEADERS.items():
                assert value in seen.headers[name], (path, name, seen.headers[name])
            assert seen.headers["referrer-policy"] in ("no-referrer", "same-origin")


def test_forms_of_other_sites_are_refused(example: Running) -> None:
    """Sent without the framework's CSRF token, and with the origin of another site."""
    manner, name = OfExamples(), f"mallory-{secrets.token_hex(4)}"
    with manner.phone(example.origin, "alice") as alice, Visitor(example.origin) as stranger:
        stranger.page("/login")
        for origin, fetched in (("https://evil.example", "cross-site"), ("null", "cross-site")):
            evil = {"Origin": origin, "Referer": "https://evil.example/", "Sec-Fetch-Site": fetched}
            for path in ("/login", "/signup"):
                answer = stranger.http.post(
                    path, data={"name": name, "password": PASSWORD}, headers=evil
                )
                assert answer.status_code in (400, 403), (path, answer.status_code)
            assert alice.http.post("/logout", headers=evil).status_code in (400, 403)
        assert manner.who(alice) == "alice"


ELSEWHERE = (
    *(
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "https:evil.example",
        "/\t/evil.example",
    ),
    *(
        "javascript:alert(1)",
        "/%2f%2fevil.example",
        "/..//evil.example",
        "///evil.example",
        "/\r\nSet-Cookie: a=b",
    ),
)


@row(34)
def test_next_leads_to_no_other_site(example: Running) -> None:
    manner = OfExamples()
    with manner.phone(example.origin, "alice"):
        pass
    for elsewhere in ELSEWHERE:
        with Visitor(example.origin) as visitor:
            fields = {
                **visitor.page("/login").hidden(),
                "name": manner.named("alice"),
                "password": PASSWORD,
                "next": elsewhere,
            }
            from_here = {"Origin": example.origin, "Referer": f"{example.origin}/login"}
            answer = visitor.http.post("/login", data=fields, headers=from_here)
            assert answer.status_code in (302, 303), answer.text
            where = str(visitor.http.base_url.join(answer.headers["location"]))
            assert where.startswith(f"{example.origin}/"), elsewhere
            assert not re.match(r"^https?://[^/]+//", where), elsewhere
            assert "set-cookie: a=b" not in str(answer.headers).lower()


@row(16, 417)
async def test_no_page_can_be_framed(chromium: Browser, example: Running, tmp_path: Path) -> None:
    """Not even by a page of the same site, whose frames get the cookie: the browser shows an error
    page in the frame."""
    phone = await in_hand(chromium, example.origin, tmp_path, f"alice-{secrets.token_hex(4)}")
    desk = await at_desk(chromium, example.origin, tmp_path)
    target = await camera(desk.desk)
    port = free_port()

    def evil(environ: object, start_response: object) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html")])  # type: ignore[operator]
        return [f'<!doctype html><title>evil</title><iframe src="{target}"></iframe>'.encode()]

    server = wsgiref_server(port, evil)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    phone.desk.forgives("frame-ancestors")
    phone.desk.forgives("X-Frame-Options")
    await phone.page.goto(f"http://{LOOPBACK}:{port}/")
    (framed,) = phone.page.frames[1:]

    async def where() -> str:
        return str(await framed.evaluate("() => location.href"))

    await phone.desk.eventually(
        where, lambda url: url.startswith("chrome-error:"), "the browser's error page"
    )
    assert await desk.desk.state() == "pending"
    server.shutdown()
    server.server_close()
    for each in (phone, desk):
        await each.close()


@row(19)
async def test_no_secret_is_in_an_address_an_attribute_or_the_log(
    chromium: Browser, example: Running, tmp_path: Path
) -> None:
    """Nor in a referrer. The text of the QR code is not a secret."""
    name = f"alice-{secrets.token_hex(4)}"
    phone, desk = (
        await in_hand(chromium, example.origin, tmp_path, name),
        await at_desk(chromium, example.origin, tmp_path),
    )
    seen: list[str] = []
    await desk.cookies()
    await phone.cookies()
    await phone.scan(desk.desk)
    seen += await phone.attributes() + await desk.attributes()
    await phone.approve()
    await desk.desk.until("confirmed")
    seen += await desk.attributes()
    sent: list[str] = []
    desk.page.on("request", lambda request: sent.append(request.post_data or ""))
    await desk.answer(1)
    await desk.logged_in_as(name)
    await desk.cookies()
    seen += await desk.attributes()
    hidden = desk.secrets | phone.secrets | {PASSWORD}
    hidden |= {
        value for body in sent for value in re.findall(r'"(?:acknowledged|op)":"([^"]+)"', body)
    }
    assert len(hidden) > 4
    for secret in hidden:
        for where in ("addresses", "log", "attributes"):
            text = {
                "addresses": "\n".join(desk.addresses + phone.addresses),
                "log": example.log,
                "attributes": "\n".join(
                    one for one in seen if not one.startswith(("csrf-token=", "value="))
                ),
            }[where]
            assert secret not in text, f"a secret is in the {where}"
    for each in (phone, desk):
        await each.close()
