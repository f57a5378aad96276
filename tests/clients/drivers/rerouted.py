"""What the drivers share: it sends `requests` to the demo, and reports what happens.

Only the host of an address is replaced, above the cookie jar, so that cookies belong to the site
that answered. A request that would leave this machine is rejected.
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


class LoginOver(Exception):
    """The login is over, and the client calls what only the original has.

    It is no error of requests, because clients catch those.
    """


def report(event: str, **facts: object) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


def report_picture(png: bytes) -> None:
    report("shows", picture=base64.b64encode(png).decode())


def report_request(method: str, address: str) -> None:
    target = urlsplit(address)
    report("asks", method=method, host=target.hostname, path=target.path, at=time.monotonic())


class ReroutedRequests:
    """From now on, every request of `requests` goes to the demo.

    A request to a path in `beyond` raises `LoginOver` instead.
    """

    def __init__(self, *beyond: str) -> None:
        self.session = requests.Session()  # the last one in use
        own_request, own_send = requests.Session.request, HTTPAdapter.send

        def request(
            session: requests.Session, method: str, url: str, *args: Any, **options: Any
        ) -> requests.Response:
            asked = urlsplit(url)
            report_request(method, url)
            if asked.path in beyond:
                raise LoginOver(url)
            self.session = session
            session.trust_env = False  # this machine needs no proxy
            return own_request(
                session, method, f"{ORIGIN}{asked.path}?{asked.query}", *args, **options
            )

        def send(
            adapter: HTTPAdapter, asked: requests.PreparedRequest, *args: Any, **options: Any
        ) -> requests.Response:
            if not str(asked.url).startswith(f"{ORIGIN}/"):  # a redirect
                raise LoginOver(asked.url)
            return own_send(adapter, asked, *args, **options)

        requests.Session.request = request  # type: ignore[method-assign, assignment]
        HTTPAdapter.send = send  # type: ignore[method-assign, assignment]

    def who(self) -> str:
        """The name of the account that the cookies belong to; "" if there is none."""
        return str(self.session.get(f"{ORIGIN}/demo/me").json().get("name", ""))


class Screen(ImageShow.Viewer):
    """Reports the picture that Pillow shows."""

    def show_image(self, image: Image.Image, **_: Any) -> int:
        held = io.BytesIO()
        image.save(held, "PNG")
        report_picture(held.getvalue())
        return 1


def report_pictures() -> None:
    ImageShow.register(Screen, order=0)
