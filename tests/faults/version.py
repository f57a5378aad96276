"""A process of some version of qrlogin: it reads calls from its input, one JSON line each, and
writes what they return. It uses only what every version has.
"""

import json
import sys

from qrlogin import QRLogin
from qrlogin.errors import QRLoginError
from qrlogin.stores import RedisStore

FIELDS = ("device_code", "scan_code", "subject", "replayed")


def main(url: str, prefix: str, uri: str) -> None:
    store = RedisStore.from_url(url, prefix=prefix)
    with QRLogin(store, secret_keys=[bytes(range(32))], verification_uri=uri) as qr:
        for line in sys.stdin:
            name, codes, more = json.loads(line)
            try:
                found = getattr(qr, name)(*codes, **more)
            except QRLoginError as error:
                answer = {"error": type(error).__name__}
            else:
                answer = {each: getattr(found, each) for each in FIELDS if hasattr(found, each)}
                scanned_by = getattr(found, "scanned_by", None)
                answer["tag"] = scanned_by.tag if scanned_by else ""
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
