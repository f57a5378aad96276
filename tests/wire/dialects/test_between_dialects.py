"""A login belongs to the dialect, and to the client, that began it: its approval was given by those rules and by no others.

Somebody who has everything of a login of one dialect asks every other dialect for it, with what that one looks for.
"""

import hashlib
import itertools
import json
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, get_args
from urllib.parse import urlencode

import pytest

from qrlogin import MemoryStore, QRLogin, Redeemed, seals
from qrlogin.codes import FIXED, fixed_as_base64
from qrlogin.wire import AsyncEndpoint, Endpoint, Request, Response
from qrlogin.wire.dialects.rfc8628 import GRANT_TYPE
from tests.tables import for_each_row
from tests.wire.dialects.dialect_clients import SPEAKERS, TYPED, OfNative
from tests.wire.dialects.lifecycle import CAROL, Life
from tests.wire.dialects.polled_clients import FORM
from tests.wire.dialects.rfc8628_server import Device, World, error, read
from tests.wire.dialects.wechat_clients import wechat_open
from tests.wire.mount import CREDENTIAL, KEY, URI, Colour, Mount, post

Said = Callable[[Response], bool]  # whether a dialect refused as if there were no such login


def told(text: str) -> Said:
    return lambda answer: answer.status == 200 and answer.body.decode() == text


def unknown(answer: Response) -> bool:
    return answer.status == 404 and json.loads(answer.body)["error"] == "unknown_login"


NEW = '{"content":{"data":{"qrCodeStatus":"EXPIRED","resultCode":100},"status":0,"success":true},"hasError":false}'
DATA = '"url":"","refresh_token":"","timestamp":0,"code":86038,"message":"二维码已失效"'
MEMBER = "member/loginByIm.do"
LANDS = "cgi-bin/mmwebwx-bin/webwxnewloginpage"
EXCHANGE = (
    "sns/oauth2/access_token?appid=demo&secret=x&grant_type=authorization_code&code={code}{ticket}"
)
REDEEM = '{"acknowledged":"{scanner}","op":"op-of-a-stranger-"}'
NO_LOGIN = (
    "<error><ret>400</ret><message>There is no such login. Show a new code.</message></error>"
)

#: Every request by which each dialect watches, collects or ends a login: address, body ("" sends none), and how it says no.
ATTEMPTS: dict[str, tuple[tuple[str, str, Said], ...]] = {
    "native": (
        ("{login_id}", "", unknown),
        ("{login_id}?after=1&wait=1", "", unknown),
        ("{login_id}/qr.svg", "", unknown),
        ("{login_id}/qr.png", "", unknown),
        ("{login_id}/redeem", REDEEM, unknown),
        ("{login_id}/cancel", "{}", unknown),
    ),
    "wechat": (
        ("cgi-bin/mmwebwx-bin/login?uuid={code}", "", told("window.code=400;")),
        (
            f"{LANDS}?ticket={{ticket}}@qrticket_0&uuid={{code}}",
            "",
            told(NO_LOGIN),
        ),
    ),
    "wechat_open": (
        ("connect/l/qrconnect?uuid={code}", "", told("window.wx_errcode=402;window.wx_code='';")),
        (
            "connect/l/qrconnect?uuid={code}&last=404&f=json",
            "",
            told('{"wx_errcode":402,"wx_code":""}'),
        ),
        ("connect/callback?code={code}{ticket}", "", unknown),
        (EXCHANGE, "", told('{"errcode":40029,"errmsg":"invalid code"}')),
    ),
    "taobao": (
        (
            "qrcodelogin/qrcodeLoginCheck.do?lgToken={code}",
            "",
            told(
                '{"code":"10004","message":"QRCode expired!code=1, msg=data not exist","success":true}'
            ),
        ),
        (f"{MEMBER}?token={{ticket}}&webpas={{code}}", "", unknown),
    ),
    "newlogin": (("newlogin/qrcode/query.do", "t=1&ck={digest}", told(NEW)),),
    "bilibili": (
        (
            "x/passport-login/web/qrcode/poll?qrcode_key={code}",
            "",
            told(f'{{"code":0,"message":"0","ttl":1,"data":{{{DATA}}}}}'),
        ),
    ),
    "jd": (
        ("check?token={code}&callback=f", "", told('f({ "code" : 203, "msg" : "二维码过期" })')),
        ("uc/qrCodeTicketValidation?t={code}{ticket}", "", told('{"returnCode":1}')),
    ),
    "rfc8628": (
        (
            "token",
            urlencode({"grant_type": GRANT_TYPE, "client_id": "demo"})
            + "&device_code={device_code}",
            lambda answer: answer.status == 400 and error(answer) == "invalid_grant",
        ),
    ),
}
COLLECT = (LANDS, "connect/callback", EXCHANGE[:22], MEMBER, "uc/", "{login_id}/redeem")
#: A dialect has no colour, so half of them are asked through one shell and half through the other.
HOMES = pytest.mark.parametrize(
    ("home", "colour"), list(zip(SPEAKERS, itertools.cycle(get_args(Colour)), strict=False))
)


