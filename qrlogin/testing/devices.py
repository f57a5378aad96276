"""A browser and a phone for tests. What each does is written once, as a generator that yields
requests and receives answers. The classes that block and those that are awaited only carry it out.
"""

from collections.abc import Generator
from inspect import isawaitable, iscoroutine
from secrets import token_urlsafe
from typing import Any, Self, TypeVar

from qrlogin.testing.clients import Asked, read, sender_of
from qrlogin.wire.dialect import Person

T = TypeVar("T")
Answer = dict[str, Any]
Act = Generator[Asked, Answer, T]


class _Device:
    def __init__(self, client: Any, at: str, headers: dict[str, str] | None, person: Any) -> None:
        self.client = client
        """The client that it was made with."""
        self._send = sender_of(client, person)
        self._at, self._headers = "/" + at.strip("/") + "/", headers or {}

    def _get(self, path: str) -> Asked:
        return Asked("GET", self._at + path, headers=self._headers)

    def _post(self, path: str, **body: str) -> Asked:
        return Asked("POST", self._at + path, body, self._headers)


class _Blocking(_Device):
    def _run(self, act: Act[T]) -> T:
        try:
            asked = next(act)
            while True:
                answer = self._send(asked)
                if isawaitable(answer):
                    if iscoroutine(answer):
                        answer.close()  # or Python warns that it was never awaited
                    raise TypeError("this client is awaited: use AsyncBrowser and AsyncPhone")
                asked = act.send(read(asked, answer))
        except StopIteration as end:
            result: T = end.value
            return result


class _Awaited(_Device):
    async def _run(self, act: Act[T]) -> T:
        try:
            asked = next(act)
            while True:
                answer = self._send(asked)
                if not isawaitable(answer):
                    raise TypeError("this client blocks: use Browser and Phone")
                asked = act.send(read(asked, await answer))
        except StopIteration as end:
            result: T = end.value
            return result


