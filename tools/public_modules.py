"""The modules that applications import: what docs/upgrading.md promises to keep.

tests/api.txt has the names of each. A module without `__all__` offers each name without an
underscore that it defines.
"""

PUBLIC = (
    "qrlogin",
    "qrlogin.errors",
    "qrlogin.core",
    "qrlogin.stores",
    "qrlogin.stores.suite",
    "qrlogin.wire",
    "qrlogin.wire.dialects",
    "qrlogin.contrib.flask",
    "qrlogin.contrib.fastapi",
    "qrlogin.contrib.django",
    "qrlogin.contrib.django_auth",
    "qrlogin.contrib.django_project",
    "qrlogin.contrib.wsgi",
    "qrlogin.contrib.asgi",
    "qrlogin.contrib.environment",
    "qrlogin.contrib.health",
    "qrlogin.contrib.observing",
    "qrlogin.contrib.opentelemetry",
    "qrlogin.contrib.prometheus",
    "qrlogin.audit",
    "qrlogin.browser",
    "qrlogin.keyfile",
    "qrlogin.render",
    "qrlogin.testing",
)
#: Python imports `django_auth` only in a project with settings. The methods of `core` have the
#: arguments that `QRLogin` describes.
NOT_DESCRIBED = ("qrlogin.contrib.django_auth", "qrlogin.core")
DESCRIBED = tuple(name for name in PUBLIC if name not in NOT_DESCRIBED)
"""Those that have a page in the reference."""
