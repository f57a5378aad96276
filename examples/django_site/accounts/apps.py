"""The site's own part: its pages, accounts and texts."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
