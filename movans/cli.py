"""The command line."""

import logging
import os
import pwd
import shutil
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import click
import psycopg

from db import staff
from db.keys import NoKeys
from db.pool import take_time
from movans import asterisk, holding, settings
from movans.console import Bar, err, out
from movans.custody import custody
from movans.explain import policy
from movans.prompting import prompts
from movans.report import report
from movans.settings import WrongSettings
from movans.staff import audit, registrant, who
from movans.wiring import PARTS, House, now
from prompts.catalogue import WrongCatalogue

UNFORTUNATE = (WrongSettings, WrongCatalogue, NoKeys, asterisk.NoAsterisk, psycopg.OperationalError)


def main() -> None:
    try:
        commands(prog_name="movans")
    except UNFORTUNATE as error:
        err.print(f"movans: {error}", markup=False, soft_wrap=True)
        sys.exit(1)
    except PermissionError as error:
        err.print(f"movans: {error.filename}: {error.strerror}; run it with sudo", markup=False, soft_wrap=True)
        sys.exit(1)


@click.group(name="movans", context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--settings",
    "file",
    type=click.Path(path_type=Path),
    default=settings.INSTALLED,
    show_default=True,
    help="The settings file.",
)
@click.pass_context
def commands(context: click.Context, file: Path) -> None:
    """The custody notification line."""
    context.obj = file


def _house(context: click.Context) -> House:
    return House.at(context.obj)


