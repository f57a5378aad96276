"""bilibili-api-python over httpx. It draws the picture; its user has to poll."""

import asyncio

import httpx
from bilibili_api import login_v2, request_settings, select_client
from bilibili_api.utils.network import get_client, set_session

from tests.clients.drivers.rerouted import ORIGIN, say, say_asked, say_picture

SITE = "https://passport.bilibili.com"
EVENTS = login_v2.QrCodeLoginEvents


class Here(httpx.AsyncHTTPTransport):
    """Sends the requests for every host to the demo. The cookie jar sees the original host."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        meant, here = request.url, httpx.URL(ORIGIN)
        say_asked(request.method, str(meant))
        request.url = meant.copy_with(scheme=here.scheme, host=here.host, port=here.port)
        try:
            return await super().handle_async_request(request)
        finally:
            request.url = meant


async def main() -> None:
    select_client("httpx")
    request_settings.set_enable_auto_buvid(False)  # it would send a request to another host first
    get_client()
    browser = httpx.AsyncClient(transport=Here())
    set_session(browser)
    login, last = login_v2.QrCodeLogin(), None
    await login.generate_qrcode()
    say_picture(login.get_qrcode_picture().content)
    while last not in (EVENTS.DONE, EVENTS.TIMEOUT):
        await asyncio.sleep(1)
        seen = await login.check_state()
        if seen is EVENTS.CONF and seen is not last:
            say("scanned")
        last = seen
    if login.has_done():
        assert login.get_credential().has_sessdata()
        say("in", who=(await browser.get(f"{SITE}/demo/me")).json()["name"])
    else:
        say("stopped", why=last.name)


asyncio.run(main())
