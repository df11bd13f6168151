"""The tables that the command line prints."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from psycopg import Connection
from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from db import overview
from db.alerts import Alert
from db.custody import PLANS, Told
from db.held import Held
from db.keys import Keyring
from db.notifications import Plan
from db.overview import ForStaff
from db.staff import Act, Known, Wanted
from dialer.schedule import NextCall
from feed.report import Disagreeing, Report
from movans.feeds import Seen
from movans.settings import Outbound

if TYPE_CHECKING:
    from prompts.script import Line

ROWS = 40
PAGE = 160  # signs in a line of a report that is a file
MISTAKES = 1000
SOME = 8
FREE_TEXT = {"name", "about", "facility", "cause", "words", "says", "what was done"}  # may be broken into lines


def changes(report: Report, zone: ZoneInfo, most: int = ROWS) -> Table:
    """What an import changed, a line a change."""
    table = _table("", "row", "offender", "name", "what", "facility", "at", "calls")
    for line in report.lines[:most]:
        record, change = line.record, line.change
        what = change.kind if change.what == "news" else f"{change.kind}: corrected"
        name = f"{record.person.last_name}, {record.person.first_name}" if record.person else ""
        _row(
            table, str(record.row or ""), f"{record.agency} {record.number}", name,
            what + (" (late)" if change.late else ""), record.where,
            _planned(change.kind, change.planned_at, zone) or _time(record.when, zone), str(line.notifications),
        )  # fmt: skip
    if report.events > most:
        _row(table, "…", f"and {report.events - most} more")
    return table


def whole(report: Report, zone: ZoneInfo) -> str:
    """All that there is to say of an import, as a text: the last line sums it up."""
    page = Console(file=StringIO(), width=PAGE)
    with page.capture() as table:
        if report.lines:
            page.print(changes(report, zone))
    return table.get() + "\n".join([*aside(report), *replaced(report), *disagreements(report, zone), summary(report)])


def aside(report: Report, *, is_held: bool = False) -> list[str]:
    """The rows that were not believed and put aside, and why; of a run that is held, those that would be."""
    if not report.quarantined:
        return []
    mistakes = [mistake for bad in report.quarantined for mistake in bad.mistakes]
    more = [f"and {len(mistakes) - ROWS} more mistakes"] if len(mistakes) > ROWS else []
    many = "1 row" if len(report.quarantined) == 1 else f"{len(report.quarantined)} rows"
    was = "was" if len(report.quarantined) == 1 else "were"
    says = f"{many} {was} put aside and not applied; all are in the table feed_row_aside."
    if is_held:
        says = f"{many} would be put aside and not applied, whatever is decided."
    unnamed = f"Of {report.unnamed} nobody can read whose they are: nobody counts as missing in this file."
    says += " Correct them and send them again."
    return [*mistakes[:ROWS], *more, says, *([unnamed] if report.unnamed else [])]


def replaced(report: Report) -> list[str]:
    """The numbers whose person has another name, or is somebody else, and who it was."""
    wrong = ": whoever is registered for the one is called of the other"
    found = [f"row {one.record.row}: {one}{wrong if one.what == 'replaced' else ''}" for one in report.replaced]
    more = report.kinds["renamed"] + report.kinds["replaced"] - len(found[:ROWS])
    return found[:ROWS] + ([f"and {more:,} more who have another name, or are somebody else"] if more else [])


def disagreements(report: Report, zone: ZoneInfo) -> list[str]:
    """The rows that say something else than what holds: what staff said, a release, or another booking."""
    found = [
        f"row {one.row}: {one.agency} {one.number} is released from booking {one.details.get('booking_number')}; but a"
        " booking in the same file holds them, so they count as in custody, and nobody is called"
        for one in report.held_on
    ]
    found += [_disagrees(one, zone) for one in report.disagreeing.values()]
    return found[:ROWS] + ([f"and {len(found) - ROWS} more of which something else holds"] if len(found) > ROWS else [])


def _disagrees(one: Disagreeing, zone: ZoneInfo) -> str:
    whose, told = f"{one.record.agency} {one.record.number}", one.record.custody
    who_said = "staff have said" if one.holds.by_staff else "a feed has said"
    holds = f"but {who_said} {one.holds.status!r} since {moment(one.holds.effective_at, zone)}, which"
    if one.is_missing:
        return f"{whose} is not in the last two snapshots; {holds} holds: movans custody show"
    says = f"is {told.status!r} since {moment(told.since, zone)}, as the file says"
    return f"row {one.record.row}: {whose} {says}; {holds} is later and holds: movans custody show"


def summary(report: Report) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(report.kinds.items())) or "nothing changed"
    repeated = f" ({report.repeated} repeated)" if report.repeated else ""
    repeated += f" ({report.other_bookings} of other bookings)" if report.other_bookings else ""
    rows = f"Run {report.run_id}, {'1 row' if report.rows == 1 else f'{report.rows} rows'}"
    strange = f", {report.strangers} of people whom no jail has told us of" if report.strangers else ""
    wrong = f"; {len(report.quarantined)} put aside" if report.quarantined else ""
    if report.ignored:
        words = ", ".join(f"{many} {word!r}" for word, many in sorted(report.ignored.items()))
        wrong += f"; ignored are {words}"
    wrong += "".join(f"; {many} {what} before" for what, many in sorted(report.again.items()))
    wrong += f"; {report.passed_over} passed over" if report.passed_over else ""
    return (
        f"{rows}{repeated}: {kinds}; {report.unchanged} as known{strange}{wrong}. {report.notifications} to be called."
    )


def feeds(seen: Sequence[Seen], zone: ZoneInfo) -> Table:
    """Every feed, and what came by it last."""
    table = _table(
        "", "feed", "state", "last run", "came", "age", "every", "rows", "aside", "changes", "calls", "held", "refused"
    )
    for one in seen:
        came = one.came
        numbers = [came.rows, came.put_aside, came.events, came.notifications] if came else [""] * 4
        age = one.age - timedelta(microseconds=one.age.microseconds) if one.age is not None else ""
        name = one.feed.name if "/" in one.feed.name else f"{one.feed.name} (by hand)"
        _row(
            table, name, one.state, str(came.id) if came else "", _time(came.started_at, zone) if came else "",
            str(age), str(one.feed.interval), *map(str, numbers), str(one.counts.held), str(one.counts.refused),
        )  # fmt: skip
    return table


def held_run(one: Held, zone: ZoneInfo) -> str:
    """A run that is held, and why, in a paragraph."""
    told = f" Its releases and escapes went out as not yet confirmed {_time(one.reported_at, zone)}."
    left = (
        f" It is not held any more, but {one.unconfirmed:,} of these are neither confirmed nor withdrawn: movans feed"
        f" approve {one.id} confirms them, movans feed reject {one.id} withdraws them."
    )
    return (
        f"Run {one.id}: {one.file}, {one.feed or 'by hand'}, came {_time(one.started_at, zone)}, held because of"
        f" {'; '.join(one.because)}.{told if one.reported_at else ''}{'' if one.is_held else left}"
    )


def held_changes(report: Report, zone: ZoneInfo) -> Group:
    """What a held run would do: by kind and facility, some of it, and how many would be called."""
    table = _table("It would make", "what", "facility", "people", "notifications")
    for (what, facility), effect in sorted(report.effects.items(), key=lambda one: (-one[1].people, one[0])):
        _row(table, what, facility, str(effect.people), str(effect.notifications))
    missing = f"{len(report.missing)} are missing in it. " if report.missing else ""
    says = f"{missing}{'1 person' if report.people == 1 else f'{report.people:,} people'} would be called."
    return Group(table, changes(report, zone, most=SOME), Text(says))


def waiting(conn: Connection, keyring: Keyring, zone: ZoneInfo, most: int = ROWS) -> Table:
    table = _table("Waiting to be told", "telephone", "about", "what", "since", "calls", "next call")
    for item in overview.waiting(conn, most=most):
        soon = "handed to staff" if item.next_call_at is None else _time(item.next_call_at, zone)
        _row(
            table, overview.masked(keyring, item.number_cipher, item.key_id),
            f"{item.last_name}, {item.first_name} ({item.agency})", item.kind, _time(item.created_at, zone),
            str(item.attempts), "now on the line" if item.live else soon,
        )  # fmt: skip
    return table


def attempts(conn: Connection, keyring: Keyring, zone: ZoneInfo) -> Table:
    table = _table("Last call attempts", "attempt", "telephone", "begun", "answered by", "seconds", "outcome", "cause")
    for item in overview.tried(conn, most=ROWS):
        _row(
            table, str(item.id), overview.masked(keyring, item.number_cipher, item.key_id),
            _time(item.claimed_at, zone), item.answered_by or "", _seconds(item.answered_at, item.heard_until),
            _became(item), item.cause,
        )  # fmt: skip
    return table


def watched(
    conn: Connection, keyring: Keyring, outbound: Mapping[str, Outbound], zone: ZoneInfo, *, now: datetime
) -> Group:
    """The work as it is at this moment, to be looked at again and again."""
    lines = _table("Lines", "trunk", "in use", "of", "calls in the last minute", "at most")
    loads = {item.trunk: item for item in overview.load(conn, now=now)}
    for name in [*outbound, *sorted(set(loads) - set(outbound))]:
        load, known = loads.get(name), outbound.get(name)
        _row(
            lines, name or "test phone", str(load.live if load else 0), str(known.lines) if known else "",
            str(load.begun if load else 0), f"{known.rate * 60:g}" if known else "",
        )  # fmt: skip
    queues = _table("Waiting", "priority", "now", "later", "with staff", "oldest")
    for queue in overview.queues(conn, now=now):
        _row(
            queues, "proofs" if queue.priority is None else str(queue.priority), str(queue.due), str(queue.later),
            str(queue.with_staff), _ago(queue.oldest, now),
        )  # fmt: skip
    failures = _table("Reached nobody within the last hour", "outcome", "cause", "trunk", "calls")
    for failure in overview.failures(conn, now=now)[:SOME]:
        _row(failures, failure.outcome, failure.cause, failure.trunk, str(failure.calls))
    hosts = _table("Hosts", "name", "calls", "last sign")
    for host in overview.hosts(conn):
        _row(hosts, host.name, str(host.live), _ago(host.beat_at, now))
    return Group(lines, queues, waiting(conn, keyring, zone, most=SOME), failures, hosts)


def registrants(known: list[Known], wanted: list[Wanted], zone: ZoneInfo) -> Table:
    """Who is registered with one telephone, and for whom: a line for each registration."""
    table = _table("", "registrant", "since", "language", "telephone", "registration", "about", "told of")
    for one in known:
        state = "not proven"
        if one.ended_at:
            state = "ended: not wanted there" if one.refused else "ended: another one replaced it"
        elif one.proven_at:
            state = f"proven {_time(one.proven_at, zone)}" + (", refused" if one.refused else "")
        theirs = [item for item in wanted if item.registrant_id == one.id]
        person = [str(one.id), _time(one.created_at, zone), one.language, state]
        for item in theirs:
            about = f"{item.last_name}, {item.first_name} ({item.agency} {item.number})"
            _row(table, *person, str(item.id), about, item.about)
        if not theirs:
            _row(table, *person, "none", "", "")
    return table


def history(told: Sequence[Told], zone: ZoneInfo) -> Table:
    """What happened to an offender, and who told it."""
    table = _table("", "event", "run", "at", "what", "status", "facility", "planned", "told by", "recorded", "calls")
    for one in told:
        planned = f"{_planned(one.kind, one.planned_at, zone)} {one.place}".strip()
        by = f"staff: {one.who}" if one.who else " ".join(filter(None, [one.feed, one.file])) or "this service"
        _row(
            table, str(one.id), str(one.run_id or ""), _day_and_time(one.effective_at, zone), _what(one), one.status,
            one.facility, planned, by, _day_and_time(one.recorded_at, zone), str(one.notifications),
        )  # fmt: skip
    return table


def _what(one: Told) -> str:
    if one.is_withdrawn:
        return f"{one.kind} (withdrawn)"
    return one.kind if one.is_confirmed else f"{one.kind} (not confirmed)"


def to_do(items: Sequence[ForStaff], keyring: Keyring, zone: ZoneInfo, *, reveal: bool) -> Table:
    """What staff must see to, all of it."""
    table = _table(
        "To be told by a person", "notification", "telephone", "about", "what", "since", "calls", "next call"
    )
    show = overview.clear if reveal else overview.masked
    for item in items:
        numbers = [show(keyring, cipher, key_id) for cipher, key_id in zip(item.ciphers, item.key_ids, strict=True)]
        soon = f"none: handed over {_time(item.handed_over_at, zone)}" if item.handed_over_at else ""
        _row(
            table, str(item.id), "\n".join(numbers),
            f"{item.last_name}, {item.first_name} ({item.agency} {item.number})", item.kind,
            _time(item.created_at, zone), str(item.attempts), soon or _time(item.next_call_at, zone),
        )  # fmt: skip
    return table


def acts(done: Sequence[Act], zone: ZoneInfo) -> Table:
    """What staff did."""
    table = _table("", "at", "who", "what was done", "registrant")
    for one in done:
        _row(table, _day_and_time(one.at, zone), one.who, one.what, str(one.registrant_id or ""))
    return table


def still_alerts(alerts: Sequence[Alert], zone: ZoneInfo) -> Table:
    table = _table("Alerts", "alert", "since", "told", "says")
    for alert in alerts:
        _row(table, str(alert.id), _time(alert.raised_at, zone), _time(alert.told_at, zone) or "not yet", alert.says)
    return table


def timeline(plan: Plan, calls: Sequence[NextCall], known_at: datetime, zone: ZoneInfo) -> Table:
    """The calls about one event, and when staff are told while they go on."""
    table = _table("", "call", "at", "after", "telephone")
    staff_at = plan.staff_at
    for number, call in enumerate(calls, start=1):
        if staff_at and staff_at < call.at:
            _row(table, "", moment(staff_at, zone), _since(known_at, staff_at), "staff are told; calls go on")
            staff_at = None
        _row(table, str(number), moment(call.at, zone), _since(known_at, call.at), str(call.place))
    return table


def script(lines: "Sequence[Line]") -> Table:
    """What can be recorded, all of it; a length with ~ is an estimate."""
    table = _table("", "id", "words", "seconds", "recording")
    for line in lines:
        _row(table, line.prompt, line.words, f"{'~' if line.estimated else ''}{line.seconds:.1f}", line.recording)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    for column in columns:
        free = column in FREE_TEXT
        table.add_column(column, overflow="fold", no_wrap=not free, min_width=10 if free else None)
    return table


def _row(table: Table, *cells: str) -> None:
    # As Text: what comes from files is never read as markup.
    table.add_row(*(Text(cell) for cell in cells))


def _became(item: overview.Tried) -> str:
    became = item.refused_as or item.outcome or item.state
    if item.wrong_pins:
        became += f", {item.wrong_pins} wrong PIN{'s' if item.wrong_pins > 1 else ''}"
    return became


def _seconds(answered_at: datetime | None, heard_until: datetime | None) -> str:
    """How long somebody or something was spoken to."""
    return str(round((heard_until - answered_at).total_seconds())) if answered_at and heard_until else ""


def moment(at: datetime, zone: ZoneInfo) -> str:
    """A day and time as people read it."""
    return at.astimezone(zone).strftime("%a %b %d %Y %H:%M %Z")


def _planned(kind: str, at: datetime | None, zone: ZoneInfo) -> str:
    """When what is to come is; of a release only the day is known."""
    if at is None:
        return ""
    return f"{at.astimezone(UTC):%a %b %d %Y}" if kind in PLANS else moment(at, zone)


def _day_and_time(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%Y-%m-%d %H:%M")


def _since(begin: datetime, at: datetime) -> str:
    minutes = round((at - begin).total_seconds() / 60)
    return f"{minutes // 60}:{minutes % 60:02}"


def _ago(at: datetime | None, now: datetime) -> str:
    """How long ago, in hours, minutes and seconds."""
    return str(timedelta(seconds=max(0, round((now - at).total_seconds())))) if at else ""


def _time(at: datetime | None, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%b %d %H:%M") if at else ""