@dataclass(frozen=True)
class Spoils:
    """All that there is to know of a login: its browser's secret, its id, and what follows from them."""

    login_id: str
    device_code: str
    code: str  # the public id; where its dialect has none, one that is genuine and another's
    ticket: str
    scanner: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.login_id.encode()).hexdigest()[:32]

    def cookies(self, *login_ids: str) -> str:
        """The secret under the name of its own login, and of these."""
        names = {
            hashlib.sha256(each.encode()).hexdigest()[:8] for each in (self.login_id, *login_ids)
        }
        return "; ".join(f"__Host-qrl-{name}={self.device_code}" for name in names)

    def requests(self, name: str, named: str) -> Iterator[tuple[Request, Said]]:
        """Every attempt at a dialect, with the secret wherever it may look; the public id in either of its spellings. `named`
        is the login that the public id leads to.
        """
        found = self.cookies(named)
        for (address, body, said), code in itertools.product(
            ATTEMPTS[name], (self.code, fixed_as_base64(self.code))
        ):
            known = {
                "{login_id}": self.login_id,
                "{code}": code,
                "{ticket}": self.ticket,
                "{digest}": self.digest,
                "{scanner}": self.scanner,
                "{device_code}": self.device_code,
            }
            for place, value in known.items():
                address, body = address.replace(place, value), body.replace(place, value)
            path, _, query = address.partition("?")
            kind = (
                [("content-type", "application/json") if body.startswith("{") else FORM]
                if body
                else []
            )
            method, bearer = (
                "POST" if body else "GET",
                ("authorization", f"Bearer {self.device_code}"),
            )
            for where in ((("cookie", found),), (bearer,), (("cookie", found), bearer)):
                yield Request(method, path, query, (*kind, *where), body.encode()), said


def _of_another_login() -> str:
    """A genuine public id, for a login that has none of its own."""
    elsewhere = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI)
    return elsewhere.run(elsewhere.core.begin(fixed=True)).scan_code


def _hexadecimal(code: str) -> str:
    return code if len(code) == 32 else urlsafe_b64decode(code).hex()


class Street:
    """A login of one dialect that has come so far, and the doors of all dialects over the same store."""

    def __init__(self, colour: Colour, home: str, history: str) -> None:
        self.mount, self.home = Mount(colour, policy=TYPED, make=SPEAKERS[home]), home
        self.life = Life(self.mount, home, history)
        self._qr, self._heard = self.mount.endpoint._qr, list[Response]()
        self.life.near.ask, self.life.near.dry = self._listen, False
        device, scanner = (
            self._qr.core.read_device_code(self.life.device_code),
            self.life.record.get("scanner_seal", ""),
        )
        self.spoils = Spoils(
            self.life.login_id,
            self.life.device_code,
            code=_hexadecimal(self.life.code if FIXED in device.flags else _of_another_login()),
            ticket=seals.ticket(device.key, device.login_id, scanner),
            scanner=scanner or "nobody",
        )

    def _listen(self, request: Request) -> Response:
        self._heard.append(self.life.ask(request))
        return self._heard[-1]

    def attempts(self, name: str) -> Iterator[tuple[Request, Said]]:
        """All requests for the login at this dialect's door, each with the way in which it says no."""
        return self.spoils.requests(name, self._qr.core.login_id_of(self.spoils.code))

    def ask(self, name: str, request: Request) -> Response:
        kind: Any = Endpoint if isinstance(self._qr, QRLogin) else AsyncEndpoint
        door = kind(self._qr, SPEAKERS[name](self._qr.core), max_waiting=1)
        return self.mount._now(door.browser(request))

    def logs_in(self) -> Redeemed | None:
        """What comes of it when its own client goes on, as if nothing had been."""
        if isinstance(self.life.player, OfNative):
            self.life.player._version = 0
        self.life.player.look()
        self.life.player.go_on()
        redeemed = [answer.redeemed for answer in self._heard if answer.redeemed]
        return redeemed[0] if redeemed else None


