"""A call file: how Asterisk is asked to make a call.

Source: Asterisk documentation, "Asterisk Call Files". Each is used once; the database owns the retries.
"""

import os
from errno import EEXIST
from pathlib import Path

_TEXT = """\
Channel: Local/{attempt}@trunk/n
Context: notify
Extension: s
Priority: 1
CallerID: <{caller}>
WaitTime: {wait}
MaxRetries: 0
Archive: no
Setvar: MOVANS_ATTEMPT={attempt}
"""


def write(spool: Path, attempt_id: int, *, caller: str, ring_seconds: int) -> None:
    """Ask Asterisk to make the attempt's call.

    The file is written and synced beside ``outgoing`` and renamed into it, so that Asterisk never reads a part of it.
    ``caller`` is the service's own number. Raises OSError, in which case nothing was asked and nothing is left behind.
    """
    if not (caller.isascii() and caller.isdigit()):
        raise ValueError("the caller's number must be digits only")
    # The Local channel's own leg is given up only after the telephone itself had its time to ring.
    content = _TEXT.format(attempt=int(attempt_id), caller=caller, wait=ring_seconds + 10)
    beside = spool / "tmp" / f"{attempt_id}.call"
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    try:
        with os.fdopen(descriptor, "w") as file:
            os.fchmod(descriptor, 0o640)  # whatever the umask: Asterisk reads it as the spool's group
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        if (spool / "outgoing" / beside.name).exists():
            raise FileExistsError(EEXIST, "a call file's name is never used twice")
        beside.rename(spool / "outgoing" / beside.name)
    except OSError:
        beside.unlink()
        raise
