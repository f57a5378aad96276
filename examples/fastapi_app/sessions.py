"""The sessions, on the server, so that one of them can be ended from another browser.

Starlette keeps a session in its cookie. The cookie holds the id of a row here, and a request counts
as signed in only while that row exists and is not ended. `login_id` finds the session that a login
by phone started. Everything here blocks, as in `accounts`.
"""

import time
from collections.abc import Mapping
from typing import Any

from accounts import Account, Base, account_by_id
from sqlalchemy import ForeignKey, String, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from qrlogin import Redeemed

KEPT = 14 * 24 * 3600  # seconds, as Starlette's cookie is kept
REPEATED = 5 * 60  # seconds; no policy lets a redeem be repeated for longer
SEEN_EVERY = 60  # seconds; a later page of the same minute writes nothing


class BrowserSession(Base):
    __tablename__ = "browser_session"
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


def was_ended(db: Session, redeemed: Redeemed) -> bool:
    """Whether the session of this login was ended from elsewhere. The same redeem came again."""
    ended = select(BrowserSession.id).filter_by(login_id=redeemed.login_id, is_ended=True)
    return db.scalar(ended) is not None


def begin(
    db: Session, account: int, context: Mapping[str, str], redeemed: Redeemed | None = None
) -> int:
    """Keep a new session. Returns its id, for the cookie; if this login has a session, its id.

    :param db: the database.
    :param account: the id of who is signed in.
    :param context: what is known of the browser.
    :param redeemed: the login by phone; None: it was another one.
    """
    if redeemed and (known := _of_login(db, redeemed)):
        return known
    now = int(time.time())
    row = BrowserSession(
        account_id=account,
        begun_at=now,
        seen_at=now,
        browser=_listed(context, "browser", "system"),
    )
    if redeemed:
        row.address = _listed(context, "place", "address")
        approving = db.get(BrowserSession, int(redeemed.phone or 0))
        row.login_id, row.phone = redeemed.login_id, approving.browser if approving else ""
    db.execute(delete(BrowserSession).where(BrowserSession.begun_at < now - KEPT))
    over = delete(BrowserSession).filter_by(is_ended=True)
    db.execute(over.where(BrowserSession.begun_at < now - REPEATED))
    db.add(row)
    try:
        db.commit()
    except IntegrityError:  # the same redeem came twice, and both are answered at this moment
        db.rollback()
        if redeemed and (known := _of_login(db, redeemed)):
            return known
        raise
    return row.id


def _of_login(db: Session, redeemed: Redeemed) -> int | None:
    """The session that this login has started. The same redeem may come twice, because its answer
    was lost, while the first one is still being answered: one login is one session.
    """
    row = select(BrowserSession.id).filter_by(login_id=redeemed.login_id, is_ended=False)
    return db.scalar(row)


def signed_in(db: Session, cookie: Mapping[str, Any]) -> Account | None:
    """The account of the session in this cookie, or None if it was ended or the account locked.

    Keeps when this browser was last here.
    """
    row, now = db.get(BrowserSession, cookie.get("session", 0)), int(time.time())
    if row is None or row.is_ended:
        return None
    account = row.account_id
    if row.seen_at <= now - SEEN_EVERY:
        db.execute(update(BrowserSession).filter_by(id=row.id).values(seen_at=now))
        db.commit()
    return account_by_id(db, account)


def by_phone(db: Session, account: Account) -> list[BrowserSession]:
    """The sessions that logins by phone started for this account, the newest first."""
    rows = select(BrowserSession).filter_by(account_id=account.id, is_ended=False)
    found = rows.where(BrowserSession.login_id.is_not(None)).order_by(BrowserSession.id.desc())
    return list(db.scalars(found))


def end(db: Session, account: Account, number: str) -> None:
    """End one of the sessions that `by_phone` lists, or all of them ("all")."""
    for row in by_phone(db, account):
        if number in ("all", str(row.id)):
            row.is_ended = True
    db.commit()


def end_current(db: Session, cookie: Mapping[str, Any]) -> None:
    """End the session in this cookie."""
    db.execute(delete(BrowserSession).filter_by(id=cookie.get("session", 0), is_ended=False))
    db.commit()


def _listed(context: Mapping[str, str], *names: str) -> str:
    return ", ".join(context[name] for name in names if name in context)
