"""DecryptLogin, for Taobao and JD. It shows its picture with Pillow."""

import sys
import warnings

from tests.clients.drivers.rerouted import ReroutedRequests, report, report_pictures

with warnings.catch_warnings(action="ignore"):  # imghdr
    from DecryptLogin.modules.core.jingdong import jingdongScanqr
    from DecryptLogin.modules.core.taobao import taobaoScanqr

demo = ReroutedRequests()
report_pictures()
try:
    {"taobao": taobaoScanqr, "jd": jingdongScanqr}[sys.argv[2]]().login()
    report("in", who=demo.who())
except RuntimeError as error:
    report("stopped", why=str(error))
