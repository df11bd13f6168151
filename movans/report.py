"""``movans report``: what a person must do, until somebody says that it is done. Every act is recorded."""

import click

from db import alerts, hosts, notifications, overview, staff
from movans.console import out
from movans.staff import in_words, who
from movans.tables import still_alerts, to_do
from movans.wiring import House, now


@click.group(invoke_without_command=True)
@click.option("--reveal", is_flag=True, help="Show telephone numbers in clear; that is recorded.")
@click.pass_context
def report(context: click.Context, *, reveal: bool) -> None:
    """What staff must do: what was handed over, what is critical and unconfirmed, and alerts."""
    if context.invoked_subcommand:
        return
    house = House.at(context.obj)
    zone = house.settings.service.zone
    with house.database() as db, db.connection() as conn:
        found = overview.for_staff(conn, now=now())
        others = [alert for alert in alerts.still(conn) if not alert.is_of_notification]
        if reveal:
            for item in found:
                what = f"saw the telephone numbers of notification {item.id}"
                staff.record(conn, who(), what, item.registrant_id, now=now())
    if found:
        out.print(to_do(found, house.keyring(), zone, reveal=reveal))
        out.print("movans report close NOTIFICATION closes one, once the registrant has been told.", soft_wrap=True)
    if others:
        out.print(still_alerts(others, zone))
        out.print("movans report over ALERT ends one.", soft_wrap=True)
    if not found and not others:
        out.print("There is nothing to do.")


@report.command()
@click.argument("notification_id", metavar="NOTIFICATION", type=int)
@click.option("--how", required=True, help="How the registrant was told, or why there is nothing to tell; it is kept.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def close(context: click.Context, notification_id: int, how: str, *, yes: bool) -> None:
    """Close a notification that a person has seen to: nobody is called about it any more."""
    how = in_words("how", how, "told in person")
    with House.at(context.obj).database() as db:
        with db.connection() as conn:
            known = notifications.state(conn, notification_id)
        if known is None:
            raise click.ClickException(f"there is no notification {notification_id}; movans report lists them")
        if known == "open" and not yes:
            click.confirm(f"Close notification {notification_id}? Nobody is called about it any more", abort=True)
        with db.connection() as conn:
            registrant_id = notifications.close(conn, notification_id, now=now())
            if registrant_id is None:
                known = notifications.state(conn, notification_id)
                raise click.ClickException(f"notification {notification_id} has ended already: {known}")
            staff.record(conn, who(), f"closed notification {notification_id}: {how}", registrant_id, now=now())
    out.print(f"Notification {notification_id} is closed.")


@report.command("alerts")
@click.pass_context
def list_alerts(context: click.Context) -> None:
    """All alerts that are not over, those of notifications too."""
    house = House.at(context.obj)
    with house.database() as db, db.connection() as conn:
        found = alerts.still(conn)
    if found:
        out.print(still_alerts(found, house.settings.service.zone))
    else:
        out.print("There is none.")


@report.command()
@click.argument("alert_id", metavar="ALERT", type=int)
@click.pass_context
def over(context: click.Context, alert_id: int) -> None:
    """Say that an alert is over. What it was about raises it again where it goes on.

    Of a machine that makes no calls any more it says that it is gone for good; one that comes back says so itself.
    """
    with House.at(context.obj).database() as db, db.connection() as conn:
        key = alerts.end(conn, alert_id, now=now())
        if key is None:
            raise click.ClickException(f"no alert {alert_id} is to be ended; movans report alerts lists them")
        if key.startswith(hosts.AWAY % ""):
            hosts.leave(conn, key.removeprefix(hosts.AWAY % ""))
        staff.record(conn, who(), f"ended alert {alert_id}", now=now())
    out.print(f"Alert {alert_id} is over.")
