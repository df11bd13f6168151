"""``movans policy``: shows what the settings' policy makes of an event."""

from datetime import datetime

import click
import psycopg

from db import overview
from dialer import schedule
from movans.console import out
from movans.settings import AGAIN
from movans.tables import timeline
from movans.wiring import House, now

THEN = {
    "alert": "The time for calling is up after the last call: staff take over. An alert tells them at once.",
    "report": "The time for calling is up after the last call: staff take over.",
}
OUTCOMES = sorted(outcome.replace(" ", "-") for outcome in AGAIN)


@click.group()
def policy() -> None:
    """When registrants are called about what happens."""


@policy.command()
@click.argument("kind")
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"]),
    help="When the event becomes known, by the agency's clock. If not given: now.",
)
@click.option(
    "--telephones", type=click.IntRange(1, 9), default=1, show_default=True, help="How many the registrant has."
)
@click.option(
    "--outcome", type=click.Choice(OUTCOMES), default="no-answer", show_default=True, help="What becomes of each call."
)
@click.option("--agency", help="Whose event it is, where agencies have time zones of their own.")
@click.pass_context
def explain(
    context: click.Context, kind: str, at: datetime | None, telephones: int, outcome: str, agency: str | None
) -> None:
    """Show the calls that a registrant would get about a KIND of event, if no PIN was ever entered."""
    house = House.at(context.obj)
    with psycopg.connect(house.dsn, connect_timeout=5) as conn:
        kinds = overview.kinds(conn)
    if kind not in kinds:
        raise click.ClickException(f"there is no kind of event {kind!r}; known are {', '.join(sorted(kinds))}")
    if agency is not None and agency not in house.settings.agencies:
        known = ", ".join(house.settings.agencies)
        raise click.ClickException(f"there is no agency {agency!r} in the settings; known are {known}")
    urgency, meaning = kinds[kind]
    out.print(f"{kind}: {meaning} ({urgency})", style="bold", markup=False)
    if urgency == "untold":
        out.print("Nobody is called: it is kept as history.")
        return
    zone = house.settings.zone(agency or "")
    begin = at.replace(tzinfo=zone) if at else now()
    rules = house.settings.policy.rules(kind, urgency)
    plan, calls = schedule.course(rules, outcome.replace("-", " "), places=telephones, zone=zone, now=begin)
    out.print(timeline(plan, calls, begin, zone))
    out.print(
        f"{THEN[rules.then]} movans report lists it until a person closes it. The right PIN ends it with any call."
        " Calls also take their time, and wait for a free line: these times are the earliest.",
        soft_wrap=True,
    )
