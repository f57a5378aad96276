"""django-oauth-toolkit over SQLite, its usual store. The page on which a person approves is left
out: POST /approve does what it does at the end, which costs less.
"""

import os
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

urlpatterns: list[Any] = []
settings.configure(
    SECRET_KEY="of the benchmark",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "oauth2_provider"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["DATABASE"],
            "OPTIONS": {"timeout": 20, "transaction_mode": "IMMEDIATE"},
            "CONN_MAX_AGE": None,
        }
    },
    OAUTH2_PROVIDER={
        "OAUTH_DEVICE_VERIFICATION_URI": "https://login.example.com/device",
        "SCOPES": {"read": "read"},
    },
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402 - needs the settings
from oauth2_provider.models import (  # noqa: E402
    get_application_model,
    get_device_grant_model,
)


def ready(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ready")


@csrf_exempt
def approve(request: HttpRequest) -> HttpResponse:
    grant = get_device_grant_model().objects.get(user_code=request.GET["user_code"])
    grant.status, grant.user = grant.AUTHORIZED, User.objects.get(username="alice")
    grant.save(update_fields=["status", "user"])
    return JsonResponse({})


urlpatterns += [
    path("ready", ready),
    path("approve", approve),
    path("o/", include("oauth2_provider.urls", namespace="oauth2_provider")),
]

call_command("migrate", verbosity=0)
User.objects.get_or_create(username="alice")
get_application_model().objects.get_or_create(
    client_id="tv",
    client_type="public",
    authorization_grant_type="urn:ietf:params:oauth:grant-type:device_code",
    name="Television",
)
application = get_wsgi_application()
