"""The table equals the protocol as text, and no sequence of commands breaks its promises.

The search is a complete model check of one login, two browsers, the phones of two accounts, two
clicks, and every instant that a deadline can distinguish. It runs all commands at each state
through the step that the stores use.
"""

import gc
import itertools
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from qrlogin.step import Command, Outcome, Record, Verdict, number, step
from qrlogin.table import (
    ABSENT,
    ANY,
    DIES_AT,
    NEVER,
    TABLE,
    TERMINAL,
    Count,
    Row,
    State,
)
from qrlogin.typed_codes import GUESSED_RIGHT, LOOK_UP, NAME, guess
from tests.security_rows import counted, row

# 1. The rows, literally

#: event: proves | guards | from (dies at) | to | repeated when | writes.
#: A dash means nothing; "stay" keeps the state.
PROTOCOL = """
begin   | -                      | -          | absent (never)                                                      | pending   | any: device_digest                       | v device_digest context needs only_for known begin_seal decide_ms redeem_ms; begun_at shown_until scan_by
status  | device_digest          | -          | any (never)                                                         | stay      | -                                        | -
land    | -                      | -          | pending (scan_by)                                                   | stay      | -                                        | -
look    | -                      | only_for   | pending (scan_by)                                                   | stay      | scanned confirmed redeemed: claim        | -
scan    | -                      | v only_for | pending (scan_by)                                                   | scanned   | scanned confirmed redeemed: claim        | claim shown_as scanner_seal; scanned_at decide_by (decide_ms)
release | claim                  | v          | scanned (decide_by)                                                 | pending   | pending:                                 | -
confirm | claim                  | v needs    | scanned (decide_by)                                                 | confirmed | confirmed redeemed:                      | subject name met facts approval; confirmed_at redeem_by (redeem_ms)
miss    | claim                  | v          | scanned (decide_by)                                                 | stay      | scanned denied: missed                   | missed
outcome | claim                  | -          | any (never)                                                         | stay      | -                                        | -
deny    | claim                  | v          | scanned (decide_by) confirmed (redeem_by)                           | denied    | denied:                                  | -
cancel  | device_digest          | v          | pending (scan_by) scanned (decide_by) confirmed (redeem_by)         | cancelled | cancelled:                               | -
redeem  | device_digest approval | v          | confirmed (redeem_by)                                               | redeemed  | redeemed: redeem_mark before replay_by   | redeem_mark; replay_by redeemed_at
collect | device_digest          | v          | confirmed (redeem_by)                                               | redeemed  | redeemed: redeem_mark before replay_by   | redeem_mark; replay_by redeemed_at
"""  # noqa: E501
#: Guesses at typed codes are counted in their own records, by rows outside the table of logins.
GUESSING = """
guess of 5    | - | - | absent (never) counting (never) | counting | any: mark | -
guessed right | - | - | counting (never) spent (never)  | counting | any: mark | -
"""
#: The letters of a typed code lead to a record that names the login.
NAMING = """
name    | - | - | absent (never) | naming | any: names | names name_seal
look up | - | - | any (never)    | stay   | -          | -
"""


def as_text(row: Row) -> tuple[str, ...]:
    """A row in the words of the text above."""
    names = {ABSENT: "absent", ANY: "any"}
    sources = " ".join(
        f"{names.get(state, state)} ({dies_at or 'never'})"
        for state, dies_at in row.sources.items()
    )
    repeated = (
        " ".join(names.get(state, state) for state in row.repeats) + ":" if row.repeats else "-"
    )
    repeated += "".join(f" {name}" for name in row.repeats_if) + (
        f" before {row.repeats_until}" if row.repeats_until else ""
    )
    times = (*row.instants, *(f"{name} ({ms})" for name, ms in row.starts.items()))
    writes = " ".join(row.writes) + (f"; {' '.join(times)}" if times else "")
    proves, guards = (" ".join(names) or "-" for names in (row.proves, row.guards))
    return (row.name, proves, guards, sources, row.to or "stay", repeated, writes or "-")


def written(text: str) -> list[tuple[str, ...]]:
    return [
        tuple(" ".join(cell.split()) for cell in line.split("|"))
        for line in text.strip().splitlines()
    ]


