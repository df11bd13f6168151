"""The command line of the crash matrix."""

import os
import secrets
import sys

import click

from tests.bench import report, stopping
from tests.chaos import matrix
from tests.chaos.cell import ALL_POINTS, Result
from tests.chaos.faults import ALL_FAULTS

POINTS = {point.name: point for point in ALL_POINTS}
FAULTS = {f"{fault.process} {fault.name}": fault for fault in ALL_FAULTS}


@click.command(name="script/chaos", context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.option("--matrix", "whole", is_flag=True, help="Every cell once.")
@click.option("--minutes", type=click.FloatRange(min=0.1), default=None, help="A random walk, for so long.")
@click.option("--seed", default=None, help="Of a walk that is to be repeated.  [default: a new one]")
@click.option("--lines", type=click.IntRange(1, 8), default=1, help="Services at once, which share the cells.")
@click.option("--point", "points", type=click.Choice(list(POINTS)), multiple=True, help="Only this one, or these.")
@click.option("--fault", "faults", type=click.Choice(list(FAULTS)), multiple=True, help="Only this one, or these.")
def command(
    *,
    whole: bool,
    minutes: float | None,
    seed: str | None,
    lines: int,
    points: tuple[str, ...],
    faults: tuple[str, ...],
) -> None:
    """Kill and stop each process at each point of a call out, and see that nobody is forgotten or called twice at once.

    It starts a service of its own, whose telephones answer and enter their PIN, and removes it at the end. It ends with
    1 where a rule was broken.
    """
    if whole == (minutes is not None):
        raise click.UsageError("give either --matrix or --minutes")
    chosen_points = [POINTS[name] for name in points or POINTS]
    chosen_faults = [FAULTS[name] for name in faults or FAULTS]
    if minutes is None:
        cells = iter(matrix.every(chosen_faults, chosen_points))
    else:
        seed = seed or secrets.token_hex(3)
        report.out.print(f"Seed {seed}: the same walk again with --minutes {minutes:g} --seed {seed}")
        cells = matrix.walk(seed, minutes, chosen_faults, chosen_points)

    def told(result: Result) -> None:
        if whole or not result.not_applicable:
            report.out.print(matrix.line_of(result), soft_wrap=True)

    stopping.listen()
    results = matrix.run_on(lines, cells, told)
    matrix.show(results)
    sys.exit(1 if any(result.broken for result in results) else 0)


if os.geteuid() != 0:
    sys.exit("The crash matrix starts a service, whose parts run as users of their own: use sudo script/chaos")
command(prog_name="script/chaos")
