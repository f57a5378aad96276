"""`origins=[...]`: which origins may be listed, and what browsers are answered for their pages."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import jsonschema_rs
import pytest

from qrlogin import STANDARD, Misconfigured
from qrlogin.core import Core
from qrlogin.wire import METHODS, Native, Request, Response
from qrlogin.wire.openapi import paths
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.mount import (
    CREDENTIAL,
    KEY,
    NOBODY,
    ORIGIN,
    URI,
    VERBS,
    Colour,
    Mount,
    Tab,
    get,
    post,
    reach,
    read,
    with_headers,
)

APP, PHONE = "https://app.example.com", "capacitor://localhost"
LISTED = (APP, PHONE)
STRANGERS = (None, ORIGIN, "https://evil.net", "null", f"{APP}/", f"{APP}, {APP}", "*", "")
ASKS = ("access-control-request-method", "POST")


@pytest.fixture
def site(colour: Colour) -> Iterator[Mount]:
    with Mount(colour, origins=LISTED) as mounted:
        yield mounted


def core(*, plain_http: bool = False, uri: str = URI) -> Core:
    policy = replace(STANDARD, plain_http=plain_http)
    return Core(secret_keys=[KEY], verification_uri=uri, audience=None, policy=policy)


def grants(answer: Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers if name.startswith("Access-Control")}


# What may be listed


@for_each_row(
    "origin",
    [
        "https://app.example.com",
        "https://app.example.com:8443",
        "https://xn--mller-kva.example",
        "https://localhost",  # Capacitor on Android
        "http://localhost:5173",  # Vite
        "http://127.0.0.1:3000",
        "http://[::1]:3000",
        "http://tauri.localhost",
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "app://.",  # Electron
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "moz-extension://6f6d8e0c-0f5b-4f0e-8f5b-0f5b4f0e8f5b",
        "safari-web-extension://E5C3E9A0-0F5B-4F0E-8F5B-0F5B4F0E8F5B",
    ],
)
def test_the_origin_of_an_application_can_be_listed(origin: str) -> None:
    dialect = Native(core(), origins=[origin])
    answer = dialect.browser(Request("OPTIONS", "begin", headers=(("origin", origin), ASKS)))
    assert isinstance(answer, Response)
    assert grants(answer)["Access-Control-Allow-Origin"] == origin


@row(37)
@for_each_row(
    "origin, mend",
    [
        ("null", "Give your page an origin of its own"),
        ("*", "Give your page an origin of its own"),
        ("file://", "Give your page an origin of its own"),
        ("file:///android_asset/www/index.html", "Give your page an origin of its own"),
        ("data:text/html,x", "Give your page an origin of its own"),
        ("wss://app.example.com", "Give your page an origin of its own"),
        ("", "write a scheme and a host"),
        ("app.example.com", "write a scheme and a host"),
        ("//app.example.com", "write a scheme and a host"),
        ("capacitor://localhost/", "write a scheme and a host"),
        ("capacitor://", "write a scheme and a host"),
        ("Capacitor://localhost", "write a scheme and a host"),
        ("capacitor://localhost\r\nx: y", "write a scheme and a host"),
        ("capacitor://localhost\n", "write a scheme and a host"),
        ("chrome-extension://*", "write a scheme and a host"),
        ("HTTPS://app.example.com", "write 'https://app.example.com'"),
        ("https://app.example.com/", "write 'https://app.example.com'"),
        ("https://app.example.com/login", "write 'https://app.example.com'"),
        ("https://app.example.com:443", "write 'https://app.example.com'"),
        ("https://APP.example.com", "write 'https://app.example.com'"),
        ("http://localhost:80", "write 'http://localhost'"),
        ("https://app.example.com?x", "write 'https://app.example.com'"),
        ("https://user@app.example.com", "the scheme and the host alone"),
        ("https://app.example.com\r\nx: y", "the scheme and the host alone"),
        ("https://*.example.com", "the scheme and the host alone"),
        ("https://", "the scheme and the host alone"),
        ("http://app.example.com", "http only for this machine"),
        (ORIGIN, "whose pages may send everything already"),
    ],
)
def test_an_origin_that_no_browser_sends_or_any_page_can_have_is_refused(
    origin: str, mend: str
) -> None:
    with pytest.raises(Misconfigured, match=re.escape(mend)):
        Native(core(), origins=[APP, origin])


def test_typed_codes_that_the_policy_does_not_allow_are_refused() -> None:
    with pytest.raises(Misconfigured, match="user_codes are off in the policy"):
        Native(core(), user_codes=True)


def test_plain_http_of_the_policy_allows_http_origins() -> None:
    Native(core(plain_http=True), origins=["http://192.168.1.7:5173"])


@pytest.mark.parametrize("origins", [APP, [None], [b"https://app.example.com"]])
def test_origins_is_a_list_of_text(origins: list[str]) -> None:
    with pytest.raises(Misconfigured, match="must be a list"):
        Native(core(), origins=origins)


# Preflights


def preflights(tab: Tab, *sent: tuple[str, str]) -> dict[str, Callable[[], Response]]:
    """A preflight for each path that pages of other origins may use, by the allowed methods."""
    ids = ("", "/events", "/qr.svg", "/qr.png", "/cancel", "/redeem")
    mount, login_id = tab.mount, tab.login_id

    def to(door: Callable[[Request], Response], path: str) -> Callable[[], Response]:
        return lambda: door(Request("OPTIONS", path, headers=sent))

    return {
        "begin": to(mount.browser, "begin"),
        **{each or "status": to(mount.browser, f"{login_id}{each}") for each in ids},
        **{f"phone/{verb}": to(lambda request: mount.phone(request, None), verb) for verb in VERBS},
    }


@for_each_row("origin", LISTED)
def test_a_preflight_of_a_listed_origin_is_granted_without_credentials(
    site: Mount, origin: str
) -> None:
    tab = reach(site, "pending")
    asked = len(site.store.calls)
    for name, ask in preflights(tab, ("origin", origin), ASKS).items():
        answer = ask()
        reads = name in ("status", "/events", "/qr.svg", "/qr.png")
        assert (answer.status, answer.body) == (204, b"")
        assert dict(answer.headers)["Vary"] == "Origin"
        assert grants(answer) == {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Allow-Methods": "GET" if reads else "POST",
            "Access-Control-Allow-Headers": "authorization, content-type, dpop, last-event-id",
            "Access-Control-Max-Age": "600",
            "Access-Control-Expose-Headers": "Retry-After",
        }, name
    assert len(site.store.calls) == asked


@row(413)
@for_each_row("origin", STRANGERS)
def test_a_preflight_of_another_origin_is_refused(site: Mount, origin: str | None) -> None:
    tab = reach(site, "pending")
    sent = () if origin is None else (("origin", origin),)
    for name, ask in preflights(tab, *sent, ASKS).items():
        answer = ask()
        assert (answer.status, grants(answer)) == (403, {}), name


def test_what_no_page_of_another_origin_may_use_has_no_preflight(site: Mount) -> None:
    tab = reach(site, "pending")
    for path in (f"{tab.login_id}/socket", "qr-login-element.js", "nowhere"):
        answer = site.browser(Request("OPTIONS", path, headers=(("origin", APP), ASKS)))
        assert answer.status in (404, 405), path
        assert "Access-Control-Allow-Methods" not in grants(answer), path


@row(37, 413)
def test_without_listed_origins_there_is_no_cors(mount: Mount) -> None:
    tab = reach(mount, "pending")
    for ask in preflights(tab, ("origin", APP), ASKS).values():
        answer = ask()
        assert answer.status == 405
        assert not {"Vary", *grants(answer)} & dict(answer.headers).keys()
    begun = mount.browser(post("begin", {"deliver": "body"}, ("origin", APP)))
    assert not {"Vary", *grants(begun)} & dict(begun.headers).keys()


def test_methods_for_adapters_include_preflights() -> None:
    assert "OPTIONS" in METHODS


# The answers themselves


def everything(tab: Tab, origin: str | None) -> Iterator[Response]:
    """Answers and refusals of both doors, for requests with and without a token."""
    sent = () if origin is None else (("origin", origin),)
    token = (*sent, ("authorization", f"Bearer {tab.device_code}"))
    browser, path, mount = tab.mount.browser, tab.login_id, tab.mount
    yield browser(post("begin", {"deliver": "body"}, *sent))
    yield browser(post("begin", {}, *sent))
    yield browser(post("begin", {"deliver": "up"}, *sent))
    yield browser(get(path, "", *token))
    yield browser(get(path, "", *sent))
    yield browser(get(NOBODY, "", *token))
    yield browser(get(path, "after=0&wait=25", *token))
    yield browser(get(f"{path}/qr.png", "", *token))
    yield browser(get("nowhere", "", *token))
    for verb in ("scan", "confirm"):
        yield mount.phone(post(verb, {"code": tab.code}, *sent, CREDENTIAL))
        yield mount.phone(post(verb, {"code": tab.code}, *sent, CREDENTIAL), None)
        yield mount.phone(post(verb, {"code": tab.code}, *sent))
    stream = browser(get(f"{path}/events", "", *token))
    yield stream
    events = stream.events
    if events is not None and hasattr(events, "close"):
        events.close()  # gives its slot back
    elif events is not None:
        mount.now(events.aclose())  # type: ignore[union-attr]
    yield browser(post(f"{path}/redeem", {"acknowledged": "x", "op": "o" * 22}, *token))
    yield browser(post(f"{path}/cancel", {}, *token))
    yield browser(get(f"{path}/events", "after=4", *token))
    mount.store.down = True
    yield browser(get(path, "", *token))
    yield mount.phone(post("scan", {"code": tab.code}, *sent, CREDENTIAL))
    mount.store.down = False


@for_each_row("origin", LISTED)
def test_a_page_of_a_listed_origin_can_read_every_answer_and_when_to_ask_again(
    site: Mount, origin: str
) -> None:
    statuses = set()
    for answer in everything(reach(site, "pending"), origin):
        headers = dict(answer.headers)
        assert grants(answer) == {
            "Access-Control-Allow-Origin": origin,
            "Access-Control-Expose-Headers": "Retry-After",
        }, answer
        assert headers["Vary"] == "Origin"
        statuses.add(answer.status)
        if answer.status == 503:
            assert headers["Retry-After"] == "1"
    assert statuses == {200, 201, 204, 400, 401, 403, 404, 409, 503}


@row(37)
@for_each_row("origin", STRANGERS)
def test_a_page_of_another_origin_can_read_no_answer(site: Mount, origin: str | None) -> None:
    for answer in everything(reach(site, "pending"), origin):
        assert grants(answer) == {}
        assert dict(answer.headers)["Vary"] == "Origin"  # a cache must not mix them up


def test_a_crowded_status_can_be_read_by_a_page_of_a_listed_origin(colour: Colour) -> None:
    with Mount(colour, origins=LISTED, max_waiting=0) as site:
        tab = reach(site, "pending")
        token = (("origin", APP), ("authorization", f"Bearer {tab.device_code}"))
        answer = site.browser(get(tab.login_id, "after=1&wait=25", *token))
        assert read(answer)["retry_after"] == 2
        assert grants(answer)["Access-Control-Allow-Origin"] == APP


@for_each_row("origin", LISTED)
def test_a_listed_origin_has_no_use_of_a_cookie(site: Mount, origin: str) -> None:
    """A list of origins lets a page send and read. It gives its browser's cookies no say."""
    tab = reach(site, "scanned")
    for request in (get(tab.login_id), post(f"{tab.login_id}/cancel"), post("begin")):
        assert tab.send(with_headers(request, ("origin", origin))).status == 403
    cookie = ("cookie", "session=of-the-application")
    for sent in ((cookie,), (cookie, CREDENTIAL)):
        confirm = post("confirm", {"code": tab.code}, ("origin", origin), *sent)
        assert site.phone(confirm).status == 403
    assert read(tab.look())["state"] == "scanned"


# The description


def test_openapi_describes_a_preflight_exactly_where_one_is_answered() -> None:
    described = paths(Native(core(), origins=LISTED), "/qrlogin")
    assert {path for path, item in described.items() if "options" in item} == {
        *(f"/qrlogin/phone/{verb}" for verb in VERBS),
        "/qrlogin/begin",
        "/qrlogin/{login_id}",
        *(
            f"/qrlogin/{{login_id}}/{each}"
            for each in ("events", "qr.svg", "qr.png", "cancel", "redeem")
        ),
    }
    preflight = described["/qrlogin/{login_id}"]["options"]
    assert {"204", "400", "403", "404"} == preflight["responses"].keys()
    assert "content" not in preflight["responses"]["204"]
    refusal = preflight["responses"]["403"]["content"]["application/json"]["schema"]
    jsonschema_rs.validate(refusal, {"error": "forbidden", "error_description": "x"})
    assert not any("options" in item for item in paths(Native(core())).values())
