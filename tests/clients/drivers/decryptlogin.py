"""DecryptLogin logs in to Taobao or JD. It shows its picture with Pillow."""

import sys
import warnings

from tests.clients.drivers.rerouted import Here, look_at_pictures, say

with warnings.catch_warnings(action="ignore"):  # imghdr
    from DecryptLogin.modules.core.jingdong import jingdongScanqr
    from DecryptLogin.modules.core.taobao import taobaoScanqr

here = Here()
look_at_pictures()
try:
    {"taobao": taobaoScanqr, "jd": jingdongScanqr}[sys.argv[2]]().login()
    say("in", who=here.who())
except RuntimeError as error:
    say("stopped", why=str(error))
