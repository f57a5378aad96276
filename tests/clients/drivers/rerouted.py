"""For the drivers: send what `requests` sends to the demo, and print events.

Only the host of an address is replaced, above the cookie jar, so cookies belong to the demo. A
request that would still leave this machine is refused.
"""

import base64
import io
import json
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import requests
from PIL import Image, ImageShow
from requests.adapters import HTTPAdapter

ORIGIN = sys.argv[1]


class Left(Exception):
    """After the login, the client wants something that only the original has. Clients catch the
    errors of `requests`, so this is not one of them.
    """


def say(event: str, **facts: object) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


def say_picture(png: bytes) -> None:
    say("shows", picture=base64.b64encode(png).decode())


def say_asked(method: str, address: str) -> None:
    asked = urlsplit(address)
    say("asks", method=method, host=asked.hostname, path=asked.path, at=time.monotonic())


class Here:
    """From now on, `requests` sends everything to the demo. A request for a path in `beyond` raises
    `Left`.
    """

    def __init__(self, *beyond: str) -> None:
        self.session = requests.Session()  # the one that asked last
        own_request, own_send = requests.Session.request, HTTPAdapter.send

        def request(
            session: requests.Session, method: str, url: str, *args: Any, **options: Any
        ) -> requests.Response:
            asked = urlsplit(url)
            say_asked(method, url)
            if asked.path in beyond:
                raise Left(url)
            self.session = session
            session.trust_env = False  # no proxy leads to this machine
            return own_request(
                session, method, f"{ORIGIN}{asked.path}?{asked.query}", *args, **options
            )

        def send(
            adapter: HTTPAdapter, asked: requests.PreparedRequest, *args: Any, **options: Any
        ) -> requests.Response:
            if not str(asked.url).startswith(f"{ORIGIN}/"):  # a redirect
                raise Left(asked.url)
            return own_send(adapter, asked, *args, **options)

        requests.Session.request = request  # type: ignore[method-assign, assignment]
        HTTPAdapter.send = send  # type: ignore[method-assign, assignment]

    def who(self) -> str:
        """The name of the person in the session of the client's cookies; "" without a session."""
        return str(self.session.get(f"{ORIGIN}/demo/me").json().get("name", ""))


class Screen(ImageShow.Viewer):
    """Prints the picture that a client shows with Pillow."""

    def show_image(self, image: Image.Image, **_: Any) -> int:
        held = io.BytesIO()
        image.save(held, "PNG")
        say_picture(held.getvalue())
        return 1


def look_at_pictures() -> None:
    ImageShow.register(Screen, order=0)
