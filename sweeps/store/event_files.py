"""TensorBoard event files: everything that knows their layout, writer and reader, without torch or TensorFlow.

Layout of a sweep: its folder holds one event file with the HParams experiment (domains and metrics); each trial's
folder holds session start (hyperparameters), scalars per epoch, images, session end (status).
"""

import io
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from PIL import Image
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2
from tensorboard.summary.writer.record_writer import RecordWriter

from deepdlt.atomic import sync
from sweeps.store.mirror import published

HPARAMS_METRICS = {
    "best/val_loss": "val loss",
    "best/val_psnr_db": "val PSNR dB",
    "best/val_ssim": "val SSIM",
    "test/loss": "test loss",
    "test/psnr_db": "test PSNR dB",
    "test/ssim": "test SSIM",
    "test/spectrum_db": "test spectrum dB",
}
"""Tags of the HPARAMS tab's metric columns and their titles."""
VAE_METRICS = {
    "val_bits_per_dim": "val bits/dim",
    "val_kl_nats": "val KL nats",
    "val_active_units": "val active units",
}
"""Metrics of the last epoch, for VAEs."""

STAMP = re.compile(r"events\.out\.tfevents\.(\d{10})\.")  # seconds, in the names by which event files are ordered
STATUS = {
    "complete": api_pb2.STATUS_SUCCESS,
    "pruned": api_pb2.STATUS_SUCCESS,
    "failed": api_pb2.STATUS_FAILURE,
}


class TrialLog:
    """Event file of one trial (or of the sweep). A context manager; `flush` before anything may kill the process.

    The file sorts behind those that are in the folder already, and its times never run backwards, whatever the clock
    does: TensorBoard reads the files of a folder in the order of the seconds in their names.

    Args:
        directory: where the event file goes; created if absent.

    Raises:
        OSError: the file cannot be created or written to (by any method, not later than by the next `flush`).
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._opened = time.monotonic()
        self._begun, file = _next_file(directory)
        self._file, self._writer, self._path = file, RecordWriter(file), Path(file.name)
        self._event(file_version="brain.Event:2")  # from which on TensorBoard heeds `restart`
        file.flush()

    def __enter__(self) -> "TrialLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._writer.close()
        published(self._path)

    def hparams_experiment(
        self,
        swept: Mapping[str, Sequence[Any] | tuple[float, float]],
        others: Mapping[str, Sequence[Any] | tuple[float, float]],
        metrics: Mapping[str, str] = HPARAMS_METRICS,
    ) -> None:
        """Declare the columns of the HPARAMS tab: hyperparameter -> list of values or (low, high), tag -> title.

        TensorBoard shows five at first: the swept ones, marked as differing, come before the others.
        """
        hparams = [summary_v2.HParam(name, _domain(values)) for name, values in {**swept, **others}.items()]
        columns = [summary_v2.Metric(tag, display_name=title) for tag, title in metrics.items()]
        summary = summary_v2.hparams_config_pb(hparams, columns)
        for value in summary.value:
            data = metadata.parse_experiment_plugin_data(value.metadata.plugin_data.content)
            for info in data.hparam_infos:
                info.differs = info.name in swept
            plugin = plugin_data_pb2.HParamsPluginData(experiment=data, version=metadata.PLUGIN_DATA_VERSION)
            value.metadata.plugin_data.content = plugin.SerializeToString()
        self._add(summary)

    def session_start(self, name: str, hparams: Mapping[str, bool | int | float | str]) -> None:
        """Announce a trial with its hyperparameters; TensorBoard shows it from now on."""
        self._add(summary_v2.hparams_pb(dict(hparams), trial_id=name, start_time_secs=self._now()))

    def restart(self, step: int) -> None:
        """What an interrupted run wrote from this step on is void; it is written again."""
        self._event(step=step, session_log=SessionLog(status=SessionLog.START))

    def session_end(self, status: str) -> None:
        """`complete`, `pruned` or `failed`; without it TensorBoard shows the trial as of unknown status."""
        info = plugin_data_pb2.SessionEndInfo(status=STATUS[status], end_time_secs=self._now())
        content = plugin_data_pb2.HParamsPluginData(session_end_info=info, version=metadata.PLUGIN_DATA_VERSION)
        self._add(summary_v2._summary_pb(metadata.SESSION_END_INFO_TAG, content))

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """One number per tag at a step (an epoch)."""
        self._add(Summary(value=[Summary.Value(tag=tag, simple_value=v) for tag, v in values.items()]), step)

    def image(self, tag: str, pixels: np.ndarray, step: int) -> None:
        """A grey image, (h, w) uint8."""
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, format="PNG")
        height, width = pixels.shape
        content = Summary.Image(height=height, width=width, colorspace=1, encoded_image_string=buffer.getvalue())
        self._add(Summary(value=[Summary.Value(tag=tag, image=content)]), step)

    def flush(self) -> None:
        """Put everything written so far on disk, where a power cut leaves it."""
        self._file.flush()
        sync(self._file.fileno())

    def _add(self, summary: Any, step: int = 0) -> None:
        self._event(step=step, summary=Summary.FromString(summary.SerializeToString()))

    def _event(self, **content: Any) -> None:
        self._writer.write(Event(wall_time=self._now(), **content).SerializeToString())

    def _now(self) -> float:
        """Seconds since 1970; differences within a file are true durations."""
        return self._begun + time.monotonic() - self._opened


def _next_file(directory: Path) -> tuple[float, IO[bytes]]:
    """The time at which a new event file begins, behind all that is in the folder, and the file."""
    named = ((path, STAMP.match(path.name)) for path in directory.glob("events.out.tfevents.*"))
    stamps = [(path, int(match[1])) for path, match in named if match]
    ends = [max(stamp, int(path.stat().st_mtime)) + 1.0 for path, stamp in stamps]
    begun = max([time.time(), *ends])
    while True:
        path = directory / f"events.out.tfevents.{int(begun):010d}.{socket.gethostname()}.{os.getpid()}.0"
        try:
            return begun, path.open("xb")
        except FileExistsError:  # begun meanwhile
            begun += 1


@dataclass
class TrialEvents:
    """Content of a trial's event files."""

    hparams: dict[str, Any] = field(default_factory=dict)
    scalars: dict[str, dict[int, float]] = field(default_factory=dict)
    """tag -> step -> value; of a step written twice, the later one."""
    images: dict[str, bytes] = field(default_factory=dict)
    """tag -> PNG of the last step."""
    damaged: list[str] = field(default_factory=list)
    """Event files that end in the middle of a record or fail their checksum."""


