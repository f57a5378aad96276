"""A phone learns whether its account was logged in on that browser before, and no browser fakes it.

The words that its user reads are tested in `tests/browser/test_approve_known.py`.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, replace
from urllib.parse import quote

import pytest

from qrlogin import STANDARD, MemoryStore, QRLogin, RecordForged
from qrlogin.keys import Key
from qrlogin.known_browsers import MAX_ACCOUNTS, MAX_KNOWN_LENGTH, is_known, known_after_redeem
from qrlogin.wire import Person, Request
from tests.application import App
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.dialects.dialect_clients import (
    CLIENTS,
    SPEAKERS,
    TYPED,
    InProcessClient,
    client,
    code_of,
)
from tests.wire.mount import (
    ALICE,
    BOB,
    CREDENTIAL,
    KEY,
    ORIGIN,
    URI,
    Colour,
    Mount,
    Tab,
    get,
    post,
    read,
)

COOKIE = "__Host-qrl-known"
OTHER_KEY = bytes(range(1, 33))
FORM = ("content-type", "application/x-www-form-urlencoded")


def logged_in(mount: Mount, jar: dict[str, str], person: Person = ALICE) -> Tab:
    """A tab of this browser, logged in to the account of this person."""
    tab = Tab(mount, jar)
    tab.begin()
    for verb in ("scan", "confirm"):
        assert tab.phone(verb, person).status == 200
    assert tab.redeem().status == 200
    return tab


def seen(mount: Mount, jar: dict[str, str], person: Person = ALICE) -> bool | None:
    """What the phone of this person is answered about this browser, by a look and by a scan."""
    tab = Tab(mount, dict(jar))
    tab.begin()
    looked, scanned = (read(tab.phone(verb, person)) for verb in ("look", "scan"))
    assert looked.get("known_browser") == scanned.get("known_browser")
    assert "known_browser" not in looked["context"]
    known: bool | None = scanned.get("known_browser")
    return known


@row(69)
def test_a_browser_is_known_to_an_account_after_its_first_login_and_to_no_other(
    mount: Mount,
) -> None:
    jar: dict[str, str] = {}
    assert seen(mount, jar) is False
    logged_in(mount, jar)
    assert (seen(mount, jar), seen(mount, jar, BOB), seen(mount, {})) == (True, False, False)
    logged_in(mount, jar, BOB)
    assert (seen(mount, jar), seen(mount, jar, BOB)) == (True, True)


@row(408)
def test_the_cookie_is_bound_to_its_host_and_names_no_account(mount: Mount) -> None:
    jar: dict[str, str] = {}
    tab = logged_in(mount, jar, replace(ALICE, subject="the-account-of-alice"))
    (cookie,) = tab.redeem().cookies  # a repeat sets the same one
    assert asdict(cookie) == {
        "key": COOKIE,
        "value": jar[COOKIE],
        "max_age": 400 * 86_400,
        "path": "/",
        "secure": True,
        "httponly": True,
        "samesite": "Lax",
    }
    assert re.fullmatch(r"[\w-]{22}\.[\w-]{22}", cookie.value)
    assert tab.login_id not in cookie.value
    assert cookie.value not in repr(cookie)
    elsewhere = logged_in(mount, {}, replace(ALICE, subject="the-account-of-alice"))
    assert not {*jar[COOKIE].split(".")} & {*elsewhere.jar[COOKIE].split(".")}, (
        "two browsers of one account cannot be connected by their cookies"
    )


def test_over_plain_http_on_loopback_the_cookie_is_not_secure(colour: Colour) -> None:
    with Mount(colour, uri="http://127.0.0.1:8000/qr") as mount:
        jar: dict[str, str] = {}
        tab = logged_in(mount, jar)
        (cookie,) = tab.redeem().cookies
        assert (cookie.key, cookie.secure, cookie.httponly) == ("qrl-known", False, True)
        assert seen(mount, jar) is True


@row(69)
def test_a_store_that_is_read_makes_no_other_browser_known(mount: Mount) -> None:
    """The record of a login holds digests of the entries that are good for that login only."""
    jar: dict[str, str] = {}
    logged_in(mount, jar)
    tab = Tab(mount, jar)
    tab.begin()
    record = mount.records[tab.login_id]
    name, entry = jar[COOKIE].split(".")
    assert entry not in str(mount.records)
    stolen = record["known"].split(".")
    assert stolen[0] == name
    for forged in (
        record["known"],
        f"{name}.{stolen[1] * 2}",
        f"{name}.{record['begin_seal'][:22]}",
    ):
        assert seen(mount, {COOKIE: forged}) is False


def texts_that_prove_nothing() -> Iterator[tuple[str, str]]:
    """A name of the case, and a cookie of a browser where Alice was never logged in."""
    mine, theirs = Key(KEY, "example.com"), Key(OTHER_KEY, "example.com")
    known = known_after_redeem([mine], "L" * 22, "", ALICE.subject)
    name, entry = known.split(".")
    yield "an entry under the name of another browser", f"{'A' * 22}.{entry}"
    yield "the entry of another account", known_after_redeem([mine], "L" * 22, "", BOB.subject)
    yield "another key", known_after_redeem([theirs], "L" * 22, "", ALICE.subject)
    other = Key(KEY, "example.org")
    yield "another application", known_after_redeem([other], "L" * 22, "", ALICE.subject)
    yield "only a name", name
    yield "an entry that is cut", known[:-1]
    yield "an entry that is longer", known + "A"
    yield "another spelling", known.swapcase()
    yield "the word of the record", "no-entry"
    yield "too many entries", ".".join([name, *["A" * 22] * MAX_ACCOUNTS, entry])
    yield "a megabyte", "A" * 1_000_000
    yield "the entry as its own name", f"{entry}.{entry}"


@row(69)
@for_each_row("what, sent", texts_that_prove_nothing())
def test_no_other_text_makes_a_browser_known(what: str, sent: str) -> None:
    with Mount("sync") as mount:
        assert seen(mount, {COOKIE: sent}) is False
        genuine = logged_in(mount, {}).jar[COOKIE]
        twice = Tab(mount, {COOKIE: f"{genuine}; {COOKIE}={sent}"})
        twice.begin()
        assert read(twice.phone("look"))["known_browser"] is False, "one of the two is not ours"


@row(69)
def test_a_writer_of_the_store_cannot_make_a_browser_known() -> None:
    """The field is covered by the seal of the beginning, and says nothing in another record."""
    app = App()
    core, run = app.qr.core, app.qr.run
    known = known_after_redeem(core._codes.keys, "L" * 22, "", "alice")
    honest, phisher = (run(core.begin(known=kept)) for kept in (known, ""))
    scan = core.look(phisher.scan_code, subject="alice")
    assert run(scan).known_browser is False
    record = app.store.record(phisher.login_id)
    for spliced in ("", app.store.record(honest.login_id)["known"]):
        app.store.forge(phisher.login_id, {**record, "known": spliced})
        with pytest.raises(RecordForged):
            run(core.look(phisher.scan_code, subject="alice"))
    field = app.store.record(honest.login_id)["known"]
    (key,) = core._codes.keys
    assert is_known([key], key, honest.login_id, field, "alice") is True
    assert is_known([key], key, phisher.login_id, field, "alice") is False


def test_entries_outlive_a_change_of_keys_and_are_signed_again_by_the_next_login() -> None:
    jar: dict[str, str] = {}
    store = MemoryStore()

    def process(*keys: bytes) -> QRLogin:
        return QRLogin(store, secret_keys=keys, verification_uri=URI)

    def after(qr: QRLogin, known: str, subject: str) -> str:
        """What the browser keeps after a login in this process."""
        core = qr.core
        begun = qr.run(core.begin(known=known))
        qr.scan(begun.scan_code, subject=subject, shown_as="")
        qr.confirm(begun.scan_code, subject=subject)
        seen = qr.status(begun.device_code).scanned_by
        assert seen
        redeemed = qr.redeem(begun.device_code, acknowledged=seen.tag)
        return core.known_after(redeemed, known)

    def is_known_in(qr: QRLogin, known: str, subject: str) -> bool | None:
        begun = qr.run(qr.core.begin(known=known))
        return qr.look(begun.scan_code, subject=subject).known_browser

    old, both, new = process(KEY), process(OTHER_KEY, KEY), process(OTHER_KEY)
    jar["known"] = after(old, after(old, "", "bob"), "alice")
    assert is_known_in(both, jar["known"], "alice") is True
    assert is_known_in(new, jar["known"], "alice") is False
    renewed = after(both, jar["known"], "alice")
    assert len(renewed) == len(jar["known"]), "the older entry was replaced"
    assert [is_known_in(new, renewed, who) for who in ("alice", "bob")] == [True, False]
    assert is_known_in(both, renewed, "bob") is True


def test_a_browser_keeps_eight_accounts_and_the_newest_win() -> None:
    keys = [Key(KEY, "example.com")]
    known = ""
    for number in range(MAX_ACCOUNTS + 3):
        known = known_after_redeem(keys, "L" * 22, known, str(number))
    known = known_after_redeem(keys, "L" * 22, known, "5")
    assert len(known) == MAX_KNOWN_LENGTH
    _, *entries = known.split(".")
    expected = ("5", "10", "9", "8", "7", "6", "4", "3")
    assert entries == [keys[0].mac("known", known[:22], who)[:22] for who in expected]
    app = App()
    begun = app.qr.run(app.qr.core.begin(known=known))
    assert len(app.store.record(begun.login_id)["known"]) <= 22 + MAX_ACCOUNTS * 12


@row(69)
def test_no_request_of_the_native_dialect_makes_the_phone_say_nothing() -> None:
    """Otherwise, a phisher's client would ask that way. Browsers of other origins have no cookie,
    and programs have none: they keep a text in its place.
    """
    app = ("origin", "https://app.example.com")
    with Mount("sync", origins=["https://app.example.com"]) as mount:
        jar = logged_in(mount, {}).jar
        cookie = ("cookie", f"{COOKIE}={jar[COOKIE]}")

        def begun(*headers: tuple[str, str], **fields: str) -> tuple[dict[str, str], object]:
            answer = mount.browser(post("begin", {"deliver": "body", **fields}, *headers))
            body = read(answer)
            code = {"code": body["verification_uri_complete"]}
            return body, read(mount.phone(post("look", code, CREDENTIAL)))["known_browser"]

        assert begun()[1] is begun(app)[1] is False
        assert begun(app, cookie)[1] is False, "a cookie of another origin's request is not read"
        assert begun(("origin", ORIGIN), cookie)[1] is True

        body, _ = begun(app)
        code = {"code": body["verification_uri_complete"]}
        for verb in ("scan", "confirm"):
            mount.phone(post(verb, code, CREDENTIAL))
        token = ("authorization", f"Bearer {body['device_code']}")
        status = read(mount.browser(get(body["login_id"], "", token)))
        acknowledged = {"acknowledged": status["scanned_by"]["tag"], "op": "op-of-this-click-0"}
        redeem = post(f"{body['login_id']}/redeem", acknowledged, token, app)
        answer = mount.browser(redeem)
        assert answer.cookies == ()
        assert mount.browser(redeem).body == answer.body, "a repeat gets the same"
        assert begun(app, known=read(answer)["known"])[1] is True
        assert begun(known=read(answer)["known"])[1] is True, "a program sends no Origin"
        assert mount.browser(post("begin", {"known": "A" * 300})).status == 400


@for_each_row("name", [name for name in CLIENTS if name not in ("native", "rfc8628")])
def test_the_dialects_with_a_public_id_say_it_of_clients_that_redeem_themselves(name: str) -> None:
    """An application's server that redeems has no browser in which to keep a cookie."""
    by_server = name == "wechat_open, an application"
    with Mount("sync", make=SPEAKERS[name.partition(",")[0]]) as mount:
        jar: dict[str, str] = {}
        answers = []
        for person in (ALICE, ALICE, BOB):
            player = client(name)
            browser = InProcessClient(
                lambda request: mount.browser(led_on(request) if by_server else request)
            )
            player.client, browser.jar = browser, jar
            code = {"code": code_of(player, player.begin())}
            answers.append(read(mount.phone(post("scan", code, CREDENTIAL), person)))
            assert mount.phone(post("confirm", code, CREDENTIAL), person).status == 200
            player.look()
            player.go_on()
        known = [answer.get("known_browser") for answer in answers]
        assert known == ([None] * 3 if by_server else [False, True, False])
        assert (COOKIE in jar) is not by_server


