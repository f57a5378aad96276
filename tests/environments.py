"""Runs commands at the root of the checkout, with other packages in front of those of .venv."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(command: list[str], **env: str) -> str:
    """What the command printed. The test fails if the command does."""
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout
