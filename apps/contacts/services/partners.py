"""Making and changing partners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.conf import settings
from django.db import connection
from django.db.models import Count, F
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from apps.access.constants import AuditKind
from apps.access.models import User
from apps.access.services import record_many
from apps.contacts.constants import ADDRESS_FIELDS, PartnerType
from apps.contacts.identifiers import check_tax_id, parse_address, phone_e164, website_url
from apps.contacts.models import Partner, PartnerTag
from apps.contacts.selectors import partners_by_email
from apps.contacts.services import spread
from apps.core.actions import action
from apps.core.actor import Actor
from apps.core.errors import Conflict, ValidationFailed
from apps.core.html import sanitize_html
from apps.core.links import pk_of
from apps.core.models import Country, CountryState
from apps.core.records import RecordService, service, service_for
from apps.core.unit_of_work import unit_of_work

Values = dict[str, Any]
_DERIVED = frozenset({"complete_name", "commercial_entity_id", "email_normalized", "phone_digits"})


@service(Partner)
class PartnerService(RecordService[Partner]):
    """Keeps addresses, commercial fields and companies of a family in step, and checks what identifies partners."""

    internal_fields: ClassVar[frozenset[str]] = frozenset({"user", "represents", "image_attachment"})

    # ----------------------------------------------------------------------------------------------- creating
    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        parents = _parents([pk_of(row["parent"]) for row in rows if row.get("parent")])
        for row in rows:
            _split_name_and_email(row)
            parent = parents.get(pk_of(row.get("parent")))
            if parent is not None:
                _take_from_parent(row, parent)
        _country_of_state(rows)
        codes = _country_codes(rows)
        for number, row in enumerate(rows):
            prefix = f"{number}." if len(rows) > 1 else ""
            parent = parents.get(pk_of(row.get("parent")))
            _clean_contact_data(row, codes.get(pk_of(row.get("country")), ""), prefix)
            if not _below_an_entity(row, parent):
                _clean_tax_id(row, codes.get(pk_of(row.get("country")), ""), prefix)

    def after_create(self, records: Sequence[Partner], rows: Sequence[Values], actor: Actor) -> None:
        _first_address_to_parents(records, actor)
        refresh(records)

    # ----------------------------------------------------------------------------------------------- changing
    def prepare_update(self, records: Sequence[Partner], values: Values, actor: Actor) -> None:
        if "name" in values or "email" in values:
            _split_name_and_email(values)
        if values.get("parent") and any(partner.parent_id != pk_of(values["parent"]) for partner in records):
            self._before_new_parent(records, values)
        _country_of_state([values])
        countries = {pk_of(values["country"])} if "country" in values else {p.country_id for p in records}
        codes = _country_codes([{"country": pk} for pk in countries])
        first = codes.get(next(iter(countries), None), "")
        _clean_contact_data(values, first, "", given_only=True)
        self._before_commercial_fields(records, values, codes)
        if values.get("active") is False:
            _refuse_archive([partner for partner in records if partner.active])
        if "company" in values:
            self._before_company(records, values)

    def _before_new_parent(self, records: Sequence[Partner], values: Values) -> None:
        parent = _parents([pk_of(values["parent"])]).get(pk_of(values["parent"]))
        if parent is None:
            return
        if any(partner.pk == parent.pk for partner in records):
            raise ValidationFailed(fields={"parent": [_("A contact cannot belong to itself.")]})
        if parent.company_id is not None and "company" not in values:
            values["company"] = parent.company_id

    def _before_commercial_fields(
        self, records: Sequence[Partner], values: Values, codes: Mapping[int | None, str]
    ) -> None:
        given = [name for name in spread.commercial_fields() if name in values]
        if not given:
            return
        is_company, parent = values.get("is_company"), values.get("parent", False)
        for partner in records:
            stays_below = not (is_company if is_company is not None else partner.is_company) and (
                pk_of(parent) if parent is not False else partner.parent_id
            )
            changes = [n for n in given if getattr(partner, spread.attribute(n)) != pk_of(values[n])]
            if stays_below and changes:
                raise ValidationFailed(
                    fields={
                        name: [_("This belongs to the organisation; change it there.")] for name in changes
                    }
                )
        if values.get("tax_id"):
            country = pk_of(values["country"]) if "country" in values else None
            for code in {codes.get(country if "country" in values else p.country_id, "") for p in records}:
                _clean_tax_id(values, code, "")

    def _before_company(self, records: Sequence[Partner], values: Values) -> None:
        company = pk_of(values["company"])
        changed = [partner for partner in records if partner.company_id != company]
        if not changed:
            return
        for partner in changed:
            if partner.represents_id is not None and company not in (None, partner.represents_id):
                raise Conflict(
                    _("%(name)s is the contact of one of our companies and belongs to it.")
                    % {"name": partner.name}
                )
        if company is not None:
            _refuse_users_elsewhere([partner.pk for partner in changed], company)
        spread.defer_company_guards()

    def after_update(
        self,
        records: Sequence[Partner],
        before: Mapping[Any, Mapping[str, Any]],
        values: Values,
        actor: Actor,
    ) -> None:
        pks = [partner.pk for partner in records]
        if "company" in values:
            spread.spread_companies(pks, actor=actor)
            spread.check_company_guards()
        if {"parent", "is_company", "type"} & set(values):
            refresh(records)
            parents = [partner.parent_id for partner in records if partner.parent_id]
            spread.spread_addresses(parents, actor=actor)
        if set(ADDRESS_FIELDS) & set(values):
            spread.spread_addresses(pks, actor=actor)
        if {"parent", "is_company", *spread.commercial_fields()} & set(values):
            spread.spread_commercial_fields(
                {partner.commercial_entity_id or partner.pk for partner in refresh(records)}, actor=actor
            )
        if {"name", "company_name", "parent", "is_company", "type", "company", *ADDRESS_FIELDS} & set(values):
            refresh(records)

    def validate(self, records: Sequence[Partner], actor: Actor) -> None:
        languages = {code for code, _name in settings.LANGUAGES}
        states = {partner.state_id for partner in records if partner.state_id}
        homes = (
            dict(CountryState.objects.filter(pk__in=states).values_list("pk", "country_id")) if states else {}
        )
        errors: dict[str, list[str]] = {}
        for number, partner in enumerate(records):
            prefix = f"{number}." if len(records) > 1 else ""
            if not partner.name and partner.type == PartnerType.CONTACT:
                errors[f"{prefix}name"] = [_("A contact needs a name.")]
            if partner.language and partner.language not in languages:
                errors[f"{prefix}language"] = [_("This is not a language of this installation.")]
            if partner.state_id and homes.get(partner.state_id) != partner.country_id:
                errors[f"{prefix}state"] = [_("This state does not lie in the country.")]
        if errors:
            raise ValidationFailed(fields=errors)

    # ----------------------------------------------------------------------------------------------- deleting
    def before_delete(self, records: Sequence[Partner], actor: Actor) -> None:
        users = User.objects.filter(pk__in=[p.user_id for p in records if p.user_id])
        names = sorted(user.name for user in users)
        if names:
            raise Conflict(
                _("This contact is the person behind a user: %(names)s. Delete the user first.")
                % {"names": ", ".join(names)},
                code="has_user",
            )
        if any(partner.represents_id for partner in records):
            raise Conflict(_("This contact stands for one of our companies and stays."), code="own_company")
        record_many(
            AuditKind.DELETION,
            [{"target": partner, "before": {"name": partner.name}} for partner in records],
            actor=actor,
        )


# ------------------------------------------------------------------------------------------------- preparation
def _parents(pks: Sequence[Any]) -> dict[Any, Partner]:
    wanted = {pk for pk in pks if pk is not None}
    if not wanted:
        return {}
    rows = Partner.objects.select_related("commercial_entity").annotate(number_of_children=Count("children"))
    return {row.pk: row for row in rows.filter(pk__in=wanted)}


def _split_name_and_email(row: Values) -> None:
    """``"Ann B" <ann@x.com>`` in either field gives both."""
    email = row.get("email")
    if email and not str(email).isspace():
        name, address = parse_address(str(email))
        if address:
            row["email"] = address
            if name and not row.get("name") and "name" in row:
                row["name"] = name
    shown = str(row.get("name") or "")
    if "@" in shown and "<" in shown and not row.get("email"):
        row["name"], row["email"] = parse_address(shown)
        row["name"] = row["name"] or row["email"]


def _below_an_entity(row: Values, parent: Partner | None) -> bool:
    return parent is not None and not row.get("is_company")


def _take_from_parent(row: Values, parent: Partner) -> None:
    """What a new contact has from the one it belongs to, unless it says otherwise."""
    if row.get("company") is None:
        row["company"] = parent.company_id
    if not row.get("language"):
        row["language"] = parent.language
    if not row.get("is_company") and row.get("salesperson") is None:
        row["salesperson"] = parent.salesperson_id
    if str(row.get("type") or PartnerType.CONTACT) == PartnerType.CONTACT and has_address(parent):
        for name in ADDRESS_FIELDS:
            row[name] = getattr(parent, spread.attribute(name))
    if _below_an_entity(row, parent):
        entity = parent.commercial_entity or parent
        for name in spread.commercial_fields():
            row[name] = getattr(entity, spread.attribute(name))


def has_address(partner: Partner) -> bool:
    return any(getattr(partner, spread.attribute(name)) for name in ADDRESS_FIELDS)


def _country_of_state(rows: Sequence[Values]) -> None:
    """A state that is given without its country brings it along."""
    lacking = [row for row in rows if row.get("state") and not row.get("country")]
    if lacking:
        homes = dict(
            CountryState.objects.filter(pk__in={pk_of(row["state"]) for row in lacking}).values_list(
                "pk", "country_id"
            )
        )
        for row in lacking:
            row["country"] = homes.get(pk_of(row["state"]))


def _country_codes(rows: Sequence[Values]) -> dict[int | None, str]:
    pks = {pk_of(row.get("country")) for row in rows} - {None}
    return dict(Country.objects.filter(pk__in=pks).values_list("pk", "code")) if pks else {}


def _clean_contact_data(row: Values, country: str, prefix: str, *, given_only: bool = False) -> None:
    """Telephone numbers get their international form, the website its scheme, notes are made safe."""
    for name in ("phone", "mobile"):
        if name in row or not given_only:
            row[name] = str(row.get(name) or "").strip()
            row[f"{name}_e164"] = phone_e164(row[name], country)
    if row.get("website"):
        try:
            row["website"] = website_url(str(row["website"]))
        except ValidationFailed as exc:
            raise ValidationFailed(fields={f"{prefix}website": exc.fields["website"]}) from exc
    if row.get("comment"):
        row["comment"] = sanitize_html(str(row["comment"]))


def _clean_tax_id(row: Values, country: str, prefix: str) -> None:
    if row.get("tax_id"):
        row["tax_id"] = check_tax_id(str(row["tax_id"]), country, field=f"{prefix}tax_id")


def refresh(records: Sequence[Partner]) -> Sequence[Partner]:
    """Read into the instances what triggers and spreading wrote. One query."""
    attributes = [
        f.attname for f in Partner._meta.concrete_fields if f.attname in _DERIVED or f.name in ADDRESS_FIELDS
    ] + ["version", "company_id", *[spread.attribute(name) for name in spread.commercial_fields()]]
    rows = {
        row["pk"]: row
        for row in Partner.objects.filter(pk__in=[r.pk for r in records]).values("pk", *attributes)
    }
    for partner in records:
        for name, value in rows.get(partner.pk, {}).items():
            if name != "pk":
                setattr(partner, name, value)
    return records


def _first_address_to_parents(records: Sequence[Partner], actor: Actor) -> None:
    """The first contact of an organisation without address brings one: it is the organisation's."""
    parents = _parents([partner.parent_id for partner in records])
    for partner in records:
        parent = parents.get(partner.parent_id)
        if (
            parent is None
            or partner.type != PartnerType.CONTACT
            or not has_address(partner)
            or has_address(parent)
        ):
            continue
        if parent.number_of_children == 1:  # type: ignore[attr-defined]
            values = {name: getattr(partner, spread.attribute(name)) for name in ADDRESS_FIELDS}
            service_for(Partner).update([parent], values, actor=actor)


