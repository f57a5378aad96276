"""A simulated browser and a simulated phone, for the tests of your application.

    from qrlogin.testing import Browser, Phone

    def test_a_phone_logs_a_browser_in(client, phone_client):  # test clients of your framework
        browser = Browser(client).begin()
        Phone(phone_client).approve(browser)
        browser.redeem()
        assert client.get("/account").status_code == 200

`Browser` and `Phone` take a test client of Flask, Django, Starlette or FastAPI, or of httpx, or a
`QRLogin`. `AsyncBrowser` and `AsyncPhone` take `httpx.AsyncClient`, Django's `AsyncClient`, or an
`AsyncQRLogin`. `Clock` turns the clock of every memory store.
"""

from qrlogin.testing.clients import Refused
from qrlogin.testing.clock import Clock
from qrlogin.testing.devices import AsyncBrowser, AsyncPhone, Browser, Phone

__all__ = ["AsyncBrowser", "AsyncPhone", "Browser", "Clock", "Phone", "Refused"]
