"""The story of tests/wire/story.py, with the plain applications of qrlogin.contrib."""

import pytest

from tests.contrib.mounted import plain_asgi, plain_wsgi
from tests.wire.sites import awaited, threaded, wsgiref_server
from tests.wire.story import play

pytestmark = pytest.mark.matrix


def test_the_story_passes_with_a_mounted_wsgi_application() -> None:
    with threaded(plain_wsgi, wsgiref_server, None) as site:
        play(site)


def test_the_story_passes_with_a_mounted_asgi_application() -> None:
    with awaited(plain_asgi, None) as site:
        play(site)
