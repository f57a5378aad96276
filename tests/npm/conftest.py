"""The browser is that of tests/browser."""

from tests.browser.conftest import chromium, loop, pytest_pyfunc_call

__all__ = ["chromium", "loop", "pytest_pyfunc_call"]
