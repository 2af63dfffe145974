"""Fetching the published images: verified, resumable, and never outside its folder; mirrors are file:// folders."""

import csv
import hashlib
import http.server
import shutil
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from calling import command

from deepdlt.synthetic import published as download_dlip
from deepdlt.synthetic.published import BASE_URL, Entry, ManifestError, check_manifest, download, read_manifest

main = command("download")

NAMES = ("Paper Data/Repetition 6p & 2p/2-1 ^.png", "Paper Data/100%.png", "a#b.png", "all_images.xlsx")


def entries_of(folder: Path, paths) -> list[Entry]:
    contents = [(path, (folder / path).read_bytes()) for path in paths]
    return [Entry(path, len(content), hashlib.sha256(content).hexdigest()) for path, content in contents]


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "a mirror"
    rng = np.random.default_rng(0)
    for number, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(rng.bytes(1000 + 200_000 * number))
    return folder


@pytest.fixture
def manifest(mirror: Path) -> list[Entry]:
    return entries_of(mirror, NAMES)


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def write_manifest(path: Path, entries: list[Entry]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([Entry._fields, *entries])
    return path


def test_every_file_arrives_as_it_was_under_its_own_name(mirror, manifest, tmp_path):
    seen = []
    outcome = download(mirror.as_uri(), tmp_path / "out", manifest, lambda done, total: seen.append((done, total)))
    assert sorted(outcome.fetched) == sorted(NAMES)
    assert not outcome.failed
    assert files_in(tmp_path / "out") == sorted(NAMES)
    assert entries_of(tmp_path / "out", NAMES) == manifest
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_second_run_fetches_nothing(mirror, manifest, tmp_path):
    download(mirror.as_uri(), tmp_path / "out", manifest)
    before = {path: (tmp_path / "out" / path).stat().st_mtime_ns for path in NAMES}
    shutil.rmtree(mirror)  # so that a transfer would fail
    outcome = download(mirror.as_uri(), tmp_path / "out", manifest)
    assert sorted(outcome.kept) == sorted(NAMES)
    assert not outcome.failed
    assert before == {path: (tmp_path / "out" / path).stat().st_mtime_ns for path in NAMES}


@pytest.mark.parametrize("damage", [lambda b: b[:-100], lambda b: bytes(len(b)), lambda b: b""])
def test_a_part_or_a_damaged_file_is_not_taken_for_whole(mirror, manifest, tmp_path, damage):
    target = tmp_path / "out" / NAMES[1]
    target.parent.mkdir(parents=True)
    target.write_bytes(damage((mirror / NAMES[1]).read_bytes()))
    outcome = download(mirror.as_uri(), tmp_path / "out", manifest)
    assert NAMES[1] in outcome.fetched
    assert target.read_bytes() == (mirror / NAMES[1]).read_bytes()


def test_the_part_of_a_killed_run_is_removed(mirror, manifest, tmp_path):
    left_over = tmp_path / "out" / ".a#b.png.123.part"
    left_over.parent.mkdir()
    left_over.write_bytes(b"half")
    download(mirror.as_uri(), tmp_path / "out", manifest)
    assert files_in(tmp_path / "out") == sorted(NAMES)


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b + b"x", lambda b: bytes(len(b))])
def test_a_corrupted_file_of_the_mirror_is_refused_and_the_rest_kept(mirror, manifest, tmp_path, damage):
    (mirror / "a#b.png").write_bytes(damage((mirror / "a#b.png").read_bytes()))
    outcome = download(mirror.as_uri(), tmp_path / "out", manifest)
    assert list(outcome.failed) == ["a#b.png"]
    assert "SHA-256" in outcome.failed["a#b.png"]
    assert files_in(tmp_path / "out") == sorted(set(NAMES) - {"a#b.png"})


def test_a_corrupted_mirror_does_not_replace_what_was_there(mirror, manifest, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a#b.png").write_bytes(b"mine")
    (mirror / "a#b.png").write_bytes(b"corrupted")
    assert "a#b.png" in download(mirror.as_uri(), tmp_path / "out", manifest).failed
    assert (tmp_path / "out" / "a#b.png").read_bytes() == b"mine"


def test_a_file_that_the_mirror_lacks_is_named(mirror, manifest, tmp_path):
    (mirror / NAMES[0]).unlink()
    outcome = download(mirror.as_uri(), tmp_path / "out", manifest)
    assert "No such file" in outcome.failed[NAMES[0]]
    assert len(outcome.fetched) == 3


def test_a_wrong_address_is_given_up_early(tmp_path, monkeypatch):
    asked = []

    def nowhere(url, *args):
        asked.append(url)
        time.sleep(0.01)
        raise FileNotFoundError(2, "No such file", url)

    monkeypatch.setattr(download_dlip, "_fetch", nowhere)
    manifest = [Entry(f"{number}.png", 5, "0" * 64) for number in range(60)]
    outcome = download("file:///nothing", tmp_path / "out", manifest)
    assert len(outcome.failed) == 60
    assert len(asked) < 30
    assert files_in(tmp_path / "out") == []


@pytest.mark.parametrize(
    "path",
    ["../outside.png", "a/../../outside.png", "/etc/outside.png", "a//b.png", "./b.png", "", "C:\\b.png", "a\nb"],
)
def test_a_path_that_leads_out_of_the_folder_is_refused(mirror, manifest, tmp_path, path):
    with pytest.raises(ManifestError, match="plain path inside"):
        download(mirror.as_uri(), tmp_path / "out", [*manifest, manifest[0]._replace(path=path)])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "lists no file"),
        ([Entry("a.png", 1, "0" * 64), Entry("A.png", 1, "0" * 64)], "listed twice"),
        ([Entry("a.png", 1, "0" * 63)], "64 hex digits"),
        ([Entry("a.png", -1, "0" * 64)], "size in bytes"),
    ],
)
def test_a_manifest_that_cannot_be_verified_is_refused(entries, message):
    with pytest.raises(ManifestError, match=message):
        check_manifest(entries)


