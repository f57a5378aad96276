"""Passkeys beside logins by phone. The site works without this file, which needs `webauthn`.

`QRLOGIN_PASSKEYS` says what they are for:

    create   log in with a passkey; create one, for example after a login by phone
    approve  a phone must answer a passkey before it confirms a login
    browser  a browser that a phone approved must answer a passkey of its own before it is logged in

A challenge is a row of the database, for one purpose, one browser and one answer, and for a minute.
The browser's cookie holds only its number. Each answer must come from this site's own pages (the
origin and the relying party are checked) and from a person whom the device has verified.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import sessions
from adapter import read_request
from flask import (
    Blueprint,
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
from flask_login import current_user, login_required
from models import Account, account_by_id, db
from passkey_models import Challenge, Passkey
from sqlalchemy import CursorResult, delete, select, update
from webauthn import (
    generate_authentication_options,
    generate_registration_options,
    options_to_json,
    verify_authentication_response,
    verify_registration_response,
)
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, generate_challenge
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)
from werkzeug.wrappers import Response as AnyResponse

from qrlogin import Redeemed, Scanned
from qrlogin import browser as catalogue
from qrlogin.wire import ALLOW, DENY, STEP_UP, Person, Request, Ruling
from qrlogin.wire.validation import json_pairs

ANSWER_WITHIN = 60  # seconds, for a challenge, and from the answer to the confirm
FRESH = 15 * 60  # seconds after a login in which passkeys can be created and removed
MOST = 20  # passkeys of one account
VERIFIED = UserVerificationRequirement.REQUIRED
#: What a phone may do with a login without a passkey. All else needs one.
WITHOUT = ("look", "scan", "deny", "release", "outcome")

TEXTS: Mapping[str, Mapping[str, str]] = json.loads(
    Path(__file__).with_name("passkey_texts.json").read_text("utf-8")
)
blueprint = Blueprint("passkeys", __name__, url_prefix="/passkeys")


class Passkeys:
    """What the site asks of this file.

    :param begin_session: starts a session for an account, of a login that proved `assurance`.
    """

    def __init__(self, begin_session: Callable[..., None]) -> None:
        self.begin_session = begin_session

    def init_app(self, app: Flask) -> None:
        app.extensions["passkeys"] = self
        app.config["QRLOGIN_JUDGE"] = judge
        app.register_blueprint(blueprint)
        app.before_request(lead_to_the_passkey)
        app.context_processor(lambda: {"p": texts(), "passkeys_of": passkeys_of})

    def how(self) -> str:
        """How a user is logged in who answered a passkey."""
        return texts()["byPasskey"]

    def person(self, person: Callable[[], Person | None]) -> Callable[[], Person | None]:
        """`person`, with what this request proves: whether the phone answered a passkey for it."""

        def with_passkey() -> Person | None:
            who, step = person(), (request.view_args or {})["path"]
            if who is None or "approve" not in modes() or step in WITHOUT:
                return who
            codes = dict(json_pairs(read_request(step)))  # as the dialect reads them
            is_met = approved(current_user.id, str(codes.get("code", "")))
            return replace(who, assurance="passkey") if is_met else who

        return with_passkey

    def is_enough(self, account: Account, redeemed: Redeemed | None) -> bool:
        """Whether a login by phone, or else by password, needs no passkey of the browser."""
        if "browser" not in modes():
            return True
        return redeemed is None and not passkeys_of(account)


def judge(scanned: Scanned, person: Person, phone_request: Request) -> Ruling:
    """If the site asks for it, a phone must answer a passkey before it confirms a login."""
    is_met = phone_request.path in WITHOUT or person.assurance == "passkey"
    if is_met or "approve" not in modes():
        return ALLOW
    if not passkeys_of(current_user):
        return STEP_UP(url_for("passkeys.page"))  # to create one
    return DENY(texts()["approveFailed"])


def modes() -> frozenset[str]:
    chosen: frozenset[str] = current_app.config["QRLOGIN_PASSKEYS"]
    return chosen


def texts() -> Mapping[str, str]:
    """The texts about passkeys in the browser's language."""
    return TEXTS[catalogue.language(request.headers.get("Accept-Language", ""))]


