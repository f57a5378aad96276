"""gunicorn reads this file on its own. It sets more threads than usual, because each browser that
waits for its phone holds one."""

import os
import sys
from typing import Any

bind = "127.0.0.1:5000"  # the default of QRLOGIN_ORIGIN
threads = 16  # QRLOGIN_MAX_WAITING is half of that; the other half answers requests
graceful_timeout = 5
keepalive = 1  # seconds that an idle connection can delay the shutdown
control_socket_disable = True  # unused here, and it delays the shutdown


def pre_request(worker: Any, request: Any) -> None:
    """Without this, a browser that announces a body and never sends it would keep its thread. A
    proxy that buffers requests in front of gunicorn also protects from slow headers.
    """
    request.unreader.sock.settimeout(10)  # seconds without a byte


def on_starting(server: Any) -> None:
    if server.cfg.workers > 1 and (os.environ.get("QRLOGIN_STORE") or "memory") == "memory":
        sys.exit(
            "Several workers need a shared store: "
            "set QRLOGIN_STORE, for example to redis://127.0.0.1:6379/0"
        )
