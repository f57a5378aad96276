"""The cookie holds the browser's secret, is bound to its host, and cannot be planted."""

import time
from dataclasses import asdict
from http.cookies import SimpleCookie

import pytest
from starlette.responses import Response as StarletteResponse
from werkzeug.wrappers import Response as WerkzeugResponse

from qrlogin import Misconfigured, Policy
from qrlogin.wire import Cookie
from tests.application import TO_END
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.mount import ALICE, ORIGIN, Colour, Mount, Tab, get, post, reach, read

LOOPBACK = "http://127.0.0.1:8000/qr"


@row(33, 322, 408, 409)
def test_over_https_a_cookie_is_bound_to_its_host(mount: Mount) -> None:
    tab = Tab(mount)
    (cookie,) = tab.begin().cookies
    assert cookie.key.startswith("__Host-qrl-")
    assert asdict(cookie) == {
        "key": tab.cookie,
        "value": tab.device_code,
        # until its end, however late the scan comes, and while its redeem can be repeated
        "max_age": TO_END + 30,
        "path": "/",
        "secure": True,
        "httponly": True,
        "samesite": "Lax",
    }
    assert (
        cookie.header()
        == f"{tab.cookie}={tab.device_code}; Max-Age=370; Path=/; SameSite=Lax; Secure; HttpOnly"
    )


def test_a_cookie_over_plain_http_on_loopback_is_not_secure(colour: Colour) -> None:
    with Mount(colour, uri=LOOPBACK) as mount:
        (cookie,) = Tab(mount).begin().cookies
        assert cookie.key.startswith("qrl-")
        assert cookie.header().endswith("; Max-Age=370; Path=/; SameSite=Lax; HttpOnly")


def test_only_the_configured_origin_decides_whether_a_cookie_is_secure(colour: Colour) -> None:
    for uri, secure in ((LOOPBACK, False), (f"{ORIGIN}/qr", True)):
        with Mount(colour, uri=uri) as mount:
            for header in (
                ("x-forwarded-proto", "https"),
                ("x-forwarded-proto", "http"),
                ("forwarded", "proto=http"),
                ("host", "x"),
            ):
                assert Tab(mount).begin(header).cookies[0].secure is secure


@row(455)
def test_plain_http_outside_loopback_is_refused_at_construction() -> None:
    with pytest.raises(Misconfigured, match="must be https"):
        Mount("sync", uri="http://192.168.1.2/qr")
    with Mount("sync", uri="http://192.168.1.2/qr", policy=Policy(plain_http=True)) as mount:
        assert not Tab(mount).begin().cookies[0].secure


@row(33)
def test_the_policy_decides_how_long_a_cookie_lives(colour: Colour) -> None:
    with Mount(
        colour,
        policy=Policy(
            lifetime=60,
            late_window=40,
            decide_window=50,
            redeem_window=15,
            rotation=15,
            rotation_grace=5,
            replay_window=10,
        ),
    ) as mount:
        assert Tab(mount).begin().cookies[0].max_age == 60 + 40 + 50 + 15 + 10


def test_standard_cookie_parsers_read_the_cookie(mount: Mount) -> None:
    (cookie,) = Tab(mount).begin().cookies
    (morsel,) = SimpleCookie(cookie.header()).values()
    assert (morsel.key, morsel.value, morsel["max-age"], morsel["path"]) == (
        cookie.key,
        cookie.value,
        "370",
        "/",
    )
    assert morsel["secure"]
    assert morsel["httponly"]


def test_only_begin_and_redeem_set_a_cookie(mount: Mount) -> None:
    tab = reach(mount, "confirmed")
    answers = [
        tab.look(),
        tab.send(get(f"{tab.login_id}/qr.svg")),
        tab.phone("scan"),
        tab.phone("confirm"),
    ]
    assert [cookie.key for cookie in tab.redeem().cookies] == ["__Host-qrl-known"]
    answers += [
        tab.cancel(),
        mount.browser(get(tab.login_id)),
        mount.browser(post("begin", {"deliver": "body"})),
    ]
    assert all(answer.cookies == () for answer in answers)


def test_two_tabs_keep_their_own_logins(mount: Mount) -> None:
    jar: dict[str, str] = {}
    one, two = Tab(mount, jar), Tab(mount, jar)
    one.begin()
    two.begin()
    assert len(jar) == 2
    one.phone("scan")
    assert (read(one.look())["state"], read(two.look())["state"]) == ("scanned", "pending")
    one.phone("confirm")
    assert one.redeem().redeemed
    assert read(two.look())["state"] == "pending"
    two.cancel()
    assert (read(one.look())["state"], read(two.look())["state"]) == ("redeemed", "cancelled")


def test_a_browser_keeps_four_logins_and_drops_the_oldest(mount: Mount) -> None:
    jar: dict[str, str] = {}
    tabs = []
    for count in range(1, 8):
        tab = Tab(mount, jar)
        answer = tab.begin()
        tabs.append(tab)
        ended = [cookie for cookie in answer.cookies if cookie.max_age == 0]
        assert len(jar) == min(count, 4)
        assert len(ended) == (count > 4)
        for cookie in ended:
            assert (cookie.value, cookie.path, cookie.secure, cookie.httponly) == (
                "",
                "/",
                True,
                True,
            )
        mount.clock.advance(1)
    assert [tab.look().status for tab in tabs] == [404, 404, 404, 200, 200, 200, 200]