def passkeys_of(account: Account) -> list[Passkey]:
    return list(db.session.scalars(select(Passkey).filter_by(account_id=account.id)))


def lead_to_the_passkey() -> AnyResponse | None:
    """A browser that still has to answer its passkey is led to the page that asks for it."""
    if request.endpoint in ("home", "login") and request.method == "GET":
        return redirect(url_for("passkeys.finish")) if sessions.current(is_whole=False) else None
    return None


# The pages


@blueprint.get("")
@login_required  # type: ignore[untyped-decorator]
def page() -> str:
    rows = [
        {
            "id": passkey.id,
            "made_on": passkey.made_on or texts()["unknown"],
            "made_at": datetime.fromtimestamp(passkey.made_at, UTC).isoformat(" ", "minutes")[:16],
        }
        for passkey in passkeys_of(current_user)
    ]
    return render_template("passkeys.html", rows=rows, is_fresh=is_fresh())


@blueprint.get("/finish")
def finish() -> str | AnyResponse:
    row = sessions.current(is_whole=False)
    account = account_by_id(row.account_id) if row else None
    if account is None:
        return redirect(url_for("home"))
    return render_template("passkey_finish.html", has_passkey=bool(passkeys_of(account)))


@blueprint.post("/remove")
@login_required  # type: ignore[untyped-decorator]
def remove() -> AnyResponse:
    if not is_fresh():
        abort(403)
    chosen = {"id": request.form.get("passkey", ""), "account_id": current_user.id}
    db.session.execute(delete(Passkey).filter_by(**chosen))
    db.session.commit()
    return redirect(url_for("passkeys.page"))


def is_fresh() -> bool:
    row = sessions.current()
    return row is not None and row.begun_at > time.time() - FRESH


# A challenge, and its answer


@blueprint.post("/options/<purpose>")
def options(purpose: str) -> Response:
    """The options for `navigator.credentials`, with a new challenge."""
    account, challenge = account_for(purpose), generate_challenge()
    sent = request.get_json()
    row = Challenge(
        purpose=purpose,
        account_id=account and account.id,
        about=str(sent.get("code", ""))[:600] if isinstance(sent, dict) else "",
        challenge=challenge,
        expires_at=int(time.time()) + ANSWER_WITHIN,
    )
    db.session.execute(delete(Challenge).where(Challenge.expires_at < int(time.time())))
    db.session.add(row)
    db.session.commit()
    session["challenge"] = row.id
    known = [
        PublicKeyCredentialDescriptor(base64url_to_bytes(each.credential))
        for each in (passkeys_of(account) if account else ())
    ]
    site = rp_id()
    if purpose == "create" and account:
        made = generate_registration_options(
            rp_id=site,
            rp_name=site,
            user_id=str(account.id).encode(),
            user_name=account.name,
            challenge=challenge,
            timeout=ANSWER_WITHIN * 1000,
            exclude_credentials=known,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=VERIFIED
            ),
        )
        return Response(options_to_json(made), mimetype="application/json")
    asked = generate_authentication_options(
        rp_id=site,
        challenge=challenge,
        timeout=ANSWER_WITHIN * 1000,
        allow_credentials=known,
        user_verification=VERIFIED,
    )
    return Response(options_to_json(asked), mimetype="application/json")


@blueprint.post("/answers/<purpose>")
def answer(purpose: str) -> Response:
    """What the browser's passkey answered. A wrong answer spends the challenge, too."""
    account = account_for(purpose)
    challenge, credential = spend(purpose, account), request.get_json()
    if not isinstance(credential, dict):
        abort(400)
    try:
        if purpose == "create" and account:
            create(account, challenge, credential)
            return jsonify(done=purpose)
        passkey = verify(account, challenge, credential)
    except (WebAuthnException, ValueError, KeyError, TypeError):
        current_app.logger.warning("a passkey's answer was refused: %s", purpose)
        abort(400, "the answer of the passkey is not valid")
    if purpose == "approve":
        # Good for one login, until it is confirmed, for as long as a challenge.
        challenge.state, challenge.expires_at = "met", int(time.time()) + ANSWER_WITHIN
        db.session.commit()
        session["approved"] = challenge.id
    elif purpose == "finish":
        sessions.complete("passkey of this browser")
    else:
        found = account_by_id(passkey.account_id)
        if found is None:
            abort(403)
        current_app.extensions["passkeys"].begin_session(found, assurance="passkey")
    return jsonify(done=purpose)


