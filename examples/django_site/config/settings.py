"""The settings, safe for production. What differs between machines comes from the environment."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from qrlogin import STANDARD, Misconfigured
from qrlogin.contrib.environment import read_settings

BASE_DIR = Path(__file__).resolve().parent.parent
# Secrets that the environment does not set are created once and kept in instance/.
SITE = read_settings(
    os.environ,
    BASE_DIR / "instance",
    origin="http://127.0.0.1:8000",  # what browsers call this site: the port of runserver
    database="db.sqlite3",
    policy=STANDARD,
)
ORIGIN, SECURE = SITE.origin, SITE.secure
DIALECTS, CLIENTS = SITE.dialects, SITE.clients
DATABASE = SITE.database.removeprefix("sqlite:///")
if "://" in DATABASE:
    raise Misconfigured(
        "QRLOGIN_DATABASE is the path of an SQLite file. "
        "For other databases, change DATABASES in settings.py."
    )

QRLOGIN = {
    "VERIFICATION_URI": f"{ORIGIN}/qr",
    "SECRET_KEYS": SITE.secret_keys,
    "STORE": SITE.store,
    "MAX_WAITING": SITE.max_waiting,
    "PROXIES": SITE.proxies,
    "POLICY": SITE.policy,
    "TOKENS": "config.tokens.tokens",
    "PERSON": "accounts.sessions.person",
    "LOG_IN": "accounts.sessions.log_in",
    "PAUSED": "accounts.staff.is_paused",
    "ON_EVENT": "accounts.staff.count",
}

# A key that is kept has 256 bits in 43 characters; Django wants 50 characters.
GIVEN_KEY = os.environ.get("SECRET_KEY", "")
SECRET_KEY = GIVEN_KEY if GIVEN_KEY.strip() else f"django {SITE.session_key}"
DEBUG = os.environ.get("DEBUG") == "1"
HOST = urlsplit(ORIGIN).hostname or ""
ALLOWED_HOSTS = [f"[{HOST}]" if ":" in HOST else HOST]
CSRF_TRUSTED_ORIGINS = [ORIGIN]
INSTALLED_APPS = [
    "django.contrib.admin.apps.SimpleAdminConfig",  # its site is in accounts/admin.py
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "qrlogin_django",
    "accounts",
]
MIDDLEWARE = [
    "accounts.middleware.security_headers",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,  # the admin's
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "accounts.texts.context",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATABASE,
        # A transaction takes the write lock when it begins. Otherwise two requests at once can fail
        # with "database is locked".
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    # NIST SP 800-63B-4 section 3.1.1.1: 15 characters where a password is the only factor.
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 15},
    },
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
STATIC_URL = "static/"
LOGIN_URL, LOGIN_REDIRECT_URL = "login", "home"
LANGUAGES = [
    ("en", "English"),
    ("zh-hans", "简体中文"),
    ("zh-hant", "繁體中文"),
    ("de", "Deutsch"),
    ("fr", "Français"),
    ("es", "Español"),
    ("pt-br", "Português"),
    ("ru", "Русский"),
    ("ar", "العربية"),
    ("ja", "日本語"),
]
USE_TZ, TIME_ZONE = True, "UTC"

CSRF_FAILURE_VIEW = "accounts.views.forged"
SESSION_ENGINE = "accounts.sessions"

# Over https, another host of the same domain cannot set cookies whose names begin with __Host-.
SESSION_COOKIE_NAME = SITE.cookie
CSRF_COOKIE_NAME = "__Host-csrftoken" if SECURE else "csrftoken"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
# The elements get the CSRF token in an attribute, so no script needs to read the cookie.
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_HSTS_SECONDS = 3600 if SECURE else 0
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Behind a proxy that ends TLS and sets this header itself:
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
DATA_UPLOAD_MAX_MEMORY_SIZE = 1 << 16  # bytes

# Without this, Django logs no errors to stderr unless DEBUG is on.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    # runserver logs every address, and some of them hold a code.
    "filters": {"hide_codes": {"()": "qrlogin.wire.HideCodes"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {
        "django": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "django.server": {
            "handlers": ["stderr"],
            "filters": ["hide_codes"],
            "level": "INFO",
            "propagate": False,
        },
        "qrlogin": {"handlers": ["stderr"], "level": "INFO"},
    },
}
