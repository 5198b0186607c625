"""Opening a document: by rule, by token, or not at all."""

from __future__ import annotations

import re
import uuid
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from apps.chatter.constants import COMMENT, NOTE
from apps.chatter.models import Attachment, Message
from apps.chatter.services.posting import post_message
from apps.portal.tokens import access_by, ensure_token, link, person_hash, person_of, rotate_token, share_link
from apps.projects.models import Task
from tests.portal.conftest import signed_in

UNTRUE = ["", "shared", "0", "null", "None", "undefined", "true", "[]", "*", "%00", "\x00", "é", "x" * 5000]


def place(task: Task, **query: str) -> tuple[str, dict[str, str]]:
    return f"/my/samples/{task.pk}", query


# ------------------------------------------------------------------------------------------------- the three ways in
def test_a_customer_opens_what_he_follows(pia: Client, world: SimpleNamespace) -> None:
    response = pia.get(f"/my/samples/{world.task.pk}")

    assert response.status_code == 200
    assert "Fix the form" in response.content.decode()


def test_missing_and_forbidden_look_the_same(pia: Client, visitor: Client, world: SimpleNamespace) -> None:
    missing = [world.foreign.pk + 1000, 0, 10**17, 10**30]

    for client in (pia, visitor):
        forbidden = client.get(f"/my/samples/{world.foreign.pk}")
        assert (forbidden.status_code, forbidden["Location"], forbidden.content) == (303, "/my", b"")
        for pk in missing:
            answer = client.get(f"/my/samples/{pk}")
            assert (answer.status_code, answer["Location"], answer.content) == (303, "/my", b"")
            assert set(answer.headers) == set(forbidden.headers)
    final = visitor.get(f"/my/samples/{world.foreign.pk}", follow=True)
    assert final.redirect_chain == [("/my", 303), ("/web/login?redirect=%2Fmy", 303)]
    assert final.status_code == 200


def test_the_right_token_opens_one_document(visitor: Client, world: SimpleNamespace) -> None:
    token = ensure_token(world.task)

    response = visitor.get(f"/my/samples/{world.task.pk}?access_token={token}")

    assert response.status_code == 200
    assert "Fix the form" in response.content.decode()
    other = visitor.get(f"/my/samples/{world.foreign.pk}?access_token={token}")
    assert (other.status_code, other["Location"]) == (303, "/my")


@pytest.mark.parametrize("token", UNTRUE)
def test_a_token_that_is_none_opens_nothing(token: str, visitor: Client, world: SimpleNamespace) -> None:
    ensure_token(world.task)

    for task in (world.task, world.foreign):  # one has a token, the other has none yet
        response = visitor.get(f"/my/samples/{task.pk}", {"access_token": token})
        assert (response.status_code, response["Location"]) == (303, "/my")
    world.foreign.refresh_from_db()
    assert world.foreign.access_token is None


def test_a_token_that_is_nearly_right_opens_nothing(visitor: Client, world: SimpleNamespace) -> None:
    token = ensure_token(world.task)
    wrong = "0" if token[-1] != "0" else "1"
    nearly = [
        token[:-1] + wrong,
        token[:-1],
        token + "0",
        token.upper() + " ",
        token.replace("-", ""),
        f" {token}",
    ]
    nearly += [ensure_token(world.foreign), str(uuid.uuid4()), f"{{{token}}}", f"urn:uuid:{token}"]

    for given in nearly:
        response = visitor.get(f"/my/samples/{world.task.pk}", {"access_token": given})
        assert (response.status_code, response["Location"]) == (303, "/my"), given


def test_a_token_in_an_array_or_another_place_opens_nothing(visitor: Client, world: SimpleNamespace) -> None:
    token = ensure_token(world.task)
    path = f"/my/samples/{world.task.pk}"

    for query in (
        f"access_token[]={token}",
        f"access_token[0]={token}",
        f"access_token={token}&access_token=x",
    ):
        response = visitor.get(f"{path}?{query}")
        assert (response.status_code, response["Location"]) == (303, "/my"), query
    assert visitor.get(path, headers={"access-token": token}).status_code == 303
    visitor.cookies["access_token"] = token
    assert visitor.get(path).status_code == 303


