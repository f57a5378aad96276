"""A reader of the store: sees every key, every field and every command, and holds no key.

It builds codes of all forms from what it sees, and offers them as a browser and as a phone.
"""

import base64
import binascii
import itertools
import re
from collections.abc import Callable
from functools import partial

from qrlogin.codes import USER_CODE_LETTERS
from tests.application import BOB, OTHER_OP
from tests.attackers.score import Score
from tests.attackers.site import MALLORY, PEOPLE, Site, Victim, every_kind

_MAC = re.compile(r"[A-Za-z0-9_-]{43}")


def attack(
    logins: int, url: str = "", leaked: Callable[[Victim], list[str]] = lambda _: []
) -> Score:
    """Tries to collect, watch, cancel, scan or decide `logins` logins of other people.

    :param logins: how many there are, of every form and in every state.
    :param url: of a Redis; "" for a store in memory.
    :param leaked: secrets that the store is supposed not to hold, to show that the attack works.
    """
    score = Score("reader")
    with Site(url) as site:
        kinds = itertools.cycle(every_kind())
        victims = [
            site.login(form, state, owner=BOB, scanner=BOB, asked=asked)
            for form, state, asked in itertools.islice(kinds, logins)
        ]
        site.store.watching = False
        for victim in victims:
            seen = site.store.seen[victim.begun.login_id] | set(leaked(victim))
            _attack_one(site, victim, sorted(seen), score)
        for victim in victims:
            if site.store.record(victim.begun.login_id) != victim.record:
                score.believe(f"a record of a {victim.state} login changed")
    return score


def _attack_one(site: Site, victim: Victim, seen: list[str], score: Score) -> None:
    for code in _device_codes(victim, seen):
        calls: tuple[Callable[[], object], ...] = (
            partial(site.qr.redeem, code, acknowledged="x", op=OTHER_OP),
            partial(site.qr.status, code),
        )
        if score.any(calls):
            score.win(f"a device_code was accepted: {code[:30]}…")
    for code in _scan_codes(victim, seen):
        # An account has few guesses at typed codes, and the attacker has many accounts.
        who = f"{MALLORY}-{score.attempts}"
        calls = (
            partial(site.qr.scan, code, subject=who, shown_as=PEOPLE[MALLORY][0]),
            partial(site.qr.confirm, code, subject=who),
        )
        if score.any(calls):
            score.win(f"a scan_code was accepted: {code[:30]}…")


def _device_codes(victim: Victim, seen: list[str]) -> list[str]:
    """Everything as a device_code, and every MAC as the secret and as the signature of one."""
    device, macs = victim.device, [text for text in seen if _MAC.fullmatch(text)]
    made = [text for text in seen if text]
    for secret, signature in itertools.product(macs[:7], repeat=2):
        times = f"{device.begun_at}.{device.ends_at}"
        made.append(f"{device.login_id}.{secret}.{times}..{device.flags}.{signature}")
    return made


def _scan_codes(victim: Victim, seen: list[str]) -> list[str]:
    """Everything as a scan_code of each form."""
    login_id, made = victim.begun.login_id, [f"{victim.begun.login_id}=="]
    for text in seen:
        made.append(text)
        if _MAC.fullmatch(text):
            raw = base64.urlsafe_b64decode(text + "=")
            made.append(f"{login_id}.{victim.device.ends_at}.{text}")
            said = base64.urlsafe_b64decode(login_id + "==") + (
                victim.device.ends_at // 1000
            ).to_bytes(4)
            made.append(base64.urlsafe_b64encode(said + raw[:16]).decode())
            made.append(raw[:16].hex())
            made.append("".join(USER_CODE_LETTERS[byte % 20] for byte in raw[:8]))
    made.append(binascii.hexlify(base64.urlsafe_b64decode(login_id + "==")).decode())
    return [text for text in made if text]
