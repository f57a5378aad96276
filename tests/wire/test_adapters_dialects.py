"""The examples' adapters serve several dialects, issue tokens and log out."""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import fastapi
import flask
import httpx2
import pytest
from django import urls
from django.http import HttpRequest
from starlette.middleware.sessions import SessionMiddleware

from qrlogin import AsyncMemoryStore, AsyncQRLogin, MemoryStore, QRLogin, Redeemed
from qrlogin.contrib.django import qrlogin_urls
from qrlogin.contrib.fastapi import qrlogin_router
from qrlogin.contrib.flask import qrlogin_blueprint
from qrlogin.core import Core
from qrlogin.wire import (
    AsyncEndpoint,
    Dialect,
    Endpoint,
    Native,
    Person,
    Rfc8628,
    WeChat,
    WeChatOpen,
)
from qrlogin.wire.dialects.rfc8628 import GRANT_TYPE
from tests.wire import django_mount
from tests.wire.dialects.dialect_clients import TYPED, everybody
from tests.wire.mount import KEY, ORIGIN, URI
from tests.wire.test_adapters import Wsgi

AT = {name: f"{ORIGIN}/{name}" for name in ("wechat", "oauth", "open")}
DIALECTS: Mapping[str, Callable[[Core], Dialect]] = {
    "qrlogin": Native,
    "wechat": lambda core: WeChat(core, at=AT["wechat"], hold=0.01),
    "oauth": lambda core: Rfc8628(core, at=AT["oauth"], clients=everybody),
    "open": lambda core: WeChatOpen(core, at=AT["open"], hold=0.01, clients=everybody),
}
OPTIONS: dict[str, Any] = {"secret_keys": [KEY], "verification_uri": URI, "policy": TYPED}
PERSON = Person("1", "A•••e")


class Shop:
    """An application that counts its callbacks' calls. `lacks` names callbacks to leave out."""

    def __init__(self, *lacks: str) -> None:
        self.log_ins: list[Redeemed] = []
        self.log_outs = 0
        self.given: list[Redeemed] = []
        self.lacks = lacks

    def log_in(self, redeemed: Redeemed) -> str:
        self.log_ins.append(redeemed)
        return redeemed.subject

    def log_out(self) -> None:
        self.log_outs += 1

    def tokens(self, redeemed: Redeemed) -> Mapping[str, object]:
        self.given.append(redeemed)
        return {
            "access_token": f"token of {redeemed.subject}",
            "token_type": "Bearer",
            "expires_in": 600,
        }

    def has(self, **callbacks: Any) -> dict[str, Any]:
        return {name: callback for name, callback in callbacks.items() if name not in self.lacks}


class Make(Protocol):
    def __call__(self, shop: Shop, *names: str) -> Any: ...


def flask_app(shop: Shop, *names: str) -> httpx2.AsyncBaseTransport:
    app = flask.Flask(__name__)
    app.secret_key = KEY
    app.config["TESTING"] = True  # raises what a callback raises
    qr = QRLogin(MemoryStore(), **OPTIONS)

    def log_in(redeemed: Redeemed) -> None:
        flask.session["user"] = shop.log_in(redeemed)

    def log_out() -> None:
        shop.log_out()
        flask.session.clear()

    for name in names:
        endpoint = Endpoint(qr, DIALECTS[name](qr.core), max_waiting=2)
        called: dict[str, Any] = {} if name == "qrlogin" else {"name": name}
        more = shop.has(log_out=log_out, tokens=shop.tokens)
        blueprint = qrlogin_blueprint(endpoint, lambda: PERSON, log_in, **more, **called)
        app.register_blueprint(blueprint, url_prefix=f"/{name}")
    return Wsgi(app)


def fastapi_app(shop: Shop, *names: str) -> httpx2.AsyncBaseTransport:
    app = fastapi.FastAPI()
    app.add_middleware(SessionMiddleware, secret_key=KEY.hex(), https_only=True)
    qr = AsyncQRLogin(AsyncMemoryStore(), **OPTIONS)

    async def log_in(request: fastapi.Request, redeemed: Redeemed) -> None:
        request.session["user"] = shop.log_in(redeemed)

    async def log_out(request: fastapi.Request) -> None:
        shop.log_out()
        request.session.clear()

    async def tokens(redeemed: Redeemed) -> Mapping[str, object]:
        return shop.tokens(redeemed)

    for name in names:
        endpoint = AsyncEndpoint(qr, DIALECTS[name](qr.core), max_waiting=2)
        more = shop.has(log_out=log_out, tokens=tokens)
        app.include_router(
            qrlogin_router(endpoint, lambda: PERSON, log_in, **more), prefix=f"/{name}"
        )
    return httpx2.ASGITransport(app)


