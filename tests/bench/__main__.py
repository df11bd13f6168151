"""The command line of the benchmarks."""

import os
import random
import resource
import sys

import click

from tests.bench import answer as answering
from tests.bench import feeding, report, stopping
from tests.bench import lookup as looking
from tests.bench import memory as remembering
from tests.bench import ring as ringing
from tests.bench import storm as storming
from tests.bench import talk as talking
from tests.bench.load import Stuck


@click.group(name="script/bench", context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
def commands() -> None:
    """How fast and how large the service is, beside its rivals.

    Each starts a service of its own, or its database alone, with a state that is removed at the end, calls over the
    loopback address only, and prints tables. Nothing is asserted. Leave the machine alone meanwhile.
    """


@commands.command()
@click.option("--rate", "rates", type=click.IntRange(1, 300), multiple=True, default=(20, 100, 200), help="Calls/s.")
@click.option("--seconds", type=click.FloatRange(1, 10), default=5, help="How long callers come in, in each round.")
@click.option("--rounds", type=click.IntRange(1, 10), default=2, help="Rounds in turn, at each rate.")
def answer(rates: tuple[int, ...], seconds: float, rounds: int) -> None:
    """Time to answer and to the first sound, at rising rates (about 3 minutes)."""
    answering.run(sorted(rates), seconds, rounds)


@commands.command()
@click.option("--events", type=click.IntRange(1, 99), default=50)
def ring(events: int) -> None:
    """Time from the commit of an event to the INVITE (about 2 minutes)."""
    ringing.run(events)


@commands.command()
@click.option("--calls", type=click.IntRange(1, 500), default=500, help="At the same time, at this service.")
@click.option("--scripts", type=click.IntRange(1, 50), default=20, help="Forked AGI scripts at the same time.")
def memory(calls: int, scripts: int) -> None:
    """Memory per call (about 2 minutes)."""
    remembering.run(calls, scripts)


@commands.command()
@click.option("--offenders", type=click.IntRange(5000, 100_000_000), default=10_000_000, help="How many there are.")
@click.option("--seconds", type=click.FloatRange(5, 3600), default=60, help="How long callers look somebody up.")
def lookup(offenders: int, seconds: float) -> None:
    """Time to find somebody among 10 million (about 10 minutes, and 14 GB of disk in TMPDIR)."""
    looking.run(offenders, seconds)


@commands.command()
@click.option("--people", type=click.IntRange(1000, 10_000_000), default=1_000_000, help="In the large snapshot.")
@click.option("--jails", type=click.IntRange(1, 1000), default=feeding.JAILS, help="Whose feeds come at once.")
@click.option("--each", type=click.IntRange(1, 10_000), default=500, help="People of each jail.")
def feed(people: int, jails: int, each: int) -> None:
    """Time to take in a snapshot of a million people, beside COPY, and of many feeds at once (about 6 minutes)."""
    feeding.run(people, jails, each)


@commands.command()
@click.option("--language", "languages", multiple=True, default=("en", "es"), help="One of prompts/*.yaml.")
@click.option("--offenders", type=click.IntRange(5000, 100_000_000), default=1_000_000, help="How many there are.")
def talk(languages: tuple[str, ...], offenders: int) -> None:
    """Time from the answer to "you are registered", and from a key to what is said (about 10 minutes)."""
    talking.run(list(languages), offenders)


@commands.command()
@click.option("--registrants", type=click.IntRange(40, 50_000), default=2000, help="Who are to be called at once.")
@click.option("--lines", type=click.IntRange(1, 500), default=50, help="Calls at the same time.")
@click.option("--seed", type=int, default=None, help="Of who behaves how; one is made up and printed.")
def storm(registrants: int, lines: int, seed: int | None) -> None:
    """Thousands to be called at once: use of the lines, order, and speed beside call files (about 6 minutes)."""
    if registrants < (least := storming.LINES_FULL * lines):
        raise click.UsageError(f"for {lines} lines there must be at least {least} registrants")
    storming.run(registrants, lines, random.randrange(10**6) if seed is None else seed)  # noqa: S311  no secret


def main() -> None:
    if os.geteuid() != 0:
        sys.exit("The benchmarks start a service, whose parts run as users of their own: use sudo script/bench")
    stopping.listen()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # each telephone has an ear of its own
    try:
        commands(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except Stuck as error:
        report.err.print(str(error), markup=False)
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort):
        sys.exit("Stopped; everything was removed.")
    except AssertionError as error:  # of the line, which tests use as well
        if stopping.told():
            sys.exit("Stopped; everything was removed.")
        report.err.print(str(error), markup=False)
        sys.exit(1)


main()
