"""`picture`: the server's own picture over the plain one, for a look of one's own."""

import io
import json

from PIL import Image
from playwright.async_api import Route

from qrlogin.render import Style, png
from tests.browser.login_page import LoginPage
from tests.browser.login_stub import Stub
from tests.demo.phone_page import camera

GREEN = Style(dark="#0b4f43")


async def colours(desk: LoginPage) -> set[object]:
    picture = await desk.page.locator("qr-login .qr").screenshot()
    return {
        colour
        for count, colour in Image.open(io.BytesIO(picture)).convert("RGB").getcolors(1 << 20) or []
        if count > 99
    }


def text(stub: Stub) -> str:
    """What the code says now."""
    (login,) = stub.logins.values()
    return str(json.loads(stub.answer(login).body)["verification_uri_complete"])


async def test_the_servers_picture_is_shown_and_follows_the_code(
    desk: LoginPage, stub: Stub
) -> None:
    asked: list[str] = []

    async def draw(route: Route) -> None:
        asked.append(route.request.url)
        await route.fulfill(body=png(text(stub), scale=8, style=GREEN), content_type="image/png")

    await desk.page.route("**/qr.png?at=*", draw)
    stub.attributes += " picture"
    await desk.page.goto(stub.url)
    await desk.until("pending")

    async def green() -> bool:
        return (0x0B, 0x4F, 0x43) in await colours(desk)

    await desk.eventually(green, what="a green picture")
    first = await camera(desk)

    stub.login.begun -= stub.rotation  # the next one is due
    stub.move("pending")

    async def another() -> bool:
        return await camera(desk) != first

    await desk.eventually(another, what="the next code")
    await desk.eventually(green, what="its green picture")
    assert len(asked) == len(set(asked)) > 1


async def test_without_the_servers_picture_there_is_the_plain_one(
    desk: LoginPage, stub: Stub
) -> None:
    stub.attributes += " picture"
    await desk.page.goto(stub.url)
    await desk.until("pending")
    assert await camera(desk) == text(stub)
    assert (0, 0, 0) in await colours(desk)


async def test_unasked_there_is_no_other(desk: LoginPage, stub: Stub) -> None:
    asked: list[str] = []
    desk.page.on("request", lambda request: asked.append(request.url))
    await desk.page.goto(stub.url)
    await desk.until("pending")
    assert await camera(desk) == text(stub)
    assert not any("qr.png" in url for url in asked)
