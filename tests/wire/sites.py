"""One small application, served over loopback by WSGI, ASGI, and the Flask and FastAPI adapters.

Its users have phones that hold a credential, and sessions in a table. It knows logins only as
`Redeemed`. The key of the table makes a repeated redeem one session: in a database `session_of`
is `UNIQUE(login_id)`.
"""

import asyncio
import secrets
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from http.cookies import SimpleCookie
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.validate import validator

import fastapi
import flask
import uvicorn
from starlette.middleware.sessions import SessionMiddleware
from werkzeug.serving import make_server

from qrlogin import STANDARD, AsyncMemoryStore, AsyncQRLogin, MemoryStore, Policy, QRLogin, Redeemed
from qrlogin.contrib.fastapi import qrlogin_router
from qrlogin.contrib.flask import qrlogin_blueprint
from qrlogin.stores import AsyncRedisStore, AsyncSQLStore, RedisStore, SQLStore
from qrlogin.stores.addresses import SQL_SCHEMES
from qrlogin.wire import (
    AsyncEndpoint,
    Cookie,
    Endpoint,
    Judge,
    Person,
    Request,
    Response,
    WaitSlots,
)
from tests.servers import LOOPBACK
from tests.wire.clock import PATIENCE_SECONDS, Clock, eventually

KEY = bytes(range(32))
PAGE = "/scan/"  # of the page for phones, in front of the code
SLOTS = 2  # max_waiting of every endpoint here
CREDENTIALS = {
    "Bearer phone-of-alice": Person("1", "A•••e", name="alice@example.com"),
    "Bearer phone-of-bob": Person("2", "B•b", name="bob@example.com"),
}


@dataclass
class Application:
    """The application's own state."""

    subject_of: dict[str, str] = field(default_factory=dict)  # by session
    session_of: dict[str, str] = field(default_factory=dict)  # by login
    log_ins: list[Redeemed] = field(default_factory=list)
    broken: bool = False  # its database is away, once

    def log_in(self, redeemed: Redeemed) -> str:
        """The session of this login: a new one, or the existing one for a repeated redeem."""
        self.log_ins.append(redeemed)
        if self.broken:
            self.broken = False
            raise RuntimeError("the application's database is away")
        session = self.session_of.setdefault(redeemed.login_id, secrets.token_urlsafe(16))
        self.subject_of[session] = redeemed.subject
        return session

    def whoami(self, session: str | None, basket: str | None) -> dict[str, str | None]:
        return {"session": session, "subject": self.subject_of.get(session or ""), "basket": basket}


@dataclass
class Site:
    """A running application: `store` and `slots` of its endpoint, and the `clock` of the store."""

    port: int
    application: Application
    clock: Clock
    awaited: bool = False
    one_thread: bool = False
    store: Any = None
    slots: WaitSlots = field(default_factory=lambda: WaitSlots(SLOTS))
    close_logins: Callable[[], None] = lambda: None
    tasks: Callable[[], int] = lambda: 0

    def held(self) -> int:
        """The number of logins with a held request, in this process."""
        return len(self.store._listeners)

    def idle(self) -> bool:
        """Whether no request is held and every slot is free, which happens shortly after a wait."""
        return self.held() == 0 and len(self.slots._free) == SLOTS

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def verification_uri(self) -> str:
        return self.url + PAGE.removesuffix("/")


# The bare applications, which do the same as a framework's adapter


