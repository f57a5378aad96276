"""What a login costs in each framework, and which part of it is the framework's own.

Run `python benchmarks/frameworks.py [FRAMEWORK...]`. A login is six requests: begin, status, scan,
confirm, status and redeem. Each framework runs in a process of its own, without a server, over a
`MemoryStore`, and the QR code is not drawn: pictures and stores cost the same in every framework.
It prints microseconds of CPU per login:

- floor: six views that return a constant, behind the same middleware
- application: what `person` and `log_in` do, in these views
- core: the same login in `qrlogin.contrib.wsgi` or `qrlogin.contrib.asgi`, without a framework
- adapter: the rest, which is what the module of the framework in `qrlogin.contrib` costs, and what
  the core loses because the framework's code has taken its place in the processor's caches
- ratio: a login through qrlogin, divided by the floor and the application
"""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from time import process_time
from typing import Any, NamedTuple
from unittest import mock

from qrlogin import STANDARD, AsyncMemoryStore, AsyncQRLogin, MemoryStore, QRLogin, Redeemed
from qrlogin.contrib import asgi, wsgi
from qrlogin.render import matrix_path
from qrlogin.wire import AsyncEndpoint, Endpoint, Person
from qrlogin.wire.dialects import native

FRAMEWORKS = ("flask", "django", "django-asgi", "fastapi", "fastapi-plain")
URI, KEY = "https://a.example/qr", bytes(range(32))
UNLIMITED = replace(STANDARD, limits=None)  # one person logs in many times
WARM_UP, WINDOWS, LOGINS = 3, 12, 25
ALICE = Person("1", name="alice", by_token=True)
#: What a browser sends with each request.
HEADERS = {
    "host": "a.example",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "accept": "*/*",
    "accept-language": "en-US,en;q=0.5",
    "accept-encoding": "gzip, deflate, br",
    "origin": "https://a.example",
    "sec-fetch-site": "same-origin",
}


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    cookies: list[str]
    body: bytes


#: Method, path, headers, body.
Ask = Callable[[str, str, dict[str, str], bytes], Awaitable[Answer]]


class Costs(NamedTuple):
    """Microseconds of CPU per login."""

    login: float
    floor: float
    application: float
    core: float

    @property
    def adapter(self) -> float:
        return self.login - self.floor - self.application - self.core

    @property
    def ratio(self) -> float:
        return self.login / (self.floor + self.application)


# Clients


def over_wsgi(app: Any) -> Ask:
    """Asks a WSGI application in this process."""

    async def ask(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        environ = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "a.example",
            "SERVER_PORT": "443",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "192.0.2.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "https",
            "wsgi.input": BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for name, value in headers.items():
            environ["HTTP_" + name.upper().replace("-", "_")] = value
        if body:
            environ |= {"CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": "application/json"}
        sent: list[Any] = []
        returned = app(environ, lambda status, headers, error=None: sent.extend((status, headers)))
        answer = b"".join(returned)
        if close := getattr(returned, "close", None):
            close()
        cookies = [value for name, value in sent[1] if name.lower() == "set-cookie"]
        return Answer(int(sent[0][:3]), cookies, answer)

    return ask


def over_asgi(app: Any) -> Ask:
    """Asks an ASGI application in this process."""

    async def ask(method: str, path: str, headers: dict[str, str], body: bytes) -> Answer:
        sent = [(name.encode(), value.encode()) for name, value in headers.items()]
        if body:
            sent += [
                (b"content-length", b"%d" % len(body)),
                (b"content-type", b"application/json"),
            ]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": method,
            "scheme": "https",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": sent,
            "client": ("192.0.2.1", 5000),
            "server": ("a.example", 443),
        }
        parts, answered, got = [body], asyncio.Event(), []

        async def receive() -> Any:
            if parts:
                return {"type": "http.request", "body": parts.pop(), "more_body": False}
            await answered.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            got.append(message)

        await app(scope, receive, send)
        answered.set()
        start, *rest = got
        cookies = [
            value.decode() for name, value in start["headers"] if name.lower() == b"set-cookie"
        ]
        return Answer(start["status"], cookies, b"".join(each.get("body", b"") for each in rest))

    return ask


