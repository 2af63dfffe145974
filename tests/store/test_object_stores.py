"""A sweep in an object store: what is put there and when, and what another process finds there at any moment."""

import json
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from moto_server import FaultyS3, error_answer, lead_to
from written_sweeps import write_sweep_json, write_trial

from deepdlt.models import BEST, LAST
from sweeps import store
from sweeps.errors import AlreadyRunning, NotASweep, SweepRefused
from sweeps.objects import Objects, StoreError, client
from sweeps.request import check_storage
from sweeps.space.configuration import Configuration
from sweeps.store import location, mirror
from sweeps.store.cell import Cell
from sweeps.store.trial_record import COMPLETE, FAILED, PRUNED, forget_failure, read_record, write_record

CELL = Cell("search", Configuration.of(lr=1e-3, epochs=2), "angle", 0, 0, "data1")
NAME = CELL.name(1)


@pytest.fixture(autouse=True)
def short_patience(monkeypatch):
    """Faults in these tests do not pass by waiting, unless they pass at once."""
    for module in (client, location.objects):
        monkeypatch.setattr(module, "PATIENCE_S", 0.5)
    monkeypatch.setattr(client, "LONGEST_PAUSE_S", 0.01)
    yield
    mirror._open.clear()


@pytest.fixture
def url():
    return f"memory://{secrets.token_hex(8)}"


def driver(url, name="sweep"):
    return store.locate(url, name)


def train_epochs(directory, numbers, text="run"):
    """Files as a trial leaves them after each epoch: its best weights never older than its last ones."""
    (directory / store.CODE_FILE).write_text("code")
    with store.TrialLog(directory) as log:
        log.session_start(directory.name, {"lr": 1e-3})
        for epoch in numbers:
            (directory / BEST).write_text(f"{text} {epoch}")
            (directory / LAST).write_text(f"{text} {epoch}")
            log.scalars({"val_loss": 1 / epoch}, epoch)
            log.flush()
            store.after_epoch(directory, may_end=True)


def epoch_of(data):
    return int(data.split()[-1]) if data else 0


def test_the_names_in_the_order_are_those_of_the_files():
    assert mirror.IN_ORDER == ("code.txt", "schedule.json", BEST, LAST, "events.out.tfevents.")


def test_a_trial_is_found_by_the_driver_whole_and_its_record_last(url, monkeypatch):
    sweep, written = driver(url), []
    monkeypatch.setattr(mirror, "EVERY_S", 0.0)
    pipe = client.Objects.write
    monkeypatch.setattr(client.Objects, "write", lambda self, key, data: (written.append(key), pipe(self, key, data)))
    create = client.Objects.create
    monkeypatch.setattr(
        client.Objects, "create", lambda self, key, data: (written.append(key), create(self, key, data))[1]
    )
    with store.trial_folder(store.address(sweep), NAME) as directory:
        assert not directory.is_relative_to(sweep)
        train_epochs(directory, [1, 2])
        write_record(directory, CELL, COMPLETE, metrics={"epoch": 2})
    names = [key.partition(".tfevents")[0] for key in written]
    assert names[:4] == ["code.txt", "best.pt", "last.pt", "events.out"]
    assert names[-1] == "trial.json"
    assert not directory.exists()
    assert read_record(sweep / NAME) is None
    record = store.ended_record(sweep / NAME, finished=True)
    assert record.is_complete
    assert store.read_trial(sweep / NAME).scalars["val_loss"] == {1: 1.0, 2: 0.5}
    assert not list(sweep.rglob("*.pt"))  # weights stay where they are


def test_checkpoints_are_put_there_no_more_often_than_every_30_s_and_event_files_when_it_may_end(url, monkeypatch):
    written = []
    pipe = client.Objects.write
    monkeypatch.setattr(client.Objects, "write", lambda self, key, data: (written.append(key), pipe(self, key, data)))
    with store.trial_folder(f"{url}/sweep", NAME) as directory:
        train_epochs(directory, [1, 2, 3])
        assert [key[:6] for key in written] == ["events"] * 3
        mirror.mirror_of(directory)._last -= mirror.EVERY_S
        written.clear()
        train_epochs(directory, [4, 5])
        assert [key[:6] for key in written] == ["code.t", "best.p", "last.p", "events", "events"]
        store.after_epoch(directory, may_end=False)
        assert len(written) == 5
        written.clear()
        write_record(directory, CELL, COMPLETE)
        assert [key[:6] for key in written] == ["best.p", "last.p"]  # of the newest epoch, before the record


