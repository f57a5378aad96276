"""The page that a scan code opens lets its own browser scan later, and changes nothing."""

import base64
from collections.abc import Mapping
from dataclasses import asdict, replace

from qrlogin import STANDARD
from qrlogin.allowances import REFILLING
from qrlogin.step import Record
from qrlogin.wire import Cookie, Native, Person, Response
from tests.application import TO_SCAN
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.dialects.dialect_clients import TYPED
from tests.wire.mount import (
    ALICE,
    BOB,
    CREDENTIAL,
    ORIGIN,
    Colour,
    Mount,
    Tab,
    get,
    post,
    reach,
    read,
)

LOOPBACK = "http://127.0.0.1:8000/qr"
PAGE = ("sec-fetch-site", "same-origin")


def landed(mount: Mount, code: str) -> tuple[Cookie, ...]:
    cookies: tuple[Cookie, ...] = mount.now(mount.endpoint.landing_cookies(code))
    return cookies


def from_page(
    mount: Mount, verb: str, code: str, *cookies: Cookie | str, query: str = ""
) -> Response:
    """A request of the page on the phone, whose browser sends these cookies."""
    sent = [
        ("cookie", cookie if isinstance(cookie, str) else f"{cookie.key}={cookie.value}")
        for cookie in cookies
    ]
    return mount.phone(post(verb, {"code": code}, PAGE, *sent, query=query))


@row(408)
def test_over_https_the_cookie_is_bound_to_its_host_and_lives_until_the_last_scan(
    mount: Mount,
) -> None:
    tab = reach(mount, "pending")  # begun 7 seconds before
    (cookie,) = landed(mount, tab.code)
    assert asdict(cookie) == {
        "key": "__Host-qrl-landing",
        "value": cookie.value,
        "max_age": TO_SCAN - 7,
        "path": "/",
        "secure": True,
        "httponly": True,
        "samesite": "Lax",
    }
    assert landed(mount, tab.code.rpartition("/")[2]) == (cookie,), "an address or the code alone"
    for part in (tab.login_id, tab.device_code, *tab.device_code.split(".")[1:3]):
        assert part not in cookie.value
    assert cookie.value not in repr(cookie)
    assert cookie.value not in str(mount.records)


def test_over_plain_http_on_loopback_the_cookie_is_not_secure(colour: Colour) -> None:
    with Mount(colour, uri=LOOPBACK) as mount:
        tab = reach(mount, "pending")
        (cookie,) = landed(mount, tab.code)
        assert (cookie.key, cookie.secure, cookie.httponly) == ("qrl-landing", False, True)
        page = [("origin", "http://127.0.0.1:8000"), ("cookie", f"qrl-landing={cookie.value}")]
        mount.clock.advance(STANDARD.lifetime)
        assert mount.phone(post("scan", {"code": tab.code}, *page)).status == 200


#: What gets no cookie, with the mount that it is handed to. No such call raises.
GARBAGE = (
    *("", "x", "\0", "é" * 99, "\ud800", " ", "/", "x" * 100_000, "BCDF-GHJK", "0" * 32, "A" * 22),
    *(f"{ORIGIN}/qr/", f"{ORIGIN}/qr?user_code=BCDF-GHJK", "https://elsewhere.example/qr/x"),
)


@for_each_row("text", GARBAGE)
def test_what_is_not_a_genuine_code_gets_no_cookie_and_reads_no_store(
    mount: Mount, text: str
) -> None:
    asked = len(mount.store.calls)
    assert landed(mount, text) == ()
    assert len(mount.store.calls) == asked


def test_a_code_of_another_application_or_of_a_browser_gets_no_cookie(mount: Mount) -> None:
    tab = reach(mount, "pending")
    code = tab.code.rpartition("/")[2]
    forged = code[:-1] + ("A" if code[-1] != "A" else "B")
    later = bytearray(base64.urlsafe_b64decode(code))
    later[19] ^= 1  # of the deadline
    extended = base64.urlsafe_b64encode(later).decode()
    for wrong in (forged, tab.device_code, extended, tab.login_id):
        assert landed(mount, wrong) == ()


def test_a_fixed_or_typed_code_needs_no_cookie(colour: Colour) -> None:
    """It can be scanned for as long as its login."""
    with Mount(colour, policy=TYPED, make=lambda core: Native(core, user_codes=True)) as mount:
        fixed = mount.now(mount.qr.run(mount.qr.core.begin(fixed=True))).scan_code
        typed = read(mount.browser(post("begin")))["user_code"]
        for code in (fixed, typed, f"{ORIGIN}/qr/{fixed}", f"{ORIGIN}/qr?user_code={typed}"):
            assert landed(mount, code) == ()


