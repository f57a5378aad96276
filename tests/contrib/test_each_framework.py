"""What only one of the modules of qrlogin.contrib has to do."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from inspect import iscoroutinefunction
from typing import Any

import fastapi
import flask
import httpx2
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from fastapi.responses import PlainTextResponse
from flask_wtf import CSRFProtect
from starlette.background import BackgroundTask

from qrlogin import (
    STANDARD,
    STRICT,
    AsyncMemoryStore,
    AsyncQRLogin,
    MemoryStore,
    Misconfigured,
    Policy,
    QRLogin,
)
from qrlogin.contrib import asgi, django_conf, django_project, wsgi
from qrlogin.contrib import django as in_django
from qrlogin.contrib import fastapi as in_fastapi
from qrlogin.contrib import flask as in_flask
from qrlogin.contrib.shared import needs_csrf_token, with_log_in
from qrlogin.wire import AsyncEndpoint, Cookie, Endpoint, Person, Request, Response
from tests.contrib.applications import (
    AWAITED,
    DJANGO,
    Shop,
    django_urls,
)
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.django_mount import Urls
from tests.wire.mount import KEY, ORIGIN, URI, post
from tests.wire.mount import read as read_json

PAGE = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def qr() -> Iterator[QRLogin]:
    with QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI) as made:
        yield made


def asyncio_qr() -> AsyncQRLogin:
    return AsyncQRLogin(AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI)


# CSRF


@for_each_row(
    "path, phone, authorization, asked",
    [
        ("scan", True, None, True),
        ("scan", True, "Bearer token", False),
        ("scan", True, "DPoP token", False),
        ("scan", True, "bearer token", False),
        ("scan", True, "", True),
        ("scan", True, "Bearer ", True),
        ("scan", True, "PrivateToken token=abc", True),
        ("scan", True, "Basic YWxpY2U6c2VjcmV0", True),
        ("scan", True, "negotiate YII", True),
        ("A/redeem", False, None, True),
        ("A/redeem", False, "Bearer token", False),
        ("begin", False, None, False),
        ("A/cancel", False, None, False),
    ],
)
def test_a_csrf_token_is_asked_for_where_browsers_add_the_authority(
    path: str, phone: bool, authorization: str | None, asked: bool
) -> None:
    headers = () if authorization is None else (("authorization", authorization),)
    assert needs_csrf_token(Request("POST", path, headers=headers), phone=phone) == asked


def test_two_credentials_count_as_the_weaker_one() -> None:
    headers = (("authorization", "Bearer token"), ("authorization", "Basic YWxpY2U6c2VjcmV0"))
    assert needs_csrf_token(Request("POST", "scan", headers=headers), phone=True)


def test_flask_wtf_may_be_set_up_after_the_blueprint(qr: QRLogin) -> None:
    """In the other order, which `applications.py` has, it works as well."""
    app = flask.Flask(__name__)
    app.secret_key = KEY
    app.register_blueprint(
        in_flask.qrlogin_blueprint(
            Endpoint(qr, max_waiting=1), lambda: Person("1", "A•••e"), lambda _: None
        ),
        url_prefix="/qr",
    )
    CSRFProtect(app)
    client = app.test_client()
    begun = client.post("/qr/begin", json={}, headers=PAGE)
    assert begun.status_code == 201
    code = {"code": begun.get_json()["verification_uri_complete"]}
    refused = client.post("/qr/phone/scan", json=code, headers=PAGE)
    assert (refused.status_code, refused.get_json()["error"]) == (400, "invalid_csrf_token")
    app.config["WTF_CSRF_ENABLED"] = False  # as in other people's tests
    assert client.post("/qr/phone/scan", json=code, headers=PAGE).status_code == 200


def test_the_extension_takes_a_function_for_events_and_one_for_the_context() -> None:
    events = list[Any]()
    app = flask.Flask(__name__)
    app.config.update(QRLOGIN_ORIGIN=ORIGIN, QRLOGIN_SECRET_KEYS=[KEY])
    app.config["QRLOGIN_ON_EVENT"] = events.append
    app.config["QRLOGIN_DESCRIBE"] = lambda request: {"browser": "the browser of this test"}
    person = Person("1", "A•••e")
    qr = in_flask.PhoneLogin(lambda: person, lambda _: None).init_app(app)
    client = app.test_client()
    begun = client.post("/qrlogin/begin", json={}, headers=PAGE).get_json()
    code = {"code": begun["verification_uri_complete"]}
    scanned = client.post("/qrlogin/phone/scan", json=code, headers=PAGE).get_json()
    assert scanned["context"] == {"browser": "the browser of this test"}
    assert [event.login_id for event in events] == [begun["login_id"]] * 2
    qr.close()


# Settings


def dialect_of(framework: str, qr: QRLogin) -> Any:
    """The native dialect, from the settings of a site that other origins and a proxy use."""
    if framework == "Flask":
        app = flask.Flask(__name__)
        app.config.update(QRLOGIN_ORIGIN=ORIGIN, QRLOGIN_SECRET_KEYS=[KEY])
        app.config.update(QRLOGIN_ORIGINS=["capacitor://localhost"], QRLOGIN_MAX_HOLD=3)
        in_flask.PhoneLogin(lambda: None, lambda _: None).init_app(app).close()
        return app.extensions["qrlogin_endpoint"].dialect
    with override_settings(QRLOGIN={"ORIGINS": ["capacitor://localhost"], "MAX_HOLD": 3}):
        return django_project.native(qr.core)


@pytest.mark.parametrize("framework", ["Flask", "Django"])
def test_settings_list_other_origins_and_limit_how_long_a_status_is_held(
    framework: str, qr: QRLogin
) -> None:
    dialect, begun = dialect_of(framework, qr), qr.begin()
    app = (("origin", "capacitor://localhost"),)
    preflight = dialect.phone(Request("OPTIONS", "scan", headers=app), None)
    assert ("Access-Control-Allow-Origin", "capacitor://localhost") in preflight.headers
    bearer = (("authorization", f"Bearer {begun.device_code}"),)
    asked = Request("GET", begun.login_id, "wait=25", headers=bearer)
    assert dialect.browser(asked).operation.timeout == 3


@for_each_row(
    "given, expected",
    [
        ({}, STANDARD),
        ({"POLICY": STRICT}, STRICT),
        ({"POLICY": "qrlogin.STRICT"}, STRICT),
        ({"POLICY": STRICT, "LIFETIME": 40}, STRICT.with_lifetime(40)),
        ({"LIFETIME": 40}, STANDARD.with_lifetime(40)),
        ({"USER_CODES": True}, replace(STANDARD, user_codes=True)),
        ({"POLICY": replace(STANDARD, user_codes=True)}, replace(STANDARD, user_codes=True)),
    ],
)
def test_django_reads_a_policy_and_its_two_other_keys_change_it(
    given: dict[str, Any], expected: Policy
) -> None:
    with override_settings(QRLOGIN=given):
        assert django_conf.policy() == expected


def flask_extension(**config: Any) -> None:
    app = flask.Flask(__name__)
    app.config.update({"QRLOGIN_ORIGIN": ORIGIN, "QRLOGIN_SECRET_KEYS": [KEY], **config})
    in_flask.PhoneLogin(lambda: None, lambda _: None).init_app(app).close()


def django_patterns(**setting: Any) -> None:
    django_project._qrlogin.cache_clear()
    django_project._endpoint.cache_clear()
    functions = dict.fromkeys(("PERSON", "LOG_IN", "LOG_OUT"), TWO_ARGUMENTS)
    given = {"VERIFICATION_URI": URI, "SECRET_KEYS": [KEY], **functions, **setting}
    with override_settings(QRLOGIN=given):
        django_project.patterns()


#: Any: a type checker refuses the mistakes below, and many applications run none.
ONE_ARGUMENT: Any = lambda redeemed: None  # noqa: E731
TWO_ARGUMENTS: Any = lambda request, redeemed: None  # noqa: E731
A_TEXT: Any = "alice"


def blocking_endpoint() -> Any:
    return Endpoint(QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI), max_waiting=1)


def asyncio_endpoint() -> Any:
    return AsyncEndpoint(asyncio_qr(), max_waiting=1)


@for_each_row(
    "mount, text",
    [
        (lambda: flask_extension(QRLOGIN_ORIGIN=None), r'"QRLOGIN_ORIGIN"\] must be what browsers'),
        (lambda: flask_extension(QRLOGIN_SECRET_KEYS=None), "python -m qrlogin keygen"),
        (lambda: flask_extension(QRLOGIN_SECRET_KEYS=[None]), "environment variable .* is missing"),
        (lambda: flask_extension(QRLOGIN_POLICY="STRICT"), "policy must be a Policy"),
        (lambda: django_patterns(SECRET_KEYS=[None]), "environment variable .* is missing"),
        (lambda: django_patterns(SECRET_KEY=KEY), "unknown keys: SECRET_KEY"),
        (
            lambda: in_flask.qrlogin_blueprint(blocking_endpoint(), lambda: None, TWO_ARGUMENTS),
            r"log_in is called as log_in\(redeemed\): missing a required argument",
        ),
        (
            lambda: in_fastapi.qrlogin_router(asyncio_endpoint(), lambda: None, ONE_ARGUMENT),
            r"log_in\(request, redeemed\): too many positional arguments",
        ),
        (
            lambda: in_django.qrlogin_urls(blocking_endpoint(), lambda _: None, ONE_ARGUMENT),
            r"log_in\(request, redeemed\)",
        ),
        (
            lambda: wsgi.qrlogin_app(blocking_endpoint(), lambda _: None, ONE_ARGUMENT),
            r"log_in\(environ, redeemed\)",
        ),
        (
            lambda: asgi.qrlogin_app(asyncio_endpoint(), lambda _: None, ONE_ARGUMENT),
            r"log_in\(scope, redeemed\)",
        ),
        (
            lambda: in_flask.qrlogin_blueprint(blocking_endpoint(), A_TEXT, ONE_ARGUMENT),
            "person must be a function",
        ),
        (
            lambda: in_flask.qrlogin_blueprint(asyncio_endpoint(), lambda: None, ONE_ARGUMENT),
            "takes an Endpoint, not AsyncEndpoint: in threads",
        ),
        (
            lambda: wsgi.qrlogin_app(asyncio_endpoint(), lambda _: None, TWO_ARGUMENTS),
            "takes an Endpoint, not AsyncEndpoint: in threads",
        ),
        (
            lambda: in_fastapi.qrlogin_router(blocking_endpoint(), lambda: None, TWO_ARGUMENTS),
            "takes an AsyncEndpoint, not Endpoint: in an event loop",
        ),
        (
            lambda: asgi.qrlogin_app(blocking_endpoint(), lambda _: None, TWO_ARGUMENTS),
            "takes an AsyncEndpoint, not Endpoint: in an event loop",
        ),
    ],
)
def test_a_mount_that_cannot_work_raises_what_to_change(
    mount: Callable[[], object], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the application starts, and not at the first login."""
    monkeypatch.delitem(sys.modules, "qrlogin.contrib.django_checks", raising=False)
    with pytest.raises((Misconfigured, ImproperlyConfigured), match=text):
        mount()


