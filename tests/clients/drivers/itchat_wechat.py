"""itchat begins the next login after a failure, so this driver logs out then."""

import itchat

from tests.clients.drivers.rerouted import Here, Left, say, say_picture

here, client = Here("/cgi-bin/mmwebwx-bin/webwxinit"), itchat.new_instance()
statuses: list[str] = []


def called(uuid: str, status: str, qrcode: bytes) -> None:
    statuses.append(status)
    if status == "0":
        say_picture(qrcode)
    elif status == "201":
        say("scanned")
    elif status not in ("200", "408"):
        client.logout()


try:
    client.login(qrCallback=called)
    say("stopped", why=statuses[-1])
except Left:
    assert all(client.loginInfo[name] for name in ("skey", "wxsid", "wxuin", "pass_ticket"))
    say("in", who=here.who())
