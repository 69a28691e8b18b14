"""The program `canis` and the files that it is given."""

import subprocess
import sys


def canis(*args):
    done = subprocess.run(["canis", *args], capture_output=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        sys.exit(f"canis {' '.join(args)}: {done.stderr.decode()}")
    return done.stdout


def write(name, data):
    with open(name, "wb") as file:
        file.write(data)
    return name