def bare_wsgi(endpoint: Endpoint, application: Application) -> Any:
    def app(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path, cookies = environ["PATH_INFO"], _cookies(environ.get("HTTP_COOKIE", ""))
        if path == "/me":
            return _me(application, cookies).to_wsgi(start_response)
        if path == "/visit":
            return _visited().to_wsgi(start_response)
        if path.startswith(PAGE):
            cookies_to_set = endpoint.landing_cookies(path.removeprefix(PAGE))
            return _page(environ["REQUEST_METHOD"], cookies_to_set).to_wsgi(start_response)
        if path.startswith("/qr/phone/"):
            person = CREDENTIALS.get(environ.get("HTTP_AUTHORIZATION", ""))
            answer = endpoint.phone(
                Request.from_wsgi(environ, path.removeprefix("/qr/phone/")), person
            )
        else:
            answer = endpoint.browser(Request.from_wsgi(environ, path.removeprefix("/qr/")))
        return _with_session(application, answer).to_wsgi(start_response)

    return app


def validated_wsgi(endpoint: Endpoint, application: Application) -> Any:
    """The same application, with each request and response checked against PEP 3333."""
    return validator(bare_wsgi(endpoint, application))


def bare_asgi(endpoint: AsyncEndpoint, application: Application) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        headers = {
            key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]
        }
        path, cookies = scope["path"], _cookies(headers.get("cookie", ""))
        if scope["type"] == "websocket":
            return await endpoint.socket(scope, receive, send, path.removeprefix("/qr/"))
        if path == "/me":
            return await _me(application, cookies).to_asgi(send)
        if path == "/visit":
            return await _visited().to_asgi(send)
        if path.startswith(PAGE):
            cookies_to_set = await endpoint.landing_cookies(path.removeprefix(PAGE))
            return await _page(scope["method"], cookies_to_set).to_asgi(send)
        if path.startswith("/qr/phone/"):
            person = CREDENTIALS.get(headers.get("authorization", ""))
            answer = await endpoint.phone(
                await Request.from_asgi(scope, receive, path.removeprefix("/qr/phone/")), person
            )
        else:
            answer = await endpoint.browser(
                await Request.from_asgi(scope, receive, path.removeprefix("/qr/"))
            )
        return await _with_session(application, answer).to_asgi(send)

    return app


def _cookies(header: str) -> dict[str, str]:
    return {name: morsel.value for name, morsel in SimpleCookie(header).items()}


def _me(application: Application, cookies: dict[str, str]) -> Response:
    return Response.json(200, application.whoami(cookies.get("session"), cookies.get("basket")))


def _visited() -> Response:
    return Response(
        200,
        (("Content-Type", "text/plain"),),
        b"",
        (Cookie("basket", "apples", 600, secure=False),),
    )


def _page(method: str, cookies: tuple[Cookie, ...]) -> Response:
    """The page that a scan code opens. It is for everyone, signed in or not."""
    body = b"" if method == "HEAD" else b"Log a browser in?"
    return Response(200, (("Content-Type", "text/plain"),), body, cookies)


def _with_session(application: Application, answer: Response) -> Response:
    if answer.redeemed is None:
        return answer
    session = Cookie("session", application.log_in(answer.redeemed), 600, secure=False)
    no_basket = Cookie(
        "basket", "", 0, secure=False
    )  # nothing from before the login is taken along
    return Response(
        answer.status, answer.headers, answer.body, (*answer.cookies, session, no_basket)
    )


# The frameworks


def flask_app(endpoint: Endpoint, application: Application) -> Any:
    app = flask.Flask(__name__)
    app.config["SESSION_COOKIE_SAMESITE"] = "Lax"
    app.secret_key = KEY

    def person() -> Person | None:
        return CREDENTIALS.get(flask.request.headers.get("Authorization", ""))

    def log_in(redeemed: Redeemed) -> None:
        session = application.log_in(redeemed)
        flask.session.clear()
        flask.session["session"] = session

    @app.get("/me")
    def me() -> dict[str, str | None]:
        return application.whoami(flask.session.get("session"), flask.session.get("basket"))

    @app.get("/visit")
    def visit() -> str:
        flask.session["basket"] = "apples"
        return ""

    @app.get(f"{PAGE}<code>")
    def page(code: str) -> flask.Response:
        response = flask.make_response("Log a browser in?")
        for cookie in endpoint.landing_cookies(code):
            response.set_cookie(**asdict(cookie))
        return response

    app.register_blueprint(qrlogin_blueprint(endpoint, person, log_in), url_prefix="/qr")
    return app


def fastapi_app(endpoint: AsyncEndpoint, application: Application, **options: Any) -> Any:
    app = fastapi.FastAPI(**options)
    app.add_middleware(SessionMiddleware, secret_key=KEY.hex())

    def person(request: fastapi.Request) -> Person | None:
        return CREDENTIALS.get(request.headers.get("Authorization", ""))

    async def log_in(request: fastapi.Request, redeemed: Redeemed) -> None:
        session = application.log_in(redeemed)
        request.session.clear()
        request.session["session"] = session

    @app.get("/me")
    async def me(request: fastapi.Request) -> dict[str, str | None]:
        return application.whoami(request.session.get("session"), request.session.get("basket"))

    @app.get("/visit")
    async def visit(request: fastapi.Request) -> str:
        request.session["basket"] = "apples"
        return ""

    @app.api_route(f"{PAGE}{{code}}", methods=["GET", "HEAD"])
    async def page(code: str, response: fastapi.Response) -> str:
        for cookie in await endpoint.landing_cookies(code):
            response.set_cookie(**asdict(cookie))
        return "Log a browser in?"

    app.include_router(qrlogin_router(endpoint, person, log_in), prefix="/qr")
    return app


