"""The rules of qrlogin.contrib hold in every framework, through a real server."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from qrlogin import MemoryStore, QRLogin
from qrlogin.browser import version
from qrlogin.wire import ALLOW, DENY, STEP_UP, Endpoint, Request, Ruling
from tests.contrib.applications import ALL, JWT, NAME, Shop, served
from tests.security_rows import row
from tests.wire.mount import KEY, URI
from tests.wire.reader import Parser
from tests.wire.sites import Site
from tests.wire.story import Browser, Phone


@pytest.fixture(scope="module", params=ALL)
def running(request: pytest.FixtureRequest) -> Iterator[tuple[Site, Shop]]:
    shop = Shop()
    with served(request.param, shop) as site:
        yield site, shop


@pytest.fixture
def site(running: tuple[Site, Shop]) -> Site:
    return running[0]


@pytest.fixture
def shop(running: tuple[Site, Shop]) -> Shop:
    shop = running[1]
    shop.grant = "nothing"
    shop.log_ins.clear()
    shop.judged.clear()
    shop.ruling = ALLOW
    return shop


def page_of(device: Browser | Phone) -> None:
    """Open a page, and send the CSRF token in it with everything that follows."""
    device.http.headers.update(device.http.get("/page").json())


def approved(desk: Browser) -> str:
    """Begin a login and approve it with a phone that has a token. Returns the scanner's tag."""
    code = desk.begin().json["verification_uri_complete"]
    with Phone(desk.site, "alice") as alice:
        alice.code = code
        assert [alice.send(verb).status for verb in ("scan", "confirm")] == [200, 200]
    return str(desk.look().json["scanned_by"]["tag"])


def redeemed(desk: Browser) -> httpx2.Response:
    """Approve a login of this page, and redeem it."""
    tag = approved(desk)
    page_of(desk)
    body = {"acknowledged": tag, "op": desk.op}
    return desk.http.post(f"/qr/{desk.login_id}/redeem", json=body)


# Bodies and CSRF. Every application here has read the body before. That a token in `Authorization`
# needs no CSRF token is in the story of tests/examples


@row(15)
@pytest.mark.parametrize("sent", [{}, {"Authorization": "Basic YWxpY2U6c2VjcmV0"}])
def test_a_phone_with_a_cookie_needs_a_csrf_token(site: Site, sent: dict[str, str]) -> None:
    """So does one whose browser sends `Authorization: Basic` on its own."""
    with Browser(site) as desk, Browser(site) as page:
        code = desk.begin().json["verification_uri_complete"]
        page.http.cookies.set("phone", "alice")
        refused = page.http.post("/qr/phone/scan", json={"code": code}, headers=sent)
        assert refused.status_code in (400, 403)
        assert {"forbidden", "invalid_csrf_token"} & set(refused.json().values())
        assert desk.look().json["state"] == "pending"
        page_of(page)
        scanned = page.http.post("/qr/phone/scan", json={"code": code})
        assert scanned.status_code == 200, scanned.text


@row(320)
def test_a_redeem_with_a_cookie_needs_a_csrf_token(site: Site, shop: Shop) -> None:
    with Browser(site) as desk:
        refused = desk.redeem(approved(desk))
        assert refused.status in (400, 403)
        assert {"forbidden", "invalid_csrf_token"} & set(refused.json.values())
        assert shop.log_ins == []
        assert desk.cancel().status == 200  # it needs the cookie of this login, and no token


# What `log_in` returns


def test_log_in_may_return_nothing(site: Site, shop: Shop) -> None:
    with Browser(site) as desk:
        answer = redeemed(desk)
        assert answer.json() == {"login_id": desk.login_id, "state": "redeemed"}


def test_log_in_may_return_a_body(site: Site, shop: Shop) -> None:
    shop.grant = "mapping"
    with Browser(site) as desk:
        answer = redeemed(desk)
        assert answer.json() == {"login_id": desk.login_id, "state": "redeemed", "session": NAME}
        assert answer.headers["content-type"] == "application/json; charset=utf-8"


def test_log_in_may_set_a_jwt_cookie(site: Site, shop: Shop) -> None:
    """And headers, and a body, but not those that describe the answer of the dialect."""
    shop.grant = "response"
    with Browser(site) as desk:
        answer = redeemed(desk)
        assert desk.http.cookies["jwt"] == JWT
        assert answer.headers["x-shop"] == "open"
        assert answer.json() == {"login_id": desk.login_id, "state": "redeemed", "session": NAME}
        assert answer.headers.get_list("content-type") == ["application/json; charset=utf-8"]
        assert answer.headers.get_list("cache-control") == ["no-store"]
        # Without CommonMiddleware, Django leaves the length out.
        assert set(answer.headers.get_list("content-length")) <= {str(len(answer.content))}


