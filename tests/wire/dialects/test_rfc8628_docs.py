"""The transcript in docs/wire/rfc8628.md is what happens, over memory and Redis, blocking and
awaited.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from qrlogin.wire import Request, Response
from tests.wire.dialects.rfc8628_server import KINDS, World, opened

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "wire" / "rfc8628.md"
PAUSES = {
    "five seconds pass": 5,
    "two seconds pass": 2,
    "ten seconds pass": 10,
    "two and a half minutes pass": 150,
}
REMARKS = {"on the phone, the person types the code"}
FORMS = {
    "device_code": r"(?P<login_id>[\w-]{22})\.[\w-]{43}\.\d+\.\d+\.[\w-]*\.c\.[\w-]{43}",
    "user_code": r"[B-DF-HJ-NP-TV-XZ]{4}-[B-DF-HJ-NP-TV-XZ]{4}",
}
TOKENS = {"access_token": "of the application", "token_type": "Bearer"}


#: What the page of the docs registers.
REGISTERED = {
    "names": {"living-room-tv": "Television app"}.get,
    "scopes": {"watch": "Watch films", "record": "Record films"},
}


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    yield from opened(request, dialect=REGISTERED)


def test_the_server_answers_as_in_the_transcript(world: World) -> None:
    page = PAGE.read_text(encoding="utf-8")
    transcript = re.search(r"^```transcript\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert transcript is not None
    drawn: dict[str, str] = {}
    answer = None
    for part in transcript[1].strip().split("\n\n"):
        marks, lines = (
            {line[0] for line in part.splitlines()},
            [line[2:] for line in part.splitlines()],
        )
        assert len(marks) == 1, part
        match marks.pop():
            case "#":
                assert lines[0] in REMARKS or lines[0] in PAUSES
                world.clock.advance(PAUSES.get(lines[0], 0))
            case ">":
                assert answer is None, "an answer is missing"
                answer = send(world, lines, drawn)
            case "<":
                assert answer is not None
                check_answer(answer, lines, drawn)
                answer = None
    assert answer is None
    assert set(drawn) == {"device_code", "user_code", "login_id"}


def send(world: World, lines: list[str], drawn: dict[str, str]) -> Response:
    method, path = lines[0].split(" /")
    end = lines.index("")
    headers = tuple(
        (name.lower(), value) for name, value in (line.split(": ") for line in lines[1:end])
    )
    body = lines[end + 1]
    for name, value in drawn.items():
        body = body.replace(f"{{{name}}}", value)
    if path.startswith("qrlogin/phone/"):
        return world.phone_asks(
            Request(method, path.removeprefix("qrlogin/phone/"), "", headers, body.encode())
        )
    answer = world.ask(Request(method, path, "", headers, body.encode()))
    return answer.with_json(TOKENS) if answer.redeemed else answer


def check_answer(answer: Response, lines: list[str], drawn: dict[str, str]) -> None:
    end = lines.index("")
    assert answer.status == int(lines[0])
    assert {(name, value) for name, value in (line.split(": ") for line in lines[1:end])} <= set(
        answer.headers
    )
    pattern = re.escape(lines[end + 1])
    for name in ("device_code", "user_code", "login_id"):
        place = re.escape(f"{{{name}}}")
        if name in drawn:
            pattern = pattern.replace(place, re.escape(drawn[name]))
        elif place in pattern:
            pattern = pattern.replace(place, f"(?P<{name}>{FORMS[name]})", 1).replace(
                place, f"(?P={name})"
            )
    found = re.fullmatch(pattern, answer.body.decode())
    assert found is not None, f"{answer.body.decode()}\nis not\n{lines[end + 1]}"
    drawn |= found.groupdict()


def test_the_pages_of_script_dialects_say_what_an_ip_address_changes() -> None:
    for name in ("wechat", "taobao"):
        page = " ".join((PAGE.parent / f"{name}.md").read_text(encoding="utf-8").split())
        assert "At an IP address, such as `http://127.0.0.1:5000`, Chromium treats" in page


def test_the_page_names_every_route_and_every_error() -> None:
    page = PAGE.read_text(encoding="utf-8")
    words = (
        "device_authorization /token /.well-known/oauth-authorization-server /authorize "
        "authorization_pending unsupported_response_type "
        "slow_down access_denied expired_token invalid_grant invalid_client invalid_request "
        "invalid_scope unsupported_grant_type temporarily_unavailable too_many_guesses"
    )
    assert [word for word in words.split() if word not in page] == []