def django_app(shop: Shop, *names: str) -> httpx2.AsyncBaseTransport:
    qr = QRLogin(MemoryStore(), **OPTIONS)

    def log_in(request: HttpRequest, redeemed: Redeemed) -> None:
        request.session["user"] = shop.log_in(redeemed)

    def log_out(request: HttpRequest) -> None:
        shop.log_out()
        request.session.flush()

    mounted = []
    for name in names:
        endpoint = Endpoint(qr, DIALECTS[name](qr.core), max_waiting=2)
        more = shop.has(log_out=log_out, tokens=shop.tokens)
        mounted.append(
            urls.path(
                f"{name}/", urls.include(qrlogin_urls(endpoint, lambda _: PERSON, log_in, **more))
            )
        )
    return Wsgi(django_mount.wsgi(mounted))


APPS = pytest.mark.parametrize(
    "make", [flask_app, fastapi_app, django_app], ids=["Flask", "FastAPI", "Django"]
)
Story = Callable[[httpx2.AsyncClient], Any]


def run_with(make: Make, story: Story, shop: Shop, *names: str) -> None:
    async def run() -> None:
        page = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}
        async with httpx2.AsyncClient(
            transport=make(shop, *names), base_url=ORIGIN, headers=page, trust_env=False
        ) as browser:
            await story(browser)

    asyncio.run(run())


async def approve(browser: httpx2.AsyncClient, code: str, below: str = "qrlogin") -> None:
    for verb in ("scan", "confirm"):
        assert (
            await browser.post(f"/{below}/phone/{verb}", json={"code": code})
        ).status_code == 200


async def wechat_redirect(browser: httpx2.AsyncClient) -> str:
    """Approve a login, and return where WeChat's dialect sends the page."""
    uuid = (await browser.get("/wechat/jslogin")).text.rpartition(' = "')[2].removesuffix('";')
    await approve(browser, uuid)
    answer = await browser.get(f"/wechat/cgi-bin/mmwebwx-bin/login?uuid={uuid}")
    found = re.search(r'redirect_uri="(.*?)"', answer.text)
    assert found
    return found[1]


async def device(browser: httpx2.AsyncClient) -> dict[str, str]:
    """Approve a login of a device, and return the form of its poll."""
    begun = (await browser.post("/oauth/device_authorization", data={"client_id": "tv"})).json()
    await approve(browser, begun["user_code"])
    return {"grant_type": GRANT_TYPE, "device_code": begun["device_code"], "client_id": "tv"}


@APPS
def test_several_dialects_work_in_one_application(make: Make) -> None:
    shop = Shop()

    async def story(browser: httpx2.AsyncClient) -> None:
        landed = await browser.get(await wechat_redirect(browser))
        assert (landed.status_code, landed.headers["location"]) == (301, f"{ORIGIN}/")
        assert "session" in browser.cookies
        begun = (await browser.post("/qrlogin/begin", json={})).json()
        await approve(browser, begun["verification_uri_complete"])
        tag = (await browser.get(f"/qrlogin/{begun['login_id']}")).json()["scanned_by"]["tag"]
        redeem = {"acknowledged": tag, "op": "made-for-this-click"}
        assert (
            await browser.post(f"/qrlogin/{begun['login_id']}/redeem", json=redeem)
        ).status_code == 200
        fields = (await browser.post("/oauth/token", data=await device(browser))).json()
        assert fields["access_token"] == "token of 1"
        for path in (
            "/wechat/begin",
            "/qrlogin/jslogin",
            "/oauth/jslogin",
            "/jslogin",
            "/wechat/token",
        ):
            assert (await browser.get(path)).status_code == 404
        assert (
            await browser.post(
                "/wechat/phone/scan", json={"code": begun["verification_uri_complete"]}
            )
        ).status_code == 404

    run_with(make, story, shop, "qrlogin", "wechat", "oauth", "open")
    assert [len(shop.log_ins), len(shop.given), shop.log_outs] == [2, 1, 0]
    assert len({redeemed.login_id for redeemed in (*shop.log_ins, *shop.given)}) == 3


def test_two_blueprints_of_one_name_are_refused_by_flask() -> None:
    qr = QRLogin(MemoryStore(), **OPTIONS)
    app = flask.Flask(__name__)
    for name, taken in (("one", False), ("one", True), ("two", False)):
        blueprint = qrlogin_blueprint(
            Endpoint(qr, max_waiting=1), lambda: None, lambda _: None, name=name
        )
        if taken:
            with pytest.raises(ValueError, match="already registered"):
                app.register_blueprint(blueprint, url_prefix=f"/{name}-again")
        else:
            app.register_blueprint(blueprint, url_prefix=f"/{name}")


