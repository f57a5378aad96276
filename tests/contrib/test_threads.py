"""A thread costs more than what qrlogin does in a request, so only what may block uses one."""

import asyncio
import inspect
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from unittest import mock

import fastapi
import httpx2
import pytest
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from django.test import override_settings
from django.urls import include, path
from fastapi import Request
from fastapi.routing import APIRoute

from qrlogin import AsyncMemoryStore, AsyncQRLogin
from qrlogin.contrib.asgi import qrlogin_app
from qrlogin.contrib.django import qrlogin_urls
from qrlogin.contrib.fastapi import qrlogin_router
from qrlogin.wire import AsyncEndpoint
from tests.tables import for_each_row
from tests.wire import django_mount
from tests.wire.mount import ALICE, KEY, ORIGIN, URI


@contextmanager
def counting_threads() -> Iterator[list[str]]:
    """What was given to a thread: calls of executors, and threads of anyio, which has its own."""
    found: list[str] = []
    submit, start = ThreadPoolExecutor.submit, threading.Thread.start

    def counted_submit(self: Any, function: Any, *arguments: Any, **named: Any) -> Any:
        found.append("call")
        return submit(self, function, *arguments, **named)

    def counted_start(self: threading.Thread) -> None:
        if "AnyIO" in self.name:
            found.append("start")
        start(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ThreadPoolExecutor, "submit", counted_submit)
        patch.setattr(threading.Thread, "start", counted_start)
        yield found


async def log_in(app: Any, endpoint: AsyncEndpoint, *, first: str = "") -> dict[str, int]:
    """One login. Returns how often each request used a thread.

    :param app: Any ASGI application, with the endpoint below /qr/.
    :param endpoint: The endpoint.
    :param first: A path to open before, of a view that does nothing. What it used is subtracted.
    """
    used: dict[str, int] = {}
    transport = httpx2.ASGITransport(app)
    headers = {"Origin": ORIGIN}
    async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers) as client:

        async def ask(name: str, path: str, body: object = None) -> Any:
            method = "GET" if body is None else "POST"
            with counting_threads() as threads:
                answer = await client.request(method, path, json=body)
            assert answer.status_code in (200, 201), answer.text
            used[name] = len(threads) - used.get("null", 0)
            return answer.json()

        if first:
            await ask("null", first)
        begun = await ask("begin", "/qr/begin", {})
        await ask("pending", f"/qr/{begun['login_id']}")
        for verb in ("scan", "confirm"):
            await ask(verb, f"/qr/phone/{verb}", {"code": begun["verification_uri_complete"]})
        seen = await ask("confirmed", f"/qr/{begun['login_id']}")
        body = {"acknowledged": seen["scanned_by"]["tag"], "op": "made-for-this-login"}
        await ask("redeem", f"/qr/{begun['login_id']}/redeem", body)
    return used


def story(mount: Callable[[AsyncEndpoint], Any], *, first: str = "") -> dict[str, int]:
    """`log_in` to an application that is mounted in a loop of its own."""

    async def run() -> dict[str, int]:
        qr = AsyncQRLogin(AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI)
        async with qr:
            endpoint = AsyncEndpoint(qr, max_waiting=1)
            return await log_in(mount(endpoint), endpoint, first=first)

    return asyncio.run(run())


def in_fastapi(endpoint: AsyncEndpoint, *functions: Any, **named: Any) -> Any:
    app = fastapi.FastAPI()
    app.include_router(qrlogin_router(endpoint, *functions, **named), prefix="/qr")
    return app


def in_asgi(endpoint: AsyncEndpoint, *functions: Any, **named: Any) -> Any:
    mounted = qrlogin_app(endpoint, *functions, **named)
    return lambda scope, *rest: mounted({**scope, "root_path": "/qr"}, *rest)


