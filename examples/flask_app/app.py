"""A site with accounts and passwords, where a signed-in phone can also log a browser in.

`person` and `log_in` connect it to qrlogin; `adapter.py` does the rest. The pages are in
templates/, their texts come from `qrlogin.browser`.
"""

import logging
import os
import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import sessions
import staff
from adapter import PhoneLogin, close_at_exit, finish_requests_at_exit, set_landing_cookies
from flask import (
    Flask,
    Response,
    abort,
    current_app,
    jsonify,
    redirect,
    render_template,
    request,
    session,
    url_for,
)
from flask_login import LoginManager, current_user, login_required, login_user, logout_user
from flask_migrate import Migrate
from flask_wtf import CSRFProtect
from flask_wtf.csrf import CSRFError
from models import (
    LONGEST_NAME,
    LONGEST_PASSWORD,
    SHORTEST_PASSWORD,
    Account,
    account_by_id,
    authenticate,
    db,
    make_account,
)
from settings import read
from tokens import account_in, refuse, tokens
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from qrlogin import Redeemed
from qrlogin import browser as catalogue
from qrlogin.names import clean, initial
from qrlogin.render import Style, png
from qrlogin.wire import BrowserContext, CombinedDialect, HideCodes, Person
from qrlogin.wire.dialects import DIALECTS

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": browsers would then send `Origin: null` with a form.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STYLE = Style(
    modules="rounded",
    dark="#0b4f43",
    logo=Path(__file__).with_name("static").joinpath("logo.png").read_bytes(),
)
# The errors in JSON answers, spelled as in RFC 6749.
ERRORS = {403: "forbidden", 404: "not_found", 405: "method_not_allowed"}
# What an OAuth client may ask for, in the words that the phone shows.
SCOPES = {"openid": "", "profile": "Read your name", "offline_access": "Stay logged in"}
NOT_IN_CODES = re.compile(r"[^\w.=-]", re.ASCII)
LOCAL_PATH = re.compile(r"/([\w.=-]+(/[\w.=-]+)*)?(\?[\w.=&-]*)?", re.ASCII)

login_manager, csrf, migrate = LoginManager(), CSRFProtect(), Migrate()
login_manager.login_view, login_manager.login_message = "login", None
# "strong" would log a phone out each time its network changes.
login_manager.session_protection = "basic"


@login_manager.user_loader  # type: ignore[untyped-decorator]
def signed_in(number: str) -> Account | None:
    """The account of this browser's session. None: the session was ended, or the account locked."""
    row = sessions.current()
    if row is None or row.account_id != int(number):
        return None
    sessions.note_seen(row)
    return account_by_id(number)


def create_app(environ: Mapping[str, str] = os.environ, *, instance: str | None = None) -> Flask:
    """The application. Raises `qrlogin.Misconfigured`, which says what to set."""
    app = Flask(__name__, instance_path=instance)
    app.config.from_mapping(read(environ, Path(app.instance_path)))
    app.config["QRLOGIN_DRAW_PNG"] = lambda text: png(text, scale=10, style=STYLE)
    app.config.update(QRLOGIN_PAUSED=staff.is_paused, QRLOGIN_ON_EVENT=staff.count)
    # `flask run` logs every address, and some of them hold a code.
    logging.getLogger("werkzeug").addFilter(HideCodes())
    db.init_app(app)
    migrate.init_app(app, db)
    login_manager.init_app(app)
    csrf.init_app(app)
    app.cli.add_command(staff.make_staff)
    on_phone = person
    if app.config["QRLOGIN_PASSKEYS"]:
        from passkeys import Passkeys  # it needs requirements-passkeys.txt

        passkeys = Passkeys(begin_session)
        passkeys.init_app(app)
        on_phone = passkeys.person(person)
    phone_login = PhoneLogin(on_phone, log_in, log_out=end_session, tokens=tokens)
    qr = phone_login.init_app(app)
    if names := app.config["QRLOGIN_DIALECTS"]:
        describe = BrowserContext(proxies=app.config["QRLOGIN_PROXIES"])
        options: dict[str, dict[str, Any]] = {"rfc8628": {"scopes": SCOPES}}
        for name, clients in app.config["QRLOGIN_CLIENTS"].items():
            options.setdefault(name, {}).update(clients)
        dialects = (
            DIALECTS[name](qr.core, describe=describe, **options.get(name, {})) for name in names
        )
        phone_login.mount(app, CombinedDialect(*dialects), url_prefix="", name="dialects")
    app.before_request(check_host)
    app.after_request(add_headers)
    app.context_processor(lambda: {"lang": language(), "t": catalogue.texts(language())["pages"]})
    app.register_error_handler(HTTPException, error_page)
    app.add_url_rule("/", view_func=login_required(home))
    app.add_url_rule("/browsers", view_func=login_required(browsers), methods=["GET", "POST"])
    app.add_url_rule(
        "/staff", view_func=login_required(staff_page), endpoint="staff", methods=["GET", "POST"]
    )
    app.add_url_rule("/signup", view_func=signup, methods=["GET", "POST"])
    app.add_url_rule("/login", view_func=login, methods=["GET", "POST"])
    app.add_url_rule("/logout", view_func=logout, methods=["POST"])
    # Some servers add a slash to the address in a QR code.
    app.add_url_rule("/qr", view_func=qr_page, endpoint="qr", strict_slashes=False)
    app.add_url_rule("/qr/<code>", view_func=qr_page, endpoint="qr_code", strict_slashes=False)
    return app


