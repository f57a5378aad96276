"""The server of the usual tutorial: a uuid in Redis, a page that polls, and a phone that says who
it is. It is written from what such articles describe, and nobody should use it.
"""

import json
import uuid
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from qrlogin.audit import Browser, Login, Phone, Seen, Session, Target, over_wsgi


class Tutorial:
    """`{uuid: user}`, and a session for whoever polls at the right moment."""

    def __init__(self) -> None:
        self.users: dict[str, str | None] = {}

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:
        path, query = environ["PATH_INFO"], dict(parse_qsl(environ["QUERY_STRING"]))
        size = int(environ.get("CONTENT_LENGTH") or 0)
        sent = dict(parse_qsl(environ["wsgi.input"].read(size).decode()))
        answer: dict[str, Any]
        if path == "/getUuid":
            answer = {"uuid": str(uuid.uuid4())}
            self.users[answer["uuid"]] = None
        elif path == "/checkLogin":
            user = self.users.get(query["uuid"])
            answer = {"code": 200, "token": f"token-of-{user}"} if user else {"code": 408}
        else:  # /appLogin
            self.users[sent["uuid"]] = sent["userId"]
            answer = {"success": True}
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(answer).encode()]


def target() -> Target:
    def begin(browser: Browser) -> Login:
        return Login(browser.get("/getUuid").json["uuid"])

    def asked(browser: Browser, login: Login) -> dict[str, Any]:
        return browser.get(f"/checkLogin?uuid={login.id}").json

    def poll(browser: Browser, login: Login) -> Seen:
        return "confirmed" if asked(browser, login)["code"] == 200 else "pending"

    def confirm(phone: Phone, code: str) -> bool:
        form = {"uuid": code, "userId": phone.account}
        return bool(phone.post("/appLogin", form=form).json["success"])

    def collect(browser: Browser, login: Login) -> Session | None:
        token = asked(browser, login).get("token", "")
        return Session(token.removeprefix("token-of-"), token) if token else None

    return Target(
        begin=begin,
        poll=poll,
        scan=lambda phone, code: True,  # it has no such step
        confirm=confirm,
        collect=collect,
        name="the tutorial's server",
        origin="http://tutorial.example",
        transport=over_wsgi(Tutorial()),
    )
