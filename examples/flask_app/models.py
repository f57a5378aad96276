"""The accounts, and their passwords, which werkzeug hashes with scrypt."""

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

LONGEST_NAME = 150  # characters
SHORTEST_PASSWORD = 15  # NIST SP 800-63B-4 section 3.1.1.1: where it is the only factor
LONGEST_PASSWORD = 256

# A hash takes 32 MB and a whole processor. More of them at once would take memory and finish no
# sooner.
_hashing = threading.BoundedSemaphore(os.cpu_count() or 1)


class Base(DeclarativeBase):
    # A migration can drop a constraint only by its name.
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
        }
    )


db = SQLAlchemy(model_class=Base)


class Account(UserMixin, db.Model):  # type: ignore[name-defined,misc]
    # The id of a closed account is never used again.
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy reads it
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    is_locked: Mapped[bool] = mapped_column(default=False)
    is_staff: Mapped[bool] = mapped_column(default=False)
    """Whether this account may open the operator's page. `flask --app app staff NAME` sets it."""


def make_account(name: str, password: str) -> Account | None:
    """Create an account. Returns None if the name is taken."""
    account = Account(name=name, password_hash=_hash(password))
    db.session.add(account)
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        return None
    return account


def authenticate(name: str, password: str) -> Account | None:
    """The account with this name and password, or None.

    An unknown name takes as long as a wrong password.
    """
    found = db.session.execute(
        select(Account.id, Account.password_hash).filter_by(name=name)
    ).first()
    # Give the connection back. More threads can queue for a hash than there are connections.
    db.session.rollback()
    stored = found.password_hash if found else _dummy_hash()
    with _hashing:
        matches = check_password_hash(stored, password)
    return account_by_id(found.id) if matches and found else None


def account_by_id(number: str | int) -> Account | None:
    """The account, or None if it was closed or is locked."""
    account = db.session.get(Account, int(number))
    return None if account is None or account.is_locked else account


def _hash(password: str) -> str:
    with _hashing:
        return generate_password_hash(password)


@cache
def _dummy_hash() -> str:
    """A hash to compare with when the name is unknown."""
    return _hash(secrets.token_hex())
