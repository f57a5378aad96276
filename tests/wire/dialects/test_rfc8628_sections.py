"""RFC 8628, section by section.

Section 3.1 is in test_rfc8628_request.py, 3.5 in test_rfc8628_pace.py and test_rfc8628_golden.py.
docs/security/rfc8628.md lists every requirement for a server or its pages, with its test.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qrlogin import STANDARD, STRICT, Misconfigured, Policy
from qrlogin.codes import Codes
from qrlogin.core import Core
from qrlogin.wire import Request
from qrlogin.wire.dialects.rfc8628 import GRANT_TYPE, Rfc8628
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.dialects.rfc8628_server import (
    ADDRESS,
    FORM,
    KEY,
    KINDS,
    ORIGIN,
    SCOPES,
    TYPED,
    URI,
    Device,
    World,
    error,
    everybody,
    opened,
    read,
)

ROOT = Path(__file__).parent.parent.parent.parent


@pytest.fixture
def world() -> Iterator[World]:
    with World("memory sync") as made:
        yield made


@pytest.fixture(params=KINDS)
def every_world(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from opened(request)


# 3.2 Device authorization response


@row(227)
@pytest.mark.parametrize(
    ("policy", "decide"), [(TYPED, 90), (replace(STRICT, user_codes=True, match_digits=0), 60)]
)
def test_section_3_2_the_lifetimes_are_those_of_the_options(
    world: World, policy: Policy, decide: int
) -> None:
    """The interval of the policy, the lifetime of the dialect, the policy's time to decide, and 60
    s to collect. All that and 150 s to ask again are 600 s at most.
    """
    longest = 600 - decide - 60 - 150
    for lifetime in (300, longest, 30):
        server = world.another(policy=replace(policy, interval=7), lifetime=lifetime)
        device = Device(server)
        begun = device.begin()
        whole = lifetime + decide + 60
        assert (begun["expires_in"], begun["interval"]) == (whole, 7)
        signed = server.qr.core.read_device_code(begun["device_code"])
        assert signed.ends_at - signed.begun_at == whole * 1000
    for wrong in (0, 601, 300.0, True, "300"):
        with pytest.raises(Misconfigured, match="lifetime"):
            world.another(lifetime=wrong)
    with pytest.raises(Misconfigured, match="the windows of Rfc8628 add up to 601 s"):
        world.another(policy=policy, lifetime=longest + 1)


@row(207)
@for_each_row(
    "path", ["device_authorization", "token", ".well-known/openid-configuration", "nowhere", ""]
)
@for_each_row("method", ["GET", "HEAD", "PUT", "OPTIONS", "TRACE", "POST", "FOO"])
def test_section_3_2_every_answer_is_json_that_may_not_be_stored(
    world: World, path: str, method: str
) -> None:
    """`rfc8628_server._checked` checks the headers and the form of each error."""
    answer = world.ask(
        Request(method, path, "", (FORM,), b"" if method in ("GET", "HEAD") else b"client_id=tv")
    )
    allowed = {
        "device_authorization": "POST",
        "token": "POST",
        ".well-known/openid-configuration": "GET, HEAD",
    }.get(path)
    assert (answer.status == 405) == (allowed is not None and method not in allowed)
    assert dict(answer.headers).get("Allow") == (allowed if answer.status == 405 else None)
    assert (answer.status == 404) == (allowed is None)


# 3.3 User interaction


@row(209)
def test_section_3_3_the_person_types_the_code_at_verification_uri(
    every_world: World,
) -> None:
    world, device = every_world, Device(every_world)
    begun = device.begin(scope="mail read")
    assert begun["verification_uri"] == URI
    assert begun["user_code"] not in begun["verification_uri"]  # NOT RECOMMENDED
    shown = read(world.phone("scan", begun["user_code"]))
    assert shown["context"] == {
        "address": ADDRESS,
        "scope": "mail read",
        "permissions": "Your mail; Read",
    }
    assert error(device.poll()) == "authorization_pending"  # a scan is not an approval
    assert world.phone("deny", begun["user_code"]).status == 200
    assert error(device.poll()) == "access_denied"


@row(213)
def test_section_3_3_the_phone_never_receives_the_device_code(world: World) -> None:
    device = Device(world)
    begun = device.begin()
    secret = begun.pop("device_code").split(".")[1]
    assert secret not in str(begun)
    for verb in ("scan", "confirm"):
        assert secret.encode() not in world.phone(verb, begun["user_code"]).body


@row(211)
def test_section_3_3_only_a_signed_in_user_can_approve(world: World) -> None:
    device = Device(world)
    code = device.begin()["user_code"]
    assert [world.phone(verb, code, None).status for verb in ("scan", "confirm", "deny")] == [
        401
    ] * 3


@row(209)
def test_section_3_3_1_the_phone_accepts_the_complete_address(
    every_world: World,
) -> None:
    begun = Device(every_world).begin()
    assert begun["verification_uri_complete"] == f"{URI}?user_code={begun['user_code']}"
    assert read(every_world.phone("scan", begun["verification_uri_complete"]))["state"] == "scanned"


# 3.4 Device access token request


@row(215)
@for_each_row(
    "form, expected",
    [
        ("grant_type=authorization_code&code=x", "unsupported_grant_type"),
        ("grant_type=password&username=u&password=p", "unsupported_grant_type"),
        ("grant_type=refresh_token&device_code={code}", "unsupported_grant_type"),
        ("grant_type=device_code&device_code={code}", "unsupported_grant_type"),
        (f"grant_type={GRANT_TYPE.upper()}&device_code={{code}}", "unsupported_grant_type"),
        ("device_code={code}", "invalid_request"),
        (f"grant_type={GRANT_TYPE}", "invalid_request"),
        (f"grant_type={GRANT_TYPE}&user_code={{user}}", "invalid_request"),
        (f"grant_type={GRANT_TYPE}&device_code={{user}}", "invalid_grant"),
        (f"grant_type={GRANT_TYPE}&device_code={{code}}", "authorization_pending"),
        (
            f"grant_type={GRANT_TYPE.replace(':', '%3A')}&device_code={{code}}",
            "authorization_pending",
        ),
        (
            f"device_code={{code}}&grant_type={GRANT_TYPE.replace(':', '%3a')}&scope=x",
            "authorization_pending",
        ),
    ],
)
def test_section_3_4_a_token_request_must_be_well_formed(
    world: World, form: str, expected: str
) -> None:
    device = Device(world)
    device.begin()
    filled = form.replace("{code}", device.begun["device_code"]).replace("{user}", device.user_code)
    assert error(world.post("token", f"{filled}&client_id=tv")) == expected


@pytest.mark.parametrize("spelled", ["a b", "a+b", "a%20b"])
def test_section_3_4_three_spellings_of_a_space_are_read(world: World, spelled: str) -> None:
    begun = read(world.post("device_authorization", f"client_id=my+tv&scope={spelled}"))
    assert read(world.phone("scan", begun["user_code"]))["context"] == {
        "address": ADDRESS,
        "scope": "a b",
        "permissions": "A; B",
    }


# 4 Discovery metadata


@for_each_row("at", [None, ORIGIN, f"{ORIGIN}/", f"{ORIGIN}/oauth", f"{ORIGIN}/oauth/v1/"])
@for_each_row("path", ["oauth-authorization-server", "openid-configuration"])
def test_section_4_the_metadata_contains_the_addresses_of_the_mount(
    world: World, at: str | None, path: str
) -> None:
    server = world.another(at=at)
    metadata = read(server.ask(Request("GET", f".well-known/{path}")))
    issuer = (at or ORIGIN).rstrip("/")
    assert (
        metadata["issuer"] == issuer == server.dialect.issuer
    )  # to the letter: RFC 8414 section 3.3
    assert metadata["device_authorization_endpoint"] == f"{issuer}/device_authorization"
    assert metadata["token_endpoint"] == f"{issuer}/token"
    assert metadata["grant_types_supported"] == [GRANT_TYPE]
    assert metadata["authorization_endpoint"] == f"{issuer}/authorize"
    assert metadata["scopes_supported"] == list(SCOPES)
    # RFC 8414 section 3.2 has a list without elements left out.
    assert "response_types_supported" not in metadata


def test_section_4_an_application_with_an_authorization_endpoint_keeps_it(world: World) -> None:
    own = {"authorization_endpoint": f"{ORIGIN}/consent", "response_types_supported": ["code"]}
    server = world.another(metadata=own)
    metadata = read(server.ask(Request("GET", ".well-known/openid-configuration")))
    assert own.items() <= metadata.items()
    assert server.ask(Request("GET", "authorize")).status == 404
    assert world.ask(Request("GET", "authorize")).status == 400


def test_section_4_an_application_adds_metadata_but_cannot_replace_an_address(
    world: World,
) -> None:
    own = {
        "jwks_uri": f"{ORIGIN}/keys",
        "grant_types_supported": ["refresh_token", GRANT_TYPE],
    }
    metadata = read(
        world.another(metadata=own).ask(Request("GET", ".well-known/openid-configuration"))
    )
    assert {name: metadata[name] for name in own} == own
    assert (metadata["issuer"], metadata["token_endpoint"]) == (ORIGIN, f"{ORIGIN}/token")
    for name in ("issuer", "token_endpoint", "device_authorization_endpoint"):
        with pytest.raises(Misconfigured, match=name):
            world.another(metadata={name: "https://evil.example"})


# 5 Security considerations


@row(139)
def test_section_5_1_typed_codes_are_off_by_default_and_the_dialect_says_how_to_turn_them_on() -> (
    None
):
    core = Core(secret_keys=[KEY], verification_uri=URI, audience=None, policy=STANDARD)
    with pytest.raises(Misconfigured, match="set user_codes=True in the policy"):
        Rfc8628(core, clients=everybody)


@row(221)
def test_section_5_1_all_requests_of_an_account_share_five_guesses(
    every_world: World,
) -> None:
    """tests/test_guesses.py has the rest of the rules."""
    device = Device(every_world)
    device.begin()
    verbs = ("scan", "confirm", "deny", "release", "scan")
    assert [every_world.phone(verb, "BCDFGHJK").status for verb in verbs] == [404] * 5
    assert [every_world.phone(verb, device.user_code).status for verb in verbs] == [429] * 5


@row(223)
def test_section_5_2_a_device_code_has_256_random_bits(world: World) -> None:
    seen = {Device(world).begin()["device_code"].split(".")[1] for _ in range(50)}
    assert len(seen) == 50
    assert all(re.fullmatch(r"[\w-]{43}", secret) for secret in seen)


@row(226, 452)
def test_section_5_4_the_person_is_shown_the_device(world: World) -> None:
    answer = world.post(
        "device_authorization",
        "client_id=tv&scope=a",
        FORM,
        ("user-agent", "Television/1.0 (" + "x" * 300),  # of no known make, so it has no name
    )
    context = read(world.phone("scan", read(answer)["user_code"]))["context"]
    assert context == {
        "address": ADDRESS,
        "scope": "a",
        "permissions": "A",
    }


@row(224)
def test_section_5_4_an_application_can_describe_the_device(world: World) -> None:
    server = world.another(
        describe=lambda request: {
            "device": "the television",
            "client_id": "forged",
            "ip": str(request.client),
        }
    )
    begun = read(server.post("device_authorization", "client_id=tv"))
    assert read(world.phone("scan", begun["user_code"]))["context"] == {
        "device": "the television",
        "ip": ADDRESS,
    }


def test_section_5_4_only_the_description_is_cut_and_not_what_the_application_acts_on(
    world: World,
) -> None:
    scope = "s" * 120
    boundless = world.another(describe=lambda _: {"device": "x" * 400}, scopes=[scope])
    begun = read(boundless.post("device_authorization", f"client_id={'c' * 120}&scope={scope}"))
    context = read(world.phone("scan", begun["user_code"]))["context"]
    assert context["scope"] == scope
    assert context["device"] == "x" * (len(context["device"]) - 1) + "…"
    assert len(context["device"]) > 180


@row(65, 225)
@pytest.mark.parametrize("text", ["browser/qr-login-texts.js", "../docs/wire/rfc8628.md"])
def test_section_5_4_the_page_and_the_docs_ask_whether_the_device_is_at_hand(text: str) -> None:
    page = " ".join((ROOT / "qrlogin" / text).read_text("utf-8").split())
    assert "pprove only if the code is on the screen in front of you" in page


# 6 User codes


LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
ALIKE = {"Q": "Q0O", "L": "L1I", "Z": "Z2", "S": "S5", "G": "G6", "B": "B8", "V": "VUY"}


@row(231)
@given(st.data())
def test_section_6_1_a_code_is_read_however_it_is_typed(data: st.DataObject) -> None:
    """Case, dashes, spaces, other punctuation, full-width letters and look-alikes."""
    codes = Codes([KEY], verification_uri=URI, audience=None, plain_http=False)
    letters, typed = data.draw(st.text(LETTERS, min_size=8, max_size=8)), ""
    for letter in letters:
        character = data.draw(st.sampled_from(ALIKE.get(letter, letter)))
        spellings = [character, character.lower(), chr(ord(character) + 0xFEE0)]
        typed += data.draw(st.sampled_from(["", "-", " ", ".", "\u2013", "\u3000"])) + data.draw(
            st.sampled_from(spellings)
        )
    assert codes.read_scan_code(typed) == codes.read_scan_code(f"{letters[:4]}-{letters[4:]}")


@row(231)
def test_section_6_1_a_code_uses_twenty_letters(world: World) -> None:
    seen = "".join(Device(world).begin()["user_code"].replace("-", "") for _ in range(100))
    # One of twenty letters is missing among 800 with a chance of 1 in 10**17.
    assert set(seen) == set(LETTERS)


# Scopes: RFC 6749 section 3.3


@for_each_row("scope", ["a  b", " a", "a ", 'a"', "a\\", "é", "a\tb", "a\nb", "x" * 400])
def test_a_scope_that_cannot_be_shown_is_refused(world: World, scope: str) -> None:
    answer = world.post("device_authorization", urlencode({"client_id": "tv", "scope": scope}))
    assert (answer.status, error(answer)) == (400, "invalid_scope")
