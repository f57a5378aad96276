"""The pytest plugin: one test for each check.

It is loaded only where you ask for it, so that it changes no other test run. In a test module, or
in the conftest.py at the root:

    import pytest

    pytest_plugins = ["qrlogin.audit.plugin"]

    @pytest.fixture(scope="module")
    def qrlogin_target():
        return Target(...)

    def test_our_qr_login(qrlogin_check):
        qrlogin_check()

The test runs once for each check, with the check's name in brackets. A check that does not apply
is skipped with its reason.
"""

from collections.abc import Callable

import pytest

from qrlogin.audit.check import Check, Outcome, Result, Scene
from qrlogin.audit.report import explained
from qrlogin.audit.running import CHECKS, run_check
from qrlogin.audit.target import Target


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Makes one test for each check."""
    if "qrlogin_check" in metafunc.fixturenames:
        metafunc.parametrize("_qrlogin_one_check", CHECKS, ids=[each.name for each in CHECKS])


@pytest.fixture(scope="module")
def qrlogin_target() -> Target:
    """The QR login to audit. Override this fixture."""
    raise NotImplementedError("write the fixture qrlogin_target: it returns the Target to audit")


@pytest.fixture(scope="module")
def _qrlogin_scene(qrlogin_target: Target) -> tuple[Scene, Result]:
    """The people, who sign in once, and the result of an honest login."""
    scene = Scene(qrlogin_target)
    return scene, run_check(CHECKS[0], scene)


@pytest.fixture
def qrlogin_check(
    _qrlogin_one_check: Check, _qrlogin_scene: tuple[Scene, Result]
) -> Callable[[], None]:
    """Runs one check: fails with its report, or skips if it does not apply."""

    def run() -> None:
        scene, honest = _qrlogin_scene
        if honest.outcome is not Outcome.PASSED or _qrlogin_one_check is honest.check:
            result = honest  # without an honest login, a check proves nothing
        else:
            result = run_check(_qrlogin_one_check, scene)
        if result.outcome is Outcome.NOT_APPLICABLE:
            pytest.skip(result.reason)
        if result.outcome is not Outcome.PASSED:
            pytest.fail("\n".join(explained(result)), pytrace=False)

    return run
