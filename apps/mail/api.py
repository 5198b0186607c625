"""REST resources of the mail app."""

from __future__ import annotations

from apps.api.base import READ_ONLY, Resource, resource
from apps.mail.models import AddressHealth, Alias, AliasDomain, IncomingMail, OutgoingMail


@resource("mail/domains")
class AliasDomainResource(Resource):
    model = AliasDomain
    summary = "Domains whose mail reaches the system"


@resource("mail/aliases")
class AliasResource(Resource):
    model = Alias
    summary = "Addresses whose mail becomes records"


@resource("mail/incoming")
class IncomingMailResource(Resource):
    model = IncomingMail
    exclude = ("raw",)
    operations = READ_ONLY
    summary = "Log of incoming mail, with the quarantine"


@resource("mail/outgoing")
class OutgoingMailResource(Resource):
    model = OutgoingMail
    operations = READ_ONLY
    detail_only = ("body_html", "body_text", "headers")
    summary = "Queue of outgoing mail"


@resource("mail/addresses")
class AddressHealthResource(Resource):
    model = AddressHealth
    operations = (*READ_ONLY, "update")
    summary = "Bounces and complaints of addresses"
