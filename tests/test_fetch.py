"""Downloads, against a real HTTP server on this machine."""

import hashlib
import http.server
import os
import random
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from ae_lib import fetch as module
from ae_lib.fetch import DownloadError, RemoteFile, fetch
from tests.faults import full_disk, powerless

CONTENT = random.Random(0).randbytes(300_000)
NAME = "cifar-10-python.tar.gz"


class Handler(http.server.BaseHTTPRequestHandler):
    """Serve CONTENT under paths that each fail in their own way."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        how = self.path.split("/")[1]
        asked = self.headers.get("Range")
        self.server.log.append((how, asked))
        content = CONTENT
        if how == "missing":
            self.send_error(404)
            return
        if how == "wrong":
            content = bytes(len(CONTENT))
        if how == "page":
            content = b"<html>Please log in</html>"
        start = 0
        if asked and how not in ("norange", "page"):
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            self.send_response(206)
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send_header("Content-Range", span)
        else:
            self.send_response(200)
        if how != "endless":
            self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        body = content[start:]
        if how in ("cut", "norange") and not self.server.was_cut:
            self.server.was_cut = True
            body = body[:100_000]
        if how == "dies":
            body = b"" if start else body[:50_000]
        if how == "hangs":
            self.server.stop.wait(5)
        if how == "stalls":
            self.wfile.write(body[:50_000])
            self.server.stop.wait(5)
            return
        if how == "endless":
            while not self.server.stop.is_set():
                self.wfile.write(bytes(100_000))
        if how == "steady":
            for k in range(0, len(body), 10_000):
                self.wfile.write(body[k : k + 10_000])
                self.server.stop.wait(0.02)
            return
        if how == "tires":
            self.wfile.write(body[:200_000])
            body = body[200_000:]
        if how in ("slow", "tires"):
            for k in range(0, len(body), 500):
                if self.server.stop.wait(0.02):
                    return
                self.wfile.write(body[k : k + 500])
            return
        self.wfile.write(body)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        pass  # clients that hang up are what is tested


@pytest.fixture
def server(monkeypatch):
    """A server, and CIFAR-10 redefined as 300 kB that no real host offers."""
    server = Server(("127.0.0.1", 0), Handler)
    server.log, server.was_cut, server.stop = [], False, threading.Event()
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    official = f"{server.url}/official"
    file = RemoteFile(NAME, hashlib.md5(CONTENT).hexdigest(), len(CONTENT), official)
    small = [
        RemoteFile(f"MNIST/raw/{name}.gz", file.md5, file.size, official)
        for name in ("images", "labels")
    ]
    monkeypatch.setattr(module, "DATA_SETS", {"cifar10": [file], "mnist": small})
    monkeypatch.setenv("AE_OFFLINE", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("AE_MIRRORS", raising=False)
    monkeypatch.delenv("AE_DATA_DIR", raising=False)
    yield server
    server.stop.set()
    server.shutdown()
    thread.join()
    server.server_close()


def visits(server):
    return [how for how, _ in server.log]


def test_a_download_arrives_and_is_not_repeated(server, tmp_path):
    path = fetch("cifar10", tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / NAME
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == [NAME]
    assert fetch("cifar10", path.parent) == path
    assert visits(server) == ["official"]


def test_a_file_gone_bad_is_fetched_again(server, tmp_path):
    (tmp_path / NAME).write_bytes(b"\0" * len(CONTENT))
    assert fetch("cifar10", tmp_path).read_bytes() == CONTENT


def test_mnist_arrives_in_the_folder_of_torchvision(server, tmp_path):
    folder = fetch("mnist", tmp_path)
    assert folder == tmp_path / "MNIST" / "raw"
    assert sorted(p.name for p in folder.iterdir()) == ["images.gz", "labels.gz"]


def test_a_cut_connection_resumes_where_it_stopped(server, tmp_path):
    path = fetch("cifar10", tmp_path, [f"{server.url}/cut"])
    assert path.read_bytes() == CONTENT
    assert server.log == [("cut", None), ("cut", "bytes=100000-")]


def test_a_host_that_cannot_resume_starts_anew(server, tmp_path):
    path = fetch("cifar10", tmp_path, [f"{server.url}/norange"])
    assert path.read_bytes() == CONTENT
    assert visits(server) == ["norange", "norange"]


def test_a_later_run_resumes(server, tmp_path, monkeypatch):
    (file,) = module.DATA_SETS["cifar10"]
    lonely = RemoteFile(file.path, file.md5, file.size, f"{server.url}/dies")
    with monkeypatch.context() as patch:
        patch.setitem(module.DATA_SETS, "cifar10", [lonely])
        with pytest.raises(DownloadError, match="the connection was cut.*resumes"):
            fetch("cifar10", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [f"{NAME}.part"]
    assert fetch("cifar10", tmp_path).read_bytes() == CONTENT
    assert server.log[-1] == ("official", "bytes=50000-")
    assert [p.name for p in tmp_path.iterdir()] == [NAME]


def test_what_a_dead_process_left_is_taken_over(server, tmp_path):
    dead = tmp_path / f"{NAME}.dead.part"
    dead.write_bytes(CONTENT[:1000])
    long_ago = time.time() - 1000
    os.utime(dead, (long_ago, long_ago))
    fetch("cifar10", tmp_path)
    assert server.log == [("official", "bytes=1000-")]
    assert not dead.exists()


def test_what_a_live_process_writes_is_left_alone(server, tmp_path):
    live = tmp_path / f"{NAME}.live.part"
    live.write_bytes(CONTENT[:1000])
    fetch("cifar10", tmp_path)
    assert server.log == [("official", None)]
    assert live.read_bytes() == CONTENT[:1000]


def test_a_wrong_checksum_leads_to_the_next_mirror(server, tmp_path):
    path = fetch("cifar10", tmp_path, [f"{server.url}/wrong", f"{server.url}/good"])
    assert path.read_bytes() == CONTENT
    assert visits(server) == ["wrong", "good"]


def test_a_bad_beginning_does_not_spoil_a_good_host(server, tmp_path):
    (tmp_path / f"{NAME}.part").write_bytes(bytes(1000))
    assert fetch("cifar10", tmp_path).read_bytes() == CONTENT
    assert server.log == [("official", "bytes=1000-"), ("official", None)]


def test_a_slow_host_is_given_up_and_what_it_sent_is_kept(server, tmp_path):
    mirrors = [f"{server.url}/slow"]
    path = fetch("cifar10", tmp_path, mirrors, minimum_speed=1e6, window=0.3)
    assert path.read_bytes() == CONTENT
    assert visits(server) == ["slow", "official"]
    # Far less than a block of 64 kB: the speed is measured while it trickles.
    assert 500 <= int(server.log[1][1][len("bytes=") : -1]) < 60_000


def test_a_host_that_becomes_slow_is_given_up(server, tmp_path):
    mirrors = [f"{server.url}/tires"]
    fetch("cifar10", tmp_path, mirrors, minimum_speed=50_000, window=0.2)
    assert visits(server) == ["tires", "official"]


def test_a_host_that_is_fast_enough_is_kept(server, tmp_path):
    (file,) = module.DATA_SETS["cifar10"]
    short = RemoteFile(file.path, file.md5, file.size, f"{server.url}/slow")
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:-10_000])
    module.DATA_SETS["cifar10"] = [short]
    fetch("cifar10", tmp_path, minimum_speed=1000, window=0.05)
    assert visits(server) == ["slow"]


def test_a_silent_host_is_given_up(server, tmp_path):
    path = fetch("cifar10", tmp_path, [f"{server.url}/hangs"], timeout=0.3)
    assert path.read_bytes() == CONTENT
    assert visits(server) == ["hangs", "official"]


def test_a_log_in_page_is_not_taken_for_the_file(server, tmp_path):
    fetch("cifar10", tmp_path, [f"{server.url}/page"])
    assert visits(server) == ["page", "official"]


def test_when_all_hosts_fail_one_sentence_says_why(server, tmp_path):
    (file,) = module.DATA_SETS["cifar10"]
    gone = RemoteFile(file.path, file.md5, file.size, "http://127.0.0.1:9/none")
    module.DATA_SETS["cifar10"] = [gone]
    mirrors = [f"{server.url}/missing", f"{server.url}/wrong", f"{server.url}/page"]
    with pytest.raises(DownloadError) as caught:
        fetch("cifar10", tmp_path, mirrors)
    message = str(caught.value)
    assert "404 Not Found" in message
    assert "wrong checksum" in message
    assert "offers 26 bytes, not 300,000" in message
    assert "cannot be reached" in message
    assert "AE_MIRRORS" in message
    assert "\n" not in message
    assert list(tmp_path.iterdir()) == []


def test_named_mirrors_come_first(server, tmp_path, monkeypatch):
    """As a folder, with and without a slash, or as the address of the file."""
    places = [f"{server.url}/missing/", f"{server.url}/wrong/{NAME}"]
    monkeypatch.setenv("AE_MIRRORS", f"{server.url}/x/images.gz {server.url}/good/sub")
    fetch("cifar10", tmp_path, places)
    assert visits(server) == ["missing", "wrong", "good"]


def test_a_mirror_that_is_no_address_is_refused(server, tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("x")
    for mirror in (tmp_path.as_uri(), "ftp://127.0.0.1/x", "mirror", "http://[x/"):
        monkeypatch.setenv("AE_MIRRORS", mirror)
        with pytest.raises(DownloadError, match="is no mirror: name an address"):
            fetch("cifar10", tmp_path)
    assert server.log == []


def test_offline_means_offline(server, tmp_path, monkeypatch):
    monkeypatch.setenv("AE_OFFLINE", "1")
    with pytest.raises(DownloadError, match="AE_OFFLINE is set"):
        fetch("cifar10", tmp_path)
    assert server.log == [] and list(tmp_path.iterdir()) == []
    (tmp_path / NAME).write_bytes(CONTENT)
    assert fetch("cifar10", tmp_path) == tmp_path / NAME


def test_a_folder_that_cannot_be_written_is_named(server, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DownloadError, match="cannot be stored in .*file.*AE_DATA_DIR"):
        fetch("cifar10", tmp_path / "file")


def test_an_unknown_data_set_is_refused(tmp_path):
    with pytest.raises(ValueError, match="one of cifar10, mnist, got 'cifar100'"):
        fetch("cifar100", tmp_path)


def test_two_threads_may_fetch_at_once(server, tmp_path):
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(fetch("cifar10", tmp_path)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [tmp_path / NAME] * 4
    assert results[0].read_bytes() == CONTENT
    assert [p.name for p in tmp_path.iterdir()] == [NAME]


def test_a_host_that_falls_silent_is_given_up_and_what_it_sent_is_kept(
    server, tmp_path
):
    path = fetch("cifar10", tmp_path, [f"{server.url}/stalls"], timeout=0.3)
    assert path.read_bytes() == CONTENT
    assert server.log == [("stalls", None), ("official", "bytes=50000-")]


def test_a_host_that_never_ends_fills_no_disk(server, tmp_path):
    path = fetch("cifar10", tmp_path, [f"{server.url}/endless"])
    assert path.read_bytes() == CONTENT
    assert visits(server) == ["endless", "official"]
    assert [p.name for p in tmp_path.iterdir()] == [NAME]


# ------------------------------------------- whole processes, in trouble of their own

COMMAND = f"""
import sys
from ae_lib import fetch as module
host, md5, size = sys.argv[1:]
file = module.RemoteFile("{NAME}", md5, int(size), host)
module.DATA_SETS = {{"cifar10": [file]}}
sys.exit(module.main(["cifar10"]))
"""


def process(server, folder, how, python=(sys.executable,), command=COMMAND):
    (file,) = module.DATA_SETS["cifar10"]
    arguments = [f"{server.url}/{how}", file.md5, str(file.size)]
    return subprocess.Popen(
        [*python, "-c", command, *arguments],
        cwd=Path(module.__file__).resolve().parent.parent,
        env={**os.environ, "AE_DATA_DIR": str(folder), "TQDM_DISABLE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def failure(started):
    """The one line that a failed command says."""
    out, told = started.communicate()
    assert started.returncode == 1 and out == ""
    assert told.count("\n") == 1 and told.startswith("cifar10: "), told
    return told


def test_two_processes_may_fetch_at_once(server, tmp_path):
    both = [process(server, tmp_path, "steady") for _ in range(2)]
    assert [started.communicate()[1] for started in both] == ["", ""]
    assert [started.returncode for started in both] == [0, 0]
    assert [p.name for p in tmp_path.iterdir()] == [NAME]
    assert (tmp_path / NAME).read_bytes() == CONTENT


def test_killed_while_it_downloads_it_leaves_a_beginning(server, tmp_path):
    started = process(server, tmp_path, "steady")
    deadline = time.monotonic() + 30
    parts = []
    while not parts or parts[0].stat().st_size < 50_000:
        assert time.monotonic() < deadline
        parts = list(tmp_path.glob("*.part"))
        time.sleep(0.005)
    started.kill()
    started.communicate()
    (part,) = tmp_path.iterdir()
    size = part.stat().st_size
    assert part == parts[0] and CONTENT.startswith(part.read_bytes())
    long_ago = time.time() - module.ABANDONED - 1
    os.utime(part, (long_ago, long_ago))
    assert fetch("cifar10", tmp_path).read_bytes() == CONTENT
    assert server.log[-1] == ("official", f"bytes={size}-")
    assert [p.name for p in tmp_path.iterdir()] == [NAME]


@pytest.mark.skipif(os.name == "nt", reason="no such limits there")
def test_a_full_disk_ends_in_a_sentence_and_the_download_goes_on_later(
    server, tmp_path
):
    told = failure(process(server, tmp_path, "official", full_disk(100_000)))
    assert "File too large" in told and "free some space or set AE_DATA_DIR" in told
    assert [p.name for p in tmp_path.iterdir()] == [f"{NAME}.part"]
    assert fetch("cifar10", tmp_path).read_bytes() == CONTENT
    assert server.log[-1] == ("official", "bytes=100000-")


@pytest.mark.skipif(os.name == "nt", reason="folders know no permissions there")
def test_a_forbidden_folder_ends_in_a_sentence(server, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o555)
    told = failure(process(server, tmp_path / "locked", "official", powerless()))
    assert "Permission denied" in told and "AE_DATA_DIR" in told
    told = failure(process(server, tmp_path / "locked" / "in", "official", powerless()))
    assert "Permission denied" in told
    assert list((tmp_path / "locked").iterdir()) == []


def test_without_a_network_one_sentence_says_so(server, tmp_path):
    """No name is found, as without a connection."""
    no_names = (
        "import socket\n"
        "def lost(*args, **options):\n"
        "    raise socket.gaierror(-3, 'Temporary failure in name resolution')\n"
        "socket.getaddrinfo = lost\n"
    )
    told = failure(process(server, tmp_path, "x", command=no_names + COMMAND))
    assert "cannot be reached" in told and "AE_MIRRORS" in told
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_what_it_got(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("AE_DATA_DIR", str(tmp_path))
    assert module.main([]) == 0
    out = capsys.readouterr().out
    assert out == f"cifar10: {tmp_path / NAME}\nmnist: {tmp_path / 'MNIST' / 'raw'}\n"
    assert module.main(["mnist", "nonsense"]) == 1
    captured = capsys.readouterr()
    assert captured.out.startswith("mnist: ")
    assert "got 'nonsense'" in captured.err


def test_the_command_fails_with_a_sentence(tmp_path):
    command = [sys.executable, "-m", "ae_lib.fetch", "cifar10"]
    environment = {**os.environ, "AE_OFFLINE": "1"}
    environment["AE_DATA_DIR"] = str(tmp_path)
    root = Path(module.__file__).resolve().parent.parent
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "AE_OFFLINE is set" in done.stderr and "Traceback" not in done.stderr


def test_the_checksums_are_those_of_torchvision():
    from torchvision.datasets import CIFAR10, MNIST

    (file,) = module.DATA_SETS["cifar10"]
    assert (file.name, file.md5) == (CIFAR10.filename, CIFAR10.tgz_md5)
    ours = {(file.name, file.md5) for file in module.DATA_SETS["mnist"]}
    assert ours == set(MNIST.resources)
