"""Tags for the portal's pages."""

from __future__ import annotations

from typing import Any

from django import template

from apps.portal.selectors import Brand, brand_of

register = template.Library()


@register.simple_tag(takes_context=True)
def portal_brand(context: template.Context) -> Brand | None:
    """``{% portal_brand as brand %}``: the company of the document that is shown, else of the reader."""
    actor: Any = context["request"].actor
    return brand_of(getattr(context.get("record"), "company_id", None) or actor.company_pk)
