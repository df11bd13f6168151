"""How an offender is found: by name, by offender or booking number, by court case number, all as keyed on a telephone.

However many match, no query reads more of them than it takes to know that they are too many to be told.
"""

from dataclasses import dataclass
from typing import LiteralString

from psycopg import Connection
from psycopg.rows import class_row
from psycopg.sql import SQL

from db.custody import OFFENDER, Offender
from db.names import WHOLE

_NAMES = SQL("select offender_id, last_keys, first_keys from offender_name where {} limit %(rows)s")
# Whether it is the whole name, or begins so. A colon comes after 9, the last of the keys.
_LAST = {
    True: SQL("last_keys = %(last)s"),
    False: SQL("last_keys >= %(last)s and last_keys < %(last)s || ':'"),
}
_FIRST = {
    True: SQL("first_keys = %(first)s"),
    False: SQL("first_keys >= %(first)s and first_keys < %(first)s || ':'"),
}


@dataclass(frozen=True)
class Found:
    """Who matches, the nearest first. ``more``: others do, too, so many that they cannot be told."""

    people: list[Offender]
    more: bool = False


def by_number(conn: Connection, keys: str, *, most: int) -> Found:
    """The offenders of this offender or booking number, of whatever agency."""
    return _found(
        conn,
        """(select id from offender where keys = %(keys)s limit %(rows)s) union
           (select id from offender where booking_keys = %(keys)s and booking_keys <> '' limit %(rows)s)""",
        keys,
        most,
    )


def by_case(conn: Connection, keys: str, *, most: int) -> Found:
    """The offenders of this court case number."""
    return _found(conn, "select offender_id from offender_case where keys = %(keys)s limit %(rows)s", keys, most)


def by_name(conn: Connection, last: str, first: str = "", year: int | None = None, *, most: int) -> Found:
    """The offenders of a name that begins so, born in that year if one is given.

    Where these are more than ``most``, those whose last name is no longer than what was keyed; where these are, too,
    those whose first name is no longer either: there are no more letters of a LEE, KIM by which to narrow it down.
    A last name of fewer than three keys is taken for the whole one.
    """
    ways = [(False, False)] if len(last) >= WHOLE else []
    ways += [(True, False)] + ([(True, True)] if first else [])
    for narrower, (whole_last, whole_first) in enumerate(ways):
        near = _by_name(conn, last, first, year, most, whole_last=whole_last, whole_first=whole_first)
        if len(near) <= most:
            people = _people(conn, list(near))
            people.sort(key=lambda one: (near[one.id], one.last_name, one.first_name, one.id))
            return Found(people, more=narrower > 0)
    return Found([], more=True)


def is_last_name(conn: Connection, keys: str) -> bool:
    """Whether somebody's last name is this, as a whole."""
    return conn.execute("select from offender_name where last_keys = %s limit 1", [keys]).rowcount > 0


def _by_name(
    conn: Connection, last: str, first: str, year: int | None, most: int, *, whole_last: bool, whole_first: bool
) -> dict[int, tuple[bool, bool]]:
    """Offenders by id, each with how near its nearest name is; more than ``most`` stand for any number."""
    conditions = [_LAST[whole_last]]
    if first:
        conditions.append(_FIRST[whole_first])
    if year:
        conditions.append(SQL("birth_year = %(year)s"))
    elif first and not whole_last:
        conditions.append(SQL("last_start = left(%(last)s, 3)"))  # so that the first name can lead
    query = _NAMES.format(SQL(" and ").join(conditions))
    given, rows = {"last": last, "first": first, "year": year}, 2 * most
    while True:
        # Never prepared: which index is the right one depends on the values.
        names = conn.execute(query, given | {"rows": rows}, prepare=False).fetchall()
        near: dict[int, tuple[bool, bool]] = {}
        for offender_id, last_keys, first_keys in names:
            distance = (last_keys != last, first_keys != first)
            near[offender_id] = min(near.get(offender_id, distance), distance)
        if len(names) < rows or len(near) > most:
            return near
        rows *= 10  # few people with many names each


def _found(conn: Connection, ids: LiteralString, keys: str, most: int) -> Found:
    cursor = conn.cursor(row_factory=class_row(Offender))
    query = OFFENDER + "where id in (" + ids + ") order by agency, number"
    people = cursor.execute(query, {"keys": keys, "rows": most + 1}).fetchall()
    return Found(people) if len(people) <= most else Found([], more=True)


def _people(conn: Connection, ids: list[int]) -> list[Offender]:
    cursor = conn.cursor(row_factory=class_row(Offender))
    return cursor.execute(OFFENDER + "where id = any(%s)", [ids]).fetchall()
