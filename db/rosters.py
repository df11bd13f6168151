"""Rosters: who stands in the snapshots of a feed, and who has just gone missing in them."""

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg import Connection, sql
from psycopg.rows import class_row

from db.custody import STAFF

DIGEST = 16  # bytes of the digest of a row
_ELSEWHERE = sql.SQL(
    """exists (select from roster other where other.offender_id = o.id and other.feed <> %(feed)s
               and other.feed = any(%(others)s) and other.missing_since is null)"""
)


@dataclass(frozen=True)
class Missing:
    """Somebody who stood in a snapshot of the feed before, and not in this one.

    ``since``: when the last one came that had them, where this is the second without; None where it is the first.
    ``elsewhere``: the last snapshot of another feed has them.
    """

    offender_id: int
    since: datetime | None
    elsewhere: bool


def size(conn: Connection, feed: str) -> int:
    """How many stood in the feed's last snapshot, or are missing for the first time since."""
    row = conn.execute("select count(*) from roster where feed = %s", [feed]).fetchone()
    return row[0] if row else 0


def digests(conn: Connection, feed: str) -> dict[bytes, int]:
    """Whose next row need not be looked at, by the digest of the one that they have in the feed's last snapshot."""
    row = conn.execute(
        """select string_agg(digest || int8send(offender_id), '') from roster
           where feed = %s and digest is not null""",
        [feed],
        binary=True,
    ).fetchone()
    return dict(struct.iter_unpack(f"!{DIGEST}sq", row[0] or b"" if row else b""))


def without_digest(conn: Connection, feed: str) -> set[int]:
    """Who is on the feed's roster, and whose next row is to be looked at whatever it says."""
    rows = conn.execute("select offender_id from roster where feed = %s and digest is null", [feed])
    return {offender_id for (offender_id,) in rows}


def missing(conn: Connection, feed: str, offender_ids: Iterable[int], *, others: Iterable[str]) -> list[Missing]:
    """Those on the feed's roster whom a snapshot has not; locked as offenders are, and looked at when they are back.

    ``others``: the feeds whose last snapshot says who is elsewhere.
    """
    cursor = conn.cursor(row_factory=class_row(Missing))
    query = sql.SQL(
        """select r.offender_id, r.missing_since as since, {elsewhere} as elsewhere
           from roster r join offender o on o.id = r.offender_id
           where r.feed = %(feed)s and r.offender_id = any(%(theirs)s)
           order by o.id for update of o"""
    )
    wanted = {"feed": feed, "others": list(others), "theirs": list(offender_ids)}
    found = cursor.execute(query.format(elsewhere=_ELSEWHERE), wanted).fetchall()
    look_again(conn, [one.offender_id for one in found])
    return found


def without(
    conn: Connection, feed: str, agency: str, *, before: datetime, others: Iterable[str]
) -> dict[int, tuple[bool, bool]]:
    """Of whom staff have said before then that they are in custody, and who is not in the feed's last snapshot.

    Of each, whether the last snapshot of one of the ``others`` has them, and whether they ever stood in this feed.
    """
    query = sql.SQL(
        """select o.id, {elsewhere},
                  exists (select from custody_event e join feed_run f on f.id = e.feed_run_id
                          where e.offender_id = o.id and f.feed = %(feed)s)
           from offender o where agency = %(agency)s and status = 'in custody' and o.id in (
                select offender_id from custody_event where source = %(staff)s and recorded_at < %(before)s
                  and status = 'in custody' and retracted_at is null)
             and not exists (select from roster r where r.offender_id = o.id and r.feed = %(feed)s
                               and r.missing_since is null)"""
    )
    wanted = {"feed": feed, "agency": agency, "before": before, "staff": STAFF, "others": list(others)}
    rows = conn.execute(query.format(elsewhere=_ELSEWHERE), wanted)
    return {offender_id: (elsewhere, ever) for offender_id, elsewhere, ever in rows}


def present(conn: Connection, feed: str, digests: Mapping[int, bytes | None]) -> None:
    """Note that a snapshot has these offenders; None: their next row is to be looked at, though it be the same."""
    look_again(conn, [offender_id for offender_id, digest in digests.items() if digest is None])
    conn.execute(
        """insert into roster (feed, offender_id, digest) select %s, * from unnest(%s::bigint[], %s::bytea[])
           on conflict (feed, offender_id) do update set missing_since = null, digest = excluded.digest""",
        [feed, list(digests), list(digests.values())],
    )


def came(conn: Connection, feed: str, *, at: datetime) -> None:
    """Note when a snapshot came: whoever has a digest now was said then to be as is known."""
    conn.execute(
        """insert into snapshot values (%s, %s)
           on conflict (feed) do update set at = greatest(snapshot.at, excluded.at)""",
        [feed, at],
    )


def look_again(conn: Connection, offender_ids: Iterable[int]) -> None:
    """Have the next row of each looked at, though it be the same."""
    conn.execute("select look_again(%s)", [list(offender_ids)])


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
