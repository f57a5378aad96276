"""The demo: `python -m tests.examples.variants.demo --port 8000`.

It has accounts for two people; here it has more, with names in other scripts. Nothing comes between
its own server and it, so what reads the body here passes it on, as PEP 3333 asks.
`gunicorn "tests.examples.variants.demo:wsgi_app()"` serves its application alone.
"""

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from io import BytesIO
from typing import Any

from qrlogin import MemoryStore, QRLogin
from qrlogin.__main__ import main
from qrlogin.demo import people, run, site
from qrlogin.keys import new_key
from qrlogin.names import clean, masked
from qrlogin.wire import Cookie, Request, Response
from qrlogin.wire.message import StartResponse
from tests.examples.variants import JWT
from tests.people import EIGHT_SCRIPTS

for number, name in enumerate(EIGHT_SCRIPTS):
    account = people.Account(str(2000 + number), name, clean(name, 200), masked(name))
    people.PEOPLE[name] = people._BY_SUBJECT[account.subject] = account  # type: ignore[index]


class Site(site.Site):
    def __call__(
        self, environ: Mapping[str, Any], start_response: StartResponse
    ) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        return super().__call__({**environ, "wsgi.input": BytesIO(body)}, start_response)

    def _apply(self, request: Request, answer: Response) -> Response:
        applied = super()._apply(request, answer)
        if not answer.redeemed:
            return applied
        return replace(applied, cookies=(*applied.cookies, Cookie("jwt", JWT, 600, secure=False)))


def wsgi_app() -> Site:
    return Site(
        QRLogin(
            MemoryStore(),
            secret_keys=[new_key()],
            verification_uri=os.environ["QRLOGIN_ORIGIN"] + "/qr",
        )
    )


if __name__ == "__main__":
    vars(run)["Site"] = Site
    sys.exit(main(["demo", *sys.argv[1:]]))
