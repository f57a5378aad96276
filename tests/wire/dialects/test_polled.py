"""Taobao (both), Bilibili and JD: byte for byte in every state, over both stores, in both colours; and what strangers get."""

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
    OfJD,
    opened,
    reach,
    redis_of,
)
from tests.wire.mount import ALICE, BOB, KEY, NOON, URI, Colour

ONE_EACH = pytest.mark.parametrize("kind", CLIENTS)
WITH_TICKET = pytest.mark.parametrize(
    "kind", [kind for kind, client in CLIENTS.items() if client.lands]
)
CROSS_SITE = ("sec-fetch-site", "cross-site")


def filled(words: str, **facts: object) -> str:
    for name, fact in facts.items():
        words = words.replace(f"{{{name}}}", str(fact))
    return words


# What is said


@EVERYWHERE
def test_each_poll_gets_the_documented_answer(
    kind: str, colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    for history, (_, word) in HISTORIES.items():
        with opened(CLIENTS[kind].dialect, colour, redis_of(request, store)) as house:
            client = CLIENTS[kind](house)
            reach(client, history)
            facts = {} if house.store.down else client.facts()
            told = client.poll()
            assert told.body.decode() == filled(client.words[word], now=house.clock(), **facts), (
                history
            )
            assert told.status == (503 if kind == "newlogin" and house.store.down else 200)
            names = (
                ["DedeUserID", "SESSDATA", "bili_jct"]
                if kind == "bilibili" and word == "confirmed"
                else []
            )
            assert [cookie.key for cookie in told.cookies] == names
            assert dict(told.headers)["Content-Type"] == (
                "application/javascript; charset=utf-8"
                if kind == "jd"
                else "application/json; charset=utf-8"
            )
            assert bool(told.redeemed) == (word == "confirmed" and not client.lands), history


@EVERYWHERE
def test_a_login_from_beginning_to_end(
    kind: str, colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    with opened(CLIENTS[kind].dialect, colour, redis_of(request, store)) as house:
        client = CLIENTS[kind](house)
        reach(client, "scanned")
        assert house.phone("scan", client.code, BOB).status == 409  # the bare id, and not the first
        assert house.phone("confirm", client.code, ALICE).status == 200
        answer = client.collect()
        assert answer.redeemed is not None
        assert (answer.redeemed.subject, answer.redeemed.replayed) == ("1", False)
        assert answer.redeemed.context == {"browser": "Browser 1.0"}
        if client.lands:  # the url or ticket is told until it is used, and then no more
            assert client.poll().body.decode() == client.words["ended"]


def begun(kind: str) -> tuple[Client, str]:
    """What the answer that begins a login says, and its client."""
    with opened(CLIENTS[kind].dialect) as house:
        client = CLIENTS[kind](house)
        answer = client.begin()
        assert answer.status == 200
        device, *others = answer.cookies
        assert (device.httponly, device.secure, device.samesite, device.path, device.max_age) == (
            True,
            True,
            "Lax",
            "/",
            240,
        )
        assert device.key.startswith("__Host-qrl-")
        assert [cookie.key for cookie in others] == (["wlfstk_smdl"] if kind == "jd" else [])
        assert client.code not in device.value
        assert device.value not in str(answer.headers) + str(answer.body)
        return client, answer.body.decode() if kind != "jd" else answer.body.hex()


def test_taobao_begins() -> None:
    client, body = begun("taobao")
    ad = hashlib.sha256(client.code.encode()).hexdigest()[:32]
    assert body == (
        f'{{"success":true,"message":"null","url":"//example.com/qrcodelogin/{client.code}.png",'
        f'"lgToken":"{client.code}","adToken":"{ad}"}}'
    )


def test_newlogin_begins() -> None:
    client, body = begun("newlogin")
    ck = json.loads(body)["content"]["data"]["ck"]
    assert ck != client.code
    assert len(ck) == 32
    assert body == (
        f'{{"content":{{"data":{{"t":{NOON},"codeContent":"https://example.com/qrcodeCheck.htm?lgToken={client.code}'
        f'&_from=havana","ck":"{ck}","resultCode":100}},"status":0,"success":true}},"hasError":false}}'
    )


def test_bilibili_begins() -> None:
    client, body = begun("bilibili")
    assert body == (
        '{"code":0,"message":"0","ttl":1,"data":{"url":"https://example.com/h5-app/passport/login/scan?navhide=1'
        f'&qrcode_key={client.code}&from=","qrcode_key":"{client.code}"}}}}'
    )


def test_jd_begins() -> None:
    client, body = begun("jd")
    assert body == png(f"https://example.com/p?k={client.code}").hex()


def test_the_public_id_of_jd_is_for_the_page_to_read() -> None:
    with opened(OfJD.dialect) as house:
        client = OfJD(house)
        _, public = client.begin().cookies
        assert (public.key, public.value, public.httponly, public.secure) == (
            "wlfstk_smdl",
            client.code,
            False,
            True,
        )


# What repeats and what is lost


@EVERYWHERE
def test_an_answer_lost_at_each_step_loses_no_login(
    kind: str, colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    """Each request is sent twice, and the first answer never arrives."""
    with opened(CLIENTS[kind].dialect, colour, redis_of(request, store)) as house:
        client = CLIENTS[kind](house)
        CLIENTS[kind](house).begin()  # its answer was lost, and its cookie with it
        client.begin()
        for verb in ("scan", "confirm"):
            client.poll()
            client.poll()
            assert house.phone(verb, client.text).body == house.phone(verb, client.text).body
        errand = client.errand()
        lost, arrived = client.send(*errand), client.send(*errand)
        assert (lost.status, lost.headers, lost.body) == (
            arrived.status,
            arrived.headers,
            arrived.body,
        )
        assert [each.replayed for each in house.redeemed] == [False, True]
        house.clock.advance(31)
        assert client.send(*errand).redeemed is None
        assert client.poll().body.decode() == client.words["ended"]


@EVERYWHERE
def test_a_driver_that_sends_all_twice_redeems_once(
    kind: str, colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    with opened(CLIENTS[kind].dialect, colour, redis_of(request, store)) as house:
        house.store.echo = True
        client = CLIENTS[kind](house)
        reach(client, "confirmed")
        assert client.collect().redeemed
        assert [each.replayed for each in house.redeemed] == [False]


@ONE_EACH
def test_a_store_that_was_away_for_a_moment_costs_nothing(kind: str) -> None:
    with opened(CLIENTS[kind].dialect) as house:
        client = CLIENTS[kind](house)
        reach(client, "the store is away")
        CLIENTS[kind](house).begin()
        client.poll()
        house.store.down = False
        client.phone("confirm")
        assert client.collect().redeemed


@pytest.mark.parametrize("kind", [kind for kind, client in CLIENTS.items() if not client.lands])
def test_a_refusal_wins_until_the_very_moment_of_collecting(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The poll looks, sees that it is confirmed, and collects; and in between the person thinks better of it."""
    with opened(CLIENTS[kind].dialect) as house:
        client = CLIENTS[kind](house)
        reach(client, "confirmed")
        noted = house.store.noted

        def refused_before(command: Command) -> bool:
            if command.row.name == "collect":
                client.phone("deny")
            return noted(command)

        monkeypatch.setattr(house.store, "noted", refused_before)
        told = client.poll()
        assert told.redeemed is None
        assert told.body.decode() == client.words["denied"]


# Who gets nothing


@EVERYWHERE
def test_another_browser_hears_what_it_would_hear_of_nothing(
    kind: str, colour: Colour, store: str, request: pytest.FixtureRequest
) -> None:
    for history in ("begun", "scanned", "confirmed", "denied", "collected, long ago", "long gone"):
        with opened(CLIENTS[kind].dialect, colour, redis_of(request, store)) as house:
            mine, other = CLIENTS[kind](house), CLIENTS[kind](house)
            other.begin()
            reach(mine, history)
            foreign = QRLogin(MemoryStore(), secret_keys=[KEY[::-1]], verification_uri=URI)
            of_others = foreign.run(foreign.core.begin(fixed=True, ask_browser=False))
            name = next(name for name in mine.jar if name.startswith("__Host-qrl-"))
            device_code = mine.device_code
            forged = device_code[:-1] + ("A" if device_code[-1] != "A" else "B")
            before = len(house.store.calls)
            stolen = ("x", forged, other.device_code, of_others.device_code)
            jars = [{}, other.jar, *({name: value} for value in stolen)]
            told = [CLIENTS[kind](house, jar).poll(mine.key) for jar in jars]
            told += [
                mine.poll(key)
                for key in (
                    of_others.scan_code,
                    mine.key[:-1],
                    f"{mine.key}0",
                    "x" * 3000,
                    "0" * 32,
                )
            ]
            assert {answer.body for answer in told} == {mine.words["ended"].encode()}
            assert {
                (answer.status, answer.headers, answer.cookies, answer.redeemed) for answer in told
            } == {(200, told[0].headers, (), None)}
            assert len(house.store.calls) == before, "what is no code of ours reached the store"


@WITH_TICKET
def test_a_ticket_is_worth_nothing_in_another_browser(kind: str) -> None:
    with opened(CLIENTS[kind].dialect) as house:
        client, thief = CLIENTS[kind](house), CLIENTS[kind](house)
        thief.begin()
        reach(client, "confirmed")
        errand = client.errand()
        before = len(house.store.calls)
        for jar in (thief.jar, {}):
            answer = CLIENTS[kind](house, jar).send(*errand)
            assert answer.redeemed is None
            assert (
                (answer.status, answer.body) == (200, b'{"returnCode":1}')
                if kind == "jd"
                else answer.status == 404
            )
        assert len(house.store.calls) == before
        assert client.send(*errand).redeemed


@WITH_TICKET
def test_a_wrong_ticket_changes_nothing(kind: str) -> None:
    with opened(CLIENTS[kind].dialect) as house:
        client = CLIENTS[kind](house)
        reach(client, "scanned")
        for history in ("scanned", "confirmed"):
            for ticket in ("", "0" * 32, "%C3%A9", "x" * 3000):
                assert client.send(client.lands, client.ticket(ticket)).redeemed is None, (
                    history,
                    ticket,
                )
            house.phone("confirm", client.text)
        genuine = str(client.facts()["ticket"])
        for ticket in (
            f"{genuine}0",
            f"0{genuine}",
            genuine[:-1],
            genuine.upper(),
            f"{genuine}%00",
        ):
            assert client.send(client.lands, client.ticket(ticket)).redeemed is None, ticket
        assert client.send(client.lands, client.ticket(genuine)).redeemed


@ONE_EACH
def test_pages_of_other_sites_are_refused(kind: str) -> None:
    with opened(CLIENTS[kind].dialect) as house:
        client = CLIENTS[kind](house)
        reach(client, "confirmed")
        errand = client.errand()
        before = len(house.store.calls)
        assert CLIENTS[kind](house).begin(CROSS_SITE).status == 403
        assert client.poll(None, CROSS_SITE).status == 403
        assert client.send(*errand, CROSS_SITE).status == 403
        assert len(house.store.calls) == before
        for site in ("same-site", "same-origin", "none"):
            assert client.poll(None, ("sec-fetch-site", site)).status == 200


@ONE_EACH
def test_what_an_ordinary_camera_opens_is_the_page_for_phones(kind: str) -> None:
    with opened(CLIENTS[kind].dialect) as house:
        client = CLIENTS[kind](house)
        client.begin()
        before = len(house.store.calls)
        path, _, query = client.text.removeprefix("https://example.com/").partition("?")
        answer = CLIENTS[kind](house).send(path, query)
        assert (answer.status, dict(answer.headers)["Location"]) == (302, f"{URI}/{client.code}")
        for wrong in ("", query.replace(client.code, "0" * 32), f"{query}&{query}"):
            assert client.send(path, wrong).status in (400, 404)
        assert len(house.store.calls) == before


@ONE_EACH
def test_a_second_parameter_of_the_same_name_is_refused(kind: str) -> None:
    with opened(CLIENTS[kind].dialect) as house:
        client = CLIENTS[kind](house)
        client.begin()
        before = len(house.store.calls)
        if kind == "newlogin":
            told = client.send(client.polls, form="ck=1&ck=2&t=1")
        else:
            name = {"taobao": "lgToken", "bilibili": "qrcode_key", "jd": "token"}[kind]
            told = client.send(client.polls, f"{name}={client.code}&{name}={client.code}")
        assert told.status == 400
        nothing = (
            client.send(client.polls, form="t=1")
            if kind == "newlogin"
            else client.send(client.polls, "_=1")
        )
        assert (nothing.status, b"missing" in nothing.body) == (400, True)
        assert len(house.store.calls) == before
