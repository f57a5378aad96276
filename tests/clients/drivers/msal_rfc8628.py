"""MSAL for Python. It reads the discovery document, insists on `authorization_endpoint`, on https
and on an authority with a path. It polls by itself, asks for `offline_access`, and refreshes.

The driver is what a TLS proxy in front of the demo would be, for the addresses below AUTHORITY.
"""

from typing import Any
from urllib.parse import urlsplit

import msal
import requests

from tests.clients.drivers.rerouted import ORIGIN, report, report_request

PROXIED = ORIGIN.replace("http:", "https:")
AUTHORITY = f"{PROXIED}/device-flow"


class TlsProxy:
    """The HTTP client of MSAL."""

    def __init__(self) -> None:
        self._session = requests.Session()
        self._session.trust_env = False

    def get(self, url: str, **options: Any) -> requests.Response:
        return self._send("GET", url, options)

    def post(self, url: str, **options: Any) -> requests.Response:
        return self._send("POST", url, options)

    def close(self) -> None:
        self._session.close()

    def _send(self, method: str, url: str, options: dict[str, Any]) -> requests.Response:
        report_request(method, url)
        below = urlsplit(url.removeprefix(AUTHORITY)).path
        answer = self._session.request(method, f"{ORIGIN}{below}", **options)
        if below.startswith("/.well-known/"):
            answer._content = answer.content.replace(ORIGIN.encode(), PROXIED.encode())
        return answer


application = msal.PublicClientApplication(
    "a-test", oidc_authority=AUTHORITY, http_client=TlsProxy()
)
flow = application.initiate_device_flow(scopes=["films"])
report("shows", text=flow["verification_uri_complete"])
tokens = application.acquire_token_by_device_flow(flow)
if "access_token" in tokens:
    renewed = application.acquire_token_by_refresh_token(tokens["refresh_token"], ["films"])
    sent = {"Authorization": f"Bearer {renewed['access_token']}"}
    report("in", who=requests.get(f"{ORIGIN}/demo/userinfo", headers=sent).json()["name"])
else:
    report("stopped", why=tokens["error"])