# The servers


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


class _Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def set_app(self, application: Any) -> None:
        """wsgiref says that it has one thread, also with this mixin."""
        super().set_app(
            lambda environ, start_response: application(
                environ | {"wsgi.multithread": True}, start_response
            )
        )


def wsgiref_server(port: int, app: Any) -> WSGIServer:
    server = _Threads((LOOPBACK, port), Quiet)
    server.set_app(app)
    return server


def single_threaded_server(port: int, app: Any) -> WSGIServer:
    server = WSGIServer((LOOPBACK, port), Quiet)
    server.set_app(app)
    return server


def werkzeug_server(port: int, app: Any) -> Any:
    return make_server(LOOPBACK, port, app, threaded=True)


MakeApp = Callable[[Any, Application], Any]  # of an endpoint


@contextmanager
def threaded(
    make_app: MakeApp,
    serve: Callable[[int, Any], Any],
    redis_url: str | None,
    policy: Policy = STANDARD,
    judge: Judge | None = None,
) -> Iterator[Site]:
    """Serve with a thread for each request, over the store at this address, or in memory."""
    app: Any = None
    server = serve(
        0, lambda environ, start_response: app(environ, start_response)
    )  # its port is in the application's addresses
    one_thread = serve is single_threaded_server
    site = Site(server.server_address[1], Application(), Clock(), one_thread=one_thread)
    site.store = _store(redis_url, site.clock)
    with QRLogin(
        site.store, secret_keys=[KEY], verification_uri=site.verification_uri, policy=policy
    ) as qr:
        site.close_logins = qr.close
        app = make_app(Endpoint(qr, max_waiting=site.slots, judge=judge), site.application)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@contextmanager
def awaited(
    make_app: MakeApp,
    redis_url: str | None,
    policy: Policy = STANDARD,
    judge: Judge | None = None,
) -> Iterator[Site]:
    """Serve with uvicorn, whose event loop runs in a thread."""
    listening = socket.create_server((LOOPBACK, 0))
    site = Site(listening.getsockname()[1], Application(), Clock(), awaited=True)
    server = uvicorn.Server(uvicorn.Config("made below", log_config=None, lifespan="off"))

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        site.store = _store(redis_url, site.clock, awaited=True)
        async with AsyncQRLogin(
            site.store, secret_keys=[KEY], verification_uri=site.verification_uri, policy=policy
        ) as qr:
            site.close_logins = lambda: asyncio.run_coroutine_threadsafe(qr.close(), loop).result(
                PATIENCE_SECONDS
            )
            site.tasks = lambda: asyncio.run_coroutine_threadsafe(_count_tasks(), loop).result(
                PATIENCE_SECONDS
            )
            server.config.app = make_app(
                AsyncEndpoint(qr, max_waiting=site.slots, judge=judge), site.application
            )
            await server.serve([listening])

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        eventually(lambda: server.started or not thread.is_alive())
        assert server.started
        yield site
    finally:
        server.should_exit = True
        thread.join()


async def _count_tasks() -> int:
    return len(asyncio.all_tasks())


def _store(address: str | None, clock: Clock, *, awaited: bool = False) -> Any:
    """A store at this address, or in memory, with a prefix of its own."""
    if address is None:
        return (AsyncMemoryStore if awaited else MemoryStore)(now=clock)
    if address.startswith(SQL_SCHEMES):
        return (AsyncSQLStore if awaited else SQLStore)(address, now=clock)
    kind = AsyncRedisStore if awaited else RedisStore
    return kind.from_url(address, prefix=_prefix(), now=clock)


def _prefix() -> str:
    return f"test-{secrets.token_hex(6)}:"


#: How to run the application by each kind of adapter, for the URL of a Redis or None.
SITES: dict[str, Callable[[str | None], AbstractContextManager[Site]]] = {
    "bare WSGI": lambda redis_url: threaded(validated_wsgi, wsgiref_server, redis_url),
    "bare ASGI": lambda redis_url: awaited(bare_asgi, redis_url),
    "Flask": lambda redis_url: threaded(flask_app, werkzeug_server, redis_url),
    "FastAPI": lambda redis_url: awaited(fastapi_app, redis_url),
}
#: The same behind a server that handles one request at a time, so that it can hold none.
ONE_THREAD: dict[str, Callable[[str | None], AbstractContextManager[Site]]] = {
    "one thread": lambda redis_url: threaded(bare_wsgi, single_threaded_server, redis_url),
}
