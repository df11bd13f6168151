"""The command line."""

import logging
import os
import pwd
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import psycopg
from rich.console import Console
from rich.logging import RichHandler
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from db.keys import NoKeys
from movans import asterisk, settings
from movans.settings import WrongSettings
from movans.wiring import PARTS, House, now
from prompts.catalogue import Catalogue, UnknownPrompt, WrongCatalogue, WrongPrompt

if TYPE_CHECKING:
    from prompts.engines import Voices

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

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
    if chosen.trunk is None:
        out.print("  Calls out   to the test phone, whatever number was left: no trunk is set", markup=False)
    out.print(f"  Settings    {house.file}\n  Logs        {chosen.state / 'log'}", markup=False, soft_wrap=True)
    out.print("  Stop        Ctrl-C", markup=False)


@commands.group()
def feed() -> None:
    """Files of jails and courts."""


@feed.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def feed_import(context: click.Context, file: Path) -> None:
    """Import a custody file (CSV). A file with a mistake is refused as a whole."""
    _import(_house(context), file, tell=True)


def _import(house: House, file: Path, *, tell: bool) -> None:
    from feed.custody_csv import Refused, Rules
    from feed.run import run
    from movans.tables import changes, summary

    rules = Rules(frozenset(house.settings.agencies), house.settings.service.zone, now())
    with house.database() as db, _bar("importing") as progress:
        try:
            report = run(db, file, rules, keep_calling=house.settings.calls.keep_calling, progress=progress)
        except Refused as refused:
            for mistake in refused.mistakes:
                err.print(mistake, markup=False, soft_wrap=True)
            many = len(refused.mistakes)
            raise click.ClickException(
                f"the file was refused and nothing was changed: {many} mistake{'s' if many > 1 else ''}. "
                "Correct what is named above and import it again."
            ) from None
    if tell:
        if report.lines:
            out.print(changes(report, house.settings.service.zone))
        out.print(summary(report), markup=False, soft_wrap=True)


class _bar:  # noqa: N801
    """A progress bar, as a function of how far it is."""

    def __init__(self, what: str) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=err, transient=True)
        self._task = self._progress.add_task(what, total=None)

    def __enter__(self) -> Callable[..., None]:
        self._progress.start()
        return lambda done, of, *_: self._progress.update(self._task, completed=done, total=of)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


@commands.group()
def prompts() -> None:
    """The words and their sounds."""


@prompts.command("build")
@click.pass_context
def prompts_build(context: click.Context) -> None:
    """Make the sounds of all prompts that are new or changed."""
    from prompts import build, recordings

    _log_to_stderr()
    house = _house(context)
    catalogue, voices = _in_language(house)
    _become_service()
    recordings.check(house.recordings, [catalogue.language])
    recorded = recordings.find(house.recordings, catalogue)
    try:
        with _bar(f"sounds ({catalogue.language})") as progress:
            built = build.build(catalogue.fixed(), voices, house.sounds, progress, recorded)
    except build.NotBuilt as error:
        raise click.ClickException(str(error)) from None
    people = built.engines.pop(build.RECORDING, 0)
    spoken = [f"{count} by {engine}" for engine, count in sorted(built.engines.items())]
    spoken.append(_many(people, "recording"))
    out.print(
        f"Sounds ({catalogue.language}): {len(built.made)} made, {built.kept} kept, {len(built.removed)} removed;"
        f" {', '.join(spoken)}.",
        markup=False,
        soft_wrap=True,
    )


@prompts.command("script")
@click.option("--language", help="Another language than the service's.")
@click.option("--csv", "file", type=click.Path(path_type=Path), help="Write it to this file, for a spreadsheet.")
@click.pass_context
def prompts_script(context: click.Context, language: str | None, file: Path | None) -> None:
    """Print what can be recorded: id, words, length, and whether there is a recording."""
    from movans.tables import script as table
    from prompts import recordings, script

    _log_to_stderr()
    house = _house(context)
    catalogue, voices = _in_language(house, language)
    fixed = catalogue.fixed()
    lines = script.script(fixed, voices, house.sounds, recordings.find(house.recordings, catalogue))
    if file:
        _write(file, lambda: script.write(lines, file))
    else:
        out.print(table(lines))
    recorded = sum(1 for line in lines if line.recording)
    others = len(catalogue.prompts) - len(fixed)
    out.print(
        f"{_many(len(lines), 'prompt')}{f' written to {file}' if file else ''}, {_many(recorded, 'recording')}."
        f" {_many(others, 'other')} cannot be recorded: names, places or times are filled in when they are said.",
        markup=False,
        soft_wrap=True,
    )


