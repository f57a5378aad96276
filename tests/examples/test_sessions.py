"""The sessions of the examples: which browsers a phone logged in, and how they are ended."""

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from tests.examples.running import Running
from tests.examples.story import Desk
from tests.examples.visitors import PASSWORD, OfExamples, Visitor
from tests.security_rows import row

pytestmark = pytest.mark.long

#: How an administrator locks an account: the database's file, and the statement for a name.
LOCKS = {
    "Flask": ("instance/people.sqlite3", "UPDATE account SET is_locked = 1 WHERE name = ?"),
    "FastAPI": ("instance/people.sqlite3", "UPDATE account SET is_locked = 1 WHERE name = ?"),
    "Django": ("instance/db.sqlite3", "UPDATE auth_user SET is_active = 0 WHERE username = ?"),
}


#: The table of sessions that logins by phone started.
TABLES = {
    "Flask": "browser_session",
    "FastAPI": "browser_session",
    "Django": "accounts_phonelogin",
}
DESKTOP = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 Version/17 Safari"


def lock(example: Running, name: str) -> None:
    file, statement = LOCKS[example.example.name]
    with closing(sqlite3.connect(example.folder / file, timeout=20)) as database, database:
        assert database.execute(statement, (name,)).rowcount == 1


def log_in(manner: OfExamples, example: Running, phone: Visitor) -> Desk:
    """A new browser that this phone logs in."""
    desk = approved(manner, example, phone)
    assert desk.redeem(desk.look()["scanned_by"]["tag"]).status_code == 200
    assert manner.who(desk.visitor) == "alice"
    return desk


def approved(manner: OfExamples, example: Running, phone: Visitor) -> Desk:
    desk = Desk(manner.browser(example.origin)).begin()
    for verb in ("scan", "confirm"):
        assert phone.post(f"phone/{verb}", code=desk.complete).status_code == 200
    return desk


def listed(visitor: Visitor) -> list[str]:
    """The id of each session that the page lists, the newest first."""
    return re.findall(r'name="session" value="(\d+)"', visitor.http.get("/browsers").text)


def end(visitor: Visitor, number: str) -> None:
    from_page = {"Origin": visitor.origin, "Referer": f"{visitor.origin}/browsers"}
    fields = {**visitor.page("/").hidden(), "session": number}
    answer = visitor.http.post("/browsers", data=fields, headers=from_page)
    assert answer.status_code in (302, 303), answer.text


@row(116, 445)
def test_the_phone_lists_the_browsers_that_it_logged_in_and_ends_one_or_all(
    example: Running,
) -> None:
    manner = OfExamples()
    phone, stranger = manner.phone(example.origin, "alice"), manner.phone(example.origin, "bob")
    first, second, third = (log_in(manner, example, phone) for _ in range(3))
    page = phone.http.get("/browsers").text
    shown = re.sub(r"<[^>]+>|\s+", " ", page.partition("<li>")[2].partition("</li>")[0])
    since = re.search(
        r"Firefox, Linux .*Since +(\d{4}-\d\d-\d\d \d\d:\d\d) UTC .*IP address", shown
    )
    assert since, shown
    ago = datetime.now(UTC) - datetime.fromisoformat(f"{since[1]}+00:00")
    assert ago < timedelta(minutes=5)
    assert re.search(r"Approved on +Firefox, Linux", shown), shown
    newest, middle, oldest = listed(phone)
    assert listed(stranger) == []
    assert "(this browser)" not in page
    assert page.count("<li>") == second.visitor.http.get("/browsers").text.count("<li>") == 3
    assert second.visitor.http.get("/browsers").text.count("(this browser)") == 1
    end(stranger, middle)
    end(stranger, "all")
    assert manner.who(second.visitor) == "alice", "another account ends nothing"
    end(phone, middle)
    assert [manner.who(each.visitor) for each in (first, second, third)] == ["alice", "", "alice"]
    assert listed(phone) == [newest, oldest]
    # A copy of the cookie is worth nothing, either: what was ended is the session, on the server.
    assert manner.who(second.visitor) == ""
    end(phone, "all")
    assert [manner.who(each.visitor) for each in (first, third)] == ["", ""]
    assert listed(phone) == []
    assert manner.who(phone) == "alice", "the phone itself was not logged in by a phone"
    elsewhere = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = phone.http.post("/browsers", data={"session": "all"}, headers=elsewhere)
    assert answer.status_code in (400, 403), "no other site can end a session"
    for each in (phone, stranger, *(desk.visitor for desk in (first, second, third))):
        each.http.close()


def test_a_browser_that_logged_out_is_listed_no_longer_and_its_cookie_is_worthless(
    example: Running,
) -> None:
    manner = OfExamples()
    phone = manner.phone(example.origin, "alice")
    with log_in(manner, example, phone) as desk, Visitor(example.origin) as thief:
        thief.http.cookies.update(desk.visitor.http.cookies)
        assert manner.who(thief) == "alice"
        manner.log_out(desk.visitor)
        assert listed(phone) == []
        assert manner.who(thief) == ""
    phone.http.close()


