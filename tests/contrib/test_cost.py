"""What a login costs in each framework, beside what the framework itself costs."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import frameworks

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
#: The most that the module of a framework may cost, as a multiple of six views that do nothing.
MOST = {"flask": 1.0, "django": 1.5, "fastapi": 2.0}


@pytest.mark.matrix
@pytest.mark.parametrize("framework", MOST)
def test_the_module_of_a_framework_costs_little_beside_the_framework(framework: str) -> None:
    costs = frameworks.figures(framework)
    assert costs.adapter < MOST[framework] * costs.floor, costs


QUERIES = """
import asyncio
import frameworks
served = frameworks.serve_django()
sys.modules["frameworks"].urlpatterns = frameworks.urlpatterns
from django.db import connection
from django.test.utils import CaptureQueriesContext

async def story():
    async def ask(method, path, headers, body):
        with CaptureQueriesContext(connection) as queries:
            answer = await served.ask(method, path, headers, body)
        words = [query["sql"].replace('"', " ").split() for query in queries]
        verbs = [each for each in words if each[0] in ("SELECT", "INSERT", "UPDATE", "DELETE")]
        found = [
            verb[0] + " " + next(word for word in verb if word in ("auth_user", "django_session"))
            for verb in verbs
        ]
        print(path.rpartition("/")[2][:7], *found, sep=", ")
        return answer

    await frameworks.log_in_once(ask, "/qrlogin/", served.phone, served.browser)

asyncio.run(story())
"""


def test_a_login_in_django_sends_the_queries_of_django_and_none_of_its_own() -> None:
    """Those that docs/deploy.md lists. The requests of the browser before the redeem send none."""
    script = f"import sys; sys.path.insert(0, {str(ROOT / 'benchmarks')!r})\n{QUERIES}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.returncode == 0, done.stderr
    begin, pending, scan, confirm, confirmed, redeem = (
        line.split(", ")[1:] for line in done.stdout.splitlines()
    )
    assert begin == pending == confirmed == []
    assert scan == confirm == ["SELECT django_session", "SELECT auth_user"]
    assert redeem == [
        "SELECT auth_user",  # the account that approved
        "SELECT django_session",  # in login(): whether the new key is free
        "INSERT django_session",
        "UPDATE auth_user",  # last_login
        "UPDATE django_session",  # the middleware
    ]
    assert "two SELECT, one INSERT and two UPDATE" in PAGE
