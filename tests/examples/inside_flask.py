"""Runs the Flask example inside the test process, with Flask's test client as browser and phone."""

import importlib
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.examples.running import EXAMPLES, LEFT_OUT
from tests.examples.visitors import PASSWORD, Tags

FOLDER = EXAMPLES / "flask_app"
MODULES = tuple(sorted(path.stem for path in FOLDER.glob("*.py")))
ORIGIN = "http://localhost"  # the origin of Flask's test client
SAME_SITE = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}


@contextmanager
def imported(folder: Path) -> Iterator[ModuleType]:
    """The module `app` of a copy of the example. Afterwards its modules and signal handlers are
    removed again."""
    shutil.copytree(FOLDER, folder, ignore=LEFT_OUT)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        for name in (
            "SECRET_KEY",
            *(
                f"QRLOGIN_{each}"
                for each in ("STORE", "DIALECTS", "CLIENTS", "PROXIES", "SECRET_KEYS", "ORIGIN")
            ),
        ):
            patch.delenv(name, raising=False)
        for name in MODULES:
            patch.delitem(sys.modules, name, raising=False)
        try:
            yield importlib.import_module("app")
        finally:
            for name in MODULES:
                sys.modules.pop(name, None)
            for number, handler in handlers.items():
                signal.signal(number, handler)


def create_app(example: ModuleType, instance: Path, **environ: str) -> Flask:
    """The application over this folder, with tables in its database. A second call is a restart."""
    app: Flask = example.create_app({"QRLOGIN_ORIGIN": ORIGIN, **environ}, instance=str(instance))
    with app.app_context():
        example.db.create_all()
    return app


def hidden_fields(client: FlaskClient, path: str) -> dict[str, str]:
    return Tags(client.get(path, follow_redirects=True).text).hidden()


def sign_up(app: Flask, name: str = "alice") -> FlaskClient:
    client = app.test_client()
    assert (
        client.post(
            "/signup", data={**hidden_fields(client, "/signup"), "name": name, "password": PASSWORD}
        ).location
        == "/"
    )
    return client


def session_of(client: FlaskClient) -> str:
    cookie = client.get_cookie("session")
    return cookie.value if cookie else ""


def post_from_phone(phone: FlaskClient, code: str, *verbs: str) -> None:
    headers = {
        **SAME_SITE,
        "X-CSRFToken": Tags(phone.get("/qr").text).first("qr-approve")["csrf-token"],
    }
    for verb in verbs:
        assert (
            phone.post(f"/qrlogin/phone/{verb}", json={"code": code}, headers=headers).status_code
            == 200
        )


class Desk:
    """A browser whose login a phone has approved."""

    def __init__(self, client: FlaskClient, phone: FlaskClient) -> None:
        self.client = client
        self.headers = {
            **SAME_SITE,
            "X-CSRFToken": Tags(client.get("/login").text).first("qr-login")["csrf-token"],
        }
        begun = client.post("/qrlogin/begin", json={}, headers=SAME_SITE).json or {}
        self.login_id = begun["login_id"]
        post_from_phone(phone, begun["verification_uri_complete"], "scan", "confirm")

    def redeem(self) -> Any:
        """Sends the same redeem request each time."""
        status = self.client.get(f"/qrlogin/{self.login_id}", headers=SAME_SITE).json or {}
        body = {"acknowledged": status["scanned_by"]["tag"], "op": "made-for-this-click"}
        return self.client.post(f"/qrlogin/{self.login_id}/redeem", json=body, headers=self.headers)
