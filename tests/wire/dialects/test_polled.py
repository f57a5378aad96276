"""Taobao (both), Bilibili and JD send the documented bytes in every state, and a stranger learns
nothing.
"""

import hashlib
import json

import pytest

from qrlogin import MemoryStore, QRLogin
from qrlogin.render import png
from qrlogin.step import Command
from tests.wire.dialects.polled_clients import (
    CLIENTS,
    EVERYWHERE,
    HISTORIES,
    Client,
    JDClient,
    check_device_cookie,
    opened,
    reach,
    redis_of,
)
from tests.wire.mount import ALICE, BOB, KEY, NOON, URI, Colour

ONE_EACH = pytest.mark.parametrize("kind", CLIENTS)
WITH_TICKET = pytest.mark.parametrize(
    "kind", [kind for kind, client in CLIENTS.items() if client.collect_path]
)


def filled(words: str, **facts: object) -> str:
    for name, fact in facts.items():
        words = words.replace(f"{{{name}}}", str(fact))
    return words


# The answers


@EVERYWHERE
def test_each_poll_gets_the_documented_answer(
    kind: str, colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    for history, (_, word) in HISTORIES.items():
        with opened(CLIENTS[kind].dialect, colour, redis_of(request, store)) as service:
            client = CLIENTS[kind](service)
            reach(client, history)
            facts = {} if service.store.down else client.facts()
            answer = client.poll()
            assert answer.body.decode() == filled(
                client.poll_bodies[word], now=service.clock(), **facts
            ), history
            assert answer.status == (503 if kind == "newlogin" and service.store.down else 200)
            names = (
                ["DedeUserID", "SESSDATA", "bili_jct"]
                if kind == "bilibili" and word == "confirmed"
                else []
            )
            # The one of the login is removed: tests/wire/dialects/test_copied_cookies.py.
            assert [cookie.key for cookie in answer.cookies if "qrl-" not in cookie.key] == names
            assert dict(answer.headers)["Content-Type"] == (
                "application/javascript; charset=utf-8"
                if kind == "jd"
                else "application/json; charset=utf-8"
            )
            assert bool(answer.redeemed) == (word == "confirmed" and not client.collect_path), (
                history
            )


@EVERYWHERE
def test_a_login_from_beginning_to_end(
    kind: str, colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    with opened(CLIENTS[kind].dialect, colour, redis_of(request, store)) as service:
        client = CLIENTS[kind](service)
        reach(client, "scanned")
        assert (
            service.phone("scan", client.code, BOB).status == 409
        )  # the bare id, from a second account
        assert service.phone("confirm", client.code, ALICE).status == 200
        answer = client.collect()
        assert answer.redeemed is not None
        assert (answer.redeemed.subject, answer.redeemed.replayed) == ("1", False)
        assert answer.redeemed.context == {"browser": "Firefox"}
        if client.collect_path:  # the poll no longer returns the url or the ticket
            assert client.poll().body.decode() == client.poll_bodies["ended"]


def begun(kind: str) -> tuple[Client, str]:
    """A client that has begun a login, and the body of the answer."""
    with opened(CLIENTS[kind].dialect) as service:
        client = CLIENTS[kind](service)
        answer = client.begin()
        assert answer.status == 200
        device, *others = answer.cookies
        check_device_cookie(device, 180 + 90 + 30 + 30)
        assert [cookie.key for cookie in others] == (["wlfstk_smdl"] if kind == "jd" else [])
        assert client.code not in device.value
        assert device.value not in str(answer.headers) + str(answer.body)
        return client, answer.body.decode() if kind != "jd" else answer.body.hex()


def test_taobao_begins_with_the_documented_body() -> None:
    client, body = begun("taobao")
    ad = hashlib.sha256(client.code.encode()).hexdigest()[:32]
    assert body == (
        f'{{"success":true,"message":"null","url":"//example.com/qrcodelogin/{client.code}.png",'
        f'"lgToken":"{client.code}","adToken":"{ad}"}}'
    )


def test_newlogin_begins_with_the_documented_body() -> None:
    client, body = begun("newlogin")
    ck = json.loads(body)["content"]["data"]["ck"]
    assert ck != client.code
    assert len(ck) == 32
    assert body == (
        f'{{"content":{{"data":{{"t":{NOON},"codeContent":"https://example.com/qrcodeCheck.htm?lgToken={client.code}'
        f'&_from=havana","ck":"{ck}","resultCode":100}},"status":0,"success":true}},"hasError":false}}'
    )


def test_bilibili_begins_with_the_documented_body() -> None:
    client, body = begun("bilibili")
    assert body == (
        '{"code":0,"message":"0","ttl":1,"data":{"url":"https://example.com/h5-app/passport/login/scan?navhide=1'
        f'&qrcode_key={client.code}&from=","qrcode_key":"{client.code}"}}}}'
    )


def test_jd_begins_with_a_picture_of_the_documented_address() -> None:
    client, body = begun("jd")
    assert body == png(f"https://example.com/p?k={client.code}").hex()


def test_a_page_can_read_the_cookie_with_the_public_id_of_jd() -> None:
    with opened(JDClient.dialect) as service:
        client = JDClient(service)
        _, public = client.begin().cookies
        assert (public.key, public.value, public.httponly, public.secure) == (
            "wlfstk_smdl",
            client.code,
            False,
            True,
        )


# Repeated requests and lost answers


@EVERYWHERE
def test_an_answer_lost_at_each_step_loses_no_login(
    kind: str, colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    """Each request is sent twice, and the first answer never arrives."""
    with opened(CLIENTS[kind].dialect, colour, redis_of(request, store)) as service:
        client = CLIENTS[kind](service)
        CLIENTS[kind](service).begin()  # its answer and its cookie were lost
        client.begin()
        for verb in ("scan", "confirm"):
            client.poll()
            client.poll()
            assert service.phone(verb, client.text).body == service.phone(verb, client.text).body
        collecting = client.collect_request()
        lost, arrived = client.send(*collecting), client.send(*collecting)
        assert (lost.status, lost.headers, lost.body) == (
            arrived.status,
            arrived.headers,
            arrived.body,
        )
        assert [each.replayed for each in service.redeemed] == [False, True]
        service.clock.advance(31)
        assert client.send(*collecting).redeemed is None
        assert client.poll().body.decode() == client.poll_bodies["ended"]


@EVERYWHERE
def test_a_store_that_carries_out_each_command_twice_redeems_once(
    kind: str, colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    with opened(CLIENTS[kind].dialect, colour, redis_of(request, store)) as service:
        service.store.echo = True
        client = CLIENTS[kind](service)
        reach(client, "confirmed")
        assert client.collect().redeemed
        assert [each.replayed for each in service.redeemed] == [False]


@ONE_EACH
def test_a_login_survives_an_outage_of_the_store(kind: str) -> None:
    with opened(CLIENTS[kind].dialect) as service:
        client = CLIENTS[kind](service)
        reach(client, "the store is away")
        CLIENTS[kind](service).begin()
        client.poll()
        service.store.down = False
        client.phone("confirm")
        assert client.collect().redeemed


@pytest.mark.parametrize(
    "kind", [kind for kind, client in CLIENTS.items() if not client.collect_path]
)
def test_a_denial_just_before_the_redeem_wins(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The poll finds the login confirmed. The phone denies it before the poll redeems it."""
    with opened(CLIENTS[kind].dialect) as service:
        client = CLIENTS[kind](service)
        reach(client, "confirmed")
        noted = service.store.noted

        def refused_before(command: Command) -> bool:
            if command.row.name == "collect":
                client.phone("deny")
            return noted(command)

        monkeypatch.setattr(service.store, "noted", refused_before)
        answer = client.poll()
        assert answer.redeemed is None
        assert answer.body.decode() == client.poll_bodies["denied"]


# Strangers


@EVERYWHERE
def test_another_browser_gets_the_answer_for_a_login_that_does_not_exist(
    kind: str, colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    for history in ("begun", "scanned", "confirmed", "denied", "collected, long ago", "long gone"):
        with opened(CLIENTS[kind].dialect, colour, redis_of(request, store)) as service:
            mine, other = CLIENTS[kind](service), CLIENTS[kind](service)
            other.begin()
            reach(mine, history)
            foreign = QRLogin(MemoryStore(), secret_keys=[KEY[::-1]], verification_uri=URI)
            of_others = foreign.run(foreign.core.begin(fixed=True, ask_browser=False))
            name = next(name for name in mine.jar if name.startswith("__Host-qrl-"))
            device_code = mine.device_code
            forged = device_code[:-1] + ("A" if device_code[-1] != "A" else "B")
            before = len(service.store.calls)
            stolen = ("x", forged, other.device_code, of_others.device_code)
            jars = [{}, other.jar, *({name: value} for value in stolen)]
            answers = [CLIENTS[kind](service, jar).poll(mine.key) for jar in jars]
            answers += [
                mine.poll(key)
                for key in (
                    of_others.scan_code,
                    mine.key[:-1],
                    f"{mine.key}0",
                    "x" * 3000,
                    "0" * 32,
                )
            ]
            assert {answer.body for answer in answers} == {mine.poll_bodies["ended"].encode()}
            assert {
                (answer.status, answer.headers, answer.cookies, answer.redeemed)
                for answer in answers
            } == {(200, answers[0].headers, (), None)}
            assert len(service.store.calls) == before, "a forged code reached the store"


@WITH_TICKET
def test_a_ticket_from_another_browser_is_refused(kind: str) -> None:
    with opened(CLIENTS[kind].dialect) as service:
        client, thief = CLIENTS[kind](service), CLIENTS[kind](service)
        thief.begin()
        reach(client, "confirmed")
        collecting = client.collect_request()
        before = len(service.store.calls)
        for jar in (thief.jar, {}):
            answer = CLIENTS[kind](service, jar).send(*collecting)
            assert answer.redeemed is None
            assert (
                (answer.status, answer.body) == (200, b'{"returnCode":1}')
                if kind == "jd"
                else answer.status == 404
            )
        assert len(service.store.calls) == before
        assert client.send(*collecting).redeemed


@WITH_TICKET
def test_a_wrong_ticket_changes_nothing(kind: str) -> None:
    with opened(CLIENTS[kind].dialect) as service:
        client = CLIENTS[kind](service)
        reach(client, "scanned")
        for history in ("scanned", "confirmed"):
            for ticket in ("", "0" * 32, "%C3%A9", "x" * 3000):
                assert client.send(client.collect_path, client.ticket(ticket)).redeemed is None, (
                    history,
                    ticket,
                )
            service.phone("confirm", client.text)
        genuine = str(client.facts()["ticket"])
        for ticket in (
            f"{genuine}0",
            f"0{genuine}",
            genuine[:-1],
            genuine.upper(),
            f"{genuine}%00",
        ):
            assert client.send(client.collect_path, client.ticket(ticket)).redeemed is None, ticket
        assert client.send(client.collect_path, client.ticket(genuine)).redeemed


@pytest.mark.parametrize("kind", ["taobao", "bilibili", "jd"])
def test_a_poll_without_its_code_is_refused(kind: str) -> None:
    with opened(CLIENTS[kind].dialect) as service:
        client = CLIENTS[kind](service)
        client.begin()
        before = len(service.store.calls)
        answer = client.send(client.poll_path, "_=1")
        assert (answer.status, b"missing" in answer.body) == (400, True)
        assert len(service.store.calls) == before
