"""The site's own part: its pages, accounts and texts."""

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in


class AccountsConfig(AppConfig):
    name = "accounts"

    def ready(self) -> None:
        from .sessions import name_phone  # its models are ready only now

        user_logged_in.connect(name_phone)
