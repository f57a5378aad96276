"""`qrlogin.testing` plays both sides of a login over any test client. docs/testing.md has more."""

import asyncio
import subprocess
import sys
from typing import Any

import httpx2
import pytest

from qrlogin import AsyncMemoryStore, AsyncQRLogin, MemoryStore, QRLogin
from qrlogin.contrib.asgi import qrlogin_app
from qrlogin.testing import AsyncBrowser, AsyncPhone, Browser, Clock, Phone, Refused
from qrlogin.wire import AsyncEndpoint, Person
from tests.application import KEY, URI

MARIA = Person("42", name="maria@example.com")


def test_each_act_of_both_devices_without_http(qrlogin_clock: Clock) -> None:
    with QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI) as qr:
        browser, phone = Browser(qr).begin(), Phone(qr, person=MARIA)
        assert phone.look(browser)["state"] == "pending"
        with pytest.raises(Refused, match="wrong_state"):
            browser.redeem()
        phone.scan(browser.code)
        assert phone.release(browser)["state"] == "pending"
        phone.scan(browser)
        phone.deny(browser)
        with pytest.raises(Refused, match="denied"):
            browser.redeem()
        browser.begin().cancel()
        assert browser.state == "cancelled"
        first = browser.begin().code
        qrlogin_clock.turn(30)
        browser.status()
        assert browser.code != first
        phone.approve(first)  # within its grace
        assert browser.redeem() == browser.redeem() | {"state": "redeemed"}
        assert phone.outcome(browser)["state"] == "redeemed"
        browser.begin()
        qrlogin_clock.turn(400)
        with pytest.raises(Refused):
            phone.scan(browser)
        assert browser.status()["state"] == "expired"


def test_the_clock_is_right_again_after_the_test() -> None:
    store = MemoryStore()
    with QRLogin(store, secret_keys=[KEY], verification_uri=URI) as qr:
        with Clock() as clock:
            clock.turn(10_000)
            begun = qr.begin()
            with pytest.raises(ValueError, match="does not go back"):
                clock.turn(-1)
        with pytest.raises(RuntimeError, match="use it as a context manager"):
            clock.turn(1)
        assert qr.begin().expires_in == begun.expires_in


def test_the_same_awaited_without_http_and_over_httpx() -> None:
    asyncio.run(over_httpx())


async def over_httpx() -> None:
    async with AsyncQRLogin(AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI) as qr:
        browser, phone = AsyncBrowser(qr), AsyncPhone(qr, person=MARIA)
        await phone.approve(await browser.begin())
        assert (await browser.redeem())["state"] == "redeemed"

        app = qrlogin_app(AsyncEndpoint(qr, max_waiting=8), lambda _: MARIA, lambda *_: None)
        async with httpx2.AsyncClient(
            transport=httpx2.ASGITransport(app), base_url="http://testserver"
        ) as client:
            over_http = AsyncBrowser(client, at="/")
            signed_in = AsyncPhone(
                client, at="/phone", headers={"Authorization": "Bearer of-maria"}
            )
            await signed_in.scan(await over_http.begin())
            await signed_in.release(over_http)
            await signed_in.scan(over_http)
            await signed_in.deny(over_http)
            assert (await signed_in.outcome(over_http))["state"] == "denied"
            await over_http.begin()
            await over_http.cancel()
            assert (await over_http.status())["state"] == "cancelled"


DJANGO = """
import django
from django.conf import settings

settings.configure(
    SECRET_KEY="x" * 50,
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[f"django.contrib.{name}" for name in ("auth", "contenttypes", "sessions")],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
django.setup()

from django.contrib import auth
from django.core.management import call_command
from django.test import Client
from django.urls import include, path

from qrlogin import MemoryStore, QRLogin
from qrlogin.contrib.django import keeping_csrf_token, qrlogin_urls
from qrlogin.testing import Browser, Phone
from qrlogin.wire import Endpoint, Person

qr = QRLogin(
    MemoryStore(), secret_keys=[bytes(range(32))], verification_uri="https://example.com/qr"
)


def person(request):
    user = request.user
    return Person(str(user.pk), name=user.get_username()) if user.is_authenticated else None


def log_in(request, redeemed):
    user = auth.get_user_model().objects.get(pk=redeemed.subject)
    keeping_csrf_token(request, lambda: auth.login(request, user))


urlpatterns = [path("qrlogin/", include(qrlogin_urls(Endpoint(qr, max_waiting=2), person, log_in)))]
call_command("migrate", verbosity=0)
maria = auth.get_user_model().objects.create_user("maria@example.com")
client, phone_client = Client(), Client()
phone_client.force_login(maria)
browser = Browser(client).begin()
Phone(phone_client).approve(browser)
browser.redeem()
print(client.session["_auth_user_id"] == str(maria.pk))
"""


def test_with_the_client_of_django() -> None:
    done = subprocess.run(
        [sys.executable, "-c", DJANGO], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "True\n", done.stderr


def test_what_is_no_client_is_refused_with_what_to_give() -> None:
    with pytest.raises(TypeError, match="give a test client of Flask, Django"):
        Browser("https://example.com")


def test_a_client_of_the_other_kind_is_refused_with_what_to_use() -> None:
    options: dict[str, Any] = {"secret_keys": [KEY], "verification_uri": URI}
    with pytest.raises(TypeError, match="this client is awaited: use AsyncBrowser and AsyncPhone"):
        Browser(AsyncQRLogin(AsyncMemoryStore(), **options)).begin()
    with pytest.raises(TypeError, match="this client blocks: use Browser and Phone"):
        asyncio.run(AsyncBrowser(QRLogin(MemoryStore(), **options)).begin())


def test_a_browser_that_has_begun_no_login_says_so() -> None:
    with QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI) as qr:
        browser, phone = Browser(qr), Phone(qr, person=MARIA)
        for act in (browser.status, browser.redeem, browser.cancel, lambda: phone.scan(browser)):
            with pytest.raises(RuntimeError, match=r"has begun no login: call begin\(\) first"):
                act()
