"""An application with people, passwords and a login page, in which a phone that is signed in can log a browser in, too.

The two functions at its heart are `person` and `log_in`; `adapter.py` does the rest. The pages are in templates/, their words in
the catalogue of `qrlogin.browser`.
"""

import hmac
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated
from urllib.parse import quote, urlsplit

from adapter import qrlogin_router, serving
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response, Security
from fastapi.responses import JSONResponse, RedirectResponse
from fastapi.security import APIKeyCookie
from fastapi.staticfiles import StaticFiles
from pages import (
    FOLDER,
    GUARDS,
    Guarded,
    message,
    own_path,
    page,
    read_own_form,
    see_other,
    translate,
)
from people import (
    LONGEST_NAME,
    LONGEST_PASSWORD,
    SHORTEST_PASSWORD,
    Account,
    account_of,
    make_account,
)
from settings import about, read
from sqlalchemy import create_engine
from sqlalchemy.exc import ArgumentError
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as AnyHTTPException
from starlette.middleware.sessions import SessionMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from qrlogin import AsyncQRLogin, Misconfigured, Redeemed
from qrlogin.demo.dialects import DIALECTS
from qrlogin.errors import BadRequest
from qrlogin.stores import open_async_store
from qrlogin.wire import AsyncEndpoint, BrowserContext, Native, Person, WaitSlots

try:
    settings = read()
    with about("QRLOGIN_STORE"):
        store = open_async_store(settings.store)
    uri = f"{settings.origin}/qr"
    qr = AsyncQRLogin(
        store, secret_keys=settings.secret_keys, verification_uri=uri, policy=settings.policy
    )
    engine = create_engine(settings.database)
except (Misconfigured, ArgumentError, ImportError, OSError) as error:
    print(f"It cannot start: {error}", file=sys.stderr)
    sys.exit(
        3
    )  # what uvicorn says itself then. After an error of any other kind it would start its workers again, for ever
host = urlsplit(qr.core.origin).hostname or ""


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
    """Gives its connection back at once: whoever kept it until the page is made could keep all threads from making one."""
    number = request.session.get("account")
    with Session(engine) as db:
        return db.get(Account, number) if number else None


async def own_form(request: Request) -> Mapping[str, str]:
    return await read_own_form(request, qr.core.origin)


SignedIn = Annotated[Account | None, Depends(signed_in)]
Form = Annotated[Mapping[str, str], Depends(own_form)]


# What qrlogin asks of an application


def person(account: SignedIn) -> Person | None:
    """Who is signed in on the phone."""
    return Person(str(account.id), shown_as=account.masked) if account else None


async def log_in(request: Request, redeemed: Redeemed) -> None:
    """A phone approved: start this browser's session."""
    account = await run_in_threadpool(account_in, redeemed)
    begin_session(
        request, account, browser=redeemed.context.get("browser", ""), login_id=redeemed.login_id
    )


async def log_out(request: Request) -> None:
    request.session.clear()


async def tokens(redeemed: Redeemed) -> Mapping[str, object]:
    """What a client of OAuth gets (RFC 6749 section 5.1), and again if it asks again because the answer was lost.

    Nothing here takes such tokens: issue those of your own service.
    """
    openid = str(await run_in_threadpool(account_in, redeemed))
    token = hmac.digest(
        settings.session_key.encode(), f"access_token {redeemed.login_id}".encode(), "sha256"
    ).hex()
    return {"access_token": token, "token_type": "Bearer", "expires_in": 3600, "openid": openid}


def account_in(redeemed: Redeemed) -> int:
    """Whose login it is. It blocks: what is awaited gives it a thread, so that nobody who waits stands still meanwhile."""
    with Session(engine) as db:
        if db.get(Account, int(redeemed.subject)):
            return int(redeemed.subject)
    raise HTTPException(
        403,
        {"error": "forbidden", "error_description": "The account was closed after it approved."},
    )


def begin_session(request: Request, account: int, **facts: str) -> None:
    """Nothing from before is taken along, so whoever planted the old session has none of the new one."""
    request.session.clear()
    request.session.update(account=account, **facts)


# The pages


def under_its_own_name(request: Request) -> None:
    """Cookies and codes belong to QRLOGIN_ORIGIN: who came as localhost is led there."""
    if request.method == "GET" and request.url.hostname != host:
        raise HTTPException(307, headers={"Location": qr.core.origin + _address(request)})


pages = APIRouter(include_in_schema=False, dependencies=[Depends(under_its_own_name)])