# What qrlogin needs from an application


def person() -> Person | None:
    """Who is signed in on the phone, or None. A browser asks "continue as …?" with the name."""
    if not current_user.is_authenticated:
        return None
    phone = str(session["session"])  # `Redeemed.phone` tells which phone approved
    return Person(current_user.get_id(), phone=phone, name=current_user.name)


def log_in(redeemed: Redeemed) -> None:
    """Start this browser's session, because a phone approved it."""
    account = account_in(redeemed)
    if sessions.was_ended(redeemed):
        refuse("The session of this login was ended.")
    # Keep the CSRF token: if this answer is lost, the page sends the same request again, and
    # Flask-WTF would refuse the old token.
    kept = {name: session[name] for name in ("csrf_token",) if name in session}
    begin_session(account, redeemed)
    session.update(kept)


def begin_session(
    account: Account, redeemed: Redeemed | None = None, *, assurance: str = ""
) -> None:
    """Start a new session. The old one is dropped, so an attacker who planted it gains nothing."""
    sessions.end_current()
    session.clear()
    passkeys = current_app.extensions.get("passkeys")
    is_whole = not passkeys or bool(assurance) or passkeys.is_enough(account, redeemed)
    sessions.begin(account, redeemed, assurance=assurance, is_whole=is_whole)
    session.permanent = True
    if is_whole:
        login_user(account)


def end_session() -> None:
    sessions.end_current()
    logout_user()
    session.clear()


# The pages


def home() -> str:
    row = sessions.current()
    if row and row.login_id:
        browser = row.browser or translate("unknownBrowser")
        how = translate("loggedInByPhone", browser=browser)
    elif row and row.assurance:
        how = current_app.extensions["passkeys"].how()
    else:
        how = translate("loggedInByPassword")
    return render_template(
        "home.html",
        heading=translate("loggedInAs", name=current_user.name),
        initial=initial(current_user.name),
        how=how,
        by_phone=bool(row and row.login_id),
    )


def browsers() -> str | AnyResponse:
    """The browsers that were logged in by phone. A form ends one of these sessions, or all."""
    if request.method == "POST":
        sessions.end(current_user, form_field("session"))
        return redirect(url_for("browsers"))
    rows = [
        {
            "id": row.id,
            "is_this": row.id == session["session"],
            "browser": row.browser or translate("unknownBrowser"),
            "begun_at": datetime.fromtimestamp(row.begun_at, UTC).isoformat(" ", "minutes")[:16],
            "address": row.address or translate("unknownBrowser"),
            "phone": row.phone or translate("unknownBrowser"),
        }
        for row in sessions.by_phone(current_user)
    ]
    return render_template("browsers.html", rows=rows)


def staff_page() -> str | AnyResponse:
    """The operator's page. To an account that is not staff, there is no such page."""
    if not current_user.is_staff:
        abort(404)
    if request.method == "POST":
        staff.act(form_field("do"), current_user.name)
        return redirect(url_for("staff"))
    return render_template("staff.html", **staff.overview(request.args.get("name", "")))


def signup() -> str | AnyResponse:
    name, password = form_field("name"), form_field("password")
    error = ""
    if request.method == "POST":
        error = signup_error(name, password)
        if not error and (account := make_account(name, password)):
            begin_session(account)
            return redirect(url_for("home"))
        error = error or translate("nameTaken")
    help_text = translate("passwordHelp", n=SHORTEST_PASSWORD)
    return render_template(
        "signup.html", error=error, name=name, shortest=SHORTEST_PASSWORD, password_help=help_text
    )


def signup_error(name: str, password: str) -> str:
    """What is wrong with them, in the user's language, or ""."""
    if not name:
        return translate("nameMissing")
    if len(name) > LONGEST_NAME:
        return translate("nameTooLong", n=LONGEST_NAME)
    if len(password) < SHORTEST_PASSWORD:
        return translate("passwordTooShort", n=SHORTEST_PASSWORD)
    if len(password) > LONGEST_PASSWORD:
        return translate("passwordTooLong", n=LONGEST_PASSWORD)
    return ""