async def log_in_once(ask: Ask, mount: str, phone: dict[str, str], browser: dict[str, str]) -> None:
    """The six requests of a login. Null views get requests of the same size."""
    kept: dict[str, str] = {}

    async def browse(method: str, path: str, asked: object = None) -> Any:
        body = b"" if asked is None else json.dumps(asked).encode()
        jar = "; ".join(filter(None, (browser.get("cookie"), *kept.values())))
        headers = HEADERS | browser | ({"cookie": jar} if jar else {})
        answer = await ask(method, mount + path, headers, body)
        for line in answer.cookies:
            kept[line.partition("=")[0]] = line.partition(";")[0]
        return read(path, answer)

    async def approve(path: str, code: str) -> None:
        body = json.dumps({"code": code}).encode()
        read(path, await ask("POST", f"{mount}phone/{path}", HEADERS | phone, body))

    def read(path: str, answer: Answer) -> Any:
        if answer.status not in (200, 201):
            raise SystemExit(f"{mount}{path}: {answer.status} {answer.body!r}")
        return json.loads(answer.body)

    begun = await browse("POST", "begin", {})
    await browse("GET", begun["login_id"])
    await approve("scan", begun["verification_uri_complete"])
    await approve("confirm", begun["verification_uri_complete"])
    seen = await browse("GET", begun["login_id"])
    redeem = {"acknowledged": seen["scanned_by"]["tag"], "op": "0123456789abcdef"}
    await browse("POST", begun["login_id"] + "/redeem", redeem)


# What the null views answer


def constant() -> bytes:
    """An answer with what the client above reads from an answer, in the usual size."""
    code = {"verification_uri_complete": URI + "/" + "x" * 80, "path": "x" * 300}
    who = {"scanned_by": {"tag": "x" * 43}}
    return json.dumps({"login_id": "x" * 22, "state": "pending", **code, **who}).encode()


CONSTANT = constant()


def blocking() -> Endpoint:
    qr = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI, policy=UNLIMITED)
    return Endpoint(qr, max_waiting=8)


def awaited() -> AsyncEndpoint:
    store = AsyncMemoryStore()
    qr = AsyncQRLogin(store, secret_keys=[KEY], verification_uri=URI, policy=UNLIMITED)
    return AsyncEndpoint(qr, max_waiting=1000)


class Served(NamedTuple):
    """One framework. Its application has the mounts /qrlogin/, /floor/ and /application/."""

    ask: Ask
    phone: dict[str, str]
    """Headers of the phone that is signed in."""
    browser: dict[str, str]
    """Headers of the browser."""
    bare: Ask
    """The same endpoint without a framework, below /."""
    nothing: Ask
    """An application that returns a constant at once: what the client itself costs."""


def bare_wsgi() -> tuple[Ask, Ask]:
    def constant_app(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "application/json")])
        return [CONSTANT]

    app = wsgi.qrlogin_app(blocking(), lambda environ: ALICE, lambda environ, redeemed: None)
    return over_wsgi(app), over_wsgi(constant_app)


def bare_asgi() -> tuple[Ask, Ask]:
    async def constant_app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": CONSTANT})

    async def person(scope: Any) -> Person:
        return ALICE

    async def log_in(scope: Any, redeemed: Redeemed) -> None: ...

    async def no_protection(scope: Any) -> None: ...

    app = asgi.qrlogin_app(awaited(), person, log_in, protect=no_protection)
    return over_asgi(app), over_asgi(constant_app)


# The frameworks


