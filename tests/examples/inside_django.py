"""Runs inside the Django example, in a process of its own, because Django reads its settings once
per process.

The working directory is a copy of the example's folder. Cases come in and results go out as JSON.
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
from django.core.management import call_command
from django.template import engines
from django.test import AsyncClient, RequestFactory, override_settings
from django.utils.module_loading import import_string

from qrlogin import Redeemed
from qrlogin.contrib import django_project
from qrlogin.errors import Misconfigured
from qrlogin.wire import DENY, Person, Request, WeChat


@contextmanager
def environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def changed(values: dict[str, Any]) -> Iterator[None]:
    """Overrides these settings. In QRLOGIN, None deletes a key."""
    if isinstance(values.get("QRLOGIN"), dict):
        merged = {**settings.QRLOGIN, **values["QRLOGIN"]}
        kept = {name: value for name, value in merged.items() if value is not None}
        values = {**values, "QRLOGIN": kept}
    with override_settings(**values):
        yield


def checks(case: dict[str, Any]) -> list[str]:
    """The id and the message of each system check that fails with these settings."""
    values = dict(case)
    deploy, workers = values.pop("deploy", False), values.pop("WEB_CONCURRENCY", "1")
    if lacking := values.pop("without", ""):
        values["MIDDLEWARE"] = [name for name in settings.MIDDLEWARE if not name.endswith(lacking)]
    with environment({"WEB_CONCURRENCY": workers}), changed(values):
        found = run_checks(tags=["qrlogin"], include_deployment_checks=deploy)
    return sorted(f"{message.id} {message.msg}" for message in found)


def started(case: dict[str, Any]) -> list[str]:
    """The answer to a lifespan start-up under this command line: its type and its message."""
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)
        if message["type"] == "lifespan.startup.complete":
            raise TimeoutError  # or it would shut down, and close what the other cases need

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
    return [sent[0]["type"].rpartition(".")[2], sent[0].get("message", "")]


def tags(case: dict[str, str]) -> str:
    """The HTML of the two tags for a user with this name, and this `next`."""
    request = RequestFactory().get("/")
    request.user = get_user_model()(username=case["name"])
    template = engines["django"].from_string(
        "{% load qrlogin %}"
        "{% qr_login next=next %}<p>{{ next }}</p>{% endqr_login %}"
        "{% qr_approve site=site %}{% endqr_approve %}"
    )
    return str(template.render({"next": case["next"], "site": case["site"]}, request))


def local_path(case: str) -> str:
    return str(import_string("accounts.views.local_path")(case))


def forged(path: str) -> list[Any]:
    """The answer to a form, or to JSON, without a CSRF token."""
    kind = (
        "application/json" if path.startswith("/qrlogin") else "application/x-www-form-urlencoded"
    )
    client = AsyncClient(enforce_csrf_checks=True)
    with changed({"ALLOWED_HOSTS": ["testserver"]}):
        answer = asyncio.run(client.post(path, "{}", kind))
    return [answer.status_code, answer.headers["Content-Type"]]


def judged(case: bool) -> list[Any]:
    """The answers to a phone's look and to a begin, with a judge and a pause in QRLOGIN, and the
    events; under ASGI if `case`. All three are plain functions.
    """
    events: list[str] = []
    project, before = django_project, django_project.use_asyncio
    functions = {
        "JUDGE": lambda *_: DENY("closed"),
        "PAUSED": lambda: True,
        "ON_EVENT": lambda event: events.append(event.name),
    }
    with changed({"QRLOGIN": functions}):
        project.use_asyncio = case
        project._qrlogin.cache_clear()
        try:
            endpoint: Any = project._endpoint.__wrapped__(project.native)
            other = project._endpoint.__wrapped__(WeChat)  # it answers no phone, and asks no judge
        finally:
            project.use_asyncio = before
            project._qrlogin.cache_clear()
    sent = (("content-type", "application/json"), ("authorization", "Bearer of-the-phone"))
    whose = Person("1", name="alice")

    async def ask() -> Any:
        begun = endpoint.qr.begin()
        begun = await begun if case else begun
        body = json.dumps({"code": begun.scan_code}).encode()
        answers = [
            endpoint.phone(Request("POST", "look", "", sent, body), whose),
            endpoint.browser(Request("POST", "begin", "", sent[:1], b"{}")),
            other.browser(Request("GET", "jslogin", "appid=wx782c26e4c19acffb")),
        ]
        return [await each if case else each for each in answers]

    looked, begun, of_other = asyncio.run(ask())
    errors = [json.loads(answer.body).get("error") for answer in (looked, begun)]
    words, kind = json.loads(looked.body).get("words"), type(other.dialect).__name__
    return [looked.status, words, kind, *errors, b"paused" in of_other.body, events]


def overtaken(name: str) -> str:
    """The user id in the session of a redeem that overtook the same redeem: the first one has not
    been answered, so Django has not saved its session.
    """
    call_command("migrate", verbosity=0)
    sessions: Any = importlib.import_module("accounts.sessions")
    users: Any = get_user_model().objects
    subject = str(users.create_user(name).pk)
    redeemed = Redeemed("a" * 22, subject=subject, shown_as="", context={}, redeemed_at_ms=0)
    for _ in range(2):
        request: Any = RequestFactory().post("/qrlogin/redeem")
        request.session = sessions.SessionStore()
        sessions.log_in(request, redeemed)
    kept = sessions.SessionStore(request.session.session_key).load()
    return str(kept.get("_auth_user_id"))


def settings_error(variables: dict[str, str]) -> str:
    """The error message for this environment, or ""."""
    with environment(variables):
        try:
            importlib.reload(importlib.import_module("config.settings"))
        except Misconfigured as error:
            return str(error)
    return ""


FUNCTIONS = {
    each.__name__: each
    for each in (checks, started, tags, local_path, forged, judged, overtaken, settings_error)
}

if __name__ == "__main__":
    application = import_string("qrlogin_django.asgi.get_asgi_application")()
    json.dump(
        {
            name: [FUNCTIONS[name](case) for case in cases]
            for name, cases in json.load(sys.stdin).items()
        },
        sys.stdout,
    )
