"""A site with accounts and passwords, where a signed-in phone can also log a browser in.

`person` and `log_in` connect it to qrlogin; `adapter.py` does the rest. The pages are in
templates/, their texts come from `qrlogin.browser`.
"""

import hmac
import logging
import re
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import sessions
import staff
from accounts import (
    LONGEST_NAME,
    LONGEST_PASSWORD,
    SHORTEST_PASSWORD,
    Account,
    account_by_id,
    authenticate,
    make_account,
)
from adapter import qrlogin_router, serving, set_landing_cookies
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response, Security
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.security import APIKeyCookie
from fastapi.staticfiles import StaticFiles
from pages import (
    FOLDER,
    HEADERS,
    SecurityHeaders,
    language,
    local_path,
    message,
    page,
    read_form,
    see_other,
    translate,
)
from settings import naming, read
from sqlalchemy import create_engine
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from qrlogin import AsyncQRLogin, Event, Misconfigured, Redeemed
from qrlogin.browser import texts
from qrlogin.errors import BadRequest
from qrlogin.names import initial
from qrlogin.stores import open_async_store
from qrlogin.wire import (
    AsyncEndpoint,
    BrowserContext,
    HideCodes,
    Native,
    Person,
    WaitSlots,
    describe_browser,
)
from qrlogin.wire import Request as WireRequest
from qrlogin.wire.dialects import DIALECTS


async def count_event(event: Event) -> None:
    """Add to the numbers of the operator's page."""
    if event.name in staff.COUNTED:
        await run_in_threadpool(_count, event)


def _count(event: Event) -> None:
    with Session(engine) as db:
        staff.count(db, event)


def is_paused() -> bool:
    """Whether an operator has paused logins by phone. qrlogin calls it in a thread."""
    with Session(engine) as db:
        return staff.is_paused(db)


try:
    settings = read()
    with naming("QRLOGIN_STORE"):
        store = open_async_store(settings.store)
    uri = f"{settings.origin}/qr"
    engine = create_engine(settings.database)
    qr = AsyncQRLogin(
        store,
        secret_keys=settings.secret_keys,
        verification_uri=uri,
        policy=settings.policy,
        on_event=count_event,
    )
except (Misconfigured, ArgumentError, ImportError, OSError) as error:
    print(f"It cannot start: {error}", file=sys.stderr)
    # uvicorn's own exit code. On any other error it would restart its workers for ever.
    sys.exit(3)
host = urlsplit(qr.core.origin).hostname or ""
NOT_IN_CODES = re.compile(r"[^\w.=-]", re.ASCII)
# What an OAuth client may ask for, in the words that the phone shows.
SCOPES = {"openid": "", "profile": "Read your name", "offline_access": "Stay logged in"}
OPTIONS: dict[str, dict[str, Any]] = {"rfc8628": {"scopes": SCOPES}}
for name, clients in settings.clients.items():
    OPTIONS.setdefault(name, {}).update(clients)
# uvicorn logs every address, and some of them hold a code.
logging.getLogger("uvicorn.access").addFilter(HideCodes())


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    async with serving(qr):
        yield
    engine.dispose()


def database() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


cookie = APIKeyCookie(
    name=settings.cookie,
    scheme_name="session",
    description="Who is signed in here.",
    auto_error=False,
)
Database = Annotated[Session, Depends(database)]


def signed_in(request: Request, _: Annotated[str | None, Security(cookie)]) -> Account | None:
    """The account of this browser's session, or None if it was ended or the account locked.

    It gives its connection back at once. Requests that kept theirs until the page is rendered could
    hold all connections and wait for threads, whose requests wait for connections.
    """
    with Session(engine) as db:
        return sessions.signed_in(db, request.session)


async def form_fields(request: Request) -> Mapping[str, str]:
    return await read_form(request, qr.core.origin)


