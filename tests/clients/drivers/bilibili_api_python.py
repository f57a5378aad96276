"""bilibili-api-python with httpx. The driver polls, as the users of this client do."""

import asyncio

import httpx
from bilibili_api import login_v2, request_settings, select_client
from bilibili_api.utils.network import get_client, set_session

from tests.clients.drivers.rerouted import ORIGIN, report, report_picture, report_request

SITE = "https://passport.bilibili.com"
EVENTS = login_v2.QrCodeLoginEvents


class Rerouted(httpx.AsyncHTTPTransport):
    """Sends every request to the demo. The cookie jar still sees the original host."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        original, demo = request.url, httpx.URL(ORIGIN)
        report_request(request.method, str(original))
        request.url = original.copy_with(scheme=demo.scheme, host=demo.host, port=demo.port)
        try:
            return await super().handle_async_request(request)
        finally:
            request.url = original


async def main() -> None:
    select_client("httpx")
    request_settings.set_enable_auto_buvid(False)  # it would call another host first
    get_client()
    browser = httpx.AsyncClient(transport=Rerouted())
    set_session(browser)
    login, last = login_v2.QrCodeLogin(), None
    await login.generate_qrcode()
    report_picture(login.get_qrcode_picture().content)
    while last not in (EVENTS.DONE, EVENTS.TIMEOUT):
        await asyncio.sleep(1)
        seen = await login.check_state()
        if seen is EVENTS.CONF and seen is not last:
            report("scanned")
        last = seen
    if login.has_done():
        assert login.get_credential().has_sessdata()
        report("in", who=(await browser.get(f"{SITE}/demo/me")).json()["name"])
    else:
        report("stopped", why=last.name)


asyncio.run(main())