def read_trial(directory: Path) -> TrialEvents:
    """Read all event files of a trial, in the order in which they were begun."""
    trial = TrialEvents()
    for path in sorted(directory.glob("events.out.tfevents.*")):
        for event in _events(path, trial.damaged):
            if event.HasField("session_log") and event.session_log.status == SessionLog.START:
                for series in trial.scalars.values():
                    for step in [s for s in series if s >= event.step]:
                        del series[step]
            for value in event.summary.value:
                _take(trial, value, event.step)
    return trial


def _take(trial: TrialEvents, value: Any, step: int) -> None:
    kind = value.WhichOneof("value")
    if kind == "simple_value":
        trial.scalars.setdefault(value.tag, {})[step] = value.simple_value
    elif kind == "image":
        trial.images[value.tag] = value.image.encoded_image_string
    elif value.tag == metadata.SESSION_START_INFO_TAG:
        start = metadata.parse_session_start_info_plugin_data(value.metadata.plugin_data.content)
        for name, hparam in start.hparams.items():
            trial.hparams[name] = getattr(hparam, hparam.WhichOneof("kind"))


def _events(path: Path, damaged: list[str]) -> Iterator[Any]:
    """Events up to the end or the first damage, which is reported.

    A record is: length (8 bytes), its masked crc32c (4), payload, its masked crc32c (4). TensorBoard's own reader
    stops at damage in silence and would pass a short curve off as the whole.
    """
    data = path.read_bytes()
    position = 0
    while position < len(data):
        header = data[position : position + 8]
        end = position + 16 + int.from_bytes(header, "little")
        payload = data[position + 12 : end - 4]
        sums = data[position + 8 : position + 12] + data[end - 4 : end]
        if end > len(data) or sums != _crc(header) + _crc(payload):
            damaged.append(path.name)
            return
        yield Event.FromString(payload)
        position = end


def _crc(data: bytes) -> bytes:
    return masked_crc32c(data).to_bytes(4, "little")


def _domain(values: Sequence[Any] | tuple[float, float]) -> Any:
    if isinstance(values, tuple):
        return summary_v2.RealInterval(float(values[0]), float(values[1]))
    return summary_v2.Discrete(list(values))
