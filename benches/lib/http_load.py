"""What the serving benchmarks share: a served network in Cupola and in FastAPI + ONNX Runtime, wrk, CPU seconds."""
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bench

PIPELINE = bench.ROOT / "benches" / "pipelines" / "thirty_features.toml"
MODEL = "thirty-features"
PEER_WORKERS = 2
TICKS = os.sysconf("SC_CLK_TCK")


def train(binary, folder):
    """Trains the model once; returns the home folder, the exported network and one record."""
    folder.mkdir(parents=True, exist_ok=True)
    data, home = folder / "train.parquet", folder / "home"
    frame = bench.thirty_features(20_000, seed=7)
    frame.to_parquet(data, index=False)
    bench.run_pipeline(binary, PIPELINE, home, f'source.path = "{data}"')
    network = next((home / "models").rglob("*.onnx"))
    row = frame.drop(columns="label").iloc[0]
    record = folder / "one.json"
    record.write_text(json.dumps({name: round(float(value), 4) for name, value in row.items()}))
    return home, network, record


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


@dataclass
class Served:
    """A running server: where to post, its process, seconds from its start to the first answer."""

    url: str
    process: subprocess.Popen
    first_answer_seconds: float
    first_answer: str


@contextmanager
def cupola(binary, home, record, *settings):
    port = free_port()
    sets = [part for setting in settings for part in ("--set", setting)]
    command = [binary, "serve", PIPELINE, "--home", home, "--bind", f"127.0.0.1:{port}", *sets]
    with _running(command, f"http://127.0.0.1:{port}/v1/models/{MODEL}/predict", record, {}) as served:
        yield served


@contextmanager
def peer(network, record):
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "serve_peer:app", "--app-dir", Path(__file__).parent, "--port", port,
               "--workers", PEER_WORKERS, "--loop", "uvloop", "--http", "httptools", "--no-access-log",
               "--log-level", "warning"]
    environment = {"NETWORK": str(network), "OMP_NUM_THREADS": "1"}
    with _running(command, f"http://127.0.0.1:{port}/predict", record, environment) as served:
        yield served


@contextmanager
def _running(command, url, record, environment):
    path = bench.log_path("server")
    log = path.open("wb")
    start = time.perf_counter()
    process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=log, start_new_session=True,
                               env={**os.environ, **environment})
    try:
        answer = _first_answer(process, url, record.read_bytes(), path)
        yield Served(url, process, time.perf_counter() - start, answer)
    finally:
        process.terminate()
        try:
            process.wait(40)
        except subprocess.TimeoutExpired:
            process.kill()
        log.close()
    path.unlink()


def _first_answer(process, url, body, log):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return post(url, body)
        except OSError:
            time.sleep(0.002)
    sys.exit(f"{url} does not answer\n{log.read_text()[-4000:]}")


def post(url, body):
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    return urllib.request.urlopen(request, timeout=30).read().decode()


@dataclass
class Load:
    """What wrk saw, and the server's CPU microseconds per request in all its processes."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


def load(served, record, connections, seconds):
    """wrk with one thread, on the same cores as the server. Every reply must be a 200."""
    _need_wrk()
    script = bench.WORK / "one.lua"
    script.write_text('wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\n'
                      f"wrk.body = [=[{record.read_text()}]=]\n")
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", str(script), served.url]
    before = cpu_seconds(served.process.pid)
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    cpu = cpu_seconds(served.process.pid) - before
    if "Non-2xx" in text or "Socket errors" in text:
        sys.exit(f"not every request was answered\n{text}")
    done = int(re.search(r"(\d+) requests in", text).group(1))
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
    return Load(rate, _percentile(text, "50%"), _percentile(text, "99%"), 1e6 * cpu / done)


def _percentile(text, name):
    value, unit = re.search(rf"(?m)^\s+{name}\s+([\d.]+)(us|ms|s)", text).groups()
    return float(value) * {"us": 1e-3, "ms": 1.0, "s": 1e3}[unit]


def cpu_seconds(pid):
    """User and system time of a process and its children, those that ended included."""
    parents, ticks = {}, {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        parents[int(entry.parent.name)] = int(fields[1])
        ticks[int(entry.parent.name)] = sum(map(int, fields[11:15]))

    def belongs(child):
        while child > 1:
            if child == pid:
                return True
            child = parents.get(child, 0)
        return False

    return sum(count for child, count in ticks.items() if belongs(child)) / TICKS


def _need_wrk():
    if shutil.which("wrk"):
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-qq", "wrk"], check=True, stdout=subprocess.DEVNULL)
    if not shutil.which("wrk"):
        sys.exit("wrk is missing; install it with: sudo apt-get install wrk")