def test_a_trial_that_tune_stops_leaves_its_newest_epoch(url):
    def stopped():
        with store.trial_folder(f"{url}/sweep", NAME) as directory:
            train_epochs(directory, [1, 2, 3])
            sys.exit(0)  # as Tune does within `tune.report`

    with pytest.raises(SystemExit):
        stopped()
    with store.trial_folder(f"{url}/sweep", NAME) as directory:
        assert (directory / LAST).read_text() == "run 3"
        assert store.read_trial(directory).scalars["val_loss"].keys() == {1, 2, 3}


def test_a_trial_on_a_machine_that_dies_goes_on_from_what_is_in_the_store(url, monkeypatch):
    monkeypatch.setattr(mirror, "EVERY_S", 0.0)
    context = store.trial_folder(f"{url}/sweep", NAME)
    train_epochs(context.__enter__(), [1, 2])  # and no end
    with store.trial_folder(f"{url}/sweep", NAME) as directory:
        assert (directory / LAST).read_text() == "run 2"
        assert (directory / store.CODE_FILE).read_text() == "code"


def test_whenever_the_store_fails_what_is_there_is_a_state_that_was(url, monkeypatch):
    """At each request in turn: best.pt is never older than last.pt, and a record never without all that it needs."""
    monkeypatch.setattr(mirror, "EVERY_S", 0.0)
    ask, tries = client.Objects._ask, 0
    while fails_at(tries + 1, f"{url}/{tries}", monkeypatch):
        tries += 1
        monkeypatch.setattr(client.Objects, "_ask", ask)
        objects = Objects(f"{url}/{tries - 1}/{NAME}")
        assert epoch_of(objects.read(BEST)) >= epoch_of(objects.read(LAST))
        if objects.read("trial.json") is not None:
            assert epoch_of(objects.read(LAST)) == 3
        train_to_the_end(f"{url}/{tries - 1}")
        sweep = driver(url, str(tries - 1))
        assert store.ended_record(sweep / NAME, finished=True).is_complete
        assert store.read_trial(sweep / NAME).scalars["val_loss"].keys() == {1, 2, 3}
    assert tries > 10


def train_to_the_end(sweep):
    with store.trial_folder(sweep, NAME) as directory:
        train_epochs(directory, [1, 2, 3])
        write_record(directory, CELL, COMPLETE, metrics={"epoch": 3})


def fails_at(number, sweep, monkeypatch):
    """Train while the store fails from this request on; whether it came to that."""
    left, ask = number, client.Objects._ask

    def failing(self, key, request):
        nonlocal left
        left -= 1
        if left <= 0:
            raise StoreError("gone")
        return ask(self, key, request)

    monkeypatch.setattr(client.Objects, "_ask", failing)
    try:
        train_to_the_end(sweep)
    except StoreError:
        return True
    finally:
        monkeypatch.setattr(client.Objects, "_ask", ask)
    return False


def test_a_training_that_begins_anew_never_meets_what_another_left(url, monkeypatch):
    """Its code.txt is put there after the older weights are gone: with both, these would be taken for its own."""
    monkeypatch.setattr(mirror, "EVERY_S", 0.0)
    with store.trial_folder(f"{url}/sweep", NAME) as directory:
        train_epochs(directory, [7], "old")
    asked = []
    for call in ("write", "delete"):
        before = getattr(client.Objects, call)
        monkeypatch.setattr(
            client.Objects,
            call,
            lambda self, key, *data, call=call, before=before: (asked.append((call, key)), before(self, key, *data)),
        )
    with store.trial_folder(f"{url}/sweep", NAME) as directory:
        (directory / BEST).unlink()
        (directory / LAST).unlink()
        train_epochs(directory, [1], "new")
    objects = Objects(f"{url}/sweep/{NAME}")
    assert objects.read(BEST) == objects.read(LAST) == b"new 1"

    with store.trial_folder(f"{url}/sweep", NAME) as directory:
        (directory / BEST).unlink()
        (directory / LAST).unlink()
        asked.clear()
        (directory / store.CODE_FILE).write_text("other code")
        mirror.mirror_of(directory).publish_trial()
    assert asked[:3] == [("delete", BEST), ("delete", LAST), ("write", store.CODE_FILE)]


