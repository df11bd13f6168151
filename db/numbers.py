"""What the networks' refusals add up to: telephones that do not exist, trunks that refuse all, calls taken for spam."""

from datetime import datetime, timedelta

from psycopg import Connection

from db import alerts

NO_SUCH_NUMBER, BLOCKED = "no such number", "blocked as spam"  # what a refusal can mean beyond its call
IN_A_ROW = 3  # calls that say so, before it is believed that a telephone does not exist
SPAN, SUDDEN = timedelta(minutes=10), 10  # so many in this time, and most of a trunk's calls: the trunk is not believed
QUIET = timedelta(days=1)  # without a call that was taken for spam, after which the next is told anew


def judge(
    conn: Connection, attempt_id: int, trunk: str, refused_as: str | None, *, answered: bool, now: datetime
) -> set[int]:
    """Raise and end the alerts that an attempt which has just ended gives cause for.

    Returns the open notifications that it carried to registrants of whose telephones none exists: more calls are of no
    use. While a trunk is not believed, no number is given up for what it says.
    """
    _watch_trunk(conn, trunk, refused_as, now=now)
    if answered and refused_as is None:
        _number_exists(conn, attempt_id, now=now)
    return _unreachable(conn, attempt_id, now=now) if refused_as == NO_SUCH_NUMBER else set()


def _watch_trunk(conn: Connection, trunk: str, refused_as: str | None, *, now: datetime) -> None:
    called = f"the trunk {trunk}" if trunk else "the trunk"
    unbelieved, spam = f"{NO_SUCH_NUMBER}: trunk {trunk}", f"{BLOCKED}: trunk {trunk}"
    query = "select key from alert where key in (%s, %s) and over_at is null"
    raised = {key for (key,) in conn.execute(query, [unbelieved, spam])}
    if refused_as == BLOCKED:
        alerts.add(
            conn,
            spam,
            f"Calls out by {called} are refused as spam. Ask its provider how the service's number is known there.",
            now=now,
        )
    elif spam in raised and _refused(conn, trunk, BLOCKED, since=now - QUIET)[0] == 0:
        alerts.over(conn, spam, now=now)
    if refused_as == NO_SUCH_NUMBER or unbelieved in raised:
        refused, calls = _refused(conn, trunk, NO_SUCH_NUMBER, since=now - SPAN)
        if refused < SUDDEN or refused * 2 <= calls:
            alerts.over(conn, unbelieved, now=now)
        else:
            alerts.add(
                conn,
                unbelieved,
                f"Of the last {calls} calls by {called}, {refused} were refused as if there were no such numbers. Is it"
                " set up rightly? No number is given up while this lasts.",
                now=now,
            )


def _refused(conn: Connection, trunk: str, refused_as: str, *, since: datetime) -> tuple[int, int]:
    """How many of a trunk's calls since then were refused so, and how many it had."""
    row = conn.execute(
        """select count(*) filter (where refused_as = %s), count(*) from call_attempt
           where trunk = %s and ended_at > %s and outcome <> 'lost'""",
        [refused_as, trunk, since],
    ).fetchone()
    return row or (0, 0)


def _number_exists(conn: Connection, attempt_id: int, *, now: datetime) -> None:
    """Somebody or something picked up there."""
    for (registrant_id,) in conn.execute(
        """select distinct registrant_id from call_attempt a join telephone t using (number_hash)
           where a.id = %s and t.ended_at is null""",
        [attempt_id],
    ).fetchall():
        alerts.over(conn, _number_of(registrant_id), now=now)


def _unreachable(conn: Connection, attempt_id: int, *, now: datetime) -> set[int]:
    found = conn.execute(
        """select n.id, r.registrant_id
           from attempt_carries join notification n on n.id = notification_id and n.state = 'open'
           join registration r on r.id = n.registration_id
           where attempt_id = %(attempt)s and not exists (
               select from telephone t where t.registrant_id = r.registrant_id and t.ended_at is null and (
                   select count(*) filter (where refused_as = %(gone)s) from (
                       select refused_as from call_attempt a
                       where a.number_hash = t.number_hash and outcome not in ('lost', 'congestion') and not exists (
                           select from alert where key = %(gone)s || ': trunk ' || a.trunk
                             and a.ended_at > raised_at - %(span)s and (over_at is null or a.ended_at < over_at))
                       order by a.id desc limit %(row)s) last) < %(row)s)
           order by n.id""",
        {"attempt": attempt_id, "gone": NO_SUCH_NUMBER, "span": SPAN, "row": IN_A_ROW},
    ).fetchall()
    for registrant_id in sorted({registrant_id for _, registrant_id in found}):
        alerts.add(
            conn,
            _number_of(registrant_id),
            f"Registrant {registrant_id} cannot be called: the network said {IN_A_ROW} times in a row that there is no"
            " such number. What waits for them is handed to you.",
            now=now,
        )
    return {notification_id for notification_id, _ in found}


def _number_of(registrant_id: int) -> str:
    return f"{NO_SUCH_NUMBER}: registrant {registrant_id}"
