"""Pages of other sites, strangers and the wrong device are refused before any store call."""

import base64
from collections.abc import Iterator

import pytest

from qrlogin.browser import MODULES, module
from qrlogin.wire import Request, Response
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.mount import (
    ALICE,
    BOB,
    CREDENTIAL,
    ELEMENT,
    KEY,
    NOBODY,
    ORIGIN,
    VERBS,
    Mount,
    Tab,
    get,
    post,
    reach,
    read,
    with_headers,
)

ORIGINS = {
    None: True,
    ORIGIN: True,
    "https://example.com:443": False,  # browsers omit the default port
    "https://example.com/": False,
    "https://EXAMPLE.com": False,
    "http://example.com": False,
    "https://example.com.evil.net": False,
    "https://evil-example.com": False,
    "https://evil.net/https://example.com": False,
    "https://sub.example.com": False,
    "https://example.com:8443": False,
    "https://example.com@evil.net": False,
    "https://example.com, https://evil.net": False,
    "https://example.com,https://example.com": False,  # how some servers join two headers
    "https://evil.net": False,
    "null": False,
    "": False,
    "*": False,
}
SITES = {
    None: True,
    "same-origin": True,
    "none": True,
    "same-site": False,
    "cross-site": False,
    "Same-Origin": False,
    "": False,
}


def headers(origin: str | None, site: str | None) -> list[tuple[str, str]]:
    sent = (("origin", origin), ("sec-fetch-site", site))
    return [(name, value) for name, value in sent if value is not None]


def browser_requests(tab: Tab) -> Iterator[Request]:
    yield post("begin")
    yield get(tab.login_id)
    yield get(tab.login_id, "after=1&wait=25")
    yield get(f"{tab.login_id}/qr.svg")
    yield get(f"{tab.login_id}/qr.png")
    yield post(f"{tab.login_id}/cancel")
    yield post(f"{tab.login_id}/redeem", {"acknowledged": "x", "op": "o" * 22})


@row(17, 320, 418)
@for_each_row("origin", ORIGINS)
def test_a_page_of_another_site_is_refused_on_browser_routes(
    mount: Mount, origin: str | None
) -> None:
    tab = reach(mount, "scanned")
    for site, own in SITES.items():
        before, asked = mount.records, len(mount.store.calls)
        if ORIGINS[origin] and own:
            assert tab.send(with_headers(get(tab.login_id), *headers(origin, site))).status == 200
            continue
        for request in browser_requests(tab):
            answer = tab.send(with_headers(request, *headers(origin, site)))
            assert (answer.status, read(answer)["error"]) == (403, "forbidden"), site
        assert (mount.records, len(mount.store.calls)) == (before, asked)


@row(15)
@for_each_row("origin", ORIGINS)
def test_phone_routes_need_an_own_origin_or_a_token(mount: Mount, origin: str | None) -> None:
    """A session cookie proves no intent. A page sends its origin, and an app sends a token."""
    for site, own in SITES.items():
        tab = reach(mount, "pending")
        sent = headers(origin, site)
        if not (ORIGINS[origin] and own and sent):
            before, asked = mount.records, len(mount.store.calls)
            for verb in VERBS:
                answer = mount.phone(post(verb, {"code": tab.code}, *sent))
                assert (answer.status, read(answer)["error"]) == (403, "forbidden"), site
            assert (mount.records, len(mount.store.calls)) == (before, asked)
        assert mount.phone(post("scan", {"code": tab.code}, *sent, CREDENTIAL)).status == 200


@pytest.mark.parametrize("name", ["origin", "sec-fetch-site", "authorization"])
def test_a_repeated_origin_or_authorization_header_is_refused(mount: Mount, name: str) -> None:
    tab = reach(mount, "pending")
    value = {
        "origin": ORIGIN,
        "sec-fetch-site": "same-origin",
        "authorization": f"Bearer {tab.device_code}",
    }[name]
    twice = [(name, value), (name, value)]
    assert tab.send(with_headers(get(tab.login_id), *twice)).status == 400
    assert mount.phone(post("scan", {"code": tab.code}, *twice)).status == 400


