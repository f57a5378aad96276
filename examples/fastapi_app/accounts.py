"""The accounts, and their passwords, which pwdlib hashes with Argon2.

Everything here blocks, so only plain functions call it: FastAPI runs those in threads. An async
driver would gain nothing. Hashing a password takes longer than the database does, and a browser
that waits for its phone holds neither a thread nor a connection.
"""

import os
import secrets
from functools import cache
from threading import BoundedSemaphore

from pwdlib import PasswordHash
from sqlalchemy import MetaData, String, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

LONGEST_NAME = 150  # characters
SHORTEST_PASSWORD = 15  # NIST SP 800-63B-4 section 3.1.1.1: where it is the only factor
LONGEST_PASSWORD = 256

_hasher = PasswordHash.recommended()
# A hash takes 64 MB and a whole processor, and FastAPI has 40 threads. More hashes at once would
# take memory and finish no sooner.
_hashing = BoundedSemaphore(os.cpu_count() or 1)


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


class Account(Base):
    __tablename__ = "account"
    # The id of a closed account is never used again.
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy reads it

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))
    is_locked: Mapped[bool] = mapped_column(default=False)
    is_staff: Mapped[bool] = mapped_column(default=False)
    """Whether this account may open the operator's page. `python staff.py NAME` sets it."""


def make_account(db: Session, name: str, password: str) -> Account | None:
    """Create an account. Returns None if the name is taken."""
    account = Account(name=name, password_hash=_hash(password))
    db.add(account)
    try:
        db.commit()
    except IntegrityError:
        db.rollback()
        return None
    return account


def authenticate(db: Session, name: str, password: str) -> Account | None:
    """The account with this name and password, or None.

    An unknown name takes as long as a wrong password.
    """
    found = db.execute(
        select(Account.id, Account.password_hash).where(Account.name == name)
    ).first()
    # Give the connection back. More threads can queue for a hash than there are connections.
    db.rollback()
    stored = found.password_hash if found else _dummy_hash()
    with _hashing:
        matches, stronger = _hasher.verify_and_update(password, stored)
    account = account_by_id(db, found.id) if matches and found else None
    if account and stronger:  # the recommended parameters are higher than when it was hashed
        account.password_hash = stronger
        db.commit()
    return account


def account_by_id(db: Session, number: int) -> Account | None:
    """The account, or None if it was closed or is locked."""
    account = db.get(Account, number)
    return None if account is None or account.is_locked else account


def _hash(password: str) -> str:
    with _hashing:
        return _hasher.hash(password)


@cache
def _dummy_hash() -> str:
    """A hash to compare with when the name is unknown."""
    return _hash(secrets.token_hex())
