#!/usr/bin/env python3
"""Verifies Gatehouse's history without Gatehouse.

It needs Python 3.9 or later and nothing else. It only reads. Every signature is
checked, by the few lines of Ed25519 below, many at a time; openssl can check any
of them again, as the README of an evidence pack shows.

  verify_history.py db PATH [--key FILE] [--anchor FILE]... [--archive FILE_OR_DIR]...
                       [--restored N]... [--json]
      PATH is the data directory or the database file. The public keys come from
      FILE, or from witness.pub beside the database: better a copy that you kept
      elsewhere. Anchors are files with checkpoints that were kept elsewhere;
      anchors.log beside the database is read as well if it is there. Archives hold
      entries that left the database; of a directory, all history-*.zip are taken.
      Each restore of a backup to N rows that you know was agreed is named by
      --restored.

  verify_history.py archive FILE_OR_DIR... [--key FILE] [--anchor FILE]... [--json]
      Archives alone. Without --key, the public key in the first of them counts:
      compare it with a copy that you have from elsewhere.

  verify_history.py pack DIR [--key FILE] [--json]
      DIR is an unpacked evidence pack.

  verify_history.py --batch
      Reads a JSON object a line, {"db": PATH, "key": FILE, "anchors": [FILE...],
      "archives": [FILE_OR_DIR...], "restored": [N...]}, and writes a finding a line.
      Without "db", archives are checked alone.

It exits with 0 if everything is as it was written, 1 if something was tampered
with, 2 if something can't be read, 3 if history was taken back or replaced: a
checkpoint covers rows that aren't there, or others.

WHAT IS CHECKED

The database has one row for each entry in the table history: seq, body, prev,
hash. For each of them, in order:
  - seq counts from 1 without a gap;
  - hash is SHA-256(0x00 || body);
  - prev is the hash of the row before, 32 zero bytes before the first;
  - body is a JSON object in canonical form (RFC 8785) without numbers, whose
    members "seq" and "prev" say the same (prev in hexadecimal);
  - each row of the table history_personal with that seq (field, salt, value) is
    bound by the body: "sealed"[field] is SHA-256(salt || value) in hexadecimal;
  - each name in "sealed" has its row. A reason is never missing. Other personal
    data may be where a later entry with the action user.erased names the person.
The hashes are the leaves of a Merkle tree (RFC 6962). The table checkpoint and
the anchors hold signed checkpoints (C2SP tlog-checkpoint, signed notes with
Ed25519): every one must be signed by a known key, and its root must be that of
the tree over the first rows. Lines "restored N" in a checkpoint say that history
was taken back to N rows with the operator's consent; checkpoints of before that
cover more rows are excused. Row N + 1 must say the same (action history.restored,
detail back_to), unless a later restore went back behind it. Who has the signing
key can make up a restore: one that excuses a known checkpoint and isn't named by
--restored is told as exit code 3. A line of an anchor
that is no checkpoint is found; the others are compared all the same.

WHAT LEFT for archives is in the table archive, one row for each: id from 1, first,
last, and note, a signed statement, which also lies in the archive. Its text is
  NAME/removed          NAME being the key's; in the archive it is NAME/archive
  month 2026-03
  first 1               numbers of the first and the last row
  last 4210
  before HEX            hash of the row before the first (zeros if there is none)
  before-edge HEX...    roots of the largest complete subtrees over the rows before,
                        from the left
  after HEX             hash of the last row
  after-edge HEX...     as before, up to the last row
  rows HEX              SHA-256 of rows.jsonl in the archive
Each begins where the one before ends, the first with row 1. Rows are checked from
after the last one on. The entry history.pruned (detail first, last, sha256) of the
last one must be among them, and no such entry without a row in the table. Rows that
are still there although they left must lead to the hash that was signed. Of
checkpoints that cover fewer rows than left only the signature is checked, unless
the archives are given.

AN ARCHIVE is a zip file history-MONTH.zip with
  archive.txt     the statement
  rows.jsonl      {"seq": 7, "body": "...", "hash": hex, "prev": hex} for each row
  personal.jsonl  {"seq": 7, "field": ..., "salt": hex, "value": ...}, in the order
                  of seq. What is missing was erased; a reason is never missing
  checkpoint.txt  a signed checkpoint, and growth.json, {"size": N, "proof":
                  [base64...]}, the proof that its tree has grown out of the archive's
  README.txt, key.txt, verify_history.py, which nothing is taken from
Archives that are given must each be as they were signed, begin where one with the
row before ends, and be those that the database says.

AN EVIDENCE PACK is a directory with
  rows.jsonl      one line for each row: {"seq": 7, "body": "...", "hash": hex,
                  "personal": [{"field": ..., "salt": hex, "value": ...}]};
                  further members are not looked at; body_base64 stands for a
                  body that is no text
  checkpoint.txt  a signed checkpoint
  key.txt         the public key, as signed notes have it
  proofs.json     {"size": N, "root": base64, "proofs": {"7": [base64...]},
                  "earlier": [{"checkpoint": text, "proof": [base64...]}]}
                  size and root are the checkpoint's; each row has an inclusion
                  proof; earlier (optional) are older checkpoints, each with the
                  proof that the tree of checkpoint.txt has grown out of it
  manifest.txt    "NAME/evidence", NAME being the key's, and for each other file
                  its SHA-256, two spaces and its name
  manifest.sig    the Ed25519 signature over manifest.txt by a known key
No file may be missing or be there beside those of the list, but for key.der,
which the pack's README has one make out of key.txt: it must hold that key. Links
and other things that are no files are refused.
"""

import base64
import contextlib
import glob
import hashlib
import json
import os
import re
import secrets
import sqlite3
import struct
import sys
import tempfile
import zipfile
import zlib