SignedIn = Annotated[Account | None, Depends(signed_in)]
Form = Annotated[Mapping[str, str], Depends(form_fields)]


# What qrlogin needs from an application


async def person(request: Request, account: SignedIn) -> Person | None:
    """Who is signed in on the phone, or None. A browser asks "continue as …?" with the name.

    It is async because it does not block: a plain function would be called in a thread.
    """
    if account is None:
        return None
    phone = str(request.session["session"])  # `Redeemed.phone` tells which phone approved
    return Person(str(account.id), phone=phone, name=account.name)


async def log_in(request: Request, redeemed: Redeemed) -> None:
    """Start this browser's session, because a phone approved it."""
    await run_in_threadpool(_log_in, request, redeemed)


def _log_in(request: Request, redeemed: Redeemed) -> None:
    account = account_in(redeemed)
    with Session(engine) as db:
        if sessions.was_ended(db, redeemed):
            raise forbidden("The session of this login was ended.")
    begin_session(request, account, redeemed)


async def log_out(request: Request) -> None:
    await run_in_threadpool(end_session, request)


async def tokens(redeemed: Redeemed) -> Mapping[str, object]:
    """The tokens for an OAuth client (RFC 6749 section 5.1).

    Derived from the login, so that a client whose answer was lost gets the same token again.
    Nothing in this site accepts such tokens. Issue those of your own service.
    """
    openid = str(await run_in_threadpool(account_in, redeemed))
    key = settings.session_key.encode()
    token = hmac.digest(key, f"access_token {redeemed.login_id}".encode(), "sha256").hex()
    return {"access_token": token, "token_type": "Bearer", "expires_in": 3600, "openid": openid}


def account_in(redeemed: Redeemed) -> int:
    """The id of the account that approved. It blocks, so async functions call it in a thread.

    If the account was closed or locked after the approval, raises HTTPException(403).
    """
    with Session(engine) as db:
        if account_by_id(db, int(redeemed.subject)):
            return int(redeemed.subject)
    raise forbidden("The account was closed or locked after it approved.")


def forbidden(why: str) -> HTTPException:
    return HTTPException(403, {"error": "forbidden", "error_description": why})


def begin_session(request: Request, account: int, redeemed: Redeemed | None = None) -> None:
    """Start a new session. The old one is dropped, so an attacker who planted it gains nothing."""
    end_session(request)
    context = redeemed.context if redeemed else browser_context(request)
    with Session(engine) as db:
        request.session["session"] = sessions.begin(db, account, context, redeemed)


def browser_context(request: Request) -> Mapping[str, str]:
    """What the headers of this request say of its browser."""
    return describe_browser(WireRequest("GET", "", headers=tuple(request.headers.items())))


def end_session(request: Request) -> None:
    with Session(engine) as db:
        sessions.end_current(db, request.session)
    request.session.clear()


# The pages


def redirect_to_origin(request: Request) -> None:
    """Redirect from localhost to QRLOGIN_ORIGIN, because cookies and codes belong to that host."""
    if request.method == "GET" and request.url.hostname != host:
        raise HTTPException(307, headers={"Location": qr.core.origin + _path_and_query(request)})


pages = APIRouter(include_in_schema=False, dependencies=[Depends(redirect_to_origin)])


@pages.get("/")
def home(request: Request, account: SignedIn, db: Database) -> Response:
    row = db.get(sessions.BrowserSession, request.session.get("session", 0))
    db.rollback()  # gives the connection back
    if account is None or row is None:
        return RedirectResponse("/login?next=/", 302)
    if row.login_id:
        browser = row.browser or translate(request, "unknownBrowser")
        how = translate(request, "loggedInByPhone", browser=browser)
    else:
        how = translate(request, "loggedInByPassword")
    heading = translate(request, "loggedInAs", name=account.name)
    shown = {"heading": heading, "initial": initial(account.name), "how": how}
    return page(request, "home.html", 200, **shown, is_staff=account.is_staff)


