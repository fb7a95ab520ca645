"""What every benchmark needs: peers, the binary, measured processes, figures.

A benchmark starts with `bench.enter()`, which installs the peers, moves into their interpreter and keeps the
process, and all it starts, on two cores. It ends with `bench.finish()`: exit code 1 when a figure was missed.
"""
import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("CUPOLA_SHARED", ROOT.parent / "shared"))
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "cupola"
WORK = CACHE / "bench"
CORES = 2

_missed = []


def enter(*peers):
    """Installs the peers, re-executes the script with their interpreter, and says where it runs."""
    venv = CACHE / "bench-venv"
    python = venv / "bin" / "python"
    if Path(sys.prefix) != venv:
        _install(venv, python)
        os.execv(python, [str(python), *sys.argv])
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(CORES)
    WORK.mkdir(parents=True, exist_ok=True)
    versions = ", ".join(f"{peer} {importlib.metadata.version(peer)}" for peer in peers)
    print(f"machine: {_cpu()}, {CORES} cores used; peers: {versions or 'none'}", flush=True)


def _install(venv, python):
    requirements = ROOT / "benches" / "requirements.txt"
    stamp = hashlib.sha256(requirements.read_bytes()).hexdigest()
    marker = venv / "cupola-stamp"
    if marker.exists() and marker.read_text() == stamp:
        return
    subprocess.run(["python3", "-m", "venv", str(venv)], check=True)
    subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(requirements)], check=True)
    marker.write_text(stamp)


def _cpu():
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown CPU")


def cupola():
    """Path of the release binary, built when CUPOLA_BIN does not name one."""
    if "CUPOLA_BIN" in os.environ:
        return os.environ["CUPOLA_BIN"]
    environment = dict(os.environ)
    target = Path(environment.setdefault("CARGO_TARGET_DIR", str(CACHE / "target")))
    subprocess.run(["cargo", "build", "--release", "--quiet", "--bin", "cupola"], cwd=ROOT, env=environment, check=True)
    return str(target / "release" / "cupola")


def example(name):
    """Path of an example program, built from the sources."""
    environment = dict(os.environ)
    target = Path(environment.setdefault("CARGO_TARGET_DIR", str(CACHE / "target")))
    command = ["cargo", "build", "--release", "--quiet", "--workspace", "--example", name]
    subprocess.run(command, cwd=ROOT, env=environment, check=True)
    return str(target / "release" / "examples" / name)


@dataclass
class Process:
    """A finished process: wall seconds, largest resident memory, what it wrote."""

    seconds: float
    peak_mib: float
    stdout: str
    stderr: str


def log_path(name):
    """A log of this process's own, as benchmarks may run side by side. It stays where a command fails."""
    return WORK / f"{name}-{os.getpid()}.log"


def measure(command, **environment):
    """Runs a command to its end. Peak memory is the kernel's figure for that process."""
    log, out = log_path("stderr"), log_path("stdout")
    with log.open("wb") as stderr, out.open("wb") as stdout:
        start = time.perf_counter()
        child = subprocess.Popen([str(part) for part in command], stdout=stdout, stderr=stderr,
                                 env={**os.environ, **environment})
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - start
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {child.returncode}, see {log}\n{log.read_text()[-4000:]}")
    process = Process(seconds, usage.ru_maxrss / 1024, out.read_text(), log.read_text())
    log.unlink()
    out.unlink()
    return process


def stage_seconds(process):
    """Seconds of each stage of a `cupola run --log-format json`, by name."""
    stages = {}
    for line in process.stderr.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and event.get("event") == "stage":
            stages[event["summary"]["stage"]] = event["summary"]["seconds"]
    return stages


def run_pipeline(binary, pipeline, home, *settings, device="cpu"):
    """`cupola run` in a fresh home folder."""
    subprocess.run(["rm", "-rf", str(home)], check=True)
    sets = [part for setting in settings for part in ("--set", setting)]
    return measure([binary, "run", pipeline, "--home", home, "--device", device, "--log-format", "json", *sets])


def figure(name, value, target, at_most=False):
    """A value with a target: at least it, or at most it."""
    met = value <= target if at_most else value >= target
    if not met:
        _missed.append(name)
    print(f"figure {name} {value:.6g} target {target:.6g} {'met' if met else 'missed'}", flush=True)


def measured(name, value):
    """A value beside the figures, such as the peer's."""
    print(f"measured {name} {value:.6g}", flush=True)


def finish():
    sys.exit(1 if _missed else 0)


def thirty_features(n_rows, seed=7):
    """Rows of 30 float features `f0`..`f29` and a binary `label` that depends on some of them."""
    import numpy as np
    import pandas as pd

    x = np.random.default_rng(seed).standard_normal((n_rows, 30), dtype=np.float32)
    z = x[:, 0] * x[:, 1] + np.sin(2 * x[:, 2]) + np.abs(x[:, 3]) - 0.8 + 0.5 * x[:, 4] - 0.3 * x[:, 5] * x[:, 6]
    frame = pd.DataFrame(x, columns=[f"f{i}" for i in range(30)])
    frame["label"] = (np.random.default_rng(seed + 1).random(n_rows) < 1 / (1 + np.exp(-z))).astype("int8")
    return frame
