"""requests-oauthlib-dags polls by itself, at once for the first time. Its address is configured."""

from oauthlib.oauth2 import OAuth2Error
from requests_oauthlib_dags import DeviceAuthorizationGrantSession, exception

from tests.clients.drivers.rerouted import ORIGIN, say

session = DeviceAuthorizationGrantSession("a-test", scope=["openid"])
address, _ = session.authorization_url(f"{ORIGIN}/device_authorization")
say("shows", text=address)
try:
    session.wait_for_authorization(f"{ORIGIN}/token")
    say("in", who=session.get(f"{ORIGIN}/demo/userinfo").json()["name"])
except (OAuth2Error, exception.DeviceAuthorizationTimeoutError) as error:
    say("stopped", why=type(error).__name__)
