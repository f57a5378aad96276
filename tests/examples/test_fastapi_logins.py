"""Sessions, tokens and held requests of the FastAPI example."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin

from qrlogin import Redeemed
from tests.examples.fastapi_served import Served, served, signed_up
from tests.examples.story import Desk, Phone
from tests.examples.visitors import Visitor
from tests.security_rows import row
from tests.servers import LOOPBACK
from tests.wire.clock import eventually


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("logins")) as each:
        yield each


def test_a_status_request_sends_no_session(site: Served) -> None:
    """Its answer may arrive after a logout in another tab."""
    with signed_up(site, "alice") as alice, Desk(alice) as desk:
        desk.begin()
        seen = alice.get(desk.login_id)
        assert seen.status_code == 200
        assert not any(
            cookie.startswith("session=") for cookie in seen.headers.get_list("set-cookie")
        )


@row(63)
def test_an_account_closed_after_approving_is_not_logged_in(site: Served) -> None:
    module = site.module
    with Phone(signed_up(site, "carol")) as phone, Desk(Visitor(site.origin)) as desk:
        phone.code = desk.begin().complete
        phone.does("scan", "confirm")
        with module.Session(module.engine) as db:
            closed = db.query(module.Account).filter_by(name="carol").one()
            number = closed.id
            db.delete(closed)
            db.commit()
        refused = desk.redeem(desk.look()["scanned_by"]["tag"])
        assert (refused.status_code, refused.json()["error"]) == (403, "forbidden")
        assert desk.visitor.http.get("/").status_code == 302
        signed_up(site, "bob").http.close()
        with module.Session(module.engine) as db:
            assert db.get(module.Account, number) is None  # old cookies may still hold that id
    gone = Redeemed("a" * 22, subject=str(number), shown_as="", context={}, redeemed_at_ms=0)
    with pytest.raises(module.HTTPException) as refused_tokens:
        site.call(lambda: module.tokens(gone))
    assert refused_tokens.value.status_code == 403


def test_looking_up_the_signed_in_user_keeps_no_connection(site: Served) -> None:
    """Or requests that have a thread could wait for a connection for ever."""
    signed_up(site, "erin").http.close()
    module = site.module
    eventually(
        lambda: module.engine.pool.checkedout() == 0
    )  # an answer is sent before its connection is given back
    with module.Session(module.engine) as db:
        erin = db.query(module.Account).filter_by(name="erin").one().id
        rows = module.sessions.BrowserSession
        cookie = {"session": db.query(rows).filter_by(account_id=erin).one().id}
    assert module.signed_in(SimpleNamespace(session=cookie), None).name == "erin"
    assert module.engine.pool.checkedout() == 0


def test_the_database_is_not_queried_in_the_event_loop(
    site: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = set[int]()

    def account_in(redeemed: Redeemed) -> int:
        threads.add(threading.get_ident())
        return 1

    monkeypatch.setattr(site.module, "account_in", account_in)
    redeemed = Redeemed("a" * 22, subject="1", shown_as="", context={}, redeemed_at_ms=0)

    async def both() -> int:
        await site.module.tokens(redeemed)
        await site.module.log_in(SimpleNamespace(session={}), redeemed)
        return threading.get_ident()

    assert site.call(both) not in threads
    assert threads


def test_a_repeated_token_request_returns_the_same_tokens(site: Served) -> None:
    module = site.module
    signed_up(site, "dora").http.close()
    with module.Session(module.engine) as db:
        dora = str(db.query(module.Account).filter_by(name="dora").one().id)
    first, again, other = (
        site.call(lambda one=Redeemed(login * 22, dora, "", {}, 0): module.tokens(one))  # noqa: B008 - each its own
        for login in "aab"
    )
    assert first == again
    assert first["access_token"] != other["access_token"]
    assert first["openid"] == dora  # a client of wechat_open needs it


# Streams and disconnects


def free(site: Served) -> int:
    return len(site.module.native_endpoint._slots._free)


def test_a_websocket_of_another_site_or_without_a_login_is_refused(site: Served) -> None:
    with Visitor(site.origin) as desk:
        login_id = desk.post("begin").json()["login_id"]
        address = f"{site.origin.replace('http', 'ws')}/qrlogin/{login_id}/socket"
        cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in desk.jar().items())}
        no_cookies: dict[str, str] = {}
        for headers, origin, status in (
            (cookies, "https://elsewhere.example", 403),
            (no_cookies, site.origin, 404),
        ):
            with (
                pytest.raises(InvalidStatus) as refused,
                connect(address, additional_headers=headers, origin=Origin(origin)),
            ):
                pass
            assert refused.value.response.status_code == status


@pytest.mark.parametrize("path", ["{}?wait=25", "{}/events"])
def test_a_disconnect_frees_the_wait_slot(path: str, site: Served) -> None:
    with Visitor(site.origin) as desk:
        login = desk.post("begin").json()["login_id"]
        cookies = "; ".join(f"{name}={value}" for name, value in desk.jar().items())
        request = (
            f"GET /qrlogin/{path.format(login)} HTTP/1.1\r\n"
            f"Host: {LOOPBACK}\r\nCookie: {cookies}\r\n\r\n"
        )
        most = site.module.settings.max_waiting
        for reset in (False, True):
            with socket.create_connection(
                (LOOPBACK, int(site.origin.rpartition(":")[2]))
            ) as connection:
                connection.sendall(request.encode())
                eventually(lambda: free(site) == most - 1)
                if reset:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            eventually(lambda: free(site) == most)
        eventually(lambda: site.call(lambda: len(asyncio.all_tasks())) <= 6)
