"""TensorBoard event files: everything that knows their layout, writer and reader, without torch or TensorFlow.

Layout of a sweep: its folder holds one event file with the HParams experiment (domains and metrics); each trial's
folder holds session start (hyperparameters), scalars per epoch, images, a page of text, and in a file of its own the
session end (status): a trial that is tried again begins without it.
"""

import io
import json
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
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.compat.proto.types_pb2 import DT_STRING
from tensorboard.plugins.custom_scalar import metadata as custom_scalars
from tensorboard.plugins.hparams import api_pb2, metadata, plugin_data_pb2, summary_v2
from tensorboard.plugins.text import metadata as texts
from tensorboard.summary.writer.record_writer import RecordWriter

from deepdlt.atomic import sync
from sweeps.store.event_records import read_records
from sweeps.store.mirror import published, remove

HPARAMS_METRICS = {
    "best/val_psnr_db": "best val PSNR (dB)",
    "last/val_psnr_db": "last val PSNR (dB)",
    "best/val_loss": "best val loss",
    "folds/test_psnr_db": "test PSNR (dB), mean of folds",
    "pruned/epoch": "pruned at epoch",
    "best/val_ssim": "best val SSIM",
    "last/val_ssim": "last val SSIM",
    "last/val_loss": "last val loss",
    "folds/test_ssim": "test SSIM, mean of folds",
    "folds/test_loss": "test loss, mean of folds",
    "folds/test_spectrum_db": "test log-spectral distance (dB), mean of folds",
}
"""Tags of the HPARAMS tab's metric columns and their titles; TensorBoard shows five at first.

`best/` and `last/` are logged by search trials, `folds/` by fold runs, `pruned/` by pruned trials."""
VAE_METRICS = {
    "last/val_bits_per_dim": "last val bits/dim",
    "last/val_kl_nats": "last val KL (nats)",
    "last/val_active_units": "last val active units",
}
"""The same for VAEs."""

EVENT_FILES = "events.out.tfevents.*"
STAMP = re.compile(r"events\.out\.tfevents\.(\d{10})\.")  # seconds, in the names by which event files are ordered
PNG_EFFORT = 4  # of 9, in half the time of Pillow's 6 for a few per cent more bytes
RUN, END = "0", "end"  # last part of their names: what a run logs, and how a trial ended
STATUS = {
    "complete": api_pb2.STATUS_SUCCESS,
    "pruned": api_pb2.STATUS_SUCCESS,
    "failed": api_pb2.STATUS_FAILURE,
}
ENDED = {api_pb2.STATUS_SUCCESS: "complete", api_pb2.STATUS_FAILURE: "failed"}


class TrialLog:
    """Event file of one trial (or of the sweep). A context manager; `flush` before anything may kill the process.

    The file sorts behind those that are in the folder already, and its times never run backwards, whatever the clock
    does: TensorBoard reads the files of a folder in the order of the seconds in their names.

    Args:
        directory: where the event file goes; created if absent.
        kind: last part of its name, `RUN` or `END`.

    Raises:
        OSError: the file cannot be created or written to (by any method, not later than by the next `flush`).
    """

    def __init__(self, directory: Path, kind: str = RUN) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._opened = time.monotonic()
        self._begun, file = _next_file(directory, kind)
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
        declared = {name: _domain(values) for name, values in {**swept, **others}.items()}
        hparams = [summary_v2.HParam(name, domain) for name, domain in declared.items()]
        columns = [summary_v2.Metric(tag, display_name=title) for tag, title in metrics.items()]
        summary = summary_v2.hparams_config_pb(hparams, columns)
        for value in summary.value:
            data = metadata.parse_experiment_plugin_data(value.metadata.plugin_data.content)
            for info in data.hparam_infos:
                info.differs = info.name in swept
            plugin = plugin_data_pb2.HParamsPluginData(experiment=data, version=metadata.PLUGIN_DATA_VERSION)
            value.metadata.plugin_data.content = plugin.SerializeToString()
        self._add(summary)

    def session_start(
        self, group: str, hparams: Mapping[str, bool | int | float | str], place: Mapping[str, int | str] | None = None
    ) -> None:
        """Announce a trial with its hyperparameters; TensorBoard shows it from now on.

        Args:
            group: sessions of one group are one row of the HPARAMS tab, with the mean of their metrics. All must have
                the same hyperparameters.
            place: what tells the sessions of a group apart, such as fold and seed; TensorBoard's data have it as the
                session's `model_uri`.
        """
        summary = summary_v2.hparams_pb(dict(hparams), trial_id=group, start_time_secs=self._now())
        for value in summary.value if place else ():
            start = metadata.parse_session_start_info_plugin_data(value.metadata.plugin_data.content)
            start.model_uri = json.dumps(place)
            plugin = plugin_data_pb2.HParamsPluginData(session_start_info=start, version=metadata.PLUGIN_DATA_VERSION)
            value.metadata.plugin_data.content = plugin.SerializeToString()
        self._add(summary)

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
        self.picture(tag, Image.fromarray(pixels), step)

    def picture(self, tag: str, picture: Image.Image, step: int) -> None:
        """A picture of any mode."""
        buffer = io.BytesIO()
        picture.save(buffer, format="PNG", compress_level=PNG_EFFORT)
        width, height = picture.size
        channels = 1 if picture.mode == "L" else 3
        content = Summary.Image(height=height, width=width, colorspace=channels, encoded_image_string=buffer.getvalue())
        self._add(Summary(value=[Summary.Value(tag=tag, image=content)]), step)

    def text(self, tag: str, markdown: str, step: int = 0) -> None:
        """A page of the TEXT tab."""
        self._string(tag, markdown.encode(errors="backslashreplace"), texts.create_summary_metadata(tag, ""), step)

    def layout(self, layout: Any) -> None:
        """The charts of the CUSTOM SCALARS tab, a `Layout` of TensorBoard's."""
        about = custom_scalars.create_summary_metadata()
        self._string(custom_scalars.CONFIG_SUMMARY_TAG, layout.SerializeToString(), about)

    def flush(self) -> None:
        """Put everything written so far on disk, where a power cut leaves it."""
        self._file.flush()
        sync(self._file.fileno())

    def _string(self, tag: str, content: bytes, about: Any, step: int = 0) -> None:
        tensor = TensorProto(dtype=DT_STRING, string_val=[content])
        kind = SummaryMetadata.FromString(about.SerializeToString())
        self._add(Summary(value=[Summary.Value(tag=tag, tensor=tensor, metadata=kind)]), step)

    def _add(self, summary: Any, step: int = 0) -> None:
        self._event(step=step, summary=Summary.FromString(summary.SerializeToString()))

    def _event(self, **content: Any) -> None:
        self._writer.write(Event(wall_time=self._now(), **content).SerializeToString())

    def _now(self) -> float:
        """Seconds since 1970; differences within a file are true durations."""
        return self._begun + time.monotonic() - self._opened