FORWARDED = (
    *(
        "host",
        "forwarded",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-for",
        "x-original-url",
        "x-rewrite-url",
    ),
    *("x-forwarded-prefix", "x-real-ip", "referer"),
)


@row(44)
@for_each_row("name", FORWARDED)
def test_addresses_come_from_the_configuration_and_never_from_a_header(
    mount: Mount, name: str
) -> None:
    for value in (
        "evil.net",
        "https://evil.net/x",
        "host=evil.net;proto=http",
        "begin\r\nset-cookie: a=b",
    ):
        tab = Tab(mount)
        begun = tab.begin((name, value))
        assert begun.status == 201
        assert b"evil" not in begun.body
        assert read(begun)["verification_uri"] == f"{ORIGIN}/qr"
        assert begun.cookies[0].key.startswith("__Host-")
        refused = mount.browser(post("begin", None, (name, value), ("origin", "https://evil.net")))
        assert refused.status == 403


@row(421)
def test_the_element_is_sent_to_pages_of_other_sites(mount: Mount) -> None:
    answer = mount.browser(
        get(ELEMENT, "", ("origin", "https://evil.net"), ("sec-fetch-site", "cross-site"))
    )
    assert (
        answer.status == 200
    )  # a public file; Cross-Origin-Resource-Policy keeps other sites from running it


@for_each_row("name", MODULES)
@for_each_row("etag", ["{}", "W/{}", '"x", {}', '{} , "x"', "*"])
def test_a_module_is_not_sent_again_for_a_matching_etag(mount: Mount, name: str, etag: str) -> None:
    first = mount.browser(get(name))
    assert first.body == module(name)
    tag = dict(first.headers)["ETag"]
    again = mount.browser(get(name, "", ("if-none-match", etag.format(tag))))
    assert (again.status, again.body, dict(again.headers)["ETag"]) == (304, b"", tag)
    assert not {"Content-Length", "Content-Type"} & dict(again.header_list()).keys()
    assert mount.browser(get(name, "", ("if-none-match", '"0123456789abcdef"'))).body == first.body


# Browser and phone routes


@row(303)
def test_browser_routes_and_phone_routes_are_separate(mount: Mount) -> None:
    tab = reach(mount, "pending")
    for verb in (*VERBS, "phone/look", "phone/scan", "phone/confirm"):
        assert tab.send(post(verb, {"code": tab.code}, CREDENTIAL)).status == 404
    for path in ("begin", tab.login_id, f"{tab.login_id}/cancel", f"{tab.login_id}/redeem"):
        bearer = ("authorization", f"Bearer {tab.device_code}")
        assert mount.phone(post(path, {}, bearer)).status == 404
    device = mount.phone(post("scan", {"code": tab.device_code}, CREDENTIAL))
    assert (device.status, read(device)["error"]) == (
        404,
        "unknown_login",
    )  # a device_code is not accepted as a scan code
    scan = mount.browser(
        get(tab.login_id, "", ("authorization", f"Bearer {tab.code.rpartition('/')[2]}"))
    )
    assert (scan.status, read(scan)["error"]) == (404, "unknown_login")
    assert read(tab.look())["state"] == "pending"


@row(5)
def test_an_account_cannot_confirm_what_another_scanned(mount: Mount) -> None:
    tab = reach(mount, "scanned")
    before = mount.records
    for verb in ("confirm", "deny", "release", "outcome"):
        assert tab.phone(verb, BOB).status == 404
        assert tab.phone(verb, None).status == 401
    assert tab.phone("look", BOB).status == 409
    assert mount.records == before
    tab.phone("confirm", ALICE)
    redeemed = tab.redeem().redeemed
    assert redeemed
    assert redeemed.subject == "1"


# A login and its browser


