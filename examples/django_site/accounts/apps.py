"""The site's own half: pages, accounts and their words."""

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "accounts"
