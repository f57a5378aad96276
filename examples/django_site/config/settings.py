"""The settings, safe for production as they stand. What differs from machine to machine comes from the environment."""

import os
from pathlib import Path
from urllib.parse import urlsplit

from qrlogin import STANDARD
from qrlogin.demo.dialects import chosen

from .environment import database, kept, number, origin, words

BASE_DIR = Path(__file__).resolve().parent.parent
ORIGIN = origin(
    "http://127.0.0.1:8000"
)  # what browsers call this site; 8000 is the port of runserver
SECURE = ORIGIN.startswith("https:")
DIALECTS = chosen(os.environ.get("QRLOGIN_DIALECTS", ""), "QRLOGIN_DIALECTS")

QRLOGIN = {
    "VERIFICATION_URI": f"{ORIGIN}/qr",
    "SECRET_KEYS": words("QRLOGIN_SECRET_KEYS") or [kept("qrlogin_key")],
    "STORE": os.environ.get("QRLOGIN_STORE") or "memory",
    "MAX_WAITING": number("QRLOGIN_MAX_WAITING", None, least=0),
    "LIFETIME": number("QRLOGIN_LIFETIME", STANDARD.lifetime),
    "USER_CODES": "rfc8628"
    in DIALECTS,  # its devices show a code to type, and so do the pages then
    "TOKENS": "config.tokens.tokens",
}

SECRET_KEY = os.environ.get("SECRET_KEY") or "django " + kept(
    "secret_key"
)  # 256 bits in 43 characters; Django wants 50
DEBUG = os.environ.get("DEBUG") == "1"
HOST = urlsplit(ORIGIN).hostname or ""
ALLOWED_HOSTS = [f"[{HOST}]" if ":" in HOST else HOST]
CSRF_TRUSTED_ORIGINS = [ORIGIN]
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "qrlogin_django",
    "accounts",
]
MIDDLEWARE = [
    "accounts.middleware.guards",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "accounts.words.context",
            ]
        },
    }
]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": database(),
        # Whoever means to write says so first, and others wait: else two requests at once end in "database is locked".
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL;",
        },
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_PASSWORD_VALIDATORS = [
    # NIST SP 800-63B-4 section 3.1.1.1: 15 where a password is all there is
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 15},
    },
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL, LOGIN_REDIRECT_URL = "login", "home"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
USE_TZ = True

CSRF_FAILURE_VIEW = "accounts.views.forged"

# Over https no other site, and no other host of this one, can plant cookies whose names begin with __Host-.
SESSION_COOKIE_NAME = "__Host-session" if SECURE else "session"
CSRF_COOKIE_NAME = "__Host-csrftoken" if SECURE else "csrftoken"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = (
    True  # the elements are told the token in an attribute
)
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_HSTS_SECONDS = 3600 if SECURE else 0
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
# Behind a proxy that ends TLS and sets this header itself:
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE else None
DATA_UPLOAD_MAX_MEMORY_SIZE = 1 << 16  # bytes

# Django by itself says nothing of errors unless DEBUG is on.
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "loggers": {
        "django": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
        "qrlogin": {"handlers": ["stderr"], "level": "INFO"},
    },
}