def _next_file(directory: Path, kind: str) -> tuple[float, IO[bytes]]:
    """The time at which a new event file begins, behind all that is in the folder, and the file."""
    named = ((path, STAMP.match(path.name)) for path in directory.glob(EVENT_FILES))
    stamps = [(path, int(match[1])) for path, match in named if match]
    ends = [max(stamp, int(path.stat().st_mtime)) + 1.0 for path, stamp in stamps]
    begun = max([time.time(), *ends])
    while True:
        path = directory / f"events.out.tfevents.{int(begun):010d}.{socket.gethostname()}.{os.getpid()}.{kind}"
        try:
            return begun, path.open("xb")
        except FileExistsError:  # begun meanwhile
            begun += 1


def forget_end(directory: Path) -> None:
    """Remove how a trial ended, which begins again: of two ends TensorBoard would show the first for ever."""
    for path in directory.glob(f"{EVENT_FILES}.{END}"):
        remove(path)


@dataclass
class TrialEvents:
    """Content of a trial's event files."""

    hparams: dict[str, Any] = field(default_factory=dict)
    """Hyperparameters, and its place: `kind`, `label`, `fold`, `n_folds`."""
    scalars: dict[str, dict[int, float]] = field(default_factory=dict)
    """tag -> step -> value; of a step written twice, the later one."""
    images: dict[str, bytes] = field(default_factory=dict)
    """tag -> PNG of the last step."""
    damaged: list[str] = field(default_factory=list)
    """Event files that end in the middle of a record or fail their checksum; all other records were read."""
    lost: int = 0
    """Places in these files at which at least one record is not readable."""
    status: str = ""
    """`complete`, `pruned` or `failed`; "" of a trial that runs or was interrupted."""


def read_trial(directory: Path, *, images: bool = True) -> TrialEvents:
    """Read all event files of a trial, in the order in which they were begun.

    Args:
        images: False leaves the pictures out.
    """
    trial = TrialEvents()
    for path in sorted(directory.glob(EVENT_FILES)):
        for event in _events(path, trial):
            if event.HasField("session_log") and event.session_log.status == SessionLog.START:
                for series in trial.scalars.values():
                    for step in [s for s in series if s >= event.step]:
                        del series[step]
            if event.HasField("summary"):
                _take(trial, event.summary.value, event.step, images)
    if trial.status == "complete" and trial.scalars.get("pruned/epoch"):
        trial.status = "pruned"
    return trial


def _take(trial: TrialEvents, values: Any, step: int, images: bool) -> None:
    scalars = trial.scalars
    for value in values:
        kind = value.WhichOneof("value")
        if kind == "simple_value":
            series = scalars.get(value.tag)
            if series is None:
                series = scalars[value.tag] = {}
            series[step] = value.simple_value
        elif kind == "image":
            if images:
                trial.images[value.tag] = value.image.encoded_image_string
        elif value.tag == metadata.SESSION_START_INFO_TAG:
            _begin(trial, value.metadata.plugin_data.content)
        elif value.tag == metadata.SESSION_END_INFO_TAG:
            end = metadata.parse_session_end_info_plugin_data(value.metadata.plugin_data.content)
            trial.status = ENDED.get(end.status, "")


def _begin(trial: TrialEvents, content: bytes) -> None:
    start = metadata.parse_session_start_info_plugin_data(content)
    trial.status = ""
    for name, hparam in start.hparams.items():
        trial.hparams[name] = getattr(hparam, hparam.WhichOneof("kind"))
    place = json.loads(start.model_uri) if start.model_uri else {}  # older sweeps have it among the hyperparameters
    trial.hparams |= place if isinstance(place, dict) else {}


def _events(path: Path, trial: TrialEvents) -> Iterator[Any]:
    """All events of a file that are readable; damage is noted."""
    found = read_records(path.read_bytes())
    if found.lost:
        trial.damaged.append(path.name)
        trial.lost += found.lost
    yield from map(Event.FromString, found.payloads)


def _domain(values: Sequence[Any] | tuple[float, float]) -> Any:
    """An interval, the values without repetition, or None of no values: nothing is known of them."""
    if isinstance(values, tuple):
        return summary_v2.RealInterval(float(values[0]), float(values[1]))
    return summary_v2.Discrete(list(dict.fromkeys(values))) if values else None