class _BaseBrowser(_Device):
    """What a browser knows of its login, and what it does."""

    login_id: str = ""
    """The login's public name. "": none has begun."""
    code: str = ""
    """The text of the QR code that it shows, as `begin` or the last `status` returned it."""
    user_code: str = ""
    """The code to type. "": the application offers none."""
    state: str = ""
    """The state, as the last answer had it."""

    def __init__(
        self, client: Any, at: str = "/qrlogin", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(client, at, headers, None)
        self._op, self._tag = "", ""

    def _seen(self, answer: Answer) -> Answer:
        self.state = answer.get("state", self.state)
        self.code = answer.get("verification_uri_complete", self.code)
        self.user_code = answer.get("user_code", self.user_code)
        self._tag = (answer.get("scanned_by") or {}).get("tag", "")
        return answer

    def _begun(self) -> Self:
        if not self.login_id:
            raise RuntimeError("this browser has begun no login: call begin() first")
        return self

    def _begin(self) -> Act[None]:
        begun = yield self._post("begin")
        self.login_id, self._op = begun["login_id"], token_urlsafe(16)
        self._seen(begun)

    def _status(self) -> Act[Answer]:
        return self._seen((yield self._get(self._begun().login_id)))

    def _redeem(self) -> Act[Answer]:
        yield from self._status()
        answer = yield self._post(
            f"{self.login_id}/redeem", acknowledged=self._tag or "-", op=self._op
        )
        return self._seen(answer)

    def _cancel(self) -> Act[None]:
        self._seen((yield self._post(f"{self._begun().login_id}/cancel")))


class Browser(_BaseBrowser, _Blocking):
    """The browser that is to be logged in. Its methods raise `Refused`, and
    `RuntimeError` before `begin`.

    :param client: a test client of your framework that is not signed in, or a `QRLogin`.
    :param at: where your application has mounted the endpoint.
    :param headers: what it sends beyond what browsers send.
    """

    def begin(self) -> Self:
        """Begin a login, and show its code. Returns this browser."""
        self._run(self._begin())
        return self

    def status(self) -> Answer:
        """Ask for the state, and show the code of this moment. Returns the answer's JSON."""
        return self._run(self._status())

    def redeem(self) -> Answer:
        """Accept "continue as …?", and collect the login. Returns the answer's JSON. Called again,
        it repeats the same click.
        """
        return self._run(self._redeem())

    def cancel(self) -> None:
        """Give the login up."""
        self._run(self._cancel())


class AsyncBrowser(_BaseBrowser, _Awaited):
    """`Browser` for asyncio.

    :param client: `httpx.AsyncClient`, Django's `AsyncClient`, or an `AsyncQRLogin`.
    :param at: as for `Browser`.
    :param headers: as for `Browser`.
    """

    async def begin(self) -> Self:
        """As `Browser.begin`."""
        await self._run(self._begin())
        return self

    async def status(self) -> Answer:
        """As `Browser.status`."""
        return await self._run(self._status())

    async def redeem(self) -> Answer:
        """As `Browser.redeem`."""
        return await self._run(self._redeem())

    async def cancel(self) -> None:
        """As `Browser.cancel`."""
        await self._run(self._cancel())


class _BasePhone(_Device):
    """What a phone does with a code, or with the browser that shows it."""

    def __init__(
        self,
        client: Any,
        at: str = "/qrlogin/phone",
        headers: dict[str, str] | None = None,
        person: Person | None = None,
    ) -> None:
        super().__init__(client, at, headers, person)

    def _act(self, verb: str, code: "str | _BaseBrowser", **more: str) -> Act[Answer]:
        text = code if isinstance(code, str) else code._begun().code
        answer = yield self._post(verb, code=text, **more)
        return answer

    def _approve(self, code: "str | _BaseBrowser", match_code: str) -> Act[Answer]:
        yield from self._act("scan", code)
        return (yield from self._confirm(code, match_code))

    def _confirm(self, code: "str | _BaseBrowser", match_code: str) -> Act[Answer]:
        more = {"match_code": match_code} if match_code else {}
        return (yield from self._act("confirm", code, **more))


class Phone(_BasePhone, _Blocking):
    """The phone of a user. Its methods take the text of a code, or the browser that shows it. They
    return the answer's JSON, and raise `Refused`, or `RuntimeError` for a browser that has begun no
    login.

    :param client: a test client of your framework on which the user is signed in, or a `QRLogin`.
    :param at: where your application has mounted the phone's side.
    :param headers: such as `Authorization`, if your phone app sends one.
    :param person: who is signed in, if `client` is a `QRLogin`.
    """

    def look(self, code: str | Browser) -> Answer:
        """Ask what there is to approve. It changes nothing."""
        return self._run(self._act("look", code))

    def scan(self, code: str | Browser) -> Answer:
        """Take the login for this user."""
        return self._run(self._act("scan", code))

    def confirm(self, code: str | Browser, match_code: str = "") -> Answer:
        """Approve what was scanned.

        :param code: the same as in `scan`.
        :param match_code: the digits that the browser shows, if the application asks for them.
        """
        return self._run(self._confirm(code, match_code))

    def approve(self, code: str | Browser, match_code: str = "") -> Answer:
        """Scan, then confirm.

        :param code: what the browser shows.
        :param match_code: as in `confirm`.
        """
        return self._run(self._approve(code, match_code))

    def release(self, code: str | Browser) -> Answer:
        """Give up what was scanned, so that another phone can scan it."""
        return self._run(self._act("release", code))

    def deny(self, code: str | Browser) -> Answer:
        """Deny what was scanned."""
        return self._run(self._act("deny", code))

    def outcome(self, code: str | Browser) -> Answer:
        """Ask what became of the login."""
        return self._run(self._act("outcome", code))


class AsyncPhone(_BasePhone, _Awaited):
    """`Phone` for asyncio.

    :param client: `httpx.AsyncClient`, Django's `AsyncClient`, or an `AsyncQRLogin`.
    :param at: as for `Phone`.
    :param headers: as for `Phone`.
    :param person: as for `Phone`.
    """

    async def look(self, code: str | AsyncBrowser) -> Answer:
        """As `Phone.look`."""
        return await self._run(self._act("look", code))

    async def scan(self, code: str | AsyncBrowser) -> Answer:
        """As `Phone.scan`."""
        return await self._run(self._act("scan", code))

    async def confirm(self, code: str | AsyncBrowser, match_code: str = "") -> Answer:
        """As `Phone.confirm`."""
        return await self._run(self._confirm(code, match_code))

    async def approve(self, code: str | AsyncBrowser, match_code: str = "") -> Answer:
        """As `Phone.approve`."""
        return await self._run(self._approve(code, match_code))

    async def release(self, code: str | AsyncBrowser) -> Answer:
        """As `Phone.release`."""
        return await self._run(self._act("release", code))

    async def deny(self, code: str | AsyncBrowser) -> Answer:
        """As `Phone.deny`."""
        return await self._run(self._act("deny", code))

    async def outcome(self, code: str | AsyncBrowser) -> Answer:
        """As `Phone.outcome`."""
        return await self._run(self._act("outcome", code))
