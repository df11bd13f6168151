"""Asterisk: its directories and configuration in the state directory, its start as a user of its own, and its CLI.

Where ``/opt/movans/asterisk`` exists, Asterisk runs in that private root, otherwise it is the machine's own. The
configuration of the machine, ``/etc/asterisk``, is never read or touched.
"""

import os
import pwd
import re
import secrets
import shutil
import socket
import stat
import subprocess
import wave
from collections.abc import Callable
from pathlib import Path
from string import Template

from movans.settings import Settings

PRIVATE_ROOT = Path("/opt/movans/asterisk")
SERVICE_USER = "movans"
PBX_USER = "movans-pbx"
QUIET = 1.5  # seconds in which a machine that still talks is heard, and a person does not wonder
NUMBER_TO_DIAL = "668267"  # MOVANS on the keypad; stands in dialplan/testphone.conf

DIALPLAN = Path(__file__).parent.parent / "dialplan"
# Neither l and 1 nor o and 0: it is typed into a telephone.
_PASSWORD_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"  # noqa: S105

# A small root of its own, in a mount namespace that ends with Asterisk: the private root's programs, read-only, and of
# the state only what Asterisk needs, under the same names as outside. Everything is exec'ed, so that the process that
# the supervisor started is Asterisk itself, and gets its signals. A change of user clears the parent-death signal,
# so setpriv sets it last.
_IN_PRIVATE_ROOT = """
set -e
mount --make-rprivate / 2>/dev/null || true
umask 022
root=$1 state=$2 uid=$3 gid=$4
new=$root/mnt
mount -t tmpfs -o mode=0755,nosuid,size=1m movans "$new"
mkdir "$new/usr" "$new/etc" "$new/dev" "$new/proc" "$new/run"
mkdir -m 1777 "$new/tmp"
mount --bind "$root/usr" "$new/usr"
mount -o remount,bind,ro,nosuid "$new/usr"
for name in bin sbin lib lib64; do
    if test -L "$root/$name"; then cp -P "$root/$name" "$new/$name"; fi
done
for name in ld.so.cache nsswitch.conf passwd group; do
    if test -f "$root/etc/$name"; then cp "$root/etc/$name" "$new/etc/$name"; fi
done
for name in resolv.conf localtime; do
    if test -f "/etc/$name"; then cp -L "/etc/$name" "$new/etc/$name"; fi
done
cp "$state/asterisk/hosts" "$new/etc/hosts"
mount --rbind /dev "$new/dev"
mount --bind /proc "$new/proc"
for name in asterisk sounds; do
    mkdir -p "$new$state/$name"
    mount --bind "$state/$name" "$new$state/$name"
done
cd /
umask 027
exec chroot "$new" /usr/bin/setpriv --reuid "$uid" --regid "$gid" --clear-groups --pdeathsig KILL \\
    /usr/sbin/asterisk -f -C "$state/asterisk/etc/asterisk.conf"
"""

_ON_THE_MACHINE = """
set -e
state=$1 uid=$2 gid=$3 asterisk=$4
if ! cmp -s "$state/asterisk/hosts" /etc/hosts; then
    mount --make-rprivate / 2>/dev/null || true
    mount --bind "$state/asterisk/hosts" /etc/hosts
fi
cd /
umask 027
exec setpriv --reuid "$uid" --regid "$gid" --clear-groups --pdeathsig KILL \\
    "$asterisk" -f -C "$state/asterisk/etc/asterisk.conf"
"""


class NoAsterisk(Exception):
    """There is no Asterisk on this machine, or it does not answer; the text says what to do."""


