"""The attribute `picture`: the server's picture covers the plain code."""

import io
import json

from PIL import Image
from playwright.async_api import Route

from qrlogin.render import Style, png
from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Reply, Stub
from tests.demo.phone_page import camera

GREEN = Style(dark="#0b4f43")


async def colours(login_page: LoginPage) -> set[object]:
    picture = await login_page.page.locator("qr-login .qr").screenshot()
    return {
        colour
        for count, colour in Image.open(io.BytesIO(picture)).convert("RGB").getcolors(1 << 20) or []
        if count > 99
    }


def text(stub: Stub) -> str:
    """The text that the code contains now."""
    (login,) = stub.logins.values()
    return str(json.loads(stub.answer(login).body)["verification_uri_complete"])


async def test_the_servers_picture_is_shown_and_follows_the_code(
    login_page: LoginPage, stub: Stub
) -> None:
    asked: list[str] = []

    async def draw(route: Route) -> None:
        asked.append(route.request.url)
        await route.fulfill(body=png(text(stub), scale=8, style=GREEN), content_type="image/png")

    await login_page.page.route("**/qr.png?at=*", draw)
    stub.attributes += " picture"
    await login_page.page.goto(stub.url)
    await login_page.until("pending")

    async def green() -> bool:
        return (0x0B, 0x4F, 0x43) in await colours(login_page)

    await login_page.eventually(green, what="a green picture")
    first = await camera(login_page)

    stub.login.begun -= stub.rotation  # the next one is due
    stub.move("pending")

    async def another() -> bool:
        return await camera(login_page) != first

    await login_page.eventually(another, what="the next code")
    await login_page.eventually(green, what="its green picture")
    assert len(asked) == len(set(asked)) > 1


async def test_without_the_servers_picture_the_plain_code_is_shown(
    login_page: LoginPage, stub: Stub
) -> None:
    stub.attributes += " picture"
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    assert await camera(login_page) == text(stub)
    assert (0, 0, 0) in await colours(login_page)


async def test_without_the_attribute_no_picture_is_requested(
    login_page: LoginPage, stub: Stub
) -> None:
    asked: list[str] = []
    login_page.page.on("request", lambda request: asked.append(request.url))
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    assert await camera(login_page) == text(stub)
    assert not any("qr.png" in url for url in asked)


async def test_a_code_on_the_screen_is_not_sent_again(login_page: LoginPage, stub: Stub) -> None:
    """The page names the picture that it shows, and keeps it when the answer has no other."""
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    first = await camera(login_page)
    stub.move("scanned", shown_as="alice")
    await login_page.until("scanned")
    stub.move("pending")
    await login_page.until("pending")
    assert await camera(login_page) == first == text(stub)
    shown = json.loads(stub.answer(stub.login).body)["qr"]["id"]
    asked = [call.headers["accept"] for call in stub.calls if call.kind == "status"]
    assert set(asked) == {f"application/json; picture={shown}"}
    assert stub.calls[0].headers["accept"] == "application/json", "begin shows nothing yet"


async def test_an_answer_without_a_picture_must_be_about_the_code_on_the_screen(
    login_page: LoginPage, stub: Stub
) -> None:
    await login_page.page.goto(stub.url)
    await login_page.until("pending")
    first = await camera(login_page)
    other = {"verification_uri_complete": f"{stub.url}qr/other"}
    genuine = json.loads(stub.answer(stub.login).body)
    del genuine["qr"]
    stub.always["status"] = Reply(200, json.dumps(genuine | other).encode())
    stub.move("pending")
    await login_page.eventually(lambda: stub.count("status") > 2, what="a second try")
    assert await camera(login_page) == first
