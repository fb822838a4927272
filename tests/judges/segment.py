#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Read a segment by smx-segment(5) alone, and compare with what smx-dump says of it.

segment.py MANUAL-PAGE SEGMENT DUMP    one line for each difference; exit status 1 if there is any
segment.py MANUAL-PAGE SEGMENT         print what was read, as JSON in the form of smx-dump's

Where a field lies, how long it is and what it is called comes from the tables of the page itself; what it
means was written down from its text. Nothing here was taken from libshm: what cannot be known from the page
is a fault of the page. DUMP is the output of `smx-dump --json`, taken while nobody writes.
"""
import fcntl
import json
import math
import os
import re
import struct
import sys
import time

REASONS = "series_cap space conflict invalid negative slots gauge damaged".split()
TYPES = [None, "counter", "gauge", "histogram", "info", "stateset"]
MODES = ["sum", "min", "max", "avg", "last", "each"]
STATES = ["silent", "ok", "degraded", "failed"]
PRIME = 0xA0761D6478BD642F
# What smx-dump makes of the content, or has from elsewhere.
DUMPS_OWN = {"schema", "path", "owner", "mode", "created", "reserved", "families", "series", "errors",
             "unsound", "avg", "p50", "p90", "p99", "heartbeat_age", "age", "message"}
WORD = (1 << 64) - 1


class Table:
    """A table of the page: fields by name, with offset, size and sign."""

    def __init__(self, rows):
        self.fields = {}
        self.end = 0  # where what has no size begins
        for offset, size, name, meaning in rows:
            if not size.isdigit() or not offset.isdigit():
                continue
            self.end = int(offset) + int(size)
            if name:
                signed = bool(re.search(r"\bi(8|16|32|64)\b", meaning))
                self.fields[name] = (int(offset), int(size), signed)

    def read(self, data, byteorder):
        """The fields of a structure: numbers, or bytes where one is no number."""
        found = {}
        for name, (offset, size, signed) in self.fields.items():
            raw = data[offset:offset + size]
            found[name] = (int.from_bytes(raw, byteorder, signed=signed)
                           if size in (1, 2, 4, 8) else raw)
        return found


def tables_of(page):
    """The tables of a page, in its order, by the section or subsection that they stand in."""
    found, title, rows = {}, "", None
    for line in page.split("\n"):
        if match := re.match(r"\.S[hs] (.*)", line):
            title = match[1]
        elif line.startswith(".Bl -column"):
            rows = []
        elif line == ".El" and rows is not None:
            found.setdefault(title, []).append(Table(rows))
            rows = None
        elif rows is not None and line.startswith(".It "):
            cells = [cell.strip().replace(r"\&", "") for cell in line[4:].split(" Ta ")]
            if len(cells) >= 4:
                rows.append((cells[0], cells[1], cells[2], cells[-1]))
    return found


def fold(a, b):
    product = a * b
    return (product & WORD) ^ (product >> 64)


class Segment:
    def __init__(self, page, path):
        self.tables = tables_of(page)
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
        start = os.pread(self.fd, 4096, 0)
        byte_order = self.tables["HEADER"][0].fields["byte_order"][0]
        self.order = "little" if start[byte_order] == 4 else "big"
        self.header = self.read("HEADER", 0)
        assert self.header["magic"] == int.from_bytes(b"SMXSEG\r\n", self.order)
        assert self.header["byte_order"] == 0x01020304 and self.header["major"] == 1
        self.live = self.find_live()
        self.records = self.follow_chains()

    # Bytes.

    def pread(self, offset, size):
        data = os.pread(self.fd, size, offset)
        assert len(data) == size, f"truncated at {offset}"
        return data

    def read(self, table, offset, number=0):
        table = self.tables[table][number]
        return table.read(self.pread(offset, table.end), self.order)

    def u64s(self, offset, n):
        return struct.unpack(("<" if self.order == "little" else ">") + f"{n}Q",
                             self.pread(offset, 8 * n))

    def doubles(self, offset, n):
        return list(struct.unpack(("<" if self.order == "little" else ">") + f"{n}d",
                                  self.pread(offset, 8 * n)))

    def double(self, bits):
        return struct.unpack("d", struct.pack("Q", bits))[0]

    def counted(self, data, at):
        length = int.from_bytes(data[at:at + 2], self.order)
        return data[at + 2:at + 2 + length].decode(), at + 2 + length

    # Processes.

    def is_locked(self, byte):
        request = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, byte, 1, 0)
        answer = struct.unpack("hhqqi4x", fcntl.fcntl(self.fd, fcntl.F_GETLK, request))
        return answer[0] == fcntl.F_WRLCK, answer[4]

    def slot(self, number):
        size = self.header["slot_size"]
        return self.read("PROCESSES", self.header["slots_at"] + number * size)

    def find_live(self):
        """slot -> generation, of those that live"""
        live = {}
        for number in range(self.header["slots_used"]):
            state = self.slot(number)["state"]
            if state & 0xFF != 2:
                continue
            locked, pid = self.is_locked((1 << 62) + number)
            ours = self.slot(number)["pid_ns"] == os.stat("/proc/self/ns/pid").st_ino
            if not locked or (ours and pid and pid != (state >> 8) & 0xFFFFFF):
                continue
            if self.slot(number)["state"] == state:
                live[number] = state >> 32
        return live

    def processes(self):
        for number in range(self.header["slots_used"]):
            slot = self.slot(number)
            if slot["state"] & 0xFF == 0:
                continue
            yield {"worker": number, "live": number in self.live,
                   "pid": (slot["state"] >> 8) & 0xFFFFFF, "pid_ns": str(slot["pid_ns"]),
                   "start": str(slot["start"]), "role": slot["role"].split(b"\0")[0].decode(),
                   "heartbeat_ns": str(slot["heartbeat"]) if slot["heartbeat"] else None}

    # Records.

    def follow_chains(self):
        """offset -> record, of all kinds"""
        found = {}
        heads = self.pread(self.header["buckets_at"], 4 * self.header["n_buckets"])
        for i in range(self.header["n_buckets"]):
            at = 8 * int.from_bytes(heads[4 * i:4 * i + 4], self.order)
            while at:
                record = self.read("REGISTRY", at)
                assert record["hash"] % self.header["n_buckets"] == i
                assert at not in found and at + record["size"] <= self.header["allocated"]
                found[at] = record
                at = 8 * record["next"]
        return found

    def of_kind(self, kind):
        return sorted(at for at, record in self.records.items() if record["kind"] == kind)

    def mix(self, h, text):
        data = text.encode() + b"\0"
        data += bytes(-len(data) % 8)
        for i in range(0, len(data), 8):
            h = fold(h ^ int.from_bytes(data[i:i + 8], "little"), PRIME)
        return h

    def hash_of(self, h):
        return (h ^ (h >> 32)) & 0xFFFFFFFF

    # Values.

    def ticks(self, ticks, digits):
        return ticks / 10**digits if digits else ticks

    def counter_rows(self, cell):
        n = self.header["rows"] + self.header["counter_stripes"]
        return [self.u64s(cell + 4096 * row, 1)[0] for row in range(n)]

    def counting(self, family, cell):
        """(worker, value) of the cells that count; worker None is row 0"""
        if family["mode"] == MODES.index("last"):
            rows = [(None, 1)]
        else:
            rows = [(None, 1)] + [(slot, generation) for slot, generation in self.live.items()]
        for worker, generation in rows:
            row = 0 if worker is None else worker + 1
            owner, value = self.u64s(cell + 64 * row, 2)
            if owner == generation << 32 | row:
                yield worker, value

    def gauge_value(self, family, bits):
        if family["is_double"]:
            return self.double(bits)
        return bits - (1 << 64) if bits >> 63 else bits

    def gauge(self, family, cell):
        cells = list(self.counting(family, cell))
        if MODES[family["mode"]] == "each":
            return {"each": [{"worker": worker, "value": self.shown(family, [bits])}
                             for worker, bits in cells if worker is not None]}
        return {"value": self.shown(family, [bits for _, bits in cells]) if cells else None}

    def shown(self, family, values):
        """The values that count, as one."""
        kind = TYPES[family["type"]]
        if kind == "info":
            return 1
        if kind == "stateset":
            bits = 0
            for value in values:
                bits |= value
            return {name: bool(bits >> i & 1) for i, name in enumerate(family["states"])}
        values = [self.gauge_value(family, bits) for bits in values]
        mode = MODES[family["mode"]]
        if mode == "min":
            return min(values)
        if mode == "max":
            return max(values)
        return sum(values) / len(values) if mode == "avg" else sum(values)

    def histogram(self, family, cell):
        descriptor = self.read("Histograms", family["hist"], -1)
        n, words = descriptor["n_buckets"], []
        for row in range(self.header["rows"] + self.header["hist_stripes"]):
            words.append(self.u64s(cell + descriptor["stride"] * row, 4 + n))
        total = [sum(row[i] for row in words) & WORD for i in range(4 + n)]
        count = sum(total[4:])
        least = ~max(row[1] for row in words) & WORD
        most = max(row[2] for row in words)
        digits = family["digits"]
        if count and not ~least & WORD: # none is known yet
            least = most = 0
        return {"count": count, "sum": self.ticks(total[0], digits), "sum_ticks": str(total[0]),
                "min": self.ticks(least, digits) if count else None,
                "min_ticks": str(least) if count else None,
                "max": self.ticks(most, digits) if count else None,
                "max_ticks": str(most) if count else None, "buckets": total[4:]}

    def bounds(self, family):
        """The upper bounds of all buckets but the last, which the thresholds have to agree with."""
        descriptor = self.read("Histograms", family["hist"], -1)
        n = descriptor["n_buckets"] - 1
        if family["exponential"]:
            bounds = [2.0**((family["first_index"] + i - 1) * 2.0**-family["schema"]) for i in range(n)]
        else:
            bounds = self.doubles(family["hist_bounds"], n)
        thresholds = self.u64s(family["hist"] + descriptor["thresholds_at"], n + 1)
        assert thresholds[n] == WORD
        for bound, threshold in zip(bounds, thresholds):
            slack = 1 + 1e-12 if family["exponential"] else 1 # by pow() of another library
            assert threshold / 10**family["digits"] <= bound * slack
            assert (threshold + 1) / 10**family["digits"] > bound / slack
        self.check_entries(descriptor, family["hist"], thresholds)
        return bounds

    def check_entries(self, descriptor, at, thresholds):
        """Each value is found by its entry where a search of the thresholds finds it."""
        assert descriptor["key_base"] == struct.unpack("Q", struct.pack("d", 1.0))[0] >> descriptor["shift"]
        n = descriptor["key_count"]
        entries = self.u64s(at + self.tables["Histograms"][-1].end, n)
        samples = {1, 2, 3, 1000, 123456789, (1 << 36) - 1}
        samples |= {t + d for t in thresholds[:-1] for d in (0, 1) if 1 <= t + d < 1 << 36}
        for value in samples:
            bits = struct.unpack("Q", struct.pack("d", float(value)))[0]
            key = (bits >> descriptor["shift"]) - descriptor["key_base"]
            if key >= n:
                continue
            found = (entries[key] & 0xFFFF) + (bits > entries[key])
            assert found == next(i for i, t in enumerate(thresholds) if value <= t), value

    # Exemplars.

    def exemplars(self):
        """cell -> list of (index, exemplar)"""
        size = self.tables["Exemplars"][1].end
        for at in self.of_kind(3):
            record = self.read("Exemplars", at)
            assert self.records[at]["hash"] == self.hash_of(
                fold(self.header["hash_seed"] ^ record["cell"], PRIME))
            for i in range(record["n"]):
                place = record["at"] + i * size
                found = self.read("Exemplars", place, 1)
                if found["seal"] and found["seal"] == self.seal(place, found, found["labels"]):
                    yield record["cell"], found

    def seal(self, place, found, text):
        if found["length"] > len(text):
            return 0
        words = [value for name, value in found.items() if name != "seal" and isinstance(value, int)]
        for i in range(0, found["length"], 8):
            words.append(int.from_bytes(text[i:i + 8], self.order))
        h = place
        for word in words:
            h = fold(h ^ word, PRIME)
        return h | 1

    def exemplars_of(self, family, cell):
        shown = []
        for owner, found in self.all_exemplars:
            if owner != cell:
                continue
            words = found["labels"][:found["length"]].split(b"\0")[:-1]
            one = {"labels": {words[i].decode(): words[i + 1].decode() for i in range(0, len(words), 2)},
                   "value": self.ticks(found["value"], family["digits"]),
                   "ticks": str(found["value"]), "time_ns": str(found["time_ns"])}
            if TYPES[family["type"]] == "histogram":
                descriptor = self.read("Histograms", family["hist"], -1)
                thresholds = self.u64s(family["hist"] + descriptor["thresholds_at"],
                                       descriptor["n_buckets"])
                one["bucket"] = next(i for i, t in enumerate(thresholds) if found["value"] <= t)
            shown.append(one)
        return sorted(shown, key=lambda one: one.get("bucket", 0))

    # Families and series.

    def family(self, at):
        f = self.read("Families", at)
        data = self.pread(at, self.records[at]["size"])
        place = self.tables["Families"][0].end
        for name in ("name", "unit", "help"):
            f[name] = data[place:place + f[name + "_len"]].decode()
            place += f[name + "_len"]
        strings = []
        for _ in range(f["n_labels"] + f["n_states"]):
            text, place = self.counted(data, place)
            strings.append(text)
        f["labels"], f["states"] = strings[:f["n_labels"]], strings[f["n_labels"]:]
        f["ref"] = at // 8
        assert self.records[at]["hash"] == self.hash_of(self.mix(self.header["hash_seed"], f["name"]))
        return f

    def series_of(self, f):
        """(offset, series, label values or None for the overflow series), in order of creation"""
        found = [(at, self.read("Series", at)) for at in self.of_kind(2)]
        found = [(at, s, False) for at, s in found if s["family"] == f["ref"]]
        if f["overflow"]:
            found.append((f["overflow"], self.read("Series", f["overflow"]), True))
        for at, s, overflow in sorted(found, key=lambda one: one[0]):
            if s["state"] & 1:
                continue
            if not overflow:
                yield at, s, self.values_of(at, f)
            elif self.has_value(f, s["cell"]):
                yield at, s, None

    def has_value(self, f, cell):
        kind = TYPES[f["type"]]
        if kind == "counter":
            return sum(self.counter_rows(cell)) & WORD != 0
        return self.histogram(f, cell)["count"] != 0 if kind == "histogram" \
            else any(True for _ in self.counting(f, cell))

    def values_of(self, at, f):
        data, place, values = self.pread(at, self.records[at]["size"]), self.tables["Series"][0].end, []
        h = self.header["hash_seed"] ^ self.records[8 * f["ref"]]["hash"]
        for _ in f["labels"]:
            value = data[place:data.index(b"\0", place)]
            values.append(value.decode())
            h = self.mix(h, values[-1])
            place += len(value) + 1
            place += -place % 8
        assert self.records[at]["hash"] == self.hash_of(h), values
        return values

    def show_series(self, f, at, s, values):
        overflow = values is None
        shown = {"id": str(at), "overflow": overflow,
                 "labels": {"otel_metric_overflow": "true"} if overflow else dict(zip(f["labels"], values))}
        kind = TYPES[f["type"]]
        if kind == "counter":
            ticks = sum(self.counter_rows(s["cell"])) & WORD
            shown |= {"value": self.ticks(ticks, f["digits"]), "ticks": str(ticks)}
        elif kind == "histogram":
            shown |= self.histogram(f, s["cell"])
        else:
            shown |= self.gauge(f, s["cell"])
        if examples := self.exemplars_of(f, s["cell"]):
            shown["exemplars"] = examples
        return shown

    def show_family(self, at):
        f = self.family(at)
        kind = TYPES[f["type"]]
        shown = {"name": f["name"], "help": f["help"], "unit": f["unit"], "type": kind}
        if kind in ("counter", "histogram"):
            shown["digits"] = f["digits"]
        else:
            shown["mode"] = MODES[f["mode"]]
        if kind == "gauge":
            shown["double"] = bool(f["is_double"]) or MODES[f["mode"]] == "avg"
        if kind == "histogram":
            exponential = bool(f["exponential"])
            shown |= {"bounds": self.bounds(f), "schema": f["schema"] if exponential else None,
                      "first_index": f["first_index"] if exponential else None}
        shown["label_names"] = f["labels"]
        shown["series"] = [self.show_series(f, *one) for one in self.series_of(f)]
        return shown

    # Checks.

    def show_check(self, at):
        c, now = self.read("Checks", at), time.time_ns()
        data = self.pread(at, self.records[at]["size"])
        place = self.tables["Checks"][0].end
        name = data[place:place + c["name_len"]].decode()
        text = data[place + c["name_len"]:place + c["name_len"] + c["help_len"]].decode()
        interval = (c["terms"] & 0xFFFFFFFF) / 1000
        reports, state = [], 0
        for worker, value in self.counting({"mode": 0}, c["cell"]):
            if worker is None or value & 0xFF not in (1, 2, 3):
                continue
            when = (value >> 8) * 1000000
            holds = not interval or abs(now - when) <= interval * 1e9
            state = max(state, value & 0xFF) if holds else state
            reports.append({"worker": worker, "state": STATES[value & 0xFF], "time_ns": str(when),
                            "holds": holds, "message": self.message(c, at, worker, value & 0xFF)})
        return {"name": name, "help": text, "critical": bool(c["terms"] >> 32),
                "interval": interval or None, "state": STATES[state], "reports": reports}

    def message(self, c, at, worker, state):
        size = self.tables["Checks"][1].end
        place = at + self.tables["Checks"][0].fields["reports"][0] + (state - 1) * size
        found = self.read("Checks", place, 1)
        owner = self.live[worker] << 32 | worker + 1
        if not found["seal"] or found["seal"] != self.seal(place, found, found["text"]):
            return None
        return found["text"][:found["length"]].decode() or None if found["owner"] == owner else None

    # All of it.

    def labels(self):
        data, at, words = self.header["labels"], 0, []
        while at < self.header["labels_len"]:
            text, at = self.counted(data, at)
            words.append(text)
        return dict(zip(words[::2], words[1::2]))

    def show(self):
        h = self.header
        self.all_exemplars = list(self.exemplars())
        lost = struct.unpack("16Q", h["lost"])
        return {
            "segment": {
                "app": h["app"].split(b"\0")[0].decode(), "labels": self.labels(),
                "instance": h["instance"].split(b"\0")[0].decode(),
                "live_processes": len(self.live), "major": h["major"], "minor": h["minor"],
                "kind": {1: "percpu", 2: "striped"}[h["kind"]], "rows": h["rows"],
                "counter_stripes": h["counter_stripes"], "histogram_stripes": h["hist_stripes"],
                "slots": h["slots"], "created_ns": str(h["created_ns"]),
                "bytes": {"used": h["allocated"], "budget": h["max_bytes"], "capacity": h["capacity"]},
                "lost": dict(zip(REASONS, lost))},
            "families": [self.show_family(at) for at in self.of_kind(1)],
            "checks": [self.show_check(at) for at in self.of_kind(4)],
            "processes": list(self.processes())}


def differences(ours, theirs, place=""):
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(ours.keys() & theirs.keys()):
            yield from differences(ours[key], theirs[key], f"{place}.{key}")
        for key in sorted(ours.keys() - theirs.keys()):
            yield f"{place}.{key} is not in the dump"
        for key in sorted(theirs.keys() - ours.keys() - DUMPS_OWN):
            yield f"{place}.{key} was not read"
    elif isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            yield f"{place}: {len(ours)}, dump has {len(theirs)}"
        for i, (a, b) in enumerate(zip(ours, theirs)):
            yield from differences(a, b, f"{place}[{i}]")
    elif isinstance(ours, float) and isinstance(theirs, (int, float)):
        if not math.isclose(ours, theirs, rel_tol=1e-12):
            yield f"{place}: {ours}, dump has {theirs}"
    elif ours != theirs:
        yield f"{place}: {ours!r}, dump has {theirs!r}"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        ours = Segment(file.read(), sys.argv[2]).show()
    if len(sys.argv) == 3:
        print(json.dumps(ours, indent=1))
        return
    with open(sys.argv[3], encoding="utf-8") as file:
        theirs = json.load(file)
    theirs.setdefault("checks", [])
    found = list(differences(ours, theirs))
    print("\n".join(found))
    sys.exit(len(found) > 0)


if __name__ == "__main__":
    main()
