"""The parts of a login alone: the picture, the import, and the scripts beside this one."""

import io
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import segno

from benchmarks.figures import Figures, ratio, spread
from benchmarks.machine import ROOT, Redis, on_server_core, say, seconds_left
from benchmarks.render import login_link
from qrlogin import render

SCRIPTS = ("step", "waiting", "imports", "servers", "frameworks", "render", "codes", "limits")
SCRIPT_SECONDS = 60


def pictures(redis: Redis, absent: dict[str, str], *, quick: bool) -> Figures:
    """CPU of one picture of a new text, in milliseconds."""

    def segno_svg(text: str) -> Any:
        segno.make_qr(text).save(out := io.BytesIO(), kind="svg", border=4)
        return out

    drawn: dict[str, Callable[[str], Any]] = {
        "path": lambda text: render.matrix_path(text).path,
        "SVG": render.svg,
        "PNG": render.png,
        "segno's SVG": segno_svg,
    }
    try:
        import qrcode
    except ImportError as error:
        absent["the picture of qrcode"] = str(error)
    else:
        drawn["qrcode.make"] = qrcode.make
    spent: dict[str, list[float]] = {name: [] for name in drawn}
    for _ in range(20 if quick else 100):
        for name, draw in drawn.items():
            text = login_link()
            began = time.process_time_ns()
            draw(text)
            spent[name].append((time.process_time_ns() - began) / 1e6)
    return {name: spread(each) for name, each in spent.items()}


def imports(redis: Redis, absent: dict[str, str], *, quick: bool) -> Figures:
    """CPU of a fresh process that imports something, without Python's own start."""
    commands = {"python": "pass", "qrlogin": "import qrlogin", "segno": "import segno"}
    spent: dict[str, list[float]] = {name: [] for name in commands}
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": ""}
    for attempt in range(6 if quick else 20):
        for name, command in commands.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", command], cwd=ROOT, env=env, check=True)
            if not attempt:  # this one may have to compile
                continue
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            spent[name].append(used * 1e3)
    start = min(spent.pop("python"))
    alone = {name: [max(used - start, 0.1) for used in each] for name, each in spent.items()}
    return {
        **{name: spread(each) for name, each in alone.items()},
        "ratio": ratio(alone["qrlogin"], alone["segno"]),
    }


def scripts(redis: Redis, absent: dict[str, str], *, quick: bool) -> Figures:
    """What the scripts in this folder print, each alone and on the servers' core."""
    printed = {}
    for name in SCRIPTS:
        file = Path(__file__).with_name(f"{name}.py")
        if not file.exists():
            continue
        if quick and name in ("waiting", "servers", "frameworks", "limits"):
            absent[f"benchmarks/{name}.py"] = "left out of a quick run"
            continue
        patience = min(SCRIPT_SECONDS, seconds_left())
        if patience < 5:
            absent[f"benchmarks/{name}.py"] = "the 15 minutes were over"
            continue
        say(f"  benchmarks/{name}.py")
        env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tools'}"}
        command = on_server_core(f"{sys.executable} -m benchmarks.{name}")
        try:
            done = subprocess.run(
                command.split(),
                cwd=ROOT,
                env=env,
                capture_output=True,
                text=True,
                timeout=patience,
            )
        except subprocess.TimeoutExpired:
            absent[f"benchmarks/{name}.py"] = f"took more than {patience:.0f} s"
            continue
        if done.returncode:
            said = (done.stderr or done.stdout).strip().splitlines() or ["it failed"]
            absent[f"benchmarks/{name}.py"] = said[-1][:200]
        else:
            printed[name] = done.stdout.rstrip()
    return printed
