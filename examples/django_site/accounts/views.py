"""The pages. Their texts come from `qrlogin.browser`, their looks from templates/ and static/."""

import mimetypes
import re
from pathlib import Path
from typing import Final
from urllib.parse import quote

from django.conf import settings
from django.contrib import admin, auth
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import SuspiciousFileOperation
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils._os import safe_join
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from qrlogin_django.registry import landing

from qrlogin.browser import texts
from qrlogin.names import initial

from . import forms, sessions, staff
from .texts import language, translate

NOT_IN_CODES: Final = re.compile(r"[^\w.=-]", re.ASCII)
LOCAL_PATH: Final = re.compile(r"/([\w.=-]+(/[\w.=-]+)*)?(\?[\w.=&-]*)?", re.ASCII)
CSS: Final = "text/css; charset=utf-8"
STATIC: Final = {"style.css": CSS, "staff.css": CSS, "icon.svg": "image/svg+xml"}


@require_safe
@login_required
def home(request: HttpRequest) -> HttpResponse:
    sessions.note_seen(request)
    name = request.user.get_username()
    if "login_id" in request.session:
        browser = request.session.get("browser") or translate(request, "unknownBrowser")
        how = translate(request, "loggedInByPhone", browser=browser)
    else:
        how = translate(request, "loggedInByPassword")
    shown = {
        "heading": translate(request, "loggedInAs", name=name),
        "initial": initial(name),
        "how": how,
    }
    return render(request, "home.html", shown)


@require_http_methods(["GET", "HEAD", "POST"])
@login_required
def browsers(request: HttpRequest) -> HttpResponse:
    """The browsers that were logged in by phone. A form ends one of these sessions, or all."""
    if request.method == "POST":
        sessions.end(request.user, request.POST.get("session", ""))
        return redirect("browsers")
    sessions.note_seen(request)
    this = request.session.session_key
    rows = [
        {"row": row, "is_this": row.session_key == this} for row in sessions.by_phone(request.user)
    ]
    unknown = translate(request, "unknownBrowser")
    return render(request, "browsers.html", {"rows": rows, "unknown": unknown})


@require_http_methods(["GET", "HEAD", "POST"])
def signup(request: HttpRequest) -> HttpResponse:
    error = ""
    if request.method == "POST":
        try:
            return _start_session(request, forms.new_user(request), reverse("home"))
        except forms.Refused as refused:
            error = str(refused)
    shortest = forms.SHORTEST_PASSWORD
    shown = {"shortest": shortest, "password_help": translate(request, "passwordHelp", n=shortest)}
    return render(
        request, "signup.html", {**shown, "error": error, "name": forms.typed_name(request)}
    )


@require_http_methods(["GET", "HEAD", "POST"])
def login(request: HttpRequest) -> HttpResponse:
    target, error = local_path(request.POST.get("next") or request.GET.get("next", "")), ""
    if request.method == "POST":
        try:
            return _start_session(request, forms.known_user(request), target)
        except forms.Refused as refused:
            error = str(refused)
    elif request.user.is_authenticated:
        return redirect(target)
    shown = {"error": error, "name": forms.typed_name(request), "next": target}
    # While logins by phone are paused, the page says so, and the password is the way in.
    paused = texts(language(request))["login"] if staff.is_paused() else None
    return render(request, "login.html", {**shown, "paused": paused})


@require_POST
def logout(request: HttpRequest) -> HttpResponse:
    auth.logout(request)
    return redirect("login")


@require_safe
@landing
def qr(request: HttpRequest, code: str = "") -> HttpResponse:
    """The page that a phone's camera opens. It is for everybody: a user who signs in first comes
    back to it.

    Opening it changes nothing, because link previews and prefetches open it too.
    """
    explained = translate(request, "scanHereText", site=translate(request, "siteName"))
    sent = (code, request.GET.get("user_code", ""))
    code, typed = (NOT_IN_CODES.sub("", each) for each in sent)  # without what scanners add
    query = f"?user_code={typed}" if typed else ""
    here = reverse("qr_code", args=[code]) if code else reverse("qr") + query
    sign_in = f"{reverse('login')}?next={quote(here, safe='/')}"
    page = render(request, "qr.html", {"explained": explained, "sign_in": sign_in})
    page.headers["Referrer-Policy"] = "no-referrer"  # the URL holds a code
    return page


@require_safe
def static(request: HttpRequest, name: str) -> HttpResponse:
    """Three small files, and those of Django's admin. With more of them, use
    django.contrib.staticfiles and a file server.
    """
    kind = STATIC.get(name) or mimetypes.guess_type(name)[0]
    folder = Path(settings.BASE_DIR if name in STATIC else admin.__path__[0], "static")
    try:
        file = Path(safe_join(folder, name))
        content = file.read_bytes() if kind else b""
    except (SuspiciousFileOperation, OSError, ValueError):  # ValueError: a NUL in the name
        content = b""
    if not content:
        raise Http404
    answer = HttpResponse(content, content_type=kind)
    answer.headers["Cache-Control"] = "max-age=300"
    return answer


def local_path(text: str) -> str:
    """The text if it is a path of this site, else the first page: any link can set `next`."""
    return text if LOCAL_PATH.fullmatch(text) else reverse("home")


# Error pages


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _message(request, "notFound", 404)


def broken(request: HttpRequest) -> HttpResponse:
    return _message(request, "wentWrong", 500)


def forged(request: HttpRequest, reason: str = "") -> HttpResponse:
    """The CSRF token is missing or old. The elements read JSON, users read a page."""
    if request.content_type == "application/json":
        refusal = {
            "error": "forbidden",
            "error_description": "Load the page again: its CSRF token is old.",
        }
        return JsonResponse(refusal, status=403)
    return _message(request, "formTooOld", 403)


def _message(request: HttpRequest, key: str, status: int) -> HttpResponse:
    return render(request, "message.html", {"heading": translate(request, key)}, status=status)


def _start_session(request: HttpRequest, user: AbstractBaseUser, target: str) -> HttpResponse:
    """Start a new session. The old one is dropped, so an attacker who planted it gains nothing."""
    request.session.flush()
    auth.login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    return redirect(target)
