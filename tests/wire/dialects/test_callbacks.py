"""A callback allows a client only by returning `True`, and may not be async."""

import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any
from urllib.parse import urlencode

import pytest

from qrlogin import MemoryStore, Misconfigured, QRLogin
from qrlogin.wire import (
    BrowserContext,
    Endpoint,
    Native,
    Request,
    Response,
    Rfc8628,
    Taobao,
    WeChatOpen,
)
from qrlogin.wire.dialects.rfc8628 import GRANT_TYPE
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.dialects.dialect_clients import TYPED, everybody
from tests.wire.dialects.rfc8628_server import FORM
from tests.wire.mount import CREDENTIAL, KEY, URI, Colour, Mount, post, read

NEIGHBOUR = "https://example.com:8443/back"


async def awaited(*_: object) -> bool:
    return True


class Directory:
    """An application's list of clients with async methods."""

    async def knows(self, *_: object) -> bool:
        return True

    @classmethod
    async def knew(cls, *_: object) -> bool:
        return True

    @staticmethod
    async def known(*_: object) -> bool:
        return True


class AsyncCallable:
    """An object with an async `__call__`."""

    async def __call__(self, *_: object) -> bool:
        return True


USELESS: dict[str, object] = {
    "a function": awaited,
    "a partial": functools.partial(awaited, "more"),
    "a partial of a partial": functools.partial(functools.partial(awaited, "more"), "and more"),
    "a method": Directory().knows,
    "a partial of a method": functools.partial(Directory().knows, "more"),
    "a method of the class": Directory.knew,
    "a static method": Directory.known,
    "an object": AsyncCallable(),
    "no function": "tv",
}
TAKERS: dict[str, Callable[[QRLogin, Any], object]] = {
    "clients(client_id)": lambda qr, each: Rfc8628(qr.core, clients=each),
    "names(client_id)": lambda qr, each: Rfc8628(qr.core, clients=everybody, names=each),
    "clients(appid, secret)": lambda qr, each: WeChatOpen(qr.core, clients=each),
    "redirect_uris(appid, address)": lambda qr, each: WeChatOpen(qr.core, redirect_uris=each),
    "names(appid)": lambda qr, each: WeChatOpen(qr.core, names=each),
    "subject(request)": lambda qr, each: Native(qr.core, subject=each),
    "address(request)": lambda qr, each: BrowserContext(address=each),
    "place(address)": lambda qr, each: BrowserContext(place=each),
    "judge(scanned, person, phone_request)": lambda qr, each: Endpoint(
        qr, max_waiting=1, judge=each
    ),
    "paused()": lambda qr, each: Endpoint(qr, max_waiting=1, paused=each),
}
DESCRIBED: tuple[Callable[[QRLogin, Any], object], ...] = (
    lambda qr, each: Native(qr.core, describe=each),
    lambda qr, each: Taobao(qr.core, describe=each),
    lambda qr, each: Rfc8628(qr.core, clients=everybody, describe=each),
)


@for_each_row(
    "call, take",
    [*TAKERS.items(), *(("describe(request)", take) for take in DESCRIBED)],
)
@for_each_row("callback", USELESS.values())
def test_what_nothing_calls_or_awaits_is_refused_at_construction(
    call: str, take: Callable[[QRLogin, Any], object], callback: object
) -> None:
    qr = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI, policy=TYPED)
    with pytest.raises(Misconfigured) as refused:
        take(qr, callback)
    assert call in str(refused.value)
    take(qr, lambda *_: True)


# Callbacks that construction cannot recognise


class Coroutines:
    """Callbacks that return a coroutine without being async functions. `close` closes the
    coroutines, so that Python does not warn.
    """

    def __init__(self) -> None:
        self.made: list[Coroutine[Any, Any, bool]] = []

    def answer(self, *_: object) -> Any:
        self.made.append(awaited())
        return self.made[-1]

    def close(self) -> None:
        for coroutine in self.made:
            coroutine.close()


def recorded(coroutines: Coroutines, called: Callable[..., Any]) -> Callable[..., Any]:
    def answer(*given: object) -> Any:
        coroutines.made.append(called(*given))
        return coroutines.made[-1]

    return answer


async def async_generator(*_: object) -> AsyncIterator[bool]:
    yield True


