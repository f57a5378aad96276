"""The suite finds naive stores: each test that is named here fails for the store that has its fault."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).with_name("naive_suite.py")

#: Who checks and then sets, in two steps, loses these, each time.
RACES = {
    "test_of_simultaneous_guesses_no_more_are_taken_than_there_are",
    "test_of_simultaneous_polls_exactly_one_collects",
    "test_of_simultaneous_redeems_exactly_one_wins",
    "test_one_redeem_sent_many_times_at_once_gets_one_answer",
    "test_of_phones_that_scan_at_once_exactly_one_holds_the_login",
    "test_confirm_against_deny_always_ends_denied",
    "test_scan_against_cancel_always_ends_cancelled",
    "test_redeem_against_a_stop_has_one_winner",
    "test_confirm_against_release_has_one_winner",
}
#: Who takes a resend for a second call loses logins whenever a reply is lost.
REPEATS = {
    "test_a_collection_is_repeated_to_its_own_op_only",
    "test_a_guess_that_is_sent_again_is_counted_once",
    "test_a_redeem_is_replayed_to_its_own_op_and_only_for_a_while",
    "test_a_repeat_gets_the_same_answer_and_changes_nothing",
    "test_a_repeated_begin_is_the_same_login",
    "test_a_second_phone_is_told_apart_where_the_application_names_phones",
    "test_a_wait_returns_at_its_limit_and_not_before",
    "test_any_sequence_of_calls_keeps_what_was_promised",
    "test_confirm_against_deny_always_ends_denied",
    "test_every_case_is_decided_as_the_step_decides_it",
    "test_every_reply_names_its_question",
    "test_one_redeem_sent_many_times_at_once_gets_one_answer",
    "test_scan_against_cancel_always_ends_cancelled",
    "test_who_guesses_is_stopped_and_nobody_else",
}
#: Who lets each write set the time to live anew never forgives a guesser, or forgives one too soon.
LIVES = {
    "test_a_record_lives_as_long_as_it_was_born_to_and_not_longer",
    "test_nor_is_its_life_cut_short",
}


MUST_FAIL = {"TestForgiving": RACES, "TestLocked": REPEATS | LIVES}


@pytest.mark.long
def test_the_suite_fails_a_store_that_races_and_one_that_knows_no_repeats() -> None:
    """That a right store passes the same tests is what test_memory.py shows."""
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