@for_each_row(
    "history",
    [
        *("pending, no code", "scanned", "confirmed", "redeemed", "denied", "cancelled"),
        *("expired, pending", "expired, scanned", "expired, gone", "unknown"),
    ],
)
def test_a_login_that_is_scanned_or_over_gives_no_cookie(mount: Mount, history: str) -> None:
    assert landed(mount, reach(mount, history).code) == ()


def test_a_code_gives_a_cookie_until_its_own_deadline(mount: Mount) -> None:
    tab = Tab(mount)
    tab.begin()
    shown = STANDARD.rotation + STANDARD.rotation_grace
    mount.clock.advance(shown - 0.001)
    assert landed(mount, tab.code)
    mount.clock.advance(0.001)
    assert landed(mount, tab.code) == (), "a photographed link that is opened too late"


def test_a_store_that_is_away_gives_no_cookie(mount: Mount) -> None:
    tab = reach(mount, "pending")
    mount.store.down = True
    assert landed(mount, tab.code) == ()


def logins(mount: Mount) -> Mapping[str, Record]:
    """All records but the allowance of the account, which each scan takes from."""
    records = mount.records.items()
    return {each: record for each, record in records if record["state"] != REFILLING}


def test_with_the_cookie_a_browser_scans_until_the_login_can_no_longer_be_scanned(
    mount: Mount,
) -> None:
    """And without it, or with the cookie of another login, only until the code's deadline."""
    tab, other, late = Tab(mount), Tab(mount), Tab(mount)
    for each in (tab, other, late):
        each.begin()
    (cookie,), (of_other,), (of_late,) = (landed(mount, each.code) for each in (tab, other, late))
    assert len({cookie.value, of_other.value, of_late.value}) == 3

    mount.clock.advance(STANDARD.rotation + STANDARD.rotation_grace)
    before = logins(mount)
    for wrong in ((), (of_other,), (cookie, of_other), (f"{cookie.key}=x",), (f"{cookie.key}=é",)):
        for verb in ("look", "scan"):
            answer = from_page(mount, verb, tab.code, *wrong)
            assert (answer.status, read(answer)["error"]) == (410, "expired"), wrong
    link = f"{tab.code}?{cookie.key}={cookie.value}"
    assert from_page(mount, "scan", link).status == 410, "a link cannot carry it"
    for query in (cookie.value, f"{cookie.key}={cookie.value}", f"landing={cookie.value}"):
        assert from_page(mount, "scan", tab.code, query=query).status in (400, 410), query
    assert logins(mount) == before

    mount.clock.advance(TO_SCAN - STANDARD.rotation - STANDARD.rotation_grace - 20)
    looked = read(from_page(mount, "look", tab.code, cookie))
    assert (looked["state"], looked["expires_in"]) == ("pending", 20)
    mount.clock.advance(19.999)
    assert from_page(mount, "look", tab.code, cookie).status == 410, "too late to ask a person"
    scanned = read(from_page(mount, "scan", tab.code, cookie))
    assert (scanned["state"], scanned["expires_in"]) == ("scanned", STANDARD.decide_window)
    mount.clock.advance(0.001)
    assert from_page(mount, "scan", late.code, of_late).status == 410, "the login is over"


def test_the_cookie_takes_no_login_from_the_account_that_scanned_it(mount: Mount) -> None:
    tab = reach(mount, "pending")
    (cookie,) = landed(mount, tab.code)
    assert tab.phone("scan", BOB).status == 200
    sent = ("cookie", f"{cookie.key}={cookie.value}")
    for verb, status in (("look", 409), ("scan", 409), ("confirm", 404), ("outcome", 404)):
        assert mount.phone(post(verb, {"code": tab.code}, PAGE, sent), ALICE).status == status
    assert mount.phone(post("scan", {"code": tab.code}, PAGE, sent), None).status == 401


@row(56)
def test_a_preview_bot_that_opens_the_page_changes_nothing(mount: Mount) -> None:
    """It may open every page, with GET or HEAD: the store is read once, and nothing is written."""
    tab = reach(mount, "pending")
    before, asked, seen = mount.records, len(mount.store.calls), tab.look().body
    for _ in range(3):
        assert landed(mount, tab.code)
    assert [command.row.name for command in mount.store.calls[asked + 1 :]] == ["land"] * 3
    assert all(command.row.reads for command in mount.store.calls[asked:])
    assert (mount.records, tab.look().body) == (before, seen)
    assert tab.phone("scan").status == 200


# Look and outcome


