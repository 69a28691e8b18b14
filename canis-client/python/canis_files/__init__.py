"""Encrypted files (age v1, https://c2sp.org/age) with keys that a CANIS server keeps.

    with canis_files.create(client, "people.csv.age", ["payroll"]) as file:
        file.write(b"name,salary\\n")
    with canis_files.open(client, "people.csv.age") as file:
        print(file.read())

The server sees 16 bytes of each file, its key. Needs the package `cryptography`.
"""

from .files import Reader, Writer, create, open

__all__ = ["Reader", "Writer", "create", "open"]