def test_the_rows_are_those_of_the_protocol() -> None:
    assert [as_text(row) for row in TABLE.values()] == written(PROTOCOL)
    assert {event: row.name for event, row in TABLE.items()} == {event: event for event in TABLE}
    assert {row.name for row in TABLE.values() if row.reads} == {
        *("status", "land", "look", "outcome")
    }
    assert {row.name: row.paces for row in TABLE.values() if row.paces} == {
        "collect": ("pending", "scanned")
    }
    assert {row.name: row.count for row in TABLE.values() if row.count} == {
        "miss": Count("misses", 3, "denied")
    }


def test_guesses_are_counted_beside_the_logins() -> None:
    """The last guess spends the budget; a right one is given back, up to the whole budget."""
    assert [as_text(row) for row in (guess(5), GUESSED_RIGHT)] == written(GUESSING)
    assert guess(5).count == Count("guesses", 5, "spent", by=1)
    assert GUESSED_RIGHT.count == Count("guesses", 10**9, "counting", by=-1)
    assert guess(5) is guess(5) is not guess(6), (
        "a store encodes a row once, so it must be the same object each time"
    )
    assert not {"counting", "spent"} & {*State}


def test_typed_letters_lead_to_a_record_that_names_the_login() -> None:
    """The record is written once, and no row changes what the letters lead to."""
    assert [as_text(row) for row in (NAME, LOOK_UP)] == written(NAMING)
    assert (NAME.reads, LOOK_UP.reads) == (False, True)
    assert NAME.to not in {*State, "counting", "spent"}


def test_no_row_reads_the_fields_that_pace_polls() -> None:
    """A poll writes only pace fields, which no other event reads."""
    for row in (*TABLE.values(), guess(5), GUESSED_RIGHT):
        read = {
            *row.proves,
            *row.guards,
            *row.repeats_if,
            row.repeats_until,
            *row.sources.values(),
            *row.writes,
            *row.instants,
            *row.starts,
            *row.starts.values(),
        }
        assert not {name for name in read if name.startswith("pace")}, row.name


def test_only_states_that_are_not_final_have_deadlines() -> None:
    """A state ends at one instant, so the step and the answers cannot disagree about "expired"."""
    assert dict(DIES_AT) == {
        "pending": "scan_by",
        "scanned": "decide_by",
        "confirmed": "redeem_by",
    }
    assert set(TERMINAL) == {"redeemed", "denied", "cancelled"}
    assert set(State) == {*DIES_AT, *TERMINAL, State.EXPIRED}
    for row in TABLE.values():
        for state, dies_at in row.sources.items():
            assert dies_at == (NEVER if state in (ABSENT, ANY) else DIES_AT[State(state)]), row.name


def test_expired_is_a_verdict_and_is_never_written() -> None:
    for row in TABLE.values():
        assert State.EXPIRED not in {row.to, *row.sources, *row.repeats}, row.name


def test_no_row_leaves_a_final_state_and_no_row_can_be_changed() -> None:
    for row in TABLE.values():
        assert not TERMINAL & set(row.sources), row.name
        with pytest.raises(TypeError):
            row.sources["pending"] = ""  # type: ignore[index]
    with pytest.raises(TypeError):
        TABLE["scan"] = TABLE["deny"]  # type: ignore[index]


def test_no_row_writes_its_own_proof_or_the_bookkeeping() -> None:
    """A call that could write its own proof would prove nothing the next time."""
    for row in TABLE.values():
        written = {*row.writes, *row.instants, *row.starts}
        assert len(written) == len(row.writes) + len(row.instants) + len(row.starts)
        assert not written & {"state", "version", "changed_at", "mark"}
        assert row.name == "begin" or not written & set(row.proves)


# 2. The search

BEGUN, HORIZON = 100, 111
# So short that every instant is looked at.
SCAN, DECIDE, REDEEM, REPLAY, ROTATION, GRACE, LAG, INTERVAL = 4, 3, 3, 2, 2, 1, 3, 2
ACCOUNTS, BROWSERS, CLICKS = ("A", "B"), ("right", "wrong"), ("1", "2")
# Two are enough for three tries: a try that differs from the one before it counts.
WRONG_DIGITS = {"A": ("12", "34"), "B": ()}