def test_a_record_of_the_same_trial_that_is_there_already_is_taken_as_it_is(url):
    with store.trial_folder(f"{url}/sweep", NAME) as directory:
        first = write_record(directory, CELL, COMPLETE, metrics={"epoch": 2}, seconds=1.0)
    with store.trial_folder(f"{url}/sweep", NAME) as cut_off:
        (cut_off / "trial.json").unlink()
        assert write_record(cut_off, CELL, COMPLETE, metrics={"epoch": 2}, seconds=2.0) == first
        assert read_record(cut_off) == first
    sweep = driver(url)
    assert write_record(sweep / NAME, CELL, PRUNED) == first  # what is complete stays complete
    assert Objects(f"{url}/sweep").read(f"{NAME}/trial.json") == (sweep / NAME / "trial.json").read_bytes()


@pytest.mark.parametrize("there", [b"", b"{", b"[1]", b"{}"])
def test_a_record_that_does_not_verify_is_replaced(url, there):
    Objects(f"{url}/sweep").write(f"{NAME}/trial.json", there)
    with store.trial_folder(f"{url}/sweep", NAME) as directory:
        write_record(directory, CELL, COMPLETE)
    assert store.ended_record(driver(url) / NAME, finished=True).is_complete


def test_a_failed_trial_that_is_tried_again_is_not_failed_for_the_driver(url):
    sweep = driver(url)
    with store.trial_folder(f"{url}/sweep", NAME) as directory:
        write_record(directory, CELL, FAILED, error="bad luck")
    assert store.ended_record(sweep / NAME, finished=False).status == FAILED
    with store.trial_folder(f"{url}/sweep", NAME) as directory:
        forget_failure(directory)
        assert store.ended_record(sweep / NAME, finished=False) is None
        write_record(directory, CELL, COMPLETE)
    assert store.ended_record(sweep / NAME, finished=True).is_complete


def test_a_finished_trial_without_a_record_is_an_error_and_never_pruned(url):
    with pytest.raises(OSError, match="record of a finished trial is not visible") as missing:
        store.ended_record(driver(url) / NAME, finished=True)
    assert missing.value.filename == f"{url}/sweep/{NAME}"


@pytest.mark.parametrize("key", ["../outside", "s1/../../outside", "s1//outside", "a\\..\\outside"])
def test_a_strange_key_leads_nowhere(url, key, tmp_path):
    objects = Objects(f"{url}/sweep")
    objects.listed = lambda below="": {key: client.Listed(1, "x"), "sweep.json": client.Listed(2, "y")}
    objects.read = lambda key: b"{}"
    copy = mirror.Mirror(objects, tmp_path / "copy")
    copy.pull()
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["sweep.json"]


def test_two_drivers_never_hold_one_sweep_and_the_second_sees_what_the_first_wrote(url):
    sweep = driver(url)
    with store.sweep_lock(sweep):
        with pytest.raises(AlreadyRunning, match=f"the sweep {url}/sweep is running already"), \
             store.sweep_lock(driver(url)):  # fmt: skip
            pass
        write_record(sweep / NAME, CELL, PRUNED)
    second = driver(url)
    with store.sweep_lock(second):
        assert read_record(second / NAME).status == PRUNED


def test_a_driver_that_has_lost_its_hold_writes_nothing(url, monkeypatch):
    sweep = driver(url)
    with store.sweep_lock(sweep):
        Objects(f"{url}/sweep").write(".hold/000002", b"{}")
        with pytest.raises(StoreError, match="holds the sweep no more"):
            mirror.mirror_of(sweep).check.__self__.refresh()
        with pytest.raises(StoreError, match="holds the sweep no more"):
            write_record(sweep / NAME, CELL, PRUNED)
    assert f"{NAME}/trial.json" not in Objects(f"{url}/sweep").listed()


