"""A link that somebody scans is no guess: eight letters are a typed code where our own address says so, and nowhere else."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from qrlogin import STANDARD, InvalidCode, Policy, QRLogin
from qrlogin.codes import fixed_as_base64
from qrlogin.errors import UnknownLogin
from qrlogin.table import State
from tests.application import ALICE, KEY, URI, App, Run, Untouched, events
from tests.tables import for_each_row

TYPED = replace(STANDARD, user_codes=True)
#: What folds to eight letters of ours: words of other sites, and a code as it could be printed there.
WORDS = [
    "products",
    "PRODUCTS",
    "pvbgsctx",
    "BCDF-GHJK",
    "bcdfghjk",
    "BCDF%2DGHJK",
    "0O1I2568",
    "\uff42\uff43\uff44\uff46\uff47\uff48\uff4a\uff4b",
]
FOREIGN = [
    "https://shop.example/{}",
    "https://shop.example/a/{}",
    "https://shop.example/{}?utm_source=poster",
    "https://shop.example/{}#top",
    "https://shop.example?user_code={}",
    "https://shop.example/?user_code={}",
    "https://shop.example/device?user_code={}",
    "https://shop.example/device?user_code={}&x=1",
    "https://shop.example/qr?user_code={}",
    "http://example.com/qr?user_code={}",
    "http://example.com/qr/{}",
    "https://example.com/{}",
    "https://example.com/?user_code={}",
    "https://example.com?user_code={}",
    "https://example.com/device?user_code={}",
    "https://example.com/qr/device?user_code={}",
    "https://example.com/qr/device/{}",
    "https://example.com/qrs/{}",
    "https://example.com/qrs?user_code={}",
    "https://example.com:8443/qr/{}",
    "https://example.com:8443/qr?user_code={}",
    "https://example.com.evil.example/qr?user_code={}",
    "https://example.com@evil.example/qr?user_code={}",
    "https://evil.example/https://example.com/qr?user_code={}",
    "https://evil.example/#https://example.com/qr?user_code={}",
    "https://example.com/qr?uuid={}",
    "https://example.com/qr?lgToken={}",
    "https://example.com/qr?qrcode_key={}",
    "https://example.com/qr?k={}",
    "https://example.com/qr?code={}",
    "https://example.com/qr?USER_CODE={}",
    "https://example.com/qr?{}",
    "https://example.com/qr#{}",
    "https://example.com/qr?x=1#user_code={}",
    "https://example.com/qr?user_code={0}&user_code={0}",
    "https://example.com/qr?user_code={0}&uuid={0}",
]
VERBS = ("scan", "confirm", "deny", "release")


def ours(app: App) -> str:
    return app.qr.begin(user_code=True).user_code


@for_each_row("word", WORDS)
@for_each_row("address", FOREIGN)
def test_a_link_to_another_address_never_reaches_the_store(address: str, word: str) -> None:
    core = QRLogin(Untouched(), secret_keys=[KEY], verification_uri=URI, policy=TYPED).core
    for verb in VERBS:
        with pytest.raises(InvalidCode):
            getattr(core, verb)(
                address.format(word), subject=ALICE, **({"shown_as": "A"} if verb == "scan" else {})
            )


@pytest.mark.parametrize(
    "address", ["https://shop.example/products", "https://shop.example/device?user_code={}"]
)
def test_a_link_to_another_address_costs_no_guess(address: str, run: Run[Any]) -> None:
    """However many of them, and whether or not its letters are a code of ours."""
    app = App(policy=TYPED)
    code = ours(app)
    events(app)
    for _ in range(10):
        for verb in VERBS:
            with pytest.raises(InvalidCode):
                decide(app, verb, address.format(code), run)
    assert events(app) == []
    assert decide(app, "scan", code, run).state is State.SCANNED


def decide(app: App, verb: str, code: str, run: Run[Any]) -> Any:
    return run(
        app,
        getattr(app.qr.core, verb)(
            code, subject=ALICE, **({"shown_as": "A"} if verb == "scan" else {})
        ),
    )


@pytest.mark.parametrize("word", [word for word in WORDS if "%" not in word])
def test_the_same_letters_without_an_address_are_a_guess(word: str) -> None:
    app = App(policy=TYPED)
    with pytest.raises(UnknownLogin, match="no such login"):
        app.qr.scan(word, subject=ALICE, shown_as="A")
    assert events(app) == ["guess of 5", "look up", "scan"]


# Ours


@for_each_row(
    "uri", [URI, "https://example.com", "https://example.com:8443/a/b", "http://127.0.0.1:8000/qr"]
)
@for_each_row("given", ["{}", "{}/"])
@for_each_row(
    "form",
    [
        "{}/{}",
        "{}?user_code={}",
        "{}/?user_code={}",
        "{}?user_code={}&lang=en",
        "{}?user_code={}#top",
    ],
)
@for_each_row("spelled", [str, str.lower, lambda code: code.replace("-", "")])
def test_a_typed_code_in_the_configured_address_is_read(
    uri: str, given: str, form: str, spelled: Callable[[str], str]
) -> None:
    app = App(policy=TYPED)
    qr = QRLogin(app.store, secret_keys=[KEY], verification_uri=given.format(uri), policy=TYPED)
    begun = qr.begin(user_code=True)
    found = qr.scan(form.format(uri, spelled(begun.user_code)), subject=ALICE, shown_as="A")
    assert (found.login_id, found.state) == (begun.login_id, State.SCANNED)
    assert qr.confirm(form.format(uri, begun.user_code), subject=ALICE).state is State.CONFIRMED


def test_a_typed_code_in_the_configured_address_is_a_guess(run: Run[Any]) -> None:
    """Its letters may be anybody's: they count, as typed ones do."""
    app = App(policy=TYPED)
    for address in (f"{URI}/BCDF-GHJK", f"{URI}?user_code=BCDF-GHJK"):
        events(app)
        with pytest.raises(UnknownLogin, match="no such login"):
            decide(app, "scan", address, run)
        assert events(app) == ["guess of 5", "look up", "scan"]


# Fixed codes prove themselves


@for_each_row("policy", [STANDARD, TYPED])
@for_each_row(
    "address",
    [
        "https://shop.example/{}",
        "https://shop.example/device?user_code={}",
        "https://example.com/qr/{}",
        "https://example.com/qr?uuid={}",
        "https://login.weixin.qq.com/l/{}",
        "http://192.0.2.1/p?k={}",
    ],
)
def test_a_fixed_code_works_on_any_host(address: str, policy: Policy, run: Run[Any]) -> None:
    app = App(policy=policy)
    begun = app.qr.run(app.qr.core.begin(fixed=True, ask_browser=False))
    for code in (begun.scan_code, fixed_as_base64(begun.scan_code)):
        events(app)
        assert decide(app, "scan", address.format(code), run).login_id == begun.login_id
        assert events(app) == ["scan"]
