"""The system checks of `manage.py check`. The import registers them."""

from qrlogin.contrib.django_checks import check_deployment, check_qrlogin

__all__ = ["check_deployment", "check_qrlogin"]
