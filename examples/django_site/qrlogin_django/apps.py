"""The Django app. It needs `"qrlogin_django"` in INSTALLED_APPS, QRLOGIN in settings.py, and one
include() in urls.py."""

from django.apps import AppConfig


class QRLoginConfig(AppConfig):
    name = "qrlogin_django"
    verbose_name = "Log in with a phone"

    def ready(self) -> None:
        from . import checks  # noqa: F401  # the import registers them