def test_a_customer_opens_a_foreign_document_by_its_token(pia: Client, world: SimpleNamespace) -> None:
    token = ensure_token(world.foreign)

    assert pia.get(f"/my/samples/{world.foreign.pk}?access_token={token}").status_code == 200
    assert pia.get(f"/my/samples/{world.foreign.pk}").status_code == 303


def test_the_token_of_the_project_opens_its_tasks(visitor: Client, world: SimpleNamespace) -> None:
    token = ensure_token(world.project)

    assert visitor.get(f"/my/samples/{world.task.pk}?access_token={token}").status_code == 200


def test_two_askers_get_the_same_token(world: SimpleNamespace) -> None:
    first, second = Task.objects.get(pk=world.task.pk), Task.objects.get(pk=world.task.pk)

    assert ensure_token(first) == ensure_token(second)
    assert len(ensure_token(first)) == 36


def test_a_new_token_ends_all_links(visitor: Client, world: SimpleNamespace) -> None:
    old, proof = ensure_token(world.task), person_hash(world.task, world.partner.pk)

    new = rotate_token(world.task)

    assert new != old
    assert visitor.get(f"/my/samples/{world.task.pk}?access_token={old}").status_code == 303
    assert visitor.get(f"/my/samples/{world.task.pk}?access_token={new}").status_code == 200
    params = {"access_token": new, "pid": str(world.partner.pk), "hash": proof}
    assert person_of(world.task, params) is None
    found = access_by(world.task, params)
    assert found is not None
    assert (found.partner_pk, found.may_post) == (None, False)


def test_the_proof_of_being_somebody(world: SimpleNamespace) -> None:
    pk, token = str(world.partner.pk), ensure_token(world.task)
    proof = person_hash(world.task, world.partner.pk)
    true = {"access_token": token, "pid": pk, "hash": proof}

    assert re.fullmatch(r"[0-9a-f]{64}", proof)
    assert person_of(world.task, true) == world.partner.pk
    untrue = [
        {**true, "hash": proof[:-1] + ("0" if proof[-1] != "0" else "1")},
        {**true, "hash": ""},
        {**true, "hash": "é"},
        {**true, "pid": str(world.prime.pk)},
        {**true, "pid": ""},
        {**true, "pid": "²"},
        {**true, "pid": f"{pk}.0"},
        {**true, "pid": "9" * 30},
        {**true, "hash": person_hash(world.foreign, world.partner.pk)},
        {**true, "hash": person_hash(world.project, world.partner.pk)},
    ]
    for params in untrue:
        assert person_of(world.task, params) is None, params
        found = access_by(world.task, params)
        assert found is not None
        assert (found.partner_pk, found.may_post) == (None, False), params
    assert access_by(world.task, {**true, "access_token": "x"}) is None


def test_a_proof_signed_by_the_project_counts_for_its_task(world: SimpleNamespace) -> None:
    params = {
        "access_token": ensure_token(world.project),
        "pid": str(world.partner.pk),
        "hash": person_hash(world.project, world.partner.pk),
    }

    found = access_by(world.task, params, signer=world.project)

    assert found is not None
    assert (found.partner_pk, found.may_post) == (world.partner.pk, True)
    assert access_by(world.task, params) is None


# --------------------------------------------------------------------------------------------------------- redirector
def redirected(client: Client, **query: Any) -> str:
    response = client.get("/mail/view", query)
    assert response.status_code == 303, response.content
    assert "no-store" in response["Cache-Control"]
    return response["Location"]


def test_the_redirector_leads_employees_to_the_back_office(ann: Client, world: SimpleNamespace) -> None:
    target = redirected(ann, model="projects.task", res_id=world.task.pk)

    assert target == f"/admin/projects/task/{world.task.pk}/change/"
    assert redirected(ann, model="projects.Task", res_id=world.task.pk) == target
    assert redirected(ann, model="projects.task", res_id=world.task.pk, access_token="x") == target


def test_the_redirector_leads_customers_to_the_portal_page(
    pia: Client, visitor: Client, world: SimpleNamespace
) -> None:
    token = ensure_token(world.foreign)
    page = f"/my/samples/{world.foreign.pk}?access_token={token}"

    assert redirected(pia, model="projects.task", res_id=world.task.pk) == f"/my/samples/{world.task.pk}"
    assert redirected(pia, model="projects.task", res_id=world.foreign.pk, access_token=token) == page
    assert redirected(visitor, model="projects.task", res_id=world.foreign.pk, access_token=token) == page
    assert (
        redirected(
            visitor, model="projects.task", res_id=world.foreign.pk, access_token=token, pid=3, hash="a", x=1
        )
        == f"{page}&pid=3&hash=a"
    )