def test_a_report_reads_and_is_put_beside_the_sweep(url, tmp_path, monkeypatch, capsys):
    from calling import command

    write_sweep_json(tmp_path / "there")
    for number in range(1, 4):
        write_trial(tmp_path / "there", number)
    put(tmp_path / "there", f"{url}/mine")
    Objects(f"{url}/mine").write("report/older.txt", b"of before")
    monkeypatch.chdir(tmp_path)
    assert command("report")([f"{url}/mine"]) == 0
    assert capsys.readouterr().out.strip() == f"{url}/mine/report/report.html"
    listed = Objects(f"{url}/mine").listed("report")
    assert {"report/report.html", "report/report.md", "report/trials.csv"} <= listed.keys()
    assert "report/older.txt" not in listed
    page = Objects(f"{url}/mine").read("report/report.md").decode()
    assert f"tensorboard --logdir {url}/mine" in page
    assert command("report")([f"{url}/mine", "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["sweep"], summary["report"]) == (f"{url}/mine", f"{url}/mine/report")
    assert summary["trials"]["search"]["complete"] == 3 if "search" in summary["trials"] else summary["trials"]


def test_two_sweeps_are_compared_where_they_are_and_the_page_is_put_beside_the_first(
    url, tmp_path, monkeypatch, capsys
):
    from calling import command

    for name in ("first", "second"):
        write_sweep_json(tmp_path / name)
        write_trial(tmp_path / name, 1)
    put(tmp_path / "second", f"{url}/second")
    put(tmp_path / "first", f"{url}/first")
    monkeypatch.chdir(tmp_path)
    assert command("report")([f"{url}/first", f"{url}/second"]) == 0
    assert capsys.readouterr().out.strip() == f"{url}/first/comparison-second.html"
    page = Objects(f"{url}/first").read("comparison-second.html").decode()
    assert "first and second" in page
    assert command("report")([f"{url}/second", str(tmp_path / "first")]) == 0  # a folder beside a URL
    assert Objects(f"{url}/second").read("comparison-first.html") is not None


def test_a_driver_brings_the_weights_it_asks_for_and_those_that_are_gone_are_gone(url):
    Objects(f"{url}/sweep").write(f"{NAME}/best.pt", b"weights")
    sweep = driver(url)
    store.refresh(sweep)
    weights = sweep / NAME / BEST
    assert not weights.exists()
    store.bring(weights)
    assert weights.read_bytes() == b"weights"
    Objects(f"{url}/sweep").delete(f"{NAME}/best.pt")
    store.bring(weights)
    assert not weights.exists()


def test_a_run_whose_store_is_gone_waits_for_it_no_longer_once_its_hold_has_ended(url, monkeypatch):
    """Else every trial that ends would wait for as long as a store may be away."""
    from sweeps import stopping

    told = []
    monkeypatch.setattr(stopping, "storage_failed", told.append)
    sweep = driver(url)
    with store.sweep_lock(sweep):
        found = mirror.mirror_of(sweep)
        assert found.objects.patience_s == client.PATIENCE_S
        Objects(f"{url}/sweep").write(".hold/000002", b"{}")
        with pytest.raises(StoreError) as lost:
            found.check.__self__.refresh()
        found.check.__self__._lost(lost.value)
        assert found.objects.patience_s == client.FIRST_PATIENCE_S
    assert told == [lost.value]


def put(folder: Path, url: str) -> None:
    """A sweep's folder into a store."""
    for path in folder.rglob("*"):
        if path.is_file():
            Objects(url).write(path.relative_to(folder).as_posix(), path.read_bytes())


def test_a_report_of_no_sweep_names_those_that_are_there(url):
    Objects(f"{url}/here").write("sweep.json", b"{}")
    with pytest.raises(NotASweep, match=f"no sweep at {url}/none; there are: here"):
        store.fetch(f"{url}/none")


def test_a_report_of_a_store_that_may_only_be_read_is_written_here(s3, monkeypatch, tmp_path, capsys):
    from calling import command

    write_sweep_json(tmp_path / "there")
    write_trial(tmp_path / "there", 1)
    bucket = s3.bucket("read-only-sweeps")
    lead_to(s3, monkeypatch)
    put(tmp_path / "there", f"s3://{bucket}/mine")
    proxy = FaultyS3(s3, lambda head, number: None if head.startswith(b"GET") else error_answer(403, "AccessDenied"))
    lead_to(proxy, monkeypatch)
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    assert command("report")([f"s3://{bucket}/mine"]) == 0
    said = capsys.readouterr()
    assert "may only be read: it is here" in said.err
    assert said.out.strip() == str(here / "mine-report" / "report.html")
    assert Path(said.out.strip()).is_file()
    proxy.close()


def test_a_store_that_ignores_conditions_is_refused(s3, monkeypatch):
    """As older servers do that speak S3: a second create would succeed, and two drivers hold one sweep."""
    bucket = s3.bucket("no-conditions")
    real = client.Objects.create
    monkeypatch.setattr(client.Objects, "create", lambda self, key, data: self.write(key, data) or True)
    with pytest.raises(SweepRefused, match="creates an object though there is one"):
        store.reach(f"s3://{bucket}/sweeps")
    monkeypatch.setattr(client.Objects, "create", real)
    store.reach(f"s3://{bucket}/sweeps")
    assert s3.keys(bucket) == set()


@pytest.mark.parametrize("request_kind", [b"PUT", b"DELETE"])
def test_no_right_to_write_is_refused_before_anything_runs(s3, monkeypatch, request_kind):
    bucket = s3.bucket(f"denied-{request_kind.decode().lower()}")
    denied = error_answer(403, "AccessDenied")
    proxy = FaultyS3(s3, lambda head, number: denied if head.startswith(request_kind) else None)
    lead_to(proxy, monkeypatch)
    with pytest.raises(SweepRefused, match=r"--storage: s3://denied.*not allowed.*credentials that may list, read"):
        store.reach(f"s3://{bucket}/sweeps")
    proxy.close()


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        (error_answer(404, "NoSuchBucket"), 1),
        (error_answer(404, "NotFound"), 1),  # of a web server that is no store
        (error_answer(403, "AccessDenied"), 1),
        (error_answer(503, "SlowDown"), 20),
        (FaultyS3.HANG_UP, 20),
    ],
)
def test_storage_that_cannot_be_used_is_asked_few_times_before_it_is_refused(s3, monkeypatch, answer, asked):
    """What waiting does not mend once; what it may mend for FIRST_PATIENCE_S, with pauses that grow."""
    monkeypatch.setattr(client, "LONGEST_PAUSE_S", 5.0)
    proxy = FaultyS3(s3, lambda head, number: answer)
    lead_to(proxy, monkeypatch)
    with pytest.raises(SweepRefused, match="--storage: s3://some-bucket"):
        store.reach("s3://some-bucket/sweeps")
    assert 1 <= len(proxy.requests) <= asked
    proxy.close()


