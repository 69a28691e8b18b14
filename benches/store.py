"""Measures what a store costs: in `canis.dat` and in PostgreSQL, with one server and two, with few keys and many. Run by
`scripts/bench store`, which builds what it needs.

Time of the processor is the server's own, from /proc; the client, which is slower than the server, does not count in it.
Keys are made by batches that are one transaction each, and brought into the database by `canis store migrate`.
"""

import argparse
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "canis-client" / "python"))
from canis import Client  # noqa: E402

TOGETHER = 500
TICKS = os.sysconf("SC_CLK_TCK")


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--built", type=Path, required=True)
    parser.add_argument("--postgres", type=Path, help="the directory of initdb and postgres; without it nothing is measured there")
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--versions", type=int, default=10_000)
    parser.add_argument("--operations", type=int, default=20_000)
    parser.add_argument("--changes", type=int, default=1000)
    parser.add_argument("--disk", default=tempfile.gettempdir())
    return parser.parse_args()


class Database:
    """A PostgreSQL with its own settings, which syncs as it does for everybody."""

    def __init__(self, programs, folder):
        self.folder = folder / "postgres"
        self.folder.mkdir(mode=0o700)
        self.owner = []
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            folder.chmod(0o711)
            self.owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        data = self.folder / "data"
        self.run(programs / "initdb", "-U", "canis", "-A", "trust", "-E", "UTF8", "-D", data)
        serve = [programs / "postgres", "-D", data, "-k", self.folder, "-c", "listen_addresses="]
        self.server = subprocess.Popen([*self.owner, *serve], cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.programs, self.made = programs, 0
        self.sql("SELECT 1", patience=60)

    def run(self, *words):
        subprocess.run([*self.owner, *map(str, words)], check=True, cwd="/", stdout=subprocess.DEVNULL)

    def sql(self, text, patience=0):
        end = time.monotonic() + patience
        ask = [self.programs / "psql", "-h", self.folder, "-U", "canis", "-d", "postgres", "-qc", text]
        while subprocess.run([*self.owner, *map(str, ask)], cwd="/", capture_output=True, check=False).returncode:
            assert time.monotonic() < end, f"the database does not do {text}"
            time.sleep(0.1)

    def fresh(self):
        """The URL of an empty database."""
        self.made += 1
        self.sql(f"CREATE DATABASE d{self.made}")
        return f"postgres://canis@/d{self.made}?host={self.folder}"

    def stop(self):
        self.server.terminate()
        self.server.wait()


class Site:
    """A data directory, and the programs on it."""

    def __init__(self, built, folder, *init):
        self.built, self.data = built, folder / "data"
        folder.mkdir()
        root = ["--root", "keyfile", "--keyfile", folder / "root.key"]
        self.token = json.loads(self.canis("init", "--json", "--data", self.data, *root, *init))["token"]

    def beside(self, folder, url=None):
        """Another host of the same store, or of the store at `url`."""
        other = object.__new__(Site)
        other.built, other.data, other.token = self.built, folder / "data", self.token
        other.data.mkdir(parents=True, mode=0o700)
        for name in ("canis.toml", "ca.pem", "server.pem", "server.key"):
            shutil.copy(self.data / name, other.data / name)
        if url is not None:
            with (other.data / "canis.toml").open("a") as config:
                config.write(f'\n[store]\nurl = "{url}"\n')
        return other

    def canis(self, *words):
        done = subprocess.run([self.built / "canis", *map(str, words)], check=True, stdout=subprocess.PIPE, text=True)
        return done.stdout


class Server:
    """A running server; `started` is how many seconds it took until it answered with a key."""

    def __init__(self, site):
        begun = time.monotonic()
        serve = [site.built / "canis-server", "--data", site.data, "--listen", "127.0.0.1:0", "--log", "warn"]
        self.process = subprocess.Popen(serve, stdout=subprocess.PIPE, text=True)
        address = self.process.stdout.readline().removeprefix("listening on ").strip()
        assert self.process.stdout.readline().strip() == "unsealed"
        self.client = Client(address, ca_file=str(site.data / "ca.pem"), token=site.token)
        self.client.status()
        self.started = time.monotonic() - begun
        self.memory = self.resident()

    def resident(self):
        """MiB of memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def busy(self):
        """Seconds of processors that it has had."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def stop(self):
        self.client.close()
        self.process.terminate()
        assert self.process.wait() == 0


def name(number):
    return f"bench/{number:08}"


def fill(client, first, last):
    for at in range(first, last, TOGETHER):
        numbers = range(at, min(at + TOGETHER, last))
        made = [{"op": "key.create", "name": name(number), "kind": "aes256-gcm"} for number in numbers]
        for answer in client.batch(*made, atomic=True):
            if isinstance(answer, Exception):
                raise answer


def timed(work, count):
    """Microseconds of each of `count` turns: their median and the 99th of a hundred."""
    took = []
    for turn in range(count):
        begun = time.perf_counter()
        work(turn)
        took.append((time.perf_counter() - begun) * 1e6)
    return statistics.median(took), statistics.quantiles(took, n=100)[98]


def row(what, *columns):
    print("| " + " | ".join([what, *columns]) + " |", flush=True)


def heading(text, *columns):
    print(f"\n{text}\n", flush=True)
    row(*columns)
    row(*["---"] * len(columns))


def micros(pair):
    return f"{pair[0]:.0f} / {pair[1]:.0f}"


def cached(servers, operations):
    """Microseconds of processor that servers take for an encryption with a key in memory, each asked in turn."""
    for server in servers:
        server.client.encrypt(name(0), b"x" * 32)
    before = sum(server.busy() for server in servers)
    for turn in range(operations):
        servers[turn % len(servers)].client.encrypt(name(0), b"x" * 32)
    return (sum(server.busy() for server in servers) - before) / operations * 1e6


def sharing(site, folder, operations):
    one = Server(site)
    alone = cached([one], operations)
    two = Server(site.beside(folder / "second"))
    both = cached([one, two], operations)
    heading("Encryption with a key in memory, PostgreSQL", "servers", "processor per operation, µs")
    row("1", f"{alone:.1f}")
    row("2", f"{both:.1f}")
    one.stop()
    two.stop()


def changes(places, count):
    heading("Changes, one after the other, median / 99th of a hundred, µs", "store", "create", "rotate")
    for what, site in places:
        server = Server(site)
        create = timed(lambda turn: server.client.create_key(f"made/{turn}", "aes256-gcm"), count)
        rotate = timed(lambda turn: server.client.rotate_key("made/0"), count)
        row(what, micros(create), micros(rotate))
        server.stop()


def sizes(first, most):
    """From `first` on ten times as many each, up to `most`."""
    while first < most:
        yield first
        first *= 10
    yield most


def many(built, folder, database, args):
    """Start-up, memory and look-up, as keys become more."""
    site = Site(built, folder / "many")
    heading(
        "With many keys", "store, keys", "serving after, s", "memory before use, MiB", "cold read, µs", "warm read, µs",
        "by the end, MiB",
    )  # fmt: skip
    filled = 0
    for size in sizes(100, args.keys):
        server = Server(site)
        fill(server.client, filled, size)
        server.stop()
        filled = size
        look(f"SQLite, {size}", site, size)
    if database is not None:
        url = database.fresh()
        site.canis("store", "migrate", "--from", site.data, "--to", url)
        look(f"PostgreSQL, {filled}", site.beside(folder / "moved", url), filled)


def look(what, site, size):
    server = Server(site)
    drawn = random.Random(1).sample(range(size), min(size, 1000))
    server.client.status()
    cold = timed(lambda turn: server.client.encrypt(name(drawn[turn]), b"x"), len(drawn))
    warm = timed(lambda turn: server.client.encrypt(name(drawn[turn]), b"x"), len(drawn))
    row(what, f"{server.started:.2f}", f"{server.memory:.0f}", micros(cold), micros(warm), f"{server.resident():.0f}")
    server.stop()


def versions(built, folder, most):
    """One key with more and more versions."""
    site = Site(built, folder / "versions")
    heading("One key with many versions, SQLite, µs", "versions", "encrypt", "decrypt by the first", "rotate", "first use after a start")
    server = Server(site)
    server.client.create_key("old", "aes256-gcm")
    first = server.client.encrypt("old", b"x")
    done = 1
    for size in sizes(10, most):
        while done < size:
            server.client.rotate_key("old")
            done += 1
        server.stop()
        server = Server(site)
        cold = timed(lambda _: server.client.encrypt("old", b"x"), 2)[1]
        encrypt = timed(lambda _: server.client.encrypt("old", b"x"), 500)
        decrypt = timed(lambda _: server.client.decrypt("old", first), 500)
        rotate = timed(lambda _: server.client.rotate_key("old"), 10)
        done += 10
        row(str(size), micros(encrypt), micros(decrypt), f"{rotate[0]:.0f}", f"{cold:.0f}")
    server.stop()


def main():
    args = arguments()
    with tempfile.TemporaryDirectory(dir=args.disk) as temporary:
        folder = Path(temporary)
        database = None if args.postgres is None else Database(args.postgres, folder)
        places = [("SQLite", Site(args.built, folder / "file"))]
        if database is not None:
            places.append(("PostgreSQL", Site(args.built, folder / "shared", "--store", database.fresh())))
        changes(places, args.changes)
        if database is not None:
            server = Server(places[1][1])
            fill(server.client, 0, 1)
            server.stop()
            sharing(places[1][1], folder, args.operations)
        many(args.built, folder, database, args)
        versions(args.built, folder, args.versions)
        if database is not None:
            database.stop()


if __name__ == "__main__":
    main()