def test_a_slash_behind_the_origin_is_left_out() -> None:
    flask_extension(QRLOGIN_ORIGIN=f"{ORIGIN}/")


def test_serving_refuses_logins_for_threads(qr: QRLogin) -> None:
    async def serve() -> None:
        async with in_fastapi.serving(qr):  # type: ignore[arg-type]
            pass

    with pytest.raises(Misconfigured, match="serving takes an AsyncQRLogin, not QRLogin"):
        asyncio.run(serve())


# FastAPI


def test_headers_cookies_and_tasks_of_a_dependency_arrive() -> None:
    done = list[str]()

    def around(response: fastapi.Response, tasks: fastapi.BackgroundTasks) -> None:
        response.headers["X-Request-Id"] = "42"
        response.headers["Cache-Control"] = "public"
        response.set_cookie("seen", "yes")
        response.set_cookie("twice", "yes")
        tasks.add_task(done.append, "after the answer")

    async def ask() -> httpx2.Response:
        app = fastapi.FastAPI(dependencies=[fastapi.Depends(around)])
        endpoint = AsyncEndpoint(asyncio_qr(), max_waiting=1)
        router = in_fastapi.qrlogin_router(endpoint, lambda: None, lambda *_: None)
        app.include_router(router, prefix="/qr")
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            return await client.post("/qr/begin", json={}, headers=PAGE)

    answer = asyncio.run(ask())
    assert answer.status_code == 201
    assert answer.headers["x-request-id"] == "42"
    assert answer.headers.get_list("cache-control") == ["no-store"]
    names = [cookie.partition("=")[0] for cookie in answer.headers.get_list("set-cookie")]
    assert {name[:11] for name in names} == {"seen", "twice", "__Host-qrl-"}
    assert done == ["after the answer"]


