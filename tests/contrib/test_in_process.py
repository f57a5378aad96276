"""The rules of qrlogin.contrib for pages of another origin and for what `log_in` returns.

Each runs in every framework, in the test process.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import fastapi
import flask
import httpx2
import pytest
from django.http import HttpResponse
from fastapi import FastAPI
from fastapi.openapi.models import Contact
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask
from werkzeug.test import Client

from qrlogin import AsyncMemoryStore, AsyncQRLogin, MemoryStore, QRLogin
from qrlogin.contrib.fastapi import qrlogin_router
from qrlogin.contrib.flask import qrlogin_blueprint
from qrlogin.errors import Forbidden
from qrlogin.wire import AsyncEndpoint, Endpoint, Native, Response
from tests.contrib import applications
from tests.contrib.applications import ALL, AWAITED, BLOCKING, DJANGO, Shop
from tests.wire.mount import ALICE, KEY, NOBODY, ORIGIN, URI

T = TypeVar("T")
OTHER = "https://app.example.com"
PAGE = {"Origin": OTHER}
PREFLIGHT = PAGE | {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}
PHONE = {"Authorization": "Bearer phone-of-alice"}


class Answer:
    """An answer of either kind of client."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: Any) -> None:
        self.status, self.body = status, body
        self._headers = [(name.lower(), value) for name, value in headers]

    def all(self, name: str) -> list[str]:
        """The values of this header, one for each part of a list."""
        values = [value for key, value in self._headers if key == name]
        return [part.strip() for value in values for part in value.split(",")]


Ask = Callable[..., Awaitable[Answer]]


def each(name: str, shop: Shop, story: Callable[[Ask], Awaitable[T]]) -> T:
    """What the story returns, with the application of this name."""

    async def awaited() -> T:
        qr = AsyncQRLogin(AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI)
        async with qr:
            endpoint = AsyncEndpoint(qr, Native(qr.core, origins=[OTHER]), max_waiting=1)
            transport = httpx2.ASGITransport(AWAITED[name](endpoint, shop))
            async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as client:
                return await story(lambda *sent, **more: asked(client, *sent, **more))

    async def blocking() -> T:
        with QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI) as qr:
            endpoint = Endpoint(qr, Native(qr.core, origins=[OTHER]), max_waiting=1)
            app = BLOCKING[name][0](endpoint, shop)
            if isinstance(app, flask.Flask):
                app.testing = True  # what a view raises comes out, as in the others
            client = Client(app, use_cookies=False)
            return await story(lambda *sent, **more: opened(client, *sent, **more))

    with DJANGO:
        return asyncio.run(awaited() if name in AWAITED else blocking())


async def asked(client: httpx2.AsyncClient, method: str, path: str, **more: Any) -> Answer:
    client.cookies.clear()
    answer = await client.request(method, path, **more)
    body = answer.json() if answer.content else None
    return Answer(answer.status_code, answer.headers.multi_items(), body)


async def opened(client: Client, method: str, path: str, **more: Any) -> Answer:
    answer = await asyncio.to_thread(client.open, path, method=method, base_url=ORIGIN, **more)
    return Answer(answer.status_code, list(answer.headers), answer.json if answer.data else None)


async def redeemed(ask: Ask) -> Answer:
    """The answer to the redeem of a page of another origin."""
    begun = (await ask("POST", "/qr/begin", json={"deliver": "body"}, headers=PAGE)).body
    for verb in ("scan", "confirm"):
        code = {"code": begun["verification_uri_complete"]}
        assert (await ask("POST", f"/qr/phone/{verb}", json=code, headers=PHONE)).status == 200
    bearer = PAGE | {"Authorization": f"Bearer {begun['device_code']}"}
    path = f"/qr/{begun['login_id']}"
    tag = (await ask("GET", path, headers=bearer)).body["scanned_by"]["tag"]
    body = {"acknowledged": tag, "op": "made-for-this-login"}
    return await ask("POST", f"{path}/redeem", json=body, headers=bearer)


def assert_readable(answer: Answer) -> None:
    """A page of the other origin may read it, and no cache keeps it."""
    assert answer.all("access-control-allow-origin") == [OTHER]
    assert "Origin" in answer.all("vary")
    assert answer.all("cache-control") == ["no-store"]
    assert answer.all("x-content-type-options") == ["nosniff"]
    assert answer.all("content-type") in (
        ["application/json"],
        ["application/json; charset=utf-8"],
    )