# ------------------------------------------------------------------------------------------------------ guards
def _refuse_archive(partners: Sequence[Partner]) -> None:
    users = User.objects.filter(pk__in=[p.user_id for p in partners if p.user_id], active=True)
    names = sorted(user.name for user in users)
    if names:
        raise Conflict(
            _("This contact is the person behind an active user: %(names)s. Archive the user first.")
            % {"names": ", ".join(names)},
            code="has_user",
        )
    if any(partner.represents_id for partner in partners):
        raise Conflict(_("This contact stands for one of our companies and stays."), code="own_company")


def _refuse_users_elsewhere(partner_pks: Sequence[int], company_pk: int) -> None:
    """A family with users moves only to a company where all of them work."""
    with connection.cursor() as cursor:
        cursor.execute(
            "WITH RECURSIVE tree(id) AS (SELECT unnest(%s::bigint[]) UNION SELECT c.id FROM contacts_partner c "
            "JOIN tree ON c.parent_id = tree.id) SELECT u.name FROM contacts_partner p JOIN tree ON tree.id = p.id "
            "JOIN access_user u ON u.id = p.user_id AND u.active WHERE NOT EXISTS (SELECT 1 FROM access_user_companies m "
            "WHERE m.user_id = u.id AND m.company_id = %s) ORDER BY u.name",
            [list(partner_pks), company_pk],
        )
        names = [row[0] for row in cursor.fetchall()]
    if names:
        raise Conflict(
            _("These users do not work for that company: %(names)s.") % {"names": ", ".join(names)},
            code="users_elsewhere",
        )


