"""The shared story: the three examples, the bare applications, and the demo."""

import pytest

from tests.demo.running import RunningDemo
from tests.examples.running import Running
from tests.examples.story import Desk, Stage, tell
from tests.examples.visitors import OfBareApplications, OfExamples, OfTheDemo, Visitor
from tests.wire.sites import SITES

pytestmark = pytest.mark.long


def test_the_story_of_an_example(example: Running) -> None:
    tell(Stage(example.origin, OfExamples(), sockets=example.example.is_asgi))


def test_the_page_of_a_code_is_for_everybody(example: Running) -> None:
    """A user who is not signed in is shown how, and comes back. The phone keeps the code."""
    with Desk(OfExamples().browser(example.origin)) as desk, Visitor(example.origin) as phone:
        path = desk.begin().complete.removeprefix(example.origin)
        links = [each["href"] for tag, each in phone.page(path).found if tag == "a"]
        assert f"/login?next={path}" in links
        assert "qrl-landing" in phone.jar()
        with Visitor(example.origin) as other:
            other.page(path[:-1] + ("A" if path[-1] != "A" else "B"))
            other.page("/qr")
            assert "qrl-landing" not in other.jar()


def test_the_story_of_the_demo() -> None:
    with RunningDemo() as demo:
        tell(Stage(demo.origin, OfTheDemo()))


def test_the_story_of_bare_wsgi() -> None:
    with SITES["bare WSGI"](None) as site:
        tell(Stage(site.url, OfBareApplications()))


def test_the_story_of_bare_asgi() -> None:
    with SITES["bare ASGI"](None) as site:
        tell(Stage(site.url, OfBareApplications(), sockets=True))
