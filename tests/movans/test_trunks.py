"""What the watchdog sees of the trunks, and the dialer reads."""

import os
from pathlib import Path

from movans import trunks

# As Asterisk 22.10.1 prints it.
CONTACTS = """
  Contact:  <Aor/ContactUri..............................> <Hash....> <Status> <RTT(ms)..>
==========================================================================================

  Contact:  testphone/sip:testphone@127.0.0.1:5062         87ae18fb03 Unavail        -nan
  Contact:  trunk-main/sip:127.0.0.1:25070                 87ae18fb01 NonQual        -nan
  Contact:  trunk-spare/sip:127.0.0.1:25071                822f57050e NonQual        -nan
  Contact:  watch-main/sip:127.0.0.1:25070                 87ae18fb01 Avail         0.496
  Contact:  watch-spare/sip:127.0.0.1:25071                822f57050e Unavail        -nan
  Contact:  watch-a-long-way-off/sip:a.very.long.name.of.a. 822f57050f Unavail        -nan
  Contact:  watch-new/sip:127.0.0.1:25071                  822f57050e NonQual        -nan

Objects found: 7
"""


def test_the_trunks_that_do_not_answer_are_found_in_what_asterisk_says():
    assert trunks.unavailable(CONTACTS) == ["spare", "a-long-way-off"]


def test_what_is_noted_is_read_while_it_is_fresh(tmp_path: Path):
    path = tmp_path / "trunks"
    assert trunks.down(path) == frozenset()
    trunks.note(path, ["main", "spare"])
    assert trunks.down(path) == {"main", "spare"}
    trunks.note(path, [])
    assert trunks.down(path) == frozenset()


def test_what_is_old_is_known_no_more(tmp_path: Path):
    path = tmp_path / "trunks"
    trunks.note(path, ["main"])
    past = path.stat().st_mtime - trunks.STALE - 1
    os.utime(path, (past, past))
    assert trunks.down(path) == frozenset()
