"""Signing in and out, invitations, resets, one's own security, the company switcher."""

from django.urls import path

from apps.access.views import links, login, security

urlpatterns = [
    path("web/login", login.login_page, name="login"),
    path("web/login/second-factor", login.second_factor_page, name="second_factor"),
    path("web/login/passkey/begin", login.passkey_begin, name="passkey_begin"),
    path("web/login/passkey/complete", login.passkey_complete, name="passkey_complete"),
    path("web/logout", login.logout_page, name="logout"),
    path("web/company", login.switch_company, name="switch_company"),
    path("web/reset_password", links.reset_page, name="reset_password"),
    path("web/signup", links.signup_page, name="signup"),
    path("web/change_password", links.change_password_page, name="change_password"),
    path("web/confirm", security.confirm_page, name="confirm"),
    path("web/security", security.security_page, name="security"),
    path("web/security/totp", security.totp_page, name="security_totp"),
    path("web/security/recovery-codes", security.recovery_codes, name="security_recovery_codes"),
    path("web/security/factors/<int:pk>/remove", security.remove_factor, name="security_remove_factor"),
    path("web/security/passkeys/begin", security.passkey_register_begin, name="security_passkey_begin"),
    path(
        "web/security/passkeys/complete", security.passkey_register_complete, name="security_passkey_complete"
    ),
    path("web/security/sessions/<int:pk>/end", security.end_session, name="security_end_session"),
    path("web/security/sessions/end-others", security.end_other_sessions, name="security_end_other_sessions"),
    path("web/security/tokens", security.make_token, name="security_make_token"),
    path("web/security/tokens/<int:pk>/revoke", security.revoke_token, name="security_revoke_token"),
]
