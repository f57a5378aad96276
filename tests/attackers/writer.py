"""A writer of the store, who has recorded all of its traffic, and holds no key.

`attack` puts forged, swapped and spliced records in place of genuine ones, and then the honest
browsers, the attacker's own browsers and the phones go on. `exceptions` changes one field without a
seal at a time, and collects everything that this wins: docs/security/index.md lists exactly that.
"""

import random
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from qrlogin import Limits, QRLogin, Redeemed, Scanned, State, Status
from qrlogin.errors import BadArgument, QRLoginError, TooManyBegins, WrongMatchCode
from qrlogin.step import Record
from tests.application import ALICE, BOB, KEY, NAMES, OP, OTHER_OP, SHOWN, URI
from tests.attackers.score import Score
from tests.attackers.site import FORMS, MALLORY, PEOPLE, POLICY, Site, Victim, every_kind

FAR = "999999999999999"
INDEX = Path(__file__).parents[2] / "docs" / "security" / "index.md"
#: Fields that belong together, so that a splice often keeps their seal.
_GROUPS = (
    ("device_digest", "context", "needs", "only_for", "decide_ms", "redeem_ms", "begin_seal"),
    ("claim", "shown_as", "scanner_seal"),
    ("claim", "subject", "name", "met", "facts", "approval"),
    ("claim", "shown_as", "scanner_seal", "subject", "name", "met", "facts", "approval"),
    ("state",),
    ("state", "redeem_mark", "replay_by"),
    ("scan_by", "decide_by", "redeem_by", "replay_by", "shown_until"),
)


