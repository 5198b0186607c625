"""A client of REST as programs see it: a token, JSON in, JSON out."""

from __future__ import annotations

from typing import Any

from django.test import Client

from apps.access.services.tokens import make_token
from tests.accounting.factories import Books

ROOT = "/api/v1/accounting"


class Rest:
    """Calls with the token of one user. Answers ``(status, body)``."""

    def __init__(self, books: Books, role: str = "adviser", **headers: str) -> None:
        self.books = books
        token = make_token(books.user(role), name="acceptance")[0]
        self.client = Client(headers={"authorization": f"Bearer {token}", **headers})

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        url = path if path.startswith("/") else f"{ROOT}/{path}"
        options: dict[str, Any] = {"headers": headers} if headers else {}
        if method == "get":
            response = self.client.get(url, body or {}, **options)
        else:
            response = getattr(self.client, method)(
                url, {} if body is None else body, content_type="application/json", **options
            )
        return response.status_code, response.json() if response.content else None

    def get(self, path: str, **query: Any) -> Any:
        status, body = self.call("get", path, query)
        assert status == 200, body
        return body

    def post(self, path: str, body: Any = None, *, status: int | None = None) -> Any:
        """Posts; anything but success (or ``status``) fails the test with the answer."""
        found, answer = self.call("post", path, body)
        assert (found == status) if status else (found in (200, 201)), (found, answer)
        return answer

    def act(self, path: str, name: str, body: Any = None, *, status: int = 200) -> Any:
        return self.post(f"{path}/actions/{name}/", body, status=status)

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, list[str]]:
        """The status of a refusal and the fields that it names."""
        status, answer = self.call(method, path, body)
        assert 400 <= status < 500, (status, answer)
        assert set(answer) == {"code", "message", "fields", "trace_id"}
        return status, sorted(answer["fields"])

    # ------------------------------------------------------------------------------------------------- documents
    def invoice(self, *lines: dict[str, Any], post: bool = True, **values: Any) -> Any:
        """A customer invoice dated 2026-03-15, posted unless told otherwise."""
        body = {"type": "customer_invoice", "date": "2026-03-15", "lines": list(lines), **values}
        made = self.post("invoices/", body)
        return self.act(f"invoices/{made['id']}", "post") if post else made

    def entry(self, *items: dict[str, Any], post: bool = True, **values: Any) -> Any:
        body = {
            "journal": self.books.journals.general.pk,
            "date": "2026-03-15",
            "items": list(items),
            **values,
        }
        made = self.post("journal-entries/", body)
        return self.act(f"journal-entries/{made['id']}", "post") if post else made

    def items(self, entry: int) -> list[dict[str, Any]]:
        return list(self.get(f"journal-entries/{entry}/")["items"])


def line(price: Any, taxes: Any = (), **values: Any) -> dict[str, Any]:
    return {"description": "x", "quantity": "1", "unit_price": str(price), "taxes": list(taxes), **values}
