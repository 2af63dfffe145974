"""The hold of one process on a sweep in an object store."""

import json
import secrets
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from sweeps.errors import AlreadyRunning
from sweeps.objects import Lease, LeaseLost, Objects, lease
from sweeps.objects.lease import Holder

BEGUN = 1_000_000.0


class Clock:
    """The time of the store and of this machine, which only a test moves."""

    def __init__(self, monkeypatch, objects):
        self.store, self.here, self.written = BEGUN, 5.0, {}
        write, create = objects.write, objects.create
        monkeypatch.setattr(lease, "_now", lambda: self.here)
        monkeypatch.setattr(
            objects, "written_at", lambda key: self.written.get(key) if objects.read(key) is not None else None
        )
        monkeypatch.setattr(objects, "write", lambda key, data: (self.note(key), write(key, data))[1])
        monkeypatch.setattr(objects, "create", lambda key, data: (self.note(key, new=True), create(key, data))[1])

    def note(self, key, new=False):
        if not new or key not in self.written:
            self.written[key] = self.store

    def passes(self, seconds):
        self.store += seconds
        self.here += seconds


@pytest.fixture
def objects():
    return Objects(f"memory://{secrets.token_hex(8)}/sweep")


@pytest.fixture
def clock(monkeypatch, objects):
    monkeypatch.setattr(lease, "REFRESH_S", 1e6)  # tests refresh by hand
    return Clock(monkeypatch, objects)


def elsewhere(monkeypatch):
    """Leases made from now on are of another machine."""
    monkeypatch.setattr(lease, "_where", lambda: "another machine")


def taken(objects):
    hold = Lease(objects)
    hold.take()
    return hold


def test_one_process_holds_a_sweep_and_gives_it_up(objects, clock):
    first = taken(objects)
    with pytest.raises(AlreadyRunning, match=r"is running already \(process \d+ on \S+ since .*\); wait for it"):
        taken(objects)
    first.release()
    second = taken(objects)
    second.check()


def test_a_living_one_keeps_its_hold_however_long(objects, clock):
    first = taken(objects)
    for _ in range(200):
        clock.passes(20)
        first.refresh()
        with pytest.raises(AlreadyRunning, match="last heard from 0 s ago"):
            taken(objects)
    first.check()


def test_the_hold_of_a_dead_one_elsewhere_ends_after_its_time_and_not_before(objects, clock, monkeypatch):
    taken(objects)
    elsewhere(monkeypatch)
    clock.passes(lease.DEAD_S)
    with pytest.raises(AlreadyRunning, match=r"last heard from 120 s ago; .* ends in 1 s"):
        taken(objects)
    clock.passes(1)
    taken(objects).check()


def test_a_holder_that_was_cut_off_stops_before_anybody_can_take_its_place(objects, clock, monkeypatch):
    first = taken(objects)
    clock.passes(lease.LOST_S)
    first.check()
    clock.passes(1)
    with pytest.raises(LeaseLost, match="could not be reached for 90 s") as lost:
        first.check()
    assert lost.value.exit_code == 75
    elsewhere(monkeypatch)
    with pytest.raises(AlreadyRunning):
        taken(objects)


def test_a_holder_that_slept_while_another_took_the_sweep_finds_it_out(objects, clock, monkeypatch):
    first = taken(objects)
    clock.passes(lease.DEAD_S + 1)
    elsewhere(monkeypatch)
    second = taken(objects)
    with pytest.raises(LeaseLost, match="another process has taken it"):
        first.refresh()
    with pytest.raises(LeaseLost):
        first.check()
    first.release()  # gives up nothing that is not its own
    second.refresh()
    with pytest.raises(AlreadyRunning):
        taken(objects)


def test_one_that_slept_while_others_took_it_and_gave_it_up_takes_nothing(objects, clock, monkeypatch):
    """It has seen a dead hold, and creates the next number when that one is used and gone."""
    taken(objects)
    clock.passes(lease.DEAD_S + 1)
    elsewhere(monkeypatch)
    slow, create = Lease(objects), objects.create

    def create_late(key, data):
        monkeypatch.setattr(objects, "create", create)
        taken(objects).release()
        holder = taken(objects)  # the number that the slow one is about to create has been used and removed
        assert create(key, data)
        monkeypatch.setattr(objects, "create", create)
        create_late.holder = holder
        return True

    monkeypatch.setattr(objects, "create", create_late)
    with pytest.raises(AlreadyRunning):
        slow.take()
    create_late.holder.refresh()
    create_late.holder.check()


def test_of_many_that_find_a_dead_hold_one_takes_it(objects, clock, monkeypatch):
    taken(objects)
    elsewhere(monkeypatch)
    for _ in range(5):
        clock.passes(lease.DEAD_S + 1)

        def contend(_):
            try:
                return taken(objects)
            except AlreadyRunning:
                return None

        with ThreadPoolExecutor(10) as pool:
            holds = [hold for hold in pool.map(contend, range(10)) if hold]
        assert len(holds) == 1
        holds[0].refresh()


def test_clocks_an_hour_apart_change_nothing(objects, clock):
    """Only the store's clock counts, and differences of this machine's own."""
    first = taken(objects)
    clock.here += 3600 - 3599  # a second here, while somebody sets the store's clock forward
    clock.store += 3600
    first.refresh()
    with pytest.raises(AlreadyRunning, match="last heard from 0 s ago"):
        taken(objects)
    clock.here += 20
    first.refresh()
    first.check()


def test_each_writing_has_another_nonce(objects, clock):
    hold = taken(objects)
    seen = {objects.read(".hold/000001")}
    for _ in range(5):
        hold.refresh()
        seen.add(objects.read(".hold/000001"))
    assert len(seen) == 6


def test_a_process_that_was_killed_on_this_machine_holds_nothing(objects, clock):
    code = "from sweeps.objects.lease import Holder; print(Holder.this_process().to_bytes().decode())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    objects.write(".hold/000007", ended.stdout.strip())
    taken(objects).check()
    assert list(objects.listed()) == [".hold/000008"]


def test_a_number_of_a_process_that_another_has_got_is_not_taken_for_it():
    holder = Holder.this_process()
    assert not holder.is_dead
    assert Holder(**{**vars(holder), "begun": "1"}).is_dead
    assert not Holder(**{**vars(holder), "begun": "1", "where": "another machine"}).is_dead


@pytest.mark.parametrize("data", [b"", b"not json", b"[]", b'{"pid": 1}', b"\xff\xfe"])
def test_a_hold_that_cannot_be_read_is_somebodys_until_its_time_is_over(data, objects, clock):
    objects.write(".hold/000003", data)
    with pytest.raises(AlreadyRunning, match="another process"):
        taken(objects)
    clock.passes(lease.DEAD_S + 1)
    taken(objects).check()


def test_the_heartbeat_goes_on_by_itself_and_says_when_the_hold_is_gone(objects, monkeypatch):
    import threading

    monkeypatch.setattr(lease, "REFRESH_S", 0.01)
    told, gone = [], threading.Event()
    hold = Lease(objects, lambda error: (told.append(error), gone.set()))
    hold.take()
    before = objects.read(".hold/000001")
    while objects.read(".hold/000001") == before:
        pass
    objects.write(".hold/000002", json.dumps({}).encode())
    assert gone.wait(60)
    assert isinstance(told[0], LeaseLost)
    hold.release()