@row(2)
def test_one_login_is_one_session_even_if_its_redeem_was_sent_twice(example: Running) -> None:
    manner = OfExamples()
    phone = manner.phone(example.origin, "alice")
    with approved(manner, example, phone) as desk:
        tag = desk.look()["scanned_by"]["tag"]
        before = httpx2.Cookies(desk.visitor.http.cookies)
        assert desk.redeem(tag).status_code == 200
        first = httpx2.Cookies(desk.visitor.http.cookies)
        desk.visitor.http.cookies = before  # the answer was lost, and its cookie with it
        assert desk.redeem(tag).status_code == 200
        assert len(listed(phone)) == 1
        assert manner.who(desk.visitor) == "alice"
        desk.visitor.http.cookies = first  # in truth it was late, and both are good
        assert manner.who(desk.visitor) == "alice"
        file, table = LOCKS[example.example.name][0], TABLES[example.example.name]
        with closing(sqlite3.connect(example.folder / file, timeout=20)) as database, database:
            database.execute(f"DELETE FROM {table} WHERE login_id = ?", (desk.login_id,))
        desk.visitor.http.cookies = before  # the server failed before it kept the session
        assert desk.redeem(tag).status_code == 200
        assert manner.who(desk.visitor) == "alice"
    phone.http.close()


def test_the_database_holds_a_login_once_and_no_address_of_a_login_by_password(
    example: Running,
) -> None:
    manner, table = OfExamples(), TABLES[example.example.name]
    phone = manner.phone(example.origin, "alice")
    with log_in(manner, example, phone), log_in(manner, example, phone):
        file = example.folder / LOCKS[example.example.name][0]
        with closing(sqlite3.connect(file, timeout=20)) as database:
            kept = database.execute(f"SELECT login_id, address FROM {table}").fetchall()
            by_phone = [login_id for login_id, _ in kept if login_id]
            assert len(by_phone) >= 2
            assert {address for login_id, address in kept if not login_id} <= {""}
            twice = f"UPDATE {table} SET login_id = ? WHERE login_id = ?"
            with pytest.raises(sqlite3.IntegrityError, match=r"UNIQUE.*login_id"):
                database.execute(twice, by_phone[:2])
    phone.http.close()


def test_a_phone_that_requests_the_desktop_site_can_still_confirm(example: Running) -> None:
    manner = OfExamples()
    phone = manner.phone(example.origin, "alice")
    with Desk(manner.browser(example.origin)).begin() as desk:
        assert phone.post("phone/scan", code=desk.complete).status_code == 200
        phone.http.headers["User-Agent"] = DESKTOP
        assert phone.post("phone/confirm", code=desk.complete).status_code == 200
        assert desk.redeem(desk.look()["scanned_by"]["tag"]).status_code == 200
        page = phone.http.get("/browsers").text
        assert re.search(r"Approved on\s+Firefox, Linux", re.sub("<[^>]+>", " ", page)), page
    phone.http.close()


def test_two_phones_of_one_account_are_two_phones(example: Running) -> None:
    """Even if they are the same browser: a scan on one is not confirmed on the other."""
    manner = OfExamples()
    first, second = manner.phone(example.origin, "alice"), Visitor(example.origin)
    second.send_form("/login", name=manner.named("alice"), password=PASSWORD)
    assert manner.who(second) == "alice"
    second.page("/qr")
    with Desk(manner.browser(example.origin)).begin() as desk:
        assert first.post("phone/scan", code=desk.complete).status_code == 200
        assert second.post("phone/confirm", code=desk.complete).status_code == 404
        assert first.post("phone/confirm", code=desk.complete).status_code == 200
    for each in (first, second):
        each.http.close()


@row(63, 444)
def test_an_account_that_is_locked_after_the_approval_gets_nothing(example: Running) -> None:
    """Nor do the sessions that it has."""
    manner = OfExamples()
    phone = manner.phone(example.origin, "alice")
    with log_in(manner, example, phone) as before, approved(manner, example, phone) as desk:
        tag = desk.look()["scanned_by"]["tag"]
        lock(example, manner.named("alice"))
        refused = desk.redeem(tag)
        assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")
        assert desk.redeem(tag).status_code == 403, "nor at the second try"
        assert manner.who(desk.visitor) == ""
        assert manner.who(before.visitor) == ""
        assert manner.who(phone) == ""
        assert phone.post("phone/confirm", code=desk.complete).status_code in (401, 403)
        again = phone.send_form("/login", name=manner.named("alice"), password="a password")
        assert again.status_code == 200, "the page says that the password is wrong"
    phone.http.close()