# ------------------------------------------------------------------------------------------------------ public
def find_or_create_by_email(
    email: str, name: str = "", *, actor: Actor, company_pk: int | None = None
) -> Partner:
    """The partner of an address, made when there is none. ``email`` may be ``"Ann B" <ann@x.com>``.

    Two callers with the same address at the same time get the same partner. Raises ``ValidationFailed`` for what is
    no address.
    """
    given, address = parse_address(email)
    if not address:
        raise ValidationFailed(
            fields={"email": [_("'%(text)s' is not an e-mail address.") % {"text": email[:100]}]}
        )
    key = address.lower()
    found = partners_by_email([key], actor=actor, company_pk=company_pk).get(key)
    if found is not None:
        return found
    with unit_of_work(actor):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext(%s))", [f"contacts_partner_email:{key}"])
        found = partners_by_email([key], actor=actor, company_pk=company_pk).get(key)
        if found is not None:
            return found
        shown = name.strip() or given or address
        return service_for(Partner).create_one({"name": shown[:200], "email": address}, actor=actor)


def create_from_text(text: str, *, actor: Actor) -> Partner:
    """Quick creation from what somebody typed: a name, an address, or ``Ann B <ann@x.com>``."""
    name, address = parse_address(text)
    if not (name or address):
        raise ValidationFailed(fields={"name": [_("A contact needs a name.")]})
    return service_for(Partner).create_one({"name": (name or address)[:200], "email": address}, actor=actor)


