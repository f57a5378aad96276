"""Runs the checks against a target."""

from collections.abc import Collection
from typing import Final

from qrlogin.audit import flaws, requests, story
from qrlogin.audit.check import Broken, Check, Flaw, NotApplicable, Outcome, Result, Scene
from qrlogin.audit.report import Report
from qrlogin.audit.target import Target

CHECKS: Final[tuple[Check, ...]] = (
    story.works,
    # the six flaws of the study
    flaws.stranger_collects,
    flaws.stranger_polls,
    flaws.reuse,
    flaws.used_code,
    flaws.predictable,
    flaws.chosen_id,
    flaws.claimed_account,
    flaws.no_credential,
    flaws.forged_credential,
    flaws.private_data,
    # skipped steps
    story.collect_first,
    story.collect_unconfirmed,
    story.confirm_unscanned,
    story.other_confirms,
    story.second_scan,
    story.other_login,
    # races
    story.race_collect,
    story.race_scan,
    # how a login ends
    story.denied,
    story.cancelled,
    story.superseded,
    story.long_lived,
    story.expired_code,
    story.expired_approval,
    # who is logged in, and where
    story.planted_cookie,
    story.session_fixation,
    story.asks_first,
    story.equal_masks,
    # requests and answers
    requests.get_code,
    requests.get_phone,
    requests.other_site,
    requests.enumeration,
    requests.no_store,
    requests.cookies,
    requests.framing,
    requests.referrer,
    requests.secret_in_address,
    requests.free_text,
    # strangers; the last one locks an account out for a while
    story.bystander,
    story.guesses,
)
"""Every check, in the order in which it runs. The first one is an honest login."""


def run_check(check: Check, scene: Scene) -> Result:
    """The result of one check. It raises nothing: an error of the target is an outcome, too.

    :param check: the check
    :param scene: the people, whose phones are signed in once
    """
    target = scene.target
    try:
        if target.recovers_after and target.pass_time is not None:
            target.pass_time(target.recovers_after)
        check.run(scene)
    except Flaw as flaw:
        return Result(check, Outcome.FAILED, str(flaw))
    except NotApplicable as reason:
        return Result(check, Outcome.NOT_APPLICABLE, str(reason))
    except Broken as reason:
        return Result(check, Outcome.ERROR, str(reason))
    except Exception as error:
        where = _where(error)
        return Result(check, Outcome.ERROR, f"{type(error).__name__}{where}: {error}")
    return Result(check, Outcome.PASSED)


def _where(error: Exception) -> str:
    """The last line of the error's trace, which is in the target's functions as a rule."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f" in {trace.tb_frame.f_code.co_name}, line {trace.tb_lineno}" if trace else ""


def audit(target: Target, *, only: Collection[str] = ()) -> Report:
    """Runs the checks and returns the report.

    If an honest login does not work, no other check runs: it would prove nothing.

    :param target: the QR login
    :param only: the names of the checks to run besides the honest login. Default: all

    Raises `ValueError` for a name that no check has.
    """
    unknown = {*only} - {check.name for check in CHECKS}
    if unknown:
        raise ValueError(f"no check is called {', '.join(sorted(unknown))}")
    scene = Scene(target)
    results = [run_check(CHECKS[0], scene)]
    if results[0].outcome is Outcome.PASSED:
        results += [
            run_check(check, scene) for check in CHECKS[1:] if not only or check.name in only
        ]
    return Report(target.name, tuple(results))
