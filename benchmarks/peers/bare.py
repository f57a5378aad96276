"""qrlogin over Redis without a framework: `qrlogin_app` on uvicorn. Any name is a phone.

`native` draws the picture, as the login page does; `devices` is the dialect RFC 8628, without one.
The limits are off: the whole benchmark comes from one address.
"""

import os
from dataclasses import replace
from typing import Any

from qrlogin import STANDARD, AsyncQRLogin, Redeemed
from qrlogin.contrib.asgi import qrlogin_app
from qrlogin.stores import open_async_store
from qrlogin.wire import AsyncEndpoint, Cookie, Native, Person, Response
from qrlogin.wire.dialects.rfc8628 import Rfc8628

KEY = bytes(range(32))
POLICY = replace(STANDARD, limits=None)


def person(scope: Any) -> Person | None:
    for name, value in scope["headers"]:
        if name == b"authorization":
            subject = value.decode("ascii").removeprefix("Phone ")
            return Person(subject, name=subject)
    return None


async def who(scope: Any) -> Person | None:
    return person(scope)


async def log_in(scope: Any, redeemed: Redeemed) -> Response:
    return Response(200, cookies=(Cookie("session", redeemed.login_id, 600, secure=False),))


async def tokens(redeemed: Redeemed) -> dict[str, str]:
    return {"access_token": redeemed.login_id, "token_type": "Bearer"}


def qr(*, user_codes: bool) -> AsyncQRLogin:
    return AsyncQRLogin(
        open_async_store(os.environ["REDIS"]),
        secret_keys=[KEY],
        verification_uri=f"{os.environ['QRLOGIN_ORIGIN']}/qr",
        policy=replace(POLICY, user_codes=user_codes),
    )


def native() -> Any:
    logins = qr(user_codes=False)
    endpoint = AsyncEndpoint(logins, Native(logins.core), max_waiting=20_000)
    return under("/qrlogin/", qrlogin_app(endpoint, who, log_in))


def devices() -> Any:
    logins = qr(user_codes=True)
    phones = AsyncEndpoint(logins, Native(logins.core), max_waiting=1)
    tv = Rfc8628(logins.core, clients=lambda client: True)
    of_phones = under("/qrlogin/", qrlogin_app(phones, who, log_in))
    of_devices = qrlogin_app(AsyncEndpoint(logins, tv, max_waiting=1), who, log_in, tokens=tokens)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        native = scope.get("path", "").startswith("/qrlogin/") or scope["type"] == "lifespan"
        await (of_phones if native else of_devices)(scope, receive, send)

    return app


def under(mount: str, app: Any) -> Any:
    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
        else:
            below = "/" + scope["path"].removeprefix(mount)
            await app({**scope, "path": below}, receive, send)

    return mounted
