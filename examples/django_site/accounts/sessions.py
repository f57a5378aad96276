"""Which browsers were logged in by phone, and how such a session is ended from elsewhere.

Django keeps its sessions on the server, so deleting one ends it. A row of `PhoneLogin` names a
session that a phone started.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import get_random_string
from qrlogin_django import auth

from qrlogin import Redeemed
from qrlogin.wire import Person, Request, describe_browser

from .models import PhoneLogin

User = AbstractBaseUser | AnonymousUser
SEEN_EVERY = timedelta(minutes=1)  # a later page of the same minute writes nothing


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
    """Start a new session for the user who approved, and list it."""
    auth.log_in(request, redeemed)
    request.session["browser"] = _names(redeemed.context, "browser", "system")
    session = {
        "user_id": redeemed.subject,
        "session_key": request.session.session_key,
        "browser": request.session["browser"],
        "address": _names(redeemed.context, "place", "address"),
        "phone": redeemed.phone.partition(" ")[2][:80],
    }
    # The same redeem may come twice, because its answer was lost: one login is one session.
    for row in PhoneLogin.objects.filter(login_id=redeemed.login_id):
        end_row(row)
    now = timezone.now()
    PhoneLogin.objects.create(login_id=redeemed.login_id, seen_at=now, **session)


def by_phone(user: User) -> list[PhoneLogin]:
    """The sessions that logins by phone started for this user, the newest first."""
    rows = PhoneLogin.objects.filter(user_id=user.pk).order_by("-id")
    ended = [row for row in rows if not _store().SessionStore(row.session_key).load()]
    PhoneLogin.objects.filter(id__in=[row.pk for row in ended]).delete()
    return [row for row in rows if row not in ended]


def end(user: User, number: str) -> None:
    """End one of the sessions that `by_phone` lists, or all of them ("all")."""
    for row in by_phone(user):
        if number in ("all", str(row.pk)):
            end_row(row)


def end_row(row: PhoneLogin) -> None:
    """End the session of this row."""
    _store().SessionStore(row.session_key).delete()
    row.delete()


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
    living = Session.objects.filter(expire_date__gt=timezone.now())
    PhoneLogin.objects.exclude(session_key__in=living.values("session_key")).delete()


def _store() -> Any:
    return import_module(settings.SESSION_ENGINE)


def _context(request: HttpRequest) -> Mapping[str, str]:
    headers = tuple((name.lower(), text) for name, text in request.headers.items())
    return describe_browser(Request("GET", "", headers=headers))


def _names(context: Mapping[str, str], *names: str) -> str:
    return ", ".join(context[name] for name in names if name in context)
