"""``movans registrant``: what staff do for people who registered. Every act is recorded; ``movans audit`` prints them.

A telephone number is asked for and never an argument: arguments stand in the list of processes and in the shell's
history.
"""

import os
import pwd
from datetime import datetime
from pathlib import Path

import click
from phonenumbers import PhoneNumberMatcher
from psycopg import Connection

from agi import telephone
from agi.pin import weakness
from db import guard, overview, registrants, staff
from db.staff import Known
from feed.cells import with_zone
from movans import tables
from movans.console import out
from movans.wiring import House, now

LOGIN_UID = Path("/proc/self/loginuid")
NOBODY = 2**32 - 1  # what stands there where nobody has logged in


@click.group()
def registrant() -> None:
    """People who registered: find them, end it, set a new PIN. Telephone numbers are asked for."""


@registrant.command()
@click.pass_context
def show(context: click.Context) -> None:
    """Who is registered with a telephone number, and for whom."""
    house = House.at(context.obj)
    number = _ask_number()
    hashes = house.keyring().hashes(number)
    with house.database() as db, db.connection() as conn:
        found = staff.known_at(conn, hashes)
        if not found:
            out.print("Nobody was ever registered with this number.")
        else:
            wanted = staff.wanted(conn, [one.id for one in found])
            out.print(tables.registrants(found, wanted, house.settings.service.zone))
        if guard.barred(conn, hashes):
            out.print("It is barred: people there said that they had not asked for calls. movans registrant lift")
        if guard.locked(conn, hashes, now=now()):
            out.print("It is locked: too many wrong PINs were tried within a day. movans registrant lift")
        _record(conn, "looked up by number", found, number)


@registrant.command()
@click.argument("registrant_id", metavar="REGISTRANT", type=int)
@click.option("--registration", type=int, help="Only this one, not all.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def end(context: click.Context, registrant_id: int, registration: int | None, *, yes: bool) -> None:
    """End a registration, or all of a registrant: nobody is called about it any more."""
    with House.at(context.obj).database() as db, db.connection() as conn:
        _check(conn, registrant_id)
        if not yes:
            what = "all their registrations" if registration is None else f"registration {registration}"
            click.confirm(f"End {what} of registrant {registrant_id}? They are not called any more", abort=True)
        ended = staff.end(conn, registrant_id, registration, who=who(), now=now())
    if not ended:
        raise click.ClickException("there was nothing to end; movans registrant show lists what there is")
    out.print(f"{ended} ended.")


@registrant.command()
@click.argument("registrant_id", metavar="REGISTRANT", type=int)
@click.pass_context
def pin(context: click.Context, registrant_id: int) -> None:
    """Set a new PIN, which the registrant made up. Their telephones are called at once, to prove it."""
    house = House.at(context.obj)
    with house.database() as db, db.connection() as conn:
        _check(conn, registrant_id)
        numbers = registrants.numbers(conn, house.keyring(), registrant_id)
    new = click.prompt("New PIN, four digits", hide_input=True, confirmation_prompt=True)
    if len(new) != 4 or not new.isdigit():
        raise click.ClickException("a PIN has four digits; nothing was changed")
    if weakness(new, *numbers):
        raise click.ClickException("this PIN is easy to guess; let the registrant make up another. Nothing was changed")
    with house.database() as db, db.connection() as conn:
        if not staff.set_pin(conn, house.keyring(), registrant_id, new, who=who(), now=now()):
            raise click.ClickException("this PIN cannot be taken at their telephone; let them make up another")
    out.print("The PIN is set; their telephones are being called.")


@registrant.command()
@click.pass_context
def lift(context: click.Context) -> None:
    """Let a number be registered and managed again that is barred or locked."""
    house = House.at(context.obj)
    number = _ask_number()
    hashes = house.keyring().hashes(number)
    with house.database() as db, db.connection() as conn:
        refusals, wrong_pins = guard.lift(conn, hashes, now=now())
        what = f"lifted {refusals} refusals and {wrong_pins} wrong PINs of a number"
        _record(conn, what, staff.known_at(conn, hashes), number)
    out.print(f"{refusals} refusals and {wrong_pins} wrong PINs no longer count.")


@click.command()
@click.option("--since", metavar="TIME", help="Only what was done since then, as 2026-11-15 or '2026-11-15 09:40'.")
@click.option("--who", "whose", metavar="NAME", help="Only what this person did.")
@click.pass_context
def audit(context: click.Context, since: str | None, whose: str | None) -> None:
    """What people of the service did by this command line, and who; nobody can change or remove it."""
    house = House.at(context.obj)
    zone = house.settings.service.zone
    try:
        begin = with_zone(datetime.fromisoformat(since), zone) if since else None
    except ValueError:
        raise click.ClickException(f"--since {since!r} must be a time like 2026-11-15 or 2026-11-15 09:40") from None
    with house.database() as db, db.connection() as conn:
        done = staff.acts(conn, since=begin, who=whose)
    if done:
        out.print(tables.acts(done, zone))
    else:
        out.print("Nothing was done.")


def _check(conn: Connection, registrant_id: int) -> None:
    if not staff.exists(conn, registrant_id):
        raise click.ClickException(
            f"there is no registrant {registrant_id}; movans registrant show finds them by their number"
        )


def _record(conn: Connection, what: str, found: list[Known], number: str) -> None:
    """Keep what was done about a telephone number: of whom, or where it is nobody's, by the end of the number."""
    for one in found:
        staff.record(conn, who(), what, one.id, now=now())
    if not found:
        staff.record(conn, who(), f"{what} {overview.ending(number)}, which is nobody's", now=now())


def _ask_number() -> str:
    given = telephone.without_country_code("".join(filter(str.isdigit, click.prompt("Telephone number"))))
    if len(given) != 10:
        raise click.ClickException("a telephone number has ten digits, with the area code")
    return given


def in_words(option: str, given: str, such_as: str) -> str:
    """What a person says of an act, in one line. Raises ClickException where it may not be recorded."""
    said = " ".join(given.split())
    if not said:
        raise click.ClickException(f'say {option}, as in --{option} "{such_as}"')
    if not said.isprintable():  # as it is printed again, it could wipe other acts from the screen
        raise click.ClickException(f"--{option} holds a sign that cannot be seen; type it anew")
    if any(PhoneNumberMatcher(said, "US")):
        raise click.ClickException(f"leave the telephone number out of --{option}: what is recorded must not hold one")
    return said


def who() -> str:
    """The person who logged in, also behind sudo; only where the system does not know, whom the environment names."""
    return logged_in(LOGIN_UID) or os.environ.get("SUDO_USER") or pwd.getpwuid(os.getuid()).pw_name


def logged_in(file: Path) -> str | None:
    """The name of who logged in, by the kernel's own note of it; None where nobody did, as in a container."""
    try:
        uid = int(file.read_text())
        return None if uid == NOBODY else pwd.getpwuid(uid).pw_name
    except (OSError, ValueError, KeyError):
        return None