def test_a_command_line_client_sends_its_code_in_authorization(mount: Mount) -> None:
    begun = mount.browser(post("begin", {"deliver": "body"}))
    assert begun.cookies == ()
    fields = read(begun)
    for spelled in ("Bearer", "bearer", "BEARER"):
        bearer = ("authorization", f"{spelled} {fields['device_code']}")
        assert read(mount.browser(get(fields["login_id"], "", bearer)))["state"] == "pending"
    mount.phone(post("scan", {"code": fields["verification_uri_complete"]}, CREDENTIAL))
    mount.phone(post("confirm", {"code": fields["verification_uri_complete"]}, CREDENTIAL))
    tag = read(mount.browser(get(fields["login_id"], "", bearer)))["scanned_by"]["tag"]
    done = mount.browser(
        post(f"{fields['login_id']}/redeem", {"acknowledged": tag, "op": "o" * 22}, bearer)
    )
    assert done.redeemed
    assert mount.browser(post(f"{fields['login_id']}/cancel", {}, bearer)).status == 409


def test_other_authorization_schemes_do_not_hide_the_cookie(mount: Mount) -> None:
    tab = reach(mount, "pending")
    for value in ("Basic dTpw", "Bearer", "Bearer ", "Digest x", ""):
        assert tab.send(with_headers(get(tab.login_id), ("authorization", value))).status == 200


