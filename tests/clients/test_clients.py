"""Public clients log in when approved, stop when denied or expired, and do not poll too often."""

import importlib.metadata
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import npm_parts
import pytest

from tests.clients.play import TIMEOUT_S, Client, Ending, Played, play
from tests.demo.running import RunningDemo
from tests.servers import LOOPBACK, missing

SHORT_S = 20  # the lifetime of a login that expires in a test
MAX_POLLS_PER_SECOND = 3

_OAUTH = {Ending.DENIED: "access_denied"}

pytestmark = [pytest.mark.matrix, pytest.mark.timeout(2 * TIMEOUT_S)]

CLIENTS = (
    Client(
        "itchat",
        ("itchat",),
        ("itchat_wechat",),
        frozenset({"login.weixin.qq.com"}),
        {Ending.DENIED: "400", Ending.EXPIRED: "400"},
        reports_scan=True,
        poll_path="/cgi-bin/mmwebwx-bin/login",
    ),
    Client(
        "wechat4u",
        ("wechat4u",),
        ("wechat4u.mjs",),
        frozenset({"login.wx.qq.com"}),
        {Ending.DENIED: "获取手机确认登录信息失败", Ending.EXPIRED: "获取手机确认登录信息失败"},
        reports_scan=True,
        poll_path="/cgi-bin/mmwebwx-bin/login",
    ),
    Client(
        "DecryptLogin (Taobao)",
        ("DecryptLogin",),
        ("decryptlogin", "taobao"),
        frozenset({"login.taobao.com", "qrlogin.taobao.com"}),
        {Ending.DENIED: "has expired", Ending.EXPIRED: "has expired"},
        ignores_denial=True,
    ),
    Client(
        "DecryptLogin (JD)",
        ("DecryptLogin",),
        ("decryptlogin", "jd"),
        frozenset({"passport.jd.com", "qr.m.jd.com"}),
        {Ending.DENIED: "二维码已取消授权", Ending.EXPIRED: "has expired"},
    ),
    Client(
        "aligo",
        ("aligo",),
        ("aligo_newlogin",),
        frozenset({"api.aliyundrive.com", "auth.aliyundrive.com", "passport.aliyundrive.com"}),
        {Ending.DENIED: "AligoFatalError", Ending.EXPIRED: "AligoFatalError"},
    ),
    Client(
        "bilibili-api-python",
        ("bilibili-api-python", "httpx"),
        ("bilibili_api_python",),
        frozenset({"passport.bilibili.com"}),
        {Ending.DENIED: "TIMEOUT", Ending.EXPIRED: "TIMEOUT"},
        reports_scan=True,
    ),
    Client(
        "requests-oauthlib",
        ("requests-oauthlib",),
        ("requests_oauthlib_rfc8628",),
        frozenset(),
        {**_OAUTH, Ending.EXPIRED: "expired_token"},
    ),
    Client(
        "requests-oauthlib-dags",
        ("requests-oauthlib-dags",),
        ("dags_rfc8628",),
        frozenset(),
        {
            Ending.DENIED: "AccessDeniedError",
            Ending.EXPIRED: "ExpiredDeviceCodeError|DeviceAuthorizationTimeoutError",
        },
    ),
    Client(
        "Authlib",
        ("authlib",),
        ("authlib_rfc8628",),
        frozenset(),
        {**_OAUTH, Ending.EXPIRED: "expired_token"},
    ),
    Client(
        "MSAL",
        ("msal",),
        ("msal_rfc8628",),
        frozenset(),
        {**_OAUTH, Ending.EXPIRED: "expired_token|authorization_pending"},
    ),
    # A client with a timer of its own may stop a moment before it gets the answer.
    Client(
        "openid-client",
        ("openid-client",),
        ("openid-client.mjs", "oauth2"),
        frozenset(),
        {**_OAUTH, Ending.EXPIRED: "expired_token|TimeoutError|AbortError"},
    ),
    Client(
        "openid-client (OIDC)",
        ("openid-client",),
        ("openid-client.mjs", "oidc"),
        frozenset(),
        {**_OAUTH, Ending.EXPIRED: "expired_token|TimeoutError|AbortError"},
    ),
)


def installed(client: Client) -> bool:
    if client.runs_on_node:
        return npm_parts.node() is not None and npm_parts.ready()
    try:
        return all(importlib.metadata.version(name) for name in client.packages)
    except importlib.metadata.PackageNotFoundError:
        return False


def lasts_until_expiry(client: Client, ending: Ending) -> bool:
    """Whether the client runs until the login expires."""
    return ending is Ending.EXPIRED or (ending is Ending.DENIED and client.ignores_denial)


@pytest.fixture(scope="module")
def demos() -> Iterator[tuple[str, str]]:
    """The addresses of two demos: the second has logins with a short lifetime."""
    with (
        RunningDemo("--dialects", "all") as usual,
        RunningDemo("--dialects", "all", "--lifetime", str(SHORT_S)) as short,
    ):
        yield usual.origin, short.origin


@pytest.mark.parametrize("client", CLIENTS, ids=[client.name for client in CLIENTS])
def test_a_public_client_logs_in_and_stops_after_a_denial_or_an_expiry(
    client: Client, demos: tuple[str, str], tmp_path: Path
) -> None:
    if not installed(client):
        missing(client.name, npm_parts.HOW)
    usual, short = demos

    def play_to(ending: Ending) -> Played:
        (folder := tmp_path / ending).mkdir()
        return play(client, ending, short if lasts_until_expiry(client, ending) else usual, folder)

    with ThreadPoolExecutor(len(Ending)) as pool:
        plays = list(pool.map(play_to, Ending))
    for ending, played in zip(Ending, plays, strict=True):
        check(client, ending, played)


def check(client: Client, ending: Ending, played: Played) -> None:
    report = f"{ending}: {played!r}"
    refused = [event["said"] for event in played.events_named("phone") if event["code"]]
    assert not refused or (
        lasts_until_expiry(client, ending) and all("has expired" in said for said in refused)
    ), report  # on a busy machine
    assert len(played.events_named("shows")) == 1, report
    assert len(played.events_named("scanned")) == client.reports_scan or refused, report
    assert played.code == 0, report
    (end,) = played.events_named("in") + played.events_named("stopped")
    if ending is Ending.APPROVED:
        assert end == {"event": "in", "who": "Alice"}, report
        assert {event["host"] for event in played.events_named("asks")} - {
            LOOPBACK
        } == client.hosts, report
    else:
        assert end["event"] == "stopped", report
        assert re.search(client.reasons[ending], end["why"]), report
    if client.poll_path:
        polls = [
            event["at"]
            for event in played.events_named("asks")
            if event["path"] == client.poll_path
        ]
        assert polls, report
        within_a_second = [sum(begin <= at < begin + 1 for at in polls) for begin in polls]
        assert max(within_a_second) <= MAX_POLLS_PER_SECOND, report
