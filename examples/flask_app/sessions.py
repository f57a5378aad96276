"""The sessions, on the server, so that one of them can be ended from another browser.

Flask keeps a session in its cookie. The cookie holds the id of a row here, and a request counts as
signed in only while that row exists and is not ended. `login_id` finds the session that a login by
phone started.
"""

import time
from collections.abc import Mapping

from adapter import read_request
from flask import session
from models import Account, db
from sqlalchemy import ForeignKey, String, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from qrlogin import Redeemed
from qrlogin.wire import describe_browser

KEPT = 31 * 24 * 3600  # seconds, as Flask's permanent sessions are kept
REPEATED = 5 * 60  # seconds; no policy lets a redeem be repeated for longer
SEEN_EVERY = 60  # seconds; a later page of the same minute writes nothing
INCOMPLETE = 10 * 60  # seconds in which a session that is not whole can be completed


class BrowserSession(db.Model):  # type: ignore[name-defined,misc]
    # The id of an ended session is never used again: an old cookie may still hold it.
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy reads it
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id", ondelete="CASCADE"), index=True
    )
    begun_at: Mapped[int]  # seconds since 1970
    seen_at: Mapped[int] = mapped_column(default=0)
    """When it last opened a page, to the minute; 0: it is not known."""
    browser: Mapped[str] = mapped_column(String(80))
    address: Mapped[str] = mapped_column(String(80), default="")
    login_id: Mapped[str | None] = mapped_column(String(40), unique=True)
    """None: it was not a login by phone."""
    phone: Mapped[str] = mapped_column(String(80), default="")
    """The browser of the phone that approved."""
    is_ended: Mapped[bool] = mapped_column(default=False)
    """Whether it was ended from elsewhere. Such a row is kept as long as the same redeem can come
    again, so that it starts no other session."""
    assurance: Mapped[str] = mapped_column(String(64), default="")
    """What the login proved, as `Redeemed.assurance` says it."""
    is_whole: Mapped[bool] = mapped_column(default=True)
    """Whether nothing more has to be proven. Only a whole session is signed in, and only with a
    cookie that says the same."""


def was_ended(redeemed: Redeemed) -> bool:
    """Whether the session of this login was ended from elsewhere. The same redeem came again."""
    ended = select(BrowserSession.id).filter_by(login_id=redeemed.login_id, is_ended=True)
    return db.session.scalar(ended) is not None


def begin(
    account: Account,
    redeemed: Redeemed | None = None,
    *,
    assurance: str = "",
    is_whole: bool = True,
) -> None:
    """Keep a new session of this browser, and put its id into the cookie. If this login has a
    session, its id is put there.

    :param account: who is signed in.
    :param redeemed: the login by phone; None: it was another one.
    :param assurance: what was proven, if it was no login by phone.
    :param is_whole: whether nothing more has to be proven.
    """
    session["is_whole"] = is_whole
    if redeemed and (known := _of_login(redeemed)):
        session["session"] = known
        return
    context = redeemed.context if redeemed else describe_browser(read_request(""))
    now = int(time.time())
    row = BrowserSession(
        account_id=account.id,
        begun_at=now,
        seen_at=now,
        browser=_listed(context, "browser", "system"),
        assurance=redeemed.assurance if redeemed else assurance,
        is_whole=is_whole,
    )
    if redeemed:
        row.address = _listed(context, "place", "address")
        approving = db.session.get(BrowserSession, int(redeemed.phone or 0))
        row.login_id, row.phone = redeemed.login_id, approving.browser if approving else ""
    db.session.execute(delete(BrowserSession).where(BrowserSession.begun_at < now - KEPT))
    over = delete(BrowserSession).filter_by(is_ended=True)
    db.session.execute(over.where(BrowserSession.begun_at < now - REPEATED))
    db.session.add(row)
    try:
        db.session.commit()
    except IntegrityError:  # the same redeem came twice, and both are answered at this moment
        db.session.rollback()
        if not redeemed or not (known := _of_login(redeemed)):
            raise
        session["session"] = known
    else:
        session["session"] = row.id


def _of_login(redeemed: Redeemed) -> int | None:
    """The session that this login has started. The same redeem may come twice, because its answer
    was lost, while the first one is still being answered: one login is one session.
    """
    row = select(BrowserSession.id).filter_by(login_id=redeemed.login_id, is_ended=False)
    return db.session.scalar(row)


def current(*, is_whole: bool = True) -> BrowserSession | None:
    """The row of this browser's session, or None if it was ended."""
    row: BrowserSession | None = db.session.get(BrowserSession, session.get("session", 0))
    if row is None or row.is_ended or session.get("is_whole", False) != is_whole:
        return None
    return row if is_whole or row.begun_at > time.time() - INCOMPLETE else None


def note_seen(row: BrowserSession) -> None:
    """Keep when this browser was last here."""
    now = int(time.time())
    if row.seen_at <= now - SEEN_EVERY:
        db.session.execute(update(BrowserSession).filter_by(id=row.id).values(seen_at=now))
        db.session.commit()


def by_phone(account: Account) -> list[BrowserSession]:
    """The sessions that logins by phone started for this account, the newest first."""
    rows = select(BrowserSession).filter_by(account_id=account.id, is_whole=True, is_ended=False)
    found = rows.where(BrowserSession.login_id.is_not(None)).order_by(BrowserSession.id.desc())
    return list(db.session.scalars(found))


def end(account: Account, number: str) -> None:
    """End one of the sessions that `by_phone` lists, or all of them ("all")."""
    for row in by_phone(account):
        if number in ("all", str(row.id)):
            row.is_ended = True
    db.session.commit()


def end_current() -> None:
    """End this browser's session. A cookie from before it was whole ends nothing after that."""
    row = current() or current(is_whole=False)
    if row and row.is_whole == session.get("is_whole", False):
        db.session.delete(row)
        db.session.commit()


def complete(assurance: str) -> None:
    """Make this browser's session whole, because the browser has proven what was missing.

    It gets a new cookie: a copy of the one from before has to prove the same again, and so can the
    browser itself, if the answer with its new cookie was lost.
    """
    if row := current(is_whole=False):
        if not row.is_whole:
            row.is_whole, row.assurance = True, f"{row.assurance} {assurance}".strip()
            db.session.commit()
        session["is_whole"], session["_user_id"] = True, str(row.account_id)


def _listed(context: Mapping[str, str], *names: str) -> str:
    return ", ".join(context[name] for name in names if name in context)