OK, TAMPERED, UNREADABLE, ROLLED_BACK = "ok", "tampered", "unreadable", "rolled back"
EXIT = {OK: 0, TAMPERED: 1, UNREADABLE: 2, ROLLED_BACK: 3}


class Tampered(Exception):
    pass


class RolledBack(Exception):
    pass


class Unreadable(Exception):
    pass


# ---------------------------------------------------------------- hashes, tree


def leaf_hash(body):
    return hashlib.sha256(b"\0" + body).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """The Merkle tree of RFC 6962, reduced to its right edge."""

    def __init__(self):
        self.size = 0
        self.edge = []

    def copy(self):
        other = Tree()
        other.size, other.edge = self.size, list(self.edge)
        return other

    def add(self, leaf):
        n = self.size
        while n & 1:
            leaf = node_hash(self.edge.pop(), leaf)
            n >>= 1
        self.edge.append(leaf)
        self.size += 1

    def root(self):
        if not self.edge:
            return hashlib.sha256(b"").digest()
        h = self.edge[-1]
        for left in reversed(self.edge[:-1]):
            h = node_hash(left, h)
        return h


def split(n):
    """The largest power of two below n."""
    return 1 << ((n - 1).bit_length() - 1)


def included(proof, size, index, leaf):
    """The root that an inclusion proof leads to."""

    def run(p, n, i):
        if n == 1:
            if p:
                raise Tampered("a proof is too long")
            return leaf
        if not p:
            raise Tampered("a proof is too short")
        k = split(n)
        if i < k:
            return node_hash(run(p[:-1], k, i), p[-1])
        return node_hash(p[-1], run(p[:-1], n - k, i - k))

    return run(proof, size, index)


def grown(proof, old_size, old_root, size):
    """The roots of the old and the new tree that a consistency proof leads to."""

    def run(p, lo, hi):
        if old_size == hi:
            if lo == 0:
                if p:
                    raise Tampered("a proof is too long")
                return old_root, old_root
            if len(p) != 1:
                raise Tampered("a proof has another length")
            return p[0], p[0]
        if not p:
            raise Tampered("a proof is too short")
        k = split(hi - lo)
        if old_size <= lo + k:
            old, new = run(p[:-1], lo, lo + k)
            return old, node_hash(new, p[-1])
        old, new = run(p[:-1], lo + k, hi)
        return node_hash(p[-1], old), node_hash(p[-1], new)

    return run(proof, 0, size)


# ------------------------------------------------------------- canonical JSON


def refuse_number(text):
    raise ValueError("a number")


def unique_members(pairs):
    out = dict(pairs)
    if len(out) != len(pairs):
        raise ValueError("a name twice")
    return out


def ordered(value, depth=16):
    if depth == 0:
        raise ValueError("nested too deep")
    if isinstance(value, dict):
        return {k: ordered(value[k], depth - 1) for k in sorted(value, key=lambda k: k.encode("utf-16-be", "surrogatepass"))}
    if isinstance(value, list):
        return [ordered(v, depth - 1) for v in value]
    return value


def read_canonical(body):
    """The object that body is, or None if it isn't one in canonical form."""
    try:
        value = json.loads(
            body.decode("utf-8"),
            parse_int=refuse_number,
            parse_float=refuse_number,
            parse_constant=refuse_number,
            object_pairs_hook=unique_members,
        )
        if not isinstance(value, dict):
            return None
        again = json.dumps(ordered(value), ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except (ValueError, RecursionError):
        return None
    return value if again == body else None


# ------------------------------------------------------------------ signatures


class Key:
    def __init__(self, line):
        try:
            self.name, self.id, key = line.split("+", 2)
            raw = base64.b64decode(key, validate=True)
        except ValueError:
            raise Unreadable("this is no public key: " + line)
        self.key = raw[1:]
        want = hashlib.sha256(self.name.encode() + b"\n" + raw).hexdigest()[:8]
        if len(raw) != 33 or raw[0] != 1 or want != self.id or not self.name:
            raise Unreadable("this is no public key: " + line)


def read_keys(path):
    try:
        with open(path, encoding="utf-8") as f:
            lines = [line.strip() for line in f]
    except (OSError, ValueError) as e:
        raise Unreadable(str(e))
    keys = [Key(line) for line in lines if line and not line.startswith("#")]
    if not keys:
        raise Unreadable("no public key in " + path)
    return keys


# Ed25519 (RFC 8032), verification only, on points (X, Y, Z, T) of the twisted
# Edwards curve with x = X/Z, y = Y/Z, x*y = T/Z.

P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)
NEUTRAL = (0, 1, 1, 0)


