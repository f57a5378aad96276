"""The table: held against the protocol spelled out once more, and searched from end to end.

The search is the best model check there is for a table this small: one login, two browsers, the phones of two accounts, two
clicks, and every instant that any deadline can tell apart; all commands at each state, through the very step that stores run.
"""

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

# 1. The rows, literally

#: event: proves | guards | from (dies at) | to | repeated when | writes. A dash is nothing, "stay" keeps the state.
PROTOCOL = """
begin   | -                      | -        | absent (never)                                                      | pending   | any: device_digest                       | v device_digest context needs only_for begin_seal; begun_at expires_at redeem_by
status  | device_digest          | -        | any (never)                                                         | stay      | -                                        | -
scan    | -                      | only_for | pending (expires_at)                                                | scanned   | scanned confirmed redeemed: claim        | claim shown_as scanner_seal; scanned_at
release | claim                  | -        | scanned (expires_at)                                                | pending   | pending:                                 | -
confirm | claim                  | needs    | scanned (expires_at)                                                | confirmed | confirmed redeemed:                      | subject met facts approval; confirmed_at
deny    | claim                  | -        | scanned (expires_at) confirmed (redeem_by)                          | denied    | denied:                                  | -
cancel  | device_digest          | -        | pending (expires_at) scanned (expires_at) confirmed (redeem_by)     | cancelled | cancelled:                               | -
redeem  | device_digest scanner_seal  | -        | confirmed (redeem_by)                                               | redeemed  | redeemed: redeem_mark before replay_by   | redeem_mark; replay_by redeemed_at
collect | device_digest          | -        | confirmed (redeem_by)                                               | redeemed  | redeemed: redeem_mark before replay_by   | redeem_mark; replay_by redeemed_at
"""  # noqa: E501
#: Guesses of typed codes are counted in records of their own, by rows that are in no login's table.
GUESSING = """
guess of 5    | - | - | absent (never) counting (never) | counting | any: mark | -
guessed right | - | - | counting (never) spent (never)  | counting | any: mark | -
"""
#: The letters of a typed code lead to a record that names the login.
NAMING = """
name    | - | - | absent (never) | naming | any: names | names name_seal
look up | - | - | any (never)    | stay   | -          | -
"""


def spelled(row: Row) -> tuple[str, ...]:
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
    writes = " ".join(row.writes) + (f"; {' '.join(row.instants)}" if row.instants else "")
    proves, guards = (" ".join(names) or "-" for names in (row.proves, row.guards))
    return (row.name, proves, guards, sources, row.to or "stay", repeated, writes or "-")


def written(text: str) -> list[tuple[str, ...]]:
    return [
        tuple(" ".join(cell.split()) for cell in line.split("|"))
        for line in text.strip().splitlines()
    ]


def test_the_rows_are_those_of_the_protocol() -> None:
    assert [spelled(row) for row in TABLE.values()] == written(PROTOCOL)
    assert {event: row.name for event, row in TABLE.items()} == {event: event for event in TABLE}
    assert {row.name for row in TABLE.values() if row.reads} == {"status"}
    assert {row.name: row.paces for row in TABLE.values() if row.paces} == {
        "collect": ("pending", "scanned")
    }
    assert not any(row.count for row in TABLE.values())


def test_guesses_are_counted_beside_the_logins() -> None:
    """The last one may be used and spends the budget; one that was right is given back, and there is never more than all."""
    assert [spelled(row) for row in (guess(5), GUESSED_RIGHT)] == written(GUESSING)
    assert guess(5).count == Count("guesses", 5, "spent", by=1)
    assert GUESSED_RIGHT.count == Count("guesses", 10**9, "counting", by=-1)
    assert guess(5) is guess(5) is not guess(6), (
        "a store spells a row once: it has to be the same one each time"
    )
    assert not {"counting", "spent"} & {*State}


def test_letters_name_a_login_in_a_record_beside_it() -> None:
    """It is written once, and no row changes it: what letters lead to is settled for as long as the record lives."""
    assert [spelled(row) for row in (NAME, LOOK_UP)] == written(NAMING)
    assert (NAME.reads, LOOK_UP.reads) == (False, True)
    assert NAME.to not in {*State, "counting", "spent"}


