"""Call attempts: one try each to reach one telephone. At most one is live for a telephone, so many for a trunk."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import ceil
from typing import Protocol

from psycopg import Connection
from psycopg.rows import class_row

from db import alerts, canary, notifications, proofs
from db.keys import Keyring
from db.notifications import Subject

AHEAD = timedelta(seconds=0.5)
"""How far ahead calls are claimed where their rate holds them back; whatever comes meanwhile waits no longer."""

READY = timedelta(seconds=0.2)
"""How long before its time a call is handed over: its leg is there by then, and waits for the time."""

SPREAD = timedelta(seconds=0.1)
"""By how much later than another one INVITE may come after its call's time, or after its leg was late to begin.

Measured on two cores for which ten processes were waiting: 13 ms in the middle, 50 ms for 9 of 10, 170 ms for 99 of
100; while the machine keeps up, 20 ms for 99 of 100. It costs a trunk that much of each second of its rate.
"""

LATE = timedelta(seconds=1)
"""How late what is not begun yet may still be begun, as far as the rate goes: a machine may have gone with it."""

AT_HAND = 50
"""How many calls may be claimed and not begun. More would wait for each other, for the server and its connections to
the database, until they are lost: a storm without limits was, by half. While more than half of them are there no others
are claimed: a claim reads all that waits, however few it takes."""

_LAST = 2**15 - 1  # the priority of proofs, after every notification's;
_SOON = 1  # and where they have waited for long, as if they were repeats of what is most urgent
WRONG_PINS = 10  # about one event at one telephone, over all calls, after which a person is told
_LINES = 0x4C494E  # "LIN": the advisory lock under which lines are counted (FACTS: SKIP LOCKED alone exceeds the limit)


class Capacity(Protocol):
    """What a trunk can carry: calls at the same time, and calls begun within a second."""

    @property
    def lines(self) -> int: ...

    @property
    def rate(self) -> float: ...


@dataclass(frozen=True)
class Carried(Subject):
    """A notification that is still open after an attempt that carried it."""

    notification_id: int
    first_call_at: datetime
    give_up_at: datetime
    place: int
    places: int
    lost_in_a_row: int
    left_over: bool  # whoever is to hear it confirmed other news in this call, which could not tell all of it


@dataclass(frozen=True)
class Confirmed:
    """How many notifications and proofs a PIN has ended."""

    notifications: int
    proofs: int


@dataclass(frozen=True)
class Begun:
    """How a call is made."""

    number: str = field(repr=False)
    trunk: str  # of the settings; empty for the test phone
    at: datetime  # when its trunk's rate lets it be dialled
    language: str  # of the registrant to whom the telephone belongs


@dataclass(frozen=True)
class Answered:
    """A call that somebody or something has picked up."""

    telephone: bytes  # the hash of its number
    language: str  # of the registrant to whom the telephone belongs
    deadline: datetime  # when it counts as lost


@dataclass(frozen=True)
class Ended:
    outcome: str
    trunk: str
    begun: bool
    refused_as: str | None
    answered: bool
    proof_waits: bool  # whether an open proof is for its telephone
    carried: list[Carried]


def claim(
    conn: Connection,
    *,
    trunks: Mapping[str, Capacity],
    host: str,
    begin_within: timedelta,
    now: datetime,
    down: Collection[str] = (),
) -> dict[int, datetime]:
    """Take what is due, as far as trunks have lines and their rate allows; return when each new attempt may be dialled.

    What is not begun ``begin_within`` that time is lost. ``trunks`` come in order of preference; of those the first
    that has not just refused the telephone is taken. Those that are ``down`` are left out, unless no other is left.

    The lowest priority goes first, then first calls, then repeats, and proofs last; after ``proofs.PATIENCE`` only
    behind first calls of what is most urgent, so that whoever waits for it still does. Within these the offenders take
    turns, whoever was called about last comes last, so that one about whom hundreds are called holds up nobody else's
    first call; then what has waited longest. A call that was lost, or that its trunk refused, was none: what it carried
    is still to be called first, and has waited since it was first due. The canary has a line of its own. ``now`` is
    this host's: the hosts' clocks must agree.
    """
    conn.execute("select pg_advisory_xact_lock(%s)", [_LINES])
    ways = [_way(list(trunks)[place:], down) for place in range(len(trunks))]
    room = {name: _room(conn, name, trunks[name].lines, trunks[name].rate, now=now) for name in set(ways)}
    ways.append(canary.TRUNK)
    room[canary.TRUNK] = _room(conn, canary.TRUNK, 1, 1, now=now)
    places = [place for place, name in enumerate(ways, start=1) if room[name]]
    times = [(name, nth, at) for name in room for nth, at in enumerate(room[name], start=1)]
    if not places:
        return {}
    rows = conn.execute(
        """with waiting as (
               select telephone_id, number_hash, case when rung then c.next_call_at else first_call_at end as since,
                      null::bigint as proof_id, n.id,
                      priority, rung, offender_id, least(next_trunk, %(trunks)s) as way
               from to_call c join notification n on n.id = notification_id
               join registration r on r.id = registration_id
               where c.next_call_at <= %(now)s and least(next_trunk, %(trunks)s) = any(%(open)s)
               union all
               select telephone_id, number_hash, next_call_at, p.id, p.id,
                      case when next_call_at <= %(now)s - %(patience)s then %(soon)s else %(last)s end,
                      next_call_at <= %(now)s - %(patience)s, null, way
               from proof p join telephone t on t.id = telephone_id join registrant r on r.id = registrant_id,
                    lateral (select case when canary then %(canary)s else least(next_trunk, %(trunks)s) end) w (way)
               where next_call_at <= %(now)s and way = any(%(open)s)
                 and (canary or (select count(*) from call_attempt c
                      where c.number_hash = t.number_hash and proof_id is not null
                        and dialled_at > %(now)s - %(day)s) < %(proofs)s)),
           due as (
               select distinct on (number_hash) * from waiting w
               where not exists (
                   select from call_attempt a where a.number_hash = w.number_hash and a.state <> 'ended')
               order by number_hash, priority, rung, since, id),
           in_turn as (
               select due.*, called_at,
                      row_number() over (partition by priority, rung, offender_id order by since, id) as turn
               from due left join turn using (offender_id)),
           ordered as (
               select in_turn.*, trunk,
                      row_number() over (
                          partition by trunk order by priority, rung, turn, called_at nulls first, since, id
                      ) as nth
               from in_turn
               join unnest(%(names)s::text[]) with ordinality as trunk (trunk, way) using (way)),
           chosen as (
               select * from ordered
               join unnest(%(trunk)s::text[], %(nth)s::int[], %(at)s::timestamptz[]) as room (trunk, nth, at)
                   using (trunk, nth)),
           turned as (
               insert into turn
               select distinct offender_id, %(now)s::timestamptz from chosen where offender_id is not null
               on conflict (offender_id) do update set called_at = excluded.called_at)
           insert into call_attempt (telephone_id, number_hash, proof_id, trunk, host, claimed_at, deadline)
           select telephone_id, number_hash, proof_id, trunk, %(host)s, at, at + %(begin_within)s
           from chosen order by at, priority
           returning id, claimed_at""",
        {
            "now": now,
            "soon": _SOON,
            "last": _LAST,
            "patience": proofs.PATIENCE,
            "names": ways,
            "trunk": [name for name, _, _ in times],
            "nth": [nth for _, nth, _ in times],
            "at": [at for _, _, at in times],
            "trunks": len(trunks),
            "canary": len(ways),
            "open": places,
            "host": host,
            "begin_within": begin_within,
            "day": proofs.DAY,
            "proofs": proofs.CALLS_A_DAY,
        },
    )
    claimed: dict[int, datetime] = dict(rows.fetchall())
    if claimed:
        notifications.carry(conn, claimed)
    return claimed


def _way(names: list[str], down: Collection[str]) -> str:
    """The first of these trunks that is not down; where all are, it is tried all the same."""
    return next((name for name in names if name not in down), names[0])


def _room(conn: Connection, trunk: str, lines: int, rate: float, *, now: datetime) -> list[datetime]:
    """When calls that are claimed for a trunk now may be dialled: as many as it has room for.

    Between any two is one ``rate``-th of a second. And each comes a second (or as long as the next whole number of
    calls takes) and ``SPREAD`` after the one that is so many calls before it, counted from when that one was begun and
    not from when it was to be. So no second has more INVITEs than the rate, unless legs are later than ``LATE``: what a
    server that stood still had at hand is dialled at once when it is back.
    A time that is further off than any claim or leg is of a clock that went wrong.
    """
    gap, among = timedelta(seconds=1 / rate), ceil(rate)
    row = conn.execute(
        """select count(*), count(*) filter (where state = 'claimed') from call_attempt
           where state <> 'ended' and trunk = %s""",
        [trunk],
    ).fetchone()
    live, at_hand = row or (0, 0)
    others = conn.execute(
        """select claimed_at,
                  greatest(claimed_at, least(coalesce(dialled_at, %(now)s), claimed_at + %(late)s) + %(spread)s)
           from call_attempt
           where trunk = %(trunk)s and claimed_at between %(since)s and %(ahead)s
             and (dialled_at is not null or state <> 'ended')""",
        {"now": now, "late": LATE, "spread": SPREAD, "trunk": trunk, "ahead": now + AHEAD,
         "since": now - among * gap - LATE - 2 * SPREAD},
    ).fetchall()  # fmt: skip
    begun = sorted(at for _, at in others)[-among:]
    at = max((claimed_at for claimed_at, _ in others), default=now - gap)
    by_hand = AT_HAND - at_hand if at_hand <= AT_HAND / 2 else 0
    times: list[datetime] = []
    for turn in range(min(lines - live, by_hand, among)):
        at = max(now, at + gap)
        if (before := turn + len(begun) - among) >= 0:
            at = max(at, begun[before] + among * gap + SPREAD)
        if at > now + AHEAD:
            break
        times.append(at)
    return times


def give_turn_back(conn: Connection, attempt_id: int) -> None:
    """The attempt was for nothing, and did not take the turn of those it was to tell of."""
    conn.execute(
        """delete from turn where offender_id in (
               select offender_id from attempt_carries join notification n on n.id = notification_id
               join registration r on r.id = registration_id where attempt_id = %s)""",
        [attempt_id],
    )


def begin(conn: Connection, keyring: Keyring, attempt_id: int, *, end_within: timedelta, now: datetime) -> Begun | None:
    """How to dial, once: None where the attempt is past its deadline, was begun, or has nothing left to tell."""
    row = conn.execute(
        """update call_attempt a set state = 'dialling', dialled_at = %(now)s, deadline = %(now)s + %(end_within)s
           from telephone t join registrant r on r.id = registrant_id
           where a.id = %(id)s and a.telephone_id = t.id and a.state = 'claimed' and deadline > %(now)s
             and exists (select 1 from attempt_carries join notification n on n.id = notification_id
                         where attempt_id = a.id and n.state = 'open'
                         union all select 1 from proof p where p.id = a.proof_id and p.state = 'open')
           returning number_cipher, key_id, trunk, claimed_at, language""",
        {"id": attempt_id, "end_within": end_within, "now": now},
    ).fetchone()
    return None if row is None else Begun(keyring.open(row[0], row[1]), *row[2:])


def answered(conn: Connection, attempt_id: int, *, now: datetime) -> Answered | None:
    """Note that somebody or something picked up; None where the call comes too late."""
    cursor = conn.cursor(row_factory=class_row(Answered))
    return cursor.execute(
        """update call_attempt a set state = 'answered', answered_at = %(now)s
           from telephone t join registrant r on r.id = registrant_id
           where a.id = %(id)s and t.id = telephone_id and state = 'dialling' and deadline > %(now)s
           returning a.number_hash as telephone, language, deadline""",
        {"id": attempt_id, "now": now},
    ).fetchone()


def note_refusal(conn: Connection, attempt_id: int, refused_as: str) -> None:
    """Keep what the network says beyond the call, though that counts as answered."""
    conn.execute("update call_attempt set refused_as = %s where id = %s and state <> 'ended'", [refused_as, attempt_id])


def note_answered_by(conn: Connection, attempt_id: int, who: str) -> None:
    """Keep what seems to have picked up: a person, who pressed a key; a machine, which talked on; or it is unknown."""
    conn.execute(
        "update call_attempt set answered_by = %s where id = %s and state = 'answered'",
        [who, attempt_id],
    )


def note_heard(conn: Connection, attempt_id: int, *, until: datetime) -> None:
    """Keep until when whoever picked up was spoken to."""
    conn.execute(
        "update call_attempt set heard_until = %s where id = %s and state = 'answered'",
        [until, attempt_id],
    )


def count_wrong_pin(conn: Connection, attempt_id: int, *, now: datetime) -> None:
    """A PIN was entered that is nobody's there. Calls go on, however many; after ten for one event a person is told."""
    conn.execute(
        """update call_attempt set wrong_pins = wrong_pins + 1, answered_by = 'person'
           where id = %s and state = 'answered'""",
        [attempt_id],
    )
    for event_id, registrant_id in conn.execute(
        """select event_id, min(registrant_id)
           from call_attempt this
           join telephone t on t.id = this.telephone_id
           join call_attempt a on a.number_hash = this.number_hash
           join (select distinct attempt_id, event_id from attempt_carries
                 join notification n on n.id = notification_id) carried on carried.attempt_id = a.id
           where this.id = %(attempt)s and event_id in (
               select event_id from attempt_carries join notification n on n.id = notification_id
               where attempt_id = %(attempt)s and n.state = 'open')
           group by event_id having sum(a.wrong_pins) >= %(most)s order by event_id""",
        {"attempt": attempt_id, "most": WRONG_PINS},
    ).fetchall():
        alerts.add(
            conn,
            f"wrong PINs: event {event_id}, registrant {registrant_id}",
            f"{WRONG_PINS} wrong PINs were entered in calls about event {event_id} to registrant {registrant_id}:"
            " somebody else answers there, or the PIN is forgotten. Calls go on. When they call:"
            " movans registrant show, then pin or end.",
            now=now,
        )


