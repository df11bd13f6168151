"""``movans prompts``: the words, their sounds, and the recordings of people."""

import os
import pwd
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from movans.asterisk import SERVICE_USER
from movans.console import Bar, log_to_stderr, out
from movans.wiring import House
from prompts.catalogue import Catalogue, UnknownPrompt, WrongPrompt

if TYPE_CHECKING:
    from prompts.engines import Voices


@click.group()
def prompts() -> None:
    """The words and their sounds."""


@prompts.command("build")
@click.pass_context
def prompts_build(context: click.Context) -> None:
    """Make the sounds of all prompts that are new or changed."""
    from prompts import recordings
    from prompts.build import NotBuilt

    log_to_stderr()
    house = House.at(context.obj)
    catalogues = house.catalogues()
    _become_service()
    recordings.check(house.settings.recordings, list(catalogues))
    missing = []
    for catalogue in catalogues.values():
        try:
            _build(house, catalogue)
        except NotBuilt as error:
            missing += [f"{catalogue.language}: {line}" for line in str(error).splitlines()]
    if missing:
        raise click.ClickException("\n".join(missing))


def _build(house: House, catalogue: Catalogue) -> None:
    """The sounds of one language. Raises NotBuilt."""
    from prompts import recordings
    from prompts.build import RECORDING, build

    recorded = recordings.find(house.settings.recordings, catalogue)
    with Bar(f"sounds ({catalogue.language})") as progress:
        built = build(catalogue.fixed(), house.voices(catalogue.language), house.sounds, progress, recorded)
    people = built.engines.pop(RECORDING, 0)
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
def script(context: click.Context, language: str | None, file: Path | None) -> None:
    """Print what can be recorded: id, words, length, and whether there is a recording."""
    from movans.tables import script as table
    from prompts import recordings
    from prompts.script import script as read_out
    from prompts.script import write

    log_to_stderr()
    house = House.at(context.obj)
    catalogue, voices = _in_language(house, language)
    fixed = catalogue.fixed()
    lines = read_out(fixed, voices, house.sounds, recordings.find(house.settings.recordings, catalogue))
    if file:
        _write(file, lambda: write(lines, file))
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
def listen(
    context: click.Context, prompt: str, language: str | None, values: tuple[str, ...], file: Path | None
) -> None:
    """Play a prompt as callers hear it, or write it to a file."""
    from prompts import playing
    from prompts.sound import write
    from prompts.sounds import NoVoice, built_at

    log_to_stderr()
    house = House.at(context.obj)
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
    """The words and the voices of a language; of the first where none is named."""
    catalogues = house.catalogues()
    language = language or next(iter(catalogues))
    if language not in catalogues:
        known = ", ".join(catalogues)
        raise click.ClickException(f"the language {language!r} is not spoken (setting service.languages): {known}")
    return catalogues[language], house.voices(language)


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


def _become_service() -> None:
    """Sounds belong to the service, whoever asks for them."""
    if os.geteuid() == 0:
        service = pwd.getpwnam(SERVICE_USER)
        os.setgroups([])
        os.setgid(service.pw_gid)
        os.setuid(service.pw_uid)
