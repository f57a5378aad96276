"""The operator's page: which browsers a phone logged in, a switch that pauses such logins, and the
numbers of today.

All of it is in the database, so the switch outlives a restart, every worker reads the same switch,
and all workers add to the same numbers.
"""

import re
import time
from datetime import UTC, datetime
from typing import Any, cast

import click
from flask.cli import with_appcontext
from models import LONGEST_NAME, Account, db
from sessions import BrowserSession
from sqlalchemy import CursorResult, String, Update, and_, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from qrlogin import Event

COUNTED = ("begun", "redeemed", "denied", "cancelled")
SHOWN = 100  # browsers on the page; the search finds the others
BY_PHONE = and_(BrowserSession.login_id.is_not(None), BrowserSession.is_ended.is_(False))


class Pause(db.Model):  # type: ignore[name-defined,misc]
    """The switch. While its only row exists, no login by phone begins."""

    id: Mapped[int] = mapped_column(primary_key=True)
    since: Mapped[int]  # seconds since 1970
    operator: Mapped[str] = mapped_column(String(LONGEST_NAME))


class LoginCount(db.Model):  # type: ignore[name-defined,misc]
    """How many events of one name there were on one day."""

    day: Mapped[str] = mapped_column(String(10), primary_key=True)  # 2026-01-31, in UTC
    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    number: Mapped[int]


# What qrlogin calls


def is_paused() -> bool:
    """Whether no login by phone may begin now: QRLOGIN_PAUSED."""
    return db.session.get(Pause, 1) is not None


def count(event: Event) -> None:
    """Add one to the number of today for this event: QRLOGIN_ON_EVENT."""
    if event.name not in COUNTED:
        return
    of_today = {"day": _day(event.at_ms / 1000), "name": event.name}
    increment = update(LoginCount).filter_by(**of_today).values(number=LoginCount.number + 1)
    if not _changed(increment):
        db.session.add(LoginCount(**of_today, number=1))
    try:
        db.session.commit()
    except IntegrityError:  # another worker was first
        db.session.rollback()
        db.session.execute(increment)
        db.session.commit()


# What the page shows and does


def overview(name: str) -> dict[str, object]:
    """The variables of staff.html. Only the browsers of this account are listed; "": all."""
    rows = (
        select(BrowserSession, Account.name).join(Account).filter(BY_PHONE, BrowserSession.is_whole)
    )
    if name:
        rows = rows.filter(Account.name == name)
    newest = rows.order_by(BrowserSession.id.desc()).limit(SHOWN)
    pause = db.session.get(Pause, 1)
    return {
        "pause": pause and {"since": utc(pause.since), "operator": pause.operator},
        "numbers": numbers(),
        "total": db.session.scalar(select(func.count()).select_from(rows.subquery())),
        "name": name,
        "rows": [
            {
                "id": row.id,
                "account": row.account_id,
                "name": owner,
                "browser": row.browser,
                "begun_at": utc(row.begun_at),
                "seen_at": utc(row.seen_at),
                "address": row.address,
                "phone": row.phone,
            }
            for row, owner in db.session.execute(newest)
        ],
    }


def numbers() -> dict[str, int]:
    """The logins by phone that began today, and how they ended."""
    rows = select(LoginCount.name, LoginCount.number).filter_by(day=_day(time.time()))
    found = dict(db.session.execute(rows).tuples().all())
    begun, redeemed, denied, cancelled = (found.get(name, 0) for name in COUNTED)
    # Nothing is written when a login expires, so nothing is counted either.
    others = max(0, begun - redeemed - denied - cancelled)
    return {
        "Begun": begun,
        "Logged in": redeemed,
        "Declined on the phone": denied,
        "Cancelled in the browser": cancelled,
        "Open or expired": others,
    }


def act(command: str, operator: str) -> None:
    """What a button of the page does.

    :param command: pause, resume, everybody, "session 7" or "person 7".
    :param operator: the name of who pressed it.
    """
    kind, _, number = command.partition(" ")
    chosen = int(number) if re.fullmatch("[0-9]{1,18}", number) else 0  # 0: no row
    ended = update(BrowserSession).where(BY_PHONE).values(is_ended=True)
    if kind == "pause" and not is_paused():
        db.session.add(Pause(id=1, since=int(time.time()), operator=operator))
    elif kind == "resume":
        db.session.execute(delete(Pause))
    elif kind == "everybody":
        db.session.execute(ended)
    elif kind == "session":
        db.session.execute(ended.where(BrowserSession.id == chosen))
    elif kind == "person":
        db.session.execute(ended.where(BrowserSession.account_id == chosen))
    try:
        db.session.commit()
    except IntegrityError:  # another operator paused in the same moment
        db.session.rollback()


@click.command("staff")
@click.argument("name")
@with_appcontext
def make_staff(name: str) -> None:
    """Let the account NAME open the operator's page."""
    if not _changed(update(Account).filter_by(name=name).values(is_staff=True)):
        raise click.ClickException("no account has this name: sign up first")
    db.session.commit()


def utc(seconds: float) -> str:
    """The minute, such as "2026-01-31 12:05"; "" if it is not known."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "minutes")[:16] if seconds else ""


def _changed(statement: Update) -> int:
    """Executes it. Returns how many rows it changed."""
    return cast("CursorResult[Any]", db.session.execute(statement)).rowcount


def _day(seconds: float) -> str:
    return utc(seconds)[:10]
