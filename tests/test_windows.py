"""The library on Windows and macOS, as far as it can be seen from elsewhere."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# What Windows' Python lacks, and of which macOS lacks some. Other packages are imported
# first: they know their way on each system. Then the names go, the library is imported
# and does its work.
PROGRAM = """
import importlib, os, pkgutil, signal, socket, sys, tempfile
from pathlib import Path
import IPython, ipywidgets, jupytext, matplotlib.pyplot, optuna, PIL.ImageOps
import skimage.metrics, sklearn.datasets, sklearn.decomposition, torch, torchvision
import torch.distributed, torchmetrics.functional.image, tqdm.auto
import optuna.storages.journal, torch.multiprocessing

BUT_ON_POSIX = {
    os: "fork forkpty getuid geteuid getgid getegid setuid setgid setsid killpg wait "
    "sched_getaffinity sched_setaffinity uname mkfifo chown statvfs sysconf pipe2 nice "
    "getloadavg register_at_fork openpty posix_spawn posix_fallocate sendfile "
    "O_CLOEXEC O_DIRECTORY O_NOFOLLOW WIFEXITED",
    signal: "SIGKILL SIGHUP SIGUSR1 SIGUSR2 SIGALRM SIGCHLD SIGPIPE SIGQUIT alarm "
    "setitimer pthread_kill pthread_sigmask sigwait pause",
    socket: "AF_UNIX",
}
for module, names in BUT_ON_POSIX.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
for name in "fcntl resource pwd grp termios tty pty syslog readline".split():
    sys.modules[name] = None

import ae_lib
found = [m.name for m in pkgutil.walk_packages(ae_lib.__path__, "ae_lib.")]
for name in found:
    importlib.import_module(name)

from ae_lib import data, fetch, train
from ae_lib.checkpoints import load_model
folder = Path(tempfile.mkdtemp())
for more in ([], ["--resume"]):
    assert 0 == train.main(
        ["--dataset", "digits", "--limit", "64", "--out", str(folder / "run")]
        + ["--model", "LinearAutoencoder", "--epochs", "1", "--device", "cpu", *more]
    )
load_model(folder / "run")
os.environ["AE_DATA_DIR"] = str(folder)
assert fetch.main(["mnist"]) == 1  # AE_OFFLINE is set
print(len(found))
"""


def test_nothing_that_windows_lacks_is_needed():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) > 40
    assert "AE_OFFLINE is set" in done.stderr
