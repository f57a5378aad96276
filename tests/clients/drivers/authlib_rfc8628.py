"""Authlib. The driver polls, as its users do. It asks for `offline_access`, and refreshes."""

import time

from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session

from tests.clients.drivers.rerouted import ORIGIN, report

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
session = OAuth2Session(
    "a test",
    scope="openid offline_access",
    token_endpoint_auth_method="none",
    token_endpoint=f"{ORIGIN}/token",
)
session.trust_env = False
fields = {"client_id": "a test", "scope": session.scope}
begun = session.post(f"{ORIGIN}/device_authorization", data=fields, withhold_token=True).json()
report("shows", text=begun["user_code"])
while True:
    time.sleep(begun["interval"])
    try:
        session.fetch_token(grant_type=GRANT, device_code=begun["device_code"])
    except OAuthError as error:
        if error.error != "authorization_pending":
            report("stopped", why=error.error)
            break
    else:
        first = session.token["access_token"]
        session.refresh_token()
        assert session.token["access_token"] != first
        report("in", who=session.get(f"{ORIGIN}/demo/userinfo").json()["name"])
        break
