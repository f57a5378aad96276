"""A policy accepts safe values only, and the presets have the documented values."""

from dataclasses import FrozenInstanceError, asdict, replace
from typing import Any

import pytest

from qrlogin import LAB, STANDARD, STRICT, Limits, Misconfigured, Policy
from qrlogin.policy import MAX_TOTAL, MAX_WINDOW
from tests.application import NOON, App
from tests.security_rows import row
from tests.tables import for_each_row


@row(104, 133)
def test_the_presets_have_the_documented_values() -> None:
    """A code is shown for 120 s and rotates after 25 s; a login takes 600 s at most.

    After the code, there are 100 s to scan, 90 s to decide, 30 s to redeem and 30 s to repeat it.
    RFC 8628 gives 5 s between two polls (section
    3.2) and limits guesses at typed codes (section 5.1).

    """
    assert (MAX_TOTAL, MAX_WINDOW) == (600, 150)
    assert asdict(STANDARD) == asdict(Policy()) == {
        "lifetime": 120,
        "late_window": 100,
        "decide_window": 90,
        "redeem_window": 30,
        "replay_window": 30,
        "rotation": 25,
        "rotation_grace": 18,
        "names_scanner": True,
        "match_digits": 0,
        "interval": 5,
        "user_codes": False,
        "guesses": 5,
        "guess_window": 600,
        "limits": asdict(Limits()),
        "known_browser": True,
        "plain_http": False,
    }  # fmt: skip
    assert STRICT.replay_window == STANDARD.replay_window, (
        "a page needs as long to repeat a request"
    )
    for name in asdict(STANDARD).keys() & {
        *("lifetime", "late_window", "decide_window", "redeem_window"),
        *("rotation", "rotation_grace"),
    }:
        assert getattr(STRICT, name) < getattr(STANDARD, name), f"strict is not stricter in {name}"
    for name in ("interval", "user_codes", "guesses", "guess_window"):
        assert getattr(STRICT, name) == getattr(LAB, name) == getattr(STANDARD, name)
    assert STRICT.names_scanner
    assert not LAB.plain_http


@pytest.mark.parametrize(
    "values",
    [
        {"lifetime": 350},
        {"late_window": 38, "decide_window": 20},
        {"late_window": 150, "decide_window": 150, "redeem_window": 150},
        {"lifetime": 1, "rotation": 1, "rotation_grace": 0},
        {"lifetime": 1, "rotation": 1, "rotation_grace": 1, "redeem_window": 1, "replay_window": 1},
        {"redeem_window": 140, "replay_window": 150},
        {"rotation": 120, "rotation_grace": 120, "late_window": 140},
        {"interval": 1, "guesses": 1, "guess_window": 60, "user_codes": True},
        {"interval": 60, "guesses": 20, "guess_window": 86_400, "user_codes": True},
    ],
    ids=repr,
)
def test_a_policy_at_its_limits_works(values: dict[str, int]) -> None:
    policy = Policy(**values)  # type: ignore[arg-type]
    app = App(policy=policy)
    begun = app.begin()
    to_scan = policy.lifetime + policy.late_window
    to_end = to_scan + policy.decide_window + policy.redeem_window
    assert app.device(begun).ends_at == NOON + to_end * 1000
    assert (begun.code_expires_in, begun.expires_in) == (policy.lifetime, to_scan)
    assert 0 < begun.rotates_in == policy.rotation