@action(
    Partner,
    permission="change",
    name="create_company",
    title=gettext_lazy("Create the organisation"),
    icon="domain_add",
    bulk=False,
    condition=lambda partner, actor: bool(partner.company_name) and partner.parent_id is None,
)
def create_company(partners: Sequence[Partner], *, actor: Actor) -> None:
    """Make the organisation that a person names in "organisation's name" a contact of its own, with the person's
    address and tax id; other people who name the same one at the same address stay as they are."""
    service = service_for(Partner)
    for partner in partners:
        if not partner.company_name or partner.parent_id is not None or partner.is_company:
            raise Conflict(
                _("%(name)s names no organisation, or belongs to one already.") % {"name": partner.name}
            )
        values: Values = {"name": partner.company_name, "is_company": True, "company": partner.company_id}
        for name in (*ADDRESS_FIELDS, *spread.commercial_fields()):
            values[name] = getattr(partner, spread.attribute(name))
        values["phone"], values["website"] = partner.phone, partner.website
        made = service.create_one(values, actor=actor)
        service.update([partner], {"parent": made.pk, "company_name": ""}, actor=actor)
        partner.refresh_from_db()


def add_ranks(partner_pks: Sequence[int], *, customer: int = 0, supplier: int = 0) -> None:
    """Count appearances as customer or vendor, for ordering choices. One statement; not versioned, not tracked."""
    Partner.objects.filter(pk__in=partner_pks).update(
        customer_rank=F("customer_rank") + customer, supplier_rank=F("supplier_rank") + supplier
    )


@service(PartnerTag)
class PartnerTagService(RecordService[PartnerTag]):
    """Tags form a tree without circles."""

    def prepare_create(self, rows: list[Values], actor: Actor) -> None:
        parents = PartnerTag.objects.in_bulk([pk_of(row["parent"]) for row in rows if row.get("parent")])
        for row in rows:
            parent = parents.get(pk_of(row.get("parent")))
            if parent is not None and row.get("company") is None:
                row["company"] = parent.company_id
