"""Objects of a store: whole or not there, as others left them just now, and asked for again while a fault may pass."""

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
import s3fs
from botocore.exceptions import ClientError, EndpointConnectionError, NoCredentialsError, ParamValidationError
from fsspec.implementations.memory import MemoryFileSystem
from moto_server import FaultyS3, error_answer, free_port, lead_to

from sweeps.objects import Fault, Objects, StoreError, client
from sweeps.objects.faults import fault_of

N_TRIALS = 200


@pytest.fixture(params=["memory", "s3"])
def objects(request):
    """A new folder of a store of each kind."""
    if request.param == "memory":
        return Objects(f"memory://{secrets.token_hex(8)}/sweep")
    s3 = request.getfixturevalue("s3")
    return Objects(f"s3://{s3.bucket(f'b{secrets.token_hex(8)}')}/some/sweep")


@pytest.fixture
def quick(monkeypatch):
    """No pauses between two tries."""
    monkeypatch.setattr(client, "LONGEST_PAUSE_S", 0.01)


def s3_error(code, status):
    answer = {"Error": {"Code": code, "Message": "words"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "PutObject")


def test_what_is_written_is_read_listed_replaced_and_deleted(objects):
    assert objects.read("s1/trial.json") is None
    assert objects.listed() == {}
    objects.write("s1/trial.json", b"one")
    objects.write("s1/trial.json", b"three")
    objects.write("s10/trial.json", b"")
    objects.write("sweep.json", b"two")
    assert objects.read("s1/trial.json") == b"three"
    assert {key: at.size for key, at in objects.listed().items()} == {
        "s1/trial.json": 5, "s10/trial.json": 0, "sweep.json": 3
    }  # fmt: skip
    assert list(objects.listed("s1")) == ["s1/trial.json"]  # not of s10
    assert objects.folders() == ["s1", "s10"]
    assert dict(objects.read_all(["sweep.json", "none", "s10/trial.json"])) == {
        "sweep.json": b"two", "none": None, "s10/trial.json": b""
    }  # fmt: skip
    objects.delete("s1/trial.json")
    objects.delete("s1/trial.json")
    assert list(objects.listed("s1")) == []


def test_a_listing_says_when_content_of_the_same_length_has_changed(objects):
    objects.write("a", b"one")
    before = objects.listed()["a"]
    assert objects.listed()["a"] == before
    objects.write("a", b"two")
    assert objects.listed()["a"] != before


def test_of_many_that_create_an_object_one_does(objects):
    for race in range(5):
        with ThreadPoolExecutor(16) as pool:
            contents = [f"{race} {k}".encode() for k in range(16)]
            created = list(pool.map(lambda data, key=f"lock-{race}": objects.create(key, data), contents))
        assert sum(created) == 1
        assert objects.read(f"lock-{race}") == contents[created.index(True)]


def test_an_object_that_is_there_is_not_replaced_even_by_nothing(objects):
    objects.write("a", b"")
    assert not objects.create("a", b"data")
    objects.write("b", b"data")
    assert not objects.create("b", b"")
    assert objects.read("b") == b"data"


def test_the_time_of_an_object_is_the_stores(objects):
    assert objects.written_at("a") is None
    objects.write("a", b"1")
    assert abs(objects.written_at("a") - datetime.now(UTC).timestamp()) < 3600


def test_what_another_process_writes_is_seen_after_a_listing(s3):
    """s3fs keeps listings for ever by default: then the second object would be absent from all that follows."""
    bucket = s3.bucket("listings")
    objects = Objects(f"s3://{bucket}/sweep")
    objects.write("s1/trial.json", b"1")
    assert list(objects.listed()) == ["s1/trial.json"]
    assert objects.folders() == ["s1"]
    for key, body in (("sweep/s2/trial.json", b"2"), ("sweep/s1/trial.json", b"longer")):
        s3.client().put_object(Bucket=bucket, Key=key, Body=body)
    assert {key: at.size for key, at in objects.listed().items()} == {"s1/trial.json": 6, "s2/trial.json": 1}
    assert objects.folders() == ["s1", "s2"]
    assert objects.read("s1/trial.json") == b"longer"
    s3.client().delete_object(Bucket=bucket, Key="sweep/s1/trial.json")
    assert list(objects.listed()) == ["s2/trial.json"]
    assert objects.read("s1/trial.json") is None


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (s3_error("PreconditionFailed", 412), Fault.THERE),
        (s3_error("ConditionalRequestConflict", 409), Fault.PASSING),
        (s3_error("NoSuchBucket", 404), Fault.BUCKET),
        (s3_error("NoSuchKey", 404), Fault.ABSENT),
        (s3_error("404", 404), Fault.ABSENT),
        (s3_error("AccessDenied", 403), Fault.DENIED),
        (s3_error("InvalidAccessKeyId", 403), Fault.DENIED),
        (s3_error("RequestTimeTooSkewed", 403), Fault.CLOCK),
        (s3_error("InvalidBucketName", 400), Fault.WRONG),
        (s3_error("InternalError", 500), Fault.PASSING),
        (s3_error("SlowDown", 503), Fault.PASSING),
        (s3_error("RequestTimeout", 400), Fault.PASSING),
        (s3_error("TooManyRequests", 429), Fault.PASSING),
        (NoCredentialsError(), Fault.CREDENTIALS),
        (EndpointConnectionError(endpoint_url="http://x"), Fault.PASSING),
        (ParamValidationError(report="bad name"), Fault.WRONG),
        (TimeoutError(), Fault.PASSING),
        (ConnectionResetError(), Fault.PASSING),
        (PermissionError("Forbidden"), Fault.DENIED),
        (FileNotFoundError(), Fault.ABSENT),
        (FileExistsError(), Fault.THERE),
        (NotImplementedError(), Fault.WRONG),
    ],
)
def test_what_an_error_means(error, fault):
    assert fault_of(error) is fault