_ASIDE = ("version", "mark", "pace_at", "pace_ms", "pace_mark")
_READ_MISSES = ("pending", "scanned", "denied")


@dataclass(frozen=True)
class Point:
    """One login at one instant, without its version, mark and pace, which no row reads, and without
    its misses where no row reads them any more.
    """

    time: int
    items: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, record: Record, time: int) -> "Point":
        aside = _ASIDE if record.get("state") in _READ_MISSES else (*_ASIDE, "misses", "missed")
        return cls(
            time, frozenset((name, text) for name, text in record.items() if name not in aside)
        )


def commands(time: int, mark: str) -> Iterator[tuple[str, Command]]:
    """All commands that can be sent at this instant, as the core makes them from genuine codes."""
    durations = {
        "begin": {"scan_by": SCAN},
        "redeem": {"replay_by": REPLAY},
        "collect": {"replay_by": REPLAY, "pace": INTERVAL, "pace_step": 1},
    }

    def sent(event: str, by: str, until: int | None = None, **values: str) -> tuple[str, Command]:
        if "v" in TABLE[event].guards:
            values["v"] = "4"
        return by, Command("L", TABLE[event], mark, values, durations.get(event, {}), until)

    for browser in BROWSERS:
        for only_for, needs in (("", ""), ("A", ""), ("", "digits")):
            yield sent(
                "begin",
                browser,
                v="4",
                device_digest=browser,
                only_for=only_for,
                needs=needs,
                begin_seal=f"begun by {browser}",
                decide_ms=str(DECIDE),
                redeem_ms=str(REDEEM),
            )
        yield sent("status", browser, device_digest=browser)
        yield sent("cancel", browser, device_digest=browser)
        for click in CLICKS:
            signed_end = BEGUN + SCAN + DECIDE + REDEEM
            yield sent("collect", browser, signed_end, device_digest=browser, redeem_mark=click)
            for tag in ("", *(f"approved by {account}" for account in ACCOUNTS)):
                yield sent(
                    "redeem",
                    browser,
                    signed_end,
                    device_digest=browser,
                    approval=tag,
                    redeem_mark=click,
                )
    for account in ACCOUNTS:
        claim = f"claim of {account}"
        for shown in range(BEGUN, min(time + 1, BEGUN + SCAN), ROTATION):
            dies = shown + ROTATION + GRACE
            yield sent("land", account, dies)
            yield sent("look", account, dies, claim=claim, only_for=account)
            for deadline in (dies, None):  # None: the browser has landed with this code
                yield sent(
                    "scan",
                    account,
                    deadline,
                    claim=claim,
                    shown_as=account,
                    scanner_seal=f"scanned by {account}",
                    only_for=account,
                )
        for met in ("", "digits"):
            yield sent(
                "confirm",
                account,
                claim=claim,
                subject=account,
                needs=met,
                met=met,
                approval=f"approved by {account}",
            )
        for wrong in WRONG_DIGITS[account]:
            yield sent("miss", account, claim=claim, missed=f"{wrong} by {account}")
        yield sent("release", account, claim=claim)
        yield sent("outcome", account, claim=claim)
        yield sent("deny", account, claim=claim)


@dataclass(frozen=True, slots=True)
class Found:
    """One command at one point, and its outcome."""

    time: int
    before: Record
    who: str
    command: Command
    outcome: Outcome

    @property
    def event(self) -> str:
        return self.command.row.name

    @property
    def verdict(self) -> Verdict:
        return self.outcome.reply.verdict

    @property
    def after(self) -> Record:
        return self.outcome.reply.record

    @property
    def moved(self) -> bool:
        """Whether the login has changed. A new pace of polls is no change."""
        return bool(self.outcome.changes) and self.verdict is Verdict.APPLIED


def state(record: Record) -> str:
    return record.get("state", ABSENT)


@pytest.fixture(scope="module")
def searched() -> Iterator["Searched"]:
    """Every reachable point, and every command at each, with a correct and a slow clock.

    Nothing here is garbage, and looking for some takes as long as the search.
    """
    gc.disable()
    found = _search()
    gc.freeze()
    gc.enable()
    yield found
    gc.unfreeze()