@pages.get("/browsers")
def browsers(request: Request, account: SignedIn, db: Database) -> Response:
    """The browsers that were logged in by phone."""
    if account is None:
        return RedirectResponse("/login?next=/browsers", 302)
    unknown = translate(request, "unknownBrowser")
    rows = [
        {
            "id": row.id,
            "is_this": row.id == request.session["session"],
            "browser": row.browser or unknown,
            "begun_at": datetime.fromtimestamp(row.begun_at, UTC).isoformat(" ", "minutes")[:16],
            "address": row.address or unknown,
            "phone": row.phone or unknown,
        }
        for row in sessions.by_phone(db, account)
    ]
    return page(request, "browsers.html", rows=rows)


@pages.post("/browsers")
def end_browsers(form: Form, account: SignedIn, db: Database) -> Response:
    """End one of these sessions, or all."""
    if account:
        sessions.end(db, account, form.get("session", ""))
    return see_other("/browsers")


def operator(account: SignedIn) -> Account | None:
    """Who may see the operator's page; None: who has to sign in first.

    To an account that is not staff, there is no such page.
    """
    if account and not account.is_staff:
        raise HTTPException(404)
    return account


Operator = Annotated[Account | None, Depends(operator)]


@pages.get("/staff")
def staff_page(request: Request, account: Operator, db: Database, name: str = "") -> Response:
    """The operator's page."""
    if account is None:
        return RedirectResponse("/login?next=/staff", 302)
    return page(request, "staff.html", 200, **staff.overview(db, name))


@pages.post("/staff")
def act(form: Form, account: Operator, db: Database) -> Response:
    """What a button of the operator's page does."""
    if account:
        staff.act(db, form.get("do", ""), account.name)
    return see_other("/staff")


@pages.get("/signup")
def signup_page(request: Request) -> Response:
    return _signup(request)


@pages.post("/signup")
def signup(request: Request, form: Form, db: Database) -> Response:
    name, password = form["name"], form.get("password", "")
    if error := signup_error(request, name, password):
        return _signup(request, error, name)
    account = make_account(db, name, password)
    if account is None:
        return _signup(request, translate(request, "nameTaken"), name)
    begin_session(request, account.id)
    return see_other("/")


def _signup(request: Request, error: str = "", name: str = "") -> Response:
    help_text = translate(request, "passwordHelp", n=SHORTEST_PASSWORD)
    return page(
        request,
        "signup.html",
        error=error,
        name=name,
        shortest=SHORTEST_PASSWORD,
        password_help=help_text,
    )


def signup_error(request: Request, name: str, password: str) -> str:
    """What is wrong with them, in the user's language, or ""."""
    if not name:
        return translate(request, "nameMissing")
    if len(name) > LONGEST_NAME:
        return translate(request, "nameTooLong", n=LONGEST_NAME)
    if len(password) < SHORTEST_PASSWORD:
        return translate(request, "passwordTooShort", n=SHORTEST_PASSWORD)
    if len(password) > LONGEST_PASSWORD:
        return translate(request, "passwordTooLong", n=LONGEST_PASSWORD)
    return ""


@pages.get("/login")
def login_page(request: Request, account: SignedIn, next: str = "/") -> Response:  # noqa: A002
    if account:
        return see_other(local_path(next))
    return _login(request, "", "", local_path(next))


@pages.post("/login")
def login(request: Request, form: Form, db: Database) -> Response:
    target = local_path(form.get("next", "/"))
    account = authenticate(db, form["name"], form.get("password", "")[:LONGEST_PASSWORD])
    if account is None:
        return _login(request, translate(request, "wrongPassword"), form["name"], target)
    begin_session(request, account.id)
    return see_other(target)


def _login(request: Request, error: str, name: str, target: str) -> Response:
    """While logins by phone are paused, it says so, and the password is the way in."""
    paused = texts(language(request))["login"] if is_paused() else None
    return page(request, "login.html", error=error, name=name, next=target, paused=paused)


