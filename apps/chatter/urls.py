"""Threads, files and live notices on the web."""

from django.urls import path, re_path

from apps.chatter.views import files, live, threads

_MODEL = r"(?P<model>[a-z0-9_]+\.[a-z0-9_]+)"
_PK = r"(?P<pk>[0-9]{1,18})"
_THREAD = rf"^chatter/{_MODEL}/{_PK}"
_SIZE = r"(?P<size>[0-9]{0,4}x[0-9]{0,4})"
_FIELD = rf"{_MODEL}/{_PK}/(?P<field>[a-z0-9_]+)"

urlpatterns = [
    path("live/", live.stream, name="live"),
    path("live/poll/", live.poll, name="live_poll"),
    path("chatter/inbox/", threads.inbox_page, name="chatter_inbox"),
    path("chatter/inbox/state/", threads.inbox_state, name="chatter_inbox_state"),
    path("chatter/inbox/read/", threads.inbox_read, name="chatter_inbox_read"),
    path("chatter/messages/<int:pk>/edit/", threads.edit, name="chatter_edit"),
    path("chatter/messages/<int:pk>/remove/", threads.remove, name="chatter_remove"),
    path(
        "chatter/messages/<int:pk>/failures/cancel/", threads.failures_cancel, name="chatter_failures_cancel"
    ),
    path("chatter/files/<int:pk>/remove/", threads.remove_file, name="chatter_remove_file"),
    re_path(
        rf"^chatter/activities/{_PK}/(?P<name>done|snooze|cancel)/$", threads.act, name="chatter_activity"
    ),
    re_path(rf"{_THREAD}/$", threads.thread, name="chatter_thread"),
    re_path(rf"{_THREAD}/messages/$", threads.messages, name="chatter_messages"),
    re_path(rf"{_THREAD}/post/$", threads.post, name="chatter_post"),
    re_path(rf"{_THREAD}/files/$", threads.upload, name="chatter_upload"),
    re_path(rf"{_THREAD}/people/$", threads.people, name="chatter_people"),
    re_path(rf"{_THREAD}/follow/$", threads.follow, name="chatter_follow"),
    re_path(rf"{_THREAD}/unfollow/$", threads.unfollow, name="chatter_unfollow"),
    re_path(rf"{_THREAD}/activities/form/$", threads.composer, name="chatter_activity_form"),
    re_path(rf"{_THREAD}/activities/$", threads.plan, name="chatter_plan"),
    re_path(rf"^web/content/{_PK}$", files.content, name="web_content"),
    re_path(rf"^web/content/{_PK}/(?P<filename>[^/]+)$", files.content, name="web_content_named"),
    re_path(rf"^web/content/{_FIELD}$", files.field_content, name="web_field_content"),
    re_path(
        rf"^web/content/{_FIELD}/(?P<filename>[^/]+)$", files.field_content, name="web_field_content_named"
    ),
    re_path(rf"^web/image/{_PK}$", files.image, name="web_image"),
    re_path(rf"^web/image/{_PK}/{_SIZE}$", files.image, name="web_image_sized"),
    re_path(rf"^web/image/{_PK}/{_SIZE}/(?P<filename>[^/]+)$", files.image, name="web_image_sized_named"),
    re_path(rf"^web/image/{_PK}/(?P<filename>[^/]+)$", files.image, name="web_image_named"),
    re_path(rf"^web/image/{_FIELD}$", files.field_image, name="web_field_image"),
    re_path(rf"^web/image/{_FIELD}/{_SIZE}$", files.field_image, name="web_field_image_sized"),
]
