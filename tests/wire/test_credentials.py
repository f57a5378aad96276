"""Which credential a request is accepted for: a token whatever its origin is, a cookie only for
this very origin.

The rows are real clients that are no page of this site, and pages of this and of another site. The
columns are the two doors and the credentials that a request may have there.
"""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from qrlogin.errors import Forbidden, UnknownLogin
from qrlogin.wire import Person, Request
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.bearer_clients import BEARER_CLIENTS
from tests.wire.mount import ALICE, CREDENTIAL, ORIGIN, VERBS, Mount, Tab, get, post, reach, read

Headers = tuple[tuple[str, str], ...]

OWN_PAGE: Headers = (("origin", ORIGIN), ("sec-fetch-site", "same-origin"))
#: The origins of these are foreign, so a cookie must never speak for them.
FOREIGN: dict[str, Headers] = {
    **{name: sent for name, sent in BEARER_CLIENTS.items() if sent},
    "page of another site": (("origin", "https://evil.net"), ("sec-fetch-site", "cross-site")),
    "page of a subdomain": (("origin", "https://a.example.com"), ("sec-fetch-site", "same-site")),
    "proxy that removes Origin": (("sec-fetch-site", "cross-site"),),
}
SESSION = ("cookie", "session=of-the-application")

#: What browsers add by themselves (RFC 7617, 7616, 4559, 9577), and what is no credential at all.
AMBIENT = (
    "Basic dTpw",
    "Digest username=u",
    "Negotiate YII=",
    "NTLM TlRM",
    "PrivateToken token=AAI",
    "Concealed k=x",
    "Bearer",
    "Bearer ",
    "",
    "Bearer\tx",
)
TOKENS = ("Bearer x", "bearer x", "DPoP x", "Token x", "JWT x")


def refused(mount: Mount, request: Request, person: Person = ALICE) -> bool:
    """Whether the phone's door answers 403. It must then not have asked the store."""
    asked = len(mount.store.calls)
    answer = mount.phone(request, person)
    if answer.status == 403:
        assert read(answer)["error"] == "forbidden"
        assert len(mount.store.calls) == asked
    return answer.status == 403


# The phone's door


@for_each_row("client", BEARER_CLIENTS)
def test_a_signed_in_phone_scans_and_decides_with_its_token_from_every_client(
    mount: Mount, client: str
) -> None:
    for history, verb in (
        ("pending", "scan"),
        ("scanned", "confirm"),
        ("scanned", "deny"),
        ("scanned", "release"),
    ):
        tab = reach(mount, history)
        sent = post(verb, {"code": tab.code}, *BEARER_CLIENTS[client], CREDENTIAL)
        assert mount.phone(sent).status == 200, verb
        assert mount.phone(sent, None).status == 401, verb


@for_each_row("client", [*FOREIGN, "native HTTP client"])
def test_a_cookie_alone_never_speaks_for_another_origin(mount: Mount, client: str) -> None:
    tab = reach(mount, "scanned")
    for verb in VERBS:
        request = post(verb, {"code": tab.code}, *FOREIGN.get(client, ()), SESSION)
        assert refused(mount, request), verb
        assert refused(mount, request, Person("1", "A•••e", by_token=True)), verb
    assert read(tab.look())["state"] == "scanned"


@for_each_row("client", FOREIGN)
def test_a_cookie_beside_a_token_needs_the_word_of_the_application(
    mount: Mount, client: str
) -> None:
    """An attacker adds any token to a request with the victim's cookie. Only the application knows
    which of the two named the person.
    """
    tab = reach(mount, "pending")
    request = post("scan", {"code": tab.code}, *FOREIGN[client], SESSION, CREDENTIAL)
    assert refused(mount, request)
    assert mount.phone(request, Person("1", "A•••e", by_token=True)).status == 200


@for_each_row("sent", [(), OWN_PAGE])
def test_cookies_beside_a_token_do_not_matter_without_another_origin(
    mount: Mount, sent: Headers
) -> None:
    tab = reach(mount, "pending")
    request = post("scan", {"code": tab.code}, *sent, SESSION, CREDENTIAL)
    assert mount.phone(request).status == 200


@for_each_row("value", AMBIENT)
def test_what_browsers_put_into_authorization_by_themselves_is_no_token(
    mount: Mount, value: str
) -> None:
    tab = reach(mount, "scanned")
    for client, sent in FOREIGN.items():
        for verb in VERBS:
            request = post(verb, {"code": tab.code}, *sent, ("authorization", value))
            assert refused(mount, request), (client, verb)