def confirm(conn: Connection, attempt_id: int, registrant_id: int, event_ids: list[int], *, now: datetime) -> Confirmed:
    """Confirm what was heard in this call, and that the telephone is the registrant's; a second time changes nothing.

    Whether it came in time was decided by its call, before it was journalled: here the attempt may have ended as lost.
    """
    row = conn.execute("select number_hash from call_attempt where id = %s for update", [attempt_id]).fetchone()
    ended = Confirmed(
        notifications.confirm(conn, registrant_id, event_ids, now=now),
        proofs.prove(conn, registrant_id, row[0], now=now) if row else 0,
    )
    if ended.notifications or ended.proofs:
        conn.execute(
            "update call_attempt set confirmed_at = %s, answered_by = 'person' where id = %s and state <> 'ended'",
            [now, attempt_id],
        )
    return ended


def end(
    conn: Connection,
    attempt_id: int,
    outcome: str | None,
    cause: str,
    *,
    sip_code: int | None = None,
    refused_as: str | None = None,
    now: datetime,
    unless_it_lasts: bool = False,
) -> Ended | None:
    """End the attempt; return its outcome and what it left open, or None where it has ended already.

    A confirmed call is confirmed, however it ended, and one that broke off on our side is lost. Without an outcome it
    was answered, and not confirmed, by a machine or by somebody; where nobody of ours had spoken, it was lost. What was
    begun and is not past its deadline may last.
    """
    row = conn.execute(
        """update call_attempt a set state = 'ended', ended_at = %(now)s,
               sip_code = coalesce(%(sip_code)s, sip_code), refused_as = coalesce(%(refused_as)s, refused_as),
               cause = coalesce(lost_because, case when state = 'dialling' and %(outcome)s::text is null
                                                   then 'was answered, and nobody spoke' end, %(cause)s),
               heard_until = coalesce(heard_until, case when answered_at is not null and %(outcome)s::text is null
                                                        then %(now)s end),
               outcome = case when confirmed_at is not null then 'confirmed' when lost_because is not null then 'lost'
                         when state = 'dialling' then coalesce(%(outcome)s::text, 'lost')
                         when answered_by = 'machine' then coalesce(%(outcome)s::text, 'machine')
                         else coalesce(%(outcome)s::text, 'not confirmed') end
           where id = %(id)s and state <> 'ended'
             and (state = 'claimed' or deadline <= %(now)s or not %(unless_it_lasts)s)
           returning outcome, trunk, dialled_at is not null, refused_as, answered_at is not null,
                     exists (select from telephone t join proof p on p.telephone_id = t.id and p.state = 'open'
                             where t.number_hash = a.number_hash and t.ended_at is null)""",
        {
            "id": attempt_id,
            "outcome": outcome,
            "cause": cause,
            "sip_code": sip_code,
            "refused_as": refused_as,
            "now": now,
            "unless_it_lasts": unless_it_lasts,
        },
    ).fetchone()
    if row is None:
        return None
    cursor = conn.cursor(row_factory=class_row(Carried))
    carried = cursor.execute(
        """select n.id as notification_id, k.kind, class as urgency, agency, first_call_at, give_up_at,
                  coalesce((select place from telephone t where t.registrant_id = r.registrant_id
                            and t.number_hash = this.number_hash and t.ended_at is null), next_place) as place,
                  (select coalesce(max(place), 1) from telephone t
                   where t.registrant_id = r.registrant_id and t.ended_at is null) as places,
                  case when this.outcome = 'lost' then
                      (select count(*) from attempt_carries c join call_attempt a on a.id = c.attempt_id
                       where c.notification_id = n.id and outcome = 'lost' and a.id > coalesce(
                           (select max(a.id) from attempt_carries c join call_attempt a on a.id = c.attempt_id
                            where c.notification_id = n.id and outcome <> 'lost'), 0)) else 0 end as lost_in_a_row,
                  exists (select from attempt_carries c join notification told on told.id = c.notification_id
                          join registration theirs on theirs.id = told.registration_id
                          where c.attempt_id = this.id and theirs.registrant_id = r.registrant_id
                            and told.state = 'confirmed' and told.ended_at = this.confirmed_at) as left_over
           from call_attempt this join attempt_carries on attempt_id = this.id
           join notification n on n.id = notification_id
           join registration r on r.id = registration_id
           join event_kind k on k.kind = n.called_as
           join custody_event e on e.id = n.event_id join offender o on o.id = e.offender_id
           where this.id = %s and n.state = 'open' and next_call_at is not null
           order by n.id for update of n""",
        [attempt_id],
    ).fetchall()
    return Ended(*row, carried=carried)


