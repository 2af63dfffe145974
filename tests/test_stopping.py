"""Ctrl-C once and twice, and the time budget."""

import os
import signal

import pytest

from sweeps import stopping
from sweeps.tuning.run_end import AtNextEpoch

pytestmark = pytest.mark.usefixtures("nothing_asks_for_the_end")


def test_nothing_asks_for_the_end_by_itself():
    stopping.set_deadline(None)
    assert stopping.reason() is None
    assert not AtNextEpoch()("t", {})


def test_the_budget_ends_the_run_when_it_is_used_up(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(stopping.time, "monotonic", lambda: now[0])
    stopping.set_deadline(60)
    now[0] = 159.9
    assert stopping.reason() is None
    now[0] = 160.0
    assert stopping.reason() == stopping.OUT_OF_TIME
    assert AtNextEpoch()("t", {})
    assert not AtNextEpoch().stop_all()


def test_the_first_ctrl_c_asks_and_the_second_interrupts(capsys):
    stopping.set_deadline(None)
    before = signal.getsignal(signal.SIGINT)
    with stopping.finishing_epochs():
        os.kill(os.getpid(), signal.SIGINT)
        assert stopping.reason() == stopping.INTERRUPTED
        assert "Ctrl-C again" in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) == before


def test_ctrl_c_after_the_budget_still_asks_first():
    stopping.set_deadline(1e-9)
    assert stopping.reason() == stopping.OUT_OF_TIME
    with stopping.finishing_epochs():
        os.kill(os.getpid(), signal.SIGINT)
        assert stopping.reason() == stopping.INTERRUPTED
