"""An application with people, passwords and a login page, in which a phone that is signed in can log a browser in, too.

The two callbacks at its heart are `person` and `log_in`; `adapter.py` does the rest. The pages are in templates/, their words in
the catalogue of `qrlogin.browser`.
"""

import os
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from adapter import PhoneLogin, stop_politely
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
    account_of,
    db,
    make_account,
)
from settings import read
from stopping import await_last_answers
from tokens import account_in, tokens
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from qrlogin import Redeemed
from qrlogin.browser import language, texts
from qrlogin.browser import translate as say_in
from qrlogin.demo.dialects import DIALECTS
from qrlogin.render import Style, png
from qrlogin.wire import BrowserContext, CombinedDialect, Person

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
GUARDS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # and not less: without a referrer, browsers say `Origin: null` for a form
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
STYLE = Style(
    modules="rounded",
    dark="#0b4f43",
    logo=Path(__file__).with_name("static").joinpath("logo.png").read_bytes(),
)
ERRORS = {
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
}  # in JSON; RFC 6749's spelling
OWN_PATH = re.compile(r"/([\w.=-]+(/[\w.=-]+)*)?(\?[\w.=&-]*)?", re.ASCII)

login_manager, csrf, migrate = LoginManager(), CSRFProtect(), Migrate()
login_manager.login_view, login_manager.login_message = "login", None
login_manager.session_protection = (
    "basic"  # "strong" logs a phone out each time that it changes its network
)
login_manager.user_loader(account_by_id)


def create_app(environ: Mapping[str, str] = os.environ, *, instance: str | None = None) -> Flask:
    """The application. Raises `qrlogin.Misconfigured`, with what to do, when the environment makes no sense."""
    app = Flask(__name__, instance_path=instance)
    app.config.from_mapping(read(environ, Path(app.instance_path)))
    app.config["QRLOGIN_DRAW_PNG"] = lambda text: png(text, scale=10, style=STYLE)
    db.init_app(app)
    migrate.init_app(app, db)
    login_manager.init_app(app)
    csrf.init_app(app)
    phones = PhoneLogin(person, log_in, log_out=end_session, tokens=tokens)
    qr = phones.init_app(app)
    if names := app.config["QRLOGIN_DIALECTS"]:  # those of `qrlogin demo`, which take any client
        several = CombinedDialect(
            *(DIALECTS[name](qr.core, BrowserContext(), None) for name in names)
        )
        phones.mount(app, several, url_prefix="", name="dialects")
    app.before_request(under_its_own_name)
    app.after_request(guard)
    app.context_processor(lambda: {"lang": accepted(), "t": texts(accepted())["pages"]})
    app.register_error_handler(HTTPException, explain)
    app.add_url_rule("/", view_func=login_required(home))
    app.add_url_rule("/signup", view_func=signup, methods=["GET", "POST"])
    app.add_url_rule("/login", view_func=login, methods=["GET", "POST"])
    app.add_url_rule("/logout", view_func=logout, methods=["POST"])
    app.add_url_rule("/qr", view_func=qr_page, endpoint="qr")
    app.add_url_rule("/qr/<code>", view_func=qr_page, endpoint="qr_code")
    return app


# What qrlogin asks of an application


def person() -> Person | None:
    """Who is signed in on the phone."""
    if not current_user.is_authenticated:
        return None
    return Person(
        current_user.get_id(), shown_as=f"{current_user.name[0]}•••{current_user.name[-1]}"
    )


def log_in(redeemed: Redeemed) -> None:
    """A phone approved: start this browser's session."""
    # The token stays: if this answer is lost, the page sends the same click again, and that must not be taken for a forgery.
    kept = {name: session[name] for name in ("csrf_token",) if name in session}
    browser = redeemed.context.get("browser", "")
    begin_session(account_in(redeemed), login_id=redeemed.login_id, browser=browser, **kept)


def begin_session(account: Account, **facts: str) -> None:
    """Nothing from before is taken along, so whoever planted the old session has none of the new one."""
    session.clear()
    login_user(account)
    session.permanent = True
    session.update(facts)


def end_session() -> None:
    logout_user()
    session.clear()


# The pages


def home() -> str:
    browser = session.get("browser", "") or translate("unknownBrowser")
    how = (
        translate("loggedInByPhone", browser=browser)
        if "login_id" in session
        else translate("loggedInByPassword")
    )
    return render_template(
        "home.html",
        heading=translate("loggedInAs", name=current_user.name),
        initial=current_user.name[0].upper(),
        how=how,
    )