def test_what_keeps_a_poller_to_its_interval_is_nothing_that_a_row_reads() -> None:
    """PROTOCOL section 9: a poll never writes, which is to say: never a field that another event reads."""
    for row in (*TABLE.values(), guess(5), GUESSED_RIGHT):
        read = {
            *row.proves,
            *row.guards,
            *row.repeats_if,
            row.repeats_until,
            *row.sources.values(),
            *row.writes,
            *row.instants,
        }
        assert not {name for name in read if name.startswith("pace")}, row.name


def test_only_states_that_are_not_final_have_deadlines() -> None:
    """A state dies at one instant whoever asks, so the step and the answers cannot disagree about "expired"."""
    assert dict(DIES_AT) == {
        "pending": "expires_at",
        "scanned": "expires_at",
        "confirmed": "redeem_by",
    }
    assert set(TERMINAL) == {"redeemed", "denied", "cancelled"}
    assert set(State) == {*DIES_AT, *TERMINAL, State.EXPIRED}
    for row in TABLE.values():
        for state, dies_at in row.sources.items():
            assert dies_at == (NEVER if state in (ABSENT, ANY) else DIES_AT[State(state)]), row.name


def test_expired_is_a_verdict_and_never_a_state_that_is_written() -> None:
    for row in TABLE.values():
        assert State.EXPIRED not in {row.to, *row.sources, *row.repeats}, row.name


def test_no_row_leaves_a_final_state_and_no_row_can_be_changed() -> None:
    for row in TABLE.values():
        assert not TERMINAL & set(row.sources), row.name
        with pytest.raises(TypeError):
            row.sources["pending"] = ""  # type: ignore[index]
    with pytest.raises(TypeError):
        TABLE["scan"] = TABLE["deny"]  # type: ignore[index]


def test_what_a_row_writes_is_neither_its_proof_nor_the_bookkeeping() -> None:
    """A call that could write what it has to prove would prove nothing the next time."""
    for row in TABLE.values():
        written = {*row.writes, *row.instants}
        assert len(written) == len(row.writes) + len(row.instants)
        assert not written & {"state", "version", "changed_at", "mark"}
        assert row.name == "begin" or not written & set(row.proves)


# 2. The search

BEGUN, HORIZON = 100, 110
EXPIRES, REDEEM_WINDOW, REPLAY, ROTATION, GRACE, LAG, INTERVAL = (
    4,
    2,
    2,
    2,
    1,
    3,
    2,
)  # so short that every instant is looked at
ACCOUNTS, BROWSERS, CLICKS = ("A", "B"), ("right", "wrong"), ("1", "2")


_ASIDE = ("version", "mark", "pace_at", "pace_ms", "pace_mark")


@dataclass(frozen=True)
class Point:
    """One login at one instant. Versions and marks only ever grow, and no row reads when it was polled: that is no part of it."""

    time: int
    items: frozenset[tuple[str, str]]

    @classmethod
    def of(cls, record: Record, time: int) -> "Point":
        return cls(
            time, frozenset((name, text) for name, text in record.items() if name not in _ASIDE)
        )


def commands(time: int, mark: str) -> Iterator[tuple[str, Command]]:
    """All that anybody can send at this instant: each command as the core makes it, from genuine codes."""
    durations = {
        "begin": {"expires_at": EXPIRES, "redeem_by": EXPIRES + REDEEM_WINDOW},
        "redeem": {"replay_by": REPLAY},
        "collect": {"replay_by": REPLAY, "pace": INTERVAL, "pace_step": 1},
    }

    def sent(event: str, by: str, until: int | None = None, **values: str) -> tuple[str, Command]:
        return by, Command("L", TABLE[event], mark, values, durations.get(event, {}), until)

    for browser in BROWSERS:
        yield sent("begin", browser, v="1", device_digest=browser, begin_seal=f"begun by {browser}")
        yield sent("status", browser, device_digest=browser)
        yield sent("cancel", browser, device_digest=browser)
        for click in CLICKS:
            signed_end = BEGUN + EXPIRES + REDEEM_WINDOW
            yield sent("collect", browser, signed_end, device_digest=browser, redeem_mark=click)
            for tag in ("", *(f"scanned by {account}" for account in ACCOUNTS)):
                yield sent(
                    "redeem",
                    browser,
                    signed_end,
                    device_digest=browser,
                    scanner_seal=tag,
                    redeem_mark=click,
                )
    for account in ACCOUNTS:
        claim = f"claim of {account}"
        for shown in range(BEGUN, min(time + 1, BEGUN + EXPIRES), ROTATION):
            dies = shown + ROTATION + GRACE
            yield sent(
                "scan",
                account,
                dies,
                claim=claim,
                shown_as=account,
                scanner_seal=f"scanned by {account}",
                only_for=account,
            )
        yield sent(
            "confirm", account, claim=claim, subject=account, approval=f"approved by {account}"
        )
        yield sent("release", account, claim=claim)
        yield sent("deny", account, claim=claim)