@row(69)
def test_a_browser_is_known_after_its_first_login_beside_the_applications_own_cookie(
    site: Site, shop: Shop
) -> None:
    shop.grant = "response"

    def known(desk: Browser, owner: str) -> bool:
        code = desk.begin().json["verification_uri_complete"]
        with Phone(site, owner) as phone:
            phone.code = code
            looked, scanned = phone.send("look").json, phone.send("scan").json
        assert looked["known_browser"] is scanned["known_browser"]
        return bool(scanned["known_browser"])

    with Browser(site) as desk, Browser(site) as other:
        assert known(desk, "alice") is False
        answer = redeemed(desk)
        assert desk.http.cookies["jwt"] == JWT
        (cookie,) = (
            line for line in answer.headers.get_list("set-cookie") if line.startswith("qrl-known=")
        )
        for attribute in ("httponly", "samesite=lax", "path=/", "max-age=34560000"):
            assert attribute in cookie.lower()
        assert [known(desk, who) for who in ("alice", "bob")] == [True, False]
        assert known(other, "alice") is False


@row(63)
@pytest.mark.parametrize("how", ["refusal", "framework's refusal", "Forbidden"])
def test_log_in_may_refuse(site: Site, shop: Shop, how: str) -> None:
    shop.grant = how
    with Browser(site) as desk:
        answer = redeemed(desk)
        assert answer.status_code == 403
        assert "redeemed" not in answer.text
        assert answer.headers["content-type"].startswith("application/json")
        assert "closed" in answer.text or answer.json()["error"] == "forbidden"
        assert "qrl-known" not in str(answer.headers.multi_items()), "no login: not known either"


# The judge


@row(70, 71)
@pytest.mark.parametrize(
    ("ruling", "refusal"),
    [
        (
            DENY("The office is closed."),
            {"error": "denied_by_site", "words": "The office is closed."},
        ),
        (STEP_UP("/unlock"), {"error": "step_up_needed", "step_up_uri": "/unlock"}),
        (None, {"error": "denied_by_site"}),  # it raises
    ],
    ids=["DENY", "STEP_UP", "failing"],
)
def test_a_judge_stops_a_phone_at_each_step(
    site: Site, shop: Shop, ruling: Ruling | None, refusal: dict[str, str]
) -> None:
    with Browser(site) as desk, Phone(site, "alice") as alice:
        alice.code = desk.begin().json["verification_uri_complete"]
        for verb, state in (("look", "pending"), ("scan", "pending"), ("confirm", "scanned")):
            shop.ruling = ruling
            refused = alice.send(verb)
            assert refused.status == 403
            assert refused.json.items() >= refusal.items()
            assert "secret" not in str(refused.json)
            assert desk.look().json["state"] == state, "the browser goes on waiting"
            shop.ruling = ALLOW
            assert alice.send(verb).status == 200
        scanned, person, request = shop.judged[-1]
        assert (scanned.login_id, person.subject, request.path) == (desk.login_id, "1", "confirm")
        assert request.all("authorization"), "the phone's own request"


# Responses


def test_a_stream_is_sent_as_it_comes(site: Site) -> None:
    parser, seen = Parser(), list[Any]()
    with Browser(site) as desk:
        desk.begin()
        with desk.http.stream("GET", f"/qr/{desk.login_id}/events") as answer:
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            for part in answer.iter_raw():
                seen += [event.json["state"] for event in parser.feed(part) if event.data]
                if seen == ["pending"]:
                    assert desk.cancel().status == 200
    assert seen == ["pending", "cancelled"]


def test_an_answer_without_content_describes_none(site: Site) -> None:
    """304 for a module that the browser has, and 204 for the stream of a login that is over."""
    with Browser(site) as desk:
        module = desk.http.get("/qr/qr-login-element.js")
        kept = desk.http.get(
            "/qr/qr-login-element.js", headers={"If-None-Match": module.headers["etag"]}
        )
        desk.begin()
        desk.cancel()
        version = desk.look().json["version"]
        over = desk.http.get(f"/qr/{desk.login_id}/events?after={version}")
    for answer, status in ((kept, 304), (over, 204)):
        assert (answer.status_code, answer.content) == (status, b"")
        assert "content-type" not in answer.headers


def test_a_module_of_this_version_is_kept_and_one_of_another_version_is_checked(
    site: Site,
) -> None:
    """While processes are replaced, a page of one asks the other for its modules."""
    with Browser(site) as desk:
        name = "qr-login-element.js"
        plain = desk.http.get(f"/qr/{name}")
        this = desk.http.get(f"/qr/modules/{version()}/{name}")
        other = desk.http.get(f"/qr/modules/{'0' * 16}/{name}")
        assert plain.content == this.content == other.content
        assert this.headers["cache-control"] == "max-age=31536000, immutable"
        assert other.headers["cache-control"] == plain.headers["cache-control"] == "no-cache"
        assert desk.http.get(f"/qr/modules/{version()}/qr-login-nothing.js").status_code == 404


def test_a_head_is_answered_as_the_endpoint_answers_it_without_a_body(site: Site) -> None:
    module = "qr-login-element.js"
    with QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI) as qr:
        alone = Endpoint(qr, max_waiting=1).browser(Request("HEAD", module))
    with Browser(site) as desk:
        answer = desk.http.head(f"/qr/{module}")
    assert (answer.status_code, answer.content) == (alone.status, b"")
    for name, value in alone.headers:
        assert answer.headers[name] == value


def test_an_unknown_path_and_a_wrong_method_get_json(site: Site) -> None:
    with Browser(site) as desk:
        assert desk.http.get("/qr/begin").status_code == 405
        answer = desk.http.post("/qr/nothing-here", json={})
        assert answer.status_code in (404, 405)
        assert json.loads(answer.content)
