"""Who has an account here, and how passwords are kept: scrypt, by werkzeug."""

import os
import secrets
import threading
from functools import cache

from flask_login import UserMixin
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import MetaData, String, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from werkzeug.security import check_password_hash, generate_password_hash

LONGEST_NAME = 64  # characters
SHORTEST_PASSWORD = 15  # NIST SP 800-63B-4 section 3.1.1.1: where a password is all there is
LONGEST_PASSWORD = 256

# A hash takes 32 MB and a whole processor: more at once, one for each thread, would take memory and be no sooner.
_hashing = threading.BoundedSemaphore(os.cpu_count() or 1)


class Base(DeclarativeBase):
    # Migrations can only drop a constraint that has a name.
    metadata = MetaData(
        naming_convention={"pk": "pk_%(table_name)s", "uq": "uq_%(table_name)s_%(column_0_name)s"}
    )


db = SQLAlchemy(model_class=Base)


class Account(UserMixin, db.Model):  # type: ignore[name-defined,misc]
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy's; the id of a closed account is nobody else's
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))


def make_account(name: str, password: str) -> Account | None:
    """A new account; None if the name is taken."""
    account = Account(name=name, password_hash=_hash(password))
    db.session.add(account)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return None
    return account


def account_of(name: str, password: str) -> Account | None:
    """Whose name and password these are. A name that nobody has takes as long as a wrong password."""
    found = db.session.execute(
        select(Account.id, Account.password_hash).filter_by(name=name)
    ).first()
    db.session.rollback()  # gives the connection back: there are fewer of them than threads that may queue here
    kept = found.password_hash if found else _nobodys()
    with _hashing:
        fits = check_password_hash(kept, password)
    return account_by_id(found.id) if fits and found else None


def account_by_id(number: str | int) -> Account | None:
    return db.session.get(Account, int(number))


def _hash(password: str) -> str:
    with _hashing:
        return generate_password_hash(password)


@cache
def _nobodys() -> str:
    return _hash(secrets.token_hex())