def test_the_redirector_tells_nothing_about_what_is_there(
    pia: Client, visitor: Client, world: SimpleNamespace
) -> None:
    ensure_token(world.foreign)
    queries = [
        {"model": "projects.task", "res_id": world.foreign.pk},
        {"model": "projects.task", "res_id": world.foreign.pk, "access_token": "shared"},
        {"model": "projects.task", "res_id": world.foreign.pk + 1000},
        {"model": "projects.task", "res_id": "²"},
        {"model": "projects.task", "res_id": "9" * 40},
        {"model": "projects.task", "res_id": "1 OR 1=1"},
        {"model": "projects.nothing", "res_id": 1},
        {"model": "a.b.c", "res_id": 1},
        {"model": "sessions.session", "res_id": 1},
        {"model": "access.apitoken", "res_id": 1, "access_token": "x"},
        {},
    ]

    for query in queries:
        assert redirected(pia, **query) == "/my", query
        assert redirected(visitor, **query).startswith("/web/login?redirect=%2Fmail%2Fview"), query


def test_a_link_for_one_person(visitor: Client, world: SimpleNamespace) -> None:
    address = link(world.task, f"/my/samples/{world.task.pk}", partner_pk=world.partner.pk)

    page = visitor.get(address)

    assert page.status_code == 200
    assert "data-send" in page.content.decode(), "the bearer may write"
    assert "data-send" not in visitor.get(link(world.task, f"/my/samples/{world.task.pk}")).content.decode()
    assert redirected(
        visitor, **dict(part.split("=") for part in share_link(world.task)[11:].split("&"))
    ) == link(world.task, f"/my/samples/{world.task.pk}")


# -------------------------------------------------------------------------------------------------------- the answer
def test_headers_of_a_page_opened_by_a_token(visitor: Client, world: SimpleNamespace) -> None:
    response = visitor.get(f"/my/samples/{world.task.pk}?access_token={ensure_token(world.task)}")

    assert response["Referrer-Policy"] == "same-origin"
    assert response["Cache-Control"] == "private, no-store"
    assert response["X-Frame-Options"] == "SAMEORIGIN"
    policy = dict(part.split(" ", 1) for part in response["Content-Security-Policy"].split("; "))
    assert policy["frame-ancestors"] == "'self'"
    assert policy["script-src"] == "'self'"
    assert policy["style-src"] == "'self'"
    assert policy["object-src"] == "'none'"


def test_pages_carry_no_inline_script_or_style(pia: Client, world: SimpleNamespace) -> None:
    Task.objects.filter(pk=world.task.pk).update(name="<script>alert(1)</script><img src=x onerror=alert(1)>")
    paths = ["/my", "/my/account", "/my/deactivate_account", "/my/samples", f"/my/samples/{world.task.pk}"]

    for path in paths:
        html = pia.get(path).content.decode()
        assert not re.search(r"<script(?![^>]*\ssrc=)", html), path
        assert not re.search(r"<(style|iframe|object|embed)\b", html), path
        assert not re.search(r"<[^>]*\s(on[a-z]+|style)\s*=", html), path
        assert "javascript:" not in html, path
        assert "<html lang=" in html, path


def test_previous_and_next_come_from_the_list_shown_last(
    pia: Client, world: SimpleNamespace, more: Any
) -> None:
    tasks = more(3)
    pia.get("/my/samples?sortby=name")

    html = pia.get(f"/my/samples/{tasks[1].pk}").content.decode()

    assert f'href="/my/samples/{tasks[0].pk}" rel="prev"' in html
    assert f'href="/my/samples/{tasks[2].pk}" rel="next"' in html
    first = pia.get(f"/my/samples/{world.task.pk}").content.decode()
    assert 'rel="prev"' not in first
    assert f'href="/my/samples/{tasks[0].pk}" rel="next"' in first
    alone = signed_in(world.users.pia).get(f"/my/samples/{tasks[1].pk}").content.decode()
    assert 'rel="prev"' not in alone
    assert 'rel="next"' not in alone


