"""A login that only one account can scan, over HTTP: the application names the account."""

import pytest

from qrlogin.errors import Forbidden, Unauthenticated
from qrlogin.wire import Native, Person, Request, Response
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.mount import ALICE, BOB, JSON, VERBS, Colour, Mount, Tab, post, read

BROWSER_OF_ALICE = ("x-session", "of-alice")


def of_the_session(request: Request) -> str | None:
    """Stands for an application's own session."""
    sessions = request.all("x-session")
    if sessions == ("locked",):
        raise Forbidden
    if sessions == ("none",):
        raise Unauthenticated
    users = {"of-alice": ALICE.subject, "of-bob": BOB.subject}
    return users.get(sessions[0]) if sessions else None


def one_account(colour: Colour) -> Mount:
    return Mount(colour, make=lambda core: Native(core, subject=of_the_session))


def redeem_in(session: str, tab: Tab, tag: str) -> Response:
    body = {"acknowledged": tag, "op": "op-of-this-click-0"}
    headers = [("x-session", session)] if session else []
    return tab.send(post(f"{tab.login_id}/redeem", body, *headers))


@row(64, 125, 127)
def test_another_account_gets_the_answer_for_a_code_that_no_login_has(colour: Colour) -> None:
    with one_account(colour) as mount:
        tab = Tab(mount)
        tab.begin(BROWSER_OF_ALICE)
        lost = Tab(mount)
        lost.begin()
        mount.store.inner._records._records.pop(lost.login_id)
        mount.clock.advance(60)  # the code of the lost login is too old to prove that it existed
        for verb in VERBS:
            refused, unknown = tab.phone(verb, BOB), lost.phone(verb, BOB)
            assert (refused.status, read(refused)["error"]) == (404, "unknown_login"), verb
            if verb not in ("look", "scan"):  # these say of an old code that it has expired
                assert (refused.status, refused.body) == (unknown.status, unknown.body), verb
        assert read(tab.look())["state"] == "pending"


def test_that_account_logs_in_and_a_browser_without_a_session_has_any(colour: Colour) -> None:
    with one_account(colour) as mount:
        for session, person in (("of-alice", ALICE), ("", BOB)):
            tab = Tab(mount)
            assert tab.begin(*([BROWSER_OF_ALICE] if session else [])).status == 201
            for verb in ("look", "scan", "confirm"):
                assert tab.phone(verb, person).status == 200
            tag = read(tab.look())["scanned_by"]["tag"]
            redeemed = redeem_in(session, tab, tag).redeemed
            assert redeemed is not None
            assert redeemed.subject == person.subject


@row(64)
@for_each_row(
    "begun_in, approver, swapped, error",
    [
        ("of-bob", BOB, "of-alice", "unknown_login"),  # a stolen session of another account
        ("", BOB, "of-alice", "unknown_login"),
        ("of-bob", BOB, "", "unknown_login"),
        ("of-bob", BOB, "none", "unauthenticated"),
    ],
)
def test_a_login_is_redeemed_only_in_a_session_of_the_account_that_it_was_begun_for(
    begun_in: str, approver: Person, swapped: str, error: str, colour: Colour
) -> None:
    with one_account(colour) as mount:
        tab = Tab(mount)
        tab.begin(*([("x-session", begun_in)] if begun_in else []))
        assert redeem_in(swapped, tab, "no tag").redeemed is None  # no phone has approved it yet
        for verb in ("scan", "confirm"):
            assert tab.phone(verb, approver).status == 200
        tag = read(tab.look())["scanned_by"]["tag"]
        refused = redeem_in(swapped, tab, tag)
        assert (read(refused)["error"], refused.redeemed) == (error, None)
        assert read(tab.look())["state"] == "confirmed"
        for _ in ("redeem", "repeat"):
            redeemed = redeem_in(begun_in, tab, tag).redeemed
            assert redeemed is not None
            assert redeemed.subject == approver.subject
        assert redeem_in(swapped, tab, tag).redeemed is None


def test_a_redeem_is_repeated_in_the_session_that_it_began(colour: Colour) -> None:
    with one_account(colour) as mount:
        tab = Tab(mount)
        tab.begin()
        for verb in ("scan", "confirm"):
            tab.phone(verb, ALICE)
        tag = read(tab.look())["scanned_by"]["tag"]
        for session in ("", "of-alice"):  # the cookie came, and the body was lost
            assert redeem_in(session, tab, tag).redeemed is not None


@row(125)
@pytest.mark.parametrize(("session", "status"), [("locked", 403), ("none", 401)])
def test_the_application_refuses_a_begin(session: str, status: int, colour: Colour) -> None:
    with one_account(colour) as mount:
        assert mount.browser(post("begin", {}, ("x-session", session))).status == status
        assert mount.records == {}


@pytest.mark.parametrize("field", ["subject", "only_for", "account", "hint"])
def test_a_body_cannot_name_the_account(field: str, colour: Colour) -> None:
    with one_account(colour) as mount:
        assert mount.browser(post("begin", {field: "1"}, JSON)).status == 400