def _log_to_stdout() -> None:
    logging.basicConfig(stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")


def _part(name: str, says: str) -> None:
    @commands.command(name, help=says)
    @click.pass_context
    def run(context: click.Context) -> None:
        _log_to_stdout()
        PARTS[name](_house(context))


_part("serve", "Answer Asterisk's calls (FastAGI). Started by the supervisor.")
_part("dial", "Make the outbound calls. Started by the supervisor.")
_part("intake", "Take in what feeds drop, and look after what is held. Started by the supervisor.")
_part("alarm", "Tell people what they must know at once. Started by the supervisor.")
_part("voice", "Turn words into sound. Started by the supervisor.")


@commands.command("asterisk", help="Run Asterisk with the service's own configuration. Started by the supervisor.")
@click.pass_context
def run_asterisk(context: click.Context) -> None:
    asterisk.run(_house(context).settings)


@commands.command("watchdog", help="Kill parts that no longer show signs of life. Started by the supervisor.")
@click.pass_context
def run_watchdog(context: click.Context) -> None:
    from movans import watchdog

    _log_to_stdout()
    watchdog.watch(_house(context).settings, logging.getLogger("movans.watchdog").warning)


@commands.command()
@click.option("--reset", is_flag=True, help="Begin with an empty state; asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def server(context: click.Context, *, reset: bool, yes: bool) -> None:
    """Start everything, show how to call, and stop everything at Ctrl-C."""
    from movans import server as process
    from movans.postgres import NoPostgres

    if os.geteuid() != 0:
        raise click.ClickException("the parts run as users of their own, so this must be started as root: use sudo")
    _install_settings(context.obj)
    house = _house(context)
    state = house.settings.state
    steps = iter(range(1, 100))

    def step(what: str) -> None:
        out.print(f"[{next(steps)}/{5 if house.settings.database == '' else 4}] {what}", markup=False)

    try:
        if reset:
            if not yes:
                click.confirm(f"Delete all registrations, keys, sounds and logs in {state}?", abort=True)
            process.reset(house.settings)
        process.run(house, prepared=step, ready=lambda: _welcome(house), say=out.print)
    except (process.CannotStart, NoPostgres) as error:
        raise click.ClickException(str(error)) from None


def _install_settings(file: Path) -> None:
    if file.exists() or file != settings.INSTALLED:
        return
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    shutil.copyfile(settings.EXAMPLE, file)
    # The settings may come to hold the trunk's password.
    os.chown(file, 0, pwd.getpwnam(asterisk.SERVICE_USER).pw_gid)
    file.chmod(0o640)
    out.print(f"Settings: {file} was made; edit it and start again to change them.", markup=False, soft_wrap=True)


def _welcome(house: House) -> None:
    from movans import server as process

    chosen = house.settings
    demo = process.CHECKOUT / "demo"
    if chosen.demo and process.is_new(house):
        _import(house, demo / "custody.csv", tell=False)
    out.print()
    out.print(f"{chosen.service.name} answers.", style="bold", markup=False)
    if chosen.test_phone:
        here = f"{chosen.sip.address}:{chosen.sip.port}"
        if chosen.sip.address.is_unspecified:
            here = f"this machine's address, port {chosen.sip.port}"
        out.print(
            f"  Softphone   SIP account testphone at {here} (UDP),"
            f" password {asterisk.phone_password(chosen)}\n"
            f"  Dial        {asterisk.NUMBER_TO_DIAL}  (MOVANS on the keypad)",
            markup=False,
            soft_wrap=True,
        )
    if chosen.demo:
        out.print(
            "  Try         offender numbers 100234 and 100561 of the demo data\n"
            f"  Release     sudo {process.CHECKOUT / 'script' / 'movans'} feed import {demo / 'release.csv'}"
            "   (lets 100234 go)",
            markup=False,
            soft_wrap=True,
        )
    if not chosen.trunks:
        out.print("  Calls out   to the test phone, whatever number was left: no trunk is set", markup=False)
    out.print(f"  Settings    {house.file}\n  Logs        {chosen.state / 'log'}", markup=False, soft_wrap=True)
    out.print("  Stop        Ctrl-C", markup=False)


@commands.group()
def feed() -> None:
    """Files of jails and courts."""


@feed.command("import")
@click.option("--feed", default="", metavar="AGENCY/NAME", help="The feed of the settings that the file comes by.")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def feed_import(context: click.Context, file: Path, feed: str) -> None:
    """Import a file of a feed; without --feed a custody file (CSV).

    A file with a mistake is refused as a whole, unless the feed's settings say how many bad rows may be put aside.
    """
    _import(_house(context), file, feed, tell=True)


@feed.command("status")
@click.pass_context
def feed_status(context: click.Context) -> None:
    """How each feed is: what came last, how old that is, what is held, and what was refused and not seen to."""
    from movans import feeds, tables

    house = _house(context)
    with house.database() as db, db.connection() as conn:
        out.print(tables.feeds(feeds.status(conn, house.settings, now=now()), house.settings.service.zone))


def _import(house: House, file: Path, feed: str = "", *, tell: bool) -> None:
    from feed.records import Refused
    from feed.run import run
    from movans import feeds
    from movans.tables import aside, changes, disagreements, replaced, summary

    def record(conn: psycopg.Connection, outcome: str) -> None:
        if tell:
            staff.record(conn, who(), _act(file, feed, outcome), now=rules.now)

    rules = feeds.rules(house.settings, feed, now())
    with house.database() as db, Bar("importing") as progress:
        with db.connection() as conn:
            silent_since = feeds.silent_since(conn, house.settings, feed, now=rules.now)
        try:
            done = run(db, file, rules, settings=house.settings, progress=progress, last=record)
        except Refused as refused:
            raise _refused(refused.mistakes) from None
        with db.connection() as conn:
            is_back = silent_since and not feeds.silent_since(conn, house.settings, feed, now=rules.now)
    if tell:
        others = [*replaced(done), *disagreements(done, house.settings.service.zone)]
        for line in [*aside(done, is_held=bool(done.held)), *others]:
            err.print(line, markup=False, soft_wrap=True)
    if done.held:
        raise click.ClickException(
            f"the file is held as run {done.run_id} and nothing was changed: {'; '.join(done.held)}."
            " movans feed held shows what it would do."
        )
    if tell:
        if done.lines:
            out.print(changes(done, house.settings.service.zone))
        out.print(summary(done), markup=False, soft_wrap=True)
        if silent_since and is_back:
            out.print(feeds.was_gone(feed, silent_since, rules.now), markup=False, soft_wrap=True)


def _refused(mistakes: Sequence[str]) -> click.ClickException:
    for mistake in mistakes:
        err.print(mistake, markup=False, soft_wrap=True)
    many = len(mistakes)
    return click.ClickException(
        f"the file was refused and nothing was changed: {many} mistake{'s' if many > 1 else ''}. "
        "Correct what is named above and import it again."
    )


def _act(file: Path, feed: str, outcome: str) -> str:
    from feed.checking import printable

    by, became = f" by the feed {feed}" if feed else "", "" if outcome == "applied" else f": {outcome}"
    return f"imported {printable(file.name)}{by}{became}"


@commands.command()
@click.option("--dry-run", is_flag=True, help="Only say how many it would be.")
@click.pass_context
def forget(context: click.Context, *, dry_run: bool) -> None:
    """Remove what is older than the settings (keep) say; the part alarm does it once a day."""
    from movans import keeping

    house = _house(context)
    with house.database() as db:
        if dry_run:
            with db.connection() as conn, conn.transaction(force_rollback=True):
                take_time(conn)
                found = dict(keeping.would_forget(conn, house.settings, now=now()))
        else:
            found = keeping.forget(db, house.settings, now=now())
            with db.connection() as conn:
                staff.record(conn, who(), "removed what is older than the settings say", now=now())
    for what, many in found.items():
        out.print(f"{many:8}  {what}", markup=False)
    out.print("They would be removed." if dry_run else "Removed." if found else "Nothing was old enough.")


commands.add_command(audit)
commands.add_command(custody)
for deciding in (holding.list_held, holding.approve, holding.reject, holding.retract):
    feed.add_command(deciding)
commands.add_command(prompts)
commands.add_command(registrant)
commands.add_command(report)
commands.add_command(policy)


@commands.command()
@click.option("--watch", is_flag=True, help="Show the work as it is, until Ctrl-C.")
@click.pass_context
def status(context: click.Context, *, watch: bool) -> None:
    """Who is waiting to be told, the next calls, the last attempts. Telephone numbers are masked."""
    from movans.tables import attempts, waiting

    house = _house(context)
    if watch:
        _watch(house)
        return
    with psycopg.connect(house.dsn, connect_timeout=5) as conn:
        out.print(waiting(conn, house.keyring(), house.settings.service.zone))
        out.print(attempts(conn, house.keyring(), house.settings.service.zone))


def _watch(house: House) -> None:
    """Until Ctrl-C. A database that is away is said, and asked again."""
    from rich.live import Live
    from rich.text import Text

    from movans.tables import watched

    keyring, chosen = house.keyring(), house.settings
    with suppress(KeyboardInterrupt), Live(console=out, screen=out.is_terminal, auto_refresh=False) as live:
        while True:
            try:
                with psycopg.connect(house.dsn, connect_timeout=5) as conn:
                    shown = watched(conn, keyring, chosen.outbound, chosen.service.zone, now=now())
            except psycopg.OperationalError as error:
                shown = Text(f"The database is away: {error}")
            live.update(shown, refresh=True)
            time.sleep(1)


@commands.command()
@click.option("--call", is_flag=True, help="Have a test call made through the whole chain, and show its way.")
@click.pass_context
def doctor(context: click.Context, *, call: bool) -> None:
    """Check every part, and say what to do where something is wrong."""
    from movans.doctor import examine

    if call:
        _fly(_house(context))
        return
    wrong = 0
    for finding in examine(_house(context)):
        out.print("ok   " if finding.well else "WRONG", style="green" if finding.well else "bold red", end=" ")
        out.print(f"{finding.what}: {finding.found}", markup=False, soft_wrap=True)
        if not finding.well:
            out.print(f"      -> {finding.remedy}", markup=False, soft_wrap=True)
            wrong += 1
    if wrong:
        raise click.ClickException(f"{wrong} of the checks found something wrong; what to do stands under each")
    out.print("All is well.")


def _fly(house: House) -> None:
    from movans.canary import Missed, fly

    began = now()
    with house.database() as db:
        try:
            for what, took in fly(db, house.keyring(), house.settings.service.languages[0], now):
                out.print(f"{took.total_seconds():8.3f} s  {what}", markup=False)
        except Missed as missed:
            raise click.ClickException(f"the test call was missed: {missed}") from None
    out.print(f"The test call went through all of it, in {(now() - began).total_seconds():.1f} s.", markup=False)