def strangers(mount: Mount, tab: Tab) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yield (login_id, headers) of clients that did not begin the login; some codes are genuine."""
    other = reach(mount, "pending")
    name, own = tab.cookie, tab.device_code
    yield tab.login_id, []
    yield NOBODY, [("cookie", f"{name}={own}")]
    yield other.login_id, [("cookie", f"{name}={own}")]
    yield tab.login_id, [("cookie", f"{other.cookie}={other.device_code}")]
    yield tab.login_id, [("cookie", f"{name}={other.device_code}")]
    yield (
        tab.login_id,
        [("cookie", f"{name.removeprefix('__Host-')}={own}")],
    )  # set by a sibling domain, or over plain http
    yield tab.login_id, [("cookie", f"__Secure-{name.removeprefix('__Host-')}={own}")]
    yield tab.login_id, [("cookie", f"{name.upper()}={own}")]
    spoiled = [
        "",
        own[:-1],
        own + "=",
        own + " x",
        f'"{own}"',
        own.upper(),
        "x" * 8000,
        own.replace(".", "%2e"),
        "\x00",
        "…",
    ]
    spoiled += [
        f"{own[:-1]}{'A' if own[-1] != 'A' else 'B'}",
        own.replace("1700000", "9700000", 1),
        f"{own}.{own}",
        "." * 500,
    ]
    spoiled += [
        own[:-1] + chr(ord(own[-1]) ^ 1),
        own.replace(".", "/"),
        tab.code.rpartition("/")[2],
    ]
    for text in spoiled:
        yield tab.login_id, [("cookie", f"{name}={text}")]
        yield tab.login_id, [("authorization", f"Bearer {text}")] if text else []


@row(1)
def test_all_strangers_get_the_same_answer_without_a_store_call(
    mount: Mount,
) -> None:
    tab = reach(mount, "scanned")
    all_strangers = list(strangers(mount, tab))
    before, asked = mount.records, len(mount.store.calls)
    answers: set[Response] = set()
    for login_id, sent in all_strangers:
        for request in (
            get(login_id, "", *sent),
            get(login_id, "after=1&wait=25", *sent),
            get(f"{login_id}/qr.svg", "", *sent),
            get(f"{login_id}/qr.png", "", *sent),
            post(f"{login_id}/cancel", {}, *sent),
            post(f"{login_id}/redeem", {"acknowledged": "x", "op": "o" * 22}, *sent),
        ):
            answers.add(mount.browser(request))
    assert len(answers) == 1
    assert answers.pop().status == 404
    assert (mount.records, len(mount.store.calls)) == (before, asked)


@row(30, 433)
def test_lost_forged_and_unknown_logins_get_the_same_answer(mount: Mount) -> None:
    answers: set[Response] = {mount.browser(get(NOBODY))}
    for spoil in ("device_digest", "context", "begin_seal", "scanner_seal", "shown_as"):
        tab = reach(mount, "scanned")
        record = mount.store.inner._records._records[tab.login_id]
        mount.store.inner._records._records[tab.login_id] = {**record, spoil: KEY.hex()}
        answers.add(tab.look())
    answers.add(reach(mount, "unknown").look())
    answers.add(
        mount.phone(post("confirm", {"code": reach(mount, "scanned").code}, CREDENTIAL), BOB)
    )
    answers.add(mount.phone(post("scan", {"code": "nonsense"}, CREDENTIAL)))
    assert len(answers) == 1


def test_a_login_id_is_refused_as_a_code(mount: Mount) -> None:
    tab = reach(mount, "pending")
    for code in (
        tab.login_id,
        f"{ORIGIN}/qr/{tab.login_id}",
        f"{tab.login_id}.",
        f"{tab.login_id}.0.",
    ):
        assert mount.phone(post("scan", {"code": code}, CREDENTIAL)).status == 404
        assert (
            mount.browser(get(tab.login_id, "", ("authorization", f"Bearer {code}"))).status == 404
        )


def test_a_scan_code_has_one_spelling_and_one_address(mount: Mount) -> None:
    tab = reach(mount, "pending")
    asked = len(mount.store.calls)
    bare = tab.code.rpartition("/")[2]
    raw = base64.urlsafe_b64decode(bare)
    login_id, until, mac = tab.login_id, int.from_bytes(raw[16:20]), "A" * 43
    wrong = [
        bare + "=",
        f"{bare[:9]} {bare[9:]}",
        f"{bare[:-9]}\n{bare[-9:]}",
        bare.lower(),
        f"%25{ord(bare[0]):02X}{bare[1:]}",
        f"{login_id}.0{until}.{mac}",
        base64.b85encode(raw).decode(),
    ]
    wrong += [
        base64.urlsafe_b64encode(raw[:-1] + bytes([raw[-1] ^ 1])).decode(),
        base64.urlsafe_b64encode(raw[:16] + (until + 1).to_bytes(4) + raw[20:]).decode(),
        bare * 9,
        "." * 4000,
    ]
    wrong += [
        f"http://example.com/qr/{bare}",
        f"https://evil.net/qr/{bare}",
        f"{ORIGIN}/qr///{bare}",
    ]
    wrong += [
        f"{ORIGIN}/qr/../qr/{bare}",
        bare.replace("a", "\u0430"),
        bare[:5] + "\x00" + bare[5:],
    ]
    wrong += [
        f"{login_id}.{2**63}.{mac}",
        f"{login_id}.-1.{mac}",
        f"{login_id}.1e9.{mac}",
        f"{login_id}.٣.{mac}",
        "",
    ]
    for code in wrong:
        if code != bare:
            assert mount.phone(post("scan", {"code": code}, CREDENTIAL)).status == 404, code
    assert len(mount.store.calls) == asked
    assert mount.phone(post("scan", {"code": bare}, CREDENTIAL)).status == 200


def test_an_unavailable_store_gets_503_with_retry_after(mount: Mount) -> None:
    tab = reach(mount, "scanned")
    mount.store.down = True
    answers = [tab.send(request) for request in browser_requests(tab)]
    answers += [tab.phone(verb) for verb in VERBS]
    assert len(set(answers)) == 1
    (answer,) = set(answers)
    assert (answer.status, dict(answer.headers)["Retry-After"]) == (503, "1")
    assert read(answer) == {
        "error": "unavailable",
        "error_description": "The login service is temporarily unavailable. Try again.",
        "retry_after": 1,
    }


def test_a_bearer_token_of_the_page_does_not_hide_its_cookie(mount: Mount) -> None:
    """Applications add their own Authorization to each request; the login's cookie decides."""
    tab, other = reach(mount, "pending"), reach(mount, "pending")
    for text in ("something-of-the-application", other.device_code):
        assert tab.send(get(tab.login_id, "", ("authorization", f"Bearer {text}"))).status == 200