def account_for(purpose: str) -> Account | None:
    """The account that this browser may answer for; None for a login. Otherwise 403."""
    if purpose == "login":
        return None
    if purpose == "finish":
        row = sessions.current(is_whole=False)
        account = account_by_id(row.account_id) if row else None
    elif purpose == "approve" or (purpose == "create" and is_fresh()):
        account = current_user if current_user.is_authenticated else None
    else:
        abort(403 if purpose == "create" else 404)
    return account or abort(403)


def spend(purpose: str, account: Account | None) -> Challenge:
    """This browser's challenge. A second call for it answers with 400."""
    chosen = Challenge.id == session.pop("challenge", 0)
    change = update(Challenge).where(
        chosen,
        Challenge.state == "open",
        Challenge.purpose == purpose,
        Challenge.account_id == (account and account.id),
        Challenge.expires_at >= int(time.time()),
    )
    done = cast(CursorResult[Any], db.session.execute(change.values(state="spent")))
    db.session.commit()
    if done.rowcount != 1:
        abort(400, "the question is too old, or was answered before: ask again")
    return db.session.scalars(select(Challenge).where(chosen)).one()


def create(account: Account, challenge: Challenge, credential: Mapping[str, Any]) -> None:
    made = verify_registration_response(
        credential=dict(credential),
        expected_challenge=challenge.challenge,
        expected_rp_id=rp_id(),
        expected_origin=current_app.config["QRLOGIN_ORIGIN"],
        require_user_verification=True,
    )
    name = bytes_to_base64url(made.credential_id)
    taken = db.session.scalar(select(Passkey).filter_by(credential=name))
    if taken or len(passkeys_of(account)) >= MOST:
        abort(400, "this passkey exists already, or there are too many")
    row = sessions.current()
    passkey = Passkey(
        account_id=account.id,
        credential=name,
        public_key=made.credential_public_key,
        sign_count=made.sign_count,
        made_on=row.browser if row else "",
        made_at=int(time.time()),
    )
    db.session.add(passkey)
    db.session.commit()


def verify(account: Account | None, challenge: Challenge, credential: Mapping[str, Any]) -> Passkey:
    """The passkey that answered: one of this account, or of any if it is None."""
    passkey: Passkey | None = db.session.scalar(
        select(Passkey).filter_by(credential=str(credential.get("id", "")))
    )
    if passkey is None or (account and passkey.account_id != account.id):
        abort(400, "this passkey is not known here")
    verified = verify_authentication_response(
        credential=dict(credential),
        expected_challenge=challenge.challenge,
        expected_rp_id=rp_id(),
        expected_origin=current_app.config["QRLOGIN_ORIGIN"],
        credential_public_key=passkey.public_key,
        credential_current_sign_count=passkey.sign_count,
        require_user_verification=True,
    )
    passkey.sign_count = verified.new_sign_count
    db.session.commit()
    return passkey


def approved(account_id: int, code: str) -> bool:
    """Whether this browser has just answered a passkey for the login of this code."""
    row = db.session.get(Challenge, session.get("approved", 0))
    return (
        row is not None
        and (row.state, row.purpose, row.account_id) == ("met", "approve", account_id)
        and (row.about, bool(code)) == (code, True)
        and row.expires_at >= time.time()
    )


def rp_id() -> str:
    """The host, without the port: a passkey belongs to a host (WebAuthn, "RP ID")."""
    origin: str = current_app.config["QRLOGIN_ORIGIN"]
    return origin.partition("://")[2].partition(":")[0]