def _search() -> "Searched":
    seen, found, queue = (
        {Point.of({}, BEGUN)},
        list[Found](),
        deque[tuple[Record, int]]([({}, BEGUN)]),
    )
    marks = itertools.count()
    while queue:
        record, time = queue.popleft()
        reached = [(record, time + 1)] if record and time < HORIZON else []
        for clock in (time, time - LAG) if record else (time,):
            for who, command in commands(time, f"m{next(marks)}"):
                if not record and who == "wrong" and command.row.name == "begin":
                    continue  # the right browser is the one that began
                digits = command.row.name == "miss" or command.values.get("met")
                if record and (digits if not record["needs"] else _is_like_others(who, command)):
                    continue
                outcome = step(record, command, clock)
                found.append(one := Found(time, record, who, command, outcome))
                if one.moved:
                    reached.append((one.after, time))
                elif outcome.changes:  # paced: once more too early, with another mark
                    sooner = replace(command, mark=f"m{next(marks)}")
                    found.append(
                        Found(time, one.after, who, sooner, step(one.after, sooner, clock))
                    )
        for after, then in reached:
            if (point := Point.of(after, then)) not in seen:
                seen.add(point)
                queue.append((after, then))
    return seen, found


def _is_like_others(who: str, command: Command) -> bool:
    """Whether a login that needs digits treats this command as other logins do: then the search
    leaves it out there, to stay small.
    """
    return who == "wrong" or command.values.get("redeem_mark") == "2"


Searched = tuple[set[Point], list[Found]]
REDEEM_EVENTS = ("redeem", "collect")


@row(142)
@pytest.mark.long
def test_the_search_is_as_large_as_the_docs_say(
    searched: Searched, capsys: pytest.CaptureFixture[str]
) -> None:
    points, found = searched
    timeless = {
        frozenset(item for item in point.items if not item[1].isdigit() or item[0] == "redeem_mark")
        for point in points
    }
    verdicts = Counter((one.event, str(one.verdict)) for one in found)
    with capsys.disabled():
        print(
            f"\n{len(points)} states ({len(timeless)} without their times), {len(found)} calls",
            end=" ",
        )
    counted("states of the search", len(points))
    counted("states without their times", len(timeless))
    counted("calls of the search", len(found))
    for row in TABLE.values():
        can = (
            {"applied"}
            | ({"repeated"} if row.repeats else set())
            | ({"forbidden"} if row.proves or row.guards else set())
        )
        can |= set() if ANY in row.sources else {"refused"}
        can |= {"expired"} if any(row.sources.values()) else set()
        can |= {"slow"} if row.paces else set()
        assert can == {verdict for event, verdict in verdicts if event == row.name}, row.name


@row(12, 402)
@pytest.mark.long
def test_states_change_only_along_the_arrows_of_the_diagram(searched: Searched) -> None:
    """No command skips a state, and only pending is ever returned to."""
    arrows = {(state(one.before), one.event, state(one.after)) for one in searched[1] if one.moved}
    assert arrows == {
        ("", "begin", "pending"),
        ("pending", "scan", "scanned"),
        ("scanned", "release", "pending"),
        ("scanned", "confirm", "confirmed"),
        ("confirmed", "redeem", "redeemed"),
        ("confirmed", "collect", "redeemed"),
        ("scanned", "miss", "scanned"),
        ("scanned", "miss", "denied"),
        ("scanned", "deny", "denied"),
        ("confirmed", "deny", "denied"),
        ("pending", "cancel", "cancelled"),
        ("scanned", "cancel", "cancelled"),
        ("confirmed", "cancel", "cancelled"),
    }


@pytest.mark.long
def test_no_event_changes_a_final_state(searched: Searched) -> None:
    ended = [one for one in searched[1] if state(one.before) in TERMINAL]
    assert ended
    for one in ended:
        assert not one.outcome.changes, one
        assert one.verdict is not Verdict.APPLIED or one.event in ("status", "outcome"), one


@row(2, 310, 434)
@pytest.mark.long
def test_a_login_is_redeemed_once(searched: Searched) -> None:
    """One redeem mark is written. A second redeem is a repeat in its window, or is refused."""
    for one in searched[1]:
        kept = one.before.get("redeem_mark")
        if one.event in REDEEM_EVENTS and one.verdict is Verdict.APPLIED:
            assert kept is None
        elif kept is not None:
            assert one.after["redeem_mark"] == kept
        if one.event in REDEEM_EVENTS and one.verdict is Verdict.REPEATED:
            assert one.command.values["redeem_mark"] == kept
            assert one.outcome.reply.now < int(one.before["replay_by"])


