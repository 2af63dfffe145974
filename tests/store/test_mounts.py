"""Mounts of network file systems on which two hosts can both get a lock."""

from pathlib import Path

import pytest

from sweeps.store.mounts import Mount, mount_notes, mount_of

LINES = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
36 22 0:41 / /data rw,noatime shared:2 - nfs4 server:/export rw,vers=4.2,hard,local_lock=none,addr=10.0.0.1
37 22 0:42 / /old rw shared:3 master:1 - nfs server:/old rw,vers=3,nolock,local_lock=all
38 22 0:43 / /old\\040files rw - nfs server:/old rw,vers=3,local_lock=flock
39 36 0:44 / /data/fast rw - xfs /dev/sdb rw,nolock
40 22 0:45 / /posix rw - nfs server:/p rw,local_lock=posix
41 22 0:46 / /over rw - nfs server:/o rw,local_lock=all
42 22 0:47 / /over rw - tmpfs tmpfs rw
"""


@pytest.mark.parametrize(
    ("folder", "place", "option"),
    [
        ("/home/me/ray_results", "/", None),
        ("/data/ray_results", "/data", None),
        ("/data/fast/sweeps", "/data/fast", None),  # no NFS, whatever it is called
        ("/database", "/", None),
        ("/old/sweeps", "/old", "nolock"),
        ("/old files/sweeps", "/old files", "local_lock=flock"),
        ("/posix", "/posix", None),  # flock goes to the server
        ("/over/x", "/over", None),  # the last mount is on top
    ],
)
def test_a_folder_with_locks_of_this_host_alone_is_noted_with_the_option(folder, place, option):
    assert mount_of(Path(folder), LINES).place == Path(place)
    notes = mount_notes(Path(folder), LINES)
    assert len(notes) == (option is not None)
    assert all(f"{place} is mounted with {option}: other hosts do not see" in note for note in notes)


@pytest.mark.parametrize("line", ["", "x", "1 2 3 4 5", "36 35 98:0 / /mnt rw - nfs", " - - - "])
def test_lines_that_are_none_are_left_alone(line):
    assert Mount.from_line(line) is None
    assert mount_notes(Path("/x"), line) == []


def test_this_system_can_be_asked(tmp_path):
    found = mount_of(tmp_path)
    assert found is None or tmp_path.is_relative_to(found.place)
