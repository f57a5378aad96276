"""qrlogin and django.contrib.auth: who is signed in on the phone, and how the browser is logged in.

The subject of a login is the user's primary key. Name functions of your own in QRLOGIN if you do it differently.
"""

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from qrlogin import Redeemed
from qrlogin.wire import Person


def person(request: HttpRequest) -> Person | None:
    """Who is signed in; their name is cut short, for a browser that is not logged in yet will show it."""
    if not request.user.is_authenticated:
        return None
    name = request.user.get_username()
    return Person(str(request.user.pk), shown_as=f"{name[:1]}•••{name[-1:]}")


def account(redeemed: Redeemed) -> tuple[AbstractBaseUser, str]:
    """Who approved, and the backend that knows them. Raises `PermissionDenied` when the account is gone or locked by now."""
    for path in settings.AUTHENTICATION_BACKENDS:
        backend = auth.load_backend(path)
        user = backend.get_user(redeemed.subject) if hasattr(backend, "get_user") else None
        if user is not None:
            return user, path
    raise PermissionDenied("the account that approved this login cannot log in any more")


def log_in(request: HttpRequest, redeemed: Redeemed) -> None:
    """Start a session for who approved; nothing from before is taken along, not even a basket. Raises as `account` does."""
    user, backend = account(redeemed)
    csrf = request.META.get("CSRF_COOKIE")
    request.session.flush()
    auth.login(request, user, backend=backend)
    # The CSRF token stays: if this answer is lost, the page sends the same click again, and that is no forgery.
    request.META |= {"CSRF_COOKIE": csrf, "CSRF_COOKIE_NEEDS_UPDATE": False}
    request.session["login_id"] = (
        redeemed.login_id
    )  # by which the sessions of a login can be found and ended
    request.session["browser"] = redeemed.context.get("browser", "")


def log_out(request: HttpRequest) -> None:
    auth.logout(request)
