"""{% qr_login %} and {% qr_approve %}: the elements with their script, address and CSRF token."""

from qrlogin.contrib.django_tags import register

__all__ = ["register"]
