"""An S3 on this machine (moto), in a process of its own, with faults on demand between it and who asks."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import boto3
import s3fs
from botocore.config import Config
from waiting import HANG_GUARD_S

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
Head = bytes
"""First line and headers of a request."""


class S3:
    """The server and its address; `environment` leads a process to it."""

    def __init__(self, port: int) -> None:
        self.port, self.requests = port, []

    @property
    def environment(self) -> dict[str, str]:
        return {**ENVIRONMENT, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}"}

    def client(self):
        """boto3's, for what the tool under test must not do itself."""
        return boto3.client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            aws_access_key_id="test",
            aws_secret_access_key="test",
            region_name="us-east-1",
            config=Config(retries={"max_attempts": 10, "mode": "standard"}),
        )

    def bucket(self, name: str) -> str:
        """A new one, of at least three letters."""
        self.client().create_bucket(Bucket=name)
        return name

    def keys(self, bucket: str) -> set[str]:
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {each["Key"] for page in pages for each in page.get("Contents", ())}


def lead_to(server: S3, monkeypatch) -> None:
    """Let this process and those that it starts use a server."""
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()


@contextmanager
def s3_server() -> Iterator[S3]:
    """A server of its own, until the end."""
    port = free_port()
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_until_it_answers(port, process)
        yield S3(port)
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_until_it_answers(port: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + HANG_GUARD_S
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        time.sleep(0.1)
    raise RuntimeError("moto does not answer")


class FaultyS3(S3):
    """A proxy before a server: every request passes by `fault`.

    Args:
        server: that answers.
        fault: of the first line and headers of a request and its number: None to pass it on, bytes to answer instead,
            `LOSE` to pass it on and drop the answer, `HANG_UP` to close at once.
    """

    LOSE, HANG_UP = b"lose", b"hang up"

    def __init__(self, server: S3, fault: Callable[[Head, int], bytes | None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        super().__init__(self._listener.getsockname()[1])
        self._server, self.fault = server, fault
        self._counting = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def asked(self, *beginnings: str) -> list[str]:
        """First lines of requests so far that begin so."""
        return [line for line in self.requests if line.startswith(beginnings)]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            buffer = b""
            while True:
                head, buffer = _head(client, buffer)
                if not head:
                    return
                with self._counting:
                    self.requests.append(head.partition(b"\r\n")[0].decode())
                    number = len(self.requests)
                answer = self.fault(head, number)
                if answer == self.HANG_UP:
                    return
                if b"100-continue" in head.lower():
                    client.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                body, buffer = _body(client, head, buffer)
                if answer is None or answer == self.LOSE:
                    got = self._pass_on(head, body)
                    if answer == self.LOSE:
                        return
                    answer = got
                client.sendall(answer)
                if b"connection: close" in answer.partition(b"\r\n\r\n")[0].lower():
                    return

    def _pass_on(self, head: bytes, body: bytes) -> bytes:
        """The server's whole answer."""
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith((b"expect:", b"connection:"))]
        with socket.create_connection(("127.0.0.1", self._server.port)) as server:
            server.sendall(b"\r\n".join([lines[0], b"Connection: close", *lines[1:]]) + b"\r\n\r\n" + body)
            parts = []
            while part := server.recv(1 << 16):
                parts.append(part)
        return b"".join(parts)


def _head(client: socket.socket, buffer: bytes) -> tuple[bytes, bytes]:
    while b"\r\n\r\n" not in buffer:
        part = client.recv(1 << 16)
        if not part:
            return b"", b""
        buffer += part
    head, _, rest = buffer.partition(b"\r\n\r\n")
    return head, rest


def _body(client: socket.socket, head: bytes, buffer: bytes) -> tuple[bytes, bytes]:
    sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    size = int(sizes[0].partition(b":")[2]) if sizes else 0
    while len(buffer) < size:
        buffer += client.recv(1 << 16)
    return buffer[:size], buffer[size:]


def error_answer(status: int, code: str) -> bytes:
    """What S3 says when it cannot."""
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>asked too often</Message></Error>".encode()
    head = f"HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
