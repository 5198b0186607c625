"""The back office shows threads where they belong."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.chatter.services.activities import plan_activity
from apps.chatter.services.posting import post_note
from tests.chatter.conftest import World


@pytest.mark.parametrize("name", ["message", "activity", "attachment", "activitytype", "activityplan"])
def test_lists_open(world: World, name: str) -> None:
    plan_activity(world.record, actor=world.actor("bob"), assignee=world.admin)
    client = Client()
    client.force_login(world.admin)

    assert client.get(f"/admin/chatter/{name}/").status_code == 200


def test_the_form_of_a_record_has_its_thread(world: World) -> None:
    note = post_note(world.record, "Between us", actor=world.actor("bob"))
    client = Client()
    client.force_login(world.bob)

    html = client.get(f"/admin/contacts/partner/{world.record.pk}/change/").content.decode()

    assert f'id="message-{note.pk}"' in html
    assert "chatter/thread" in html