@row(1)
@pytest.mark.long
def test_another_browser_is_always_forbidden(searched: Searched) -> None:
    """Status, cancel and redeem of another browser are forbidden in every state."""
    for one in searched[1]:
        if one.who == "wrong":
            assert one.verdict is (
                Verdict.REFUSED if one.event == "begin" else Verdict.FORBIDDEN
            ), one


@row(5)
@pytest.mark.long
def test_the_subject_is_the_scanner_that_confirmed(searched: Searched) -> None:
    """The subject scanned this login, holds it and confirmed; another account changes nothing."""
    for point in searched[0]:
        record = dict(point.items)
        if record.get("state") in ("confirmed", "redeemed"):
            subject = record["subject"]
            assert record["claim"] == f"claim of {subject}"
            assert (record["shown_as"], record["scanner_seal"]) == (
                subject,
                f"scanned by {subject}",
            )
            assert record["approval"] == f"approved by {subject}"
    for one in searched[1]:
        if one.event in ("scan", "look") and one.verdict is Verdict.APPLIED:
            assert one.before["only_for"] in ("", one.who)
        if one.event in ("confirm", "deny", "release") and one.moved:
            assert one.before["shown_as"] == one.who
        if one.event == "redeem" and one.verdict in (Verdict.APPLIED, Verdict.REPEATED):
            assert one.command.values["approval"] == f"approved by {one.after['subject']}", (
                "another person was acknowledged"
            )


@row(14)
@pytest.mark.long
def test_no_command_is_applied_after_its_deadline(searched: Searched) -> None:
    """This holds for the deadlines of state and code, also by a clock that runs behind."""
    for one in searched[1]:
        if one.verdict is Verdict.APPLIED and one.event not in ("begin", "status", "outcome"):
            now = one.outcome.reply.now
            assert now < int(one.before[DIES_AT[State(one.before["state"])]]), one
            assert one.command.deadline_ms is None or now < one.command.deadline_ms, one


@row(31)
@pytest.mark.long
def test_a_login_that_needs_digits_is_confirmed_only_with_them_and_is_denied_at_the_third_miss(
    searched: Searched,
) -> None:
    """A release and a scan by another account do not give tries back."""
    for point in searched[0]:
        record = dict(point.items)
        if record.get("state") in ("confirmed", "redeemed"):
            assert record["needs"] in ("", record["met"])
    for one in searched[1]:
        if one.event == "confirm" and one.moved:
            assert int(one.before.get("misses", "0")) < 3
        if one.event == "miss" and one.moved:
            misses = int(one.before.get("misses", "0")) + 1
            assert one.after["misses"] == str(misses)
            assert (state(one.after) == "denied") == (misses == 3)
            assert one.before.get("missed") != one.after["missed"], "a repeated try was counted"
        elif one.moved:
            assert one.after.get("misses") == one.before.get("misses")


@row(13)
@pytest.mark.long
def test_a_repeat_returns_the_same_at_once_and_across_every_deadline(searched: Searched) -> None:
    """Every applied call can be repeated. After its window a redeem is refused, not redone."""
    applied = 0
    for one in searched[1]:
        if not one.moved:
            continue
        applied += 1
        for clock in range(one.time, HORIZON + REPLAY + 1):
            again = step(one.after, one.command, clock)
            assert not again.changes
            assert not again.notify
            assert again.reply.record == one.after
            over = one.event in REDEEM_EVENTS and again.reply.now >= int(one.after["replay_by"])
            assert again.reply.verdict is (Verdict.REFUSED if over else Verdict.REPEATED), one
    assert applied > 100


