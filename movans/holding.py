"""``movans feed held``, ``approve``, ``reject``, ``retract``: what a person decides of files that may be wrong."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

import click

from db import court_events, held, retractions
from db.pool import Database
from feed import held as decisions
from feed import retraction
from feed.held import NotHeld
from feed.records import Refused
from feed.report import Report
from movans.console import Bar, err, out
from movans.settings import WrongSettings
from movans.staff import in_words, who
from movans.tables import ROWS, aside, held_changes, held_run, replaced, summary
from movans.wiring import House, now

SUCH_AS = "the jail confirmed it by telephone"

RUNS = click.argument("run_ids", metavar="RUN…", type=int, nargs=-1, required=True)
WHY = click.option("--why", required=True, help="Why; it is kept, with who said it.")
YES = click.option("--yes", is_flag=True, help="Do not ask.")


@click.command("held")
@click.pass_context
def list_held(context: click.Context) -> None:
    """Show the files that are held, and what each would do now, if it was approved."""
    house = House.at(context.obj)
    zone = house.settings.service.zone
    with house.database() as db:
        with db.connection() as conn:
            waiting = held.waiting(conn)
        if not waiting:
            out.print("Nothing is held.")
        for one in waiting:
            out.print(held_run(one, zone), markup=False, soft_wrap=True)
            if not one.is_held:
                continue
            try:
                would = _preview(db, house, one.id)
            except NotHeld:
                out.print("It was decided just now.")
            except (Refused, WrongSettings) as error:
                out.print("\n".join(_in_the_way(one.id, error)), markup=False, soft_wrap=True)
            else:
                for line in [*aside(would, is_held=True), *replaced(would)]:
                    out.print(line, markup=False, soft_wrap=True)
                out.print(held_changes(would, zone))
    if waiting:
        out.print(
            "movans feed approve RUN --why … lets one take effect, with --only KIND only such events of it;"
            " movans feed reject RUN --why … does not.",
            soft_wrap=True,
        )


@click.command()
@RUNS
@click.option("--only", multiple=True, metavar="KIND", help="A kind of event that shall take effect, and nothing else.")
@WHY
@YES
@click.pass_context
def approve(context: click.Context, run_ids: tuple[int, ...], only: tuple[str, ...], why: str, *, yes: bool) -> None:
    """Let each held RUN take effect, one after the other: everybody whom it concerns is called."""
    house, because = House.at(context.obj), in_words("why", why, SUCH_AS)
    for run_id, others in _each(run_ids):
        with _explained(run_id, others):
            _approve(house, run_id, only, because, yes=yes)


def _approve(house: House, run_id: int, only: tuple[str, ...], because: str, *, yes: bool) -> None:
    rest = ""
    with house.database() as db:
        with db.connection() as conn:
            this = held.get(conn, run_id)
        if this and not this.is_held:
            if only:
                _check_kinds(db, only, Report(run_id=run_id))
            if not yes:
                click.confirm(f"Confirm {this.unconfirmed:,} releases and escapes that went out of it?", abort=True)
            decisions.approve(db, run_id, settings=house.settings, only=only, who=who(), why=because, now=now())
            out.print(f"What went out of run {run_id} is confirmed.")
            return
        would = _preview(db, house, run_id)
        if only:
            _check_kinds(db, only, would)
            all_of_it, would = would.events, _preview(db, house, run_id, only)
            others = all_of_it - would.events
            rest = f" The other {others:,} changes stay {'held' if this else 'rejected'}." if others else ""
        for line in [*aside(would, is_held=True), *replaced(would)]:
            err.print(line, markup=False, soft_wrap=True)
        if not yes:
            click.confirm(f"{summary(would)}{rest} Call {_people(would.people)} of it?", abort=True)
        with Bar("taking effect") as progress:
            done = decisions.approve(
                db, run_id, settings=house.settings, only=only, who=who(), why=because, progress=progress, now=now()
            )
    out.print(f"It has taken effect. {summary(done)}{rest}", markup=False, soft_wrap=True)


def _preview(db: Database, house: House, run_id: int, only: Collection[str] = ()) -> Report:
    with Bar("comparing") as progress:
        return decisions.preview(db, run_id, only=only, settings=house.settings, progress=progress, now=now())


def _check_kinds(db: Database, only: Collection[str], would: Report) -> None:
    """Raises ClickException where there is not news of all of these kinds in the run, or went out of it unconfirmed."""
    with db.connection() as conn:
        kinds = held.reported_kinds(conn, would.run_id)
    kinds |= set(would.kinds) - {"amended", "renamed", "replaced"}
    if unknown := set(only) - kinds:
        says = f"run {would.run_id} has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(kinds)) or 'nothing'}"
        raise click.ClickException(f"{says}; nothing of it was approved")


@click.command()
@RUNS
@WHY
@YES
@click.pass_context
def reject(context: click.Context, run_ids: tuple[int, ...], why: str, *, yes: bool) -> None:
    """Drop each held RUN: no more of it takes effect, and what went out of it as not confirmed is withdrawn."""
    house, because = House.at(context.obj), in_words("why", why, SUCH_AS)
    for run_id, others in _each(run_ids):
        with _explained(run_id, others):
            _reject(house, run_id, because, yes=yes)


def _reject(house: House, run_id: int, because: str, *, yes: bool) -> None:
    with house.database() as db:
        out_of_it = decisions.would_withdraw(db, run_id)
        if not yes:
            says = f"Reject run {run_id}, so that no more of it takes effect? Nobody is called."
            if out_of_it.events:
                gone = f"{out_of_it.events:,} events went out of run {run_id} as not yet confirmed"
                says = f"{gone}. Reject it, and call {_people(out_of_it.people)} with a correction?"
            click.confirm(says, abort=True)
        decisions.reject(db, run_id, settings=house.settings, who=who(), why=because, now=now())
    out.print(f"Run {run_id} is rejected.")


@click.command()
@click.argument("number", metavar="RUN|EVENT", type=int)
@click.option("--event", is_flag=True, help="The number is an event's: withdraw no more than that.")
@WHY
@YES
@click.pass_context
def retract(context: click.Context, number: int, why: str, *, event: bool, yes: bool) -> None:
    """Withdraw what a RUN told: those whose telephone was answered for it are called with a correction.

    Of an EVENT about a court date, what else its run told of that date is withdrawn with it, and what later runs only
    said again.
    """
    house = House.at(context.obj)
    because = in_words("why", why, SUCH_AS)
    what = f"event {number}" if event else f"feed run {number}"
    with house.database() as db:
        with db.connection() as conn:
            events = retractions.of_event(conn, number) if event else retractions.of_run(conn, number)
            would = retractions.extent(conn, events)
            dates = 0 if event else court_events.said_by(conn, number)
        if not events and not dates:
            raise click.ClickException(f"there is nothing to retract of {what}: nobody was told, or it was done before")
        if not yes:
            court = f" {dates:,} court dates are as they were before it." if dates else ""
            says = f"Retract {what}: {would.events:,} events, {would.open:,} calls that are not needed any more.{court}"
            click.confirm(f"{says} Call {_people(would.people)} with a correction?", abort=True)
        done = retraction.retract(
            db,
            events,
            what,
            run_id=None if event else number,
            settings=house.settings,
            who=who(),
            why=because,
            now=now(),
        )
    out.print(f"Retracted {what}: {done.open:,} notifications ended, {_people(done.people)} to be called.")


def _people(many: int) -> str:
    return "1 person" if many == 1 else f"{many:,} people"


def _in_the_way(run_id: int, error: Refused | WrongSettings) -> list[str]:
    """Why a run cannot take effect as things are, and what to do of it."""
    reject = f"or movans feed reject {run_id}"
    if isinstance(error, WrongSettings):
        why = f"Run {run_id} cannot take effect: {error}"
        return [f"{why}. Declare its feed by that name again until the run is decided, {reject}"]
    more = len(error.mistakes) - ROWS
    rest = [f"and {more:,} more mistakes"] if more > 0 else []
    last = f"By now run {run_id} cannot take effect, as is said above: see to that, {reject} and import it anew"
    return [*error.mistakes[:ROWS], *rest, last]


def _each(run_ids: Sequence[int]) -> Iterator[tuple[int, Sequence[int]]]:
    """Each run with those that come after it."""
    return ((run_id, run_ids[place:]) for place, run_id in enumerate(run_ids, start=1))


@contextmanager
def _explained(run_id: int, others: Sequence[int]) -> Iterator[None]:
    """Say why a run could not be decided, and which ``others`` for that were not either."""
    rest = f". Not decided either: {', '.join(map(str, others))}" if others else ""
    try:
        yield
    except click.ClickException as error:
        raise click.ClickException(error.message + rest) from None
    except NotHeld as error:
        raise click.ClickException(f"{error}{rest}") from None
    except (Refused, WrongSettings) as error:
        *mistakes, last = _in_the_way(run_id, error)
        for mistake in mistakes:
            err.print(mistake, markup=False, soft_wrap=True)
        raise click.ClickException(last + rest) from None