@pytest.mark.parametrize("name", ALL)
def test_a_preflight_and_a_wrong_method_need_no_person_and_no_csrf_token(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A preflight has no credentials: a `person` that refuses such a request would end it."""

    def person(*_: object) -> None:
        raise AssertionError("a preflight has no person")

    async def story(ask: Ask) -> list[int]:
        paths = ("phone/scan", f"{NOBODY}/redeem")
        answers = [await ask("OPTIONS", f"/qr/{path}", headers=PREFLIGHT) for path in paths]
        for answer in answers:
            assert answer.all("access-control-allow-origin") == [OTHER]
        wrong = await ask("GET", f"/qr/{NOBODY}/redeem", headers=PAGE)
        return [answer.status for answer in (*answers, wrong)]

    monkeypatch.setattr(applications, "person", person)
    assert each(name, Shop(), story) == [204, 204, 405]


@pytest.mark.parametrize("name", ALL)
def test_a_refusal_of_log_in_is_readable_by_the_page_that_asked(name: str) -> None:
    answer = each(name, Shop("refusal"), redeemed)
    assert (answer.status, answer.body) == (403, {"error": "closed"})
    assert_readable(answer)


@pytest.mark.parametrize("name", ["Flask", "Django under WSGI", "Django under ASGI"])
def test_a_refusal_for_a_csrf_token_is_readable_by_the_page_that_asked(name: str) -> None:
    async def story(ask: Ask) -> Answer:
        return await ask("POST", "/qr/phone/scan", json={"code": "x"}, headers=PAGE)

    answer = each(name, Shop(), story)
    assert answer.status in (400, 403)
    assert answer.body["error"] in ("forbidden", "invalid_csrf_token")
    assert_readable(answer)


@pytest.mark.parametrize("name", ["Flask", "FastAPI"])
def test_a_protection_of_your_own_may_raise_forbidden(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`applications.py` shows it for WSGI and ASGI. Django has no other protection than its own."""

    def protect(*_: object) -> None:
        raise Forbidden("the token is old")

    def flask_app(endpoint: Endpoint, shop: Shop) -> Any:
        app = flask.Flask(__name__)
        made = qrlogin_blueprint(endpoint, lambda: None, lambda _: None, protect=protect)
        app.register_blueprint(made, url_prefix="/qr")
        return app

    def fastapi_app(endpoint: AsyncEndpoint, shop: Shop) -> Any:
        app = FastAPI()
        made = qrlogin_router(endpoint, lambda: None, lambda *_: None, protect=protect)
        app.include_router(made, prefix="/qr")
        return app

    async def story(ask: Ask) -> list[Answer]:
        paths = ("phone/scan", f"{NOBODY}/redeem")
        return [await ask("POST", f"/qr/{path}", json={}, headers=PAGE) for path in paths]

    monkeypatch.setitem(BLOCKING, "Flask", (flask_app, None))
    monkeypatch.setitem(AWAITED, "FastAPI", fastapi_app)
    for answer in each(name, Shop(), story):
        assert (answer.status, answer.body["error"]) == (403, "forbidden")
        assert_readable(answer)


def response(name: str, status: int, **headers: str) -> Any:
    """A response of this framework."""
    match name:
        case "Flask":
            return flask.Response("", status, headers)
        case "FastAPI":
            return fastapi.Response("", status, headers)
        case "WSGI" | "ASGI":
            return Response(status, tuple(headers.items()))
    return HttpResponse("", status=status, headers=headers)


@pytest.mark.parametrize("name", ALL)
def test_a_bool_that_log_in_returns_means_nothing(name: str) -> None:
    """Flask-Login's `login_user` returns one."""
    for returned in (True, False):
        answer = each(name, Shop(returns=returned), redeemed)
        assert (answer.status, answer.body["state"]) == (200, "redeemed")
        assert "session" not in answer.body


@pytest.mark.parametrize("name", ALL)
def test_what_log_in_cannot_mean_is_an_error(name: str) -> None:
    """A text, a list, and a redirect, which the script that redeems would follow by itself."""
    for returned in ("Alice", ["Alice"], 42):
        with pytest.raises(TypeError, match=r"log_in returned .*: return None, a mapping, or "):
            each(name, Shop(returns=returned), redeemed)
    with pytest.raises(ValueError, match="log_in returned a redirect"):
        each(name, Shop(returns=response(name, 302, Location="/")), redeemed)


@pytest.mark.parametrize("name", ALL)
def test_the_answer_varies_by_what_both_responses_vary_by(name: str) -> None:
    shop = Shop(returns=response(name, 200, Vary="X-Shop", Link="</a>; rel=next"))
    answer = each(name, shop, redeemed)
    assert {"Origin", "X-Shop"} <= set(answer.all("vary"))
    assert answer.all("link") == ["</a>; rel=next"]
    assert_readable(answer)


@pytest.mark.parametrize("status", [200, 403])
def test_fastapi_runs_the_tasks_of_log_in_and_those_of_dependencies(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = list[str]()

    def around(response: fastapi.Response, tasks: fastapi.BackgroundTasks) -> None:
        response.headers["X-Request-Id"] = "42"
        tasks.add_task(done.append, "of the dependency")

    def app(endpoint: AsyncEndpoint, shop: Shop) -> Any:
        made = FastAPI(dependencies=[fastapi.Depends(around)])
        router = qrlogin_router(endpoint, lambda: ALICE, lambda *_: granted)
        made.include_router(router, prefix="/qr")
        return made

    granted = JSONResponse({}, status, background=BackgroundTask(done.append, "of log_in"))
    monkeypatch.setitem(AWAITED, "FastAPI", app)
    answer = each("FastAPI", Shop(), redeemed)
    assert answer.status == status
    assert answer.all("x-request-id") == ["42"]
    assert done[-2:] == ["of the dependency", "of log_in"]


def test_fastapi_sends_a_model_that_log_in_returns() -> None:
    @dataclass
    class Name:
        name: str

    for returned in (Name("Alice"), Contact(name="Alice")):
        answer = each("FastAPI", Shop(returns=returned), redeemed)
        assert answer.body["session"]["name"] == "Alice"
