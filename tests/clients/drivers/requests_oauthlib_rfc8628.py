"""requests-oauthlib leaves the polling to its user. Its address is configured."""

import time

from oauthlib.oauth2 import DeviceClient, OAuth2Error
from requests_oauthlib import OAuth2Session

from tests.clients.drivers.rerouted import ORIGIN, say

session = OAuth2Session(client=DeviceClient("a test"), scope=["openid"])
asked = {"client_id": "a test", "scope": "openid"}
begun = session.post(f"{ORIGIN}/device_authorization", data=asked, withhold_token=True).json()
say("shows", text=begun["user_code"])
while True:
    time.sleep(begun["interval"])
    try:
        session.fetch_token(
            f"{ORIGIN}/token", device_code=begun["device_code"], include_client_id=True
        )
    except OAuth2Error as error:
        if error.error != "authorization_pending":
            say("stopped", why=error.error)
            break
    else:
        say("in", who=session.get(f"{ORIGIN}/demo/userinfo").json()["name"])
        break
