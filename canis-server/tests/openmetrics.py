"""Reads what /metrics says, strictly, by the parsers of Prometheus' own Python client; writes its samples as JSON.

The first argument is the form, `open` or `plain`; the text comes by stdin.
"""

import json
import sys

from prometheus_client.openmetrics import parser as open_parser
from prometheus_client import parser as plain_parser

parse = {"open": open_parser, "plain": plain_parser}[sys.argv[1]].text_string_to_metric_families
families = []
for family in parse(sys.stdin.read()):
    samples = [{"name": s.name, "labels": s.labels, "value": s.value} for s in family.samples]
    families.append({"name": family.name, "kind": family.type, "help": family.documentation, "samples": samples})
json.dump(families, sys.stdout)
