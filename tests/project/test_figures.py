"""The figures that the documents promise are those of the code, or of a benchmark's results."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest

from shared.azure import listing
from shared.intake import delivery, quarantine, quarantine_rows
from shared.model import ledger, sketch, tally
from shared.process import log_limit
from shared.reconciling import comparison, lease, parts, reconciler, repair, row_key_sets, stages, tombstones
from shared.serving import auth, endpoints, health, issuer, issuer_keys, protocol
from shared.watching import announcer, cases, own_commits, waiters, watch
from shared.writing import batch, cache, contention, inbox, naming, tally_row
from tests.builders import ROOT

RECONCILING = json.loads((ROOT / "bench/results/reconcile.json").read_text())

#: Document, words in it, what the code has, and what the words mean.
FIGURES: list[tuple[str, str, object, object]] = [
    ("architecture", "≤ 99 distinct blobs", batch.MAX_BLOBS, 99),
    ("architecture", "After 15 s an event that is not committed fails", batch.BUDGET_SECONDS, 15),
    ("architecture", "after 28 s any delivery", delivery.LONGEST_SECONDS, 28),
    ("architecture", "A remembered row older than 30 s is read again", tally_row.TRUSTED_SECONDS, 30),
    ("architecture", "older than the last look (± 30 s)", ledger.SKEW_MARGIN, timedelta(seconds=30)),
    ("architecture", "more than five minutes late", ledger.LATE_AFTER, timedelta(minutes=5)),
    ("decisions/look-at-the-blob", "more than five minutes ahead", ledger.LATEST_AHEAD, timedelta(minutes=5)),
    ("architecture", "older than 14 days and one", ledger.TOMBSTONE_HORIZON, timedelta(days=14)),
    ("architecture", "older than 14 days and one", tombstones._MARGIN, timedelta(days=1)),
    ("architecture", "dropped once a day", stages.COLLECT_EVERY, timedelta(days=1)),
    ("decisions/group-commit", "100 ms, longer where a commit takes longer", contention.LOST_PAUSE_SECONDS, 0.1),
    ("decisions/group-commit", "stands back once a second", contention.BETWEEN_PAUSES_SECONDS, 1),
    ("architecture", "lost a commit twice within a second", contention.CONTENDED_SECONDS, 1),
    ("architecture", "doubles from 0.1 to 2 s", contention.UNANSWERED_PAUSE_SECONDS, 0.1),
    ("architecture", "doubles from 0.1 to 2 s", contention.MAX_UNANSWERED_PAUSE_SECONDS, 2),
    ("decisions/group-commit", "After eight wrong guesses", cache.MAX_WRONG_GUESSES, 8),
    ("architecture", "names itself in the tally for three seconds", naming.LIFE_SECONDS, 3),
    ("architecture", "kept open while others hand over, 10 s at most", naming.STAY_SECONDS, 10),
    ("architecture", "An entity older than 60 s", inbox.LEFT_OVER_AFTER, timedelta(seconds=60)),
    ("architecture", "five pages a look at most", inbox.PAGES_A_LOOK, 5),
    ("architecture", "at most one wake per 0.1 s", own_commits.OFFER_GAP_SECONDS, 0.1),
    ("architecture", "could not be read for 5 s", watch.UNCONFIRMED_SECONDS, 5),
    ("architecture", "share 100 reads a poll interval", cases.READS_AN_INTERVAL, 100),
    ("architecture", "where that would take more than 5 s", cases.LONGEST_TURN_SECONDS, 5),
    ("architecture", "frees the waiters 100 at a time", waiters.WAKE_CHUNK, 100),
    ("decisions/parked-clients", "One sweep a second", waiters.SWEEP_SECONDS, 1),
    ("decisions/parked-clients", "200 at a time", waiters.SWEEP_CHUNK, 200),
    ("architecture", "one after the other over a second", waiters.DRAIN_SECONDS, 1),
    ("architecture", "at most one a second", announcer.GAP_SECONDS, 1),
    ("architecture", "have five seconds to arrive", parts.GRACE_SECONDS, 5),
    ("architecture", "has watched it for its 60 s", lease.LEASE_SECONDS, 60),
    ("decisions/generations", "begins 45 s after", reconciler.OLD_WRITERS_SECONDS, 45),
    ("decisions/reconcile-by-digest", "500,000 rows at most", comparison.ROWS_AT_ONCE, 500_000),
    ("decisions/reconcile-by-digest", "sums of 512 buckets", 1 << row_key_sets._BUCKET_BITS, 512),
    ("decisions/reconcile-by-digest", "sums of 512 buckets", 1 << (128 - row_key_sets._BUCKET_SHIFT), 512),
    ("decisions/reconcile-by-digest", "512 cells of 20 bytes", sketch.CELLS, 512),
    ("decisions/reconcile-by-digest", "512 cells of 20 bytes", sketch._CELL_BYTES, 20),
    ("scaling", "0.68 · 512 = 348", sketch.capacity(), 348),
    ("scaling", "0.68 · 512 = 348", sketch.CAPACITY_SHARE, 0.68),
    ("architecture", "the sum mod 2¹²⁸", tally._MODULUS, 2**128),
    ("operations", "(HEAD, 32 at a time)", repair.CONCURRENT_LOOKS, 32),
    ("operations", "10,001 stands for all above 10,000", quarantine.MAX_COUNTED, 10_000),
    ("configuration", "are larger than 30 KB", quarantine.MAX_BYTES_IN_ROW, 30_000),
    ("configuration", "dropped for good, once a day", quarantine.PURGE_EVERY, timedelta(days=1)),
    ("configuration", "in the log once a minute", log_limit.SECONDS, 60),
    ("security", "a hundred in a transaction", quarantine_rows.MAX_ROWS, 100),
    ("security", "fetched within 3 s together", issuer.FETCH_SECONDS, 3),
    ("security", "up to 256 KiB each", issuer.MOST_BYTES, 256 * 1024),
    ("security", "at most one fetch in ten seconds", issuer_keys.REFETCH_SECONDS, 10),
    ("operations", "withdrawn one is refused within five minutes", issuer_keys.LIFESPAN_SECONDS, 300),
    ("deployment", "a process that does nothing else) | 69 |", round(RECONCILING["peak_mb_1m_names"]), 69),
    ("protocol", "ends 30 s after its `exp`", auth.LEEWAY_SECONDS, 30),
    ("protocol", "over 4,096 characters", protocol.MAX_VALUE_CHARACTERS, 4096),
    ("protocol", "held until it can, 3 s at most", protocol.LONGEST_DATE_HOLD_SECONDS, 3),
    ("protocol", "up to a sixteenth early", endpoints.JITTER, 1 / 16),
    ("protocol", "retry: 3000", endpoints.RETRY_MS, 3000),
    ("protocol", "made at most once a second", health.CACHE_SECONDS, 1),
]


@pytest.mark.parametrize(("document", "words", "found", "stated"), FIGURES)
def test_a_figure_of_the_documents_is_the_code_s(document: str, words: str, found: object, stated: object) -> None:
    """Whoever changes one of the two changes the other, and this list."""
    text = re.sub(r"\s+", " ", (ROOT / "docs" / f"{document}.md").read_text())
    assert words in text
    assert found == stated


@pytest.mark.parametrize(("found", "most"), [(listing.PAGE_SIZE, 5000), (quarantine_rows.MAX_ROWS, 100)])
def test_as_much_is_asked_of_a_service_as_it_gives(found: int, most: int) -> None:
    """Blobs a page, operations a transaction: the service refuses one more."""
    assert found == most
