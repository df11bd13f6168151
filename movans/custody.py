"""``movans custody``: what staff say of offenders when no feed does. Every act is recorded.

Times are read by the agency's clock, and what is said is checked as a row of a file is.
"""

from collections.abc import Iterable

import click
from psycopg import Connection, Rollback

from db import custody as offenders
from db.custody import Custody, Offender
from feed import custody as rows
from feed import override
from feed.cells import Wrong, one_line
from feed.override import Said
from feed.records import CustodyRecord, Rules
from movans import tables
from movans.console import err, out
from movans.staff import who
from movans.wiring import House, now

_CALLED = {
    "agency": "AGENCY",
    "offender_number": "NUMBER",
    "status": "STATUS",
    "changed_at": "--at",
    "facility": "--facility",
    "last_name": "--last",
    "first_name": "--first",
    "middle_name": "--middle",
    "date_of_birth": "--born",
}
_AT = click.option(
    "--at", required=True, metavar="TIME", help="Since when, as '2026-11-15 09:40', by the agency's clock."
)
_QUIET = click.option("--quiet", is_flag=True, help="Call nobody about it, unless a feed says it of a later time.")
_YES = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group()
def custody() -> None:
    """Offenders, where no feed tells of them: say where somebody is, and see who told what."""


@custody.command("set")
@click.argument("agency")
@click.argument("number")
@click.argument("status")
@_AT
@click.option("--facility", default="", help="Where they are, or were last. Left out: where they were known to be.")
@_QUIET
@_YES
@click.pass_context
def set_(
    context: click.Context, agency: str, number: str, status: str, at: str, facility: str, *, quiet: bool, yes: bool
) -> None:
    """Say what holds of an offender: in custody, released, escaped, on furlough or deceased.

    Whoever is registered for them is called, as about a feed's news. A feed changes it only by what is of a later time.
    """
    house = House.at(context.obj)
    with house.database() as db, db.connection() as conn:
        agencies = ", ".join(house.settings.agencies)
        known = _find(
            conn, agency, number, f", and the agencies are {agencies}; correct it, or make one with movans custody add"
        )
    who_and_where = {"last_name": known.last_name, "facility": facility or known.facility}
    record = _record(house, agency=agency, offender_number=number, status=status, changed_at=at, **who_and_where)
    _say(house, record, quiet=quiet, yes=yes)


@custody.command()
@click.argument("agency")
@click.argument("number")
@click.argument("status")
@_AT
@click.option("--facility", required=True, help="Where they are, as the settings name it.")
@click.option("--last", required=True, help="The last name.")
@click.option("--first", required=True, help="The first name.")
@click.option("--middle", default="", help="The middle name.")
@click.option("--born", default="", metavar="DATE", help="The date of birth, as 1990-07-31.")
@_YES
@click.pass_context
def add(
    context: click.Context,
    agency: str,
    number: str,
    status: str,
    at: str,
    facility: str,
    last: str,
    first: str,
    middle: str,
    born: str,
    *,
    yes: bool,
) -> None:
    """Add an offender who is not in any feed yet, so that people can find and register for them."""
    house = House.at(context.obj)
    name = {"last_name": last, "first_name": first, "middle_name": middle, "date_of_birth": born}
    where = {"facility": facility, "status": status, "changed_at": at}
    record = _record(house, agency=agency, offender_number=number, **where, **name)
    with house.database() as db, db.connection() as conn:
        alike = offenders.keyed_alike(conn, record.agency, record.number)
    for known in alike:
        if _written(known.number) == _written(record.number):
            raise click.ClickException(
                f"{agency} has an offender {known.number} already, {_name(known)}; movans custody set says where they"
                " are"
            )
    if alike:
        err.print(f"Callers who key this number in find {_named(alike)}, too.", markup=False, soft_wrap=True)
    _say(house, record, quiet=False, yes=yes)


@custody.command()
@click.argument("agency")
@click.argument("number")
@click.pass_context
def show(context: click.Context, agency: str, number: str) -> None:
    """What happened to an offender, and who told it: which feed and file, or who of the staff."""
    house = House.at(context.obj)
    zone = house.settings.zone(agency)
    with house.database() as db, db.connection() as conn:
        known = _find(conn, agency, number, "; correct agency or number")
        told = offenders.told(conn, known.id)
    born = f", born {known.birth_date}" if known.birth_date else ""
    out.print(f"{_name(known)} ({agency} {number}{born})", markup=False, soft_wrap=True)
    holds, told_last = _state(known.custody, agency, house), tables.moment(known.known_at, zone)
    out.print(f"{holds}; told last {told_last}", markup=False, soft_wrap=True)
    out.print(tables.history(told, zone))