UNSAFE = {
    "no life": ({"lifetime": 0}, "between 1 and 600"),
    "a negative life": ({"lifetime": -1}, "whole number"),
    "too long a life": ({"lifetime": 601}, "between 1 and 600"),
    "a life of True": ({"lifetime": True}, "whole number"),
    "a life as text": ({"lifetime": "120"}, "whole number"),
    "half seconds": ({"rotation": 2.5}, "whole number"),
    "None": ({"replay_window": None}, "whole number"),
    "no rotation": ({"rotation": 0}, "between 1 and"),
    "a rotation longer than the life": ({"lifetime": 20}, "between 1 and the lifetime of 20 s"),
    "windows that add up to more than 10 minutes": (
        {"lifetime": 600, "redeem_window": 150},
        r"add up to 970 s \(lifetime 600 \+ late_window 100 .* shorten one of them",
    ),
    "no time for a slow page": ({"late_window": 29}, "late_window must lie between 38 and 150 s"),
    "a grace that leaves no time": ({"late_window": 37}, "late_window must lie between 38"),
    "a slow page when codes have no grace": (
        {"late_window": 29, "rotation_grace": 0},
        "late_window must lie between 30",
    ),
    "too long to come": ({"late_window": 151}, "late_window must lie between"),
    "no time to read": ({"decide_window": 19}, "decide_window must lie between 20 and 150 s"),
    "an age to decide": ({"decide_window": 151}, "decide_window must lie between 20 and 150 s"),
    "a grace longer than the rotation": ({"rotation_grace": 26}, "rotation_grace must not exceed"),
    "a negative grace": ({"rotation_grace": -1}, "whole number"),
    "no time to collect": ({"redeem_window": 0}, "redeem_window must lie between"),
    "a week to collect": ({"redeem_window": 601}, "redeem_window must lie between"),
    "a week to replay": ({"replay_window": 151}, "replay_window must lie"),
    "no replay": ({"replay_window": 0}, "replay_window must lie"),
    "polls without a pause": ({"interval": 0}, "interval must lie between 1 and 60 s"),
    "a minute and more between polls": ({"interval": 61}, "interval must lie between 1 and 60 s"),
    "half a second between polls": ({"interval": 0.5}, "interval must be a whole number"),
    "a negative interval": ({"interval": -5}, "interval must be a whole number"),
    "no guess": ({"guesses": 0}, "guesses must lie between 1 and 20"),
    "too many guesses": ({"guesses": 21}, "eight letters can be guessed"),
    "guesses of True": ({"guesses": True}, "guesses must be a whole number"),
    "guesses as text": ({"guesses": "5"}, "guesses must be a whole number"),
    "guesses that come back at once": (
        {"guess_window": 59},
        "guess_window must lie between 60 and 86400 s",
    ),
    "guesses that always come back": (
        {"guess_window": 0},
        "guess_window must lie between 60 and 86400 s",
    ),
    "guesses that are gone for good": (
        {"guess_window": 86_401},
        "guess_window must lie between 60 and 86400 s",
    ),
    "half a window": ({"guess_window": 90.5}, "guess_window must be a whole number"),
}


@row(49, 112, 309, 438)
@for_each_row("values, remedy", UNSAFE.values())
def test_an_unsafe_policy_is_refused_at_construction(values: dict[str, Any], remedy: str) -> None:
    """This includes `replace`, with which users make their policies."""
    with pytest.raises(Misconfigured, match=remedy):
        Policy(**values)
    with pytest.raises(Misconfigured, match=remedy):
        replace(STANDARD, **values)


def test_a_policy_is_a_value() -> None:
    assert replace(STANDARD, lifetime=60) == Policy(lifetime=60)
    assert len({STANDARD, Policy(), STRICT}) == 2
    with pytest.raises(FrozenInstanceError):
        STANDARD.lifetime = 6000  # type: ignore[misc]


@for_each_row("policy", [STANDARD, STRICT, LAB])
@for_each_row("seconds", [1, 2, 10, 25, 120, 350])
def test_with_lifetime_adapts_the_rotation_and_nothing_else(policy: Policy, seconds: int) -> None:
    """Values that must not exceed the lifetime follow it; nothing else changes."""
    lasting = policy.with_lifetime(seconds)
    assert lasting.lifetime == seconds
    assert lasting.rotation == min(policy.rotation, seconds)
    assert lasting.rotation_grace == min(policy.rotation_grace, seconds)
    assert (
        replace(
            lasting,
            **{name: getattr(policy, name) for name in ("lifetime", "rotation", "rotation_grace")},
        )
        == policy
    )


@pytest.mark.parametrize("seconds", [0, -1, 601, True, 1.5, "60", None])
def test_with_lifetime_refuses_a_lifetime_out_of_range(seconds: Any) -> None:
    with pytest.raises(
        Misconfigured, match=r"policy\.lifetime must be a whole number of seconds between 1 and 600"
    ):
        STANDARD.with_lifetime(seconds)
