"""Only the dialect, and the client, that began a login can show, collect or end it.

Each test has all the secrets of a login, and sends them to every other dialect in the form that
this dialect reads.
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
from tests.security_rows import row
from tests.tables import for_each_row
from tests.wire.dialects.dialect_clients import SPEAKERS, TYPED, NativeClient
from tests.wire.dialects.lifecycle import CAROL, StagedLogin
from tests.wire.dialects.polled_clients import FORM
from tests.wire.dialects.rfc8628_server import Device, World, error, read
from tests.wire.dialects.wechat_clients import wechat_open
from tests.wire.mount import CREDENTIAL, KEY, URI, Colour, Mount, post

Refusal = Callable[[Response], bool]  # whether the answer is that of a login that does not exist


def answers_with(text: str) -> Refusal:
    return lambda answer: answer.status == 200 and answer.body.decode() == text


def unknown(answer: Response) -> bool:
    return answer.status == 404 and json.loads(answer.body)["error"] == "unknown_login"


NEW = (
    '{"content":{"data":{"qrCodeStatus":"EXPIRED","resultCode":100},"status":0,"success":true},'
    '"hasError":false}'
)
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

#: Every request by which each dialect watches, collects or ends a login: the address, the body, and
#: its refusal.
ATTEMPTS: dict[str, tuple[tuple[str, str, Refusal], ...]] = {
    "native": (
        ("{login_id}", "", unknown),
        ("{login_id}?after=1&wait=1", "", unknown),
        ("{login_id}/qr.svg", "", unknown),
        ("{login_id}/qr.png", "", unknown),
        ("{login_id}/redeem", REDEEM, unknown),
        ("{login_id}/cancel", "{}", unknown),
    ),
    "wechat": (
        ("cgi-bin/mmwebwx-bin/login?uuid={code}", "", answers_with("window.code=400;")),
        (
            f"{LANDS}?ticket={{ticket}}@qrticket_0&uuid={{code}}",
            "",
            answers_with(NO_LOGIN),
        ),
    ),
    "wechat_open": (
        (
            "connect/l/qrconnect?uuid={code}",
            "",
            answers_with("window.wx_errcode=402;window.wx_code='';"),
        ),
        (
            "connect/l/qrconnect?uuid={code}&last=404&f=json",
            "",
            answers_with('{"wx_errcode":402,"wx_code":""}'),
        ),
        ("connect/callback?code={code}{ticket}", "", unknown),
        (EXCHANGE, "", answers_with('{"errcode":40029,"errmsg":"invalid code"}')),
    ),
    "taobao": (
        (
            "qrcodelogin/qrcodeLoginCheck.do?lgToken={code}",
            "",
            answers_with(
                '{"code":"10004","message":"QRCode expired!code=1, msg=data not exist",'
                '"success":true}'
            ),
        ),
        (f"{MEMBER}?token={{ticket}}&webpas={{code}}", "", unknown),
    ),
    "newlogin": (("newlogin/qrcode/query.do", "t=1&ck={digest}", answers_with(NEW)),),
    "bilibili": (
        (
            "x/passport-login/web/qrcode/poll?qrcode_key={code}",
            "",
            answers_with(f'{{"code":0,"message":"0","ttl":1,"data":{{{DATA}}}}}'),
        ),
    ),
    "jd": (
        (
            "check?token={code}&callback=f",
            "",
            answers_with('f({ "code" : 203, "msg" : "二维码过期" })'),
        ),
        ("uc/qrCodeTicketValidation?t={code}{ticket}", "", answers_with('{"returnCode":1}')),
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
#: Half of the dialects run in each colour, because a dialect has no colour.
HOMES = pytest.mark.parametrize(
    ("home", "colour"), list(zip(SPEAKERS, itertools.cycle(get_args(Colour)), strict=False))
)


@dataclass(frozen=True)
class StolenLogin:
    """All secrets of a login: its device_code, its id, and what is derived from them."""

    login_id: str
    device_code: str
    code: str  # the public id; if its dialect has none, the genuine one of another login
    ticket: str
    scanner: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.login_id.encode()).hexdigest()[:32]

    def cookies(self, *login_ids: str) -> str:
        """The secret, in the cookie of its own login and in those of these logins."""
        names = {
            hashlib.sha256(each.encode()).hexdigest()[:8] for each in (self.login_id, *login_ids)
        }
        return "; ".join(f"__Host-qrl-{name}={self.device_code}" for name in names)

    def requests(self, name: str, named: str) -> Iterator[tuple[Request, Refusal]]:
        """Every request for the login to a dialect, with the secret in each place and the public id
        in either spelling. `named` is the login_id of the public id.
        """
        found = self.cookies(named)
        for (address, body, is_refusal), code in itertools.product(
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
                yield Request(method, path, query, (*kind, *where), body.encode()), is_refusal


def _of_another_login() -> str:
    """The genuine public id of another login."""
    elsewhere = QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI)
    return elsewhere.run(elsewhere.core.begin(fixed=True)).scan_code


def _hexadecimal(code: str) -> str:
    return code if len(code) == 32 else urlsafe_b64decode(code).hex()


class AllDialects:
    """A login of one dialect at some stage, and endpoints of all dialects over the same store."""

    def __init__(self, colour: Colour, home: str, history: str) -> None:
        self.mount, self.home = Mount(colour, policy=TYPED, make=SPEAKERS[home]), home
        self.login = StagedLogin(self.mount, home, history)
        self._qr, self._answers = self.mount.endpoint._qr, list[Response]()
        self.login.client.ask, self.login.client.only_records = self._record, False
        device, scanner = (
            self._qr.core.read_device_code(self.login.device_code),
            self.login.record.get("approval", ""),
        )
        self.stolen = StolenLogin(
            self.login.login_id,
            self.login.device_code,
            code=_hexadecimal(self.login.code if FIXED in device.flags else _of_another_login()),
            ticket=seals.ticket(device.key, device.login_id, scanner),
            scanner=scanner or "not-scanned",
        )

    def _record(self, request: Request) -> Response:
        self._answers.append(self.login.ask(request))
        return self._answers[-1]

    def attempts(self, name: str) -> Iterator[tuple[Request, Refusal]]:
        """All requests for the login to this dialect, each with its refusal."""
        return self.stolen.requests(name, self._qr.core.login_id_of(self.stolen.code))

    def ask(self, name: str, request: Request) -> Response:
        kind: Any = Endpoint if isinstance(self._qr, QRLogin) else AsyncEndpoint
        endpoint = kind(self._qr, SPEAKERS[name](self._qr.core), max_waiting=1)
        return self.mount._now(endpoint.browser(request))

    def logs_in(self) -> Redeemed | None:
        """What its own client redeems when it goes on."""
        if isinstance(self.login.player, NativeClient):
            self.login.player._version = 0
        self.login.player.look()
        self.login.player.go_on()
        redeemed = [answer.redeemed for answer in self._answers if answer.redeemed]
        return redeemed[0] if redeemed else None


@row(62)
@HOMES
@for_each_row("history", ["pending", "scanned", "confirmed", "denied", "redeemed"])
@for_each_row("other", SPEAKERS)
def test_no_other_dialect_shows_collects_or_ends_a_login(
    home: str, other: str, history: str, colour: Colour
) -> None:
    if other == home:
        return
    dialects = AllDialects(colour, home, history)
    with dialects.mount as mount:
        for request, is_refusal in dialects.attempts(other):
            before, asked = mount.records, dialects.login.asked
            answer = dialects.ask(other, request)
            assert is_refusal(answer), (request, request.query, answer.status, answer.body)
            assert (answer.redeemed, answer.log_out, answer.cookies) == (None, False, ())
            assert dialects.login.asked == asked, "the store was asked"
            assert mount.records == before
            assert not any(secret.encode() in answer.body for secret in dialects.login.secrets)
        if history == "confirmed":
            redeemed = dialects.logs_in()
            assert redeemed is not None
            assert (redeemed.login_id, redeemed.subject) == (dialects.login.login_id, CAROL.subject)
            assert not redeemed.replayed


@HOMES
def test_the_dialect_that_began_the_login_answers_the_same_requests(
    home: str, colour: Colour
) -> None:
    """So the other dialects refuse them only because they did not begin the login."""
    for i in range(len(ATTEMPTS[home])):
        dialects = AllDialects(colour, home, "confirmed")
        with dialects.mount:
            answers = [
                (dialects.ask(home, request), is_refusal)
                for request, is_refusal in dialects.attempts(home)
                if request.path
                == ATTEMPTS[home][i][0]
                .partition("?")[0]
                .replace("{login_id}", dialects.login.login_id)
            ]
            assert any(not is_refusal(answer) for answer, is_refusal in answers)
            watches = home in ("bilibili", "newlogin", "rfc8628")  # here the poll collects
            collects = watches or ATTEMPTS[home][i][0].startswith(COLLECT)
            assert any(answer.redeemed for answer, _ in answers) == collects


# The clients of one dialect


@row(62, 216)
@for_each_row(
    "mine, theirs",
    [("tv", "kiosk"), ("tv", "tv "), ("tv", "TV"), ("a", "a:b"), ("Rfc8628:tv", "tv")],
)
def test_an_rfc8628_client_collects_its_own_logins_only(
    mine: str, theirs: str, colour: Colour
) -> None:
    with World(f"memory {colour}") as world:
        for own, other in ((mine, theirs), (theirs, mine)):
            device, stranger = Device(world, own), Device(world, other)
            device.begin()
            stranger.begun = device.begun
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
        poll = read(
            mount.browser(Request("GET", "connect/l/qrconnect", f"uuid={uuid}&f=json", cookie))
        )
        code = poll["wx_code"]
        before, asked = mount.records, len(mount.store.calls)
        refused = ask(theirs)
        assert (read(refused)["errcode"], refused.redeemed) == (40029, None)
        assert (mount.records, len(mount.store.calls)) == (before, asked)
        found = ask(mine)
        assert found.redeemed is not None
        assert (found.tokens_wanted, found.redeemed.subject) == (True, CAROL.subject)
        assert (read(ask(theirs))["errcode"], mount.records) == (40029, mount.records)
