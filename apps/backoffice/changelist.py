"""The list page: constant queries, counting that stops, joins for what is shown and nothing else."""

from __future__ import annotations

from typing import Any

from django.core.paginator import EmptyPage, PageNotAnInteger, Paginator
from django.db import models
from django.utils.functional import cached_property
from unfold.views import ChangeList

from apps.backoffice.columns import hide_links, link_names, name_custom_links
from apps.backoffice.rights import actor_of
from apps.core.extensions import with_extensions

COUNT_LIMIT = 10_000


class BoundedPaginator(Paginator):
    """Counts to ``COUNT_LIMIT`` and no further: nobody pages through more, and counting a million rows costs more
    than showing a page of them. ``count_is_partial`` says that there are more."""

    count_is_partial = False

    @cached_property
    def count(self) -> int:  # type: ignore[override]
        rows = self.object_list
        if not isinstance(rows, models.QuerySet):
            return len(rows)
        counted = rows.order_by().values("pk")[: COUNT_LIMIT + 1].count()
        self.count_is_partial = counted > COUNT_LIMIT
        return min(counted, COUNT_LIMIT)

    def validate_number(self, number: Any) -> int:
        """A page that does not exist (any more) shows the last one instead of an error."""
        try:
            return super().validate_number(number)
        except PageNotAnInteger:
            return 1
        except EmptyPage:
            return max(1, min(int(number), self.num_pages))


class LoadedRows(list[Any]):
    """The rows of a page once they are read; lists with editable columns ask them whether they are in order."""

    ordered = True


class RecordChangeList(ChangeList):
    """Rows with what their columns need joined, and links that the actor may not see hidden."""

    def apply_select_related(self, qs: models.QuerySet[Any]) -> models.QuerySet[Any]:
        names = link_names(self.model, self.list_display)
        names += [name for name in self.list_select_related or () if name not in names]
        if any(hasattr(column, "extension") for column in self.list_display):
            qs = with_extensions(qs)
        # ``select_related()`` without names would join every link of the model.
        return qs.select_related(*names) if names else qs

    def get_results(self, request: Any) -> None:
        super().get_results(request)
        self.result_list = LoadedRows(self.result_list)
        actor = actor_of(request)
        hide_links(self.result_list, link_names(self.model, self.list_display), actor)
        name_custom_links(self.result_list, self.list_display, actor)
        self.model_admin.prepare_rows(request, self.result_list)
        self.count_is_partial = getattr(self.paginator, "count_is_partial", False)
        # Adding up a million rows costs more than showing a page of them, as counting does.
        self.sums = {} if self.count_is_partial else self.model_admin.list_sums(request, self.queryset)

    @property
    def title(self) -> Any:
        return self._title

    @title.setter
    def title(self, value: Any) -> None:
        # Django's "Select task to change" says less than the name of the list.
        self._title = value if self.is_popup else str(self.opts.verbose_name_plural).capitalize()
