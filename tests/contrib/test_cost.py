"""What a login costs in each framework, beside what the framework itself costs."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text("utf-8")
#: The most calls that the module of a framework may add to a login, beside those of the framework,
#: the application and the core. It adds 370, 500 and 2280; most of the last are FastAPI's own.
MOST_CALLS = {"flask": 500, "django": 650, "fastapi": 2900}
CALLS = """
import asyncio, cProfile, pstats
import frameworks

async def calls(ask, mount):
    await frameworks.log_in_once(ask, mount, served.phone, served.browser)
    with cProfile.Profile() as profile:
        await frameworks.log_in_once(ask, mount, served.phone, served.browser)
    return pstats.Stats(profile).total_calls

async def story():
    login = await calls(served.ask, "/qrlogin/")
    application = await calls(served.ask, "/application/")
    core, client = await calls(served.bare, "/"), await calls(served.nothing, "/")
    print(login - application - (core - client))

with frameworks.without_pictures():
    served = frameworks.SERVE[FRAMEWORK]()
    asyncio.run(story())
"""


def printed(script: str) -> str:
    """What this script prints. It can import the benchmarks."""
    path = f"import sys; sys.path.insert(0, {str(ROOT / 'benchmarks')!r})\n"
    done = subprocess.run(
        [sys.executable, "-c", path + script], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("framework", MOST_CALLS)
def test_the_module_of_a_framework_adds_few_calls_to_a_login(framework: str) -> None:
    """Calls of Python functions, because a time depends on what else the machine does."""
    added = int(printed(CALLS.replace("FRAMEWORK", repr(framework))))
    assert 0 < added < MOST_CALLS[framework]


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
    begin, pending, scan, confirm, confirmed, redeem = (
        line.split(", ")[1:] for line in printed(QUERIES).splitlines()
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
