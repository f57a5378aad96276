"""aligo. Its constructor logs in, and then opens a drive, which the demo does not have."""

import logging

import aligo
from aligo.error import AligoException

from tests.clients.drivers.rerouted import LoginOver, ReroutedRequests, report

demo = ReroutedRequests("/v2/account/token")
try:
    aligo.Auth(name="a test", show=lambda text: report("shows", text=text), level=logging.CRITICAL)
except LoginOver:
    report("in", who=demo.who())
except AligoException as error:
    report("stopped", why=f"{type(error).__name__}: {error}")