def login() -> str | AnyResponse:
    name, target = form_field("name"), local_path(request.values.get("next", ""))
    if request.method == "POST":
        if account := authenticate(name, form_field("password")[:LONGEST_PASSWORD]):
            begin_session(account)
            return redirect(target)
        return login_page(translate("wrongPassword"), name, target)
    if current_user.is_authenticated:
        return redirect(target)
    return login_page("", "", target)


def login_page(error: str, name: str, target: str) -> str:
    """While logins by phone are paused, it says so, and the password is the way in."""
    paused = catalogue.texts(language())["login"] if staff.is_paused() else None
    return render_template("login.html", error=error, name=name, next=target, paused=paused)


def logout() -> AnyResponse:
    end_session()
    return redirect(url_for("login"))


def qr_page(code: str = "") -> AnyResponse:
    """The page that a phone's camera opens. It is for everybody: a user who signs in first comes
    back to it.

    Opening it changes nothing, because link previews and prefetches open it too.
    """
    typed = NOT_IN_CODES.sub("", request.args.get("user_code", ""))
    code = NOT_IN_CODES.sub("", code)  # what scanners and servers added around it
    here = url_for("qr_code", code=code) if code else url_for("qr", user_code=typed or None)
    page = render_template(
        "qr.html",
        name=current_user.name if current_user.is_authenticated else "",
        typed=current_app.config["QRLOGIN_POLICY"].user_codes,
        explained=translate("scanHereText", site=translate("siteName")),
        sign_in=f"{url_for('login')}?next={quote(here, safe='/')}",
    )
    answer = Response(page, headers={"Referrer-Policy": "no-referrer"})  # the URL holds a code
    return set_landing_cookies(answer, current_app.extensions["qrlogin_endpoint"], code)


def form_field(field: str) -> str:
    """A field of the form. Normalized, because keyboards compose the same letter differently.

    A name loses what nobody sees, here and at the next login: no name is an error.
    """
    text = request.form.get(field, "")
    if field == "name":
        text = clean(text, current_app.config["MAX_CONTENT_LENGTH"])
    return unicodedata.normalize("NFC", text)


def local_path(text: str) -> str:
    """The text if it is a path of this site, else the first page: any link can set `next`."""
    return text if LOCAL_PATH.fullmatch(text) else url_for("home")


# Around the pages


def language() -> str:
    return catalogue.language(request.headers.get("Accept-Language", ""))


def translate(key: str, **values: object) -> str:
    """The text with this key in the browser's language."""
    return catalogue.translate(language(), key, **values)


def check_host() -> AnyResponse | None:
    """Redirect from localhost to QRLOGIN_ORIGIN, and refuse requests for any other host.

    Cookies and codes belong to that one host. Flask's TRUSTED_HOSTS cannot hold an IPv6 address,
    and `url_for` fails in the template of the answer that it refuses with.
    """
    origin = current_app.config["QRLOGIN_ORIGIN"]
    requested, own = (
        re.sub(":[0-9]*$", "", host.lower()) for host in (request.host, urlsplit(origin).netloc)
    )
    if requested == own:
        return None
    if request.method != "GET" or (requested, own) != ("localhost", "127.0.0.1"):
        abort(400, "this site has another name")
    query = request.query_string.decode("latin-1")
    return redirect(f"{origin}{quote(request.path)}?{query}".rstrip("?"))


def add_headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    if current_app.config["SESSION_COOKIE_SECURE"]:
        # An hour. Make it a year when every page of this host works over https.
        response.headers.setdefault("Strict-Transport-Security", "max-age=3600")
    return response


def error_page(
    error: HTTPException,
) -> AnyResponse | tuple[str | Response, int, list[tuple[str, str]]]:
    """The error as a page, or as JSON for an element."""
    code = error.code or 500
    if code < 400:  # a redirect
        return error.get_response()
    forged = isinstance(error, CSRFError)
    # Keep the others, such as Allow and Retry-After.
    headers = [header for header in error.get_headers() if header[0] != "Content-Type"]
    if request.is_json:
        other = "server_error" if code >= 500 else "bad_request"
        name = "forbidden" if forged else ERRORS.get(code, other)
        return jsonify(error=name, error_description=error.description), code, headers
    text = "formTooOld" if forged else "notFound" if code in (404, 405) else "wentWrong"
    return render_template("message.html", heading=translate(text)), code, headers


app = create_app()
finish_requests_at_exit(app)
close_at_exit(app.extensions["qrlogin"])
