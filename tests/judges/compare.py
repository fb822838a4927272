#!/usr/bin/python3
# SPDX-License-Identifier: MIT
#
# compare.py - whether a scrape says the same in every format: each is read by somebody else's
# parser, prometheus_client's for the text formats, protobuf's for the messages, and the samples are
# compared one by one. Usage: compare.py MODULES SCHEME TEXT OPENMETRICS PROTOBUF RAW, where MODULES
# is the directory with protoc's metrics_pb2.py, SCHEME how names are escaped, and RAW the messages
# with names as they are, which have to become the others by that scheme. Prints how many samples
# there were; exit status 0 if all agree. What the agent says of itself moves between scrapes and is
# left out.
import math
import re
import struct
import sys

sys.path.insert(0, sys.argv[1])
import metrics_pb2  # noqa: E402
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text

OWN = ("smx_agent_", "smx_segment_", "process_")


STRING = r'"((?:[^"\\\n]|\\.)*)"'
METRIC, LABEL = "[a-zA-Z_:][a-zA-Z0-9_:]*", "[a-zA-Z_][a-zA-Z0-9_]*"


def escape(name, alphabet, scheme):
    """A name by the rules of Prometheus' escaping_schemes.md."""
    if scheme == "allow-utf-8" or re.fullmatch(alphabet, name):
        return name
    out = "U__" if scheme == "values" else ""
    for i, c in enumerate(name):
        if re.fullmatch(alphabet, "_" + c if i else c) and (c != "_" or scheme == "underscores"):
            out += c
        elif scheme == "underscores":
            out += "_"
        elif scheme == "dots":
            out += "_dot_" if c == "." else "__"
        else:
            out += "__" if c == "_" else "_%x_" % ord(c)
    return out


def hide(quoted, alphabet):
    """A name that is in quotes, for a parser that knows none: readable again by show()."""
    name = re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], quoted)
    assert not re.fullmatch(alphabet, name), "needlessly in quotes: " + name
    return mask(name)


def mask(name):
    """Colons, too: a stateset's name is also that of a label."""
    return re.sub("[^a-zA-Y_0-9]|^[0-9]", lambda m: "Z%xZ" % ord(m[0]), name)


def show(name):
    return re.sub("Z([0-9a-f]+)Z", lambda m: chr(int(m[1], 16)), name)


def without_quotes(line):
    """A line whose names are not in quotes any more."""
    header = re.match("(# [A-Z]+ )(?:" + STRING + "|(" + METRIC + "))(.*)", line, re.S)
    if header:
        name = hide(header[2], METRIC) if header[2] is not None else mask(header[3])
        return header[1] + name + header[4]
    begin = re.match("(?:{" + STRING + ",|(" + METRIC + "){)", line)
    if line.startswith("#") or not begin:
        return line
    out = (hide(begin[1], METRIC) if begin[1] is not None else mask(begin[2])) + "{"
    at, label = begin.end(), re.compile("(?:" + STRING + "|(" + LABEL + "))(=" + STRING + "[,}])")
    while line[at] != " ":
        found = label.match(line, at)
        name = hide(found[1], LABEL) if found[1] is not None else found[2]
        out += name + found[3]
        at = found.end()
    return out + line[at:]


def bits(value):
    """NaN equals itself, 0.0 is not -0.0."""
    return "NaN" if math.isnan(value) else struct.pack(">d", value)


def put(samples, name, labels, value):
    if name.startswith(OWN):
        return
    if "le" in labels:
        labels = dict(labels, le=float(labels["le"]))
    # prometheus_client's parser of the text format appends it to counters that lack it.
    key = name.removesuffix("_total"), tuple(sorted(labels.items()))
    assert key not in samples, "twice: %s" % (key,)
    samples[key] = bits(value)


def read_text(path, parse):
    samples = {}
    with open(path, encoding="utf-8", newline="\n") as page:
        lines = [without_quotes(line) for line in page.read().split("\n")]
    for family in parse("\n".join(lines)):
        for sample in family.samples:
            labels = {show(k): v for k, v in sample.labels.items()}
            put(samples, show(sample.name), labels, sample.value)
    return samples


def messages(data):
    at = 0
    while at < len(data):
        length = shift = 0
        while True:
            byte = data[at]
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        family = metrics_pb2.MetricFamily()
        assert family.ParseFromString(data[at : at + length]) == length
        assert not family.UnknownFields() or len(family.UnknownFields()) == 0
        yield family
        at += length


def native_buckets(h):
    """The counts of the native buckets by index, from spans and deltas."""
    counts, index, count = {}, 0, 0
    deltas = iter(h.positive_delta)
    for span in h.positive_span:
        index += span.offset
        for _ in range(span.length):
            count += next(deltas)
            counts[index] = count
            index += 1
    assert next(deltas, None) is None, "more deltas than buckets"
    return counts


def check_native(name, h):
    """Native and classic buckets tell of the same observations."""
    base = 2.0 ** (2.0 ** -h.schema)
    counts = native_buckets(h)
    assert h.zero_threshold > 0, name
    assert h.zero_count + sum(counts.values()) == h.sample_count, name
    for bucket in h.bucket:
        if math.isinf(bucket.upper_bound):
            continue
        below = h.zero_count + sum(
            n for i, n in counts.items() if i * math.log2(base) <= math.log2(bucket.upper_bound) + 1e-9
        )
        assert below == bucket.cumulative_count, (name, bucket.upper_bound)


def put_histogram(samples, name, labels, h):
    for bucket in h.bucket:
        put(samples, name + "_bucket", dict(labels, le=bucket.upper_bound), bucket.cumulative_count)
    put(samples, name + "_sum", labels, h.sample_sum)
    put(samples, name + "_count", labels, h.sample_count)
    if h.HasField("schema"):
        check_native(name, h)


def read_protobuf(path, scheme):
    samples = {}
    names = set()
    with open(path, "rb") as page:
        for family in messages(page.read()):
            assert family.name not in names, "twice: " + family.name
            names.add(family.name)
            assert family.metric, "empty: " + family.name
            # A stateset's name is a label's, too.
            stateset = any(pair.name == family.name for pair in family.metric[0].label)
            name = escape(family.name, LABEL if stateset else METRIC, scheme)
            for metric in family.metric:
                labels = {escape(pair.name, LABEL, scheme): pair.value for pair in metric.label}
                assert len(labels) == len(metric.label), family.name
                if metric.HasField("histogram"):
                    put_histogram(samples, name, labels, metric.histogram)
                elif metric.HasField("counter"):
                    put(samples, name, labels, metric.counter.value)
                else:
                    put(samples, name, labels, metric.gauge.value)
    return samples


def differ(a, b, what):
    for key in sorted(a.keys() | b.keys(), key=repr):
        if a.get(key) != b.get(key):
            print("%s: %s: %s, %s" % (what, key, a.get(key), b.get(key)))
    return a != b


if __name__ == "__main__":
    scheme = sys.argv[2]
    expected = read_text(sys.argv[3], text)
    wrong = differ(expected, read_text(sys.argv[4], openmetrics), "text, openmetrics")
    wrong |= differ(expected, read_protobuf(sys.argv[5], "allow-utf-8"), "text, protobuf")
    wrong |= differ(expected, read_protobuf(sys.argv[6], scheme), "text, protobuf escaped here")
    print(len(expected), "samples,", scheme)
    sys.exit(wrong or not expected)