def _find(conn: Connection, agency: str, number: str, otherwise: str) -> Offender:
    """Raises ClickException where there is none, naming whose number has the same keys, or else what to do."""
    if known := offenders.find(conn, agency, number):
        return known
    if alike := offenders.keyed_alike(conn, agency, number):
        otherwise = f", but has {_named(alike)}; write the number as it is there"
    raise click.ClickException(f"{agency} has no offender {number}{otherwise}")


def _record(house: House, **given: str) -> CustodyRecord:
    """What is said, checked as a row is. Raises ClickException with every mistake."""
    chosen = house.settings
    rules = rows.in_our_words(Rules(frozenset(chosen.agencies), chosen.zone(given["agency"]), now()))
    fields = {name: one_line(text) for name, text in given.items()}
    try:
        return rows.custody_record(1, fields, rules, lambda name: _CALLED.get(name, name))
    except Wrong as wrong:
        raise click.ClickException("\n".join([*wrong.mistakes, "Nothing was changed."])) from None


def _say(house: House, record: CustodyRecord, *, quiet: bool, yes: bool) -> None:
    """Try what it would do, ask, and do it, or ask anew where that is something else by then."""
    agreed = ""
    with house.database() as db:
        with db.connection() as conn:
            _warn_of_facility(conn, house, record)
        while True:
            with db.connection() as conn, conn.transaction() as tried:
                said = override.say(conn, record, who=who(), quiet=quiet, settings=house.settings, now=now())
                if said.change.what == "unchanged" and not said.was_quiet:
                    raise click.ClickException(_known_already(record, said, house))
                question = _question(record, said, house, quiet=quiet)
                if yes or question == agreed:
                    break
                raise Rollback(tried)
            if agreed:
                out.print("Nothing was changed yet: something else has become known meanwhile, or who is called.")
            click.confirm(question, abort=True)
            agreed = question
    stays = "" if said.holds == record.custody else f" What holds: {_state(said.holds, record.agency, house)}."
    out.print(f"Done. {_calls(said.people)}{stays}", markup=False, soft_wrap=True)


def _known_already(record: CustodyRecord, said: Said, house: House) -> str:
    holds, told = said.holds, record.custody
    state = _state(holds, record.agency, house)
    if (holds.status, holds.facility) == (told.status, told.facility):
        return f"that is known already: {state}"
    return f"it is known already that they were {told.status} then; what holds is {state}; give a time after that"


def _warn_of_facility(conn: Connection, house: House, record: CustodyRecord) -> None:
    agency, facility = record.agency, record.custody.facility
    if facility not in house.settings.agencies[agency].facilities and not offenders.is_anybody_at(
        conn, agency, facility
    ):
        err.print(
            f"Nothing is known of a facility {facility!r} of {agency}, neither in the settings nor by its feeds: is it"
            " spelled as they do? Callers hear it as it stands here.",
            markup=False,
            soft_wrap=True,
        )


def _question(record: CustodyRecord, would: Said, house: House, *, quiet: bool) -> str:
    known, told, agency = would.before, record.custody, record.agency
    name = _name(known) if known else f"{record.person.last_name}, {record.person.first_name}"
    lines = [f"{name} ({agency} {record.number})"]
    if known:
        lines.append(f"  known:  {_state(known.custody, agency, house)}")
    lines.append(f"  {'to be:' if would.holds == told else 'then:'.ljust(6)}  {_state(told, agency, house)}")
    if would.holds != told:
        stays = _state(would.holds, agency, house)
        lines.append(f"  This was before what is known, which stays: {stays}. Give a time after that to change it.")
    if would.change.apart:
        lines.append("  What is known has been so before and after that: that it was so again is told, too.")
    if would.was_quiet:
        lines.append("  This is known, but nobody was called of it (--quiet): now they are.")
    elif would.change.event:
        lines.append("  This corrects what is known, and is no news: nobody is called.")
    elif quiet:
        lines.append(
            "  Nobody is called (--quiet), until a feed says it of a later time, or you say it without --quiet."
        )
    return "\n".join([*lines, f"{_calls(would.people)} Is that right?"])


def _calls(many: int) -> str:
    return "1 person is called." if many == 1 else f"{many or 'No'} people are called."


def _written(number: str) -> str:
    """A number however it is written: its letters, capital or not, and digits."""
    return "".join(filter(str.isalnum, number)).upper()


def _named(some: Iterable[Offender]) -> str:
    return " and ".join(f"{one.number}, {_name(one)}" for one in some)


def _name(one: Offender) -> str:
    return f"{one.last_name}, {one.first_name} {one.middle_name}".rstrip()


def _state(one: Custody, agency: str, house: House) -> str:
    return f"{one.status}, {one.facility}, since {tables.moment(one.since, house.settings.zone(agency))}"
