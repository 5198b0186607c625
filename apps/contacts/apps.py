"""The people and organisations that a company deals with, and the money they use."""

from django.utils.translation import gettext_lazy as _

from apps.core.declarations import MenuItem, Role
from apps.core.modules import ModuleConfig


class ContactsConfig(ModuleConfig):
    name = "apps.contacts"
    label = "contacts"
    title = _("Contacts")
    summary = _("People, organisations, addresses, bank accounts, currencies and exchange rates.")
    category = _("Platform")
    depends = ("core", "access", "api", "backoffice")
    platform = True
    demo = "apps.contacts.demo.load"
    roles = (
        Role(
            code="contacts.user",
            title=_("Contact creation"),
            category=_("Contacts"),
            comment=_("Makes, changes and merges contacts."),
            grants={
                "contacts.Partner": "view add change delete merge",
                "contacts.PartnerTag": "view add change delete",
                "contacts.Industry": "view add change delete",
                "contacts.BankAccount": "view add change delete",
                "contacts.PartnerMerge": "view undo",
                "core.CountryState": "view add change delete",
            },
            for_admins=True,
            sequence=10,
        ),
        Role(
            code="contacts.bank_validator",
            title=_("Validation of bank accounts"),
            category=_("Contacts"),
            comment=_("Says to which bank accounts money may be sent."),
            implies=("contacts.user",),
            grants={"contacts.BankAccount": "view trust"},
            for_admins=True,
            sequence=20,
        ),
        Role(
            code="contacts.rates",
            title=_("Currencies and rates"),
            category=_("Contacts"),
            comment=_("Switches currencies on and keeps their rates."),
            grants={
                "contacts.CurrencyRate": "view add change delete",
                "core.Currency": "view change",
            },
            for_admins=True,
            sequence=30,
        ),
    )
    grants = {
        "access.internal": {
            "contacts.Partner": "view",
            "contacts.PartnerTag": "view",
            "contacts.Industry": "view",
            "contacts.BankAccount": "view",
            "contacts.CurrencyRate": "view",
        },
        "access.portal": {"contacts.Partner": "view", "contacts.CurrencyRate": "view"},
    }
    menu_title = _("Contacts")
    menu_icon = "contacts"
    menu_sequence = 20
    menu = (
        MenuItem(_("Contacts"), model="contacts.Partner", icon="contacts", sequence=10),
        MenuItem(_("Bank accounts"), model="contacts.BankAccount", icon="account_balance", sequence=20),
        MenuItem(_("Tags"), model="contacts.PartnerTag", icon="label", group=_("Configuration"), sequence=30),
        MenuItem(
            _("Industries"), model="contacts.Industry", icon="factory", group=_("Configuration"), sequence=40
        ),
        MenuItem(
            _("Merges"),
            model="contacts.PartnerMerge",
            icon="merge",
            group=_("Configuration"),
            sequence=45,
            role="contacts.user",
        ),
        MenuItem(
            _("Currencies"), model="core.Currency", icon="payments", group=_("Configuration"), sequence=50
        ),
        MenuItem(
            _("Exchange rates"),
            model="contacts.CurrencyRate",
            icon="currency_exchange",
            group=_("Configuration"),
            sequence=60,
        ),
        MenuItem(_("Countries"), model="core.Country", icon="public", group=_("Configuration"), sequence=70),
    )

    def ready(self) -> None:
        from django.db.models.signals import post_migrate

        from apps.contacts.services.reference import sync_after_migrate

        super().ready()
        # Facts of the world are brought in once the tables stand.
        post_migrate.connect(sync_after_migrate, sender=self, dispatch_uid="contacts.sync_reference_data")