def test_an_address_of_another_kind_is_refused(manifest, tmp_path):
    with pytest.raises(ManifestError, match="must begin with https://"):
        download("ftp://example.org/", tmp_path / "out", manifest)
    assert not (tmp_path / "out").exists()


class Flaky(http.server.SimpleHTTPRequestHandler):
    """The first answer for a file is an error or a part, the second is right."""

    def do_GET(self):
        asked = self.server.asked
        asked.append(self.path)
        if asked.count(self.path) > 1:
            super().do_GET()
        elif self.path.endswith("xlsx"):
            self.send_error(503)
        else:
            self.send_response(200)
            self.send_header("Content-Length", "900")
            self.end_headers()
            self.wfile.write(b"part")

    def log_message(self, *args):
        pass


def test_a_transfer_that_breaks_is_tried_again(mirror, manifest, tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Flaky, directory=str(mirror))) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            outcome = download(f"http://127.0.0.1:{server.server_port}/", tmp_path / "out", manifest, pause_s=0.01)
        finally:
            server.shutdown()
            thread.join()
    assert not outcome.failed
    assert len(server.asked) == 8  # each file twice
    assert entries_of(tmp_path / "out", NAMES) == manifest


def test_an_interrupt_leaves_no_part_and_the_next_run_completes(mirror, manifest, tmp_path):
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(mirror.as_uri(), tmp_path / "out", manifest, interrupt)
    assert not [name for name in files_in(tmp_path / "out") if name.endswith(".part")]
    assert not download(mirror.as_uri(), tmp_path / "out", manifest).failed


def test_the_command_prints_the_folder_and_the_command_to_use_it(mirror, manifest, tmp_path, capsys):
    sums = write_manifest(tmp_path / "sums.csv", manifest)
    arguments = ["--from", mirror.as_uri(), "--out", str(tmp_path / "out"), "--manifest", str(sums)]
    assert main(arguments) == 0
    shown = capsys.readouterr()
    folder = tmp_path / "out" / "images"
    assert shown.out.splitlines() == [str(folder)]
    assert f"next: deepdlt sweep --space exp_grid --data {folder}" in shown.err
    assert "fetching: 4/4 files" in shown.err
    assert main(arguments) == 0
    assert "0 fetched, 4 kept" in capsys.readouterr().err


def test_the_command_names_what_failed(mirror, manifest, tmp_path, capsys):
    (mirror / "a#b.png").write_bytes(b"corrupted")
    sums = write_manifest(tmp_path / "sums.csv", manifest)
    assert main(["--from", mirror.as_uri(), "--out", str(tmp_path), "--manifest", str(sums)]) == 3
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "error: 1 of 4 files could not be fetched" in shown.err
    assert "a#b.png: content does not match" in shown.err


def test_refused_input_gives_exit_code_2_and_writes_nothing(tmp_path, capsys):
    (tmp_path / "sums.csv").write_text("path,size\na.png,1\n")
    assert main(["--out", str(tmp_path / "out"), "--manifest", str(tmp_path / "sums.csv")]) == 2
    assert main(["--out", str(tmp_path / "out"), "--from", "images"]) == 2
    assert capsys.readouterr().err.count("error: ") == 2
    assert not (tmp_path / "out").exists()


def test_an_interrupted_command_says_that_it_can_be_repeated(monkeypatch, tmp_path, capsys):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr("deepdlt.commands.download.download", interrupt)
    assert main(["--out", str(tmp_path)]) == 130
    assert "complete files are kept. Fetch the rest with:" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_gives_exit_code_3(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["--out", str(tmp_path / "file"), "--from", tmp_path.as_uri()]) == 3
    assert "error: cannot write" in capsys.readouterr().err


def test_the_manifest_of_the_published_images_is_sound():
    manifest = read_manifest()
    assert len(manifest) == 209
    assert sum(entry.path.endswith(".png") for entry in manifest) == 208
    assert BASE_URL.startswith("https://")
    assert BASE_URL.endswith("/images/")


def test_the_real_images_are_what_the_manifest_says(real_images, tmp_path):
    manifest = read_manifest()
    assert files_in(real_images) == sorted(entry.path for entry in manifest)
    assert all((real_images / entry.path).stat().st_size == entry.size for entry in manifest)
    some = [entry for entry in manifest if "^" in entry.path or entry.path.endswith(("0-1.png", "xlsx"))]
    assert len(some) >= 6
    outcome = download(real_images.resolve().as_uri(), tmp_path, some)
    assert sorted(outcome.fetched) == sorted(entry.path for entry in some)
