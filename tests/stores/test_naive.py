"""The suite finds naive stores: each test that is named here fails for the store that has its
fault.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).with_name("naive_suite.py")

#: A store that checks and sets in two steps fails these each time.
RACES = {
    "test_simultaneous_guesses_never_exceed_the_budget",
    "test_exactly_one_of_simultaneous_polls_collects",
    "test_exactly_one_of_simultaneous_redeems_wins",
    "test_one_redeem_sent_many_times_at_once_gets_one_answer",
    "test_exactly_one_of_simultaneous_scans_holds_the_login",
    "test_confirm_against_deny_always_ends_denied",
    "test_scan_against_cancel_always_ends_cancelled",
    "test_redeem_against_cancel_or_deny_has_one_winner",
    "test_confirm_against_release_has_one_winner",
}
#: A store that takes a resent command for a new one loses a login whenever a reply is lost.
REPEATS = {
    "test_a_collection_is_repeated_for_the_same_op_only",
    "test_a_resent_guess_is_counted_once",
    "test_a_redeem_is_replayed_for_the_same_op_until_its_window_closes",
    "test_a_repeat_gets_the_same_answer_and_changes_nothing",
    "test_a_repeated_begin_returns_the_same_login",
    "test_a_second_phone_of_the_account_is_refused_if_the_application_names_phones",
    "test_a_wait_without_news_returns_at_its_timeout_and_not_before",
    "test_any_sequence_of_calls_gets_the_promised_answers",
    "test_confirm_against_deny_always_ends_denied",
    "test_every_case_gets_the_reply_of_the_reference",
    "test_every_reply_echoes_the_login_id_and_mark_of_its_command",
    "test_one_redeem_sent_many_times_at_once_gets_one_answer",
    "test_scan_against_cancel_always_ends_cancelled",
    "test_an_account_that_guesses_is_stopped_and_other_accounts_are_not",
}
#: A store that sets the time to live at each write never unblocks a guesser, or unblocks one too
#: soon.
LIVES = {
    "test_a_later_command_does_not_extend_the_life_of_a_record",
    "test_a_later_command_does_not_shorten_the_life_of_a_record",
}


MUST_FAIL = {"TestForgiving": RACES, "TestLocked": REPEATS | LIVES}


@pytest.mark.long
def test_the_suite_fails_a_store_that_is_not_atomic_and_one_that_applies_repeats() -> None:
    """Each of these tests fails by itself. That a right store passes all of them is what
    test_memory.py shows.
    """
    tests = [
        f"{SUITE}::{suite}::{name}" for suite, names in MUST_FAIL.items() for name in sorted(names)
    ]
    command = [
        sys.executable,
        "-m",
        "pytest",
        *tests,
        "-q",
        "--tb=no",
        "-rf",
        "-p",
        "no:cacheprovider",
    ]
    ran = subprocess.run(command, cwd=SUITE.parents[2], capture_output=True, text=True, check=False)
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED, ran.stdout[-2000:] + ran.stderr[-2000:]
    failed: dict[str, set[str]] = {}
    for suite, name in re.findall(r"^FAILED [^:]+::(\w+)::(\w+)", ran.stdout, re.MULTILINE):
        failed.setdefault(suite, set()).add(name)
    assert failed == MUST_FAIL