def test_what_is_done_to_the_response_later_is_sent() -> None:
    """A decorator or a route class may add headers and a task to the response of a view."""
    done = list[str]()

    class Route(fastapi.routing.APIRoute):
        def get_route_handler(self) -> Any:
            handle = super().get_route_handler()

            async def handling(request: fastapi.Request) -> fastapi.Response:
                response = await handle(request)
                response.headers["X-Rate-Left"] = "9"
                response.background = BackgroundTask(done.append, "done")
                return response

            return handling

    async def ask() -> httpx2.Response:
        app = fastapi.FastAPI()
        endpoint = AsyncEndpoint(asyncio_qr(), max_waiting=1)
        router = in_fastapi.qrlogin_router(endpoint, lambda: None, lambda *_: None)
        for route in router.routes:
            if isinstance(route, fastapi.routing.APIRoute):
                options: dict[str, Any] = {"methods": list(route.methods or ())}
                own = Route("/qr" + route.path, route.endpoint, **options)
                app.router.routes.append(own)
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url=ORIGIN) as client:
            return await client.post("/qr/begin", json={}, headers=PAGE)

    assert asyncio.run(ask()).headers["x-rate-left"] == "9"
    assert done == ["done"]


# Websockets


@pytest.mark.parametrize("make", AWAITED.values(), ids=AWAITED)
def test_a_websocket_whose_browser_left_is_no_error(make: Any) -> None:
    """Servers raise RuntimeError for what is sent after a disconnect was received."""

    async def converse() -> list[str]:
        sent, left = list[str](), asyncio.Event()
        async with asyncio_qr() as qr:
            endpoint = AsyncEndpoint(qr, max_waiting=1)
            begun = await endpoint.browser(post("begin"))
            login_id, cookie = read_json(begun)["login_id"], begun.cookies[0]
            own = ("cookie", f"{cookie.key}={cookie.value}")
            received = [{"type": "websocket.connect"}]

            async def receive() -> dict[str, Any]:
                if received:
                    return received.pop()
                await left.wait()
                return {"type": "websocket.disconnect", "code": 1001}

            async def send(message: dict[str, Any]) -> None:
                if left.is_set():
                    raise RuntimeError(f"{message['type']} after the connection was closed")
                sent.append(message["type"])
                if message["type"] == "websocket.send":
                    left.set()
                    await endpoint.browser(post(f"{login_id}/cancel", None, own))

            headers = [(b"cookie", own[1].encode()), (b"origin", ORIGIN.encode())]
            scope = {
                "type": "websocket",
                "path": f"/qr/{login_id}/socket",
                "headers": headers,
                "query_string": b"",
                "root_path": "",
                "subprotocols": [],
            }
            urls = Urls(django_urls(endpoint, Shop()))
            with DJANGO, override_settings(ROOT_URLCONF=urls):
                await asyncio.wait_for(make(endpoint, Shop())(scope, receive, send), 20)
        return sent

    assert asyncio.run(converse()) == ["websocket.accept", "websocket.send"]


