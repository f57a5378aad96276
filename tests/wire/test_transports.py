"""Each transport delivers the same states of a login from a real server to a real client."""

import json
import logging
from collections.abc import Callable, Iterator

import pytest

from tests.security_rows import row
from tests.wire.clock import eventually
from tests.wire.reader import Parser
from tests.wire.sites import SITES, Site
from tests.wire.story import Browser, Phone
from tests.wire.test_websocket import opened

Seen = tuple[str, int]
Follow = Callable[[Browser], Iterator[Seen]]
STORIES: dict[str, tuple[str, ...]] = {
    "approved": ("scan", "confirm", "redeem"),
    "released, and then refused": ("scan", "release", "scan", "deny"),
    "given up": ("scan", "cancel"),
}
OVER = ("redeemed", "denied", "cancelled", "expired")


def short_poll(desk: Browser) -> Iterator[Seen]:
    last: Seen | None = None
    while last is None or last[0] not in OVER:
        status = desk.look().json
        if (seen := (status["state"], status["version"])) != last:
            yield (last := seen)


def long_poll(desk: Browser) -> Iterator[Seen]:
    version, state = 0, ""
    while state not in OVER:
        status = desk.get(f"/qr/{desk.login_id}?after={version}&wait=25").json
        if (status["state"], status["version"]) != (state, version):
            state, version = status["state"], status["version"]
            yield state, version


def server_sent_events(desk: Browser) -> Iterator[Seen]:
    parser = Parser()
    with desk.http.stream("GET", f"/qr/{desk.login_id}/events") as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        for part in answer.iter_raw():
            for event in parser.feed(part):
                if event.kind == "message":
                    yield event.json["state"], event.json["version"]
    assert (
        desk.http.get(
            f"/qr/{desk.login_id}/events", headers={"Last-Event-ID": parser.last_id}
        ).status_code
        == 204
    )


def websocket(desk: Browser) -> Iterator[Seen]:
    last: Seen | None = None
    with opened(desk) as socket:
        for message in socket:
            status = json.loads(message)
            if (seen := (status["state"], status["version"])) != last:
                yield (last := seen)
        assert socket.close_code == 1000


TRANSPORTS: dict[str, Follow] = {
    "short poll": short_poll,
    "long poll": long_poll,
    "server-sent events": server_sent_events,
    "websocket": websocket,
}


def states_of(site: Site, follow: Follow, steps: tuple[str, ...]) -> list[Seen]:
    """All states that this browser gets, each before the next step."""
    with Browser(site) as desk, Phone(site, "alice") as alice:
        desk.begin()
        alice.see(desk.picture())
        following = follow(desk)
        heard = [next(following)]
        for step in steps:
            match step:
                case "redeem":
                    assert desk.redeem(desk.look().json["scanned_by"]["tag"]).status == 200
                case "cancel":
                    assert desk.cancel().status == 200
                case _:
                    assert alice.send(step).status == 200
            heard.append(next(following))
        assert list(following) == []  # the transport ends by itself
        return heard


@pytest.mark.parametrize("story", STORIES)
@pytest.mark.parametrize("name", ["bare ASGI", "bare WSGI"])
def test_every_transport_delivers_the_same_states(name: str, story: str) -> None:
    with SITES[name](None) as site:
        ways = [way for way in TRANSPORTS if site.awaited or way != "websocket"]
        heard = {way: states_of(site, TRANSPORTS[way], STORIES[story]) for way in ways}
    assert len(heard) == (4 if name == "bare ASGI" else 3)
    assert len({tuple(each) for each in heard.values()}) == 1, heard
    assert len(heard["short poll"]) == len(STORIES[story]) + 1


@row(19, 456)
def test_no_secret_is_in_an_address_or_a_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)  # at DEBUG other clients and servers log cookies
    with SITES["bare ASGI"](None) as site, Browser(site) as desk, Phone(site, "alice") as alice:
        asked: list[str] = []
        desk.http.event_hooks["request"].append(lambda request: asked.append(str(request.url)))
        desk.begin()
        alice.see(desk.picture())
        for follow in (server_sent_events, websocket):
            following = follow(desk)
            next(following)
            following.close()  # type: ignore[attr-defined]
            eventually(site.idle)
        secret = desk.cookies.partition("=")[2].split(".")[1]
        code = alice.code.rpartition("/")[2]
        desk.cancel()
        list(server_sent_events(desk))
    served = [record.getMessage() for record in caplog.records]
    assert any(f"/qr/{desk.login_id}/events" in line for line in asked)
    assert any(f"/qr/{desk.login_id}/socket" in line for line in served)
    for hidden in (secret, code):
        assert not any(hidden in line for line in [*asked, *served])
