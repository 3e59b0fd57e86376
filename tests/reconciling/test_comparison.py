"""The comparison of a range of row keys with a listing; the runs that put ranges together are in test_run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model.ledger import row_key, to_properties
from shared.model.ports import Entity
from shared.reconciling import comparison
from shared.reconciling.comparison import Comparison, KeyRange
from tests.builders import row

PATHS = sorted((f"queued/{number}.jpg" for number in range(12)), key=row_key)


@given(
    st.lists(st.sampled_from([True, False, None]), min_size=len(PATHS), max_size=len(PATHS)),
    st.sets(st.sampled_from(PATHS)),
    st.integers(1, 5),
)
def test_i4_each_name_is_compared_in_one_range(known: list[bool | None], listed: set[str], rows_at_once: int) -> None:
    """Whatever its row says, and wherever ranges end: what is missing and what was not listed is found once."""
    rows = {path: present for path, present in zip(PATHS, known, strict=True) if present is not None}
    entities = [
        Entity(row_key(path), to_properties(row(1, path=path, present=rows[path])), "") for path in sorted(rows)
    ]
    entities.sort(key=lambda entity: entity.row_key)

    async def pages(after: str) -> AsyncIterator[list[Entity]]:
        for entity in entities:
            if entity.row_key > after:
                yield [entity]

    async def keep_going(*_: object) -> None:
        """Go on."""

    async def compare() -> tuple[list[str], list[str], list[int]]:
        compared, missing, unlisted, after = list[str](), list[str](), list[int](), ""
        while True:
            one = Comparison(["queued"], KeyRange(after, ""))
            await one.read(pages(after), keep_going, may_end_early=True)
            found = one.take("queued", sorted(listed))
            compared += found.paths.values()
            missing += found.missing
            unlisted += one.unlisted(None)
            if not one.keys.upto:
                return compared, missing, unlisted
            after = one.keys.upto

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, "ROWS_AT_ONCE", rows_at_once)
        compared, missing, unlisted = asyncio.run(compare())
    assert sorted(compared) == sorted(listed)
    assert sorted(missing) == sorted(path for path in listed if not rows.get(path))
    assert sorted(unlisted) == sorted(int(row_key(path), 16) for path in rows if rows[path] and path not in listed)
