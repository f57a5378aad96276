"""Asked from within the Django example, in a process of its own: Django's settings are set once for a process, and must not
stay behind in the one that runs the tests. Run in a copy of the example's folder; the answer is JSON.
"""

import asyncio
import json
import os
import sys
from typing import Any

sys.path.insert(0, os.getcwd())
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.template import engines
from django.test import AsyncRequestFactory, RequestFactory, override_settings
from django.urls import resolve
from django.utils.module_loading import import_string


def checks(cases: list[dict[str, Any]]) -> list[list[str]]:
    """For each change of the settings, the numbers of what is wrong. None takes a key away."""
    found = []
    for case in cases:
        changed = dict(case)
        deploy = changed.pop("deploy", False)
        workers = changed.pop("WEB_CONCURRENCY", "1")
        if isinstance(changed.get("QRLOGIN"), dict):
            merged = {**settings.QRLOGIN, **changed["QRLOGIN"]}
            changed["QRLOGIN"] = {name: value for name, value in merged.items() if value is not None}
        if lacking := changed.pop("without", ""):
            changed["MIDDLEWARE"] = [name for name in settings.MIDDLEWARE if not name.endswith(lacking)]
        os.environ["WEB_CONCURRENCY"] = workers
        with override_settings(**changed):
            said = run_checks(tags=["qrlogin"], include_deployment_checks=deploy)
        found.append(sorted(f"{one.id} {one.msg}" for one in said))
    return found


def tags(cases: list[dict[str, str]]) -> list[str]:
    """What the two tags write for a person of this name, on the way to this page."""
    written = []
    for case in cases:
        request = RequestFactory().get("/")
        request.user = get_user_model()(username=case["name"])
        template = engines["django"].from_string(
            "{% load qrlogin %}"
            "{% qr_login next=next %}<p>{{ next }}</p>{% endqr_login %}"
            "{% qr_approve site=site %}{% endqr_approve %}"
        )
        written.append(template.render({"next": case["next"], "site": case["site"]}, request))
    return written


def targets(cases: list[str]) -> list[str]:
    own_path = import_string("accounts.views.own_path")
    return [own_path(case) for case in cases]


def wrong_server(cases: list[str]) -> list[str]:
    """What a view says whose server is not the one that it was made for."""
    said = []
    for case in cases:
        if case == "asgi":
            import_string("qrlogin_django.asgi.get_asgi_application")()
        view, _, kwargs = resolve("/qrlogin/begin")
        request: Any = RequestFactory().post("/qrlogin/begin") if case == "asgi" else AsyncRequestFactory().post("/qrlogin/begin")
        try:
            answer = view(request, **kwargs)
            said.append(repr(asyncio.run(answer) if case == "asgi" else answer))
        except ImproperlyConfigured as error:
            said.append(str(error))
    return said


if __name__ == "__main__":
    django.setup()
    asked = {"checks": checks, "tags": tags, "targets": targets, "wrong_server": wrong_server}[sys.argv[1]]
    print(json.dumps(asked(json.load(sys.stdin))))  # type: ignore[operator]