# What `log_in` returns


def test_a_dialect_with_fixed_answers_has_no_place_for_a_body() -> None:
    """Its clients get the cookies and the headers."""
    fixed = Response.json(200, {"code": 0})
    made = with_log_in(
        fixed, [("Content-Type", "application/json"), ("Set-Cookie", "jwt=1")], b'{"name": "A"}'
    )
    assert (made.body, made.headers) == (fixed.body, (*fixed.headers, ("Set-Cookie", "jwt=1")))


# Without a framework


def test_a_plain_asgi_application_serves_its_lifespan() -> None:
    sent = list[str]()

    async def serve() -> bool:
        qr = asyncio_qr()
        app = asgi.qrlogin_app(
            AsyncEndpoint(qr, max_waiting=1), lambda scope: None, lambda *_: None
        )
        received = [{"type": "lifespan.shutdown"}, {"type": "lifespan.startup"}]

        async def receive() -> dict[str, str]:
            return received.pop()

        async def send(message: Any) -> None:
            sent.append(message["type"])

        await app({"type": "lifespan"}, receive, send)
        return qr.draining

    assert asyncio.run(serve()), "the logins were not closed"
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]


@for_each_row(
    "path, root, below",
    [
        ("/qr/begin", "/qr", "begin"),  # as ASGI says
        ("/begin", "/qr", "begin"),  # the framework has removed the mount
        ("/qr/phone/scan", "/app/qr", "qr/phone/scan"),
        ("/begin", "", "begin"),
        ("/qrbegin", "/qr", "qrbegin"),
    ],
)
def test_a_mount_is_found_in_the_path_or_missing_from_it(path: str, root: str, below: str) -> None:
    assert asgi.path_below({"path": path, "root_path": root}) == below


