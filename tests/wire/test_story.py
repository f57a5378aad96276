"""The HTTP story, through every way of mounting, over every store."""

import pytest

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