def signup() -> str | AnyResponse:
    name, password = typed("name"), typed("password")
    error = ""
    if request.method == "POST":
        error = wrong(name, password)
        if not error and (account := make_account(name, password)):
            begin_session(account)
            return redirect(url_for("home"))
        error = error or translate("nameTaken")
    help_text = translate("passwordHelp", n=SHORTEST_PASSWORD)
    return render_template(
        "signup.html", error=error, name=name, shortest=SHORTEST_PASSWORD, password_help=help_text
    )


def wrong(name: str, password: str) -> str:
    """What is wrong with them, in words, or ""."""
    if not name or not name.isprintable():
        return translate("nameMissing")
    if len(name) > LONGEST_NAME:
        return translate("nameTooLong", n=LONGEST_NAME)
    if len(password) < SHORTEST_PASSWORD:
        return translate("passwordTooShort", n=SHORTEST_PASSWORD)
    return (
        translate("passwordTooLong", n=LONGEST_PASSWORD) if len(password) > LONGEST_PASSWORD else ""
    )


def login() -> str | AnyResponse:
    name, target = typed("name"), own_path(request.values.get("next", ""))
    if request.method == "POST":
        if account := account_of(name, typed("password")[:LONGEST_PASSWORD]):
            begin_session(account)
            return redirect(target)
        return render_template(
            "login.html", error=translate("wrongPassword"), name=name, next=target
        )
    if current_user.is_authenticated:
        return redirect(target)
    return render_template("login.html", error="", name="", next=target)


def logout() -> AnyResponse:
    end_session()
    return redirect(url_for("login"))


def qr_page(code: str = "") -> AnyResponse:
    """What the camera of a phone opens. It does nothing: previews and prefetches open addresses, too."""
    here = quote(request.full_path.rstrip("?"), safe="/")
    page = render_template(
        "qr.html",
        name=current_user.name if current_user.is_authenticated else "",
        typed=current_app.config["QRLOGIN_POLICY"].user_codes,
        explained=translate("scanHereText", site=translate("siteName")),
        sign_in=f"{url_for('login')}?next={here}",
    )
    return Response(page, headers={"Referrer-Policy": "no-referrer"})  # its address holds a code


def typed(field: str) -> str:
    """A field of the form as a person means it: the same name, however their keyboard composes it."""
    text = request.form.get(field, "")
    return unicodedata.normalize("NFC", text.strip() if field == "name" else text)


def own_path(text: str) -> str:
    """A path of this site, or its first page: what stands there may come from anybody."""
    return text if OWN_PATH.fullmatch(text) else url_for("home")


# Around them


def accepted() -> str:
    return language(request.headers.get("Accept-Language", ""))


def translate(key: str, **words: object) -> str:
    return say_in(accepted(), key, **words)


def under_its_own_name() -> AnyResponse | None:
    """Cookies and codes belong to QRLOGIN_ORIGIN: who came as localhost is led there, and no other name is answered.

    Flask's TRUSTED_HOSTS knows no IPv6 address, and where it refuses, no template can name an address (`url_for`).
    """
    origin = current_app.config["QRLOGIN_ORIGIN"]
    asked, own = (
        re.sub(":[0-9]*$", "", host.lower()) for host in (request.host, urlsplit(origin).netloc)
    )
    if asked == own:
        return None
    if request.method != "GET" or (asked, own) != ("localhost", "127.0.0.1"):
        abort(400, "this site has another name")
    return redirect(
        f"{origin}{quote(request.path)}?{request.query_string.decode('latin-1')}".rstrip("?")
    )


def guard(response: Response) -> Response:
    for name, value in GUARDS.items():
        response.headers.setdefault(name, value)
    return response


def explain(
    error: HTTPException,
) -> AnyResponse | tuple[str | Response, int, list[tuple[str, str]]]:
    code = error.code or 500
    if code < 400:  # a redirect
        return error.get_response()
    forged = isinstance(error, CSRFError)
    headers = [
        header for header in error.get_headers() if header[0] != "Content-Type"
    ]  # Allow, Retry-After
    if request.is_json:  # an element asked
        named = (
            "forbidden"
            if forged
            else ERRORS.get(code, "server_error" if code >= 500 else "bad_request")
        )
        return jsonify(error=named, error_description=error.description), code, headers
    heading = translate(
        "formTooOld" if forged else "notFound" if code in (404, 405) else "wentWrong"
    )
    return render_template("message.html", heading=heading), code, headers


app = create_app()
await_last_answers(app)
stop_politely(app.extensions["qrlogin"])
