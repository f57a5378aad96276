"""requests-oauthlib-dags. It polls by itself, at first at once. Its addresses can be configured."""

from oauthlib.oauth2 import OAuth2Error
from requests_oauthlib_dags import DeviceAuthorizationGrantSession, exception

from tests.clients.drivers.rerouted import ORIGIN, report

session = DeviceAuthorizationGrantSession("a-test", scope=["openid"])
address, _ = session.authorization_url(f"{ORIGIN}/device_authorization")
report("shows", text=address)
try:
    session.wait_for_authorization(f"{ORIGIN}/token")
    report("in", who=session.get(f"{ORIGIN}/demo/userinfo").json()["name"])
except (OAuth2Error, exception.DeviceAuthorizationTimeoutError) as error:
    report("stopped", why=type(error).__name__)