def goes_on(conn: Connection, attempt_id: int, *, until: datetime, now: datetime) -> bool:
    """The call may last longer than others: move its deadline. False where that has passed."""
    return (
        conn.execute(
            "update call_attempt set deadline = %s where id = %s and state = 'answered' and deadline > %s",
            [until, attempt_id, now],
        ).rowcount
        > 0
    )


def broke_off(conn: Connection, attempt_id: int, why: str, *, over_within: timedelta, now: datetime) -> None:
    """Note that the conversation ended on our side; the call, which is over ``over_within`` that time, was lost."""
    conn.execute(
        """update call_attempt set lost_because = %(why)s, deadline = least(deadline, %(now)s + %(over_within)s)
           where id = %(id)s and state = 'answered'""",
        {"id": attempt_id, "why": why, "over_within": over_within, "now": now},
    )


def left_by(conn: Connection, hosts: Collection[str], *, now: datetime) -> list[int]:
    """What these hosts, which are away, have claimed and not begun to dial, or begun, and its deadline has passed."""
    rows = conn.execute(
        """select id from call_attempt
           where state <> 'ended' and host = any(%s) and (state = 'claimed' or deadline <= %s) order by id""",
        [list(hosts), now],
    )
    return [row[0] for row in rows]


def being_spoken(conn: Connection, host: str) -> list[int]:
    """The host's attempts that somebody picked up and that have not ended."""
    rows = conn.execute("select id from call_attempt where state = 'answered' and host = %s order by id", [host])
    return [row[0] for row in rows]


def overdue(conn: Connection, *, now: datetime) -> list[int]:
    """The live attempts whose deadline has passed: whatever became of them, nobody will say."""
    return [
        row[0]
        for row in conn.execute(
            "select id from call_attempt where state <> 'ended' and deadline <= %s order by deadline", [now]
        )
    ]