@dataclass(frozen=True)
class Found:
    """One command at one point, and what came of it."""

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
        """Whether the login has changed; that a poller was reminded of its interval is no change."""
        return bool(self.outcome.changes) and self.verdict is Verdict.APPLIED


def state(record: Record) -> str:
    return record.get("state", ABSENT)


@pytest.fixture(scope="module")
def searched() -> tuple[set[Point], list[Found]]:
    """Every reachable point, and every command at each of them, on time and by a clock that lags behind."""
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
                outcome = step(record, command, clock)
                found.append(one := Found(time, record, who, command, outcome))
                if one.moved:
                    reached.append((one.after, time))
                elif outcome.changes:  # paced: too early once more, and with another mark
                    sooner = replace(command, mark=f"m{next(marks)}")
                    found.append(
                        Found(time, one.after, who, sooner, step(one.after, sooner, clock))
                    )
        for after, then in reached:
            if (point := Point.of(after, then)) not in seen:
                seen.add(point)
                queue.append((after, then))
    return seen, found


Searched = tuple[set[Point], list[Found]]
FEWEST_STATES, FEWEST_TIMELESS = 3286, 21  # when this was written
REDEEM_ERRORS = ("redeem", "collect")


def test_the_search_is_not_smaller_than_it_was(
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
    assert (len(points), len(timeless)) >= (FEWEST_STATES, FEWEST_TIMELESS)
    for row in TABLE.values():
        can = (
            {"applied"}
            | ({"repeated"} if row.repeats else set())
            | ({"forbidden"} if row.proves else set())
        )
        can |= set() if row.reads else {"refused"}
        can |= {"expired"} if any(row.sources.values()) else set()
        can |= {"slow"} if row.paces else set()
        assert can == {verdict for event, verdict in verdicts if event == row.name}, row.name


def test_a_state_leads_only_where_the_diagram_shows_an_arrow(searched: Searched) -> None:
    """I7: nothing skips a state, and pending is the only one that is ever gone back to."""
    arrows = {(state(one.before), one.event, state(one.after)) for one in searched[1] if one.moved}
    assert arrows == {
        ("", "begin", "pending"),
        ("pending", "scan", "scanned"),
        ("scanned", "release", "pending"),
        ("scanned", "confirm", "confirmed"),
        ("confirmed", "redeem", "redeemed"),
        ("confirmed", "collect", "redeemed"),
        ("scanned", "deny", "denied"),
        ("confirmed", "deny", "denied"),
        ("pending", "cancel", "cancelled"),
        ("scanned", "cancel", "cancelled"),
        ("confirmed", "cancel", "cancelled"),
    }


def test_ends_absorb(searched: Searched) -> None:
    ended = [one for one in searched[1] if state(one.before) in TERMINAL]
    assert ended
    for one in ended:
        assert not one.outcome.changes, one
        assert one.verdict is not Verdict.APPLIED or one.event == "status", one


def test_a_login_is_redeemed_once(searched: Searched) -> None:
    """I1: one mark is ever written; whoever redeems again is the same click within its window, or is refused."""
    for one in searched[1]:
        kept = one.before.get("redeem_mark")
        if one.event in REDEEM_ERRORS and one.verdict is Verdict.APPLIED:
            assert kept is None
        elif kept is not None:
            assert one.after["redeem_mark"] == kept
        if one.event in REDEEM_ERRORS and one.verdict is Verdict.REPEATED:
            assert one.command.values["redeem_mark"] == kept
            assert one.outcome.reply.now < int(one.before["replay_by"])


def test_only_the_browser_that_began_it_gets_anything(searched: Searched) -> None:
    """I2: status, cancel and redeem of another browser are forbidden wherever the login stands."""
    for one in searched[1]:
        if one.who == "wrong":
            assert one.verdict is (
                Verdict.REFUSED if one.event == "begin" else Verdict.FORBIDDEN
            ), one


def test_the_subject_is_the_scanner_that_confirmed(searched: Searched) -> None:
    """I3, I6: whoever is the subject scanned this login, holds it, and confirmed; the other account changes nothing."""
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
        if one.event in ("confirm", "deny", "release") and one.moved:
            assert one.before["shown_as"] == one.who
        if one.event == "redeem" and one.verdict in (Verdict.APPLIED, Verdict.REPEATED):
            assert one.command.values["scanner_seal"] == f"scanned by {one.after['subject']}", (
                "I31: another person was acknowledged"
            )


def test_nothing_is_granted_after_its_deadline(searched: Searched) -> None:
    """I5, I8: neither a state's own deadline nor the code's; the clock that runs behind is no way round."""
    for one in searched[1]:
        if one.verdict is Verdict.APPLIED and one.event not in ("begin", "status"):
            now = one.outcome.reply.now
            assert now < int(one.before[DIES_AT[State(one.before["state"])]]), one
            assert one.command.deadline_ms is None or now < one.command.deadline_ms, one


def test_a_repeat_returns_the_same_at_once_and_across_every_deadline(searched: Searched) -> None:
    """I18: for each call that was applied. Only a redeem's window ends, and then it is refused, not granted again."""
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
            over = one.event in REDEEM_ERRORS and again.reply.now >= int(one.after["replay_by"])
            assert again.reply.verdict is (Verdict.REFUSED if over else Verdict.REPEATED), one
    assert applied > 100


def test_a_stop_wins_until_redeemed(searched: Searched) -> None:
    """I4: deny and cancel are heard from every state on the way, and confirm against deny always ends denied."""
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


def test_every_change_is_announced_and_counted(searched: Searched) -> None:
    for one in searched[1]:
        assert one.outcome.notify == one.moved
        version = number(one.before.get("version", "0"))
        assert version is not None
        assert number(one.after.get("version", "0")) == version + one.moved
        assert one.outcome.changes.get("mark", one.command.mark) == one.command.mark


def test_a_poll_that_comes_too_soon_changes_only_its_interval(searched: Searched) -> None:
    """And nobody else is told, delayed or refused by it: the login is where it was, and so is everything that a row reads."""
    paced = [one for one in searched[1] if one.outcome.changes and not one.moved]
    assert {str(one.verdict) for one in paced} == {"refused", "slow"}
    for one in paced:
        assert (one.event, one.who) == ("collect", one.before["device_digest"])
        assert {*one.outcome.changes} <= {"pace_at", "pace_ms", "pace_mark"}
        assert Point.of(one.before, one.time) == Point.of(one.after, one.time)


def test_time_goes_forward_inside_a_login(searched: Searched) -> None:
    """I26: begun ≤ scanned ≤ confirmed ≤ redeemed ≤ changed, also when the clock that is asked runs behind."""
    order = ("begun_at", "scanned_at", "confirmed_at", "redeemed_at", "changed_at")
    for point in searched[0]:
        times = dict(point.items)
        told = [int(times[name]) for name in order if name in times]
        assert told == sorted(told), times
    for one in searched[1]:
        assert int(one.after.get("changed_at", "0")) >= int(one.before.get("changed_at", "0"))
        assert one.outcome.reply.now >= int(one.before.get("changed_at", "0"))
        fixed = {
            name: one.before[name]
            for name in ("begun_at", "expires_at", "redeem_by")
            if name in one.before
        }
        assert fixed.items() <= one.after.items(), "a deadline was moved"


def test_absence_is_refusal(searched: Searched) -> None:
    """I13: with the record gone, at whatever moment, every call but begin is refused."""
    for one in searched[1]:
        if one.event != "begin":
            assert step({}, one.command, one.time).reply.verdict in (
                Verdict.REFUSED,
                Verdict.FORBIDDEN,
            )