@prompts.command("listen")
@click.argument("prompt", metavar="ID")
@click.option("--language", help="Another language than the service's.")
@click.option("--value", "values", multiple=True, metavar="NAME=WORDS", help="What to fill in; once for each name.")
@click.option("--to", "file", type=click.Path(path_type=Path), help="Write the sound to this WAV file instead.")
@click.pass_context
def prompts_listen(
    context: click.Context, prompt: str, language: str | None, values: tuple[str, ...], file: Path | None
) -> None:
    """Play a prompt as callers hear it, or write it to a file."""
    from prompts import playing
    from prompts.sound import write
    from prompts.sounds import NoVoice, built_at

    _log_to_stderr()
    house = _house(context)
    catalogue, voices = _in_language(house, language)
    try:
        utterance = catalogue.utter(prompt, **_values(values))
        with tempfile.TemporaryDirectory() as folder:
            if utterance.prompt:
                sound = built_at(house.sounds, utterance.language, utterance.prompt)
                if not sound.exists():
                    raise click.ClickException(
                        f"prompt {prompt!r} has no sound yet; make it with: sudo script/movans prompts build"
                    )
            else:
                sound = Path(folder) / "sound.wav"
                write(sound, voices.speak(utterance.words)[0])
            if file:
                _write(file, lambda: shutil.copyfile(sound, file))
            else:
                playing.play(sound)
    except UnknownPrompt as error:
        raise click.ClickException(f"{error}; the ids stand in prompts/{catalogue.language}.yaml") from None
    except WrongPrompt as error:
        raise click.ClickException(f"{error}; what is filled in, is given as in --value name='John Smith'") from None
    except NoVoice as error:
        raise click.ClickException(str(error)) from None
    except playing.NotPlayed as error:
        raise click.ClickException(f"{error}; the sound can be written to a file: --to FILE.wav") from None
    out.print(utterance.words, markup=False, soft_wrap=True)


def _in_language(house: House, language: str | None = None) -> "tuple[Catalogue, Voices]":
    """The words and the voices of a language; of the service's where none is named."""
    from prompts.engines import Voices

    language, known = language or house.settings.service.language, house.settings.voices
    if language not in known:
        raise click.ClickException(
            f"no engine is set for the language {language!r} (setting voices): {', '.join(known)}"
        )
    return house.catalogue(language), Voices(language, known[language])


def _values(given: tuple[str, ...]) -> dict[str, str]:
    values: dict[str, str] = {}
    for text in given:
        name, mark, value = text.partition("=")
        if not mark or name in values:
            raise click.BadParameter(f"{text!r}: give each name once, as in name='John Smith'", param_hint="--value")
        values[name] = value
    return values


def _write(file: Path, write: Callable[[], object]) -> None:
    try:
        write()
    except OSError as error:
        raise click.ClickException(f"{file}: cannot be written ({error.strerror}); name another file") from None


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _log_to_stderr() -> None:
    handler = RichHandler(console=err, show_time=False, show_path=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])


def _become_service() -> None:
    """Sounds belong to the service, whoever asks for them."""
    if os.geteuid() == 0:
        service = pwd.getpwnam(asterisk.SERVICE_USER)
        os.setgroups([])
        os.setgid(service.pw_gid)
        os.setuid(service.pw_uid)


@commands.command()
@click.pass_context
def status(context: click.Context) -> None:
    """Who is waiting to be told, the next calls, the last attempts. Telephone numbers are masked."""
    from movans.tables import attempts, waiting

    house = _house(context)
    with psycopg.connect(house.dsn, connect_timeout=5) as conn:
        out.print(waiting(conn, house.keyring(), house.settings.service.zone))
        out.print(attempts(conn, house.keyring(), house.settings.service.zone))


@commands.command()
@click.pass_context
def doctor(context: click.Context) -> None:
    """Check every part, and say what to do where something is wrong."""
    from movans.doctor import examine

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
