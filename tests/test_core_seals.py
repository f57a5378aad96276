"""A forged, altered or spliced record is always refused.

No subject and no name is released unless a seal of the application's key covers it. The attacker
here reads and writes every record, knows every tag, can begin logins and has accounts. The
attacker lacks only the key.
"""

import functools
import itertools
import logging
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from qrlogin import (
    BadArgument,
    Begun,
    Expired,
    LoginError,
    MatchCodeNeeded,
    NotYours,
    RecordForged,
    Redeemed,
    Scanned,
    ScannerChanged,
    State,
    Status,
    Unavailable,
    UnknownLogin,
    seals,
)
from qrlogin.allowances import take
from qrlogin.codes import Codes
from qrlogin.emitted import ForgedRecords
from qrlogin.keys import Key
from qrlogin.operation import Operation
from qrlogin.reply_checks import RECORD_FORMAT
from qrlogin.step import Record
from qrlogin.table import TABLE
from qrlogin.typed_codes import GUESSED_RIGHT, LOOK_UP, NAME
from tests.application import (
    ALICE,
    BOB,
    KEY,
    NAMES,
    OP,
    OTHER_OP,
    SHOWN,
    TO_SCAN,
    UNLIMITED,
    URI,
    App,
    answer_of,
)
from tests.security_rows import counted, row
from tests.tables import for_each_row

#: The fields that a status shows before the approval, and those that seal them.
SHOWN_BY_STATUS = tuple(
    dict.fromkeys((*seals.BEGINNING, "begin_seal", *seals.SCANNER, "scanner_seal"))
)
#: All fields that a seal covers, and the seals.
SEALED = tuple(dict.fromkeys((*SHOWN_BY_STATUS, *seals.APPROVAL, "approval")))
HAS_SCANNER = (State.SCANNED, State.CONFIRMED, State.REDEEMED)


