"""Every query of the dashboard and of the alarms parses, and asks for metrics and labels that exist.

Arguments: the dashboard, the rules, and a JSON file that maps each name that can be queried to its labels.
"""

import json
import re
import sys

import promql_parser
import yaml

dashboard, rules, names = sys.argv[1:]
with open(names) as file:
    known = json.load(file)
with open(dashboard) as file:
    queries = [target["expr"] for panel in json.load(file)["panels"] for target in panel["targets"]]
with open(rules) as file:
    queries += [rule["expr"] for group in yaml.safe_load(file)["groups"] for rule in group["rules"]]

# What Prometheus itself adds when it reads.
given = {"job", "instance", "le"}
used = set()
for query in queries:
    plain = query.replace("$__rate_interval", "5m").replace("$job", ".*")
    promql_parser.parse(plain)
    for name, selector in re.findall(r"\b((?:canis|process)_\w+)(?:\{([^}]*)\})?", plain):
        assert name in known, f"{name} in {query}"
        labels = set(re.findall(r"(\w+)\s*[=!]~?", selector))
        assert labels <= given | set(known[name]), f"{labels} in {query}"
        used.add(name)
    grouped = {word.strip() for words in re.findall(r"by \(([^)]*)\)", plain) for word in words.split(",")}
    of_query = {label for name in re.findall(r"\b(?:canis|process)_\w+", plain) for label in known[name]}
    assert grouped <= given | of_query, f"{grouped} in {query}"
print(len(queries), len(used))
