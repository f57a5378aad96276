"""The HTTP story, through every way of mounting, over every store and every way to deploy one."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.stores.deployments import DEPLOYMENTS
from tests.wire.sites import ONE_THREAD, SITES
from tests.wire.story import play


@pytest.mark.parametrize("store", [pytest.param("memory", marks=pytest.mark.matrix), "redis"])
@pytest.mark.parametrize("site", [*SITES, *ONE_THREAD])
def test_the_story_passes_with_every_site_and_store(
    site: str, store: str, request: pytest.FixtureRequest
) -> None:
    redis_url = request.getfixturevalue("redis_url") if store == "redis" else None
    with (SITES | ONE_THREAD)[site](redis_url) as running:
        play(running)


@pytest.mark.matrix
@pytest.mark.parametrize("where", [*DEPLOYMENTS, "SQLite", "PostgreSQL"])
def test_the_story_passes_over_every_deployment(
    where: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """With a server that blocks and with one for asyncio."""
    with ExitStack() as stack:
        if where == "SQLite":
            address = f"sqlite:///{tmp_path}/logins.db"
        elif where == "PostgreSQL":
            address = request.getfixturevalue("postgres_url")
        else:
            address = stack.enter_context(DEPLOYMENTS[where]())
        for site in ("bare WSGI", "FastAPI"):
            with SITES[site](address) as running:
                play(running)
