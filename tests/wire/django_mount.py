"""Run Django's adapter in the test process, with only the settings that a handler needs.

Django's settings are set once for a process. These name no application, no database and no
address. A test that needs a whole project runs it in its own process
(tests/examples/test_django.py).
"""

from collections.abc import Sequence
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest
from django.urls import URLPattern, URLResolver

if not settings.configured:
    settings.configure(
        ROOT_URLCONF="",  # each request brings its own
        SECRET_KEY="of nobody's project",
        ALLOWED_HOSTS=["*"],  # no address is made from Host, which these tests forge
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
        SESSION_COOKIE_NAME="session",
        LOGGING_CONFIG=None,
        DEBUG_PROPAGATE_EXCEPTIONS=True,  # what a view raises comes out
        USE_I18N=False,
    )
    apps.populate(())


class Urls(tuple[URLPattern | URLResolver, ...]):
    """Patterns that Django takes for a module."""

    @property
    def urlpatterns(self) -> "Urls":
        return self


def wsgi(patterns: Sequence[URLPattern | URLResolver]) -> WSGIHandler:
    """A WSGI application that answers these."""
    made: WSGIHandler = _answering(WSGIHandler(), patterns)
    return made


def asgi(patterns: Sequence[URLPattern | URLResolver]) -> ASGIHandler:
    """An ASGI application that answers these, without websockets."""
    made: ASGIHandler = _answering(ASGIHandler(), patterns)
    return made


def _answering(handler: Any, patterns: Sequence[URLPattern | URLResolver]) -> Any:
    urls, resolve = Urls(patterns), handler.resolve_request

    def resolve_request(request: HttpRequest) -> Any:
        request.urlconf = urls  # type: ignore[assignment]
        return resolve(request)

    handler.resolve_request = resolve_request
    return handler
