"""The operator's page of the examples: one story for Flask, FastAPI and Django's own admin.

Each example runs as two processes over one database: what an operator does in one of them counts
in the other, and both add to the same numbers.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from qrlogin.browser import texts
from tests.examples.operators import DJANGO_ACT, DJANGO_LIST, Operator, plain, signed_in
from tests.examples.running import ALL, Running
from tests.examples.story import Desk
from tests.examples.test_sessions import end, listed, lock
from tests.examples.visitors import PASSWORD, OfExamples, Visitor

pytestmark = pytest.mark.long

PAUSED = texts("en")["login"]["paused"]
#: `make test` tells it with Flask alone, the matrix with all three.
CASES = [pytest.param(name, marks=[] if name == "Flask" else pytest.mark.matrix) for name in ALL]


@pytest.mark.parametrize("name", CASES)
def test_an_operator_ends_sessions_pauses_logins_and_reads_the_numbers_of_all_workers(
    name: str,
) -> None:
    with Running(ALL[name]) as first:
        with Running(ALL[name], folder=first.folder) as second:
            tell(first, second)
            assert "Traceback" not in second.log
        restarted(first)
        assert "Traceback" not in first.log


def test_djangos_admin_ends_each_session_that_it_lists(
    started: Callable[[str], Running],
) -> None:
    """Its page that deletes a row ends the session, and a new password hides no session."""
    server, manner = started("Django"), OfExamples()
    phone = signed_in(server, manner.named("pat"))
    phone.page("/qr")
    operator = Operator(signed_in(server, manner.named("olga")), is_django=True)
    with logged_in(manner, phone, "pat") as desk:
        page = f"{DJANGO_LIST}{operator.rows()[0][0]}/delete/"
        hidden = operator.visitor.page(page).hidden()
        assert operator.post(page, **hidden).status_code == 302
        assert manner.who(desk.visitor) == ""
    with logged_in(manner, phone, "pat") as desk:
        passwords = {"new_password1": PASSWORD[::-1], "new_password2": PASSWORD[::-1]}
        page = "/staff/password_change/"
        changed = desk.visitor.send_form(page, old_password=PASSWORD, **passwords)
        assert changed.status_code == 302, plain(changed.text)
        assert manner.who(desk.visitor) == "pat"
        number, text = operator.rows()[0]
        assert manner.named("pat") in text
        operator.end_one(number)
        assert manner.who(desk.visitor) == ""
    for each in (phone, operator.visitor):
        each.http.close()


def test_a_static_file_whose_name_holds_a_nul_is_not_found(example: Running) -> None:
    with Visitor(example.origin) as visitor:
        assert visitor.http.get("/static/%00.css").status_code == 404


def tell(first: Running, second: Running) -> None:
    manner = OfExamples(shared=False)
    operator = Operator(signed_in(first, "olga"), first.example.name == "Django")
    alice, bob = manner.phone(first.origin, "alice"), manner.phone(second.origin, "bob")
    for_staff_alone(first, operator, alice)

    assert operator.rows() == []
    of_alice = [logged_in(manner, alice, "alice") for _ in range(2)]
    of_bob = logged_in(manner, bob, "bob")
    shows_who_is_logged_in(operator, [*of_alice, of_bob])
    ended_in(manner, alice, "deny")
    ended_in(manner, bob, "cancel")
    begun(manner, first).visitor.http.close()
    assert operator.numbers() == {
        "Begun": 6,
        "Logged in": 3,
        "Declined on the phone": 1,
        "Cancelled in the browser": 1,
        "Open or expired": 1,
    }

    counts_what_is_redeemed(first, operator, manner)

    newest_of_alice = operator.rows()[1][0]
    operator.end_one(newest_of_alice)
    assert [manner.who(each.visitor) for each in (*of_alice, of_bob)] == ["alice", "", "bob"]
    of_alice.append(logged_in(manner, alice, "alice"))
    operator.end_person(operator.rows()[0][0])
    assert [manner.who(each.visitor) for each in (*of_alice, of_bob)] == ["", "", "", "bob"]
    operator.press("everybody")
    assert manner.who(of_bob.visitor) == ""
    assert operator.rows() == []
    assert manner.who(alice) == "alice", "the phone was logged in with a password"
    an_ended_login_starts_no_other_session(operator, manner, alice)

    under_way = begun(manner, first)
    no_other_site_pauses(operator, manner)
    operator.press("pause")
    assert "by olga" in plain(operator.html())
    for server in (first, second):
        refuses_and_offers_the_password(server, manner)
    finish(under_way, alice)
    assert manner.who(under_way.visitor) == "alice"
    for each in (alice, bob, *(desk.visitor for desk in (*of_alice, of_bob, under_way))):
        each.http.close()


def restarted(first: Running) -> None:
    """Another process, after all others of that kind are over."""
    manner = OfExamples(shared=False)
    with Running(first.example, folder=first.folder) as third:
        refuses_and_offers_the_password(third, manner)
        visitor = Visitor(third.origin)
        fields = {"name": "olga", "password": "a long enough passphrase 7"}
        assert visitor.send_form("/login", **fields).status_code in (302, 303)
        operator = Operator(visitor, third.example.name == "Django")
        operator.press("resume")
        assert "New logins by phone are accepted." in plain(operator.html())
        for server in (first, third):
            begun(manner, server).visitor.http.close()
            assert "<qr-login" in page_of(server)
        visitor.http.close()


def for_staff_alone(server: Running, operator: Operator, alice: Visitor) -> None:
    """Another account gets the page that says "not found", and nothing happens."""
    paths = ["/staff/", operator.path] if operator.is_django else ["/staff"]
    with Visitor(server.origin) as stranger:
        for path in paths:
            sent = stranger.http.get(path)
            assert sent.status_code == 302
            assert "login" in sent.headers["location"]
            seen = alice.http.get(path)
            assert seen.status_code == 404
            assert texts("en")["pages"]["notFound"] in seen.text
        for visitor in (stranger, alice):
            path = DJANGO_ACT if operator.is_django else "/staff"
            fields = {**visitor.page("/signup").hidden(), "do": "pause"}
            other = Operator(visitor, operator.is_django)
            assert other.post(path, **fields).status_code in (302, 303, 404)
    assert "Operator" not in alice.http.get("/").text
    assert "Operator" in operator.visitor.http.get("/").text
    assert "New logins by phone are accepted." in plain(operator.html())


def shows_who_is_logged_in(operator: Operator, desks: list[Desk]) -> None:
    rows = [text for _, text in operator.rows()]
    assert [("bob" in text, "alice" in text) for text in rows] == [
        (True, False),
        (False, True),
        (False, True),
    ]
    today = datetime.now(UTC)
    for text in rows:
        assert text.count("Firefox, Linux") == 2, "the browser, and the phone that approved"
        times = re.findall(r"(\d{4})-\d\d-\d\d \d\d:\d\d UTC", text)
        assert len(times) == 2, (text, "since when, and when it was last seen")
        assert {*times} == {str(today.year)}
    page = operator.html()
    for desk in desks:
        for secret in (desk.login_id, *desk.visitor.jar().values()):
            assert secret not in page


def counts_what_is_redeemed(server: Running, operator: Operator, manner: OfExamples) -> None:
    """Even if no session begins, because the account was locked: the README says so."""
    before = operator.numbers()["Logged in"]
    with manner.phone(server.origin, "carol") as carol, begun(manner, server) as desk:
        for verb in ("scan", "confirm"):
            assert carol.post(f"phone/{verb}", code=desk.complete).status_code == 200
        lock(server, "carol")
        assert desk.redeem(desk.look()["scanned_by"]["tag"]).status_code == 403
    assert operator.numbers()["Logged in"] == before + 1
    section = server.example.readme.partition("## The operator's page")[2].partition("\n## ")[0]
    assert '"Logged in" counts redeemed logins' in " ".join(section.split())


def an_ended_login_starts_no_other_session(
    operator: Operator, manner: OfExamples, alice: Visitor
) -> None:
    """Whichever way it was ended, and whatever the browser does before it redeems again."""
    ways: dict[str, Callable[[], None]] = {
        "one": lambda: operator.end_one(operator.rows()[0][0]),
        "person": lambda: operator.end_person(operator.rows()[0][0]),
        "everybody": lambda: operator.press("everybody"),
        "own page": lambda: end(alice, listed(alice)[0]),
    }
    for way, end_it in ways.items():
        with logged_in(manner, alice, "alice") as desk:
            end_it()
            for _ in range(2):
                again = desk.redeem(desk.tag)
                assert (again.status_code, again.json().get("error")) == (403, "forbidden"), way
                assert (manner.who(desk.visitor), operator.rows(), listed(alice)) == ("", [], [])
                manner.log_out(desk.visitor)
                desk.visitor.page("/login")


def no_other_site_pauses(operator: Operator, manner: OfExamples) -> None:
    path = DJANGO_ACT if operator.is_django else "/staff"
    hidden = operator.visitor.page(operator.path).hidden()
    without_token = {name: text for name, text in hidden.items() if "csrf" not in name}
    forged = operator.post(path, "https://evil.example", **without_token, do="pause")
    assert forged.status_code in (400, 403)
    assert "New logins by phone are accepted." in plain(operator.html())


def refuses_and_offers_the_password(server: Running, manner: OfExamples) -> None:
    page = page_of(server)
    assert PAUSED in plain(page)
    assert "<qr-login" not in page
    assert 'type="password"' in page
    with Visitor(server.origin) as visitor:
        visitor.page("/login")
        refused = visitor.post("begin")
        assert (refused.status_code, refused.json()["error"]) == (503, "paused")
        assert refused.headers["retry-after"] == "60"


def page_of(server: Running) -> str:
    with Visitor(server.origin) as visitor:
        return str(visitor.http.get("/login").text)


def begun(manner: OfExamples, server: Running) -> Desk:
    return Desk(manner.browser(server.origin)).begin()


def logged_in(manner: OfExamples, phone: Visitor, name: str) -> Desk:
    """A new browser that this phone logs in, on the phone's server."""
    desk = Desk(manner.browser(phone.origin)).begin()
    finish(desk, phone)
    assert manner.who(desk.visitor) == name
    return desk


def finish(desk: Desk, phone: Visitor) -> None:
    for verb in ("scan", "confirm"):
        assert phone.post(f"phone/{verb}", code=desk.complete).status_code == 200
    assert desk.redeem(desk.look()["scanned_by"]["tag"]).status_code == 200


def ended_in(manner: OfExamples, phone: Visitor, how: str) -> None:
    with Desk(manner.browser(phone.origin)).begin() as desk:
        assert phone.post("phone/scan", code=desk.complete).status_code == 200
        if how == "cancel":
            assert desk.cancel().status_code == 200
        else:
            assert phone.post("phone/deny", code=desk.complete).status_code == 200