def serve_flask() -> Served:
    from flask import Flask, Response, session

    from qrlogin.contrib.flask import qrlogin_blueprint

    app = Flask(__name__)
    app.secret_key = KEY

    def person() -> Person | None:
        return Person(session["user"], name="alice") if "user" in session else None

    def log_in(redeemed: Redeemed | None) -> None:
        session.clear()
        session["user"] = "1"

    def null(path: str) -> Response:
        return Response(CONSTANT, content_type="application/json")

    def with_callbacks(path: str) -> Response:
        if path.startswith("phone/"):
            assert person()
        elif path.endswith("/redeem"):
            log_in(None)
        return null(path)

    @app.get("/password")
    def password() -> str:
        log_in(None)
        return ""

    app.add_url_rule("/floor/<path:path>", view_func=null, methods=["GET", "POST"])
    app.add_url_rule("/application/<path:path>", view_func=with_callbacks, methods=["GET", "POST"])
    app.register_blueprint(qrlogin_blueprint(blocking(), person, log_in), url_prefix="/qrlogin")
    phone = {"cookie": app.test_client().get("/password").headers["Set-Cookie"].partition(";")[0]}
    return Served(over_wsgi(app.wsgi_app), phone, {}, *bare_wsgi())


def serve_django(*, awaits: bool = False) -> Served:
    import django
    from django.conf import settings

    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # the client of this benchmark is async
    settings.configure(
        SECRET_KEY=KEY.hex(),
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
        ],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": "file:bench?mode=memory&cache=shared",
            }
        },
        USE_TZ=True,
        DEBUG_PROPAGATE_EXCEPTIONS=True,
    )
    django.setup()
    from asgiref.sync import sync_to_async
    from django.contrib.auth.models import User
    from django.contrib.sessions.backends.db import SessionStore
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from django.core.management import call_command
    from django.http import HttpRequest, HttpResponse
    from django.urls import include, path

    from qrlogin.contrib.django import qrlogin_urls
    from qrlogin.contrib.django_auth import log_in, person

    call_command("migrate", verbosity=0)
    user = User.objects.create_user("alice", password=KEY.hex())
    session = SessionStore()
    session.update(
        {
            "_auth_user_id": str(user.pk),
            "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
            "_auth_user_hash": user.get_session_auth_hash(),
        }
    )
    session.save()
    rest: dict[str, Any] = dict.fromkeys(Redeemed.__dataclass_fields__)
    known = {"login_id": "x" * 22, "subject": str(user.pk), "context": {"browser": "Firefox"}}
    redeemed = Redeemed(**rest | known)

    def null(request: HttpRequest, path: str) -> HttpResponse:
        return HttpResponse(CONSTANT, content_type="application/json")

    def with_callbacks(request: HttpRequest, path: str) -> HttpResponse:
        if path.startswith("phone/"):
            assert person(request)
        elif path.endswith("/redeem"):
            log_in(request, redeemed)
        return null(request, path)

    async def async_null(request: HttpRequest, path: str) -> HttpResponse:
        return null(request, path)

    async def async_with_callbacks(request: HttpRequest, path: str) -> HttpResponse:
        if path.startswith("phone/") or path.endswith("/redeem"):
            return await sync_to_async(with_callbacks)(request, path)
        return null(request, path)

    endpoint = awaited() if awaits else blocking()
    floor, application = (async_null, async_with_callbacks) if awaits else (null, with_callbacks)
    globals()["urlpatterns"] = [
        path("floor/<path:path>", floor),
        path("application/<path:path>", application),
        path("qrlogin/", include((qrlogin_urls(endpoint, person, log_in), "qrlogin"))),
    ]
    token = "x" * 32
    csrf = {"x-csrftoken": token, "referer": "https://a.example/"}
    phone = {"cookie": f"sessionid={session.session_key}; csrftoken={token}"} | csrf
    browser = {"cookie": f"csrftoken={token}"} | csrf
    if awaits:
        return Served(over_asgi(ASGIHandler()), phone, browser, *bare_asgi())
    return Served(over_wsgi(WSGIHandler()), phone, browser, *bare_wsgi())


