"""HEAD is answered wherever GET is, and changes nothing, also where a GET does (RFC 9110 9.1)."""

from dataclasses import replace
from typing import Any

import pytest

from qrlogin.wire import Request, Response
from tests.wire.dialects.dialect_clients import SPEAKERS
from tests.wire.dialects.lifecycle import HISTORIES, StagedLogin, login_at
from tests.wire.mount import ELEMENT, Colour, Mount, get, reach, read

SLOTS = 4  # of a `Mount`


def ask_head(login: StagedLogin, request: Request) -> dict[str, str]:
    """The headers and the status of a HEAD, which has changed nothing and sent nothing."""
    before = login.mount.records
    answer = login.ask(replace(request, method="HEAD"))
    assert login.mount.records == before
    assert (answer.body, answer.events, answer.cookies) == (b"", None, ())
    assert (answer.redeemed, answer.log_out) == (None, False)
    assert len(login.mount.endpoint._slots._free) == SLOTS
    headers = dict(answer.header_list())
    assert len(headers) == len(answer.header_list())
    return {":status": str(answer.status), **headers}


def close_stream(login: StagedLogin, answer: Response) -> None:
    close: Any = getattr(answer.events, "aclose", None) or getattr(answer.events, "close", None)
    login.mount.now(close())


@pytest.mark.parametrize("name", SPEAKERS)
def test_a_head_is_answered_as_its_get_without_a_change(name: str, colour: Colour) -> None:
    compared = 0
    for history in HISTORIES:
        with login_at(name, history) as login:
            routes = [route for route in login.requests if route.method == "GET"]
        for route in routes:
            with login_at(name, history, colour) as login:
                request = login.requests[route]
                head, before = ask_head(login, request), login.mount.records
                answer = login.ask(request)
                if login.mount.records != before or answer.redeemed:
                    assert (head[":status"], head.get("Content-Length")) == ("200", None), route
                    continue
                sent = replace(answer, cookies=()).header_list()
                assert {":status": str(answer.status), **dict(sent)} == head, route
                if answer.events is not None:
                    close_stream(login, answer)
                compared += 1
    assert compared


def test_a_head_whose_get_has_no_body_by_its_status_has_no_length(mount: Mount) -> None:
    tab = reach(mount, "redeemed")
    etag = dict(mount.browser(get(ELEMENT)).headers)["ETag"]
    seen = f"after={read(tab.look())['version']}"
    ended = get(f"{tab.login_id}/events", seen, ("cookie", f"{tab.cookie}={tab.device_code}"))
    for request, status in ((ended, 204), (get(ELEMENT, "", ("if-none-match", etag)), 304)):
        answer = mount.browser(replace(request, method="HEAD"))
        assert answer.status == status
        assert "Content-Length" not in dict(answer.header_list())


@pytest.mark.parametrize("name", SPEAKERS)
def test_a_head_is_refused_where_there_is_no_get(name: str) -> None:
    with login_at(name, "scanned") as login:
        gets = {request.path for route, request in login.requests.items() if route.method == "GET"}
        for request in login.requests.values():
            if request.path not in gets:
                refused = login.refused(replace(request, method="HEAD"), 405)
                assert dict(refused.headers)["Allow"] == "POST"
                assert refused.body == b""
