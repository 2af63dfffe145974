"""Network file systems whose locks or caches a sweep should know of, by the mounts that Linux lists."""

import re
from dataclasses import dataclass
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
LOCAL_LOCKS = re.compile(r"(^|,)(nolock|local_lock=(flock|all))(,|$)")


@dataclass(frozen=True)
class Mount:
    """One line of mountinfo (proc_pid_mountinfo(5))."""

    place: Path
    kind: str
    """`nfs4`, `ext4`, ..."""
    options: str

    @classmethod
    def from_line(cls, line: str) -> "Mount | None":
        """None of a line that is none: `36 35 98:0 / /mnt rw,noatime shared:1 - nfs4 server:/x rw,nolock`."""
        own, dash, of_file_system = line.rstrip("\n").partition(" - ")
        fields, others = own.split(" "), of_file_system.split(" ")
        if not dash or len(fields) < 6 or len(others) < 3:
            return None
        return cls(Path(_unescaped(fields[4])), others[0], f"{fields[5]},{others[2]}")

    @property
    def is_nfs(self) -> bool:
        """Whether it is shared by NFS."""
        return self.kind in ("nfs", "nfs4")

    @property
    def locks_here_alone(self) -> bool:
        """Whether two hosts can both get a lock of one file there."""
        return self.is_nfs and LOCAL_LOCKS.search(self.options) is not None


def mount_of(folder: Path, mounts: str | None = None) -> Mount | None:
    """The mount in which a folder is; None where the system lists none.

    Args:
        folder: absolute.
        mounts: content of mountinfo; that of this system by default.
    """
    if mounts is None:
        try:
            mounts = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return None
    found = [mount for line in mounts.splitlines() if (mount := Mount.from_line(line))]
    over = [mount for mount in found if folder.is_relative_to(mount.place)]
    return max(reversed(over), key=lambda mount: len(mount.place.parts), default=None)  # the last one is on top


def mount_notes(folder: Path, mounts: str | None = None) -> list[str]:
    """Lines for people on the mount of a sweep's folder."""
    mount = mount_of(folder, mounts)
    if mount is None or not mount.locks_here_alone:
        return []
    option = next(o for o in mount.options.split(",") if LOCAL_LOCKS.fullmatch(o))
    return [
        f"{mount.place} is mounted with {option}: other hosts do not see that this sweep is running; start it on one"
        " host only, or mount without that option"
    ]


def _unescaped(text: str) -> str:
    """Spaces and the like are written as octal numbers there."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