def prepare(settings: Settings) -> None:
    """Make directories, configuration and the test phone's password. Asterisk must not be running: the spool is purged.

    1. Directories, with owners and modes.
    2. The spool, emptied: after a crash Asterisk would dial old files; what is to be dialled is in the database.
    3. The configuration, rendered anew.
    4. A moment of silence as a sound: Asterisk can listen for talk only while it plays something.
    """
    pbx, service = pwd.getpwnam(PBX_USER), pwd.getpwnam(SERVICE_USER)
    home = settings.state / "asterisk"
    for directory, owner, group, mode in (
        (settings.state, 0, 0, 0o755),
        (settings.state / "sounds", service.pw_uid, pbx.pw_gid, 0o2750),
        (home, 0, 0, 0o755),
        (home / "etc", 0, pbx.pw_gid, 0o750),
        (home / "lib", pbx.pw_uid, pbx.pw_gid, 0o750),
        (home / "log", pbx.pw_uid, pbx.pw_gid, 0o750),
        # The dialer sees whether the control socket is there; it may not use it.
        (home / "run", pbx.pw_uid, pbx.pw_gid, 0o751),
        (home / "spool", 0, 0, 0o755),
        # The dialer writes in tmp and renames into outgoing; both take the group on from the directory.
        (home / "spool" / "tmp", service.pw_uid, pbx.pw_gid, 0o2750),
        (home / "spool" / "outgoing", service.pw_uid, pbx.pw_gid, 0o2770),
    ):
        directory.mkdir(parents=True, exist_ok=True)
        os.chown(directory, owner, group)
        directory.chmod(mode)

    control_socket(settings).unlink(missing_ok=True)  # first, so that the dialer puts nothing more there
    for directory in (home / "spool" / "tmp", home / "spool" / "outgoing"):
        for file in directory.iterdir():
            if file.is_dir() and not file.is_symlink():
                shutil.rmtree(file)
            else:
                file.unlink()

    for file in (home / "etc").iterdir():
        file.unlink()
    for name, text in configuration(settings, phone_password(settings) if settings.test_phone else None).items():
        _write(home / "etc" / name, text, pbx.pw_gid, 0o640)
    _write(home / "hosts", hosts(), 0, 0o644)
    sound = settings.state / "sounds" / "quiet.wav"
    with wave.open(str(sound), "wb") as quiet:
        quiet.setparams((1, 2, 8000, 0, "NONE", ""))
        quiet.writeframes(bytes(round(QUIET * 8000) * 2))
    sound.chmod(0o644)


def configuration(settings: Settings, phone_password: str | None) -> dict[str, str]:
    """Every file of Asterisk's configuration directory, by its name."""
    modules, data = _directories()
    sip = settings.sip
    media, outside = "", ""
    if sip.listen is not None:
        # Telephones are told the address whose ports are forwarded to here.
        outside = f"external_signaling_address = {sip.address}\nexternal_media_address = {sip.address}"
    elif not sip.address.is_unspecified:
        # The sound goes where the SIP goes, unless that is every address.
        media = f"media_address = {sip.address}\nbind_rtp_to_media_address = yes"
    values: dict[str, object] = {
        "state": settings.state,
        "modules": modules,
        "data": data,
        "agi": f"127.0.0.1:{settings.agi_port}",
        "sounds": settings.state / "sounds",
        "language": settings.service.languages[0],
        "longest": max(1, round(settings.calls.longest.total_seconds())),
        "number": settings.service.number,
        # A name is free text; what could mean something to the dialplan is left out.
        "name": re.sub(r"[^\w .-]", "", settings.service.name).strip(),
        "listen": sip.listen or sip.address,
        "outside": outside,
        "port": sip.port,
        "first": sip.rtp_ports[0],
        "last": sip.rtp_ports[1],
        "media": media,
    }
    files = {path.name: path.read_text(encoding="utf-8") for path in DIALPLAN.glob("*.conf")}
    parts: dict[str, Callable[..., str]] = {
        path.name: Template(path.read_text(encoding="utf-8")).substitute
        for path in (DIALPLAN / "asterisk").glob("*.conf")
    }
    pjsip = parts.pop("pjsip.conf")(values)
    phone, trunk, account = (parts.pop(f"pjsip-{name}.conf") for name in ("testphone", "trunk", "trunk-account"))
    if phone_password is not None:
        pjsip += phone(values, password=phone_password)
    for name, chosen in settings.trunks.items():
        own = values | {"trunk": name, "host": chosen.host, "port": chosen.port}
        pjsip += trunk(own)
        if chosen.username is not None:
            user = chosen.username.replace("@", "%40")
            pjsip += account(own, username=chosen.username, user=user, password=chosen.password or "")
    return files | {name: part(values) for name, part in parts.items()} | {"pjsip.conf": pjsip}


def phone_password(settings: Settings) -> str:
    """The password of the test phone's account, made at the first call."""
    path = settings.state / "test-phone"
    if not path.exists():
        _write(path, "".join(secrets.choice(_PASSWORD_LETTERS) for _ in range(14)) + "\n", 0, 0o600)
    return path.read_text(encoding="ascii").strip()


