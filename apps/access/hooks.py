"""Where other modules take part in what happens to users and companies, inside the same transaction."""

from __future__ import annotations

from apps.core.hooks import Collect, Veto

collect_users_created = Collect(
    "access.collect_users_created",
    "(users: list[User], links: list[dict], actor) – after users were made; links[i] are extra values that the "
    "caller gave for users[i], such as {'partner': 7}.",
)
collect_users_updated = Collect(
    "access.collect_users_updated",
    "(users: list[User], before: dict[int, dict], values: dict, actor) – after a service changed users.",
)
collect_companies_created = Collect(
    "access.collect_companies_created", "(companies: list[Company], actor) – after companies were made."
)
collect_companies_updated = Collect(
    "access.collect_companies_updated",
    "(companies: list[Company], before: dict[int, dict], values: dict, actor) – after a service changed companies.",
)
before_user_archive = Veto(
    "access.before_user_archive", "(users: list[User], actor) – before users are archived."
)
collect_password_mails = Collect(
    "access.collect_password_mails",
    "(user: User, purpose: 'invite' | 'reset', url: str, actor) – sends the letter with the link; answers True when it "
    "did. Without an answer the letter goes out through Django's mail backend after commit.",
)
