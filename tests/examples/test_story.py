"""The shared story: the three examples, the bare applications, and the demo."""

import pytest

from tests.demo.running import RunningDemo
from tests.examples.running import Running
from tests.examples.story import Stage, tell
from tests.examples.visitors import OfBareApplications, OfExamples, OfTheDemo
from tests.wire.sites import SITES

pytestmark = pytest.mark.long


def test_the_story_of_an_example(example: Running) -> None:
    tell(Stage(example.origin, OfExamples(), sockets=example.example.is_asgi))


def test_the_story_of_the_demo() -> None:
    with RunningDemo() as demo:
        tell(Stage(demo.origin, OfTheDemo()))


def test_the_story_of_bare_wsgi() -> None:
    with SITES["bare WSGI"](None) as site:
        tell(Stage(site.url, OfBareApplications()))


def test_the_story_of_bare_asgi() -> None:
    with SITES["bare ASGI"](None) as site:
        tell(Stage(site.url, OfBareApplications(), sockets=True))
