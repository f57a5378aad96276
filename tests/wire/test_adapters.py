"""The code in the READMEs of the examples runs as printed."""

import asyncio
import json
import re
from base64 import b64encode
from pathlib import Path
from typing import Any

import flask
import httpx2
import pytest
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import TimestampSigner

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SECRET = "of the framework"


def application(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The application in an example's README."""
    code = "\n".join(
        re.findall(r"```python\n(.*?)```", (EXAMPLES / name / "README.md").read_text(), re.DOTALL)
    )
    monkeypatch.setenv("SECRET_KEY", SECRET)
    monkeypatch.setenv("QRLOGIN_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")
    module: dict[str, Any] = {"__name__": "readme"}
    exec(compile(code, f"{name}/README.md", "exec"), module)
    return module["app"]


def flask_session(app: flask.Flask) -> str:
    """Flask's session cookie of a browser in which alice is signed in."""
    serializer = SecureCookieSessionInterface().get_signing_serializer(app)
    assert serializer
    return str(serializer.dumps({"user": "alice"}))


def starlette_session(_: Any) -> str:
    return TimestampSigner(SECRET).sign(b64encode(json.dumps({"user": "alice"}).encode())).decode()


async def log_in_by_phone(
    browser: httpx2.AsyncClient, phone: httpx2.AsyncClient
) -> httpx2.Response:
    """Log in; the phone is signed in by the session of an ordinary page."""
    begun = (await browser.post("/qrlogin/begin", json={})).json()
    code = {"code": begun["verification_uri_complete"]}
    assert (
        await browser.post("/qrlogin/phone/scan", json=code)
    ).status_code == 401  # the browser is signed out
    assert (await phone.post("/qrlogin/phone/scan", json=code)).status_code == 200
    assert (await phone.post("/qrlogin/phone/confirm", json=code)).status_code == 200
    scanner = (await browser.get(f"/qrlogin/{begun['login_id']}")).json()["scanned_by"]
    assert scanner["shown_as"] == "a•••e"
    return await browser.post(
        f"/qrlogin/{begun['login_id']}/redeem",
        json={"acknowledged": scanner["tag"], "op": "made-for-this-click"},
    )


@pytest.mark.parametrize(
    ("name", "session_of", "transport"),
    [
        ("flask_app", flask_session, lambda app: Wsgi(app)),
        ("fastapi_app", starlette_session, lambda app: httpx2.ASGITransport(app)),
    ],
)
def test_the_code_in_each_readme_runs(
    name: str, session_of: Any, transport: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = application(name, monkeypatch)

    async def story() -> None:
        page = {"Origin": "https://example.com", "Sec-Fetch-Site": "same-origin"}
        shared = {
            "transport": transport(app),
            "base_url": "https://example.com",
            "headers": page,
            "trust_env": False,
        }
        async with (
            httpx2.AsyncClient(**shared) as browser,
            httpx2.AsyncClient(**shared, cookies={"session": session_of(app)}) as phone,
        ):
            answer = await log_in_by_phone(browser, phone)
            assert answer.json()["state"] == "redeemed"
            assert "session" in browser.cookies
            uuid = (
                (await browser.get("/wechat/jslogin")).text.rpartition(' = "')[2].removesuffix('";')
            )
            assert (
                "window.code=408"
                not in (
                    await browser.get(f"/wechat/cgi-bin/mmwebwx-bin/login?uuid={uuid[::-1]}")
                ).text
            )
            assert (await phone.post("/qrlogin/phone/scan", json={"code": uuid})).status_code == 200
            assert (
                await browser.get(f"/wechat/cgi-bin/mmwebwx-bin/login?uuid={uuid}")
            ).text == "window.code=201;"
            again = (await browser.post("/qrlogin/begin", json={})).json()[
                "verification_uri_complete"
            ]
            assert (
                await browser.post("/qrlogin/phone/scan", json={"code": again})
            ).status_code == 200  # logged in by now

    asyncio.run(story())


class Wsgi(httpx2.AsyncBaseTransport):
    """Lets an async client call a WSGI application."""

    def __init__(self, app: Any) -> None:
        self._transport = httpx2.WSGITransport(app)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        body = await request.aread()
        plain = httpx2.Request(request.method, request.url, headers=request.headers, content=body)
        answer = self._transport.handle_request(plain)
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.read())
