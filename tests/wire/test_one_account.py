"""A login that only one account can scan, over HTTP: the application names the account."""

import pytest

from qrlogin.errors import Forbidden, Misconfigured, Unauthenticated
from qrlogin.wire import Native, Request
from tests.security_rows import row
from tests.wire.mount import ALICE, BOB, JSON, VERBS, Colour, Mount, Tab, post, read

BROWSER_OF_ALICE = ("x-session", "of-alice")


def of_the_session(request: Request) -> str | None:
    """Stands for an application's own session."""
    sessions = request.all("x-session")
    if sessions == ("locked",):
        raise Forbidden
    if sessions == ("none",):
        raise Unauthenticated
    return "1" if sessions == ("of-alice",) else None


def one_account(colour: Colour) -> Mount:
    return Mount(colour, make=lambda core: Native(core, subject=of_the_session))


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
        for headers, person in (((BROWSER_OF_ALICE,), ALICE), ((), BOB)):
            tab = Tab(mount)
            assert tab.begin(*headers).status == 201
            for verb in ("look", "scan", "confirm"):
                assert tab.phone(verb, person).status == 200
            redeemed = tab.redeem().redeemed
            assert redeemed is not None
            assert redeemed.subject == person.subject


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


def test_a_coroutine_function_is_refused(mount: Mount) -> None:
    async def awaited(_: Request) -> str:
        return "1"

    with pytest.raises(Misconfigured, match="cannot await"):
        Native(mount.endpoint._qr.core, subject=awaited)  # type: ignore[arg-type]
