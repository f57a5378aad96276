"""RFC 8628 sends the documented bytes in every state, over both stores, in both colours."""

import re
from collections.abc import Iterator

import pytest

from qrlogin.wire import Request
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.dialects.rfc8628_server import (
    ADDRESS,
    ALICE,
    KINDS,
    NOON,
    Device,
    World,
    opened,
    read,
)

COMMON = (
    ("Content-Type", "application/json; charset=utf-8"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Pragma", "no-cache"),
)
REDEEMED = "redeemed"  # in place of a body: the application fills the answer

#: The steps so far, and the answer to the next poll. The steps are five seconds apart; "late" is
#: after the lifetime of the code, which is also longer than the time to decide and to collect.
HISTORIES = {
    "pending": ((), 400, b'{"error":"authorization_pending"}'),
    "scanned": (("scan",), 400, b'{"error":"authorization_pending"}'),
    "released": (("scan", "release"), 400, b'{"error":"authorization_pending"}'),
    "confirmed": (("scan", "confirm"), 200, REDEEMED),
    "redeemed, the answer was lost": (("scan", "confirm", "poll"), 200, REDEEMED),
    "redeemed, long ago": (
        ("scan", "confirm", "poll", "two minutes and a half"),
        400,
        b'{"error":"invalid_grant"}',
    ),
    "denied": (("scan", "deny"), 400, b'{"error":"access_denied"}'),
    "approved, then denied": (("scan", "confirm", "deny"), 400, b'{"error":"access_denied"}'),
    "given up by the device itself": (("cancel",), 400, b'{"error":"invalid_grant"}'),
    "late, pending": (("late",), 400, b'{"error":"expired_token"}'),
    "late, scanned": (("scan", "late"), 400, b'{"error":"expired_token"}'),
    "each step at the last moment": (
        ("last second to scan", "scan", "last second to decide", "confirm", "last second"),
        200,
        REDEEMED,
    ),
    "scanned, and decided too late": (
        ("scan", "last second to decide", "second"),
        400,
        b'{"error":"expired_token"}',
    ),
    "confirmed, and collected too late": (
        ("scan", "confirm", "last second", "second"),
        400,
        b'{"error":"expired_token"}',
    ),
    "late, confirmed": (
        ("scan", "confirm", "late"),
        400,
        b'{"error":"expired_token"}',
    ),
    "polled": (("poll",), 400, b'{"error":"authorization_pending"}'),
    "polled a moment ago": (("poll", "no pause"), 400, b'{"error":"slow_down","interval":10}'),
    "polled twice a moment ago": (
        ("poll", "no pause", "poll", "no pause"),
        400,
        b'{"error":"slow_down","interval":15}',
    ),
    "scanned, and polled a moment ago": (
        ("scan", "poll", "no pause"),
        400,
        b'{"error":"slow_down","interval":10}',
    ),
    "polled a moment ago, and confirmed": (
        ("scan", "poll", "no pause", "confirm", "no pause"),
        200,
        REDEEMED,
    ),
    "polled a moment ago, and denied": (
        ("scan", "poll", "no pause", "deny", "no pause"),
        400,
        b'{"error":"access_denied"}',
    ),
    "polled a moment ago, and late": (
        ("late", "poll", "no pause"),
        400,
        b'{"error":"expired_token"}',
    ),
}


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from opened(request)


@row(207, 210)
def test_a_login_begins_with_the_documented_answer(world: World) -> None:
    answer = world.post("device_authorization", "client_id=tv")
    assert (answer.status, answer.headers, answer.redeemed) == (200, COMMON, None)
    begun = read(answer)
    login_id, user_code = begun["device_code"].partition(".")[0], begun["user_code"]
    assert re.fullmatch(
        rf"{login_id}\.[\w-]{{43}}\.{NOON}\.{NOON + 450_000}\.UmZjODYyODp0dg\.c\.[\w-]{{43}}",
        begun["device_code"],
    )
    assert (
        answer.body
        == (
            f'{{"device_code":"{begun["device_code"]}","user_code":"{user_code}","verification_uri":"https://example.com/device",'
            f'"verification_uri_complete":"https://example.com/device?user_code={user_code}","expires_in":450,"interval":5}}'
        ).encode()
    )


@row(208, 217)
@for_each_row("history", HISTORIES)
def test_each_poll_gets_the_documented_answer(world: World, history: str) -> None:
    device = Device(world)
    device.begin()
    steps, status, body = HISTORIES[history]
    for step in steps:
        match step:
            case "poll":
                device.poll()
            case "cancel":
                world.qr.cancel(device.begun["device_code"])
            case "late":
                world.clock.advance(300)
            case "last second to scan":
                world.clock.advance(299 - 5)
            case "last second to decide":
                world.clock.advance(89 - 5 - 5)
            case "last second":  # to collect
                world.clock.advance(59 - 5 - 5)
            case "second":
                world.clock.advance(1 - 5)
            case "two minutes and a half":
                world.clock.advance(145)
            case "no pause":
                world.clock.advance(-5)
            case verb:
                assert world.phone(verb, device.user_code).status == 200
        world.clock.advance(0 if step == "no pause" else 5)
    answer = device.poll()
    assert answer.status == status
    if body is REDEEMED:
        assert answer.redeemed is not None
        assert (answer.redeemed.subject, answer.redeemed.context) == (
            ALICE.subject,
            {"address": ADDRESS, "client_id": "tv"},
        )
        assert answer.redeemed.replayed == ("poll" in steps and "no pause" not in steps)
        assert (answer.headers, answer.body) == (COMMON, b"{}")
        tokens = answer.with_json({"access_token": "of the application", "token_type": "Bearer"})
        assert tokens.headers == COMMON
        assert tokens.body == b'{"access_token":"of the application","token_type":"Bearer"}'
        assert tokens.redeemed is answer.redeemed
    else:
        slowed = re.search(rb'"interval":(\d+)', answer.body)
        extra = (("Retry-After", slowed[1].decode()),) if slowed else ()
        assert (answer.headers, answer.body, answer.redeemed) == (COMMON + extra, body, None)


def test_a_login_without_a_record_is_an_invalid_grant_until_it_expires() -> None:
    with World("memory sync") as elsewhere, World("memory sync") as here:
        device = Device(elsewhere)
        device.begin()
        answer = device.poll(here)
        assert (answer.status, answer.body) == (400, b'{"error":"invalid_grant"}')
        here.clock.advance(450)  # the signed end in the device_code is past
        assert device.poll(here).body == b'{"error":"expired_token"}'


def test_an_invalid_grant_costs_no_round_trip(world: World) -> None:
    """A forged or shortened device_code, one of another client and one of a browser get the same
    answer, and the store is not read.
    """
    mine, theirs = Device(world), Device(world, "radio")
    mine.begin()
    theirs.begin()
    web = world.qr.begin(ask_browser=False).device_code
    code = mine.begun["device_code"]
    world.qr.close()  # from here on, a command to the store fails
    for wrong in (
        theirs.begun["device_code"],
        web,
        code[:-1],
        code + "=",
        code.upper(),
        "x",
        mine.user_code,
        "é" * 99,
    ):
        answer = mine.poll(device_code=wrong)
        assert (answer.status, answer.headers, answer.body) == (
            400,
            COMMON,
            b'{"error":"invalid_grant"}',
        )


@row(220)
@pytest.mark.parametrize(
    "path", [".well-known/oauth-authorization-server", ".well-known/openid-configuration"]
)
def test_the_metadata_is_the_documented_document(world: World, path: str) -> None:
    answer = world.ask(Request("GET", path))
    assert (answer.status, answer.headers) == (200, COMMON)
    assert answer.body == (
        b'{"authorization_endpoint":"https://example.com/authorize",'
        b'"token_endpoint_auth_methods_supported":["none","client_secret_basic","client_secret_post"],'
        b'"scopes_supported":["a","b","mail","read"],'
        b'"issuer":"https://example.com",'
        b'"device_authorization_endpoint":"https://example.com/device_authorization",'
        b'"token_endpoint":"https://example.com/token",'
        b'"grant_types_supported":["urn:ietf:params:oauth:grant-type:device_code"]}'
    )


@for_each_row(
    "query", ["", "response_type=code&client_id=tv&redirect_uri=https%3A%2F%2Fevil.example"]
)
def test_the_authorization_endpoint_answers_an_error_and_redirects_nobody(
    world: World, query: str
) -> None:
    answer = world.ask(Request("GET", "authorize", query))
    assert (answer.status, answer.headers) == (400, COMMON)
    assert answer.body == (
        b'{"error":"unsupported_response_type","error_description":'
        b'"Tokens are issued by the device grant only: begin at device_authorization."}'
    )


@pytest.mark.parametrize("path", ["device_authorization", "token"])
def test_an_unreachable_store_is_temporarily_unavailable(path: str) -> None:
    with World("redis sync", "redis://127.0.0.1:1/0") as world, World("memory sync") as begun:
        device = Device(begun)
        device.begin()
        answer = device.poll(world) if path == "token" else world.post(path, "client_id=tv")
        assert answer.status == 503
        assert answer.body == b'{"error":"temporarily_unavailable"}'
        assert answer.headers == (*COMMON, ("Retry-After", "1"))


def test_too_many_wrong_codes_are_refused_with_the_time_to_wait(world: World) -> None:
    for _ in range(5):
        assert world.phone("scan", "BCDF-GHJK").status == 404
    answer = world.phone("scan", "BCDF-GHJK")
    assert answer.status == 429
    assert answer.headers == (*COMMON[:-1], ("Retry-After", "600"))
    assert answer.body == (
        b'{"error":"too_many_guesses","error_description":'
        b'"Too many wrong codes. Wait a while, or scan the code instead.","retry_after":600}'
    )