class Victim:
    """One login, and everything that an attacker could write into its record."""

    def __init__(self, state: State) -> None:
        self.app = App()
        self.begun, self.tag = self.app.reach(state, ALICE)
        self.genuine: Record = self.app.store.record(self.begun.login_id)
        other, _ = self.app.reach(State.REDEEMED, BOB)
        self.foreign: Record = self.app.store.record(other.login_id)

    def forge(self, **changes: str | None) -> None:
        record = {
            **self.genuine,
            **{name: value for name, value in changes.items() if value is not None},
        }
        for name, value in changes.items():
            if value is None:
                record.pop(name, None)
        self.app.store.forge(self.begun.login_id, record)

    def alterations(self) -> Iterator[tuple[str, str | None]]:
        """Each sealed field: deleted, emptied, changed, or copied from another genuine record."""
        others = [self.foreign, *genuine_records().values()]
        for name in SEALED:
            now = self.genuine.get(name, "")
            tried = {
                None,
                "",
                "x",
                now + "x",
                now[:-1],
                now[1:],
                now.swapcase(),
                *(one.get(name, "") for one in others),
            }
            if now:
                tried |= {
                    _changed_at(now, 0),
                    _changed_at(now, len(now) // 2),
                    _changed_at(now, len(now) - 1),
                }
            for value in tried:
                if (value or "") != now:
                    yield name, value


@pytest.fixture(autouse=True)
def every_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log has an error for the first forgery of a record. These tests forge one many times."""
    monkeypatch.setattr(ForgedRecords, "add", lambda *_: True)


def _changed_at(text: str, at: int) -> str:
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


@functools.cache
def genuine_records() -> Mapping[State, Record]:
    """A genuine record of a login of Bob's, for each state."""
    app, found = App(), {}
    for state in (State.PENDING, *HAS_SCANNER, State.DENIED, State.CANCELLED):
        begun, _ = app.reach(state, BOB)
        found[state] = app.store.record(begun.login_id)
    return found


@pytest.mark.parametrize("state", HAS_SCANNER)
def test_status_shows_only_the_scanner_that_the_seal_names(
    state: State, caplog: pytest.LogCaptureFixture
) -> None:
    """An altered field that a status shows gives 404 like an unknown login, and an alarm."""
    victim, tried = Victim(state), 0
    for name, value in victim.alterations():
        victim.forge(**{name: value})
        caplog.clear()
        if name in SHOWN_BY_STATUS or state is not State.SCANNED:
            with pytest.raises(RecordForged) as refusal:
                victim.app.qr.status(victim.begun.device_code)
            assert_alarm(victim, refusal.value, caplog)
            tried += 1
        else:
            seen = victim.app.qr.status(victim.begun.device_code).scanned_by
            assert seen is not None
            assert (seen.shown_as, seen.tag, seen.name) == (SHOWN[ALICE], victim.tag, "")
    assert tried >= 60


def assert_alarm(victim: Victim, refusal: UnknownLogin, caplog: pytest.LogCaptureFixture) -> None:
    """The client gets the answer for an unknown login; the log names the login and no secret."""
    assert (refusal.http_status, refusal.wire_code, refusal.wire_text) == (
        UnknownLogin.http_status, UnknownLogin.wire_code, UnknownLogin.wire_text,
    )  # fmt: skip
    alarms = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert [one.name for one in alarms] == ["qrlogin"]
    message = alarms[0].getMessage()
    assert victim.begun.login_id in message
    for secret in (
        victim.begun.device_code,
        victim.begun.scan_code,
        victim.tag or SHOWN[ALICE],
        ALICE,
        BOB,
        "Firefox",
        KEY.hex(),
    ):
        assert secret not in message + str(refusal)


@row(24)
@pytest.mark.parametrize("replayed", [False, True])
def test_redeem_releases_only_the_subject_that_was_sealed(
    replayed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    victim, tried = Victim(State.REDEEMED if replayed else State.CONFIRMED), 0
    for name, value in victim.alterations():
        for tag in {victim.tag, value or "", victim.foreign["approval"]}:
            victim.forge(**{name: value})
            caplog.clear()
            with pytest.raises(LoginError) as refusal:
                victim.app.qr.redeem(
                    victim.begun.device_code, acknowledged=tag[:128] if tag.isascii() else "", op=OP
                )
            if isinstance(refusal.value, RecordForged):
                assert_alarm(victim, refusal.value, caplog)
                tried += 1
    assert tried >= 80
    victim.forge()
    assert (
        victim.app.qr.redeem(victim.begun.device_code, acknowledged=victim.tag, op=OP).subject
        == ALICE
    )


def test_scan_shows_only_the_browser_that_began_the_login(caplog: pytest.LogCaptureFixture) -> None:
    """A forged context could persuade a person to approve "your own laptop"."""
    victim, tried = Victim(State.PENDING), 0
    for name, value in victim.alterations():
        victim.forge(**{name: value})
        caplog.clear()
        if name in ("begin_seal", *seals.BEGINNING) and name != "only_for":
            with pytest.raises(RecordForged) as refusal:
                victim.app.qr.scan(victim.begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
            assert_alarm(victim, refusal.value, caplog)
            tried += 1
        elif name == "only_for" and value:
            with pytest.raises(UnknownLogin):
                victim.app.qr.scan(victim.begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
        else:
            scanned = victim.app.qr.scan(
                victim.begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE]
            )
            assert scanned.context == {"browser": "Firefox on Linux"}
    assert tried >= 25


def test_cancel_and_redeem_raise_record_forged_when_the_device_digest_was_overwritten(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A genuine device_code that does not match its record shows that the record was changed."""
    victim = Victim(State.CONFIRMED)
    for digest in ("", "x", victim.foreign["device_digest"]):
        for call in (
            lambda: victim.app.qr.cancel(victim.begun.device_code),
            lambda: victim.app.qr.redeem(victim.begun.device_code, acknowledged=victim.tag, op=OP),
        ):
            victim.forge(device_digest=digest)
            caplog.clear()
            with pytest.raises(RecordForged) as refusal:
                call()
            assert_alarm(victim, refusal.value, caplog)


@row(24, 440)
def test_a_genuine_record_of_another_login_is_refused() -> None:
    victim = Victim(State.SCANNED)
    for state, record in {**genuine_records(), State.EXPIRED: victim.foreign}.items():
        victim.app.store.forge(victim.begun.login_id, record)
        with pytest.raises(RecordForged):
            victim.app.qr.status(victim.begun.device_code)
        with pytest.raises(LoginError):
            victim.app.qr.redeem(
                victim.begun.device_code, acknowledged=record.get("approval", ""), op=OP
            )
        with pytest.raises(LoginError):
            victim.app.qr.scan(victim.begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
        assert state != victim.app.store.record(victim.begun.login_id).get("subject")


@row(25)
def test_a_rolled_back_state_releases_nothing_that_was_not_approved() -> None:
    """The same browser can redeem again, which cannot be prevented. Nothing else is released."""
    victim = Victim(State.REDEEMED)
    for state in State:
        victim.forge(state=state)
        try:
            redeemed = victim.app.qr.redeem(
                victim.begun.device_code, acknowledged=victim.tag, op=OTHER_OP
            )
        except (LoginError, Unavailable):
            continue
        assert (state, redeemed.subject, redeemed.shown_as) == (
            State.CONFIRMED,
            ALICE,
            SHOWN[ALICE],
        )
    victim = Victim(State.SCANNED)
    victim.forge(state=State.CONFIRMED, redeem_by="999999999999999")
    # A record without an approval has nothing that a browser could acknowledge.
    with pytest.raises(ScannerChanged):
        victim.app.qr.redeem(victim.begun.device_code, acknowledged=victim.tag, op=OP)
    victim.forge(state=State.CONFIRMED, redeem_by="999999999999999", approval=victim.tag)
    with pytest.raises(RecordForged):
        victim.app.qr.redeem(victim.begun.device_code, acknowledged=victim.tag, op=OP)


# The signed end

FAR = "999999999999999"


@row(57)
@pytest.mark.parametrize("replay_window", [None, 120])
@pytest.mark.parametrize("ask_browser", [True, False])
def test_no_writer_of_the_store_extends_a_login_beyond_its_signed_end(
    ask_browser: bool, replay_window: int | None
) -> None:
    """A repeat is answered before the record's deadlines are read, and those are not sealed."""
    app = App()
    begun = app.qr.run(app.qr.core.begin(ask_browser=ask_browser, replay_window=replay_window))
    app.clock.ms += TO_SCAN * 1000 - 1
    landing = seals.landing(app.device(begun).key, begun.login_id)
    app.qr.scan(begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE], landing=landing)
    app.clock.ms += 89_999
    app.qr.confirm(begun.scan_code, subject=ALICE)
    tag = app.tag(begun)
    confirmed = app.store.record(begun.login_id)

    def redeem() -> Redeemed:
        return app.qr.run(
            app.qr.core.redeem(
                app.device(begun), acknowledged=tag, op=OP, replay_window=replay_window
            )
        )

    ends = app.device(begun).ends_at
    window = (replay_window or app.policy.replay_window) * 1000
    app.clock.ms += 29_999
    assert not redeem().replayed
    redeemed = app.store.record(begun.login_id)
    app.clock.ms += window - 1  # the latest repeat that the record itself allows
    assert redeem().subject == ALICE
    times = dict.fromkeys(("scan_by", "decide_by", "redeem_by", "replay_by"), FAR)
    app.clock.ms = ends + window - 1
    app.store.forge(begun.login_id, {**redeemed, **times})
    assert redeem().subject == ALICE
    for late in (0, 364 * 86_400_000):
        app.clock.ms = ends + window + late
        app.store.apply(
            app.qr.core.status(app.device(begun)).command
        )  # the writer restores what the store drops
        for record in (redeemed, confirmed):
            app.store.forge(begun.login_id, {**record, **times})
            with pytest.raises(Expired):
                redeem()


@row(57)
@pytest.mark.parametrize("state", [State.PENDING, State.SCANNED, State.CONFIRMED])
def test_no_writer_of_the_store_shows_a_browser_a_state_beyond_its_signed_end(state: State) -> None:
    """Otherwise a browser could show fresh codes of one login for ever."""
    victim = Victim(state)
    after = {State.PENDING: 120_000, State.SCANNED: 30_000, State.CONFIRMED: 0}[state]
    ends = victim.app.device(victim.begun).ends_at - after
    victim.forge(**dict.fromkeys(("shown_until", "scan_by", "decide_by", "redeem_by"), FAR))
    victim.app.clock.ms = ends - 1
    last = victim.app.qr.status(victim.begun.device_code)
    assert (last.state, last.expires_in) == (state, 1)
    if state is State.PENDING:
        victim.app.clock.ms = ends
        with pytest.raises(Expired):  # no code outlives the signed time to scan
            victim.app.qr.scan(last.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    for late in (0, 364 * 86_400_000):
        victim.app.clock.ms = ends + late
        seen = victim.app.qr.status(victim.begun.device_code)
        assert (seen.state, seen.expires_in, seen.scan_code) == (State.EXPIRED, 0, "")


@row(57)
def test_a_phone_is_shown_no_login_that_began_after_its_own_code_had_expired() -> None:
    """So a landing of an old login is not shown as one that began a few seconds ago."""
    victim = Victim(State.PENDING)
    landing = victim.app.qr.land(victim.begun.scan_code).token
    deadline = victim.app.qr.core._codes.read_scan_code(victim.begun.scan_code)[0].deadline_ms
    assert deadline is not None
    victim.app.clock.ms += 200_000
    for row in (victim.app.qr.look, victim.app.qr.scan):
        asked = {"subject": ALICE, "landing": landing}
        asked |= {} if row == victim.app.qr.look else {"shown_as": SHOWN[ALICE]}
        for begun_at in (deadline, victim.app.clock.ms - 5_000, int(FAR)):
            victim.forge(begun_at=str(begun_at))
            with pytest.raises(RecordForged):
                row(victim.begun.scan_code, **asked)
        victim.forge(begun_at=str(deadline - 1))  # the youngest that a writer can make it look
        younger = row(victim.begun.scan_code, **asked)
        assert younger.begun_ago == (victim.app.clock.ms - deadline + 1) // 1000 > 150


@pytest.mark.parametrize("replayed", [False, True])
def test_redeem_returns_no_time_that_the_signed_ones_do_not_allow(replayed: bool) -> None:
    victim = Victim(State.REDEEMED if replayed else State.CONFIRMED)
    device = victim.app.device(victim.begun)

    def redeem() -> Redeemed:
        return victim.app.qr.redeem(victim.begun.device_code, acknowledged=victim.tag, op=OP)

    for wrong in ("", "0", FAR, str(device.begun_at - 1), str(device.begun_at + 1)):
        victim.forge(begun_at=wrong)
        with pytest.raises(RecordForged):
            redeem()
    if replayed:
        for wrong in ("", "0", FAR, str(device.begun_at - 1), str(device.ends_at)):
            victim.forge(redeemed_at=wrong)
            with pytest.raises(RecordForged):
                redeem()
    victim.forge()
    assert device.begun_at <= redeem().redeemed_at_ms < device.ends_at


def test_a_browser_gets_nothing_of_a_login_with_another_begin_time_than_the_signed_one() -> None:
    victim = Victim(State.PENDING)
    for begun_at in ("", "0", "1", str(victim.app.clock.ms - 9_000), FAR, None):
        victim.forge(begun_at=begun_at)
        with pytest.raises(RecordForged):
            victim.app.qr.status(victim.begun.device_code)


# The documented exceptions

ROWS = (*TABLE.values(), NAME, LOOK_UP, GUESSED_RIGHT, take(1, 1))


def unsealed_fields() -> set[str]:
    """Every field that the step writes and no seal covers."""
    written = {"state", "mark", "version", "changed_at", "pace_at", "pace_ms", "pace_mark"}
    for row in ROWS:
        written |= {*row.writes, *row.instants, *row.starts}
        written |= {row.count.field} if row.count else set()
    return written - {*SEALED, "names", "name_seal"}


@row(57)
def test_the_docs_list_exactly_the_fields_that_no_seal_covers() -> None:
    text = Path("docs/security/index.md").read_text("utf-8")
    table = text.partition("| field without a seal |")[2].partition("\n\n")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines()[2:]]
    listed = [name for cell in first_cells for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(listed) == sorted(unsealed_fields())


@pytest.mark.parametrize("state", [State.PENDING, *HAS_SCANNER, State.DENIED, State.CANCELLED])
def test_no_field_without_a_seal_changes_who_is_logged_in_or_what_is_shown(state: State) -> None:
    """Each of them with each value that could matter, alone and all at once, now and much later."""
    tried = 0
    for name in (*sorted(unsealed_fields()), None):
        for value in (None, "", "0", "1", FAR, "x", *State):
            victim = Victim(state)
            app, code = victim.app, victim.begun.device_code
            names = [name] if name else sorted(unsealed_fields() - {"v", "state"})
            ends = app.device(victim.begun).ends_at
            for now in (app.clock.ms, ends - 1, ends, ends + 30_000, ends + 364 * 86_400_000):
                app.clock.ms = now
                redeem = partial(app.qr.redeem, code, acknowledged=victim.tag or "x")
                calls: tuple[Callable[[], object], ...] = (
                    partial(app.qr.status, code),
                    partial(redeem, op=OP),
                    partial(redeem, op=OTHER_OP),
                    partial(app.qr.look, victim.begun.scan_code, subject=BOB),
                    partial(app.qr.outcome, victim.begun.scan_code, subject=ALICE),
                )
                for call in calls:
                    victim.forge(**dict.fromkeys(names, value))
                    tried += 1
                    try:
                        answer = call()
                    except (LoginError, Unavailable):
                        continue
                    if isinstance(answer, Redeemed):
                        assert state in (State.CONFIRMED, State.REDEEMED)
                        assert (answer.subject, answer.shown_as) == (ALICE, SHOWN[ALICE])
                        assert now < ends + 30_000
                    elif isinstance(answer, Scanned):
                        assert answer.context == {"browser": "Firefox on Linux"}
                    elif isinstance(answer, Status) and answer.scanned_by:
                        assert answer.scanned_by.shown_as == SHOWN[ALICE]
    assert tried >= 5000


# The same code, drawn again

#: What the phone's three calls of a login leave in its record.
APPROVED = ("claim", "shown_as", "scanner_seal", "subject", "name", "met", "facts", "approval")


@row(50, 440)
@pytest.mark.parametrize("drawn", ["letters", "ids"])
@pytest.mark.parametrize("form", ["typed", "rotating", "fixed"])
@pytest.mark.parametrize("ask_browser", [True, False])
def test_an_old_approval_opens_no_later_login_that_draws_the_same_letters(
    drawn: str, form: str, ask_browser: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight letters are drawn again some day, and an attacker can keep old records until then. The
    login_id is what stops the attack: with equal ids, which are never drawn, it wins.
    """
    monkeypatch.setattr(secrets, "choice", lambda letters: letters[0])
    if drawn == "ids":
        monkeypatch.setattr("qrlogin.codes.new_login_id", lambda: "AAECAwQFBgcICQoLDA0ODw")
        monkeypatch.setattr(secrets, "token_bytes", bytes)
    app = App(policy=replace(UNLIMITED, user_codes=True))

    def begin() -> Begun:
        begun = app.qr.run(
            app.qr.core.begin(
                user_code=form != "fixed", fixed=form == "fixed", ask_browser=ask_browser
            )
        )
        return replace(begun, scan_code=begun.user_code if form == "typed" else begun.scan_code)

    old = begin()
    app.qr.scan(old.scan_code, subject=ALICE, shown_as=SHOWN[ALICE])
    app.qr.confirm(old.scan_code, subject=ALICE)
    approved = app.store.record(old.login_id)
    app.store._records._records.clear()
    new = begin()
    assert new.user_code == old.user_code
    pending = app.store.record(new.login_id)
    spliced = {**pending, **{name: approved[name] for name in APPROVED}, "state": State.CONFIRMED}
    app.store.forge(new.login_id, {**spliced, "redeem_by": FAR})
    if drawn == "ids":
        tag = app.tag(new)
        assert app.qr.redeem(new.device_code, acknowledged=tag, op=OP).subject == ALICE
        return
    with pytest.raises(RecordForged):
        app.qr.status(new.device_code)
    with pytest.raises(RecordForged):
        app.qr.redeem(new.device_code, acknowledged=approved["approval"], op=OP)
    # The whole old record is refused, too.
    app.store.forge(new.login_id, approved)
    with pytest.raises(LoginError):
        app.qr.status(new.device_code)
    with pytest.raises(LoginError):
        app.qr.redeem(new.device_code, acknowledged=approved["approval"], op=OP)


@row(50, 114)
@pytest.mark.parametrize("form", ["typed", "rotating", "fixed"])
def test_no_login_id_is_drawn_twice(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The approval covers only the login_id of the beginning, so an id must never repeat: it has at
    least 80 random bits, however few the letters of its code have.
    """
    monkeypatch.setattr(secrets, "choice", lambda letters: letters[0])
    made = Codes([KEY], verification_uri=URI, audience=None, plain_http=False)
    drawn = [made.new_codes(fixed=form == "fixed", typed=form == "typed") for _ in range(100)]
    assert len({one.login_id for one in drawn}) == 100


def test_a_typed_code_leads_only_to_the_login_that_was_begun_with_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The name record is sealed. Otherwise an attacker could lead a phone to another login."""
    app = App(policy=replace(UNLIMITED, user_codes=True))
    victim, mine = app.qr.begin(user_code=True), app.qr.begin(user_code=True)
    (at,), (from_,) = (
        app.qr.core._codes.read_scan_code(begun.user_code) for begun in (victim, mine)
    )
    genuine, other = app.store.record(at.login_id), app.store.record(from_.login_id)
    for forged in (
        other,
        {**genuine, "names": mine.login_id},
        {**genuine, "names": ""},
        {**genuine, "name_seal": ""},
    ):
        app.store.forge(at.login_id, forged)
        caplog.clear()
        with pytest.raises(RecordForged):
            app.qr.scan(victim.user_code, subject=ALICE, shown_as=SHOWN[ALICE])
        assert [one.levelno for one in caplog.records] == [logging.ERROR]
    app.store.forge(at.login_id, genuine)
    assert (
        app.qr.scan(victim.user_code, subject=ALICE, shown_as=SHOWN[ALICE]).login_id
        == victim.login_id
    )


# Splices, exhaustively


def sources() -> tuple[App, Victim, list[Record]]:
    """Three genuine records: the victim's, the same after Bob's scan, and the attacker's login."""
    victim = Victim(State.CONFIRMED)
    app, begun, alice = victim.app, victim.begun, victim.genuine
    key = Key(KEY, "example.com")
    # Bob scanned and confirmed this login too late: the attacker has everything his phone sent.
    claim = seals.claim(key, begun.login_id, BOB, "")
    bob = {**alice, "claim": claim, "shown_as": SHOWN[BOB], "subject": BOB, "name": NAMES[BOB]}
    bob["scanner_seal"] = seals.scanner_seal(key, begun.login_id, bob)
    bob["approval"] = seals.approval_seal(key, begun.login_id, bob)
    # The attacker's own login, in their own browser, confirmed with their own account.
    mine = app.begin(browser="the forger's")
    tag = app.scan(mine, "mallory")
    app.qr.confirm(mine.scan_code, subject="mallory", name=NAMES[ALICE])  # a name of their choice
    assert tag
    return app, victim, [alice, bob, app.store.record(mine.login_id)]


SHOWN["mallory"] = "M•••y"


@pytest.fixture
def quick_macs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cache the MACs: a hundred thousand splices compute the same few hundred."""
    genuine, known = Key.mac, dict[tuple[str, ...], str]()

    def mac(self: Key, purpose: str, *parts: str) -> str:
        asked = (purpose, *parts)
        if asked not in known:
            known[asked] = genuine(self, purpose, *parts)
        return known[asked]

    monkeypatch.setattr(Key, "mac", mac)


@row(24, 142)
@pytest.mark.long
def test_no_splice_of_genuine_records_is_redeemed(
    quick_macs: None, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every mixture of three genuine records, field by field, with the tag of that mixture."""
    app, victim, genuine = sources()
    spliced = (
        "device_digest",
        "context",
        "begin_seal",
        "claim",
        "shown_as",
        "scanner_seal",
        "subject",
        "name",
        "approval",
        "met",  # and not "facts", which the same seal covers in the same way
        "only_for",
    )
    marks = [
        {"met": "", "facts": "", "only_for": ""},
        {"met": "match", "facts": "", "only_for": ""},
        {"met": "", "facts": "f"},
    ]
    cut = [
        {**{name: record[name] for name in spliced if name in record}, **mark}
        for record, mark in zip(genuine, marks, strict=True)
    ]
    cut[2]["only_for"] = seals.account_digest(Key(KEY, "example.com"), victim.begun.login_id, BOB)
    allowed = {(ALICE, SHOWN[ALICE]), (BOB, SHOWN[BOB])}
    tried, released = 0, dict[tuple[str, str], int]()
    for chosen in itertools.product(range(3), repeat=len(spliced)):
        record = {
            **victim.genuine,
            **{name: cut[source][name] for name, source in zip(spliced, chosen, strict=True)},
        }
        operation = app.qr.core.redeem(
            app.device(victim.begun), acknowledged=record["approval"], op=OP
        )
        app.store.forge(victim.begun.login_id, record)
        tried += 1
        try:
            redeemed: Redeemed = answer_of(operation, app.store.apply(operation.command))
        except LoginError:
            continue
        who = (redeemed.subject, redeemed.shown_as)
        assert who in allowed, chosen
        assert redeemed.name == NAMES[redeemed.subject]
        assert redeemed.context == {"browser": "Firefox on Linux"}
        assert record["subject"] == redeemed.subject
        released[who] = released.get(who, 0) + 1
    with capsys.disabled():
        print(f"\n{tried} splices, {sum(released.values())} of them genuine", end=" ")
    assert tried == 3**11
    counted("splices at redeem", tried)
    counted("splices that reassemble an approval", sum(released.values()))
    assert set(released) == allowed, "a mixture that reassembles a genuine approval is not forged"


@pytest.mark.long
def test_no_splice_shows_a_person_or_a_browser_that_took_no_part(quick_macs: None) -> None:
    """Scan and status, over the fields that they show and the fields that seal them."""
    app, victim, genuine = sources()
    # The same in all three: every login of a policy has the same windows, and no browser kept
    # anything.
    alike = ("decide_ms", "redeem_ms", "known")
    spliced = tuple(name for name in SHOWN_BY_STATUS if name not in alike)
    shown, contexts, tried = set(), set(), 0
    for state in (State.PENDING, *HAS_SCANNER):
        for chosen in itertools.product(range(3), repeat=len(spliced)):
            record = {**victim.genuine, "state": state}
            record |= {
                name: genuine[source][name] for name, source in zip(spliced, chosen, strict=True)
            }
            tried += 1
            operations: tuple[Operation[Any], ...] = (
                app.qr.core.status(app.device(victim.begun)),
                app.qr.core.scan(victim.begun.scan_code, subject=ALICE, shown_as=SHOWN[ALICE]),
            )
            for operation in operations:
                app.store.forge(victim.begun.login_id, dict(record))
                try:
                    answer: Status | Scanned = answer_of(
                        operation, app.store.apply(operation.command)
                    )
                except LoginError:
                    continue
                if isinstance(answer, Scanned):
                    contexts.add(answer.context["browser"])
                elif answer.scanned_by:
                    shown.add((answer.scanned_by.shown_as, answer.scanned_by.tag))
    assert tried == 4 * 3**8
    counted("splices at scan and status", tried)
    assert contexts == {"Firefox on Linux"}
    scanners = {(one["shown_as"], one["scanner_seal"]) for one in genuine[:2]}
    assert shown == {*scanners, (SHOWN[ALICE], genuine[0]["approval"])}


@pytest.mark.parametrize("state", HAS_SCANNER)
def test_a_record_that_another_key_sealed_is_forged(state: State) -> None:
    """All seals are consistent, but a key that is not the login's made them."""
    victim = Victim(state)
    wrong = Key(bytes(32)[::-1] + KEY, "example.com")
    login_id, record = victim.begun.login_id, dict(victim.genuine)
    claim = seals.claim(wrong, login_id, BOB, "")
    forged = {**record, "claim": claim, "shown_as": SHOWN[BOB], "subject": BOB}
    sealed = {
        **{name: forged[name] for name in ("claim", "shown_as", "subject")},
        "v": RECORD_FORMAT,
        "begin_seal": seals.begin_seal(wrong, login_id, forged),
        "scanner_seal": seals.scanner_seal(wrong, login_id, forged),
        "approval": seals.approval_seal(wrong, login_id, forged),
        "state": State.CONFIRMED,
        "redeem_by": FAR,
    }
    for kept in (set(), {"begin_seal"}):
        victim.forge(**{name: value for name, value in sealed.items() if name not in kept})
        with pytest.raises(RecordForged):
            victim.app.qr.redeem(victim.begun.device_code, acknowledged=sealed["approval"], op=OP)
        victim.forge(**{name: value for name, value in sealed.items() if name not in kept})
        with pytest.raises(RecordForged):
            victim.app.qr.status(victim.begun.device_code)


@for_each_row(
    "needs, met, only_for, released",
    [
        ("", "", "", True),
        ("match", "match", "", True),
        ("match", "", "", False),
        ("match", "other", "", False),
        ("", "match", "", True),
        ("", "", ALICE, True),
        ("", "", BOB, False),
        ("match", "match", BOB, False),
    ],
)
def test_redeem_checks_needs_and_only_for_again(
    needs: str, met: str, only_for: str, released: bool
) -> None:
    """`needs` must be empty or equal `met`, and `only_for` must fit the subject, in every state."""
    victim, key = Victim(State.CONFIRMED), Key(KEY, "example.com")
    login_id, genuine = victim.begun.login_id, victim.genuine
    meant = seals.account_digest(key, login_id, only_for) if only_for else ""
    changed = {"needs": needs, "only_for": meant, "met": met}
    forged = {**genuine, **changed}
    victim.forge(
        **changed,
        begin_seal=seals.begin_seal(key, login_id, forged),
        approval=seals.approval_seal(key, login_id, forged),
    )
    approval = victim.app.store.record(login_id)["approval"]
    redeem = victim.app.qr.core.redeem(
        victim.app.device(victim.begun), acknowledged=approval, op=OP
    )
    if released:
        assert victim.app.qr.run(redeem).subject == ALICE
    else:
        with pytest.raises(RecordForged):
            victim.app.qr.run(redeem)


@row(64, 127)
@pytest.mark.parametrize("form", ["rotating", "fixed", "typed"])
@pytest.mark.parametrize("ask_browser", [True, False])
def test_a_login_for_one_account_is_unknown_to_every_other(form: str, ask_browser: bool) -> None:
    """The record does not show whose it is, and a writer who opens it to another gains nothing."""
    app = App(policy=replace(UNLIMITED, user_codes=True, guesses=20))
    begun = app.qr.run(
        app.qr.core.begin(
            subject=ALICE, fixed=form == "fixed", user_code=form == "typed", ask_browser=ask_browser
        )
    )
    code = begun.user_code or begun.scan_code
    record = app.store.record(begun.login_id)
    assert ALICE not in repr(record)
    for _ in range(2):
        with pytest.raises(NotYours):
            app.qr.look(code, subject=BOB)
        with pytest.raises(NotYours):
            app.qr.scan(code, subject=BOB, shown_as=SHOWN[BOB])
    assert app.store.record(begun.login_id) == record
    key, bob = Key(KEY, "example.com"), seals.account_digest(Key(KEY, "example.com"), "", BOB)
    own = seals.account_digest(key, begun.login_id, BOB)
    for opened in ("", bob, own):
        app.store.forge(begun.login_id, {**record, "only_for": opened})
        with pytest.raises((RecordForged, NotYours)):
            app.qr.scan(code, subject=BOB, shown_as=SHOWN[BOB])
        with pytest.raises(RecordForged):
            app.qr.status(begun.device_code)
    app.store.forge(begun.login_id, record)
    assert app.qr.scan(code, subject=ALICE, shown_as=SHOWN[ALICE]).state is State.SCANNED
    app.qr.confirm(code, subject=ALICE)
    tag = app.tag(begun) if ask_browser else None
    assert app.qr.redeem(begun.device_code, acknowledged=tag, op=OP).subject == ALICE


def test_a_subject_must_be_an_id_like_that_of_a_phone() -> None:
    for wrong in ("", 42, b"alice", "x" * 256):
        with pytest.raises(BadArgument):
            App().qr.begin(subject=wrong)  # type: ignore[arg-type]


def test_a_guard_that_is_not_met_raises_what_is_missing_for_the_scanner() -> None:
    """The scanner holds the login, so the error must not say that there is no such login."""
    victim, key = Victim(State.SCANNED), Key(KEY, "example.com")
    genuine = victim.genuine
    seal = seals.begin_seal(key, victim.begun.login_id, {**genuine, "needs": "match"})
    victim.forge(needs="match", begin_seal=seal)
    with pytest.raises(MatchCodeNeeded):
        victim.app.qr.confirm(victim.begun.scan_code, subject=ALICE)
    with pytest.raises(NotYours):
        victim.app.qr.confirm(victim.begun.scan_code, subject=BOB)
    with pytest.raises(Unavailable):  # a newer version knows what this login needs
        victim.app.qr.status(victim.begun.device_code)