@pages.get("/")
def home(request: Request, account: SignedIn) -> Response:
    if account is None:
        return RedirectResponse("/login?next=/", 302)
    browser = request.session.get("browser") or translate(request, "unknownBrowser")
    by_phone = "login_id" in request.session
    how = (
        translate(request, "loggedInByPhone", browser=browser)
        if by_phone
        else translate(request, "loggedInByPassword")
    )
    heading = translate(request, "loggedInAs", name=account.name)
    return page(request, "home.html", heading=heading, initial=account.name[0].upper(), how=how)


@pages.get("/signup")
def signup_page(request: Request) -> Response:
    return _signup(request)


@pages.post("/signup")
def signup(request: Request, form: Form, db: Database) -> Response:
    name, password = form["name"], form.get("password", "")
    if error := wrong(request, name, password):
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


def wrong(request: Request, name: str, password: str) -> str:
    """What is wrong with them, in words, or ""."""
    if not name or not name.isprintable():
        return translate(request, "nameMissing")
    if len(name) > LONGEST_NAME:
        return translate(request, "nameTooLong", n=LONGEST_NAME)
    if len(password) < SHORTEST_PASSWORD:
        return translate(request, "passwordTooShort", n=SHORTEST_PASSWORD)
    return (
        translate(request, "passwordTooLong", n=LONGEST_PASSWORD)
        if len(password) > LONGEST_PASSWORD
        else ""
    )


@pages.get("/login")
def login_page(request: Request, account: SignedIn, next: str = "/") -> Response:  # noqa: A002 - what the address calls it
    return (
        see_other(own_path(next))
        if account
        else page(request, "login.html", error="", name="", next=own_path(next))
    )


@pages.post("/login")
def login(request: Request, form: Form, db: Database) -> Response:
    target = own_path(form.get("next", "/"))
    account = account_of(db, form["name"], form.get("password", "")[:LONGEST_PASSWORD])
    if account is None:
        return page(
            request,
            "login.html",
            error=translate(request, "wrongPassword"),
            name=form["name"],
            next=target,
        )
    begin_session(request, account.id)
    return see_other(target)


@pages.post("/logout")
def logout(request: Request, _: Form) -> Response:
    request.session.clear()
    return see_other("/login")


@pages.get("/qr")
@pages.get("/qr/{code}")
def phones_page(request: Request, account: SignedIn) -> Response:
    """What the camera of a phone opens. It does nothing: previews and prefetches open addresses, too."""
    answer = page(
        request,
        "qr.html",
        name=account.name if account else "",
        typed=settings.policy.user_codes,
        explained=translate(request, "scanHereText", site=translate(request, "siteName")),
        sign_in=f"/login?next={quote(_address(request), safe='/')}",
    )
    answer.headers["Referrer-Policy"] = "no-referrer"  # its address holds a code
    return answer


def _address(request: Request) -> str:
    return quote(request.scope["path"]) + (f"?{request.url.query}" if request.url.query else "")


# All of it


app = FastAPI(
    title="An example of qrlogin",
    lifespan=lifespan,
    docs_url=None
    if settings.secure
    else "/docs",  # for whoever develops: it runs scripts of another host
    redoc_url=None,
    redirect_slashes=False,  # it would lead to whatever host the request names
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
app.add_middleware(Guarded, docs=app.docs_url)
app.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")
app.include_router(pages)

places = WaitSlots(settings.max_waiting)
native = Native(qr.core, user_codes=settings.policy.user_codes, describe=BrowserContext())
native_endpoint = AsyncEndpoint(qr, native, max_waiting=places)
app.include_router(
    qrlogin_router(native_endpoint, person, log_in), prefix="/qrlogin", tags=["qrlogin"]
)

for name in settings.dialects:  # at the root of the site, where their clients expect them
    endpoint = AsyncEndpoint(
        qr, DIALECTS[name](qr.core, BrowserContext(), None), max_waiting=places
    )
    router = qrlogin_router(endpoint, person, log_in, log_out=log_out, tokens=tokens)
    app.include_router(router, tags=[name])


@app.exception_handler(Exception)
async def explain_failure(request: Request, error: Exception) -> Response:
    answer = message(request, 500, "wentWrong")
    answer.headers.update(GUARDS)  # it goes out past the middleware
    return answer


@app.exception_handler(BadRequest)
async def explain_form(request: Request, error: BadRequest) -> Response:
    return message(request, error.http_status, "wentWrong")


@app.exception_handler(AnyHTTPException)
async def explain(request: Request, error: AnyHTTPException) -> Response:
    if error.status_code < 400:  # it leads elsewhere
        return Response(status_code=error.status_code, headers=error.headers)
    if isinstance(error.detail, dict):  # an element or a program asked
        return JSONResponse(error.detail, error.status_code, error.headers)
    key = "notFound" if error.status_code in (404, 405) else "wentWrong"
    return message(request, error.status_code, key, error.headers)
