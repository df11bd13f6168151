"""A real Asterisk with a few lines of configuration, to try the telephone and the ears on. Not the service's own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tests.live.softphone import NoSuchThing, free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

PRIVATE_ROOT = Path("/opt/movans/asterisk")
NOBODY = 65534
MODULES = """
res_timing_timerfd res_sorcery_config res_sorcery_memory res_sorcery_astdb res_pjproject res_pjsip res_pjsip_session
res_pjsip_pubsub res_pjsip_registrar res_pjsip_authenticator_digest res_pjsip_endpoint_identifier_user
res_pjsip_endpoint_identifier_ip res_pjsip_sdp_rtp res_pjsip_caller_id res_rtp_asterisk chan_pjsip codec_ulaw
format_wav pbx_config pbx_spool app_dial app_playback app_read app_verbose bridge_simple func_channel func_timeout
func_hangupcause func_logic func_strings
"""

PJSIP = """
[udp]
type=transport
protocol=udp
bind=127.0.0.1:{sip}
[testphone]
type=endpoint
context=testphone
disallow=all
allow=ulaw
media_address=127.0.0.1
auth=testphone
aors=testphone
direct_media=no
dtmf_mode=rfc4733
[testphone]
type=auth
auth_type=userpass
username=testphone
password={password}
[testphone]
type=aor
max_contacts=1
remove_existing=yes
[trunk]
type=endpoint
context=nowhere
disallow=all
allow=ulaw
aors=trunk
direct_media=no
[trunk]
type=aor
contact=sip:127.0.0.1:{trunk}
[asked]
type=endpoint
context=nowhere
aors=asked
[asked]
type=aor
contact=sip:127.0.0.1:{asked}
qualify_frequency=1
"""


class SmallAsterisk:
    """Its files are bound to /mnt, in a mount namespace that ends with it, of the private root or of this machine."""

    def __init__(self, dialplan: str, sounds: Path) -> None:
        self._dialplan, self._sounds = dialplan, sounds
        self.password = "small"
        self.port = free_port()
        self.trunk_port = free_port()
        self.asked_port = free_port()  # asked every second whether it is there
        self._rtp = free_port(count=40)

    def __enter__(self) -> Self:
        self.directory = Path(tempfile.mkdtemp(prefix="asterisk-"))
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if process := getattr(self, "_process", None):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _start(self) -> None:
        places = ("etc", "lib", "run", "log", "spool/outgoing", "spool/tmp", "sounds")
        for place in places:
            (self.directory / place).mkdir(parents=True)
        for sound in self._sounds.rglob("*.wav"):
            to = self.directory / "sounds" / sound.relative_to(self._sounds)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(sound, to)
        for name, text in self._configuration().items():
            (self.directory / "etc" / name).write_text(text)
        for path in (self.directory, *self.directory.rglob("*")):
            os.chown(path, NOBODY, NOBODY)

        root = PRIVATE_ROOT if (PRIVATE_ROOT / "usr/sbin/asterisk").exists() else Path("/")
        # Asterisk looks its own host's name up, and waits where it has none: an address is its own answer.
        # Mounts are made private as far as they can be: unshare itself fails where / is no mount point, as in a chroot.
        script = 'hostname 127.0.0.1; mount --make-rprivate / 2>/dev/null || true; mount --bind "$1" "$2/mnt"; '
        if root != Path("/"):
            script += 'mount --bind /dev "$2/dev"; mount -t proc proc "$2/proc"; '
        script += f'exec setpriv --pdeathsig KILL chroot --userspec={NOBODY}:{NOBODY} --groups= "$2" "${{@:3}}"'
        command = [
            "unshare",
            "--uts",
            "--mount",
            "--propagation",
            "unchanged",
            "bash",
            "-ec",
            script,
            "_",
            self.directory,
            root,
        ]
        with (self.directory / "log/console").open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "/usr/sbin/asterisk", "-f", "-C", "/mnt/etc/asterisk.conf"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                env={"PATH": os.environ["PATH"]},
            )
        until = time.monotonic() + 20
        while "Asterisk Ready" not in self.log():
            if self._process.poll() is not None or time.monotonic() > until:
                raise NoSuchThing(f"Asterisk did not start:\n{self.log()[-3000:]}")
            time.sleep(0.05)

    def _configuration(self) -> Mapping[str, str]:
        directories = {"etcdir": "etc", "dbdir": "lib", "keydir": "lib", "rundir": "run"}
        directories |= {"logdir": "log", "spooldir": "spool", "varlibdir": "lib"}
        return {
            "asterisk.conf": "[directories]\n"
            + "".join(f"ast{name} => /mnt/{place}\n" for name, place in directories.items())
            + "astdatadir => /usr/share/asterisk\n[options]\nverbose=2\nhideconnect=yes\nnocolor=yes\n",
            "modules.conf": "[modules]\nautoload=no\n" + "".join(f"load={name}.so\n" for name in MODULES.split()),
            "logger.conf": "[logfiles]\nfull => notice,warning,error,verbose\n",
            "pjsip.conf": PJSIP.format(
                sip=self.port, trunk=self.trunk_port, asked=self.asked_port, password=self.password
            ),
            "rtp.conf": f"[general]\nrtpstart={self._rtp}\nrtpend={self._rtp + 39}\n",
            "extensions.conf": self._dialplan,
            "cdr.conf": "[general]\nenable=no\n",
            "cel.conf": "[general]\nenable=no\n",
        }

    def log(self) -> str:
        text = [
            path.read_text(errors="replace") for path in sorted((self.directory / "log").glob("*")) if path.is_file()
        ]
        return "\n".join(text)

    def wait_log(self, text: str, timeout: float = 5) -> None:
        until = time.monotonic() + timeout
        while text not in self.log():
            if time.monotonic() > until or self._process.poll() is not None:
                raise NoSuchThing(f"Asterisk did not say {text!r}:\n{self.log()[-2000:]}")
            time.sleep(0.02)

    def call_file(self, text: str) -> None:
        path = self.directory / "spool/tmp" / f"{time.monotonic_ns()}.call"
        path.write_text(text)
        os.chown(path, NOBODY, NOBODY)
        path.rename(self.directory / "spool/outgoing" / path.name)
