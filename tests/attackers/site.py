"""One application whose store an attacker reads and writes: in memory, or in a real Redis."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NoReturn, Self

from qrlogin import STANDARD, Begun, MemoryStore, QRLogin
from qrlogin.codes import DeviceCode
from qrlogin.step import Command, Record, Reply
from qrlogin.stores.redis_calls import RedisCalls
from qrlogin.table import State
from tests.application import ALICE, BOB, KEY, NAMES, NOON, OP, SHOWN, URI, Clock
from tests.stores.redis_records import as_text_of, record_at

MALLORY = "mallory"
#: How each person is shown. Mallory's name is made to look like Alice's.
PEOPLE = {**{who: (SHOWN[who], NAMES[who]) for who in (ALICE, BOB)}, MALLORY: ("A•••e", "al1ce")}
#: Without limits: the attempts of an attacker are no test of them, and each would cost a command.
POLICY = replace(STANDARD, limits=None, user_codes=True, guesses=20)


class WatchedStore:
    """A store of which the attacker sees every command and every record, and writes the records.

    :param url: of a Redis; "" for a store in memory.
    :param clock: the time of the store.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        self.seen: dict[str, set[str]] = {}
        self.versions: dict[str, list[Record]] = {}
        self.calls = RedisCalls(f"{uuid.uuid4().hex}:", None)
        self._memory, self._redis = MemoryStore(now=clock), None
        self._inner: Any = self._memory
        if url:
            from redis import Redis

            from qrlogin.stores import RedisStore

            self._redis = Redis.from_url(url)
            prefix = self.calls.channels[0].partition("{")[0]
            self._inner = RedisStore.from_url(url, prefix=prefix, now=clock, timeout=30)
        self.watching = True

    def apply(self, command: Command) -> Reply:
        reply: Reply = self._inner.apply(command)
        if self.watching:
            seen = self.seen.setdefault(command.login_id, set())
            seen.update((command.login_id, command.mark, self.key(command.login_id)))
            seen.update(map(str, command.values.values()), reply.record.values())
            kept = self.versions.setdefault(command.login_id, [])
            if reply.record and reply.record not in kept:
                kept.append(dict(reply.record))
        return reply

    def key(self, login_id: str) -> str:
        """The key of a record in Redis."""
        return f"{self.calls.channel(login_id)}:{login_id}"

    def record(self, login_id: str) -> Record:
        """A record, read past the library."""
        if self._redis is None:
            return dict(self._memory._records._records.get(login_id, {}))
        return record_at(self._redis, self.key(login_id))

    def forge(self, login_id: str, record: Record) -> None:
        """Replaces a record, past the library. An empty one deletes it."""
        if self._redis is None:
            self._memory._records._records.pop(login_id, None)
            if record:
                self._memory._records._records[login_id] = dict(record)
            return
        pipe: Any = self._redis.pipeline(transaction=False)
        pipe.delete(self.key(login_id))
        if record:
            pipe.set(self.key(login_id), as_text_of(record))
        pipe.execute()

    def listen(self, login_id: str) -> NoReturn:
        raise AssertionError("these attackers do not wait")

    def close(self) -> None:
        self._inner.close()
        if self._redis is not None:
            self._redis.close()


@dataclass
class Victim:
    """One login, what really happened in it, and the secrets that no attacker has."""

    begun: Begun
    code: str
    """The scan code that was scanned, in whatever form."""
    owner: str
    """Whose browser began it."""
    scanned_by: str
    """Who scanned it; "" if no phone did."""
    state: State
    context: dict[str, str]
    device: DeviceCode
    approved: bool = False
    """Whether its scanner approved it, whatever happened later."""
    record: Record = field(default_factory=dict)


FORMS = ("rotating", "fixed", "typed")
STATES = (
    State.PENDING, State.SCANNED, State.CONFIRMED, State.REDEEMED, State.DENIED, State.CANCELLED,
)  # fmt: skip


class Site:
    """The application, its clock, and logins in every state."""

    def __init__(self, url: str = "") -> None:
        self.clock = Clock(NOON)
        self.store = WatchedStore(url, self.clock)
        self.qr = QRLogin(
            self.store, secret_keys=[KEY], verification_uri=URI, audience=None, policy=POLICY
        )

    def login(
        self,
        form: str,
        state: State,
        *,
        owner: str,
        scanner: str,
        asked: bool,
        denied: bool = False,
    ) -> Victim:
        """A login that reached this state as people do.

        :param form: of its scan code.
        :param state: the last state.
        :param owner: whose browser it is.
        :param scanner: whose phone scans and decides.
        :param asked: whether the browser is asked "continue as …?".
        :param denied: for DENIED: only after the approval.
        """
        context = {"browser": f"the browser of {owner}"}
        begun = self.qr.run(
            self.qr.core.begin(
                context=context, ask_browser=asked, fixed=form == "fixed", user_code=form == "typed"
            )
        )
        code = begun.user_code or begun.scan_code
        device = self.qr.core.read_device_code(begun.device_code)
        scanned = scanner if state not in (State.PENDING, State.CANCELLED) else ""
        made = Victim(begun, code, owner, scanned, state, context, device)
        shown_as, name = PEOPLE[scanner]
        if scanned:
            self.qr.scan(code, subject=scanner, shown_as=shown_as)
            self.qr.status(begun.device_code)
        if state in (State.CONFIRMED, State.REDEEMED) or denied:
            self.qr.confirm(code, subject=scanner, name=name)
            made.approved = True
        if state is State.REDEEMED:
            self.qr.redeem(begun.device_code, acknowledged=self.tag(made) if asked else None, op=OP)
        if state is State.DENIED:
            self.qr.deny(code, subject=scanner)
        if state is State.CANCELLED:
            self.qr.cancel(begun.device_code)
        self.qr.status(begun.device_code)
        made.record = self.store.record(begun.login_id)
        return made

    def tag(self, login: Victim) -> str:
        """What the login's browser acknowledges."""
        seen = self.qr.status(login.begun.device_code).scanned_by
        return seen.tag if seen else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.qr.close()


def every_kind() -> Iterator[tuple[str, State, bool]]:
    """Each form of code, each state, asked or not."""
    for form in FORMS:
        for state in STATES:
            for asked in (True, False):
                yield form, state, asked
