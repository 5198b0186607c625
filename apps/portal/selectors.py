"""Whose portal it is: name and logo of the company behind a page."""

from __future__ import annotations

from dataclasses import dataclass

from apps.access.models import Company
from apps.chatter.models import Attachment
from apps.chatter.selectors.files import image_url

LOGO_SIZE = "240x80"


@dataclass(frozen=True, slots=True)
class Brand:
    """What a page's head and foot show of a company; this much is known to every customer of it."""

    name: str
    logo_url: str = ""
    email: str = ""
    phone: str = ""
    website: str = ""


def brand_of(company_pk: int | None) -> Brand | None:
    """The brand of a company, ``None`` for none. One query, two with a logo."""
    if company_pk is None:
        return None
    row = (
        Company.objects.filter(pk=company_pk)
        .values("name", "logo_attachment", "email", "phone", "website")
        .first()
    )
    if row is None:
        return None
    logo = Attachment.objects.filter(pk=row["logo_attachment"]).first() if row["logo_attachment"] else None
    return Brand(
        name=row["name"],
        logo_url=image_url(logo, size=LOGO_SIZE) if logo is not None and logo.is_image else "",
        email=row["email"],
        phone=row["phone"],
        website=row["website"] if row["website"].startswith(("http://", "https://")) else "",
    )
