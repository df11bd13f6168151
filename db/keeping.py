"""What is forgotten: each function removes up to so many rows that are older than some moment, and says how many.

Each is a small transaction of its own, so that nobody waits for it. What somebody works on at that moment waits.
"""

from collections.abc import Callable
from datetime import datetime

from psycopg import Connection

Remove = Callable[..., int]


def registrations(conn: Connection, *, before: datetime, most: int) -> int:
    """Registrations that ended before then, with what their registrants were told."""
    return conn.execute(
        """with old as (
               select id from registration where ended_at < %s order by ended_at limit %s for update skip locked),
           told as (select n.id from notification n join old on old.id = registration_id),
           carried as (delete from attempt_carries where notification_id in (select id from told)),
           ended as (delete from notification where id in (select id from told))
           delete from registration where id in (select id from old)""",
        [before, most],
    ).rowcount


def registrants(conn: Connection, *, before: datetime, most: int) -> int:
    """Registrants of whom no registration is left, with their telephones, as soon as no call to these is kept."""
    return conn.execute(
        """with old as (
               select id from registrant r where created_at < %s and not canary
                 and not exists (select from registration where registrant_id = r.id)
                 and not exists (select from telephone t where registrant_id = r.id and (
                     exists (select from call_attempt where telephone_id = t.id)
                     or exists (select from proof where telephone_id = t.id and state = 'open')))
               order by id limit %s for update skip locked),
           theirs as (select t.id from telephone t join old on old.id = registrant_id),
           proven as (delete from proof where telephone_id in (select id from theirs)),
           called as (delete from telephone where id in (select id from theirs))
           delete from registrant where id in (select id from old)""",
        [before, most],
    ).rowcount


def attempts(conn: Connection, *, before: datetime, most: int) -> int:
    """Calls that ended before then, but not what was done so far about a notification that is open."""
    return conn.execute(
        """with old as (
               select id from call_attempt a where ended_at < %s and not exists (
                   select from attempt_carries c join notification n on n.id = notification_id
                   where attempt_id = a.id and n.state = 'open')
               order by ended_at limit %s for update skip locked),
           carried as (delete from attempt_carries where attempt_id in (select id from old))
           delete from call_attempt where id in (select id from old)""",
        [before, most],
    ).rowcount


def proofs(conn: Connection, *, before: datetime, most: int) -> int:
    """Proofs that ended before then, and of which no call is kept."""
    return conn.execute(
        """delete from proof where id in (
               select id from proof p where ended_at < %s and not exists (
                   select from call_attempt where proof_id = p.id)
               order by id limit %s for update skip locked)""",
        [before, most],
    ).rowcount


def callers(conn: Connection, *, before: datetime, most: int) -> int:
    """From which numbers people registered."""
    return conn.execute(
        "delete from registering where id in (select id from registering where at < %s order by at limit %s)",
        [before, most],
    ).rowcount


def wrong_pins(conn: Connection, *, before: datetime, most: int) -> int:
    """For which numbers wrong PINs were tried."""
    return conn.execute(
        "delete from wrong_pin where id in (select id from wrong_pin where at < %s order by id limit %s)",
        [before, most],
    ).rowcount


def refusals(conn: Connection, *, before: datetime, most: int) -> int:
    """Who did not ask for calls, where staff have lifted it; what is not lifted bars the number and stays."""
    return conn.execute(
        "delete from refusal where id in (select id from refusal where lifted_at < %s order by id limit %s)",
        [before, most],
    ).rowcount


def rows_aside(conn: Connection, *, before: datetime, most: int) -> int:
    """Rows of feeds that were put aside; that there were some, and how many, stays."""
    return conn.execute(
        """delete from feed_row_aside where (feed_run_id, row) in (
               select feed_run_id, row from feed_row_aside join feed_run r on r.id = feed_run_id
               where started_at < %s order by feed_run_id, row limit %s)""",
        [before, most],
    ).rowcount


def held_runs(conn: Connection, *, before: datetime, most: int) -> int:
    """Files of runs that were held, once a person or a newer file has decided; the run stays, and what was rejected."""
    return conn.execute(
        """with old as (
               select feed_run_id as id from held_run join feed_run r on r.id = feed_run_id
               where feed_run_id not in (select id from undecided) and started_at < %s
               order by feed_run_id limit %s),
           news as (delete from held_news where feed_run_id in (select id from old)),
           changes as (delete from held_change where rejected_at is null and feed_run_id in (select id from old))
           delete from held_run where feed_run_id in (select id from old)""",
        [before, most],
    ).rowcount


def court_said(conn: Connection, *, before: datetime, most: int) -> int:
    """What courts said of dates that were over then, and that were in no calendar since; the date and its events stay.

    What was said of such a date is not withdrawn any more.
    """
    return conn.execute(
        """delete from court_said where id in (
               select s.id from court_said s join court_event e on e.id = court_event_id
               where e.planned_at < %(before)s and e.known_at < %(before)s and not exists (
                   select from court_said where court_event_id = e.id and planned_at >= %(before)s)
               order by s.id limit %(most)s)""",
        {"before": before, "most": most},
    ).rowcount


def alerts(conn: Connection, *, before: datetime, most: int) -> int:
    """Alerts that are over since then."""
    return conn.execute(
        "delete from alert where id in (select id from alert where over_at < %s order by over_at limit %s)",
        [before, most],
    ).rowcount
