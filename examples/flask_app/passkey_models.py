"""The tables of passkeys.py. Each database has them, so the migrations are the same for all."""

from models import db
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column


class Passkey(db.Model):  # type: ignore[name-defined,misc]
    id: Mapped[int] = mapped_column(primary_key=True)
    account_id: Mapped[int] = mapped_column(
        ForeignKey("account.id", ondelete="CASCADE"), index=True
    )
    credential: Mapped[str] = mapped_column(String(1400), unique=True)  # its id, in base64url
    public_key: Mapped[bytes]
    sign_count: Mapped[int]
    made_on: Mapped[str] = mapped_column(String(80))
    """The browser in which it was created."""
    made_at: Mapped[int]  # seconds since 1970


class Challenge(db.Model):  # type: ignore[name-defined,misc]
    # An old cookie may still hold the number of a deleted row.
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012 - SQLAlchemy reads it
    id: Mapped[int] = mapped_column(primary_key=True)
    purpose: Mapped[str] = mapped_column(String(10))
    account_id: Mapped[int | None]
    about: Mapped[str] = mapped_column(String(600), default="")
    """The code that a phone is about to confirm."""
    challenge: Mapped[bytes]
    state: Mapped[str] = mapped_column(String(10), default="open")  # then "spent", then "met"
    expires_at: Mapped[int]  # seconds since 1970
