"""aligo logs in in its constructor, and then wants a drive that the demo does not have."""

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
