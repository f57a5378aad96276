"""Clients that are no page of the site log in and approve over real HTTP, in every way of mounting.

`test_credentials.py` has the whole table, without a server.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import httpx2
import pytest

from qrlogin.wire import Native
from tests.wire.bearer_clients import BEARER_CLIENTS
from tests.wire.sites import (
    Site,
    awaited,
    bare_asgi,
    fastapi_app,
    flask_app,
    threaded,
    validated_wsgi,
    werkzeug_server,
    wsgiref_server,
)

LISTED = "capacitor://localhost"
TOKEN = {"Authorization": "Bearer phone-of-alice"}
COOKIE = {"Cookie": "session=of-alice"}


def listing(make: Callable[..., Any]) -> Any:
    """The same application, whose native dialect lists an origin."""

    def make_app(endpoint: Any, application: Any) -> Any:
        qr = endpoint._qr
        dialect = Native(qr.core, origins=[LISTED])
        return make(type(endpoint)(qr, dialect, max_waiting=endpoint._slots), application)

    return make_app


SITES: dict[str, Callable[[], AbstractContextManager[Site]]] = {
    "bare WSGI": lambda: threaded(listing(validated_wsgi), wsgiref_server, None),
    "bare ASGI": lambda: awaited(listing(bare_asgi), None),
    "Flask": lambda: threaded(listing(flask_app), werkzeug_server, None),
    "FastAPI": lambda: awaited(listing(fastapi_app), None),
}


@pytest.mark.parametrize("mounting", SITES)
def test_tokens_pass_every_adapter_from_every_origin_and_cookies_do_not(mounting: str) -> None:
    with SITES[mounting]() as site:
        for what, sent in BEARER_CLIENTS.items():
            with httpx2.Client(base_url=site.url, headers=dict(sent), trust_env=False) as http:
                log_in_and_approve(http, what, foreign=bool(sent))


def log_in_and_approve(http: httpx2.Client, what: str, *, foreign: bool) -> None:
    def post(path: str, headers: dict[str, str], **fields: str) -> httpx2.Response:
        return http.post(f"/qr/{path}", json=fields, headers=headers)

    begun = post("begin", {}, deliver="body").json()
    code = {"code": begun["verification_uri_complete"]}
    assert post("phone/scan", COOKIE, **code).status_code == 403, what
    if foreign:
        for beside in ("Basic dTpw", "Bearer phone-of-alice"):
            both = {**COOKIE, "Authorization": beside}
            assert post("phone/scan", both, **code).status_code == 403, what
    for verb in ("scan", "confirm"):
        assert post(f"phone/{verb}", TOKEN, **code).status_code == 200, what
    own = {"Authorization": f"Bearer {begun['device_code']}"}
    seen = http.get(f"/qr/{begun['login_id']}", headers=own).json()
    redeem = {"acknowledged": seen["scanned_by"]["tag"], "op": "o" * 22}
    redeemed = post(f"{begun['login_id']}/redeem", own, **redeem)
    assert redeemed.json()["state"] == "redeemed", what


@pytest.mark.parametrize("mounting", SITES)
def test_preflights_pass_every_adapter_and_need_no_one_who_is_signed_in(mounting: str) -> None:
    with SITES[mounting]() as site, httpx2.Client(base_url=site.url, trust_env=False) as http:
        login = "A" * 22
        for path in ("begin", login, f"{login}/events", f"{login}/redeem", "phone/scan"):
            asks = {"Origin": LISTED, "Access-Control-Request-Method": "POST"}
            answer = http.options(f"/qr/{path}", headers=asks)
            assert (answer.status_code, answer.content) == (204, b""), path
            assert answer.headers["access-control-allow-origin"] == LISTED
            assert answer.headers["vary"] == "Origin"
            refused = http.options(f"/qr/{path}", headers={**asks, "Origin": "https://evil.net"})
            assert refused.status_code == 403, path
            assert "access-control-allow-origin" not in refused.headers