def add_points(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def read_point(raw):
    """The point that 32 bytes stand for, or None."""
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & ((1 << 255) - 1)
    if y >= P:
        return None
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P
    if v * x * x % P != u:
        x = x * ROOT_OF_MINUS_1 % P
    if v * x * x % P != u or x == 0 and sign:
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


BASE = read_point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def sum_of(terms):
    """The sum of number * point over all terms, some bits of all numbers at a time."""
    total, bits = NEUTRAL, 8 if len(terms) > 100 else 4 if len(terms) > 10 else 1
    for at in range(max(n.bit_length() for n, _ in terms) // bits * bits, -1, -bits):
        for _ in range(bits):
            total = add_points(total, total)
        heaps = [None] * (1 << bits)
        for n, point in terms:
            digit = n >> at & (1 << bits) - 1
            if digit:
                heaps[digit] = add_points(heaps[digit], point) if heaps[digit] else point
        above = more = NEUTRAL
        for heap in reversed(heaps[1:]):
            if heap:
                above = add_points(above, heap)
            more = add_points(more, above)
        total = add_points(total, more)
    return total


def signatures_are_right(key, signed):
    """Checks one signature, or many under one key at once: were one of them wrong,
    the sum with random factors would not be zero but by a chance of 2**-128."""
    owner = read_point(key)
    if owner is None:
        return False
    ours = theirs = 0
    terms = []
    for message, signature in signed:
        commitment, s = read_point(signature[:32]), int.from_bytes(signature[32:], "little")
        if commitment is None or s >= ORDER:
            return False
        factor = 1 if len(signed) == 1 else 1 + secrets.randbits(128)
        challenge = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little")
        ours, theirs = ours + factor * s, theirs + factor * challenge
        terms.append((factor, (P - commitment[0], commitment[1], 1, P - commitment[3])))
    negative = (P - owner[0], owner[1], 1, P - owner[3])
    total = add_points(sum_of([(ours % ORDER, BASE), (theirs % ORDER, negative)]), sum_of(terms))
    return total[0] == 0 and (total[1] - total[2]) % P == 0


checked_signatures = {}
TOGETHER = 2048


def signature_is_right(key, message, signature):
    at = (key, message, signature)
    if at not in checked_signatures:
        checked_signatures[at] = signatures_are_right(key, [(message, signature)])
    return checked_signatures[at]


def check_some(key, signed):
    right = signatures_are_right(key, signed)
    if right or len(signed) == 1:
        checked_signatures.update({(key, *one): right for one in signed})
        return
    check_some(key, signed[: len(signed) // 2])
    check_some(key, signed[len(signed) // 2 :])


def check_together(notes, keys):
    """Checks the signatures of many notes, which takes a tenth of the time of one
    after another. What is no signed note is left to open_note."""
    by_key = {}
    for note in notes:
        try:
            body, name, raw = take_apart(note, "")
        except Tampered:
            continue
        for key in keys:
            if key.name == name and bytes.fromhex(key.id) == raw[:4] and (key.key, body, raw[4:]) not in checked_signatures:
                by_key.setdefault(key.key, {})[body, raw[4:]] = True
    for key, signed in by_key.items():
        signed = list(signed)
        for begin in range(0, len(signed), TOGETHER):
            check_some(key, signed[begin : begin + TOGETHER])


def take_apart(note, what):
    """The text of a note with exactly one signature, who signed it, and how."""
    try:
        text = note.decode("utf-8")
        at = text.rindex("\n\n")
        body, line = text[: at + 1], text[at + 2 :]
        if any(c < " " and c != "\n" for c in text) or not line.startswith("\u2014 ") or not line.endswith("\n") or "\n" in line[:-1]:
            raise ValueError
        name, b64 = line[2:-1].split(" ")
        raw = base64.b64decode(b64, validate=True)
        if base64.b64encode(raw).decode() != b64 or len(raw) != 68:
            raise ValueError
    except ValueError:
        raise Tampered(what + " is no signed note")
    return body.encode(), name, raw


def open_note(note, keys, what):
    """The text of a signed note, and who signed it."""
    body, name, raw = take_apart(note, what)
    for key in keys:
        if key.name == name and bytes.fromhex(key.id) == raw[:4] and signature_is_right(key.key, body, raw[4:]):
            return body.decode(), name
    raise Tampered(what + " is not signed by a known key")


class Checkpoint:
    """A signed statement of how many rows there were, and the root over them."""

    def __init__(self, note, keys, what):
        text, name = open_note(note, keys, what)
        lines = text.split("\n")[:-1]
        try:
            if len(lines) < 3 or lines[0] != name:
                raise ValueError
            self.what = what
            self.size = size_of(lines[1])
            self.root = base64.b64decode(lines[2], validate=True)
            if len(self.root) != 32 or base64.b64encode(self.root).decode() != lines[2]:
                raise ValueError
            self.restored = [size_of(line[len("restored ") :]) for line in lines[3:] if line.startswith("restored ")]
        except ValueError:
            raise Tampered(what + " is no checkpoint")


def size_of(text):
    if not text.isascii() or not text.isdigit() or str(int(text)) != text:
        raise ValueError
    return int(text)


def compare_roots(roots, checkpoints):
    """For roots of archives: those of the database are compared below."""
    newest = newest_restored(checkpoints)
    for c in checkpoints:
        if c.size in roots and roots[c.size] != c.root and not any(size < c.size for size in newest[len(c.restored) :]):
            raise RolledBack("the first %d rows aren't those of %s" % (c.size, c.what))


def newest_restored(checkpoints):
    newest = []
    for c in checkpoints:
        if len(c.restored) > len(newest):
            newest = c.restored
    return newest


def compare(start, rows, roots, back, checkpoints):
    newest = newest_restored(checkpoints)
    for c in checkpoints:
        if any(size < c.size for size in newest[len(c.restored) :]):
            continue
        if c.size > rows:
            raise RolledBack("%s covers %d rows, there are %d" % (c.what, c.size, rows))
        if c.size in roots and roots[c.size] != c.root:
            raise RolledBack("the first %d rows aren't those of %s" % (c.size, c.what))
    for i, size in enumerate(newest):
        undone = any(later <= size for later in newest[i + 1 :])
        if not undone and size not in back and size >= start:
            raise Tampered("a checkpoint says that history was taken back to %d rows, and no entry does" % size)


def ask_for_restores(checkpoints, stored, named, found):
    """Counts the checkpoints that restores excuse; the first are the database's own."""
    newest = max((c.restored for c in checkpoints), key=len, default=[])
    unnamed, anchored = [], 0
    for i, c in enumerate(checkpoints):
        behind = [size for size in newest[len(c.restored) :] if size < c.size]
        if behind:
            found["excused"] += 1
            anchored += i >= stored
        unnamed += [size for size in behind if size not in named and size not in unnamed]
    if unnamed:
        return RolledBack(
            "history says that it was taken back with consent, and so %d checkpoints need not fit any more, %d of them anchored. "
            "Ask who agreed; if it was agreed, verify with %s" % (found["excused"], anchored, " ".join("--restored %d" % n for n in unnamed))
        )


# ------------------------------------------------------------------ statements


class Place:
    """The end of a chain with the tree over it."""

    def __init__(self, seq=0, digest=bytes(32), edge=()):
        self.seq, self.hash, self.tree = seq, digest, Tree()
        self.tree.size, self.tree.edge = seq, list(edge)
        if len(self.tree.edge) != bin(seq).count("1"):
            raise ValueError

    def __eq__(self, other):
        return (self.seq, self.hash, self.tree.edge) == (other.seq, other.hash, other.tree.edge)


STATEMENT = re.compile(
    "month ([0-9]{4}-(?:0[1-9]|1[0-2]))\nfirst ([0-9]+)\nlast ([0-9]+)\nbefore ([0-9a-f]{64})\nbefore-edge((?: [0-9a-f]{64})*)\n"
    "after ([0-9a-f]{64})\nafter-edge((?: [0-9a-f]{64})*)\nrows ([0-9a-f]{64})\n"
)


class Statement:
    """A signed statement about an archive."""

    def __init__(self, note, keys, kind, what):
        text, name = open_note(note, keys, what)
        title, _, self.text = text.partition("\n")
        match = STATEMENT.fullmatch(self.text)
        if title != name + "/" + kind or match is None:
            raise Tampered(what + " is no statement of the kind " + kind)
        _, first, last, before, before_edge, after, after_edge, rows = match.groups()
        try:
            self.first, self.last = size_of(first), size_of(last)
            if not 1 <= self.first <= self.last < 1 << 63:
                raise ValueError
            self.before = Place(self.first - 1, bytes.fromhex(before), [bytes.fromhex(h) for h in before_edge.split()])
            self.after = Place(self.last, bytes.fromhex(after), [bytes.fromhex(h) for h in after_edge.split()])
        except ValueError:
            raise Tampered(what + " is no statement of the kind " + kind)
        self.rows = bytes.fromhex(rows)
        self.removal = (first, last, rows)


# --------------------------------------------------------------------- anchors


def read_file(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError as e:
        raise Unreadable(str(e))


def read_or_why_not(path):
    try:
        return read_file(path)
    except Unreadable as e:
        return e


def read_anchor(path, data, keys):
    if isinstance(data, Unreadable):
        raise data
    out, bad = [], []

    def add(note, what):
        try:
            out.append(Checkpoint(note, keys, what))
        except Tampered as e:
            bad.append(e)

    if data and b"{" not in data:
        add(data, path)
        return out, bad
    notes = []
    for number, line in enumerate(data.split(b"\n")[:-1], 1):  # what follows the last newline was cut off
        at = line.find(b'{"checkpoint":')
        if line.endswith(b"#torn") or at < 0 and not line.startswith(b"{"):
            continue
        what = "line %d of %s" % (number, path)
        try:
            note = json.loads(line[at:].decode("utf-8"))["checkpoint"].encode("utf-8")
        except (ValueError, KeyError, TypeError, AttributeError):
            bad.append(Tampered(what + " is no checkpoint"))
            continue
        notes.append((note, what))
    check_together([note for note, _ in notes], keys)
    for note, what in notes:
        add(note, what)
    return out, bad


# -------------------------------------------------------------------- database


class Text(bytes):
    """A value that SQLite keeps as text."""


def is_blob(v, length=None):
    return type(v) is bytes and (length is None or len(v) == length)


def open_database(path):
    wal = path + "-wal"
    live = os.path.exists(wal) and os.path.getsize(wal) > 0
    if not os.path.isfile(path):
        raise Unreadable("there is no database " + path)
    quoted = os.path.abspath(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    db = sqlite3.connect("file:" + quoted + ("?mode=ro" if live else "?mode=ro&immutable=1"), uri=True, isolation_level=None)
    db.text_factory = Text
    return db


class Rows:
    """Checks consecutive rows after a place."""

    def __init__(self, sizes, roots, after):
        self.seq, self.hash, self.tree = after.seq, after.hash, after.tree.copy()
        self.sizes = sizes
        self.roots = roots
        self.removals = []  # on record
        self.lacking = 0  # pieces of personal data that aren't there
        self.gone = {}  # whose personal data is missing -> in which row last
        self.erased = {}
        self.back = set()  # sizes that history was taken back to, on record
        self.mark()

    def place(self):
        return Place(self.seq, self.hash, self.tree.edge)

    def overlap(self, left):
        """Takes over what was found of rows that are still there although they left."""
        if (left.seq, left.hash) != (self.seq, self.hash):
            raise Tampered("at row %d: what is left of removed rows isn't what was removed" % self.seq)
        self.removals += left.removals
        self.back |= left.back
        for ours, theirs in ((self.gone, left.gone), (self.erased, left.erased)):
            for who, seq in theirs.items():
                ours[who] = max(ours.get(who, 0), seq)

    def mark(self):
        if self.tree.size in self.sizes:
            self.roots[self.tree.size] = self.tree.root()

    def next(self, seq, body, prev, stored, personal):
        want = self.seq + 1

        def wrong(what):
            raise Tampered("at row %d: %s" % (want, what))

        if seq != want:
            wrong("found row %r instead" % (seq,))
        if not is_blob(body) or not is_blob(prev, 32) or not is_blob(stored, 32):
            wrong("it has another form")
        digest = leaf_hash(body)
        if digest != stored:
            wrong("the body doesn't match its hash")
        if prev != self.hash:
            wrong("it doesn't follow the row before")
        entry = read_canonical(body)
        if entry is None:
            wrong("the body is not canonical")
        if entry.get("seq") != str(want) or entry.get("prev") != prev.hex():
            wrong("number or link differ from the body's")
        self.check_personal(want, entry, personal, wrong)
        if entry.get("action") == "history.restored" and member(entry, "detail", "back_to") == str(want - 1):
            self.back.add(want - 1)
        if entry.get("action") == "history.pruned":
            self.removals.append(tuple(member(entry, "detail", name) for name in ("first", "last", "sha256")))
        self.seq, self.hash = want, digest
        self.tree.add(digest)
        self.mark()

    def check_personal(self, seq, entry, personal, wrong):
        sealed = entry.get("sealed")
        if not isinstance(sealed, dict):
            wrong("the body has no commitments")
        there = set()
        for field, salt, value in personal:
            if not isinstance(field, Text) or not is_blob(salt) or not isinstance(value, Text):
                wrong("its personal data has another form")
            name = field.decode("utf-8", "replace")
            if name in there:
                wrong("personal data is there twice")
            if sealed.get(name) != hashlib.sha256(salt + value).hexdigest():
                wrong("personal data doesn't match its commitment")
            there.add(name)
        actor = member(entry, "actor", "id")
        if entry.get("action") == "user.erased":
            self.erased[member(entry, "object", "id")] = seq
        for name in sealed:
            if name in there:
                continue
            self.lacking += 1
            if name == "reason":
                wrong("its reason is missing")
            who = actor
            if name == "object_name" and member(entry, "object", "kind") == "user":
                who = member(entry, "object", "id")
            self.gone[who] = seq

    def close(self):
        last = max(self.erased.values(), default=0)
        for who, seq in self.gone.items():
            if (last if who == "" else self.erased.get(who, 0)) < seq:
                raise Tampered("at row %d: personal data is missing that nobody erased" % seq)


def member(entry, part, name):
    value = entry.get(part)
    value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else ""


BATCH = 1024


def check_database(path, key_path, anchors, archives, restored, found):
    if path is not None and os.path.isdir(path):
        path = os.path.join(path, "console.db")
    anchors, archives = anchors or [], archives or []
    texts = [read_or_why_not(anchor) for anchor in anchors]  # before the rows: those that are written meanwhile don't matter
    with contextlib.ExitStack() as stack:
        db, stored, left = None, [], []
        if path is not None:
            db = open_database(path)
            stack.callback(db.close)
            stored, left = begin_database(db)
            found["checkpoints"] = len(stored)
        keys, checkpoints, bad = None, [], []
        if stored or left or anchors or archives:
            keys = read_keys(key_path)
            checkpoints, bad = all_checkpoints(stored, anchors, texts, keys, found)
        unnamed = ask_for_restores(checkpoints, len(stored), restored, found)
        sizes = {c.size for c in checkpoints}
        checked = check_archives(archives, keys, sizes, found)
        if db is not None and archives:
            compare_archives(checked.all, open_removed(left, keys))
        if db is None:
            compare_roots(checked.roots, checkpoints)
        else:
            check_rows(db, open_removed(left, keys), checkpoints, sizes, checked, found)
        if unnamed or bad:
            raise unnamed or bad[0]


def begin_database(db):
    """The checkpoints, and what is said about rows that left."""
    db.execute("BEGIN")
    (archived,) = db.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'archive'").fetchone()
    for table in ("history", "history_personal", "checkpoint") + (("archive",) if archived else ()):
        (result,) = db.execute("PRAGMA quick_check(%s)" % table).fetchone()
        if result != b"ok":
            raise Unreadable("the database file is damaged: " + result.decode(errors="replace"))
    stored = read_checkpoints(db)
    return stored, db.execute("SELECT id, first, last, note FROM archive ORDER BY id").fetchall() if archived else []


def all_checkpoints(stored, anchors, texts, keys, found):
    checkpoints, bad = [], []
    check_together([note for _, _, note in stored], keys)
    for number, size, note in stored:
        c = Checkpoint(note, keys, "checkpoint %d" % number)
        if c.size != size:
            raise Tampered("%s covers another number of rows than beside it" % c.what)
        checkpoints.append(c)
    for anchor, text in zip(anchors, texts):
        more, wrong = read_anchor(anchor, text, keys)
        checkpoints += more
        bad += wrong
        found["anchored"] += len(more)
    for c in checkpoints:
        found["signed"] = max(found["signed"], c.size)
        found["restored"] = max(found["restored"], len(c.restored))
    return checkpoints, bad


def open_removed(left, keys):
    out, at = [], Place()
    for number, first, last, note in left:
        want = len(out) + 1
        if number != want:
            raise Tampered("archive %d is missing" % want)
        if not is_blob(note):
            raise Tampered("archive %d has another form" % want)
        one = Statement(note, keys, "removed", "archive %d" % want)
        if (first, last) != (one.first, one.last):
            raise Tampered("archive %d is about other rows than beside it" % want)
        out.append(one)
    for one in out:
        if one.before != at:
            raise Tampered("the statement about rows %d to %d doesn't follow the one before" % (one.first, one.last))
        at = one.after
    return out


def check_rows(db, removed, checkpoints, sizes, checked, found):
    begin = removed[-1].after if removed else Place()
    rows = Rows(sizes, {}, begin)
    if checked.rows is not None and checked.rows.place() == begin:
        checked.rows.sizes, checked.rows.roots = sizes, {}
        rows = checked.rows
        rows.mark()
    found["removed"] = begin.seq
    try:
        read_left(db, rows)
        read_rows(db, rows)
    finally:
        found["rows"], found["hash"] = rows.seq, rows.hash.hex()
    found["unchecked"] = sum(c.size < begin.seq and c.size not in checked.roots for c in checkpoints)
    compare_roots(checked.roots, checkpoints)
    compare(begin.seq, rows.seq, rows.roots, rows.back, checkpoints)
    if removed and removed[-1].removal not in rows.removals:
        raise Tampered("rows up to %d were removed, and no entry says so" % begin.seq)
    for removal in rows.removals:
        if all(one.removal != removal for one in removed):
            raise Tampered("an entry says that rows %s to %s were removed, and no statement does" % removal[:2])


def read_left(db, rows):
    """Checks rows that are still there although they left: they must lead to where
    history is known to have been."""
    last = rows.seq
    (first,) = db.execute("SELECT MIN(seq) FROM history WHERE seq <= ?", (last,)).fetchone()
    if first is None:
        return
    (prev,) = db.execute("SELECT prev FROM history WHERE seq = ?", (first,)).fetchone()
    left = Rows((), {}, Place())
    left.seq, left.hash = first - 1, prev
    read_span(db, left, first, last)
    rows.overlap(left)


def read_checkpoints(db):
    out = []
    for number, size, note in db.execute("SELECT id, size, note FROM checkpoint ORDER BY id"):
        if number != len(out) + 1:
            raise Tampered("checkpoint %d is missing" % (len(out) + 1))
        if type(size) is not int or not is_blob(note):
            raise Tampered("checkpoint %d has another form" % number)
        out.append((number, size, note))
    return out


def read_rows(db, rows):
    first, last = db.execute("SELECT COALESCE(MIN(seq), 1), COALESCE(MAX(seq), 0) FROM history").fetchone()
    (strays,) = db.execute(
        "SELECT count(*) FROM (SELECT 1 FROM history_personal WHERE seq < ? UNION ALL SELECT 1 FROM history_personal WHERE seq > ?)", (first, last)
    ).fetchone()
    if strays:
        raise Tampered("there is personal data that belongs to no row")
    read_span(db, rows, rows.seq + 1, last)
    rows.close()


def read_span(db, rows, first, last):
    for begin in range(first, last + 1, BATCH):
        end = min(begin + BATCH - 1, last)
        batch = db.execute("SELECT seq, body, prev, hash FROM history WHERE seq BETWEEN ? AND ? ORDER BY seq", (begin, end)).fetchall()
        personal = {}
        for seq, *rest in db.execute("SELECT seq, field, salt, value FROM history_personal WHERE seq BETWEEN ? AND ? ORDER BY seq, field", (begin, end)):
            personal.setdefault(seq, []).append(rest)
        for seq, body, prev, stored in batch:
            rows.next(seq, body, prev, stored, personal.pop(seq, ()))
        if rows.seq < end:
            raise Tampered("rows after %d are missing" % rows.seq)
        if personal:
            raise Tampered("there is personal data that belongs to no row")


# -------------------------------------------------------------------- archives


ARCHIVE_FILES = sorted(("README.txt", "rows.jsonl", "personal.jsonl", "archive.txt", "checkpoint.txt", "growth.json", "key.txt", "verify_history.py"))
SMALL, LINE = 1 << 20, 64 << 20


class Checked:
    """What the check of archives came to."""

    def __init__(self):
        self.all, self.roots, self.rows = [], {}, None


class Archive:
    def __init__(self, path, keys):
        self.path, self.what = path, "archive " + os.path.basename(path)
        self.keys = keys
        with self.opened() as z:
            if sorted(z.namelist()) != ARCHIVE_FILES:
                raise Tampered(self.what + " has other files than an archive")
            self.statement = Statement(self.small(z, "archive.txt"), keys, "archive", self.what)

    @contextlib.contextmanager
    def opened(self):
        try:
            with open(self.path, "rb") as f, zipfile.ZipFile(f) as z:
                yield z
        except OSError as e:
            raise Unreadable(str(e))
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, struct.error, UnicodeDecodeError) as e:
            raise Tampered("%s is damaged or cut off: %s" % (self.what, e))

    def small(self, z, name):
        with z.open(name) as f:
            text = f.read(SMALL + 1)
        if len(text) > SMALL:
            raise Tampered("%s: %s is too long" % (self.what, name))
        return text

    def lines(self, z, name, members, digest):
        """The lines of a file, each a list of the values of these members."""
        with z.open(name) as f:
            while True:
                line = f.readline(LINE)
                digest.update(line)
                if not line:
                    return
                try:
                    value = json.loads(line.decode("utf-8"))
                    again = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
                    if again.encode("utf-8") + b"\n" != line or list(value) != members:
                        raise ValueError
                    if type(value["seq"]) is not int or any(type(value[m]) is not str for m in members[1:]):
                        raise ValueError
                except (ValueError, TypeError, RecursionError):
                    raise Tampered("%s: a line of %s has another form" % (self.what, name))
                yield [value[m] for m in members]

    def check(self, rows):
        """Checks everything from where rows stand, which is where the archive begins."""
        s, digest = self.statement, hashlib.sha256()
        with self.opened() as z:
            ahead = self.lines(z, "personal.jsonl", ["seq", "field", "salt", "value"], hashlib.sha256())
            waiting = next(ahead, None)
            for seq, body, stored, prev in self.lines(z, "rows.jsonl", ["seq", "body", "hash", "prev"], digest):
                personal = []
                while waiting is not None and waiting[0] == seq:
                    personal.append((Text(waiting[1].encode()), self.hex(waiting[2]), Text(waiting[3].encode())))
                    waiting = next(ahead, None)
                try:
                    rows.next(seq, body.encode(), self.hex(prev), self.hex(stored), personal)
                except Tampered as e:
                    raise Tampered("%s: %s" % (self.what, e))
            if waiting is not None:
                raise Tampered(self.what + ": there is personal data that belongs to no row")
            if digest.digest() != s.rows or rows.place() != s.after:
                raise Tampered(self.what + ": rows.jsonl is not as it was signed")
            self.check_growth(z)

    def hex(self, text):
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            raw = b""
        if raw.hex() != text:
            raise Tampered(self.what + ": a line has another form")
        return raw

    def check_growth(self, z):
        c = Checkpoint(self.small(z, "checkpoint.txt"), self.keys, self.what + ": checkpoint.txt")
        s = self.statement
        try:
            growth = json.loads(self.small(z, "growth.json").decode("utf-8"))
            proof = hashes(growth["proof"], self.what + ": the proof")
            if sorted(growth) != ["proof", "size"] or growth["size"] != c.size or c.size < s.last:
                raise ValueError
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise Tampered(self.what + ": the proof belongs to another checkpoint")
        root = s.after.tree.root()
        if c.size == s.last:
            right = not proof and c.root == root
        else:
            right = grown(proof, s.last, root, c.size) == (root, c.root)
        if not right:
            raise Tampered(self.what + ": its checkpoint has not grown out of it")


def archive_paths(given):
    out = []
    for path in given:
        if not os.path.exists(path):
            raise Unreadable("there is no " + path)
        out += sorted(glob.glob(os.path.join(glob.escape(path), "history-*.zip"))) if os.path.isdir(path) else [path]
    return out


def check_archives(given, keys, sizes, found):
    out = Checked()
    files = sorted((Archive(path, keys) for path in archive_paths(given)), key=lambda f: f.statement.first)
    for f in files:
        s, rows, copied = f.statement, None, False
        if out.all:
            last = out.all[-1]
            copied = last.text == s.text
            if not copied and last.last >= s.first:
                raise Tampered(f.what + " holds rows that another one holds too")
            if last.last + 1 == s.first:
                if last.after != s.before:
                    raise Tampered(f.what + " doesn't follow the one before")
                rows = out.rows
        if rows is None:
            rows = Rows(sizes, out.roots, s.before)
        lacking = rows.lacking
        f.check(rows)
        if copied:
            continue
        out.rows = rows
        out.all.append(s)
        found["archives"] += 1
        found["archived"] += s.last - s.first + 1
        found["erased"] += rows.lacking - lacking
    return out


def compare_archives(archives, removed):
    for one in archives:
        for r in removed:
            if one.first <= r.last and r.first <= one.last and one.text != r.text:
                raise Tampered("the archive with rows %d to %d is not the one that was removed from the database" % (one.first, one.last))


# ------------------------------------------------------------------------ pack


def load_json(path):
    try:
        with open(path, encoding="utf-8") as f:
            return json.load(f)
    except OSError as e:
        raise Unreadable(str(e))
    except ValueError:
        raise Tampered(path + " is no JSON")


def hashes(values, what):
    try:
        out = [base64.b64decode(v, validate=True) for v in values]
        if any(len(h) != 32 for h in out):
            raise ValueError
        return out
    except (ValueError, TypeError):
        raise Tampered(what + " has another form")


def files_in(directory):
    """The files in a directory, by name. What a link leads to is not in it."""

    def refuse(e):
        raise Unreadable(str(e))

    found = {}
    for at, inside, names in os.walk(directory, onerror=refuse):
        for name in inside + names:
            path = os.path.join(at, name)
            short = os.path.relpath(path, directory).replace(os.sep, "/")
            if os.path.islink(path):
                raise Tampered(short + " is a link")
            if os.path.isfile(path):
                found[short] = path
            elif name in names:
                raise Tampered(short + " is no file")
    return found


DER = bytes.fromhex("302a300506032b6570032100")  # what OpenSSL wants before a key


def check_files(directory, keys):
    """Checks that the files are those of the list, and that a known key signed it."""
    there = files_in(directory)
    text = read_file(os.path.join(directory, "manifest.txt"))
    signature = read_file(os.path.join(directory, "manifest.sig"))
    try:
        title, *lines = text.decode("utf-8").split("\n")[:-1]
        listed = dict(reversed(line.split("  ", 1)) for line in lines)
    except ValueError:
        raise Tampered("manifest.txt is no list of files")
    if not any(title == key.name + "/evidence" and signature_is_right(key.key, text, signature) for key in keys):
        raise Tampered("manifest.txt is not signed by a known key")
    wrong = []
    if "key.der" in there and read_file(there["key.der"]) not in [DER + key.key for key in keys]:
        wrong.append("key.der does not hold the key")
    for name in ("manifest.txt", "manifest.sig", "key.der"):
        there.pop(name, None)
    for name in sorted(set(listed) | set(there)):
        if name not in there:
            wrong.append(name + " is missing")
        elif name not in listed:
            wrong.append(name + " is not one of the files that were signed")
        elif listed[name] != hashlib.sha256(read_file(there[name])).hexdigest():
            wrong.append(name + " is not as it was signed")
    if wrong:
        raise Tampered("; ".join(wrong))


def check_pack(directory, key_path, found):
    keys = read_keys(key_path or os.path.join(directory, "key.txt"))
    check_files(directory, keys)
    try:
        with open(os.path.join(directory, "checkpoint.txt"), "rb") as f:
            checkpoint = Checkpoint(f.read(), keys, "checkpoint.txt")
        with open(os.path.join(directory, "rows.jsonl"), encoding="utf-8") as f:
            lines = f.read().split("\n")
    except OSError as e:
        raise Unreadable(str(e))
    except ValueError:
        raise Tampered("rows.jsonl is no text")
    proofs = load_json(os.path.join(directory, "proofs.json"))
    try:
        if proofs["size"] != checkpoint.size or hashes([proofs["root"]], "the root") != [checkpoint.root]:
            raise Tampered("proofs.json belongs to another checkpoint")
        given = proofs["proofs"]
        for line in lines:
            if line:
                check_packed(json.loads(line), given, checkpoint)
                found["rows"] += 1
        if found["rows"] != len(given):
            raise Tampered("there are %d rows and %d proofs" % (found["rows"], len(given)))
        for i, earlier in enumerate(proofs.get("earlier") or []):
            old = Checkpoint(earlier["checkpoint"].encode(), keys, "earlier checkpoint %d" % (i + 1))
            if not 0 < old.size <= checkpoint.size:
                raise Tampered(old.what + " covers more rows")
            roots = grown(hashes(earlier["proof"], "a proof"), old.size, old.root, checkpoint.size)
            if roots != (old.root, checkpoint.root):
                raise Tampered("the checkpoint has not grown out of " + old.what)
            found["checkpoints"] += 1
    except (KeyError, TypeError, AttributeError, ValueError):
        raise Tampered("the pack has another form")
    found["checkpoints"] += 1
    found["signed"] = checkpoint.size


def check_packed(row, proofs, checkpoint):
    seq = row["seq"]
    body = base64.b64decode(row["body_base64"], validate=True) if row.get("body_base64") else row["body"].encode("utf-8")
    digest = leaf_hash(body)
    entry = read_canonical(body)
    if type(seq) is not int or entry is None or entry.get("seq") != str(seq) or digest.hex() != row["hash"]:
        raise Tampered("row %r: the body doesn't match its number or its hash" % (seq,))
    if not 0 < seq <= checkpoint.size or included(hashes(proofs[str(seq)], "a proof"), checkpoint.size, seq - 1, digest) != checkpoint.root:
        raise Tampered("row %d is not one of those of the checkpoint" % seq)
    sealed = entry.get("sealed") or {}
    for p in row["personal"] or []:
        if sealed.get(p["field"]) != hashlib.sha256(bytes.fromhex(p["salt"]) + p["value"].encode("utf-8")).hexdigest():
            raise Tampered("row %d: personal data %s doesn't match its commitment" % (seq, p["field"]))


# ------------------------------------------------------------------------ main


def examine(check, *args):
    found = {"result": OK, "rows": 0, "hash": "", "checkpoints": 0, "anchored": 0, "signed": 0, "restored": 0, "excused": 0, "removed": 0, "unchecked": 0, "archives": 0, "archived": 0, "erased": 0}
    try:
        check(*args, found)
    except Tampered as e:
        found["result"], found["problem"] = TAMPERED, str(e)
    except RolledBack as e:
        found["result"], found["problem"] = ROLLED_BACK, str(e)
    except (Unreadable, sqlite3.Error, OSError, OverflowError, ValueError) as e:  # ValueError: SQLite quotes damaged text
        found["result"], found["problem"] = UNREADABLE, str(e)
    return found


def check_alone(archives, key_path, anchors, restored, found):
    if key_path is not None:
        return check_database(None, key_path, anchors, archives, restored, found)
    paths = archive_paths(archives)
    try:
        with tempfile.TemporaryDirectory() as directory, zipfile.ZipFile(paths[0]) as z:
            key_path = os.path.join(directory, "key.txt")
            with z.open("key.txt") as f, open(key_path, "wb") as copy:
                copy.write(f.read(SMALL))
            check_database(None, key_path, anchors, archives, restored, found)
    except (IndexError, KeyError, zipfile.BadZipFile):
        raise Tampered("there is no archive, or it is damaged or cut off")


def archive_words(found):
    if found["removed"]:
        yield "%d rows left the database for archives, on record and signed" % found["removed"]
    if found["archives"]:
        yield "%d archives with %d rows are as they were signed; %d pieces of personal data are not in them any more" % (
            found["archives"],
            found["archived"],
            found["erased"],
        )
    if found["unchecked"]:
        yield "%d of those checkpoints cover only rows that left and were not compared with them: name the archives with --archive" % found["unchecked"]


def batch():
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(examine(check_database, job.get("db"), job["key"], job.get("anchors"), job.get("archives"), job.get("restored") or [])), flush=True)
    return 0


def main(args):
    if args == ["--batch"]:
        return batch()
    plain, key, anchors, archives, restored, as_json = [], None, [], [], [], False
    args = list(args)
    while args:
        arg = args.pop(0)
        if arg == "--json":
            as_json = True
        elif arg in ("--key", "--anchor", "--archive") and args or arg == "--restored" and args and args[0].isdigit():
            value = args.pop(0)
            if arg == "--key":
                key = value
            elif arg == "--restored":
                restored.append(int(value))
            elif arg == "--anchor":
                anchors.append(value)
            else:
                archives.append(value)
        else:
            plain.append(arg)
    kind, paths = plain[0] if plain else "", plain[1:]
    if kind not in ("db", "pack", "archive") or not paths or kind != "archive" and len(paths) > 1 or any(path.startswith("-") for path in paths):
        print(__doc__, file=sys.stderr)
        return 2
    path = paths[0]
    if kind == "pack":
        found = examine(check_pack, path, key)
    elif kind == "archive":
        found = examine(check_alone, paths + archives, key, anchors, restored)
    else:
        beside = path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))
        known = os.path.join(beside, "anchors.log")
        if os.path.exists(known):
            anchors.append(known)
        found = examine(check_database, path, key or os.path.join(beside, "witness.pub"), anchors, archives, restored)
    if as_json:
        print(json.dumps(found, indent=2))
    elif found["result"] == OK:
        print("ok: %d rows, %d checkpoints, %d anchored; the newest covers %d rows" % (found["rows"], found["checkpoints"], found["anchored"], found["signed"]))
        for words in archive_words(found):
            print(words)
        if found["restored"]:
            print("history was taken back %d times with consent, so that %d checkpoints need not fit any more" % (found["restored"], found["excused"]))
    else:
        print("%s: %s" % (found["result"], found["problem"]), file=sys.stderr)
    return EXIT[found["result"]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
