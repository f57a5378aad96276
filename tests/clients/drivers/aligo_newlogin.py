"""aligo. It logs in when it is made, and goes on to a drive that is not here."""

import logging

import aligo
from aligo.error import AligoException

from tests.clients.drivers.rerouted import Here, Left, say

here = Here("/v2/account/token")
try:
    aligo.Auth(name="a test", show=lambda text: say("shows", text=text), level=logging.CRITICAL)
except Left:
    say("in", who=here.who())
except AligoException as error:
    say("stopped", why=f"{type(error).__name__}: {error}")