@for_each_row("value", TOKENS)
def test_a_token_of_every_usual_scheme_counts(mount: Mount, value: str) -> None:
    tab = reach(mount, "pending")
    sent = (*FOREIGN["page of another site"], ("authorization", value))
    assert mount.phone(post("scan", {"code": tab.code}, *sent)).status == 200


# The browser's door


@for_each_row("client", BEARER_CLIENTS)
def test_every_client_begins_and_redeems_with_the_device_code_as_its_token(
    mount: Mount, client: str
) -> None:
    sent = BEARER_CLIENTS[client]
    begun = mount.browser(post("begin", {"deliver": "body"}, *sent))
    assert (begun.status, begun.cookies) == (201, ())
    fields = read(begun)
    own = (*sent, ("authorization", f"Bearer {fields['device_code']}"))
    path, code = fields["login_id"], fields["verification_uri_complete"]
    for each in ("", "/qr.svg", "/qr.png"):
        assert mount.browser(get(f"{path}{each}", "", *own)).status == 200
    for verb in ("scan", "confirm"):
        assert mount.phone(post(verb, {"code": code}, *sent, CREDENTIAL)).status == 200
    tag = read(mount.browser(get(path, "", *own)))["scanned_by"]["tag"]
    redeem = post(f"{path}/redeem", {"acknowledged": tag, "op": "o" * 22}, *own)
    assert mount.browser(redeem).redeemed
    assert mount.browser(post(f"{path}/cancel", {}, *own)).status == 409  # redeemed already


@for_each_row("client", FOREIGN)
def test_a_login_with_a_cookie_begins_only_on_a_page_of_this_origin(
    mount: Mount, client: str
) -> None:
    for body in ({}, {"deliver": "cookie"}):
        for credential in ((), (CREDENTIAL,)):
            answer = mount.browser(post("begin", body, *FOREIGN[client], *credential))
            assert (answer.status, answer.cookies) == (403, ())
    assert not mount.store.calls


def requests_of(tab: Tab, *sent: tuple[str, str]) -> Iterator[Request]:
    yield get(tab.login_id, "", *sent)
    yield get(tab.login_id, "after=1&wait=25", *sent)
    yield get(f"{tab.login_id}/events", "", *sent)
    yield get(f"{tab.login_id}/socket", "", *sent)
    yield get(f"{tab.login_id}/qr.svg", "", *sent)
    yield get(f"{tab.login_id}/qr.png", "", *sent)
    yield post(f"{tab.login_id}/cancel", {}, *sent)
    yield post(f"{tab.login_id}/redeem", {"acknowledged": "x", "op": "o" * 22}, *sent)


@row(17)
@for_each_row("client", FOREIGN)
def test_the_cookie_of_a_login_is_not_used_for_another_origin(mount: Mount, client: str) -> None:
    """With a token beside it, the token is the credential: a wrong one is not helped by the cookie,
    and a right one is not hidden by the cookie of the same login.
    """
    tab, other = reach(mount, "scanned"), reach(mount, "scanned")
    asked, sent = len(mount.store.calls), FOREIGN[client]
    for request in requests_of(tab, *sent):
        assert tab.send(request).status == 403, request.path
        for token in ("Bearer of-the-application", f"Bearer {other.device_code}"):
            wrong = replace(request, headers=(*request.headers, ("authorization", token)))
            assert tab.send(wrong).status == (426 if "socket" in request.path else 404)
        basic = replace(request, headers=(*request.headers, ("authorization", "Basic dTpw")))
        assert tab.send(basic).status == 403, request.path
    assert len(mount.store.calls) == asked
    device_code = tab.device_code
    tab.jar[tab.cookie] = "a value that is wrong"
    right = (*sent, ("authorization", f"Bearer {device_code}"))
    assert tab.send(get(tab.login_id, "", *right)).status == 200


@row(61)
@for_each_row("client", FOREIGN)
def test_a_socket_of_another_origin_opens_for_a_token_and_not_for_the_cookie(
    mount: Mount, client: str
) -> None:
    tab = reach(mount, "pending")
    socket, sent = mount.endpoint.dialect.socket, FOREIGN[client]
    cookie = ("cookie", f"{tab.cookie}={tab.device_code}")
    path, token = f"{tab.login_id}/socket", ("authorization", f"Bearer {tab.device_code}")
    assert socket(get(path, "", *sent, token)).operation.device.login_id == tab.login_id
    with pytest.raises(Forbidden):
        socket(get(path, "", *sent, cookie))
    with pytest.raises(UnknownLogin):
        socket(get(path, "", *sent, cookie, ("authorization", "Bearer x")))