@HOMES
@for_each_row("history", ["pending", "scanned", "confirmed", "denied", "redeemed"])
@for_each_row("other", SPEAKERS)
def test_no_other_dialect_shows_collects_or_ends_a_login(
    home: str, other: str, history: str, colour: Colour
) -> None:
    if other == home:
        return
    street = Street(colour, home, history)
    with street.mount as mount:
        for request, said_no in street.attempts(other):
            before, asked = mount.records, street.life.asked
            answer = street.ask(other, request)
            assert said_no(answer), (request, request.query, answer.status, answer.body)
            assert (answer.redeemed, answer.log_out, answer.cookies) == (None, False, ())
            assert street.life.asked == asked, "the store was asked"
            assert mount.records == before
            assert not any(secret.encode() in answer.body for secret in street.life.secrets)
        if history == "confirmed":
            redeemed = street.logs_in()
            assert redeemed is not None
            assert (redeemed.login_id, redeemed.subject) == (street.life.login_id, CAROL.subject)
            assert not redeemed.replayed


@HOMES
def test_the_same_requests_at_home_are_answered(home: str, colour: Colour) -> None:
    """Else what the others are asked could be refused for another reason than whose login it is."""
    for i in range(len(ATTEMPTS[home])):
        street = Street(colour, home, "confirmed")
        with street.mount:
            answers = [
                (street.ask(home, request), said_no)
                for request, said_no in street.attempts(home)
                if request.path
                == ATTEMPTS[home][i][0]
                .partition("?")[0]
                .replace("{login_id}", street.life.login_id)
            ]
            assert any(not said_no(answer) for answer, said_no in answers)
            watches = home in ("bilibili", "newlogin", "rfc8628")  # there the poll is what collects
            collects = watches or ATTEMPTS[home][i][0].startswith(COLLECT)
            assert any(answer.redeemed for answer, _ in answers) == collects


# The clients of one dialect


@for_each_row(
    "mine, theirs",
    [("tv", "kiosk"), ("tv", "tv "), ("tv", "TV"), ("a", "a:b"), ("Rfc8628:tv", "tv")],
)
def test_a_client_of_oauth_collects_its_own_logins_only(
    mine: str, theirs: str, colour: Colour
) -> None:
    with World(f"memory {colour}") as world:
        for one, other in ((mine, theirs), (theirs, mine)):
            device, stranger = Device(world, one), Device(world, other)
            device.begin()
            stranger.told = device.told
            for step in (None, "scan", "confirm"):
                if step:
                    assert world.phone(step, device.user_code).status == 200
                for poll in (stranger.poll(), device.poll(client_id=other)):
                    assert (poll.status, error(poll), poll.redeemed) == (400, "invalid_grant", None)
            found = device.poll()
            assert found.redeemed is not None
            assert (found.status, found.tokens_wanted, found.redeemed.replayed) == (
                200,
                True,
                False,
            )
            again = stranger.poll()
            assert (again.status, error(again), again.redeemed) == (400, "invalid_grant", None)


@for_each_row(
    "mine, theirs", [("wx1", "wx2"), ("wx1", "WX1"), ("wx1", ""), ("", "wx1"), ("wx", "wx1")]
)
def test_an_application_exchanges_its_own_codes_only(
    mine: str, theirs: str, colour: Colour
) -> None:
    def ask(appid: str) -> Response:
        form = {"appid": appid, "secret": "x", "code": code, "grant_type": "authorization_code"}
        return mount.browser(Request("GET", "sns/oauth2/access_token", urlencode(form), cookie))

    with Mount(
        colour, make=lambda core: wechat_open(core, clients=lambda appid, secret: True)
    ) as mount:
        begun = mount.browser(Request("GET", "connect/qrconnect", urlencode({"appid": mine})))
        (device_cookie,) = begun.cookies
        cookie = (("cookie", f"{device_cookie.key}={device_cookie.value}"),)
        uuid = begun.body.decode().partition("/connect/qrcode/")[2][:32]
        for step in ("scan", "confirm"):
            assert mount.phone(post(step, {"code": uuid}, CREDENTIAL), CAROL).status == 200
        said = read(
            mount.browser(Request("GET", "connect/l/qrconnect", f"uuid={uuid}&f=json", cookie))
        )
        code = said["wx_code"]
        before, asked = mount.records, len(mount.store.calls)
        refused = ask(theirs)
        assert (read(refused)["errcode"], refused.redeemed) == (40029, None)
        assert (mount.records, len(mount.store.calls)) == (before, asked)
        found = ask(mine)
        assert found.redeemed is not None
        assert (found.tokens_wanted, found.redeemed.subject) == (True, CAROL.subject)
        assert (read(ask(theirs))["errcode"], mount.records) == (40029, mount.records)