def test_who_looked_in_time_may_scan_after_reading_the_question(mount: Mount) -> None:
    """An app, a scanner inside a page and a page of another origin open no page of the code."""
    for sent in ((PAGE,), (CREDENTIAL,)):
        tab = Tab(mount)
        tab.begin()
        looked = mount.phone(post("look", {"code": tab.code}, *sent))
        assert looked.status == 200
        mount.clock.advance(STANDARD.rotation + STANDARD.rotation_grace)
        assert mount.phone(post("scan", {"code": tab.code}, *sent)).status == 410
        if sent == (PAGE,):
            assert "landing" not in read(looked), "a script has no use for it"
            scanned = from_page(mount, "scan", tab.code, *looked.cookies)
        else:
            assert not looked.cookies
            body = {"code": tab.code, "landing": read(looked)["landing"]}
            scanned = mount.phone(post("scan", body, *sent))
        assert scanned.status == 200, sent


def test_a_look_at_a_code_that_needs_no_landing_sets_no_cookie(colour: Colour) -> None:
    with Mount(colour, policy=TYPED, make=lambda core: Native(core, user_codes=True)) as mount:
        typed = read(mount.browser(post("begin")))["user_code"]
        looked = mount.phone(post("look", {"code": typed}, PAGE))
        assert (looked.status, looked.cookies) == (200, ())


def test_the_cookie_counts_in_no_request_of_another_origin(mount: Mount) -> None:
    """Browsers add cookies to it by themselves. Its own token counts, and it sends the field."""
    foreign = ("origin", "https://app.example.net")
    alice = replace(ALICE, by_token=True)
    tab = reach(mount, "pending")
    (landing,) = landed(mount, tab.code)
    mount.clock.advance(STANDARD.rotation + STANDARD.rotation_grace)
    cookie = ("cookie", f"{landing.key}={landing.value}")
    scan = post("scan", {"code": tab.code}, foreign, CREDENTIAL, cookie)
    assert mount.phone(scan, alice).status == 410
    body = {"code": tab.code, "landing": landing.value}
    assert mount.phone(post("scan", body, foreign, CREDENTIAL), alice).status == 200


def test_a_look_takes_nothing_so_another_account_can_still_scan(mount: Mount) -> None:
    tab = reach(mount, "pending")
    before = mount.records
    looks = [tab.phone("look", person) for person in (ALICE, BOB, ALICE)]
    assert len({(answer.status, answer.body) for answer in looks}) == 1
    assert read(looks[0])["context"] == {"browser": "Firefox"}
    assert mount.records == before
    assert read(tab.phone("scan", BOB))["state"] == "scanned"
    assert read(tab.phone("look", BOB))["state"] == "scanned"
    assert read(tab.phone("look", ALICE))["error"] == "already_scanned"
    assert read(tab.phone("release", BOB))["state"] == "pending"
    assert read(tab.phone("look", ALICE))["state"] == "pending"


@for_each_row(
    "history, state",
    [
        ("scanned", "scanned"),
        ("confirmed", "confirmed"),
        ("redeemed", "redeemed"),
        ("denied", "denied"),
        ("expired, scanned", "expired"),
        ("expired, confirmed", "expired"),
    ],
)
def test_the_outcome_is_for_the_phone_that_scanned(mount: Mount, history: str, state: str) -> None:
    """Any other gets the bytes that it gets for a login that does not exist."""
    unknown = reach(mount, "unknown").phone("outcome")
    tab = reach(mount, history)
    before = mount.records
    assert read(tab.phone("outcome")) == {"login_id": tab.login_id, "state": state}
    other_phone = Person(ALICE.subject, ALICE.shown_as, "another phone")
    for stranger in (BOB, other_phone):
        assert tab.phone("outcome", stranger) == unknown
    assert mount.phone(post("outcome", {"code": tab.code}, CREDENTIAL), None).status == 401
    assert mount.records == before


def test_the_outcome_of_a_login_that_was_cancelled_after_its_scan(mount: Mount) -> None:
    tab = reach(mount, "confirmed")
    tab.cancel()
    assert read(tab.phone("outcome"))["state"] == "cancelled"


# The code leaves the screen


def test_a_picture_is_drawn_only_while_its_code_may_be_shown(mount: Mount) -> None:
    tab = Tab(mount)
    begun = read(tab.begin())
    assert (begun["code_expires_in"], begun["expires_in"]) == (STANDARD.lifetime, TO_SCAN)
    mount.clock.advance(STANDARD.lifetime - 0.001)
    for kind in ("svg", "png"):
        assert tab.send(get(f"{tab.login_id}/qr.{kind}")).status == 200
    last = read(tab.look())
    assert (last["code_expires_in"], last["rotates_in"]) == (1, 1)
    mount.clock.advance(0.001)
    for kind in ("svg", "png"):
        answer = tab.send(get(f"{tab.login_id}/qr.{kind}"))
        assert (answer.status, read(answer)["error"]) == (410, "expired")
    assert read(tab.look()).keys() == {"login_id", "state", "version", "expires_in"}
    scan = mount.phone(post("scan", {"code": last["verification_uri_complete"]}, CREDENTIAL))
    assert scan.status == 200, "the phone that read the last code in time"
