"""Who has an account here, and how passwords are kept: Argon2, by pwdlib.

All of this blocks, so it is called from plain functions, which FastAPI runs in threads. An awaited driver would win nothing:
hashing a password takes longer than the database, and what waits for a phone holds neither a thread nor a connection.
"""

import os
import secrets
from functools import cache
from threading import BoundedSemaphore

from pwdlib import PasswordHash
from sqlalchemy import MetaData, String, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

LONGEST_NAME = 64  # characters
SHORTEST_PASSWORD = 15  # NIST SP 800-63B-4 section 3.1.1.1: where a password is all there is
LONGEST_PASSWORD = 256

_hasher = PasswordHash.recommended()
# A hash takes 64 MB and a whole processor, and FastAPI has 40 threads: more at once would only take more memory.
_hashing = BoundedSemaphore(os.cpu_count() or 1)


class Base(DeclarativeBase):
    # Migrations can only drop a constraint that has a name.
    metadata = MetaData(
        naming_convention={"pk": "pk_%(table_name)s", "uq": "uq_%(table_name)s_%(column_0_name)s"}
    )


class Account(Base):
    __tablename__ = "account"
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy's; the id of a closed account is nobody else's

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(LONGEST_NAME), unique=True)
    password_hash: Mapped[str] = mapped_column(String(255))

    @property
    def masked(self) -> str:
        """How the browser names them before it is logged in."""
        return f"{self.name[0]}•••{self.name[-1]}"


def make_account(db: Session, name: str, password: str) -> Account | None:
    """A new account; None if the name is taken."""
    account = Account(name=name, password_hash=_hash(password))
    db.add(account)
    try:
        db.commit()
    except IntegrityError:
        db.rollback()
        return None
    return account


def account_of(db: Session, name: str, password: str) -> Account | None:
    """Whose name and password these are. A name that nobody has takes as long as a wrong password."""
    found = db.execute(
        select(Account.id, Account.password_hash).where(Account.name == name)
    ).first()
    db.rollback()  # gives the connection back: there are fewer of them than threads that may wait here
    kept = found.password_hash if found else _nobodys()
    with _hashing:
        fits, stronger = _hasher.verify_and_update(password, kept)
    account = db.get(Account, found.id) if fits and found else None
    if account and stronger:  # the recommended parameters have gone up since
        account.password_hash = stronger
        db.commit()
    return account


def _hash(password: str) -> str:
    with _hashing:
        return _hasher.hash(password)


@cache
def _nobodys() -> str:
    return _hash(secrets.token_hex())