# The page behind `verification_uri`


class Lands:
    """An endpoint that knows one code."""

    def landing_cookies(self, code: str) -> tuple[Cookie, ...]:
        return (Cookie("__Host-qrl-land", f"for-{code}", 60),) if code == "known" else ()


class AsyncLands:
    async def landing_cookies(self, code: str) -> tuple[Cookie, ...]:
        return Lands().landing_cookies(code)


Headers = list[tuple[str, str]]


def landed(name: str, code: str, **own: str) -> Headers:
    """The headers of the page of this framework, which has these of its own."""
    match name:
        case "Flask":
            with flask.Flask(__name__).test_request_context():
                page = flask.Response("a page", headers=own)
                made = in_flask.set_landing_cookies(page, Lands(), code)
                assert made.get_data(as_text=True) == "a page"
                return list(made.headers)
        case "FastAPI":
            answer = PlainTextResponse("a page", headers=own)
            same = asyncio.run(in_fastapi.set_landing_cookies(answer, AsyncLands(), code))
            assert same is answer
            return answer.headers.items()
        case "WSGI":
            return wsgi.landing_headers(Lands(), code)
        case "ASGI":
            headers = asyncio.run(asgi.landing_headers(AsyncLands(), code))
            return [(name.decode(), value.decode()) for name, value in headers]
    endpoint = AsyncLands() if name.endswith("with an AsyncEndpoint") else Lands()

    async def async_view(request: HttpRequest, code: str) -> HttpResponse:
        return HttpResponse("a page", headers=own)

    def view(request: HttpRequest, code: str) -> HttpResponse:
        return HttpResponse("a page", headers=own)

    if name.startswith("an async view"):
        awaited = in_django.landing(async_view, lambda: endpoint)
        assert iscoroutinefunction(awaited), "Django would not await it"
        seen = asyncio.run(awaited(HttpRequest(), code=code))
    else:
        seen = in_django.landing(view, lambda: endpoint)(HttpRequest(), code)
    cookies = [("Set-Cookie", morsel.OutputString()) for morsel in seen.cookies.values()]
    return [*seen.headers.items(), *cookies]


def values(headers: Headers, wanted: str) -> list[str]:
    return [value for name, value in headers if name.lower() == wanted]


PAGES = [
    *("Flask", "FastAPI", "WSGI", "ASGI"),
    *("a view of Django", "a view of Django with an AsyncEndpoint"),
    *("an async view of Django", "an async view of Django with an AsyncEndpoint"),
]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_of_a_known_code_sets_its_landing_cookies(name: str) -> None:
    (cookie,) = values(landed(name, "known"), "set-cookie")
    assert cookie.startswith("__Host-qrl-land=for-known;")
    assert "httponly" in cookie.lower()
    assert values(landed(name, "unknown"), "set-cookie") == []


@row(38)
@pytest.mark.parametrize("name", PAGES)
def test_no_cache_gives_a_landing_cookie_to_another_browser(name: str) -> None:
    """Unless the page says itself how long caches may keep it. WSGI and ASGI only add headers."""
    assert values(landed(name, "known"), "cache-control") == ["no-store"]
    if name not in ("WSGI", "ASGI"):
        own = landed(name, "known", **{"Cache-Control": "private"})
        assert values(own, "cache-control") == ["private"]
