"""The tables that the command line prints."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from psycopg import Connection
from rich import box
from rich.table import Table
from rich.text import Text

from db import overview
from db.keys import Keyring
from db.staff import Known, Wanted
from feed.run import Report

if TYPE_CHECKING:
    from prompts.script import Line

ROWS = 40
FREE_TEXT = {"name", "about", "facility", "cause", "words"}  # may be broken into lines


def changes(report: Report, zone: ZoneInfo) -> Table:
    """What an import changed, a line a change."""
    table = _table("", "row", "offender", "name", "what", "facility", "at", "calls")
    for line in report.lines[:ROWS]:
        record, change = line.record, line.change
        what = change.kind if change.what == "news" else f"{change.kind}: corrected"
        name = f"{record.person.last_name}, {record.person.first_name}" if record.person else ""
        _row(
            table, str(record.row), f"{record.agency} {record.number}", name, what + (" (late)" if change.late else ""),
            record.where, _time(record.when, zone), str(line.notifications),
        )  # fmt: skip
    if len(report.lines) > ROWS:
        _row(table, "…", f"and {len(report.lines) - ROWS} more")
    return table


def aside(report: Report) -> list[str]:
    """The rows that were not believed and put aside, and why."""
    if not report.quarantined:
        return []
    mistakes = [mistake for bad in report.quarantined for mistake in bad.mistakes]
    more = [f"and {len(mistakes) - ROWS} more mistakes"] if len(mistakes) > ROWS else []
    many = "1 row was" if len(report.quarantined) == 1 else f"{len(report.quarantined)} rows were"
    return [
        *mistakes[:ROWS],
        *more,
        f"{many} put aside and not applied; all are in the table feed_row_aside. Correct them and send them again.",
    ]


def summary(report: Report) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(report.kinds.items())) or "nothing changed"
    repeated = f" ({report.repeated} repeated)" if report.repeated else ""
    rows = "1 row" if report.rows == 1 else f"{report.rows} rows"
    strange = f", {report.strangers} of people whom no jail has told us of" if report.strangers else ""
    wrong = f"; {len(report.quarantined)} put aside" if report.quarantined else ""
    return (
        f"{rows}{repeated}: {kinds}; {report.unchanged} as known{strange}{wrong}. {report.notifications} to be called."
    )


def waiting(conn: Connection, keyring: Keyring, zone: ZoneInfo) -> Table:
    table = _table("Waiting to be told", "telephone", "about", "what", "since", "calls", "next call")
    for item in overview.waiting(conn, most=ROWS):
        soon = "handed to staff" if item.next_call_at is None else _time(item.next_call_at, zone)
        _row(
            table, overview.masked(keyring, item.number_cipher, item.key_id),
            f"{item.last_name}, {item.first_name} ({item.agency})", item.kind, _time(item.created_at, zone),
            str(item.attempts), "now on the line" if item.live else soon,
        )  # fmt: skip
    return table


def attempts(conn: Connection, keyring: Keyring, zone: ZoneInfo) -> Table:
    table = _table("Last call attempts", "attempt", "telephone", "begun", "seconds", "outcome", "cause")
    for item in overview.tried(conn, most=ROWS):
        _row(
            table, str(item.id), overview.masked(keyring, item.number_cipher, item.key_id),
            _time(item.claimed_at, zone), _seconds(item.answered_at, item.ended_at),
            item.outcome or item.state, item.cause,
        )  # fmt: skip
    return table


def registrants(known: list[Known], wanted: list[Wanted], zone: ZoneInfo) -> Table:
    """Who is registered with one telephone, and for whom: a line for each registration."""
    table = _table("", "registrant", "since", "language", "telephone", "registration", "about")
    for one in known:
        state = "not proven"
        if one.ended_at:
            state = "ended: not wanted there"
        elif one.proven_at:
            state = f"proven {_time(one.proven_at, zone)}" + (", refused" if one.refused else "")
        theirs = [item for item in wanted if item.registrant_id == one.id]
        person = [str(one.id), _time(one.created_at, zone), one.language, state]
        for item in theirs:
            about = f"{item.last_name}, {item.first_name} ({item.agency} {item.number})"
            _row(table, *person, str(item.id), about)
        if not theirs:
            _row(table, *person, "none", "")
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


def _seconds(answered_at: datetime | None, ended_at: datetime | None) -> str:
    """How long somebody or something was on the line."""
    return str(round((ended_at - answered_at).total_seconds())) if answered_at and ended_at else ""


def _time(at: datetime | None, zone: ZoneInfo) -> str:
    return at.astimezone(zone).strftime("%b %d %H:%M") if at else ""
