"""The inbox behind the :class:`shared.model.ports.InboxTable` port: a table that is also read as a whole."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from shared.azure.heads import AnswerDate
from shared.azure.table import AzureTable, entity_of
from shared.azure.table_errors import translated
from shared.model.ports import EntityPage

if TYPE_CHECKING:
    from collections.abc import Mapping


class AzureInbox(AzureTable):
    """A table of the Table service (or of Azurite), which the service pages across partitions as it likes."""

    async def page(self, token: str = "") -> EntityPage:
        """Read the next page of all that is in the table: as many entities as the service gives, 1,000 at most."""
        answer = AnswerDate()
        async with self.there():
            with translated():
                found = self._client.list_entities(raw_response_hook=answer.note)
                pages = found.by_page(json.loads(token) if token else None)
                async for page in pages:
                    entities = [entity_of(each) async for each in page]
                    return EntityPage(entities, answer.date, _token_of(getattr(pages, "continuation_token", None)))
        return EntityPage([], answer.date)


def _token_of(token: Mapping[str, str] | None) -> str:
    return json.dumps(token) if token else ""
