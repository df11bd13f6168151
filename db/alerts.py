"""Alerts: what a person must know now. A row is committed with its cause; the alarm part tells it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg import Connection
from psycopg.rows import class_row

HANDED_OVER = "notification %s"
UNCONFIRMED = "notification %s unconfirmed"
"""The keys of what is raised of a notification."""
DISAGREES = "override %s: %s"
"""The key of what a feed says otherwise than an event by which staff have said it."""


@dataclass(frozen=True)
class Alert:
    id: int
    key: str
    says: str
    raised_at: datetime
    told_at: datetime | None

    @property
    def is_of_notification(self) -> bool:
        return self.key.startswith(HANDED_OVER % "")


def add(
    conn: Connection,
    key: str,
    says: str,
    *,
    again_every: timedelta | None = None,
    over_when_told: bool = False,
    now: datetime,
) -> bool:
    """See that a person is told; False where the same is known already and not over.

    ``again_every``: it is told again, so long after it was told last, while it is not over; in the words that were
    added last. ``over_when_told``: it is good to know, and there is nothing to be done.
    """
    row = conn.execute(
        """insert into alert (key, says, raised_at, again_every, over_when_told) values (%s, %s, %s, %s, %s)
           on conflict (key) where over_at is null
               do update set says = excluded.says, over_when_told = excluded.over_when_told
               where alert.again_every is not null
                 and (alert.says, alert.over_when_told) <> (excluded.says, excluded.over_when_told)
           returning xmax = 0""",
        [key, says, now, again_every, over_when_told],
    ).fetchone()
    return bool(row and row[0])


def add_anew(conn: Connection, key: str, says: str, *, again_every: timedelta | None = None, now: datetime) -> bool:
    """See that a person is told at once where it is other than what they know; False where it is not."""
    conn.execute("update alert set over_at = %s where key = %s and over_at is null and says <> %s", [now, key, says])
    return add(conn, key, says, again_every=again_every, now=now)


def add_once(conn: Connection, key: str, says: str, *, now: datetime) -> None:
    """See that a person is told, unless they ever were in these words: that it is over holds until it says another."""
    conn.execute("update alert set over_at = %s where key = %s and over_at is null and says <> %s", [now, key, says])
    conn.execute(
        """insert into alert (key, says, raised_at) select %(key)s, %(says)s, %(now)s
           where not exists (select from alert where key = %(key)s and says = %(says)s)
           on conflict (key) where over_at is null do nothing""",
        {"key": key, "says": says, "now": now},
    )


def over(conn: Connection, key: str, *, told_first: bool = False, now: datetime) -> bool:
    """What it was about is well again; False where nothing was wrong.

    ``told_first``: where nobody was told of it yet, they are all the same, and then it is over.
    """
    return (
        conn.execute(
            """update alert set over_at = case when told_at is null and %(told_first)s then null else %(now)s end,
                                over_when_told = over_when_told or told_at is null and %(told_first)s
               where key = %(key)s and over_at is null""",
            {"key": key, "told_first": told_first, "now": now},
        ).rowcount
        > 0
    )


def only(conn: Connection, key: str, names: Iterable[str], *, now: datetime) -> None:
    """Of the alerts with such a key (``%s`` is for a name), those of other names are over: nobody waits any more."""
    before, _, after = key.partition("%s")
    conn.execute(
        """update alert set over_at = %s
           where over_at is null and starts_with(key, %s) and right(key, %s) = %s and key <> all(%s)""",
        [now, before, len(after), after, [key % name for name in names]],
    )


def untold(conn: Connection, *, most: int, but: Iterable[int] = (), now: datetime) -> list[Alert]:
    """What nobody was told of yet, or not for so long that it is told again, the oldest first.

    What is over by now needs no telling.
    """
    cursor = conn.cursor(row_factory=class_row(Alert))
    return cursor.execute(
        """select id, key, says, raised_at, told_at from alert
           where over_at is null and (told_at is null or again_every is not null and told_at + again_every <= %s)
             and id <> all(%s) order by raised_at, id limit %s""",
        [now, list(but), most],
    ).fetchall()


def waits(conn: Connection, *, since: datetime) -> bool:
    """Whether one was to be told by then, and nobody could be."""
    return (
        conn.execute(
            """select from alert where over_at is null
                 and (told_at is null and raised_at <= %(since)s or told_at + again_every <= %(since)s) limit 1""",
            {"since": since},
        ).rowcount
        > 0
    )


def told(conn: Connection, alert_id: int, *, now: datetime) -> None:
    conn.execute(
        """update alert set told_at = %(now)s,
                            over_at = case when over_when_told then coalesce(over_at, %(now)s) else over_at end
           where id = %(id)s""",
        {"now": now, "id": alert_id},
    )


def still(conn: Connection) -> list[Alert]:
    """What is not over, the oldest first."""
    cursor = conn.cursor(row_factory=class_row(Alert))
    return cursor.execute(
        "select id, key, says, raised_at, told_at from alert where over_at is null order by raised_at, id"
    ).fetchall()


def unconfirmed(conn: Connection, *, now: datetime) -> int:
    """Raise, once, what is called for so long that staff are to know of it; return how many."""
    return conn.execute(
        """insert into alert (key, says, raised_at)
           select format(%(key)s, n.id), format(%(says)s, n.id, kind, agency, number), %(now)s
           from notification n join custody_event e on e.id = event_id join offender o on o.id = offender_id
           where state = 'open' and handed_over_at is null and staff_at <= %(now)s
             and not exists (select from alert where key = format(%(key)s, n.id))
           on conflict (key) where over_at is null do nothing""",
        {
            "key": UNCONFIRMED,
            "says": "Notification %s (%s, %s %s) is not confirmed yet, and calls go on: movans report",
            "now": now,
        },
    ).rowcount


def settle(conn: Connection, *, now: datetime) -> int:
    """What was raised of notifications that have ended since is over; return how many.

    So is that a feed disagrees with what holds, where that was withdrawn, or is not the latest any more. That somebody
    who got out is no longer listed is nothing newer, as ``custody.explained`` has it.
    """
    ended = conn.execute(
        """update alert set over_at = %s from notification n
           where over_at is null and state <> 'open' and n.id = substring(key from '^notification ([0-9]+)')::bigint""",
        [now],
    ).rowcount
    conn.execute(
        """update alert set over_at = %s from custody_event e
           where over_at is null and e.id = substring(key from '^override ([0-9]+)')::bigint
             and (retracted_at is not null or exists (
                 select from happened newer where newer.offender_id = e.offender_id
                   and (newer.effective_at, newer.id) > (e.effective_at, e.id)
                   and not (newer.kind = 'no_longer_listed' and coalesce(e.denied_at >= newer.effective_at, true)
                            and e.status not in ('in custody', 'no longer listed'))))""",
        [now],
    )
    return ended


def end(conn: Connection, alert_id: int, *, now: datetime) -> str | None:
    """A person says that it is over; return its key, or None where it was over, or never was."""
    row = conn.execute(
        "update alert set over_at = %s where id = %s and over_at is null returning key", [now, alert_id]
    ).fetchone()
    return row[0] if row else None