def hosts() -> str:
    """The machine's /etc/hosts, and its own name where that is missing: else each call would wait for seconds."""
    try:
        text = Path("/etc/hosts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = "127.0.0.1 localhost\n"
    own = socket.gethostname()
    known = {name for line in text.splitlines() for name in line.partition("#")[0].split()[1:]}
    return text if own in known else f"{text.rstrip()}\n127.0.1.1 {own}\n"


def command(settings: Settings) -> list[str]:
    """What starts Asterisk in the foreground, as its own user. To be run as root, after `prepare`."""
    pbx = pwd.getpwnam(PBX_USER)
    ids = [str(pbx.pw_uid), str(pbx.pw_gid)]
    # The scripts make the mounts private themselves, as far as they can: unshare fails where / is no mount point, as in
    # a chroot.
    start = ["unshare", "--mount", "--propagation", "unchanged", "sh", "-c"]
    if PRIVATE_ROOT.exists():
        return [*start, _IN_PRIVATE_ROOT, "asterisk", str(PRIVATE_ROOT), str(settings.state), *ids]
    if hosts() == Path("/etc/hosts").read_text(encoding="utf-8", errors="replace"):
        start = ["sh", "-c"]  # nothing to mount, so it works in a container that may not
    return [*start, _ON_THE_MACHINE, "asterisk", str(settings.state), *ids, _own_asterisk()]


def run(settings: Settings) -> None:
    """Become Asterisk. Returns never."""
    prepare(settings)
    # Asterisk opens its standard output again, by name, as its own user: a pipe that root made must become its own.
    if stat.S_ISFIFO(os.fstat(1).st_mode):
        os.fchown(1, pwd.getpwnam(PBX_USER).pw_uid, -1)
    line = command(settings)
    os.execvp(line[0], line)  # noqa: S606


def version() -> str:
    """The version of the Asterisk that would be started, as in 22.10.1."""
    if PRIVATE_ROOT.exists():
        line = ["chroot", str(PRIVATE_ROOT), "/usr/sbin/asterisk", "-V"]
    else:
        line = [_own_asterisk(), "-V"]
    said = subprocess.run(line, capture_output=True, text=True, timeout=30, check=False)
    found = re.search(r"Asterisk (?:certified[-/])?([0-9]+(?:\.[0-9]+)*)", said.stdout)
    if not found:
        raise NoAsterisk(f"Asterisk does not start: {(said.stderr or said.stdout).strip()[:300]}")
    return found[1]


def cli(settings: Settings, line: str, timeout: float = 5) -> str:
    """The answer of the running Asterisk to one CLI command, over its Unix socket.

    Raises NoAsterisk where none answers in time.
    """
    path = control_socket(settings)
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX) as asterisk:
            asterisk.settimeout(timeout)
            asterisk.connect(str(path))
            # Asterisk closes the connection after the answer to a command that begins so (netconsole() in asterisk.c).
            asterisk.sendall(b"cli quit after " + line.encode() + b"\0")
            while received := asterisk.recv(65536):
                answer += received
    except OSError as error:
        raise NoAsterisk(f"Asterisk does not answer at {path}: {error}. Is the server running?") from None
    # The first line is a greeting with the name of the machine, the process id and the version.
    return answer.partition(b"\n")[2].decode("utf-8", "replace").replace("\0", "")


def control_socket(settings: Settings) -> Path:
    """Where Asterisk's CLI answers. It is there only while Asterisk runs, or after a crash until the next start."""
    return settings.state / "asterisk" / "run" / "asterisk.ctl"


def listens(settings: Settings) -> bool:
    """Whether Asterisk has its SIP port; it goes on without, deaf, where something else has taken it."""
    return f":{settings.sip.port} " in cli(settings, "pjsip show transports").replace("\n", " ")


def _own_asterisk() -> str:
    found = shutil.which("asterisk", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise NoAsterisk("There is no Asterisk on this machine. script/bootstrap installs it.")
    return found


def _directories() -> tuple[Path, Path]:
    """Where Asterisk, in its root, keeps modules and data: the first differs with the processor and the builder."""
    root = PRIVATE_ROOT if PRIVATE_ROOT.exists() else Path("/")
    modules = [
        path
        for pattern in ("usr/lib/*/asterisk/modules", "usr/lib/asterisk/modules", "usr/lib64/asterisk/modules")
        for path in sorted(root.glob(pattern))
        if (path / "chan_pjsip.so").exists()
    ]
    data = [
        path for path in (root / "usr/share/asterisk", root / "var/lib/asterisk") if (path / "documentation").is_dir()
    ]
    if not modules or not data:
        raise NoAsterisk(f"Asterisk's modules or data were not found under {root}. script/bootstrap installs them.")
    return Path("/") / modules[0].relative_to(root), Path("/") / data[0].relative_to(root)


def _write(path: Path, text: str, group: int, mode: int) -> None:
    """Write a file that was never readable by others, whole or not at all."""
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        os.fchown(descriptor, -1, group)
        os.fchmod(descriptor, mode)
        file.flush()
        os.fsync(descriptor)
    new.rename(path)