def led_on(request: Request) -> Request:
    """The same request; one that begins names the page of an application, which follows."""
    if request.path != "connect/qrconnect":
        return request
    page = quote(f"{ORIGIN}/application", safe="")
    return replace(request, query=f"{request.query}&redirect_uri={page}")


def test_where_the_client_never_says_the_phone_is_shown_nothing(colour: Colour) -> None:
    with Mount(colour, policy=TYPED, make=SPEAKERS["rfc8628"]) as mount:
        begin = Request("POST", "device_authorization", "", (FORM,), b"client_id=tv")
        user_code = read(mount.browser(begin))["user_code"]
        looked = mount.phone(post("look", {"code": user_code}, CREDENTIAL))
        assert looked.status == 200
        assert "known_browser" not in read(looked)
    with Mount(colour) as mount:
        begun = mount.now(mount.qr.begin())
        looked = mount.phone(post("look", {"code": begun.scan_code}, CREDENTIAL))
        assert "known_browser" not in read(looked)


def test_the_setting_turns_it_off(colour: Colour) -> None:
    with Mount(colour) as before:
        jar = logged_in(before, {}).jar
    with Mount(colour, policy=replace(STANDARD, known_browser=False)) as mount:
        assert seen(mount, dict(jar)) is None
        tab = logged_in(mount, {})
        assert tab.redeem().cookies == ()
        assert COOKIE not in tab.jar
        token = ("authorization", f"Bearer {tab.device_code}")
        tag = read(tab.look())["scanned_by"]["tag"]
        click = {"acknowledged": tag, "op": "op-of-this-click-0"}
        redeemed = mount.browser(post(f"{tab.login_id}/redeem", click, token))
        assert read(redeemed) == {"login_id": tab.login_id, "state": "redeemed"}
        assert {record["known"] for record in mount.records.values() if "known" in record} == {""}
