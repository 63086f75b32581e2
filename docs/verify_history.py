#!/usr/bin/env python3
"""Verifies Gatehouse's history without Gatehouse.

It needs Python 3.9 or later and nothing else. It only reads. Every signature is
checked, by the few lines of Ed25519 below, many at a time; openssl can check any
of them again, as the README of an evidence pack shows.

  verify_history.py db PATH [--key FILE] [--anchor FILE]... [--restored N]... [--json]
      PATH is the data directory or the database file. The public keys come from
      FILE, or from witness.pub beside the database: better a copy that you kept
      elsewhere. Anchors are files with checkpoints that were kept elsewhere;
      anchors.log beside the database is read as well if it is there. Each
      restore of a backup to N rows that you know was agreed is named by
      --restored.

  verify_history.py pack DIR [--key FILE] [--json]
      DIR is an unpacked evidence pack.

  verify_history.py --batch
      Reads a JSON object a line, {"db": PATH, "key": FILE, "anchors": [FILE...],
      "restored": [N...]}, and writes a finding a line.

It exits with 0 if everything is as it was written, 1 if something was tampered
with, 2 if something can't be read, 3 if history was taken back or replaced: a
checkpoint covers rows that aren't there, or others.

WHAT IS CHECKED

The database has one row for each entry in the table history (a real one, as the
others that are read; no view): seq, body, prev, hash. For each of them, in order:
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

AN EVIDENCE PACK is a directory with
  rows.jsonl      one line for each row: {"seq": 7, "body": "...", "hash": hex,
                  "personal": [{"field": ..., "salt": hex, "value": ...}]};
                  further members are not looked at; body_base64 stands for a
                  body that is no text
  checkpoint.txt  a signed checkpoint
  about.json      what the pack is about (optional); "problem", unless it is
                  empty, is what the console said was wrong with history
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
import hashlib
import json
import os
import secrets
import sqlite3
import sys

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


def compare(rows, roots, back, checkpoints):
    newest = []
    for c in checkpoints:
        if len(c.restored) > len(newest):
            newest = c.restored
    for c in checkpoints:
        if any(size < c.size for size in newest[len(c.restored) :]):
            continue
        if c.size > rows:
            raise RolledBack("%s covers %d rows, there are %d" % (c.what, c.size, rows))
        if c.size in roots and roots[c.size] != c.root:
            raise RolledBack("the first %d rows aren't those of %s" % (c.size, c.what))
    for i, size in enumerate(newest):
        undone = any(later <= size for later in newest[i + 1 :])
        if not undone and size not in back:
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


# --------------------------------------------------------------------- anchors


def read_file(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError as e:
        raise Unreadable(str(e))


def read_or_why_not(path):
    try:
        if os.path.getsize(path) > 1 << 30:
            raise Unreadable(path + " is larger than 1 GiB")
        return read_file(path)
    except (Unreadable, OSError) as e:
        return Unreadable(str(e))


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
    """Checks consecutive rows."""

    def __init__(self, sizes):
        self.seq = 0
        self.hash = bytes(32)
        self.tree = Tree()
        self.sizes = sizes
        self.roots = {}
        self.gone = {}  # whose personal data is missing -> in which row last
        self.erased = {}
        self.back = set()  # sizes that history was taken back to, on record
        self.mark()

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
            try:
                name = field.decode("utf-8")
            except ValueError:
                wrong("its personal data has another form")
            if name in there:
                wrong("personal data is there twice")
            if sealed.get(name) != hashlib.sha256(salt + value).hexdigest():
                wrong("personal data doesn't match its commitment")
            there.add(name)
        actor = member(entry, "actor", "id")
        if entry.get("action") == "user.erased":
            who = member(entry, "object", "id", None)
            if who is not None:
                self.erased[who] = seq
        for name in sealed:
            if name in there:
                continue
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


def member(entry, part, name, otherwise=""):
    value = entry.get(part)
    value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) else otherwise


BATCH = 1024


def check_database(path, key_path, anchors, restored, found):
    if os.path.isdir(path):
        path = os.path.join(path, "console.db")
    if anchors is None:
        anchors = []
    texts = [read_or_why_not(anchor) for anchor in anchors]  # before the rows: those that are written meanwhile don't matter
    db = open_database(path)
    try:
        db.execute("BEGIN")
        for table in ("history", "history_personal", "checkpoint"):
            (others,) = db.execute("SELECT count(*) FROM sqlite_master WHERE lower(name) = ? AND (type <> 'table' OR rootpage = 0)", (table,)).fetchone()
            if others:
                raise Tampered(table + " is not a table")
            (result,) = db.execute("PRAGMA quick_check(%s)" % table).fetchone()
            if result != b"ok":
                raise Unreadable("the database file is damaged: " + result.decode(errors="replace"))
        stored = read_checkpoints(db)
        found["checkpoints"] = len(stored)
        checkpoints, bad = [], []
        if stored or anchors:
            keys = read_keys(key_path)
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
        unnamed = ask_for_restores(checkpoints, len(stored), restored, found)
        rows = Rows({c.size for c in checkpoints})
        try:
            read_rows(db, rows)
        finally:
            found["rows"], found["hash"] = rows.seq, rows.hash.hex()
        compare(rows.seq, rows.roots, rows.back, checkpoints)
        if unnamed or bad:
            raise unnamed or bad[0]
    finally:
        db.close()


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
    last = db.execute("SELECT seq, hash FROM history WHERE seq = (SELECT MAX(seq) FROM history)").fetchone()
    last = last[0] if last else 0
    (strays,) = db.execute(
        "SELECT count(*) FROM (SELECT 1 FROM history_personal WHERE seq < 1 UNION ALL SELECT 1 FROM history_personal WHERE seq > ?)", (last,)
    ).fetchone()
    if strays:
        raise Tampered("there is personal data that belongs to no row")
    for begin in range(1, last + 1, BATCH):
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
    rows.close()


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
    about = os.path.join(directory, "about.json")
    problem = load_json(about) if os.path.exists(about) else {}
    problem = problem.get("problem") if isinstance(problem, dict) else "about.json has another form"
    if problem:
        raise Tampered("the console itself said when it made the pack: " + str(problem))


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
    found = {"result": OK, "rows": 0, "hash": "", "checkpoints": 0, "anchored": 0, "signed": 0, "restored": 0, "excused": 0}
    try:
        check(*args, found)
    except Tampered as e:
        found["result"], found["problem"] = TAMPERED, str(e)
    except RolledBack as e:
        found["result"], found["problem"] = ROLLED_BACK, str(e)
    except (Unreadable, sqlite3.Error, OSError, OverflowError, ValueError) as e:  # ValueError: SQLite quotes damaged text
        found["result"], found["problem"] = UNREADABLE, str(e)
    return found


def batch():
    for line in sys.stdin:
        job = json.loads(line)
        print(json.dumps(examine(check_database, job["db"], job["key"], job.get("anchors"), job.get("restored") or [])), flush=True)
    return 0


def main(args):
    if args == ["--batch"]:
        return batch()
    plain, key, anchors, restored, as_json = [], None, [], [], False
    args = list(args)
    while args:
        arg = args.pop(0)
        if arg == "--json":
            as_json = True
        elif arg in ("--key", "--anchor") and args or arg == "--restored" and args and args[0].isdigit():
            value = args.pop(0)
            if arg == "--key":
                key = value
            elif arg == "--restored":
                restored.append(int(value))
            else:
                anchors.append(value)
        else:
            plain.append(arg)
    if len(plain) != 2 or plain[0] not in ("db", "pack") or plain[1].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    path = plain[1]
    if plain[0] == "pack":
        found = examine(check_pack, path, key)
    else:
        beside = path if os.path.isdir(path) else os.path.dirname(os.path.abspath(path))
        known = os.path.join(beside, "anchors.log")
        if os.path.exists(known):
            anchors.append(known)
        found = examine(check_database, path, key or os.path.join(beside, "witness.pub"), anchors, restored)
    if as_json:
        print(json.dumps(found, indent=2))
    elif found["result"] == OK:
        print("ok: %d rows, %d checkpoints, %d anchored; the newest covers %d rows" % (found["rows"], found["checkpoints"], found["anchored"], found["signed"]))
        if found["restored"]:
            print("history was taken back %d times with consent, so that %d checkpoints need not fit any more" % (found["restored"], found["excused"]))
    else:
        print("%s: %s" % (found["result"], found["problem"]), file=sys.stderr)
    return EXIT[found["result"]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
