"""The pages of the FastAPI example: forms, `next`, sessions, passwords, security headers."""

import re
import sys
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.examples.fastapi_served import Served, served, signed_up
from tests.examples.visitors import PASSWORD, Visitor
from tests.security_rows import row
from tests.servers import LOOPBACK
from tests.wire.clock import PATIENCE_SECONDS, eventually


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("pages")) as each:
        yield each


def ask(method: str, url: str, **more: Any) -> httpx2.Response:
    """Send a request without a browser's headers, with a longer time-out than usual."""
    return httpx2.request(method, url, timeout=PATIENCE_SECONDS, **more)


def test_a_wrong_method_gets_405_with_the_allowed_ones(site: Served) -> None:
    for method, path, allowed in (
        ("PUT", "begin", "POST"),
        ("HEAD", "phone/scan", "POST"),
        ("DELETE", "A" * 22, "GET, HEAD"),
    ):
        answer = ask(method, f"{site.origin}/qrlogin/{path}")
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


def test_a_form_of_another_site_is_refused(site: Served) -> None:
    fields = {"name": "nobody", "password": PASSWORD}
    with signed_up(site, "alice") as alice:
        for path in ("/login", "/signup", "/logout"):
            for headers in (
                {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
                {"Sec-Fetch-Site": "same-site"},
                {
                    "Origin": f"http://localhost:{site.origin.rpartition(':')[2]}",
                    "Sec-Fetch-Site": "same-site",
                },
            ):
                answer = alice.http.post(path, data=fields, headers=headers)
                assert answer.status_code == 403, (path, headers)
                assert "set-cookie" not in answer.headers
            answer = ask(
                "POST", f"{site.origin}{path}", data=fields
            )  # nothing says that a page sent it
            assert answer.status_code == 403
        assert "alice" in alice.http.get("/").text
    with Visitor(site.origin) as visitor:
        assert visitor.send_form("/login", **fields).status_code == 200, "no account was created"


def test_a_form_that_is_long_or_repeats_a_field_is_refused(site: Served) -> None:
    own = {"Origin": site.origin, "Content-Type": "application/x-www-form-urlencoded"}
    for body, status in (
        ("name=" + "x" * 5000, 413),
        ("name=a&name=b&password=c", 400),
        ('{"name":"a"}', 415),
    ):
        kind = {"Content-Type": "application/json"} if status == 415 else {}
        answer = ask("POST", f"{site.origin}/login", content=body, headers=own | kind)
        assert (answer.status_code, answer.headers["content-type"]) == (
            status,
            "text/html; charset=utf-8",
        )


ELSEWHERE = (
    *(
        "//elsewhere.example",
        "https://elsewhere.example",
        "/\\elsewhere.example",
        "\\\\elsewhere.example",
        "javascript:alert(1)",
    ),
    *(
        "/%0d%0aSet-Cookie:a=b",
        " //elsewhere.example",
        "/\t/elsewhere.example",
        "/%2f/elsewhere.example",
        "",
    ),
)


def test_next_accepts_only_paths_of_this_site(site: Served) -> None:
    assert {sys.modules["pages"].local_path(target) for target in ELSEWHERE} == {"/"}
    own = "/qr/abc.1-_?user_code=WDJB-MJHT"
    with signed_up(site, "nina") as nina:
        for target, led in ((ELSEWHERE[0], "/"), (own, own)):
            answers = [nina.http.get("/login", params={"next": target})]
            sent = {"name": "nina", "password": PASSWORD, "next": target}
            answers.append(nina.http.post("/login", data=sent, headers={"Origin": site.origin}))
            assert [(answer.status_code, answer.headers["location"]) for answer in answers] == [
                (303, led)
            ] * 2


@row(18, 318, 443)
def test_a_planted_session_is_worth_nothing_after_a_login(site: Served) -> None:
    """An attacker who planted a session in a browser cannot use the new one."""
    signed_up(site, "bob").http.close()
    with signed_up(site, "mallory") as mallory, Visitor(site.origin) as victim:
        planted = mallory.jar()["session"]
        victim.http.cookies.set("session", planted, domain=LOOPBACK)
        sent = {"name": "bob", "password": PASSWORD}
        answer = victim.http.post("/login", data=sent, headers={"Origin": site.origin})
        assert answer.status_code == 303
        fresh = re.findall("session=([^;]+)", answer.headers["set-cookie"])
        assert fresh
        assert fresh[0] != planted
        assert "bob" not in mallory.http.get("/").text


class Watched:
    """A hasher that calls `watch` while it works."""

    def __init__(self, real: Any, watch: Any) -> None:
        self.real, self.watch = real, watch

    def verify_and_update(self, password: str, kept: str) -> Any:
        self.watch(kept)
        return self.real.verify_and_update(password, kept)

    def hash(self, password: str) -> Any:
        return self.real.hash(password)


def test_an_unknown_name_costs_a_hash_and_hashing_holds_no_connection(
    site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_up(site, "carol").http.close()
    eventually(
        lambda: site.module.engine.pool.checkedout() == 0
    )  # an answer is sent before its connection is given back
    accounts, seen = sys.modules["accounts"], list[tuple[str, int]]()
    watch = lambda kept: seen.append((kept[:9], site.module.engine.pool.checkedout()))  # noqa: E731
    monkeypatch.setattr(accounts, "_hasher", Watched(vars(accounts)["_hasher"], watch))
    with Visitor(site.origin) as visitor:
        for name in ("carol", "nobody-is-called-that"):
            answer = visitor.send_form("/login", name=name, password="wrong but long enough")
            assert (answer.status_code, "Incorrect username or password" in answer.text) == (
                200,
                True,
            )
    assert seen == [("$argon2id", 0)] * 2


def test_a_weaker_password_hash_is_renewed_at_login(
    site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_up(site, "dora").http.close()
    accounts = sys.modules["accounts"]

    class Stronger(Watched):
        def verify_and_update(self, password: str, kept: str) -> Any:
            return self.real.verify(password, kept), "stronger"

    monkeypatch.setattr(accounts, "_hasher", Stronger(vars(accounts)["_hasher"], None))
    with site.module.Session(site.module.engine) as db:
        for password, found in (("wrong", None), (PASSWORD, "dora")):
            account = accounts.authenticate(db, "dora", password)
            assert (account and account.name) == found
        assert account.password_hash == "stronger"


# Headers


def test_every_page_has_the_security_headers(site: Served) -> None:
    for path in ("/nowhere", "/static/style.css", "/qr/abc", "/qrlogin/nowhere/at/all"):
        headers = ask("GET", f"{site.origin}{path}").headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == (
            "no-referrer" if path == "/qr/abc" else "same-origin"
        ), path
    page = ask("GET", f"{site.origin}/login", headers={"Accept-Language": "zh-CN"})
    assert '<html lang="zh-CN" dir="ltr">' in page.text


def test_a_failure_and_the_docs_have_the_security_headers_too(
    site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["accounts"], "_hasher", None)
    form = {"name": "a", "password": PASSWORD}
    failed = ask("POST", f"{site.origin}/login", data=form, headers={"Origin": site.origin})
    docs = ask("GET", f"{site.origin}/docs")
    assert (failed.status_code, docs.status_code) == (500, 200)
    assert "content-security-policy" in failed.headers
    assert "content-security-policy" not in docs.headers
    for answer in (failed, docs):
        guards = [
            answer.headers[name]
            for name in ("x-frame-options", "x-content-type-options", "cache-control")
        ]
        assert guards == ["DENY", "nosniff", "no-store"]


def test_requests_for_another_host_are_refused(site: Served) -> None:
    port = site.origin.rpartition(":")[2]
    for path in ("/login", "/qrlogin/begin/", "/static"):
        for host in ("evil.example", f"evil.example:{port}", "localhost.evil.example", ""):
            answer = ask("GET", f"{site.origin}{path}", headers={"Host": host})
            assert (answer.status_code, "location" in answer.headers) == (400, False), (path, host)
            assert answer.headers["x-frame-options"] == "DENY"
    moved = ask("GET", f"{site.origin}/login?next=/qr", headers={"Host": f"localhost:{port}"})
    assert (moved.status_code, moved.headers["location"]) == (307, f"{site.origin}/login?next=/qr")