@pages.post("/logout")
def logout(request: Request, _: Form) -> Response:
    end_session(request)
    return see_other("/login")


@pages.get("/qr")
@pages.get("/qr/{code}")
@pages.get("/qr/{code:path}")  # some servers add a slash to the address in a QR code
async def phone_page(request: Request, account: SignedIn) -> Response:
    """The page that a phone's camera opens. It is for everybody: a user who signs in first comes
    back to it.

    Opening it changes nothing, because link previews and prefetches open it too.
    """
    sent = (request.path_params.get("code", ""), request.query_params.get("user_code", ""))
    code, typed = (NOT_IN_CODES.sub("", each) for each in sent)  # without what scanners add
    here = f"/qr/{code}" if code else f"/qr?user_code={typed}" if typed else "/qr"
    answer = page(
        request,
        "qr.html",
        name=account.name if account else "",
        typed=settings.policy.user_codes,
        explained=translate(request, "scanHereText", site=translate(request, "siteName")),
        sign_in=f"/login?next={quote(here, safe='/')}",
    )
    answer.headers["Referrer-Policy"] = "no-referrer"  # the URL holds a code
    return await set_landing_cookies(answer, native_endpoint, code)


def _path_and_query(request: Request) -> str:
    return quote(request.scope["path"]) + (f"?{request.url.query}" if request.url.query else "")


# The application


app = FastAPI(
    title="An example of qrlogin",
    lifespan=lifespan,
    # Only for development, because this page runs scripts of another host.
    docs_url=None if settings.secure else "/docs",
    redoc_url=None,
    redirect_slashes=False,  # the redirect would go to the host that the request names
)
app.add_middleware(
    SessionMiddleware,
    secret_key=settings.session_key,
    session_cookie=settings.cookie,
    https_only=settings.secure,
)
hosts = [f"[{host}]" if ":" in host else host]
if host == "127.0.0.1":
    hosts.append("localhost")
app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)
app.add_middleware(SecurityHeaders, docs=app.docs_url, secure=settings.secure)
app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
app.include_router(pages)

slots = WaitSlots(settings.max_waiting or 0)  # None only without the default of settings.py
describe = BrowserContext(proxies=settings.proxies)
native = Native(qr.core, user_codes=settings.policy.user_codes, describe=describe)
native_endpoint = AsyncEndpoint(qr, native, max_waiting=slots, paused=is_paused)
app.include_router(
    qrlogin_router(native_endpoint, person, log_in), prefix="/qrlogin", tags=["qrlogin"]
)

for name in settings.dialects:  # at the root of the site, where their clients expect them
    dialect = DIALECTS[name](qr.core, describe=describe, **OPTIONS.get(name, {}))
    endpoint = AsyncEndpoint(qr, dialect, max_waiting=slots, paused=is_paused)
    router = qrlogin_router(endpoint, person, log_in, log_out=log_out, tokens=tokens)
    app.include_router(router, tags=[name])


@app.exception_handler(Exception)
async def failure_page(request: Request, error: Exception) -> Response:
    answer = message(request, 500, "wentWrong")
    answer.headers.update(HEADERS)  # this answer does not pass through the middleware
    return answer


@app.exception_handler(BadRequest)
async def bad_form_page(request: Request, error: BadRequest) -> Response:
    return message(request, error.http_status, "wentWrong")


@app.exception_handler(AnyHTTPException)
async def error_page(request: Request, error: AnyHTTPException) -> Response:
    if error.status_code < 400:  # a redirect
        return Response(status_code=error.status_code, headers=error.headers)
    if isinstance(error.detail, dict):  # an element or another program sent the request
        return JSONResponse(error.detail, error.status_code, error.headers)
    key = "notFound" if error.status_code in (404, 405) else "wentWrong"
    return message(request, error.status_code, key, error.headers)
