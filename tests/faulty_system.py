"""Kills and I/O errors at every call of a commit, in processes that cost little."""

import io
import multiprocessing
import os
import signal
import warnings
from contextlib import contextmanager


class Fault:
    """Counts what a commit asks of the system, and at the n-th time kills this process or fails."""

    def __init__(self, n, error=None):
        self.left, self.error, self.fired = n, error, ""

    def at(self, name):
        self.left -= 1
        if self.left:
            return
        self.fired = name
        if self.error is None:
            os.kill(os.getpid(), signal.SIGKILL)
        raise OSError(self.error, os.strerror(self.error))


class FaultyFile:
    """A file whose writes reach the disk in halves, each of which may be the last."""

    def __init__(self, file, fault):
        self.file, self.fault = file, fault

    def write(self, data):
        for part in (data[: len(data) // 2], data[len(data) // 2 :]):
            self.fault.at("write")
            self.file.write(part)
            self.file.flush()
        return len(data)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        try:
            self.fault.at("close")
        finally:
            self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)


@contextmanager
def faulty_system(fault):
    """Every call that changes a file or a folder passes by the fault first."""
    names = ("open", "fsync", "replace", "rename", "unlink", "remove", "mkdir", "close", "ftruncate")
    kept, kept_open = {name: getattr(os, name) for name in names}, io.open

    def watched(name):
        def call(*args, **options):
            fault.at(name)
            return kept[name](*args, **options)

        return call

    def open_file(path, mode="r", *args, **options):
        if not set("wax+") & set(mode):
            return kept_open(path, mode, *args, **options)
        fault.at("open")
        return FaultyFile(kept_open(path, mode, *args, **options), fault)

    try:
        for name in names:
            setattr(os, name, watched(name))
        io.open = open_file
        yield
    finally:
        io.open = kept_open
        for name in names:
            setattr(os, name, kept[name])


def fork(work):
    """Run `work` in a copy of this process, which ends there; its process number."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's threads are not needed in the copy
        child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    finally:  # never back into pytest
        os._exit(1)


def status(child):
    """Exit status of a child that has ended or will; negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed(commit, folder, n):
    """The exit status of a process that is killed at the n-th call of a commit, if there are so many."""

    def work():
        with faulty_system(Fault(n)):
            commit(folder)

    return status(fork(work))


class LightProcess:
    """A process without torch, in which to run what forks: there a fork takes 3 ms, here 80."""

    def __init__(self):
        context = multiprocessing.get_context("spawn")
        self.here, there = context.Pipe()
        self.process = context.Process(target=_serve, args=(there,), daemon=True)
        self.process.start()
        there.close()

    def __call__(self, function, *args):
        """What a function of a module returns there; what it raises is raised here."""
        self.here.send((function, args))
        value, error = self.here.recv()
        if error is not None:
            raise error
        return value

    def close(self):
        self.here.close()
        self.process.join()


def _serve(connection):
    while True:
        try:
            function, args = connection.recv()
        except EOFError:
            return
        try:
            connection.send((function(*args), None))
        except Exception as error:
            connection.send((None, error))
