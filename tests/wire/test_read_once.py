"""A request checks the signature of its device_code once, whatever it asks for."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from qrlogin import AsyncMemoryStore, AsyncQRLogin, MemoryStore, QRLogin
from qrlogin.keys import Key
from qrlogin.wire import AsyncEndpoint, Endpoint, Person, Request, Response
from qrlogin.wire.dialects import WeChat
from tests.application import ALICE, KEY, SHOWN, URI

ORIGIN = ("origin", URI.removesuffix("/qr"))


@pytest.fixture
def signatures(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The number of computed MACs, by purpose."""
    counted, genuine = Counter[str](), Key.mac

    def mac(key: Key, purpose: str, *parts: str) -> str:
        counted[purpose] += 1
        return genuine(key, purpose, *parts)

    monkeypatch.setattr(Key, "mac", mac)
    return counted


def post(path: str, **body: str) -> Request:
    headers = (ORIGIN, ("content-type", "application/json"))
    return Request("POST", path, "", headers, json.dumps(body).encode())


def with_code(request: Request, code: str) -> Request:
    bearer = ("authorization", f"Bearer {code}")
    return Request(
        request.method, request.path, request.query, (*request.headers, bearer), request.body
    )


def test_each_native_request_reads_its_device_code_once(signatures: Counter[str]) -> None:
    qr = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI)
    endpoint = Endpoint(qr, max_waiting=4)
    begun = qr.begin()
    path, op = begun.login_id, "o" * 43

    def answer(request: Request) -> Response:
        signatures.clear()
        made = endpoint.browser(with_code(request, begun.device_code))
        if made.events is not None:
            list(made.events)  # type: ignore[arg-type]
        assert signatures["device_code"] == 1, request
        return made

    assert answer(Request("GET", path)).status == 200
    assert answer(Request("GET", path, "wait=1")).status == 200
    qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    assert answer(Request("GET", path, "wait=1&after=1")).status == 200
    qr.confirm(begun.scan_code, subject=ALICE)
    seen: Any = json.loads(answer(Request("GET", path)).body)
    redeemed = answer(post(f"{path}/redeem", acknowledged=seen["scanned_by"]["tag"], op=op))
    assert redeemed.redeemed is not None
    assert answer(Request("GET", f"{path}/events")).status == 200


def test_an_awaited_held_status_reads_its_device_code_once(signatures: Counter[str]) -> None:
    async def hold() -> int:
        qr = AsyncQRLogin(AsyncMemoryStore(), secret_keys=[KEY], verification_uri=URI)
        begun = await qr.begin()
        request = with_code(Request("GET", begun.login_id, "wait=1"), begun.device_code)
        signatures.clear()
        return (await AsyncEndpoint(qr, max_waiting=4).browser(request)).status

    assert asyncio.run(hold()) == 200
    assert signatures["device_code"] == 1


def test_each_request_of_a_public_id_dialect_reads_its_device_code_once(
    signatures: Counter[str],
) -> None:
    qr = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI)
    endpoint = Endpoint(qr, WeChat(qr.core, hold=1), max_waiting=4)
    begun = endpoint.browser(Request("GET", "jslogin"))
    jar = (("cookie", f"{begun.cookies[0].key}={begun.cookies[0].value}"),)
    uuid = begun.body.decode().split('"')[1]

    def answer(path: str, query: str) -> str:
        signatures.clear()
        made = endpoint.browser(Request("GET", path, query, jar))
        assert signatures["device_code"] == 1, path
        return made.body.decode() if made.redeemed is None else made.redeemed.subject

    assert "window.code=408" in answer("cgi-bin/mmwebwx-bin/login", f"uuid={uuid}")
    qr.scan(uuid, subject=ALICE, shown_as=SHOWN[ALICE])
    qr.confirm(uuid, subject=ALICE)
    poll = answer("cgi-bin/mmwebwx-bin/login", f"uuid={uuid}")
    path, _, query = poll.split('"')[1].removeprefix(f"{ORIGIN[1]}/").partition("?")
    ticket = query.partition("ticket=")[2].partition("&")[0]
    assert answer(path, f"ticket={ticket}&uuid={uuid}") == ALICE


def test_no_request_computes_a_mac_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor reads a code twice, although each change is reported to a listener."""
    computed, genuine = list[tuple[str, ...]](), Key.mac

    def mac(key: Key, purpose: str, *parts: str) -> str:
        computed.append((purpose, *parts))
        return genuine(key, purpose, *parts)

    monkeypatch.setattr(Key, "mac", mac)
    events = list[str]()
    qr = QRLogin(
        MemoryStore(),
        secret_keys=[KEY],
        verification_uri=URI,
        on_event=lambda event: events.append(event.name),
    )
    endpoint, alice = Endpoint(qr, max_waiting=4), Person(ALICE, SHOWN[ALICE])

    def answer(request: Request, *, phone: bool = False) -> Any:
        computed.clear()
        made = endpoint.phone(request, alice) if phone else endpoint.browser(request)
        assert made.status in (200, 201), made
        twice = [each for each, times in Counter(computed).items() if times > 1]
        assert not twice, (request, twice)
        return json.loads(made.body)

    begun = answer(post("begin", deliver="body"))
    status = with_code(Request("GET", begun["login_id"]), begun["device_code"])
    assert answer(status)["state"] == "pending"
    for act in ("look", "scan", "confirm"):
        answer(post(act, code=begun["verification_uri_complete"]), phone=True)
        seen = answer(status)
    redeem = post(
        f"{begun['login_id']}/redeem", acknowledged=seen["scanned_by"]["tag"], op="o" * 43
    )
    answer(with_code(redeem, begun["device_code"]))
    assert events == ["begun", "scanned", "confirmed", "redeemed"]