def documented() -> Mapping[tuple[str, ...], str]:
    """The fields without a seal, row by row, and what the docs say that a writer wins by them."""
    table = INDEX.read_text("utf-8").partition("| field without a seal |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1:3] for line in table.splitlines()[2:]]
    return {tuple(re.findall(r"`(\w+)`", fields)): won.strip() for fields, won in cells}


# Forged, swapped and spliced records


def attack(attempts: int, url: str = "", seed: int = 1) -> Score:
    """Writes `attempts` records, and checks what each answer afterwards believes.

    :param attempts: how many records to write.
    :param url: of a Redis; "" for a store in memory.
    :param seed: draws the same records again.
    """
    score, drawn = Score("writer"), random.Random(seed)
    with Site(url) as site:
        logins = [
            site.login(form, state, owner=owner, scanner=scanner, asked=asked)
            for form, state, asked in every_kind()
            for owner, scanner in ((ALICE, ALICE), (MALLORY, MALLORY))
        ]
        # The attacker showed codes of their own browser to Bob, who denied: at once, or later.
        for form in FORMS:
            for asked, denied in ((True, False), (True, True), (False, False)):
                logins.append(
                    site.login(
                        form, State.DENIED, owner=MALLORY, scanner=BOB, asked=asked, denied=denied
                    )
                )
        site.store.watching = False
        recorded = [record for kept in site.store.versions.values() for record in kept]
        names = {
            login_id: dict(kept[0])
            for login_id, kept in site.store.versions.items()
            if "names" in kept[0]
        }
        for _ in range(attempts):
            _attempt(site, drawn.choice(logins), recorded, names, drawn, score)
    return score


def _attempt(
    site: Site,
    login: Victim,
    recorded: list[Record],
    names: Mapping[str, Record],
    drawn: random.Random,
    score: Score,
) -> None:
    login_id = login.begun.login_id
    forged = _forged(login.record, site.store.versions[login_id], recorded, drawn)
    site.store.forge(login_id, forged)
    renamed = ""
    if login.begun.user_code and drawn.random() < 0.2:
        (renamed,) = (each for each, kept in names.items() if kept["names"] == login_id)
        other = drawn.choice(list(names.values()))
        kept = {name: drawn.choice((names[renamed], other))[name] for name in names[renamed]}
        site.store.forge(renamed, kept)
    tags = [forged.get("approval", ""), forged.get("scanner_seal", "")]
    tags += [drawn.choice(recorded).get("approval", "")]
    call = _calls(site, login, drawn.choice(tags))[drawn.randrange(7)]
    answer = score.ask(call)
    if isinstance(answer, Redeemed):
        _judge_redeemed(login, answer, score)
    elif isinstance(answer, Scanned):
        if dict(answer.context) != login.context:
            score.believe(f"a phone is shown {answer.context}")
    elif isinstance(answer, Status) and answer.scanned_by:
        seen, who = answer.scanned_by, login.scanned_by
        right = who and seen.shown_as == PEOPLE[who][0]
        if not right or seen.name not in ("", PEOPLE[who][1] if login.approved else ""):
            score.believe(f"a browser is shown {seen.shown_as} {seen.name}")
    site.store.forge(login_id, login.record)
    if renamed:
        site.store.forge(renamed, names[renamed])


def _judge_redeemed(login: Victim, answer: Redeemed, score: Score) -> None:
    who = login.scanned_by
    approved = login.approved and answer.subject == who
    if not approved or (answer.shown_as, answer.name) != PEOPLE[who]:
        if login.owner != answer.subject:
            score.win(f"{login.owner}'s browser is logged in as {answer.subject}")
        score.believe(f"{answer.subject} did not approve a login that is {login.state}")
    elif dict(answer.context) != login.context:
        score.believe(f"a redeem returns {answer.context}")
    elif login.state is State.DENIED:
        score.exceptions["state"] += 1  # a refusal is forgotten
    elif login.state is State.REDEEMED:
        score.exceptions["state, redeem_mark, replay_by"] += 1  # the same browser redeems again


def _calls(site: Site, login: Victim, tag: str) -> tuple[Callable[[], object], ...]:
    """What the login's browser, the attacker's phone and an honest phone can do."""
    qr, code, device_code = site.qr, login.code, login.begun.device_code
    acknowledged = tag if "c" not in login.device.flags else None
    return (
        lambda: qr.status(device_code),
        lambda: qr.redeem(device_code, acknowledged=acknowledged, op=OP),
        lambda: qr.redeem(device_code, acknowledged=acknowledged, op=OTHER_OP),
        lambda: _redeem_what_is_shown(site, login),
        lambda: qr.look(code, subject=ALICE),
        lambda: qr.scan(code, subject=ALICE, shown_as=SHOWN[ALICE]),
        lambda: qr.outcome(code, subject=ALICE),
    )


def _redeem_what_is_shown(site: Site, login: Victim) -> Redeemed | None:
    """A browser whose user says yes to whoever is shown."""
    seen = site.qr.status(login.begun.device_code).scanned_by
    if not seen:
        return None
    acknowledged = seen.tag if "c" not in login.device.flags else None
    return site.qr.redeem(login.begun.device_code, acknowledged=acknowledged, op=OTHER_OP)


def _forged(
    genuine: Record, versions: list[Record], recorded: list[Record], drawn: random.Random
) -> Record:
    """A record that was never written: what it is made of is drawn."""
    made = dict(drawn.choice((genuine, *versions)))
    for _ in range(drawn.randint(1, 3)):
        other = drawn.choice(recorded)
        match drawn.randrange(7):
            case 0:
                made = dict(other)
            case 1:
                made |= {name: other[name] for name in drawn.choice(_GROUPS) if name in other}
            case 2:
                chosen = drawn.sample(sorted(other), drawn.randint(1, len(other)))
                made |= {name: other[name] for name in chosen}
            case 3:
                name = drawn.choice(sorted(made))
                made[name] = _changed(made[name], drawn)
            case 4:
                made.pop(drawn.choice(sorted(made)), None)
                made = made or dict(genuine)
            case 5:
                made["state"] = drawn.choice(list(State))
            case _:
                times = ("scan_by", "decide_by", "redeem_by", "replay_by", "shown_until")
                made |= dict.fromkeys(times, FAR)
    return made


def _changed(text: str, drawn: random.Random) -> str:
    if not text:
        return "x"
    at = drawn.randrange(len(text))
    return text[:at] + drawn.choice('AB09_-x"é') + text[at + 1 :]


# The fields without a seal, one at a time


def exceptions(url: str = "", *, thorough: bool = True) -> Score:
    """Changes each field without a seal, and counts by row of the docs what that wins.

    A change wins if a call then succeeds that did not, or succeeds with another answer.

    :param url: of a Redis; "" for a store in memory.
    :param thorough: try every state at every instant, and every form.
    """
    score = Score("writer of one field")
    rows = {name: ", ".join(fields) for fields in documented() for name in fields}
    with Site(url) as site:
        made = [
            site.login(form, state, owner=BOB, scanner=BOB, asked=asked)
            for form in (("rotating", "fixed") if thorough else ("fixed",))
            for state in (State.PENDING, State.SCANNED, State.CONFIRMED, State.REDEEMED)
            for asked in (True, False)
        ]
        made.append(
            site.login("fixed", State.DENIED, owner=BOB, scanner=BOB, asked=True, denied=True)
        )
        now = site.clock.ms
        site.store.watching = False
        for login in made:
            for instant in _instants(login, now, thorough=thorough):
                site.clock.ms = instant
                honest = _outcomes(site, login, login.record)
                for name, value in _values(login.record, rows, now):
                    record = dict(login.record)
                    if value is None:
                        record.pop(name, None)
                    else:
                        record[name] = value
                    score.attempts += 7
                    for before, after in zip(honest, _outcomes(site, login, record), strict=True):
                        _compare(login, rows[name], before, after, score)
        site.clock.ms = now
        _guesses(site, rows["guesses"], score)
        _misses(site, rows["misses"], score)
        _refills(site, rows["refilled_at"], score)
    return score


def _instants(login: Victim, now: int, *, thorough: bool) -> list[int]:
    """When a deadline distinguishes something."""
    ends = login.device.ends_at
    late = [
        int(login.record[name]) + 1
        for name in ("shown_until", "scan_by", "decide_by", "redeem_by", "replay_by")
        if name in login.record
    ]
    return sorted({now, ends - 1, *late, *((ends, ends + 364 * 86_400_000) if thorough else ())})


def _values(record: Record, rows: Mapping[str, str], now: int) -> Iterator[tuple[str, str | None]]:
    for name in rows:
        if name == "guesses":
            continue
        values = (
            list(State)
            if name == "state"
            else [None, "", "0", "1", str(now - 5000), str(now + 1), FAR]
        )
        for value in values:
            if value != record.get(name):
                yield name, value


def _outcomes(site: Site, login: Victim, record: Record) -> list[tuple[bool, Any]]:
    """Whether each call succeeds on this record, and its answer or the error."""
    found = list[tuple[bool, Any]]()
    calls: tuple[Callable[[], object], ...] = (
        *_calls(site, login, record.get("approval", "x"))[:3],
        lambda: site.qr.look(login.code, subject=ALICE),
        lambda: site.qr.scan(login.code, subject=ALICE, shown_as=SHOWN[ALICE]),
        lambda: site.qr.confirm(login.code, subject=BOB, name=NAMES[BOB]),
        lambda: site.qr.outcome(login.code, subject=BOB),
    )
    for call in calls:
        site.store.forge(login.begun.login_id, record)
        try:
            found.append((True, call()))
        except QRLoginError as error:
            found.append((False, type(error).__name__))
    site.store.forge(login.begun.login_id, login.record)
    return found


def _compare(
    login: Victim, row: str, before: tuple[bool, Any], after: tuple[bool, Any], score: Score
) -> None:
    won, answer = after
    if after == before or (not won and "TooFast" not in (before[1], answer)):
        return
    score.exceptions[row] += 1
    if isinstance(answer, Redeemed):
        honest = login.approved and (answer.subject, answer.context) == (BOB, login.context)
        if not honest:
            score.win(f"{row}: {answer}")
    elif isinstance(answer, Scanned):
        if answer.context != login.context:
            score.believe(f"{row}: {answer}")
    elif isinstance(answer, Status):
        seen = answer.scanned_by
        if seen and seen.shown_as != SHOWN[BOB]:
            score.believe(f"{row}: {answer}")


def _guesses(site: Site, row: str, score: Score) -> None:
    """The count of an account's wrong guesses is set back to none."""
    budget = ""

    def guess() -> str:
        try:
            site.qr.scan("BCDF-GHJK", subject=MALLORY, shown_as="M")
        except BadArgument:
            raise
        except QRLoginError as error:
            return type(error).__name__
        return "right"

    site.store.watching = True
    site.store.seen.clear()
    for _ in range(site.qr.core.policy.guesses - 1):
        guess()
    (budget,) = (each for each in site.store.seen if "guesses" in site.store.record(each))
    site.store.forge(budget, {**site.store.record(budget), "guesses": "0"})
    outcomes = [guess() for _ in range(2)]
    score.attempts += 1
    if outcomes == ["UnknownLogin"] * 2:
        score.exceptions[row] += 1


def _misses(site: Site, row: str, score: Score) -> None:
    """The count of wrong match codes is set back to none."""
    qr = _other(site, match_digits=3)
    begun = qr.begin()
    qr.scan(begun.scan_code, subject=BOB, shown_as=SHOWN[BOB])
    right = int(qr.status(begun.device_code).match_code)
    left = []
    for wrong in (1, 2, 3):
        if wrong == 3:
            site.store.forge(begun.login_id, {**site.store.record(begun.login_id), "misses": "0"})
        try:
            qr.confirm(begun.scan_code, subject=BOB, match_code=f"{(right + wrong) % 1000:03}")
        except WrongMatchCode as error:
            left.append(error.tries_left)
    score.attempts += 1
    if left == [2, 1, 2]:
        score.exceptions[row] += 1


def _refills(site: Site, row: str, score: Score) -> None:
    """The allowance of an address is filled again."""
    qr = _other(site, limits=Limits(begins=1, begins_per_minute=1))
    site.store.seen.clear()
    address = {"address": "192.0.2.7"}
    qr.begin(context=address)
    with suppress(TooManyBegins):
        qr.begin(context=address)
        return
    (count,) = (each for each in site.store.seen if "refilled_at" in site.store.record(each))
    site.store.forge(count, {**site.store.record(count), "refilled_at": "0"})
    score.attempts += 1
    with suppress(TooManyBegins):
        qr.begin(context=address)
        score.exceptions[row] += 1


def _other(site: Site, **policy: Any) -> QRLogin:
    """The same application with another policy."""
    return QRLogin(
        site.store, secret_keys=[KEY], verification_uri=URI, policy=replace(POLICY, **policy)
    )
