"""The modules that applications import. `docs/reference` has a page for each, and tests use it."""

PUBLIC = (
    "qrlogin",
    "qrlogin.errors",
    "qrlogin.stores",
    "qrlogin.stores.suite",
    "qrlogin.wire.dialects",
    "qrlogin.wire",
    "qrlogin.render",
    "qrlogin.browser",
    "qrlogin.keyfile",
    *(f"qrlogin.contrib.{name}" for name in ("flask", "fastapi", "django", "wsgi", "asgi")),
    *(f"qrlogin.contrib.{name}" for name in ("health", "observing", "opentelemetry", "prometheus")),
    "qrlogin.testing",
    "qrlogin.audit",
)
