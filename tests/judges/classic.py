#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# classic.py - whether the classic buckets of every histogram are exactly those that smx-dump counts:
# each bound is one that the segment has, and its count the sum of the buckets up to it; and whether
# all formats write the bounds in the same way. Usage: classic.py MODULES DUMP TEXT OPENMETRICS
# PROTOBUF, where DUMP is smx-dump's JSON. Prints how many buckets there were.
import json
import sys
from collections import defaultdict

from compare import LABEL, METRIC, escape, messages
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

ADDED = ("app", "app_instance", "le")


def key_of(name, labels):
    return name, frozenset((k, v) for k, v in labels.items() if k not in ADDED and v)


def read(path, parse):
    """The bounds as they are written, with their counts, by series."""
    found = defaultdict(list)
    with open(path, encoding="utf-8", newline="\n") as page:
        for family in parse(page.read()):
            for s in family.samples:
                if s.name.endswith("_bucket"):
                    found[key_of(s.name[:-7], s.labels)].append((s.labels["le"], int(s.value)))
    return found


def read_messages(path):
    found = defaultdict(list)
    with open(path, "rb") as page:
        for family in messages(page.read()):
            for metric in family.metric:
                key = key_of(family.name, {pair.name: pair.value for pair in metric.label})
                for bucket in metric.histogram.bucket:
                    found[key].append((bucket.upper_bound, bucket.cumulative_count))
    return found


def dumped(path):
    with open(path, encoding="utf-8") as page:
        for family in json.load(page)["families"]:
            for series in family["series"] if family["type"] == "histogram" else []:
                bounds = family["bounds"] + [float("inf")]
                name = escape(family["name"], METRIC, "underscores")
                labels = {escape(k, LABEL, "underscores"): v for k, v in series["labels"].items()}
                yield key_of(name, labels), bounds, series["buckets"]


lines, same, sent = read(sys.argv[3], text), read(sys.argv[4], openmetrics), read_messages(sys.argv[5])
assert lines.keys() == same.keys() == sent.keys(), lines.keys() ^ sent.keys()
n = 0
for key, bounds, buckets in dumped(sys.argv[2]):
    written = lines[key]
    assert written == same[key], (key, "text and OpenMetrics differ")
    assert [(float(le), count) for le, count in written] == sent[key], (key, "the messages differ")
    assert written[-1][0] == "+Inf", key
    for le, count in written:
        assert float(le) in bounds, (key, le)
        assert count == sum(buckets[: bounds.index(float(le)) + 1]), (key, le, count)
        n += 1
assert n, "no histogram"
print(n, "buckets")
