"""In a combination of dialects, each path is answered by its own dialect."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from qrlogin import STANDARD, AsyncMemoryStore, AsyncQRLogin, MemoryStore, Misconfigured, QRLogin
from qrlogin.demo.dialects import DIALECTS
from qrlogin.wire import (
    AsyncEndpoint,
    BrowserContext,
    CombinedDialect,
    Dialect,
    Endpoint,
    Native,
    Person,
    Request,
    Rfc8628,
    WeChat,
)
from tests.wire.mount import KEY, URI

TYPED = replace(STANDARD, user_codes=True)
QR = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI, policy=TYPED)
ALL: dict[str, Dialect] = {
    name: make(QR.core, BrowserContext(), None) for name, make in DIALECTS.items()
}


def test_every_path_is_answered_by_its_dialect() -> None:
    several = Endpoint(QR, CombinedDialect(*ALL.values()), max_waiting=1)
    for dialect in ALL.values():
        alone = Endpoint(QR, dialect, max_waiting=1)
        for route in dialect.browser_routes:
            request = Request(
                "PATCH", route.path.replace("{login_id}", "A" * 22).replace("{code}", "abc")
            )
            one, other = several.browser(request), alone.browser(request)
            assert (
                (one.status, one.headers, one.body)
                == (other.status, other.headers, other.body)
                != (404, (), b"")
            )


def test_an_unknown_path_is_refused_by_the_first_dialect() -> None:
    rfc8628, wechat = ALL["rfc8628"], ALL["wechat"]
    for dialects in ((rfc8628, wechat), (wechat, rfc8628)):
        request = Request("GET", "nothing/here")
        alone = Endpoint(QR, dialects[0], max_waiting=1).browser(request)
        answer = Endpoint(QR, CombinedDialect(*dialects), max_waiting=1).browser(request)
        assert (answer.status, answer.body) == (alone.status, alone.body)
        assert answer.status == 404


def test_the_combined_dialect_has_no_phone_routes() -> None:
    endpoint = Endpoint(QR, CombinedDialect(*ALL.values()), max_waiting=1)
    request = Request(
        "POST",
        "scan",
        headers=(("content-type", "application/json"),),
        body=json.dumps({"code": "x"}).encode(),
    )
    assert endpoint.phone(request, Person("42")).status == 404


def test_a_combined_dialect_works_with_an_async_endpoint() -> None:
    asyncio.run(both_colours())


async def both_colours() -> None:
    async with AsyncQRLogin(
        AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI, policy=TYPED
    ) as qr:
        both = CombinedDialect(WeChat(qr.core), Rfc8628(qr.core, clients=lambda client: True))
        endpoint = AsyncEndpoint(qr, both, max_waiting=1)
        form = (("content-type", "application/x-www-form-urlencoded"),)
        begun = await endpoint.browser(
            Request("POST", "device_authorization", headers=form, body=b"client_id=tv")
        )
        assert (begun.status, "device_code" in json.loads(begun.body)) == (200, True)
        assert (
            await endpoint.browser(Request("GET", "jslogin", query="appid=a&fun=new&lang=en&_=1"))
        ).status == 200


REFUSED: list[tuple[list[Any], str]] = [
    ([], "at least one"),
    ([WeChat], "at least one"),
    ([QR.core], "at least one"),
    ([[ALL["wechat"]]], "at least one"),
    ([Native(QR.core), ALL["wechat"]], "mount the native dialect by itself"),
    ([ALL["wechat"], WeChat(QR.core, after_login_path="/elsewhere")], "of a kind"),
]


@pytest.mark.parametrize(("dialects", "why"), REFUSED)
def test_a_combination_that_makes_no_sense_is_refused(dialects: list[Any], why: str) -> None:
    with pytest.raises(Misconfigured, match=why):
        CombinedDialect(*dialects)
