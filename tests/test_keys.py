"""Keys rotate without losing a login, and codes rotate without a write to the store."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

import pytest
from itsdangerous import Signer

from qrlogin import Expired, InvalidCode, Misconfigured, Policy, State, Status, keys, seals
from qrlogin.codes import Codes
from qrlogin.keys import Key
from tests.application import ALICE, KEY, NOON, OTHER_KEY, SHOWN, URI, App
from tests.security_rows import row
from tests.tables import for_each_row

MINE = Codes([KEY], verification_uri=URI, audience=None, plain_http=False)


# The keys that the documentation prints

ROOT = Path(__file__).parent.parent
PRINTED = {
    printed
    for page in (ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *ROOT.glob("examples/*/*.md"))
    for printed in re.findall(
        r"""(?:keys?=\[?|key = |KEYS?=)["']?([A-Za-z0-9_-]{43}|bytes\(range\(\d+\)\))""",
        page.read_text("utf-8"),
        re.IGNORECASE,
    )
}


def test_a_key_that_the_documentation_prints_works_on_this_machine_only() -> None:
    assert {"b2b8m3wqmF8dVuG2m3Wc0oUJxjz4Iu2mbXcTzIYkF9s"} == PRINTED
    (printed,) = PRINTED
    for page in ("http://127.0.0.1:8000/qr", "http://localhost/qr", "https://[::1]/qr"):
        Codes([printed], verification_uri=page, audience=None, plain_http=False)
    ring: list[list[str | bytes]] = [
        [printed],
        [printed + "="],
        [keys.bytes_of_key(printed)],
        [KEY, printed],
    ]
    for page in (URI, "http://192.168.1.7:8000/qr", "https://127.0.0.1.example.com/qr"):
        for secret_keys in ring:
            with pytest.raises(Misconfigured, match=r"everyone has it.*qrlogin keygen"):
                Codes(secret_keys, verification_uri=page, audience="localhost", plain_http=True)


# The key ring


@row(47)
def test_keys_are_changed_in_two_deployments_without_losing_a_login() -> None:
    """old → [old, new] → [new, old] → [new]; meanwhile processes of both sides serve all logins."""
    app = App(keys=(KEY,))
    old, both, turned, new = (
        app.another(KEY),
        app.another(KEY, OTHER_KEY),
        app.another(OTHER_KEY, KEY),
        app.another(OTHER_KEY),
    )
    for first, later in (
        (old, both),
        (both, old),
        (both, turned),
        (turned, both),
        (turned, new),
        (new, turned),
    ):
        begun = first.begin()
        scanned = later.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
        later.confirm(begun.scan_code, subject=ALICE)
        seen = later.status(begun.device_code)
        assert scanned.context == {}
        assert seen.scanned_by is not None
        assert first.status(begun.device_code) == seen
        assert later.redeem(begun.device_code, acknowledged=seen.scanned_by.tag).subject == ALICE
    for stranger, minted_by in ((new, old), (old, new), (new, both), (old, turned)):
        begun = minted_by.begin()
        with pytest.raises(InvalidCode):
            stranger.status(begun.device_code)
        with pytest.raises(InvalidCode, match="its key is no longer in secret_keys"):
            stranger.scan(begun.scan_code, subject=ALICE, shown_as="A")


@row(47)
def test_a_login_keeps_the_key_it_began_with() -> None:
    """A process that signs with a new key still uses the old key for a login that began with it."""
    app = App(keys=(KEY,))
    begun = app.begin()
    turned = app.another(OTHER_KEY, KEY)
    app.clock.ms += 25_000
    rotated = turned.status(begun.device_code).scan_code
    assert rotated != begun.scan_code
    assert [one.login_id for one in MINE.read_scan_code(rotated)] == [begun.login_id]
    turned.scan(rotated, subject=ALICE, shown_as="A")
    key = Key(KEY, "example.com")
    assert app.store.record(begun.login_id)["claim"] == seals.claim(key, begun.login_id, ALICE, "")


# Rotation


