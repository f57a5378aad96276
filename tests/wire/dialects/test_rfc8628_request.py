"""RFC 8628 section 3.1 and RFC 6749 section 2.3.1: only a well-formed request of a registered
client is accepted.
"""

from base64 import b64encode
from collections.abc import Iterator

import pytest

from qrlogin import Misconfigured
from qrlogin.core import Core
from qrlogin.wire.dialects.rfc8628 import GRANT_TYPE, Client, Rfc8628
from qrlogin.wire.message import BODY_CAP
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.dialects.rfc8628_server import (
    ADDRESS,
    FORM,
    KEY,
    TYPED,
    World,
    error,
    everybody,
    read,
    registered,
)


@pytest.fixture
def world() -> Iterator[World]:
    with World("memory sync") as made:
        yield made


def authorization(user: str, password: str) -> tuple[str, str]:
    return "authorization", "Basic " + b64encode(f"{user}:{password}".encode()).decode()


# 3.1 Device authorization request


@row(201)
@for_each_row("path", ["device_authorization", "token"])
@for_each_row(
    "form",
    [
        "",
        "scope=a",
        "client_id=",
        "client_id",
        "client_secret=s",
        "CLIENT_ID=tv",
        "client_id%00=tv",
    ],
)
def test_section_3_1_a_request_without_client_id_is_refused(
    world: World, path: str, form: str
) -> None:
    answer = world.post(path, form)
    assert (answer.status, error(answer)) == (400, "invalid_request")


@row(202)
@pytest.mark.parametrize(
    "address",
    ["http://example.com/device", "http://10.0.0.1/device", "ftp://example.com/x", "//example.com"],
)
def test_section_3_1_an_address_without_tls_is_refused(address: str) -> None:
    with pytest.raises(Misconfigured):
        Core(secret_keys=[KEY], verification_uri=address, audience=None, policy=TYPED)


@for_each_row(
    "at",
    [
        "http://example.com",
        "https://example.org",
        "https://example.com.evil",
        "example.com",
        "",
        "https://example.com/?a",
        "https://example.com/#a",
        "https://example.com/a b",
        "https://example.com/é",
        'https://example.com/"',
    ],
)
def test_section_3_1_the_mount_is_an_address_of_the_same_tls_site(world: World, at: str) -> None:
    with pytest.raises(Misconfigured, match="option at must"):
        Rfc8628(world.qr.core, clients=everybody, at=at)


@row(203)
@pytest.mark.parametrize(
    "form",
    [
        "client_id=tv&scope=",
        "scope=&client_id=tv&client_secret=",
        "client_id=tv&scope",
        "&client_id=tv&&",
    ],
)
def test_section_3_1_an_empty_parameter_counts_as_omitted(world: World, form: str) -> None:
    begun = read(world.post("device_authorization", form))
    assert read(world.phone("scan", begun["user_code"]))["context"] == {"address": ADDRESS}


@row(203)
def test_section_3_1_an_empty_parameter_counts_as_omitted_at_the_token_endpoint_too(
    world: World,
) -> None:
    answer = world.post("token", f"client_id=tv&grant_type={GRANT_TYPE}&device_code=")
    assert (error(answer), read(answer)["error_description"]) == (
        "invalid_request",
        "the parameters grant_type and device_code must both be there",
    )


@row(204)
def test_section_3_1_unknown_parameters_change_nothing(world: World) -> None:
    answer = world.post(
        "device_authorization",
        "client_id=tv&nonce=1&acr_values=%F0%9F%98%80&uuid=x",
        query="r=1&r=1",
    )
    assert answer.status == 200


@row(205)
@for_each_row("path", ["device_authorization", "token"])
@for_each_row(
    "form",
    [
        "client_id=tv&client_id=tv",
        "client_id=tv&client_id=",
        "client_id=tv&x=1&x=2",
        "client_id=tv&scope=a&%73cope=b",
    ],
)
def test_section_3_1_a_repeated_parameter_is_refused(world: World, path: str, form: str) -> None:
    answer = world.post(path, form)
    assert (answer.status, error(answer), read(answer)["error_description"]) == (
        400,
        "invalid_request",
        "a parameter is there twice",
    )


@pytest.mark.parametrize(
    "query",
    [
        "client_id=tv",
        "client_secret=hunter2",
        f"grant_type={GRANT_TYPE}",
        "device_code=x",
        "scope=a",
    ],
)
def test_section_3_1_a_parameter_in_the_logged_address_is_refused(world: World, query: str) -> None:
    answer = world.post("device_authorization", "client_id=tv", query=query)
    assert (answer.status, error(answer)) == (400, "invalid_request")
    assert b"hunter2" not in answer.body


