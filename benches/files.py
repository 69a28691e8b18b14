"""Measures `canis file` against other programs that encrypt files. Run by `scripts/bench file`, which builds what it needs.

The large file lies in memory, so that no disk is measured; programs take turns, and the median of the rounds counts. The small
ones lie on a disk, where `canis file encrypt -r` is compared with a program that writes the same bytes with one fsync for each.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--built", type=Path, required=True)
    parser.add_argument("--bytes", type=int, default=1 << 30)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", default="/dev/shm")
    parser.add_argument("--disk", default=tempfile.gettempdir())
    return parser.parse_args()


class Site:
    """A server with one key, and the environment that reaches it."""

    def __init__(self, built, folder):
        self.canis, data = built / "canis", folder / "data"
        init = [self.canis, "init", "--json", "--data", data, "--root", "keyfile", "--keyfile", folder / "root.key"]
        token = json.loads(subprocess.run(init, check=True, capture_output=True).stdout)["token"]
        serve = [built / "canis-server", "--data", data, "--listen", "127.0.0.1:0"]
        self.server = subprocess.Popen(serve, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        address = self.server.stdout.readline().removeprefix("listening on ").strip()
        assert self.server.stdout.readline().strip() == "unsealed"
        self.env = os.environ | {"CANIS_ADDR": address, "CANIS_CACERT": str(data / "ca.pem"), "CANIS_TOKEN": token}
        self.run("key", "create", "files", "--type", "aes256-gcm")
        self.run("key", "create", "age", "--type", "x25519")
        self.age = self.run("file", "recipient", "--plain", "age").strip()

    def run(self, *args):
        return subprocess.run([self.canis, *args], check=True, capture_output=True, text=True, env=self.env).stdout

    def timed(self, command):
        begun = time.perf_counter()
        subprocess.run(command, check=True, env=self.env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return time.perf_counter() - begun


def large(site, folder, args):
    plain, sealed, back, other = (folder / name for name in ("plain", "sealed", "back", "other"))
    with plain.open("wb") as file:
        for _ in range(args.bytes >> 20):
            file.write(os.urandom(1 << 20))
    identity, phrase = folder / "identity", folder / "phrase"
    subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True)
    own = identity.read_text().split("# public key: ")[1].split()[0]
    phrase.write_text("correct horse battery staple")
    canis, home = site.canis, folder / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", home, "--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase-file", phrase]
    encrypt = [canis, "file", "encrypt", "--key", "files", plain, sealed]
    rows = {
        "cat": ["sh", "-c", 'cat "$0" >"$1"', plain, other],
        "canis encrypt": encrypt,
        "canis encrypt, one core": ["taskset", "-c", "0", *encrypt],
        "canis decrypt": [canis, "file", "decrypt", sealed, back],
        "age encrypt": ["age", "-r", own, "-o", other, plain],
        "age decrypt": ["age", "-d", "-i", identity, "-o", back, other],
        "openssl enc -aes-256-ctr (no integrity)":
            ["openssl", "enc", "-aes-256-ctr", "-pbkdf2", "-pass", f"file:{phrase}", "-in", plain, "-out", other],
        "gpg --symmetric": [*gpg, "--cipher-algo", "AES256", "-z", "0", "-o", other, "--symmetric", plain],
    }
    # What decrypts comes right after what encrypts, so that its input is there.
    times = {name: [] for name in rows}
    provider = []
    for _ in range(args.rounds):
        for name, command in rows.items():
            times[name].append(site.timed(command))
        speed = subprocess.run([args.built / "examples/chacha20_poly1305"], check=True, capture_output=True, text=True)
        provider.append(float(speed.stdout))
    mebibytes = args.bytes / (1 << 20)
    print(f"one file of {mebibytes:.0f} MiB, MiB/s, median of {args.rounds}\n\n| program | MiB/s |\n|---|--:|")
    speeds = {name: mebibytes / statistics.median(seconds) for name, seconds in times.items()}
    speeds["ChaCha20-Poly1305 of the provider, one thread"] = statistics.median(provider)
    for name, speed in speeds.items():
        print(f"| {name} | {speed:,.0f} |")
    return speeds


def small(site, folder, args):
    plain, sealed, loose = folder / "small", folder / "small.age", folder / "loose"
    plain.mkdir()
    for number in range(args.files):
        place = plain / f"{number // 1000}"
        place.mkdir(exist_ok=True)
        (place / f"{number}").write_bytes(os.urandom(4096))
    seconds = site.timed([site.canis, "file", "encrypt", "-r", "--key", "files", plain, sealed])
    loose.mkdir()
    count = max(1, args.files // 20)
    begun = time.perf_counter()
    for number in range(count):
        with (loose / f"{number}.new").open("wb") as file:
            file.write(bytes(4400))
            os.fsync(file.fileno())
        os.rename(loose / f"{number}.new", loose / f"{number}")
    one_by_one = time.perf_counter() - begun
    rates = args.files / seconds, count / one_by_one
    print(f"\n{args.files} files of 4 KiB, files/s\n\n| program | files/s |\n|---|--:|")
    print(f"| canis file encrypt -r | {rates[0]:,.0f} |\n| one fsync for each, nothing encrypted | {rates[1]:,.0f} |")
    return rates


def goals(speeds, rates):
    one, both = speeds["canis encrypt, one core"], speeds["canis encrypt"]
    provider, age = speeds["ChaCha20-Poly1305 of the provider, one thread"], speeds["age encrypt"]
    rows = [
        ("one core, to the provider", one / provider, 0.8),
        ("all cores, to age", both / age, 2),
        ("small files, to one fsync for each", rates[0] / rates[1], 3),
    ]
    print("\n| goal | measured | at least | |\n|---|--:|--:|---|")
    for name, measured, least in rows:
        print(f"| {name} | {measured:.2f} | {least} | {'met' if measured >= least else '**missed**'} |")


def main():
    args = arguments()
    memory = Path(tempfile.mkdtemp(prefix="canis-bench-", dir=args.memory))
    disk = Path(tempfile.mkdtemp(prefix="canis-bench-", dir=args.disk))
    site = None
    try:
        site = Site(args.built, memory)
        goals(large(site, memory, args), small(site, disk, args))
    finally:
        if site is not None:
            site.server.terminate()
            site.server.wait()
        shutil.rmtree(memory)
        shutil.rmtree(disk)


if __name__ == "__main__":
    main()
