"""What `import qrlogin` costs beside `import segno`: CPU time of fresh processes, taken in turns.

    python -m benchmarks.imports

What Python does before it is not counted, and all modules are compiled beforehand. A figure is the
best of many, because every other program on the machine can only add to it.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Final

_NO_BYTECODE: Final = "PYTHONDONTWRITEBYTECODE"
_READ: Final = "import time; began = time.process_time(); {}; print(time.process_time() - began)"


#: The package alone, what a program that blocks uses of it, and what it is compared with.
IMPORTS: Final = (
    "import qrlogin",
    "from qrlogin import QRLogin, MemoryStore",
    "from qrlogin import AsyncQRLogin, AsyncMemoryStore",
    "import segno",
)


def import_ms(statements: Sequence[str] = IMPORTS, rounds: int = 15) -> dict[str, float]:
    """The CPU time of each statement in a fresh process, in milliseconds.

    :param statements: each runs in processes of its own.
    :param rounds: how often, in turns.
    """
    with tempfile.TemporaryDirectory() as compiled:
        env = {name: value for name, value in os.environ.items() if name != _NO_BYTECODE}
        env["PYTHONPYCACHEPREFIX"] = compiled
        for each in statements:
            _once(each, env)
        best = dict.fromkeys(statements, float("inf"))
        for _ in range(rounds):
            for each in statements:
                best[each] = min(best[each], _once(each, env))
    return best


def _once(statement: str, env: Mapping[str, str]) -> float:
    done = subprocess.run(
        [sys.executable, "-c", _READ.format(statement)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=env,
    )
    return float(done.stdout) * 1000


def main() -> None:
    """Print each figure, and its ratio to `import segno`."""
    measured = import_ms()
    for statement, ms in measured.items():
        print(f"{statement:52} {ms:6.1f} ms  {ms / measured['import segno']:5.2f}")


if __name__ == "__main__":
    main()
