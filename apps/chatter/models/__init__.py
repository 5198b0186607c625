"""Messages and who is told about them, followers, activities, files."""

from apps.chatter.models.activity import Activity, ActivityPlan, ActivityPlanLine, ActivityType
from apps.chatter.models.attachment import Attachment, StoredObject
from apps.chatter.models.follower import Follower, Subtype
from apps.chatter.models.message import Message, Notification, TrackedValue

__all__ = [
    "Activity",
    "ActivityPlan",
    "ActivityPlanLine",
    "ActivityType",
    "Attachment",
    "Follower",
    "Message",
    "Notification",
    "StoredObject",
    "Subtype",
    "TrackedValue",
]