class Functions:
    """`person`, `log_in` and `protect` of one kind, and the threads in which they were called."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.called: list[tuple[str, int]] = []

    def make(self, name: str, result: Any = None) -> Any:
        def plain(*_: object, **named: object) -> Any:
            self.called.append((name, threading.get_ident()))
            return result

        async def awaited(*_: object, **named: object) -> Any:
            return plain()

        class Awaited:
            async def __call__(self, *_: object, **named: object) -> Any:
                return plain()

        made: Any = {"plain": plain, "async": awaited, "async object": Awaited()}[self.kind]
        if name == "person":
            made.__signature__ = SIGNATURE  # FastAPI reads it, and passes these parameters
        return made

    @property
    def threads(self) -> set[int]:
        return {thread for _, thread in self.called}


SIGNATURE = inspect.Signature(
    [inspect.Parameter("request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Request)]
)
MOUNTS = [in_fastapi, in_asgi]


@for_each_row("kind", ["async", "async object"])
@for_each_row("mount", MOUNTS)
def test_a_login_through_async_functions_uses_no_thread(kind: str, mount: Any) -> None:
    each = Functions(kind)
    protect, person, log_in = each.make("protect"), each.make("person", ALICE), each.make("log_in")
    used = story(lambda endpoint: mount(endpoint, person, log_in, protect=protect))
    assert sum(used.values()) == 0, used
    assert [name for name, _ in each.called].count("protect") == 3  # scan, confirm, redeem
    assert each.threads == {threading.get_ident()}


@for_each_row("mount", MOUNTS)
def test_a_plain_function_may_block_because_it_runs_in_a_thread(mount: Any) -> None:
    each = Functions("plain")
    protect, person, log_in = each.make("protect"), each.make("person", ALICE), each.make("log_in")
    story(lambda endpoint: mount(endpoint, person, log_in, protect=protect))
    assert {name for name, _ in each.called} == {"protect", "person", "log_in"}
    assert threading.get_ident() not in each.threads


@for_each_row("mount", MOUNTS)
def test_an_application_without_csrf_tokens_uses_no_thread_for_them(mount: Any) -> None:
    each = Functions("async")
    used = story(lambda endpoint: mount(endpoint, each.make("person", ALICE), each.make("log_in")))
    assert sum(used.values()) == 0, used


@override_settings(MIDDLEWARE=["django.middleware.csrf.CsrfViewMiddleware"])
def test_in_django_under_asgi_a_request_uses_a_thread_only_for_the_application() -> None:
    """The CSRF protection is asked, and `person` and `log_in` are called, in the thread that has
    Django's connections. One thread serves both of a phone's.
    """

    async def null(request: HttpRequest) -> HttpResponse:
        return HttpResponse("{}")

    def mount(endpoint: AsyncEndpoint) -> Any:
        qrlogin = qrlogin_urls(endpoint, lambda request: ALICE, lambda request, redeemed: None)
        return django_mount.asgi([path("null", null), path("qr/", include((qrlogin, "qrlogin")))])

    with mock.patch.object(CsrfViewMiddleware, "process_view", return_value=None):
        used = story(mount, first="/null")
    assert used == {
        "null": used["null"],
        "begin": 0,
        "pending": 0,
        "scan": 1,
        "confirm": 1,
        "confirmed": 0,
        "redeem": 2,
    }


def test_fastapi_compares_what_is_asked_often_with_few_routes_and_no_dependencies() -> None:
    qr = AsyncQRLogin(AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI)
    router = qrlogin_router(AsyncEndpoint(qr, max_waiting=1), lambda: ALICE, lambda *_: None)
    routes = [route for route in router.routes if isinstance(route, APIRoute)]
    paths = [route.path for route in routes]
    assert paths[:2] == ["/begin", "/{login_id}"]
    assert paths.index("/phone/scan") < 15
    often = routes[:2] + [
        route for route in routes if route.path.startswith("/phone/") and route.include_in_schema
    ]
    assert all(len(route.dependant.dependencies) <= 1 for route in often)  # `person`
    assert all(not route.dependencies for route in often)