@for_each_row(
    "body, status",
    [
        (b"client_id=tv&x=" + b"x" * BODY_CAP, 413),
        (b"client_id=\xff", 400),
        (b"client_id=%ff", 400),
        (b"client_id=tv&\xed\xa0\x80", 400),
        (b"client_id=tv" + b"&a=1" * 200, 400),
        ("client_id=tv".encode("utf-16"), 400),
        (b"", 400),
        (b"\0", 400),
        (b'{"client_id":"tv"}', 400),
    ],
)
def test_section_3_1_a_body_that_is_not_a_form_is_refused(
    world: World, body: bytes, status: int
) -> None:
    assert world.post("device_authorization", body[: BODY_CAP + 1]).status == status


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded; charset=utf-8",
        "Application/X-WWW-Form-URLEncoded;charset=UTF-8",
    ],
)
def test_section_3_1_a_form_may_name_its_charset(world: World, kind: str) -> None:
    assert world.post("device_authorization", "client_id=tv", ("content-type", kind)).status == 200


@row(206, 229, 451)
@for_each_row(
    "form, header, expected",
    [
        ("client_id=tv", None, 200),
        ("client_id=tv&client_secret=", None, 200),
        ("", authorization("tv", ""), 200),  # some clients send their id like this
        ("client_id=box&client_secret=hunter2", None, 200),
        ("", authorization("box", "hunter2"), 200),
        # The client_id in the body is no second authentication.
        ("client_id=box", authorization("box", "hunter2"), 200),
        ("client_id=kiosk&client_secret=s%3Ae%2Bc+r%25t", None, 200),
        ("", authorization("kiosk", "s%3Ae%2Bc+r%25t"), 200),
        ("", ("authorization", "basic  " + b64encode(b"box:hunter2").decode() + " "), 200),
        ("client_id=tv", ("authorization", "Bearer of-something-else"), 200),
        ("client_id=unknown", None, "invalid_client"),
        ("client_id=box", None, "invalid_client"),
        ("client_id=box&client_secret=wrong", None, "invalid_client"),
        ("client_id=tv&client_secret=any", None, "invalid_client"),
        ("client_id=%22tv%22", None, "invalid_client"),
        ("client_id=" + "x" * 129, None, "invalid_client"),
        ("client_id=t%C3%A9", None, "invalid_client"),
        ("", authorization("box", "wrong"), "invalid_client"),
        ("", authorization("unknown", ""), "invalid_client"),
        ("client_id=tv&client_secret=x", authorization("box", "hunter2"), "invalid_request"),
        ("client_id=box&client_secret=hunter2", authorization("box", "hunter2"), "invalid_request"),
        ("client_id=tv", authorization("box", "hunter2"), "invalid_request"),
        ("client_id=tv", authorization("", "x"), "invalid_request"),
        ("", authorization("", ""), "invalid_request"),
        ("", ("authorization", "Basic"), "invalid_request"),
        ("", ("authorization", "Basic !!!"), "invalid_request"),
        ("", ("authorization", "Basic " + b64encode(b"no colon").decode()), "invalid_request"),
        ("", ("authorization", "Basic " + b64encode(b"\xff:\xff").decode()), "invalid_request"),
        ("", authorization("%ff", "x"), "invalid_request"),
    ],
)
@for_each_row("path", ["device_authorization", "token"])
def test_section_3_1_a_client_must_authenticate_as_registered(
    world: World, path: str, form: str, header: tuple[str, str] | None, expected: int | str
) -> None:
    """RFC 6749 section 2.3.1; the same at both endpoints."""
    server = world.another(clients=registered)
    grant = f"&grant_type={GRANT_TYPE}&device_code=x" if path == "token" else ""
    answer = server.post(path, form + grant, FORM, *([header] if header else []))
    if expected == 200:
        assert (answer.status, path == "token" and error(answer)) in (
            (200, False),
            (400, "invalid_grant"),
        )
        return
    assert (answer.status, error(answer)) == (
        401 if expected == "invalid_client" else 400,
        expected,
    )
    challenged = answer.status == 401 and header is not None
    assert dict(answer.headers).get("WWW-Authenticate") == (
        'Basic realm="token"' if challenged else None
    )
    assert b"hunter2" not in answer.body


def test_section_3_1_a_repr_does_not_show_the_secret() -> None:
    assert "hunter2" not in repr(Client("box", "hunter2"))
