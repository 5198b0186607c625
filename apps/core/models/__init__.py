"""Models of the kernel."""

from apps.core.models.base import (
    ArchivableMixin,
    BaseModel,
    CompanyOwnedMixin,
    CompanySharedMixin,
    CustomFieldsMixin,
    ExtensionModel,
    company_mode,
    options_of,
)
from apps.core.models.custom_field import CustomField
from apps.core.models.job import JobRun, JobTrigger, ScheduledJob
from apps.core.models.outbox import OutboxDelivery, OutboxEvent
from apps.core.models.reference import Country, CountryState, Currency
from apps.core.models.sequence import Sequence, SequenceRange
from apps.core.models.setting import Setting

__all__ = [
    "ArchivableMixin",
    "BaseModel",
    "CompanyOwnedMixin",
    "CompanySharedMixin",
    "Country",
    "CountryState",
    "Currency",
    "CustomField",
    "CustomFieldsMixin",
    "ExtensionModel",
    "JobRun",
    "JobTrigger",
    "OutboxDelivery",
    "OutboxEvent",
    "ScheduledJob",
    "Sequence",
    "SequenceRange",
    "Setting",
    "company_mode",
    "options_of",
]
