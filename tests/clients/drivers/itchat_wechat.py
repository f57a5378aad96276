"""itchat. After a failed login it begins another, unless its user logs out: this driver does."""

import itchat

from tests.clients.drivers.rerouted import LoginOver, ReroutedRequests, report, report_picture

demo, client = ReroutedRequests("/cgi-bin/mmwebwx-bin/webwxinit"), itchat.new_instance()
statuses: list[str] = []


def called(uuid: str, status: str, qrcode: bytes) -> None:
    statuses.append(status)
    if status == "0":
        report_picture(qrcode)
    elif status == "201":
        report("scanned")
    elif status not in ("200", "408"):
        client.logout()


try:
    client.login(qrCallback=called)
    report("stopped", why=statuses[-1])
except LoginOver:
    assert all(client.loginInfo[name] for name in ("skey", "wxsid", "wxuin", "pass_ticket"))
    report("in", who=demo.who())