def test_one_request_and_the_time_for_all_of_them_stay_below_the_ten_seconds_of_a_refusal():
    config = client.OPTIONS["s3"]["config_kwargs"]
    assert config["retries"]["total_max_attempts"] == 1  # repeating is done here, and bounded here
    assert config["connect_timeout"] + client.FIRST_PATIENCE_S < 10


def test_populations_are_refused_for_their_trials_read_each_others_folders(url):
    with pytest.raises(SweepRefused, match="pbt needs a folder as --storage"):
        check_storage(driver(url), 0.0, "pbt")
    check_storage(driver(url), 0.0, "asha")


def test_two_processes_and_one_store_see_what_the_other_has_just_written(s3):
    """A driver has listed the sweep when a worker of another process commits a trial there."""
    bucket = s3.bucket("two-processes")
    sweep = driver(f"s3://{bucket}")
    assert store.ended_record(sweep / NAME, finished=False) is None
    code = f"""
from sweeps import store
from sweeps.space.configuration import Configuration
from sweeps.store.cell import Cell
with store.trial_folder({f"s3://{bucket}/sweep"!r}, {NAME!r}) as directory:
    with store.TrialLog(directory) as log:
        log.scalars({{"val_loss": 0.5}}, 1)
    (directory / "last.pt").write_text("run 1")
    cell = Cell("search", Configuration.of(lr=1e-3, epochs=2), "angle", 0, 0, "data1")
    store.write_record(directory, cell, store.COMPLETE, metrics={{"epoch": 1}})
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    record = store.ended_record(sweep / NAME, finished=True)
    assert record.is_complete
    assert record.cell == CELL
    assert store.read_trial(sweep / NAME).scalars == {"val_loss": {1: 0.5}}


def test_a_sweep_in_a_folder_needs_nothing_of_object_stores(tmp_path):
    code = f"""
import sys
from sweeps import store
with store.trial_folder({str(tmp_path)!r}, {NAME!r}) as directory:
    store.after_epoch(directory, may_end=True)
with store.sweep_lock(store.locate(__import__("pathlib").Path({str(tmp_path)!r}), "sweep")) as held:
    pass
print(directory, *sorted({{"s3fs", "aiobotocore", "sweeps.objects.client", "sweeps.objects.lease"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(tmp_path / NAME)]
