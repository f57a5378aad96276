"""Which browsers were logged in by phone, and how such a session is ended from elsewhere.

Django keeps its sessions on the server, so deleting one ends it. A row of `PhoneLogin` names a
session that a phone started. settings.py names this module as SESSION_ENGINE, for `SessionStore`.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from asgiref.sync import sync_to_async
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import get_random_string
from qrlogin_django import auth

from qrlogin import Redeemed
from qrlogin.wire import Person, Request, describe_browser

from .models import PhoneLogin

User = AbstractBaseUser | AnonymousUser
SEEN_EVERY = timedelta(minutes=1)  # a later page of the same minute writes nothing
REPEATED = timedelta(minutes=5)  # no policy lets a redeem be repeated for longer


class SessionStore(db.SessionStore):
    """Django's own sessions. Their rows of `PhoneLogin` follow when Django gives a session a new
    key, as it does when the user changes the password.
    """

    def cycle_key(self) -> None:
        with transaction.atomic():
            super().cycle_key()
            row = PhoneLogin.objects.filter(login_id=self.get("login_id"))
            row.update(session_key=self.session_key)

    async def acycle_key(self) -> None:
        await sync_to_async(self.cycle_key)()


def person(request: HttpRequest) -> Person | None:
    """Who is signed in on the phone, or None. `Redeemed.phone` tells which phone approved."""
    who = auth.person(request)
    return who and replace(who, phone=request.session.get("phone") or name_phone(request))


def name_phone(request: HttpRequest, **_signal: object) -> str:
    """Keep and return an id of this session: a random text, a space, and the browser's names.

    It is made once, when the user logs in: one phone can change its names, for example by "Request
    desktop site", and two phones can have the same.
    """
    names = _names(_context(request), "browser", "system")
    request.session["phone"] = f"{get_random_string(12)} {names}"
    return str(request.session["phone"])


def log_in(request: HttpRequest, redeemed: Redeemed) -> None:
    """Start a new session for the user who approved, and list it.

    Raises `PermissionDenied` for a login whose session was ended from elsewhere.
    """
    if PhoneLogin.objects.filter(login_id=redeemed.login_id, is_ended=True).exists():
        raise PermissionDenied("the session of this login was ended")
    row = _living(redeemed)
    if row is None:
        row = _begin(request, redeemed)
    else:
        auth.account(redeemed)
    # The same redeem may come twice, because its answer was lost, while the first one is still
    # being answered: one login is one session.
    if request.session.session_key != row.session_key:
        request.session.flush()
        request.session = SessionStore(row.session_key)
    request.session.modified = True  # this browser may not have its cookie


def _living(redeemed: Redeemed) -> PhoneLogin | None:
    """The row of this login, if it has a session."""
    row = PhoneLogin.objects.filter(login_id=redeemed.login_id, is_ended=False).first()
    if row and not SessionStore().exists(row.session_key):
        row.delete()
        return None
    return row


def _begin(request: HttpRequest, redeemed: Redeemed) -> PhoneLogin:
    """Start a session, and list it. Returns the row of this login, which may be another one."""
    auth.log_in(request, redeemed)
    request.session["browser"] = _names(redeemed.context, "browser", "system")
    now = timezone.now()
    PhoneLogin.objects.filter(is_ended=True, begun_at__lt=now - REPEATED).delete()
    session = {
        "user_id": redeemed.subject,
        "session_key": request.session.session_key,
        "browser": request.session["browser"],
        "address": _names(redeemed.context, "place", "address"),
        "phone": redeemed.phone.partition(" ")[2][:80],
        "seen_at": now,
    }
    # Whole before the row shows it: the same redeem that comes again reads and saves it.
    request.session.save()
    row, _ = PhoneLogin.objects.get_or_create(login_id=redeemed.login_id, defaults=session)
    return row


def by_phone(user: User) -> list[PhoneLogin]:
    """The sessions that logins by phone started for this user, the newest first."""
    rows = PhoneLogin.objects.filter(user_id=user.pk, is_ended=False).order_by("-id")
    ended = [row for row in rows if not SessionStore(row.session_key).load()]
    PhoneLogin.objects.filter(id__in=[row.pk for row in ended]).delete()
    return [row for row in rows if row not in ended]


def end(user: User, number: str) -> None:
    """End one of the sessions that `by_phone` lists, or all of them ("all")."""
    for row in by_phone(user):
        if number in ("all", str(row.pk)):
            end_row(row)


def end_row(row: PhoneLogin) -> None:
    """End the session of this row, which has a newer key if it has changed since it was read."""
    with transaction.atomic():
        kept = PhoneLogin.objects.select_for_update().filter(pk=row.pk)
        for key in kept.values_list("session_key", flat=True):
            SessionStore(key).delete()
        kept.update(is_ended=True)


def note_seen(request: HttpRequest) -> None:
    """Keep when this browser was last here, to the minute, if a phone logged it in."""
    if "login_id" in request.session:
        now = timezone.now()
        row = PhoneLogin.objects.filter(session_key=request.session.session_key)
        row.exclude(seen_at__gt=now - SEEN_EVERY).update(seen_at=now)


def forget_ended() -> None:
    """Delete the rows whose session was ended elsewhere: by a logout, or because it expired.

    It asks the table in which this site keeps its sessions, once for all rows.
    """
    living = Session.objects.filter(expire_date__gt=timezone.now()).values("session_key")
    PhoneLogin.objects.filter(is_ended=False).exclude(session_key__in=living).delete()


def _context(request: HttpRequest) -> Mapping[str, str]:
    headers = tuple((name.lower(), text) for name, text in request.headers.items())
    return describe_browser(Request("GET", "", headers=headers))


def _names(context: Mapping[str, str], *names: str) -> str:
    return ", ".join(context[name] for name in names if name in context)