def test_the_answers_code_decides_whatever_the_client_made_of_it():
    for made in (PermissionError("words"), OSError(5, "words"), FileNotFoundError("words")):
        made.__cause__ = s3_error("NoSuchBucket", 404)
        assert fault_of(made) is Fault.BUCKET


@pytest.fixture
def faulty(s3, monkeypatch):
    """A proxy before the server, whose faults a test sets."""
    proxy = FaultyS3(s3, lambda head, number: None)
    proxy.real = s3
    lead_to(proxy, monkeypatch)
    yield proxy
    proxy.close()


def test_a_create_whose_answer_was_lost_knows_its_own_object(faulty, quick):
    objects = Objects(f"s3://{faulty.real.bucket('lost-answer')}/x")
    lost = []

    def lose_the_first_put(head, number):
        if head.startswith(b"PUT") and not lost:
            lost.append(number)
            return FaultyS3.LOSE
        return None

    faulty.fault = lose_the_first_put
    assert objects.create("lock", b"nonce of this one")
    assert lost
    assert len(faulty.asked("PUT")) == 2  # the second was refused: the first had arrived
    assert not objects.create("lock", b"nonce of another")


def test_requests_that_fail_now_and_then_are_repeated(faulty, quick):
    objects = Objects(f"s3://{faulty.real.bucket('now-and-then')}/x")
    answers = [error_answer(500, "InternalError"), error_answer(503, "SlowDown"), FaultyS3.HANG_UP]
    faulty.fault = lambda head, number: answers[number % 9 // 3] if number % 3 == 0 else None
    for k in range(30):
        objects.write(f"{k:02d}", str(k).encode())
    assert list(objects.listed()) == [f"{k:02d}" for k in range(30)]
    assert all(objects.create(f"new-{k}", f"nonce {k}".encode()) for k in range(10))
    assert dict(objects.read_all(objects.listed("")))["07"] == b"7"


def test_a_store_that_comes_back_in_time_is_waited_for(faulty, quick):
    objects = Objects(f"s3://{faulty.real.bucket('comes-back')}/x")
    faulty.fault = lambda head, number: FaultyS3.HANG_UP if number < 40 else None
    objects.write("a", b"1")
    assert objects.read("a") == b"1"


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (error_answer(403, "AccessDenied"), "not allowed .*; use credentials that may list, read, write and delete"),
        (error_answer(503, "SlowDown"), "does not answer .*; see that the store is up"),
        (error_answer(403, "RequestTimeTooSkewed"), "clock is wrong .*; set the clock"),
    ],
)
def test_a_store_that_cannot_be_used_is_an_error_with_what_to_do(faulty, answer, says):
    objects = Objects(f"s3://{faulty.real.bucket(f'cannot-{hash(answer) % 10**8}')}/x")
    objects.patience_s = 0.3
    faulty.fault = lambda head, number: answer if head.startswith((b"PUT", b"GET")) else None
    for ask in (lambda: objects.write("a", b"1"), lambda: objects.read("a"), objects.listed):
        with pytest.raises(StoreError, match=says) as failed:
            ask()
        assert failed.value.exit_code == 3
        assert "s3://cannot-" in str(failed.value)


def test_a_bucket_that_is_not_there_is_said_whatever_is_asked(s3):
    objects = Objects("s3://not-there-at-all/x")
    for ask in (objects.listed, lambda: objects.read("a"), lambda: objects.create("a", b"1")):
        with pytest.raises(StoreError, match=r"no such bucket .*; make it first"):
            ask()


def test_missing_credentials_are_said(s3, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(StoreError, match=r"no credentials .*AWS_ACCESS_KEY_ID"):
        Objects("s3://some-bucket/x").listed()


def test_a_server_that_is_not_there_is_said(monkeypatch, s3):
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free_port()}")
    s3fs.S3FileSystem.clear_instance_cache()
    objects = Objects("s3://some-bucket/x")
    objects.patience_s = 0.3
    with pytest.raises(StoreError, match=r"does not answer .*; see that the store is up"):
        objects.listed()


class Rounds(MemoryFileSystem):
    """Answers requests in rounds: when as many wait as are sent at a time, or none comes any more."""

    cachable = False
    store, pseudo_dirs = {}, [""]

    def begin(self, requests):
        self.left, self.waiting, self.rounds, self.turn = requests, 0, 0, threading.Condition()

    def cat_file(self, path, start=None, end=None, **options):
        with self.turn:
            self.waiting, mine = self.waiting + 1, self.rounds
            if self.waiting == min(client.AT_A_TIME, self.left):
                self.left, self.waiting, self.rounds = self.left - self.waiting, 0, self.rounds + 1
                self.turn.notify_all()
            assert self.turn.wait_for(lambda: self.rounds > mine, timeout=60), "requests are sent one after the other"
        return super().cat_file(path, start, end, **options)


def test_the_objects_of_200_trials_are_read_in_so_few_rounds_that_latency_does_not_add_up():
    """600 objects at 20 ms a request: 19 rounds are 0.4 s; one after the other they would be 12 s."""
    slow = Rounds()
    objects = Objects("memory://many/sweep", slow)
    names = ("trial.json", "events.out.tfevents.1.a.1.0", "events.out.tfevents.2.a.1.0")
    keys = [f"s{k:04d}/{name}" for k in range(N_TRIALS) for name in names]
    for key in keys:
        objects.write(key, key.encode())
    slow.begin(len(keys))
    assert dict(objects.read_all(keys)) == {key: key.encode() for key in keys}
    assert slow.rounds == -(-len(keys) // client.AT_A_TIME)