@row(55)
@pytest.mark.long
def test_deny_and_cancel_win_until_redeemed(searched: Searched) -> None:
    """Deny and cancel apply in every state before the end; confirm with deny always ends denied."""
    on_the_way = [
        one
        for one in searched[1]
        if state(one.before) in DIES_AT and one.outcome.reply.now < _dies(one.before)
    ]
    for one in on_the_way:
        if one.event == "cancel" and one.who == one.before["device_digest"]:
            assert state(one.after) == "cancelled", one
        if (
            one.event == "deny"
            and state(one.before) != "pending"
            and one.who == one.before["shown_as"]
        ):
            assert state(one.after) == "denied", one
        if one.event == "confirm" and one.moved:
            deny = replace(one.command, row=TABLE["deny"])
            now = one.outcome.reply.now
            assert state(step(one.after, deny, now).reply.record) == "denied"
            denied = step(one.before, deny, now).reply.record
            late = step(denied, one.command, now)
            assert (late.reply.verdict, state(late.reply.record)) == (Verdict.REFUSED, "denied")


def _dies(record: Record) -> int:
    return int(record[DIES_AT[State(record["state"])]])


@pytest.mark.long
def test_every_change_of_state_but_a_begin_is_notified_and_every_change_increments_the_version(
    searched: Searched,
) -> None:
    for one in searched[1]:
        # Wrong digits change nothing that a browser shows, unless they deny the login. And no
        # browser waits for a login that begins.
        quiet = (one.event == "miss" and state(one.after) == "scanned") or not one.before
        assert one.outcome.notify == (one.moved and not quiet)
        version = number(one.before.get("version", "0"))
        assert version is not None
        assert number(one.after.get("version", "0")) == version + one.moved
        assert one.outcome.changes.get("mark", one.command.mark) == one.command.mark


@pytest.mark.long
def test_a_process_with_another_format_changes_no_login(searched: Searched) -> None:
    """Whatever it asks, in every state. So an upgrade leaves what an older process cannot read."""
    for one in searched[1]:
        if one.before and one.outcome.changes:
            older = replace(one.command, values={**one.command.values, "v": "3"})
            outcome = step(one.before, older, one.time)
            assert (outcome.changes, outcome.notify) == ({}, False)
            assert outcome.reply.verdict is Verdict.FORBIDDEN


@pytest.mark.long
def test_a_poll_that_comes_too_soon_changes_only_its_interval(searched: Searched) -> None:
    """It notifies, delays and refuses no other call: the fields that rows read stay the same."""
    paced = [one for one in searched[1] if one.outcome.changes and not one.moved]
    assert {str(one.verdict) for one in paced} == {"refused", "slow"}
    for one in paced:
        assert (one.event, one.who) == ("collect", one.before["device_digest"])
        assert {*one.outcome.changes} <= {"pace_at", "pace_ms", "pace_mark"}
        assert Point.of(one.before, one.time) == Point.of(one.after, one.time)


@pytest.mark.long
def test_time_goes_forward_inside_a_login(searched: Searched) -> None:
    """begun ≤ scanned ≤ confirmed ≤ redeemed ≤ changed, also by a clock that runs behind."""
    order = ("begun_at", "scanned_at", "confirmed_at", "redeemed_at", "changed_at")
    for point in searched[0]:
        times = dict(point.items)
        instants = [int(times[name]) for name in order if name in times]
        assert instants == sorted(instants), times
    for one in searched[1]:
        assert int(one.after.get("changed_at", "0")) >= int(one.before.get("changed_at", "0"))
        assert one.outcome.reply.now >= int(one.before.get("changed_at", "0"))
        # A second scan, after a release, has a time to decide of its own.
        moves = {"scan": {"decide_by"}}.get(one.event, set())
        deadlines = {"begun_at", "scan_by", "decide_by", "redeem_by"} - moves
        fixed = {name: text for name, text in one.before.items() if name in deadlines}
        assert fixed.items() <= one.after.items(), "a deadline was moved"
        assert one.outcome.reply.now < BEGUN + SCAN + DECIDE + REDEEM or not one.moved, (
            "a login outlived its signed end"
        )


@row(67)
@pytest.mark.long
def test_every_event_but_begin_is_refused_when_the_record_is_absent(searched: Searched) -> None:
    """Without the record, at any moment, every call but begin is refused."""
    for one in searched[1]:
        if one.event != "begin":
            assert step({}, one.command, one.time).reply.verdict in (
                Verdict.REFUSED,
                Verdict.FORBIDDEN,
            )
