"""qrlogin with django.contrib.auth: who is signed in on the phone, and how a browser is logged in.

The subject of a login is the user's primary key. To do it differently, write these functions
yourself, and name yours in QRLOGIN or give them to `qrlogin_urls`.
"""

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from qrlogin import Redeemed
from qrlogin.contrib.django import keeping_csrf_token
from qrlogin.wire import Person


def person(request: HttpRequest) -> Person | None:
    """The user who is signed in, or None.

    The name is the username, which is unique. A browser shows it masked until the user approves.
    """
    if not request.user.is_authenticated:
        return None
    return Person(str(request.user.pk), name=request.user.get_username())


def account(redeemed: Redeemed) -> tuple[AbstractBaseUser, str]:
    """The user who approved, and the dotted path of the backend that knows this user.

    Raises `PermissionDenied` if the account was deleted or locked after the approval.
    """
    for path in settings.AUTHENTICATION_BACKENDS:
        backend = auth.load_backend(path)
        user = backend.get_user(redeemed.subject) if hasattr(backend, "get_user") else None
        if user is not None:
            return user, path
    raise PermissionDenied("the account that approved this login cannot log in any more")


def log_in(request: HttpRequest, redeemed: Redeemed) -> None:
    """Start a new session for the user who approved. Raises as `account` does.

    Everything in the old session is dropped, even a basket.
    """
    user, backend = account(redeemed)

    def start_session() -> None:
        request.session.flush()
        auth.login(request, user, backend=backend)

    keeping_csrf_token(request, start_session)
    # With the login_id, the sessions of one login can be found and ended.
    request.session["login_id"] = redeemed.login_id
    request.session["browser"] = redeemed.context.get("browser", "")


def log_out(request: HttpRequest) -> None:
    """End this browser's session."""
    auth.logout(request)