def test_a_code_stays_the_same_within_a_rotation_and_then_changes() -> None:
    """Pictures can be cached, polls draw no new code, and the record is never written."""
    app = App()
    begun = app.begin()
    record, texts = app.store.record(begun.login_id), dict[int, str]()
    for second in range(120):
        for ms in (0, 1, 999):
            app.clock.ms = NOON + second * 1000 + ms
            seen = app.qr.status(begun.device_code)
            generation = (app.clock.ms - NOON) // 25_000
            assert texts.setdefault(generation, seen.scan_code) == seen.scan_code
            assert [one.deadline_ms for one in MINE.read_scan_code(seen.scan_code)] == [
                NOON + (generation + 1) * 25_000 + 18_000
            ]
            changes = min(NOON + (generation + 1) * 25_000, NOON + 120_000)
            assert seen.rotates_in == -(-(changes - app.clock.ms) // 1000) > 0
            assert seen.verification_uri_complete == f"{URI}/{seen.scan_code}"
    assert len(texts) == len(set(texts.values())) == 5
    assert texts[0] == begun.scan_code
    assert app.store.record(begun.login_id) == record


@row(8, 112, 449)
@pytest.mark.parametrize("late", [False, True])
def test_an_old_code_cannot_be_scanned_after_its_grace(late: bool) -> None:
    """The limit is exact to the millisecond; an old code can still confirm what it cannot scan."""
    app = App()
    begun = app.begin()
    app.clock.ms = NOON + 43_000 - (0 if late else 1)
    if late:
        with pytest.raises(Expired):
            app.qr.scan(begun.scan_code, subject=ALICE, shown_as="A")
        assert app.qr.status(begun.device_code).state is State.PENDING
        app.scan(begun)
    else:
        app.qr.scan(begun.scan_code, subject=ALICE, shown_as="A")
    app.clock.ms += 89_999
    assert app.qr.confirm(begun.scan_code, subject=ALICE).state is State.CONFIRMED


def test_a_code_rotates_every_second_with_the_shortest_rotation() -> None:
    app = App(policy=Policy(lifetime=2, rotation=1, rotation_grace=0))
    begun = app.begin()
    app.clock.ms += 999
    assert app.qr.status(begun.device_code).scan_code == begun.scan_code
    app.clock.ms += 1
    assert app.qr.status(begun.device_code).scan_code != begun.scan_code


# Configuration of keys


def test_no_key_looks_like_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--key -abc…` would be refused on a command line."""
    drawn = iter(["-" + "a" * 42, "-" + "b" * 42, "c" * 43])
    monkeypatch.setattr("secrets.token_urlsafe", lambda _: next(drawn))
    assert keys.new_key() == "c" * 43


def test_a_key_is_spelled_as_keygen_prints_it_or_given_as_bytes() -> None:
    text = base64.urlsafe_b64encode(KEY).rstrip(b"=").decode()
    macs = {
        Codes([key], verification_uri=URI, audience=None, plain_http=False).signing_key.mac("x")
        for key in (KEY, text, text + "=")
    }
    assert len(macs) == 1
    Codes([keys.new_key()], verification_uri=URI, audience=None, plain_http=False)


SPELLED = base64.urlsafe_b64encode(KEY).rstrip(b"=").decode()


@row(49)
@for_each_row(
    "key",
    [
        "",
        "secret",
        "correct horse battery staple, correct horse!",
        "A" * 43,
        "A" * 42 + "B",
        b"short",
        b"\0" * 64,
        b"ab" * 32,
        KEY[:31],
        None,
        7,
        "\ud800" * 43,
        "é" * 43,
        SPELLED + "\n",
        " " + SPELLED,
        SPELLED[:-2],
    ],
)
def test_a_weak_or_misspelled_key_is_refused_with_the_way_to_a_good_one(key: object) -> None:
    bad: list[Any] = [key]
    with pytest.raises(Misconfigured, match=re.escape("python -m qrlogin keygen")):
        Codes(bad, verification_uri=URI, audience=None, plain_http=False)


def test_no_message_of_a_refused_key_shows_the_key() -> None:
    weak = "hunter2-hunter2"
    with pytest.raises(Misconfigured) as refusal:
        Codes([weak], verification_uri=URI, audience=None, plain_http=False)
    assert weak not in str(refusal.value)


def test_a_status_shows_its_code_only_while_it_can_be_scanned() -> None:
    app = App()
    begun, _ = app.reach(State.SCANNED)
    seen: Status = app.qr.status(begun.device_code)
    assert (seen.scan_code, seen.verification_uri_complete, seen.rotates_in) == ("", "", 0)


# MACs


@for_each_row(
    "parts",
    [
        ("A" * 22, "123"),
        (),
        ("", "a", ""),
        ("Zoë", "日本", "é"),
        ("\udc80", "a"),
    ],
)
def test_a_mac_is_the_signature_that_itsdangerous_computes(parts: tuple[str, ...]) -> None:
    """Processes of older versions, which called itsdangerous for each MAC, read the same codes."""
    secret = bytes(range(32))
    encoded = [part.encode("utf-8", "surrogateescape") for part in parts]
    prefixed = b"".join(str(len(part)).encode() + b":" + part for part in encoded)
    signer = Signer(
        secret,
        salt="qrlogin/here/device/v1",
        key_derivation="hmac",
        digest_method=hashlib.sha256,
    )
    key = Key(secret, "here")
    for _ in range(2):  # the second one begins with what the first one has kept
        assert key.mac("device", *parts) == signer.get_signature(prefixed).decode()


def test_texts_of_any_letters_are_compared() -> None:
    assert keys.equal_in_constant_time("é\udc80", "é\udc80")
    assert not keys.equal_in_constant_time("é", "e")
    assert not keys.equal_in_constant_time("e", "é")