@APPS
def test_an_oauth_client_gets_tokens_and_no_session(make: Make) -> None:
    shop = Shop()

    async def story(browser: httpx2.AsyncClient) -> None:
        form = await device(browser)
        browser.cookies.clear()
        answer = await browser.post("/oauth/token", data=form)
        assert answer.json() == {
            "access_token": "token of 1",
            "token_type": "Bearer",
            "expires_in": 600,
        }
        assert (answer.status_code, answer.headers["content-type"]) == (
            200,
            "application/json; charset=utf-8",
        )
        assert (answer.headers["cache-control"], answer.headers["pragma"]) == (
            "no-store",
            "no-cache",
        )
        assert answer.headers.get_list("set-cookie") == []
        again = await browser.post("/oauth/token", data=form)  # its answer was lost
        assert again.json() == answer.json()
        assert dict(browser.cookies) == {}

    run_with(make, story, shop, "qrlogin", "oauth")
    assert (shop.log_ins, [redeemed.replayed for redeemed in shop.given]) == ([], [False, True])


@APPS
def test_an_applications_server_gets_tokens_and_no_session(make: Make) -> None:
    shop = Shop()

    async def story(browser: httpx2.AsyncClient) -> None:
        page = await browser.get("/open/connect/qrconnect?appid=wx1")
        uuid = page.text.partition("/connect/qrcode/")[2][:32]
        await approve(browser, uuid)
        fields = (await browser.get(f"/open/connect/l/qrconnect?uuid={uuid}&f=json")).json()
        before = dict(browser.cookies)
        answer = await browser.get(
            "/open/sns/oauth2/access_token?appid=wx1&secret=s&grant_type=authorization_code"
            f"&code={fields['wx_code']}"
        )
        assert answer.json()["access_token"] == "token of 1"
        assert (answer.headers.get_list("set-cookie"), dict(browser.cookies)) == ([], before)

    run_with(make, story, shop, "qrlogin", "open")
    assert (shop.log_ins, len(shop.given)) == ([], 1)


@APPS
def test_tokens_are_requested_only_after_approval(make: Make) -> None:
    shop = Shop()

    async def story(browser: httpx2.AsyncClient) -> None:
        begun = (await browser.post("/oauth/device_authorization", data={"client_id": "tv"})).json()
        form = {"grant_type": GRANT_TYPE, "device_code": begun["device_code"], "client_id": "tv"}
        answer = await browser.post("/oauth/token", data=form)
        assert (answer.status_code, answer.json()["error"]) == (400, "authorization_pending")

    run_with(make, story, shop, "oauth")
    assert (shop.log_ins, shop.given) == ([], [])


@APPS
def test_logging_out_ends_the_session(make: Make) -> None:
    shop = Shop()

    async def story(browser: httpx2.AsyncClient) -> None:
        await browser.get(await wechat_redirect(browser))
        assert "session" in browser.cookies
        answer = await browser.post("/wechat/cgi-bin/mmwebwx-bin/webwxlogout?redirect=1&type=0")
        assert answer.status_code == 301
        assert "session" not in browser.cookies

    run_with(make, story, shop, "qrlogin", "wechat")
    assert (len(shop.log_ins), shop.log_outs) == (1, 1)


# Without a callback that the dialect needs


@APPS
def test_without_a_tokens_function_the_adapter_raises_and_starts_no_session(make: Make) -> None:
    shop = Shop("tokens")

    async def story(browser: httpx2.AsyncClient) -> None:
        form = await device(browser)
        with pytest.raises(RuntimeError, match="needs log_out= or tokens="):
            await browser.post("/oauth/token", data=form)
        assert dict(browser.cookies) == {}

    run_with(make, story, shop, "qrlogin", "oauth")
    assert (shop.log_ins, shop.given) == ([], [])


@APPS
def test_without_a_log_out_function_the_adapter_raises(make: Make) -> None:
    shop = Shop("log_out")

    async def story(browser: httpx2.AsyncClient) -> None:
        await browser.get(await wechat_redirect(browser))
        with pytest.raises(RuntimeError, match="needs log_out= or tokens="):
            await browser.post("/wechat/cgi-bin/mmwebwx-bin/webwxlogout?redirect=1&type=0")
        assert "session" in browser.cookies

    run_with(make, story, shop, "qrlogin", "wechat")
    assert (len(shop.log_ins), shop.log_outs) == (1, 0)


@APPS
def test_a_dialect_that_needs_neither_function_works_without_them(make: Make) -> None:
    shop = Shop("log_out", "tokens")

    async def story(browser: httpx2.AsyncClient) -> None:
        assert (await browser.get(await wechat_redirect(browser))).status_code == 301

    run_with(make, story, shop, "qrlogin", "wechat")
    assert len(shop.log_ins) == 1
