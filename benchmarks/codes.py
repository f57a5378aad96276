"""What a code costs: sign and verify one scan_code, beside itsdangerous' own TimestampSigner, in turns in one run.

.venv/bin/python benchmarks/codes.py
"""

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

    def ours() -> None:
        codes.read_scan_code(codes.rotating_code(key, login_id, 1_795_000_000_000))

    def theirs() -> None:
        signer.unsign(signer.sign(login_id), max_age=60)

    best = {"ours": float("inf"), "TimestampSigner": float("inf")}
    for _ in range(ROUNDS):
        for name, call in (("ours", ours), ("TimestampSigner", theirs)):
            best[name] = min(best[name], timeit.timeit(call, number=CALLS) / CALLS)
    for name, seconds in best.items():
        print(f"{name:16} {seconds * 1e6:6.1f} us")
    print(f"ratio            {best['ours'] / best['TimestampSigner']:6.2f}")


if __name__ == "__main__":
    main()
