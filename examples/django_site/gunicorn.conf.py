"""Read by gunicorn by itself. A browser that waits for its phone holds a thread, so there are more of them than usual."""

import os
import sys
from typing import Any

bind = "127.0.0.1:8000"  # what QRLOGIN_ORIGIN says if nothing else
threads = 16  # qrlogin's waits take half of that: the other half answers
graceful_timeout = 5
keepalive = 1  # a connection without a request delays the end so long at most
control_socket_disable = True  # nobody uses it here, and it takes its time to end


def on_starting(server: Any) -> None:
    if server.cfg.workers > 1 and (os.environ.get("QRLOGIN_STORE") or "memory") == "memory":
        sys.exit(
            "Several workers need a store that they share: set QRLOGIN_STORE, for example to redis://127.0.0.1:6379/0"
        )