def test_unknown_kinds_of_report_are_refused(pia: Client, world: SimpleNamespace) -> None:
    response = pia.get(f"/my/samples/{world.task.pk}?report_type=docx")

    assert response.status_code == 400
    assert "docx" in response.content.decode()


# --------------------------------------------------------------------------------------------------------- the thread
def test_customers_never_see_notes(pia: Client, visitor: Client, world: SimpleNamespace) -> None:
    post_message(world.task, actor=world.ann, body="The customer is difficult", subtype=NOTE)
    post_message(world.task, actor=world.ann, body="We will call you", subtype=COMMENT)
    address = link(world.task, f"/my/samples/{world.task.pk}", partner_pk=world.partner.pk)

    for html in (
        pia.get(f"/my/samples/{world.task.pk}"),
        visitor.get(address),
        signed_in(world.users.ann).get(address),
    ):
        assert "We will call you" in html.content.decode()
        assert "difficult" not in html.content.decode()


def csrf_of(client: Client, address: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', client.get(address).content.decode())
    assert found is not None
    return found[1]


def test_a_customer_posts_with_a_file(world: SimpleNamespace) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(world.users.pia)
    thread = f"/chatter/projects.task/{world.task.pk}"
    token = csrf_of(client, f"/my/samples/{world.task.pk}")

    refused = client.post(f"{thread}/post/", {"body": "Hello"})
    upload = client.post(
        f"{thread}/files/", {"file": SimpleUploadedFile("a.txt", b"A")}, headers={"x-csrftoken": token}
    ).json()["files"][0]
    done = client.post(
        f"{thread}/post/",
        {"body": "Hello", "attachment": f"{upload['pk']}:{upload['access_token']}"},
        headers={"x-csrftoken": token},
    )

    assert refused.status_code == 403
    assert done.status_code == 201
    message = Message.objects.get(pk=done.json()["message"])
    assert message.author_id == world.partner.pk
    assert "Hello" in message.body
    assert Attachment.objects.get(pk=upload["pk"]).object_id == world.task.pk
    assert "Hello" in client.get(f"/my/samples/{world.task.pk}").content.decode()


def test_the_bearer_of_a_link_posts_as_the_proven_person(world: SimpleNamespace) -> None:
    client = Client(enforce_csrf_checks=True)
    params = {
        "access_token": ensure_token(world.task),
        "pid": str(world.partner.pk),
        "hash": person_hash(world.task, world.partner.pk),
    }
    thread = f"/chatter/projects.task/{world.task.pk}"
    header = {
        "x-csrftoken": csrf_of(
            client, link(world.task, f"/my/samples/{world.task.pk}", partner_pk=world.partner.pk)
        )
    }

    assert client.post(f"{thread}/post/", {**params, "body": "No"}).status_code == 403
    upload = client.post(
        f"{thread}/files/", {**params, "file": SimpleUploadedFile("x.svg", b"<svg></svg>")}, headers=header
    ).json()["files"][0]
    done = client.post(
        f"{thread}/post/",
        {**params, "body": "Hello", "attachment": f"{upload['pk']}:{upload['access_token']}"},
        headers=header,
    )

    assert upload["mimetype"] == "text/plain"
    assert done.status_code == 201
    message = Message.objects.get(pk=done.json()["message"])
    assert message.author_id == world.partner.pk
    assert [row.pk for row in message.attachments.all()] == [upload["pk"]]


def test_the_bearer_of_a_link_without_proof_reads_only(world: SimpleNamespace) -> None:
    client = Client(enforce_csrf_checks=True)
    address = link(world.task, f"/my/samples/{world.task.pk}")
    header = (
        {"x-csrftoken": csrf_of(client, f"{address}&x=1")}
        if "csrf" in client.get(address).content.decode()
        else {}
    )
    params = {"access_token": ensure_token(world.task), "pid": str(world.partner.pk), "hash": "0" * 64}
    before = Message.objects.count()

    for what in ("post", "files"):
        answer = client.post(
            f"/chatter/projects.task/{world.task.pk}/{what}/",
            {**params, "body": "Hello", "file": SimpleUploadedFile("a.txt", b"A")},
            headers=header,
        )
        assert answer.status_code == 403, what

    assert Message.objects.count() == before
    assert not Attachment.objects.filter(name="a.txt").exists()
