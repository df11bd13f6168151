"""A database that is not the service's own: a DSN in the settings."""

import os

import pytest

from tests.cluster import make_database
from tests.live.line import Line
from tests.live.registered import ARRESTED, JAIL

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts the service, whose parts run as users of their own")


def test_the_service_runs_on_the_database_that_the_settings_name(cluster: str):
    with Line(database=make_database(cluster, "movans_elsewhere")) as line:
        assert not (line.settings.state / "postgres").exists()
        line.expects(
            "status_in_custody",
            name="Amy Hill",
            since=line.said_when(ARRESTED),
            facility=JAIL,
        )
        line.imports(f"boone,400100,HILL,AMY,1990-07-31,{JAIL},in custody,{ARRESTED}")
        assert line.query("select count(*) from offender") == [(1,)]
        with line.phone() as phone, phone.calls("668267") as call:
            call.hears("welcome").presses("2").hears("ask_offender").presses("400100#")
            call.hears("is in custody").hangs_up()
        assert "All is well" in line.movans("doctor").stdout
