"""The cost of a code: sign and verify one scan_code, next to the TimestampSigner of itsdangerous.

It measures CPU time, and both take turns, so the ratio holds on a busy machine: `.venv/bin/python
benchmarks/codes.py`
"""

import time
import timeit
from hashlib import sha256

from itsdangerous import TimestampSigner

from qrlogin.codes import Codes, new_login_id

ROUNDS, CALLS = 15, 2000


def main() -> None:
    codes = Codes(
        [bytes(range(32))],
        verification_uri="https://example.com/qr",
        audience=None,
        plain_http=False,
    )
    login_id, key = new_login_id(), codes.signing_key
    signer = TimestampSigner(
        bytes(range(32)), salt="benchmark", key_derivation="hmac", digest_method=sha256
    )

    def scan_code() -> None:
        codes.read_scan_code(codes.rotating_code(key, login_id, 1_795_000_000_000))

    def timestamp_signer() -> None:
        signer.unsign(signer.sign(login_id), max_age=60)

    best = {"scan_code": float("inf"), "TimestampSigner": float("inf")}
    for _ in range(ROUNDS):
        for name, call in (("scan_code", scan_code), ("TimestampSigner", timestamp_signer)):
            best[name] = min(
                best[name], timeit.timeit(call, timer=time.process_time, number=CALLS) / CALLS
            )
    for name, seconds in best.items():
        print(f"{name:16} {seconds * 1e6:6.1f} us")
    print(f"ratio            {best['scan_code'] / best['TimestampSigner']:6.2f}")


if __name__ == "__main__":
    main()