NOT_TRUE: dict[str, Callable[[Coroutines], Callable[..., Any]]] = {
    "a lambda that returns a coroutine": lambda coroutines: (
        lambda *given: coroutines.answer(*given)
    ),
    "a method that returns a coroutine": lambda coroutines: coroutines.answer,
    "an object that is awaited": lambda coroutines: recorded(coroutines, AsyncCallable()),
    "an async generator": lambda coroutines: async_generator,
    "the number 1": lambda coroutines: lambda *_: 1,
    "text": lambda coroutines: lambda *_: "no",
    "a dict": lambda coroutines: lambda *given: {"client": given},
    "a class": lambda coroutines: lambda *_: object,
    "None": lambda coroutines: lambda *_: None,
}
EVERY = for_each_row("made", NOT_TRUE.values())


@row(206)
@EVERY
def test_only_true_lets_an_rfc8628_client_in(
    made: Callable[[Coroutines], Callable[..., Any]], colour: Colour
) -> None:
    coroutines, asked = Coroutines(), []

    def clients(*given: object) -> Any:
        asked.append(given)
        return callback(*given)

    def ask(path: str, **form: str) -> Response:
        return mount.browser(
            Request("POST", path, "", (FORM,), urlencode({"client_id": "tv", **form}).encode())
        )

    with Mount(colour, policy=TYPED, make=lambda core: Rfc8628(core, clients=clients)) as mount:
        callback: Callable[..., Any] = everybody
        begun = read(ask("device_authorization"))
        for step in ("scan", "confirm"):
            assert mount.phone(post(step, {"code": begun["user_code"]}, CREDENTIAL)).status == 200
        callback = made(coroutines)
        before, calls = mount.records, len(mount.store.calls)
        token = {"grant_type": GRANT_TYPE, "device_code": begun["device_code"]}
        for refused in (ask("device_authorization"), ask("token", **token)):
            assert (refused.status, read(refused)["error"], refused.redeemed) == (
                401,
                "invalid_client",
                None,
            )
        assert (mount.records, len(mount.store.calls), len(asked)) == (before, calls, 3)
        coroutines.close()
        callback = everybody
        assert ask("token", **token).redeemed


@row(451)
@EVERY
def test_only_true_lets_an_applications_server_in(
    made: Callable[[Coroutines], Callable[..., Any]], colour: Colour
) -> None:
    coroutines = Coroutines()

    def exchange() -> Response:
        form = {"appid": "wx1", "secret": "s", "grant_type": "authorization_code", "code": wx_code}
        return mount.browser(Request("GET", "sns/oauth2/access_token", urlencode(form), cookie))

    def clients(*given: str) -> Any:
        return callback(*given)

    with Mount(colour, make=lambda core: WeChatOpen(core, clients=clients)) as mount:
        begun = mount.browser(Request("GET", "connect/qrconnect", "appid=wx1"))
        cookie = (("cookie", f"{begun.cookies[0].key}={begun.cookies[0].value}"),)
        uuid = begun.body.decode().partition("/connect/qrcode/")[2][:32]
        for step in ("scan", "confirm"):
            assert mount.phone(post(step, {"code": uuid}, CREDENTIAL)).status == 200
        wx_code = read(
            mount.browser(Request("GET", "connect/l/qrconnect", f"uuid={uuid}&f=json", cookie))
        )["wx_code"]
        callback, before = made(coroutines), mount.records
        refused = exchange()
        assert (read(refused)["errcode"], refused.redeemed, mount.records) == (40125, None, before)
        coroutines.close()
        callback = everybody
        assert exchange().redeemed


@EVERY
def test_only_true_registers_a_redirect_uri(
    made: Callable[[Coroutines], Callable[..., Any]], colour: Colour
) -> None:
    coroutines = Coroutines()

    def redirect_uris(*given: str) -> Any:
        return callback(*given)

    with Mount(colour, make=lambda core: WeChatOpen(core, redirect_uris=redirect_uris)) as mount:
        page = Request(
            "GET", "connect/qrconnect", urlencode({"appid": "wx1", "redirect_uri": NEIGHBOUR})
        )
        callback = made(coroutines)
        assert (mount.browser(page).status, mount.records) == (400, {})
        coroutines.close()
        callback = everybody
        begun = mount.browser(page)
        assert (begun.status, len(mount.records)) == (200, 1)
        assert NEIGHBOUR.encode() in begun.body
