"""A pipeline over personal data. What collects it writes a table of people that is encrypted before it reaches the disk; who
evaluates it reads it back; a third role, which may only list keys, is refused. None of the three holds a key; what each of
them may do is decided where the keys are, and the audit log there says what each of them did.

CANIS_ADDR, CANIS_CACERT and CANIS_TOKEN name a server and its administrator, who makes the key and a token for each role.
"""

import csv
import io
import json
import os
import sys
import tempfile
from pathlib import Path

import canis_files
from canis import CanisError, Client

KEY = "example/people"
PEOPLE = [("Ada", "ada@example.org", 1815), ("Grace", "grace@example.org", 1906), ("Alan", "alan@example.org", 1912)]
ROLES = {"collector": ["encrypt"], "analyst": ["decrypt"], "intern": ["list"]}


def role(admin: Client, name: str, known: dict[str, str]) -> Client:
    """A client with a token of its own."""
    made = admin.call("credential.create", name=name, capabilities=ROLES[name])
    known[made["credential"]["id"]] = name
    return Client(os.environ["CANIS_ADDR"], ca_file=os.environ["CANIS_CACERT"], token=made["token"])


def collect(client: Client, path: Path) -> None:
    with canis_files.create(client, path, [KEY]) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        rows = csv.writer(text)
        rows.writerow(("name", "email", "born"))
        rows.writerows(PEOPLE)
        text.detach()


def evaluate(client: Client, path: Path) -> float:
    with canis_files.open(client, path) as file:
        rows = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8", newline=""))
        born = [int(row["born"]) for row in rows]
    return sum(born) / len(born)


def audited(admin: Client, known: dict[str, str]) -> list[str]:
    """What the audit log says that the roles did with the key."""
    page = admin.call("audit.search", on=f"kms/keys/{KEY}", last=True)
    lines = [json.loads(line) for line in page["lines"]]
    return [f"{known[line['who']]}: {line['op']}, {line['result']}" for line in lines if line["who"] in known]


def main() -> None:
    known: dict[str, str] = {}
    with Client.from_environment() as admin, tempfile.TemporaryDirectory() as folder:
        admin.create_key(KEY, "aes256-gcm")
        path = Path(folder) / "people.csv.age"
        with role(admin, "collector", known) as collector:
            collect(collector, path)
        assert b"example.org" not in path.read_bytes()
        print(f"collector: wrote {len(PEOPLE)} people, encrypted")
        with role(admin, "analyst", known) as analyst:
            print(f"analyst: born in {evaluate(analyst, path):.0f} on average")
        with role(admin, "intern", known) as intern:
            try:
                evaluate(intern, path)
            except CanisError as refused:
                print(f"intern: {refused.name}")
            else:
                sys.exit("the intern read personal data")
        print("the audit log says:", *audited(admin, known), sep="\n  ")


if __name__ == "__main__":
    main()
