"""Settings shared by every way of running. No business app is named here: the modules declare themselves."""

from __future__ import annotations

import os

from apps.core.modules import installed_apps

from .environment import ROOT, data_dir, database_url, env, kept_secret, neighbour_redis, redis_url
from .policy import CSP_BACKOFFICE, CSP_STRICT

BASE_DIR = ROOT
ERP_DATA_DIR = data_dir()
ERP_MODULES = env.str("ERP_MODULES", default="")
ERP_DEMO = env.bool("ERP_DEMO", default=False)
ERP_PROCESS = env.str("ERP_PROCESS", default="command")  # web, live, worker, beat or command

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="") or kept_secret(ERP_DATA_DIR)
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=[])
PORT = env.int("PORT", default=8000)
PUBLIC_URL = env.str("PUBLIC_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")

CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
TRUSTED_PROXIES = env.int(
    "TRUSTED_PROXIES", default=0
)  # how many of them append to X-Forwarded-For before us
API_MAX_BODY = env.int("API_MAX_BODY", default=10 * 1024 * 1024)  # bytes of one JSON request
WEBHOOK_ALLOWED_NETWORKS = env.list(
    "WEBHOOK_ALLOWED_NETWORKS", default=[]
)  # inner networks webhooks may reach

# --- apps ---------------------------------------------------------------------------------------------------------
# Project modules come first so that their templates win over those of the libraries below.
INSTALLED_APPS = [
    *installed_apps(ERP_MODULES or None, ERP_DATA_DIR),
    "unfold",  # before django.contrib.admin, whose templates it replaces
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.inlines",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "guardian",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "erp_project.middleware.HealthMiddleware",
    "erp_project.middleware.RequestContextMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "erp_project.middleware.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "apps.access.middleware.ActorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

if ERP_PROCESS == "live":  # one endpoint, asynchronous: it needs to know who asks, and nothing else
    MIDDLEWARE = [
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "apps.access.middleware.ActorMiddleware",
        "allauth.account.middleware.AccountMiddleware",  # allauth refuses to start without it
    ]

ROOT_URLCONF = "erp_project.urls"
WSGI_APPLICATION = "erp_project.wsgi.application"
ASGI_APPLICATION = "erp_project.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- database, cache, sessions ------------------------------------------------------------------------------------
DATABASES = {"default": env.db_url_config(database_url(ERP_DATA_DIR))}
DATABASES["default"]["ATOMIC_REQUESTS"] = False
if ERP_PROCESS == "live" or env.str("LIVE_UPSTREAM", default=""):
    # Threads come and go (ASGI; a web process that also passes live streams through): a pool bounds the connections.
    # It excludes persistent connections.
    DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {"min_size": 1, "max_size": 8, "timeout": 10}
else:
    DATABASES["default"]["CONN_MAX_AGE"] = env.int("CONN_MAX_AGE", default=60)
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = redis_url(ERP_DATA_DIR)
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": env.str("CACHE_URL", default="") or neighbour_redis(REDIS_URL),
        "KEY_PREFIX": "meridian",
        "TIMEOUT": 3600,
    }
}
SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
SESSION_COOKIE_AGE = env.int("SESSION_COOKIE_AGE", default=60 * 60 * 24 * 14)
SESSION_COOKIE_NAME = "meridian_session"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_SAMESITE = "Lax"
TRUSTED_PROXIES = env.int("TRUSTED_PROXIES", default=0)  # proxies in front that append to X-Forwarded-For

# --- people -------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "access.User"
AUTHENTICATION_BACKENDS = ["apps.access.backends.AccessBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("login", "name", "email")},
    },
    {"NAME": "apps.access.services.passwords.MinimumLength"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
# The login is unique whatever its capitals, by a constraint on lower(login); explicit shares are joined into record
# rules, so guardian needs no backend of its own.
SILENCED_SYSTEM_CHECKS = ["auth.W004", "guardian.W001"]
LOGIN_URL = "/web/login"
LOGIN_REDIRECT_URL = "/"
GUARDIAN_RAISE_403 = False
ANONYMOUS_USER_NAME = None  # guardian then makes no anonymous row
MFA_ADAPTER = "apps.access.adapters.AccessMFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_ISSUER = "Meridian"
ACCOUNT_ADAPTER = "apps.access.adapters.AccessAccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = "login"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGIN_METHODS = {"username", "email"}

# --- language and time --------------------------------------------------------------------------------------------
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = True
LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="en")
LOCALE_PATHS = [ROOT / "locale"]
FORMAT_MODULE_PATH: list[str] = []

# --- files --------------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = env.path("STATIC_ROOT", default=str(ROOT / "staticfiles"))
STATICFILES_DIRS = [ROOT / "static"]
MEDIA_ROOT = ERP_DATA_DIR / "files"
ERP_STORAGE = env.str("ERP_STORAGE", default="filesystem")  # filesystem or s3
_FILES = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(MEDIA_ROOT)}}
if ERP_STORAGE == "s3":
    _FILES = {
        "BACKEND": "storages.backends.s3.S3Storage",
        "OPTIONS": {
            "bucket_name": env.str("S3_BUCKET"),
            "endpoint_url": env.str("S3_ENDPOINT_URL", default="") or None,
            "region_name": env.str("S3_REGION", default="") or None,
            "access_key": env.str("S3_ACCESS_KEY", default="") or None,
            "secret_key": env.str("S3_SECRET_KEY", default="") or None,
            "default_acl": None,
            "querystring_auth": True,
            "file_overwrite": False,
        },
    }
STORAGES = {
    "default": _FILES,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
DATA_UPLOAD_MAX_MEMORY_SIZE = env.int("DATA_UPLOAD_MAX_MEMORY_SIZE", default=30 * 1024 * 1024)
FILE_UPLOAD_PERMISSIONS = 0o640
FONTCONFIG_FILE = os.environ.setdefault("FONTCONFIG_FILE", str(ROOT / "deploy" / "fonts.conf"))

# --- mail ---------------------------------------------------------------------------------------------------------
# Without EMAIL_URL nothing leaves the machine: messages become files under ERP_DATA_DIR/outbox.
EMAIL_URL = env.str("EMAIL_URL", default="") or f"filemail:///{ERP_DATA_DIR / 'outbox'}"
globals().update(env.email_url_config(EMAIL_URL))
EMAIL_TIMEOUT = env.int("EMAIL_TIMEOUT", default=20)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Meridian <no-reply@localhost>")
MAIL_DOMAIN = env.str("MAIL_DOMAIN", default="localhost")  # the right-hand side of aliases and Message-IDs
MAIL_INBOUND_SECRET = env.str("MAIL_INBOUND_SECRET", default="")  # signs POST /mail/inbound/
IMAP_URL = env.str("IMAP_URL", default="")

METRICS_TOKEN = env.str("METRICS_TOKEN", default="")  # when set, /metrics asks for it as a bearer token

# --- browser ------------------------------------------------------------------------------------------------------
CONTENT_SECURITY_POLICY = {"DIRECTIVES": CSP_STRICT}
CSP_BACKOFFICE_DIRECTIVES = CSP_BACKOFFICE
X_FRAME_OPTIONS = "SAMEORIGIN"
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"

from .api import *
from .jobs import *
from .logs import *
