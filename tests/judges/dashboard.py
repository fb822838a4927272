#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Judge Grafana dashboards: by dashboard.schema.json, and by what a schema cannot say.

dashboard.py check FILE...             one line for each mistake; exit status 1 if there is any
dashboard.py expressions FILE [NAME=VALUE...]
                                       what the panels ask Prometheus for, a line each: title, tab, the
                                       expression with the variables replaced
dashboard.py variables FILE [NAME=VALUE...]
                                       the same of what the variables are chosen from: name, tab, the
                                       selector, tab, the label, tab, the regular expression
"""
import json
import os
import re
import sys

import jsonschema

BUILT_IN = {"__rate_interval", "__interval", "__range", "__all"}
REFERENCE = re.compile(r"\$(?:\{(\w+)(?::raw)?\}|(\w+))")
NAMED_SERIES = re.compile(r"\w+(\{[^{}]*\})?")


def panels_of(board):
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def expressions_of(board):
    for panel in panels_of(board):
        for target in panel["targets"]:
            yield panel["title"], target["expr"]
    for annotation in board["annotations"]["list"]:
        yield "annotation " + annotation["name"], annotation["target"]["expr"]


def repeated(values):
    seen = set()
    return [value for value in values if value in seen or seen.add(value)]


def overlapping(a, b):
    a, b = a["gridPos"], b["gridPos"]
    return (a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"] and
            a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"])


def undefined(board):
    """References to variables that are not there, or come after the one that needs them."""
    known = set(BUILT_IN)
    for variable in board["templating"]["list"]:
        for match in REFERENCE.finditer(json.dumps(variable["query"])):
            if (match[1] or match[2]) not in known:
                yield match[0]
        known.add(variable["name"])
    for match in REFERENCE.finditer(json.dumps([board["panels"], board["annotations"]])):
        if (match[1] or match[2]) not in known:
            yield match[0]


def mistakes_of_panel(panel):
    names = [target["refId"] for target in panel["targets"]]
    if repeated(names):
        yield "two queries have one refId"
    limits = [step["value"] for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]]
    if limits[0] is not None or None in limits[1:] or limits[1:] != sorted(set(limits[1:])):
        yield "the thresholds do not ascend from null"
    for transformation in panel.get("transformations", []):
        # Rows are merged where what all have is equal, and nothing else differs: not the metric's name.
        if transformation["id"] == "merge" and len(names) > 1:
            for target in panel["targets"]:
                if NAMED_SERIES.fullmatch(target["expr"]):
                    yield f"the metric's name keeps query {target['refId']} in rows of its own"
        for column in transformation["options"].get("renameByName", {}):
            if column not in [f"Value #{name}" for name in names if len(names) > 1] + ["Value"]:
                yield f"there is no column {column}"


def mistakes(board, schema):
    validator = jsonschema.Draft202012Validator(schema)
    for error in validator.iter_errors(board):
        yield f"{error.json_path}: {error.message}"
        return
    for number in repeated(panel["id"] for panel in board["panels"]):
        yield f"two panels have the id {number}"
    for name in repeated(variable["name"] for variable in board["templating"]["list"]):
        yield f"two variables are named {name}"
    for i, panel in enumerate(board["panels"]):
        if panel["gridPos"]["x"] + panel["gridPos"]["w"] > 24:
            yield f"{panel['title']}: reaches over the right edge"
        for other in board["panels"][:i]:
            if overlapping(panel, other):
                yield f"{panel['title']}: lies on {other['title']}"
    for panel in panels_of(board):
        yield from (f"{panel['title']}: {mistake}" for mistake in mistakes_of_panel(panel))
    used = {match[1] or match[2] for match in REFERENCE.finditer(json.dumps(board))}
    for variable in board["templating"]["list"]:
        if variable["name"] not in used:
            yield f"nothing uses ${variable['name']}"
    for reference in sorted(set(undefined(board))):
        yield f"{reference} is not there"


def check(files):
    with open(os.path.join(os.path.dirname(__file__), "dashboard.schema.json"), encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft202012Validator.check_schema(schema)
    found = 0
    for name in files:
        with open(name, encoding="utf-8") as file:
            for mistake in mistakes(json.load(file), schema):
                print(f"{os.path.basename(name)}: {mistake}")
                found += 1
    return found > 0


def replaced(text, values):
    return REFERENCE.sub(lambda match: values[match[1] or match[2]], text)


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    if sys.argv[1] == "check":
        sys.exit(check(sys.argv[2:]))
    with open(sys.argv[2], encoding="utf-8") as file:
        board = json.load(file)
    values = dict(argument.split("=", 1) for argument in sys.argv[3:])
    if sys.argv[1] == "expressions":
        for title, expression in expressions_of(board):
            print(f"{title}\t{replaced(expression, values)}".replace("\n", " "))
        return
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            selector, label = re.match(r"label_values\((.+), (\w+)\)$", variable["definition"]).groups()
            print(variable["name"], replaced(selector, values), label, variable["regex"].strip("/"), sep="\t")


main()