def serve_fastapi(*, plain: bool = False) -> Served:
    """`plain`: with plain functions in place of async ones."""
    from fastapi import Depends, FastAPI, Request, Response

    from qrlogin.contrib.fastapi import qrlogin_router

    app = FastAPI()

    def plain_person(request: Request) -> Person | None:
        return ALICE if request.cookies.get("session") else None

    def plain_log_in(request: Request, redeemed: Redeemed) -> Response:
        response = Response()
        response.set_cookie("session", "x" * 43, httponly=True, secure=True)
        return response

    async def async_person(request: Request) -> Person | None:
        return plain_person(request)

    async def async_log_in(request: Request, redeemed: Redeemed) -> Response:
        return plain_log_in(request, redeemed)

    person: Any = plain_person if plain else async_person

    async def null(request: Request, path: str) -> Response:
        return Response(CONSTANT, media_type="application/json")

    async def phone_view(request: Request, path: str, who: Any = Depends(person)) -> Response:  # noqa: B008
        return await null(request, path)

    async def redeem(request: Request, path: str) -> Response:
        response = await null(request, path)
        response.set_cookie("session", "x" * 43, httponly=True, secure=True)
        return response

    for method in ("GET", "POST"):
        app.add_api_route("/application/phone/{path:path}", phone_view, methods=[method])
        app.add_api_route("/application/{path:path}/redeem", redeem, methods=[method])
        app.add_api_route("/application/{path:path}", null, methods=[method])
        app.add_api_route("/floor/{path:path}", null, methods=[method])
    log_in = plain_log_in if plain else async_log_in
    app.include_router(qrlogin_router(awaited(), person, log_in), prefix="/qrlogin")
    return Served(over_asgi(app), {"cookie": "session=1"}, {}, *bare_asgi())


SERVE: dict[str, Callable[[], Served]] = {
    "flask": serve_flask,
    "django": serve_django,
    "django-asgi": lambda: serve_django(awaits=True),
    "fastapi": serve_fastapi,
    "fastapi-plain": lambda: serve_fastapi(plain=True),
}


# Measuring


@contextmanager
def without_pictures() -> Iterator[None]:
    """A picture costs the same in every framework, and more than the rest."""
    with mock.patch.object(native, "matrix_path", return_value=matrix_path(URI)):
        yield


async def measure(served: Served) -> Costs:
    """The cheapest of several windows of each kind. The kinds take turns."""
    kinds = {
        "login": (served.ask, "/qrlogin/"),
        "floor": (served.ask, "/floor/"),
        "application": (served.ask, "/application/"),
        "core": (served.bare, "/"),
        "client": (served.nothing, "/"),
    }
    spent: dict[str, list[float]] = {kind: [] for kind in kinds}
    for window in range(WARM_UP + WINDOWS):
        for kind, (ask, mount) in kinds.items():
            began = process_time()
            for _ in range(LOGINS):
                await log_in_once(ask, mount, served.phone, served.browser)
            if window >= WARM_UP:
                spent[kind].append((process_time() - began) / LOGINS * 1e6)
    best = {kind: min(each) for kind, each in spent.items()}
    client, floor = best["client"], best["floor"]
    return Costs(
        best["login"] - client,
        floor - client,
        best["application"] - floor,
        best["core"] - client,
    )


def figures(framework: str) -> Costs:
    """The costs in one framework, measured in a process of its own."""
    command = [sys.executable, __file__, "--in-process", framework]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Costs(*json.loads(done.stdout))


def main() -> None:
    if sys.argv[1:2] == ["--in-process"]:
        with without_pictures():
            print(json.dumps(asyncio.run(measure(SERVE[sys.argv[2]]()))))
        return
    print("framework       login   floor  application   core  adapter  ratio")
    for framework in sys.argv[1:] or FRAMEWORKS:
        each = figures(framework)
        print(
            f"{framework:13} {each.login:7.0f} {each.floor:7.0f} {each.application:12.0f} "
            f"{each.core:6.0f} {each.adapter:8.0f} {each.ratio:6.2f}"
        )


if __name__ == "__main__":
    main()
