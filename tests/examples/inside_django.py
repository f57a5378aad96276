"""Asked from within the Django example, in a process of its own: Django's settings are set once for a process, and must not
stay behind in the one that runs the tests. Run in a copy of the example's folder; questions and answers are JSON.
"""

import asyncio
import importlib
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

sys.path.insert(0, os.getcwd())
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.template import engines
from django.test import Client, RequestFactory, override_settings
from django.utils.module_loading import import_string

from qrlogin.errors import Misconfigured


@contextmanager
def environment(told: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(told)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def changed(told: dict[str, Any]) -> Iterator[None]:
    """Settings that differ. In QRLOGIN None takes a key away."""
    if isinstance(told.get("QRLOGIN"), dict):
        merged = {**settings.QRLOGIN, **told["QRLOGIN"]}
        told = {
            **told,
            "QRLOGIN": {name: value for name, value in merged.items() if value is not None},
        }
    with override_settings(**told):
        yield


def checks(case: dict[str, Any]) -> list[str]:
    """The numbers of what is wrong with these settings."""
    told = dict(case)
    deploy, workers, lacking = (
        told.pop("deploy", False),
        told.pop("WEB_CONCURRENCY", "1"),
        told.pop("without", ""),
    )
    if lacking:
        told["MIDDLEWARE"] = [name for name in settings.MIDDLEWARE if not name.endswith(lacking)]
    with environment({"WEB_CONCURRENCY": workers}), changed(told):
        said = run_checks(tags=["qrlogin"], include_deployment_checks=deploy)
    return sorted(f"{one.id} {one.msg}" for one in said)


def started(case: dict[str, Any]) -> list[str]:
    """What an ASGI server of this command hears, and what is wrong with starting it so."""
    heard: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, Any]) -> None:
        heard.append(message)
        if message["type"] == "lifespan.startup.complete":
            raise TimeoutError  # it would go on to its end, and close what the other questions need

    before, loaded = sys.argv, set(sys.modules)
    with environment(case.get("environ", {})), changed(case.get("settings", {})):
        sys.argv = case["argv"].split()
        sys.modules.update(dict.fromkeys(case.get("loaded", []), sys))
        try:
            asyncio.run(application({"type": "lifespan"}, receive, send))
        except TimeoutError:
            pass
        finally:
            sys.argv = before
            for name in set(sys.modules) - loaded:
                del sys.modules[name]
    return [heard[0]["type"].rpartition(".")[2], heard[0].get("message", "")]


def tags(case: dict[str, str]) -> str:
    """What the two tags write for a person of this name, on the way to this page."""
    request = RequestFactory().get("/")
    request.user = get_user_model()(username=case["name"])
    template = engines["django"].from_string(
        "{% load qrlogin %}"
        "{% qr_login next=next %}<p>{{ next }}</p>{% endqr_login %}"
        "{% qr_approve site=site %}{% endqr_approve %}"
    )
    return str(template.render({"next": case["next"], "site": case["site"]}, request))


def targets(case: str) -> str:
    return str(import_string("accounts.views.local_path")(case))


def forged(path: str) -> list[Any]:
    """The answer to a form, or to JSON, that brings no CSRF token."""
    kind = (
        "application/json" if path.startswith("/qrlogin") else "application/x-www-form-urlencoded"
    )
    answer = Client(enforce_csrf_checks=True, raise_request_exception=False).post(
        path, "{}", kind, headers={"Host": "127.0.0.1"}
    )
    return [answer.status_code, answer.headers["Content-Type"]]


def misread(told: dict[str, str]) -> str:
    """What is said of an environment that makes no sense."""
    with environment(told):
        try:
            importlib.reload(importlib.import_module("config.settings"))
        except Misconfigured as error:
            return str(error)
    return ""


ASKED = {each.__name__: each for each in (checks, started, tags, targets, forged, misread)}

if __name__ == "__main__":
    application = import_string("qrlogin_django.asgi.get_asgi_application")()
    json.dump(
        {
            what: [ASKED[what](case) for case in cases]
            for what, cases in json.load(sys.stdin).items()
        },
        sys.stdout,
    )
