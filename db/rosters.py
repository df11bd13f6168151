"""Rosters: who stands in the snapshots of a feed, and who has just gone missing in them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection
from psycopg.rows import class_row


@dataclass(frozen=True)
class Missing:
    """Somebody who stood in a snapshot of the feed before, and not in this one.

    ``since``: when the last one came that had them, where this is the second without; None where it is the first.
    ``elsewhere``: another feed's last snapshot has them.
    """

    offender_id: int
    since: datetime | None
    elsewhere: bool


def size(conn: Connection, feed: str) -> int:
    """How many stood in the feed's last snapshot, or are missing for the first time since."""
    row = conn.execute("select count(*) from roster where feed = %s", [feed]).fetchone()
    return row[0] if row else 0


def missing(conn: Connection, feed: str, present: Iterable[int]) -> list[Missing]:
    """Who is on the feed's roster, and not among those present; locked as offenders are."""
    cursor = conn.cursor(row_factory=class_row(Missing))
    return cursor.execute(
        """select r.offender_id, r.missing_since as since,
                  exists (select from roster other where other.offender_id = r.offender_id and other.feed <> r.feed
                          and other.missing_since is null) as elsewhere
           from roster r join offender o on o.id = r.offender_id
           where r.feed = %s and not exists (select from unnest(%s::bigint[]) as p (id) where p.id = r.offender_id)
           order by o.id for update of o""",
        [feed, list(present)],
    ).fetchall()


def present(conn: Connection, feed: str, offender_ids: Iterable[int]) -> None:
    """Note that a snapshot has these; those of whom that is known already cost nothing."""
    # Not in one query: while it inserts, it would read over what it has inserted, again for each row.
    known = {
        offender_id
        for (offender_id,) in conn.execute(
            "select offender_id from roster where feed = %s and missing_since is null", [feed]
        )
    }
    conn.execute(
        """insert into roster (feed, offender_id) select %s, unnest(%s::bigint[])
           on conflict (feed, offender_id) do update set missing_since = null""",
        [feed, sorted(set(offender_ids) - known)],
    )


def first_missing(conn: Connection, feed: str, offender_ids: Iterable[int], *, since: datetime) -> None:
    """Note that a snapshot, the first after that of ``since``, has not these."""
    conn.execute(
        "update roster set missing_since = %s where feed = %s and offender_id = any(%s)",
        [since, feed, list(offender_ids)],
    )


def leave(conn: Connection, feed: str, offender_ids: Iterable[int]) -> None:
    """Take these off the feed's roster: what there was to say of their being missing is said."""
    conn.execute("delete from roster where feed = %s and offender_id = any(%s)", [feed, list(offender_ids)])


def put_back(conn: Connection, event_ids: Iterable[int]) -> None:
    """Put on the roster, as if the last snapshot had them, of whom these say that they are no longer listed.

    To be done before the events are withdrawn; of those that are already it does nothing.
    """
    conn.execute(
        """insert into roster (feed, offender_id)
           select distinct feed, e.offender_id from custody_event e join feed_run f on f.id = feed_run_id
           where e.id = any(%s) and kind = 'no_longer_listed' and retracted_at is null
           on conflict (feed, offender_id) do nothing""",
        [list(event_ids)],
    )
