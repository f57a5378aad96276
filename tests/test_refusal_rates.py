"""How often a code that the camera read in time is refused, by the seconds until its page opens.

One login for each of 300 moments at which a camera reads the code, spread evenly over the whole
time that a code is shown; 1 000 in `make matrix`. `pytest -s` prints the rates.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from qrlogin import STANDARD, STRICT, Expired, Policy
from tests.application import ALICE, App
from tests.tables import in_matrix

SOME, MANY = 300, 1000
DELAYS = (5, 8, 10, 15, 30)  # seconds from the camera's read until the page opens
READING = 20  # seconds from a look until the person has read the question, and presses "yes"
SIGN_IN = 60  # seconds from the page's opening until the scan of a person who signs in first


@dataclass
class Played:
    """What happened to the people of one policy: by delay, how many of them were refused."""

    policy: Policy
    phases: int
    at_once: Counter[int] = field(default_factory=Counter)
    """Signed in already, and scanned when the page opened."""
    unopened: Counter[int] = field(default_factory=Counter)
    """Not signed in, and got no landing when the page opened."""
    signed_in: Counter[int] = field(default_factory=Counter)
    """Not signed in, and asked `SIGN_IN` seconds after the page opened."""
    without_page: Counter[int] = field(default_factory=Counter)
    """In an app, which opens no page: looked at once, and scanned when its user had read it."""

    def row(self, delay: int) -> str:
        counts = (
            *(self.at_once[delay], self.unopened[delay]),
            *(self.signed_in[delay], self.without_page[delay]),
        )
        return f"{delay:>5} s" + "".join(f"{count / self.phases:>11.1%}" for count in counts)


def play(policy: Policy, delays: tuple[int, ...], phases: int) -> Played:
    app, played = App(policy=policy), Played(policy, phases)
    for phase in range(phases):
        _play_phase(app, policy.lifetime * 1000 * phase // phases, delays, played)
    return played


def _play_phase(app: App, read_at: int, delays: tuple[int, ...], played: Played) -> None:
    """One login, whose code is read after `read_at` ms. The people come in the order of time, and
    each gives the login back.
    """
    begun, start = app.begin(), app.clock.ms
    app.clock.ms += read_at
    code = app.qr.status(begun.device_code).scan_code
    assert code, "the code is shown"
    landings: dict[int, str] = {}
    looked: dict[int, str] = {}

    def scans(landing: str = "") -> bool:
        with suppress(Expired):
            app.qr.scan(code, subject=ALICE, shown_as="A", landing=landing)
            app.qr.release(code, subject=ALICE)
            return True
        return False

    def open_page(delay: int) -> None:
        played.at_once[delay] += not scans()
        with suppress(Expired):
            landings[delay] = app.qr.land(code).token
        played.unopened[delay] += delay not in landings
        try:
            looked[delay] = app.qr.look(code, subject=ALICE).landing
        except Expired:
            played.without_page[delay] += 1

    def press(delay: int) -> None:
        if delay in looked:
            played.without_page[delay] += not scans(looked[delay])

    def come_back(delay: int) -> None:
        try:
            app.qr.look(code, subject=ALICE, landing=landings.get(delay, ""))
        except Expired:
            played.signed_in[delay] += 1

    happens: list[tuple[int, Callable[[int], None], int]] = [
        *((delay, open_page, delay) for delay in delays),
        *((delay + READING, press, delay) for delay in delays),
        *((delay + SIGN_IN, come_back, delay) for delay in delays),
    ]
    for seconds, happen, delay in sorted(happens, key=lambda each: each[0]):
        app.clock.ms = start + read_at + seconds * 1000
        happen(delay)


@pytest.mark.parametrize(
    ("name", "policy", "within"), [("STANDARD", STANDARD, 15), ("STRICT", STRICT, 8)]
)
@pytest.mark.parametrize("phases", [SOME, *in_matrix([MANY])])
def test_a_code_that_was_read_in_time_is_refused_to_one_in_a_hundred_at_most(
    name: str, policy: Policy, within: int, phases: int
) -> None:
    """If its page opens within 15 seconds, or 8 with STRICT; also to a user who then takes a minute
    to sign in. A link that is opened too late is always refused.
    """
    too_late = policy.rotation + policy.rotation_grace
    delays = tuple(sorted((*DELAYS, too_late)))
    played = play(policy, delays, phases)
    print(f"\n{name}, refused of {phases} people, by the seconds until the page opens")
    print(f"{'':>7}{'signed in':>11}{'no landing':>11}{f'{SIGN_IN} s later':>11}{'app':>11}")
    print(*map(played.row, delays), sep="\n")

    for delay in DELAYS:
        assert played.at_once[delay] == played.unopened[delay], "the same deadline"
        if delay <= within:
            assert played.at_once[delay] <= phases / 100
            assert played.signed_in[delay] <= phases / 100
            assert played.without_page[delay] <= phases / 100
    for counted in (played.at_once, played.unopened, played.signed_in, played.without_page):
        assert counted[too_late] == phases, "a photographed link"
