"""Models of the mail gateway and the outgoing queue."""

from apps.mail.models.alias import Alias, AliasDomain
from apps.mail.models.health import AddressHealth
from apps.mail.models.incoming import IncomingMail
from apps.mail.models.outgoing import OutgoingMail

__all__ = ["AddressHealth", "Alias", "AliasDomain", "IncomingMail", "OutgoingMail"]