@row(411)
def test_too_many_cookies_are_reduced_to_four(mount: Mount) -> None:
    jar: dict[str, str] = {}
    for _ in range(12):
        Tab(mount, jar).begin()  # all in the same millisecond
    crowd = {f"__Host-qrl-{number:08x}": f"x.x.{number}" for number in range(40)}
    tab = Tab(mount, crowd)
    answer = tab.begin()
    assert len(crowd) == 4
    assert tab.look().status == 200
    assert sorted(name for name in crowd if name != tab.cookie) == [
        f"__Host-qrl-{number:08x}" for number in (37, 38, 39)
    ]
    assert len(answer.cookies) == 1 + 37


def test_a_header_full_of_cookies_costs_little(mount: Mount) -> None:
    """Another host of the domain can plant as many as the server accepts: 64 KB, for example."""
    crowd = {f"__Host-qrl-{number:08x}": "" for number in range(2500)}
    tab = Tab(mount, crowd)
    started = time.process_time()
    answer = tab.begin()
    assert time.process_time() - started < 0.1  # 12 ms for the cookies alone, without the limit
    assert len(answer.cookies) <= 1 + 50
    assert tab.look().status == 200


def test_cookies_of_other_names_are_left_alone(mount: Mount) -> None:
    foreign = {f"session{number}": "x" for number in range(9)}
    foreign |= {
        "qrl-01234567": "x",
        "__Host-qrl-0123456": "x",
        "__Host-qrl-012345678": "x",
        "__Host-qrl-ABCDEF01": "x",
    }
    foreign |= {
        "__Host-qrl-01234567\r\nset-cookie: a": "b",
        "__Host-qrl-": "x",
        "__Secure-qrl-01234567": "x",
    }
    tab = Tab(mount, dict(foreign))
    assert len(tab.begin().cookies) == 1
    assert tab.jar.items() > foreign.items()


@row(4)
def test_a_planted_cookie_is_never_kept(mount: Mount) -> None:
    attacker = reach(mount, "pending")
    planted = dict(attacker.jar)
    victim = Tab(mount, planted)
    victim.begin()
    assert victim.login_id != attacker.login_id
    assert victim.device_code != attacker.device_code
    victim.phone("scan")
    victim.phone("confirm")
    assert attacker.send(get(victim.login_id)).status == 404
    assert attacker.redeem().status == 409
    redeemed = victim.redeem().redeemed
    assert redeemed
    assert redeemed.subject == ALICE.subject


@row(4)
def test_each_begin_returns_new_codes(mount: Mount) -> None:
    tab = Tab(mount)
    seen = set()
    for _ in range(50):
        tab.begin()
        seen |= {tab.login_id, tab.device_code, tab.code, tab.cookie}
    assert len(seen) == 200


def test_two_cookies_for_one_login_are_refused(mount: Mount) -> None:
    tab = reach(mount, "scanned")
    asked = len(mount.store.calls)
    own = f"{tab.cookie}={tab.device_code}"
    for sent in (
        [("cookie", f"{own}; {own}")],
        [("cookie", f"{own}; {tab.cookie}=planted")],
        [("cookie", f"{tab.cookie}=planted; {own}")],
        [("cookie", own), ("cookie", own)],  # HTTP/2 splits cookies over headers
        [("cookie", f"{own};{tab.cookie}")],
    ):
        for request in (get(tab.login_id, "", *sent), post(f"{tab.login_id}/cancel", {}, *sent)):
            answer = mount.browser(request)
            assert (answer.status, read(answer)["error"]) == (400, "invalid_request")
    assert len(mount.store.calls) == asked


@for_each_row(
    "form",
    ["{}", " {} ", "a=b; {}", "a=b;{};c=d", "a; {}", "=; {}", ";;;{};", 'a="b; {}', "é=…; {}"],
)
def test_a_cookie_is_found_among_other_cookies(mount: Mount, form: str) -> None:
    tab = reach(mount, "pending")
    own = f"{tab.cookie}={tab.device_code}"
    assert mount.browser(get(tab.login_id, "", ("cookie", form.format(own)))).status == 200
    assert (
        mount.browser(get(tab.login_id, "", ("cookie", "a=b"), ("cookie", form.format(own)))).status
        == 200
    )


def test_a_framework_accepts_the_fields_of_a_cookie() -> None:
    cookie = Cookie("__Host-qrl-01234567", "a.b-c_d", 180)
    for made in (WerkzeugResponse(), StarletteResponse()):
        made.set_cookie(**asdict(cookie))
        parts = {part.strip().lower() for part in made.headers["set-cookie"].split(";")}
        assert {part for part in parts if not part.startswith("expires=")} == {
            part.strip().lower() for part in cookie.header().split(";")
        }
