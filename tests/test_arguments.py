"""Each bad argument raises a typed error that says how to fix it, before any store call."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import qrlogin
from qrlogin import (
    LAB,
    STANDARD,
    STRICT,
    BadArgument,
    Begun,
    MemoryStore,
    Misconfigured,
    Policy,
    QRLogin,
)
from qrlogin.arguments import CONTEXT_BYTES, SHOWN_AS_BYTES, SUBJECT_BYTES
from qrlogin.wire import Person
from tests.application import ALICE, KEY, URI, App, Untouched
from tests.security_rows import row
from tests.tables import for_each_row

# 1. Arguments that are refused

BAD_BEGINS: Mapping[str, tuple[dict[str, Any], str]] = {
    "no life": ({"lifetime": 0}, "lifetime must be .* between 1 and 600"),
    "a negative life": ({"lifetime": -1}, "between 1 and 600"),
    "too long a life": ({"lifetime": 601}, "between 1 and 600"),
    "a life of True": ({"lifetime": True}, "whole number"),
    "half a second": ({"lifetime": 1.5}, "whole number"),
    "a life as text": ({"lifetime": "60"}, "whole number"),
    "too many facts": ({"context": {f"fact {i}": "x" * 20 for i in range(40)}}, "too many facts"),
    "a huge label": ({"context": {"x" * 800: "y"}}, "too long names"),
    "a context that is text": ({"context": "Firefox"}, "mapping"),
    "a context that is a list": ({"context": ["Firefox"]}, "mapping"),
    "a number in the context": ({"context": {"age": 7}}, "str to int"),
    "a number as a name": ({"context": {7: "age"}}, "int to str"),
    "an unprintable name": ({"context": {"brow\0ser": "Firefox"}}, "printable"),
}
BAD_PEOPLE: Mapping[str, tuple[dict[str, Any], str]] = {
    "no subject": ({"subject": ""}, "not be empty"),
    "None": ({"subject": None}, "text"),
    "a number": ({"subject": 42}, r"str\(user.id\)"),
    "too long a subject": ({"subject": "x" * (SUBJECT_BYTES + 1)}, "at most 255 bytes"),
    "too many bytes": ({"subject": "é" * 128}, "at most 255 bytes"),
    "half a character": ({"subject": "\ud83d"}, "valid Unicode"),
    "a phone that is a number": ({"phone": 7}, "phone must be text"),
    "too long a phone": ({"phone": "x" * 256}, "phone must have at most 255 bytes"),
    "a broken phone": ({"phone": "\udcff"}, "phone must be valid Unicode"),
}
BAD_NAMES: Mapping[str, tuple[dict[str, Any], str]] = {
    "no shown_as": ({"shown_as": ...}, "shown_as"),
    "no text": ({"shown_as": 7}, "must be text"),
}
BAD_REDEEMS: Mapping[str, tuple[dict[str, Any], str]] = {
    "too short an op": ({"op": "x" * 15}, "16 to 128"),
    "an empty op": ({"op": ""}, "16 to 128"),
    "too long an op": ({"op": "x" * 129}, "16 to 128"),
    "an op with spaces": ({"op": "x" * 16 + " "}, "16 to 128"),
    "an op with a newline": ({"op": "x" * 16 + "\n"}, "16 to 128"),
    "an op that is not ASCII": ({"op": "é" * 16}, "16 to 128"),
    "an op of dashes": ({"op": "-" * 16}, "16 to 128"),
    "an op of bytes": ({"op": b"x" * 16}, "16 to 128"),
    "an op that is a number": ({"op": 7}, "16 to 128"),
    "a tag that is None": ({"acknowledged": None}, "scanned_by.tag"),
    "a tag that is no text": ({"acknowledged": 7}, "scanned_by.tag"),
    "a huge tag": ({"acknowledged": "x" * 129}, "scanned_by.tag"),
    "a broken tag": ({"acknowledged": "\ud800"}, "scanned_by.tag"),
}


@pytest.fixture(scope="module")
def genuine() -> Begun:
    return App().begin()


@pytest.fixture
def untouched() -> QRLogin:
    return QRLogin(Untouched(), secret_keys=[KEY], verification_uri=URI)


@for_each_row("arguments, remedy", BAD_BEGINS.values())
def test_begin_refuses_a_bad_argument(
    arguments: dict[str, Any], remedy: str, untouched: QRLogin
) -> None:
    with pytest.raises(BadArgument, match=remedy):
        untouched.begin(**arguments)


@for_each_row("arguments, remedy", [*BAD_PEOPLE.values(), *BAD_NAMES.values()])
def test_scan_refuses_a_bad_argument(
    arguments: dict[str, Any], remedy: str, untouched: QRLogin, genuine: Begun
) -> None:
    with pytest.raises(BadArgument, match=remedy):
        untouched.scan(genuine.scan_code, **{"subject": ALICE, "shown_as": "A", **arguments})


@for_each_row("event", ["look", "outcome", "confirm", "deny", "release"])
@for_each_row("arguments, remedy", BAD_PEOPLE.values())
def test_every_other_call_of_a_phone_refuses_a_bad_argument(
    event: str, arguments: dict[str, Any], remedy: str, untouched: QRLogin, genuine: Begun
) -> None:
    with pytest.raises(BadArgument, match=remedy):
        getattr(untouched, event)(genuine.scan_code, **{"subject": ALICE, **arguments})


@for_each_row("assurance", [7, None, "x" * 65, "two\nlines", "é", "\x7f"])
def test_an_assurance_is_short_and_printable(
    assurance: Any, untouched: QRLogin, genuine: Begun
) -> None:
    with pytest.raises(BadArgument, match="at most 64 printable ASCII"):
        untouched.confirm(genuine.scan_code, subject=ALICE, assurance=assurance)
    with pytest.raises(BadArgument, match="at most 64 printable ASCII"):
        Person(ALICE, shown_as="A", assurance=assurance)


@for_each_row("arguments, remedy", BAD_REDEEMS.values())
def test_redeem_refuses_a_bad_argument(
    arguments: dict[str, Any], remedy: str, untouched: QRLogin, genuine: Begun
) -> None:
    with pytest.raises(BadArgument, match=remedy):
        untouched.redeem(genuine.device_code, **arguments)


def test_arguments_at_their_limits_are_accepted() -> None:
    app = App(policy=replace(STANDARD, names_scanner=False))
    begun = app.qr.begin(context={"b": "x" * (CONTEXT_BYTES - len('{"b":""}'))}, lifetime=350)
    subject = "x" * SUBJECT_BYTES
    app.qr.scan(begun.scan_code, subject=subject, shown_as="x" * SHOWN_AS_BYTES, phone="x" * 255)
    app.qr.confirm(begun.scan_code, subject=subject, phone="x" * 255, assurance="~" * 64)
    redeemed = app.qr.redeem(begun.device_code, acknowledged=app.tag(begun), op="-" + "x" * 127)
    assert (redeemed.subject, redeemed.context["b"][:1]) == (subject, "x")
    bare = app.qr.begin()
    assert app.qr.scan(bare.scan_code, subject="\0").context == {}


# 2. Configurations that are refused at construction

MISCONFIGURED: Mapping[str, tuple[dict[str, Any], str]] = {
    "one key, not a list": ({"secret_keys": KEY}, "list of keys"),
    "one key as text": ({"secret_keys": "x" * 43}, "list of keys"),
    "no key": ({"secret_keys": []}, "qrlogin keygen"),
    "None for a key": ({"secret_keys": [None]}, "qrlogin keygen"),
    "a short key": ({"secret_keys": [b"x" * 31]}, "at least 32 bytes"),
    "a second key that is short": ({"secret_keys": [KEY, b"x"]}, "at least 32 bytes"),
    "a passphrase": (
        {"secret_keys": ["open sesame, open sesame, open sesame"]},
        "as keygen prints it",
    ),
    "no address": ({"verification_uri": ""}, "full address"),
    "None for an address": ({"verification_uri": None}, "full address"),
    "a path": ({"verification_uri": "/qr"}, "full address"),
    "a host": ({"verification_uri": "example.com/qr"}, "full address"),
    "another scheme": ({"verification_uri": "ftp://example.com/qr"}, "full address"),
    "a script": ({"verification_uri": "javascript:alert(1)"}, "full address"),
    "no host": ({"verification_uri": "https:///qr"}, "full address"),
    "a space": ({"verification_uri": "https://example.com/q r"}, "full address"),
    "a newline": ({"verification_uri": "https://example.com/qr\n"}, "full address"),
    "an unspelled host": ({"verification_uri": "https://exämple.com/qr"}, "xn--"),
    "a bad port": ({"verification_uri": "https://example.com:eighty/qr"}, "not an address"),
    "half a bracket": ({"verification_uri": "https://[::1/qr"}, "not an address"),
    "a query": ({"verification_uri": "https://example.com/qr?x=1"}, "no query"),
    "an empty query": ({"verification_uri": "https://example.com/qr?"}, "no query"),
    "a fragment": ({"verification_uri": "https://example.com/qr#x"}, "no query, fragment"),
    "a user": ({"verification_uri": "https://me@example.com/qr"}, "user"),
    "a long address": (
        {"verification_uri": "https://example.com/" + "x" * 200},
        "shorter than 200",
    ),
    "http": ({"verification_uri": "http://example.com/qr"}, "Use https"),
    "http in one's own network": ({"verification_uri": "http://192.168.0.7/qr"}, "Use https"),
    "http everywhere": ({"verification_uri": "http://0.0.0.0/qr"}, "Use https"),
    "http beside loopback": ({"verification_uri": "http://127.0.0.1.example.com/qr"}, "Use https"),
    "http almost at localhost": (
        {"verification_uri": "http://localhost.example.com/qr"},
        "Use https",
    ),
    "an empty audience": ({"audience": ""}, "audience"),
    "a slash in the audience": ({"audience": "shop/scan"}, "audience"),
    "a newline in the audience": ({"audience": "shop\n"}, "audience"),
    "no store": ({"store": None}, "MemoryStore"),
    "a store's class": ({"store": qrlogin.MemoryStore}, "MemoryStore"),
    "an awaited store": ({"store": qrlogin.AsyncMemoryStore()}, "AsyncQRLogin"),
}


@row(49)
@for_each_row("arguments, remedy", MISCONFIGURED.values())
def test_an_unsafe_configuration_is_refused_at_construction(
    arguments: dict[str, Any], remedy: str
) -> None:
    """The message says how to fix it."""
    given = {"store": Untouched(), "secret_keys": [KEY], "verification_uri": URI, **arguments}
    with pytest.raises(Misconfigured, match=remedy):
        QRLogin(given.pop("store"), **given)


@for_each_row(
    "uri, origin",
    [
        (URI, "https://example.com"),
        ("https://Example.COM:443/qr", "https://example.com"),
        ("https://example.com:8443/", "https://example.com:8443"),
        ("http://127.0.0.1:8000/qr", "http://127.0.0.1:8000"),
        ("http://127.8.9.1/qr", "http://127.8.9.1"),
        ("http://[::1]:80/qr", "http://[::1]"),
        ("http://localhost/qr", "http://localhost"),
        ("http://shop.localhost:3000/qr", "http://shop.localhost:3000"),
    ],
)
def test_the_origin_is_spelled_as_a_browser_spells_it(uri: str, origin: str) -> None:
    assert QRLogin(Untouched(), secret_keys=[KEY], verification_uri=uri).core.origin == origin


@row(304, 455)
def test_plain_http_outside_loopback_needs_a_policy_that_allows_it() -> None:
    lan = QRLogin(
        Untouched(),
        secret_keys=[KEY],
        verification_uri="http://192.168.0.7/qr",
        policy=Policy(plain_http=True),
    )
    assert lan.core.origin == "http://192.168.0.7"
    with pytest.raises(Misconfigured, match=r"plain_http=True") as refused:
        QRLogin(Untouched(), secret_keys=[KEY], verification_uri="http://192.168.0.7/qr")
    named = re.search(r'see "([^"]+)", (\S+\.md)', str(refused.value))
    assert named is not None
    page = (Path(__file__).parent.parent / named[2]).read_text("utf-8")
    assert page.startswith(f"# {named[1]}\n")
    for way in ("## http in your own network", "## A tunnel", "## mkcert"):
        assert way in page
    assert not any(policy.plain_http for policy in (STANDARD, STRICT, LAB))


@pytest.mark.parametrize(
    "name", ["Anne\u00a0Marie", "\u5c71\u7530\u3000\u592a\u90ce", "M\u2022\u2022\u2022a"]
)
def test_a_name_is_shown_with_its_own_kind_of_spaces(name: str) -> None:
    app = App()
    begun = app.begin()
    app.qr.scan(begun.scan_code, subject=ALICE, shown_as=name)
    scanned_by = app.qr.status(begun.device_code).scanned_by
    assert scanned_by is not None
    assert scanned_by.shown_as == name


@pytest.mark.parametrize(
    "spelled",
    [
        "https://Example.com/qr",
        "HTTPS://EXAMPLE.COM/qr",
        "https://example.com:443/qr",
        "https://example.com/qr/",
    ],
)
def test_a_camera_opens_the_address_as_a_browser_spells_it(spelled: str) -> None:
    """The page that opens sends back the address bar's spelling, not the application's."""
    qr = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=spelled)
    begun = qr.begin()
    assert begun.verification_uri_complete == f"https://example.com/qr/{begun.scan_code}"
    assert (
        qr.scan(begun.verification_uri_complete, subject=ALICE, shown_as="A").login_id
        == begun.login_id
    )


@pytest.mark.parametrize("path", ["/a/../qr", "/./qr", "//qr", "/q%72", "/q r", "/q\\r"])
def test_a_path_that_a_browser_would_respell_is_refused(path: str) -> None:
    with pytest.raises(Misconfigured, match="verification_uri must"):
        QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=f"https://example.com{path}")
