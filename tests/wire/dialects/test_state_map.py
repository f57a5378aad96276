"""What the word of a dialect for an error says about the login."""

import json

import pytest

from qrlogin import MemoryStore, QRLogin, QRLoginError, Superseded, TooFast
from qrlogin.wire import Request
from qrlogin.wire.dialects.wechat import WeChat
from tests.wire.mount import KEY, URI


@pytest.mark.parametrize(("error", "status"), [(Superseded(), 409), (TooFast(5), 429)])
def test_the_refusal_of_one_poll_does_not_say_that_the_login_ended(
    error: QRLoginError, status: int
) -> None:
    dialect = WeChat(QRLogin(MemoryStore(), secret_keys=[KEY], verification_uri=URI).core)
    answer = dialect.refuse(Request("GET", "cgi-bin/mmwebwx-bin/login"), error)
    assert (answer.status, json.loads(answer.body)["error"]) == (status, error.wire_code)
