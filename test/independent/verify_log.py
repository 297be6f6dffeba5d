#!/usr/bin/env python3
"""Verifies the audit log of a Countersign service: a second implementation, from the specifications alone.

    verify_log.py --url URL --token-file FILE --vkey VKEY [--trusted FILE]
    verify_log.py --dir DIRECTORY --vkey VKEY [--trusted FILE]
    verify_log.py --archive FILE --vkey VKEY [--trusted FILE]

Read for it: docs/audit.md ("What is checked", "Rotating the log's key", the table of paths, the archive); C2SP signed-note,
tlog-checkpoint and tlog-tiles; RFC 6962 (tree), RFC 8785 (canonical JSON), RFC 8032 (Ed25519); FIPS 202 and the Ethereum
yellow paper (Keccak-256), SEC 1 4.1.6 (recovery), EIP-191. It needs Python 3 and no package.

--dir is a directory with what the paths under /v1/audit give: checkpoint, tile/..., data/... With it, and with --url, only the
newest checkpoint is looked at, beside the trusted one.

Exit: 0 the log is good up to its checkpoint; 1 it is not, with the index of the first bad entry; 2 it cannot be read.

What it leaves out: the digests of transactions, typed data and authorizations are not made anew from their intents (those of
messages are).
"""

import argparse
import base64
import calendar
import hashlib
import json
import os
import re
import sqlite3
import sys
import urllib.error
import urllib.request


class Bad(Exception):
    """Something is wrong with the log. The index is that of the first bad entry, as far as it can be told."""

    def __init__(self, index, why):
        super().__init__(why)
        self.index = index


class Unreadable(Exception):
    """The log cannot be read, or the arguments are wrong."""


# --- Ed25519, RFC 8032 5.1 ------------------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def ed_add(a, b):
    """Extended coordinates, 5.1.4."""
    t1 = (a[1] - a[0]) * (b[1] - b[0]) % P
    t2 = (a[1] + a[0]) * (b[1] + b[0]) % P
    t3 = 2 * a[3] * b[3] * D % P
    t4 = 2 * a[2] * b[2] % P
    e, f, g, h = t2 - t1, t4 - t3, t4 + t3, t2 + t1
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def ed_mul(n, point):
    total = (0, 1, 1, 0)
    while n > 0:
        if n & 1:
            total = ed_add(total, point)
        point = ed_add(point, point)
        n >>= 1
    return total


def ed_decode(data):
    """The point of 32 bytes, 5.1.3; None for none."""
    number = int.from_bytes(data, "little")
    y, sign = number & (2**255 - 1), number >> 255
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P != 0:
        x = x * SQRT_M1 % P
    if (x * x - square) % P != 0 or (x == 0 and sign == 1):
        return None
    if x & 1 != sign:
        x = P - x
    return (x, y, 1, x * y % P)


ED_BASE = ed_decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))


def ed25519_verify(public_key, message, signature):
    """5.1.7"""
    if len(public_key) != 32 or len(signature) != 64:
        return False
    a, r = ed_decode(public_key), ed_decode(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public_key + message).digest(), "little") % L
    left, right = ed_mul(s, ED_BASE), ed_add(r, ed_mul(k, a))
    return all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))


# --- Keccak-256, and the recovery of an Ethereum address ------------------------------------------------------------

MASK = 2**64 - 1
ROTATIONS = ((0, 36, 3, 41, 18), (1, 44, 10, 45, 2), (62, 6, 43, 15, 61), (28, 55, 25, 21, 56), (27, 20, 39, 8, 14))


def round_constants():
    """FIPS 202 3.2.5, algorithm 5: bits of a shift register."""
    register, constants = 1, []
    for _ in range(24):
        constant = 0
        for j in range(7):
            constant |= (register & 1) << (2**j - 1)
            register = (register << 1) ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return constants


ROUND_CONSTANTS = round_constants()


def rotate(word, by):
    return (word << by | word >> (64 - by)) & MASK


def keccak_f(a):
    """FIPS 202 3.3 on 5 by 5 words, a[x][y]."""
    for constant in ROUND_CONSTANTS:
        c = [a[x][0] ^ a[x][1] ^ a[x][2] ^ a[x][3] ^ a[x][4] for x in range(5)]
        d = [c[x - 1] ^ rotate(c[(x + 1) % 5], 1) for x in range(5)]
        b = [[0] * 5 for _ in range(5)]
        for x in range(5):
            for y in range(5):
                b[y][(2 * x + 3 * y) % 5] = rotate(a[x][y] ^ d[x], ROTATIONS[x][y])
        a = [[b[x][y] ^ (~b[(x + 1) % 5][y] & b[(x + 2) % 5][y]) for y in range(5)] for x in range(5)]
        a[0][0] ^= constant
    return a


def keccak256(data):
    """With the padding of Ethereum, which is older than that of SHA-3."""
    rate = 136
    padded = bytearray(data + b"\x01" + bytes(-(len(data) + 1) % rate))
    padded[-1] |= 0x80
    state = [[0] * 5 for _ in range(5)]
    for start in range(0, len(padded), rate):
        for i in range(rate // 8):
            state[i % 5][i // 5] ^= int.from_bytes(padded[start + 8 * i : start + 8 * i + 8], "little")
        state = keccak_f(state)
    return b"".join(state[i][0].to_bytes(8, "little") for i in range(4))


SECP_P = 2**256 - 2**32 - 977
SECP_N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
SECP_G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)


def secp_add(a, b):
    """Affine points; None is the point at infinity."""
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % SECP_P == 0:
            return None
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, SECP_P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, SECP_P)
    x = (slope * slope - a[0] - b[0]) % SECP_P
    return (x, (slope * (a[0] - x) - a[1]) % SECP_P)


def secp_mul(n, point):
    total = None
    while n > 0:
        if n & 1:
            total = secp_add(total, point)
        point = secp_add(point, point)
        n >>= 1
    return total


def recover_address(digest, signature):
    """SEC 1 4.1.6; None where no key can have made it. The signature is r, s and v = 27 or 28; s must be low (EIP-2)."""
    r, s, odd = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:64], "big"), signature[64] - 27
    if not (0 < r < SECP_N and 0 < s <= SECP_N // 2 and odd in (0, 1)):
        return None
    square = (pow(r, 3, SECP_P) + 7) % SECP_P
    y = pow(square, (SECP_P + 1) // 4, SECP_P)
    if (y * y - square) % SECP_P != 0:
        return None
    if y & 1 != odd:
        y = SECP_P - y
    z, inverse = int.from_bytes(digest, "big"), pow(r, -1, SECP_N)
    key = secp_add(secp_mul(s * inverse % SECP_N, (r, y)), secp_mul(-z * inverse % SECP_N, SECP_G))
    if key is None:
        return None
    return "0x" + keccak256(key[0].to_bytes(32, "big") + key[1].to_bytes(32, "big"))[12:].hex()


# --- Canonical JSON, RFC 8785 ---------------------------------------------------------------------------------------

SHORT_ESCAPES = {8: "\\b", 9: "\\t", 10: "\\n", 12: "\\f", 13: "\\r", 34: '\\"', 92: "\\\\"}
MAX_DEPTH = 128


class Number(str):
    """A number as it was written."""


def ecmascript_number(value):
    """Number::toString of ECMA-262, from the shortest digits, which Python's repr gives as well."""
    if value == 0:
        return "0"
    if value < 0:
        return "-" + ecmascript_number(-value)
    mantissa, _, exponent = repr(value).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = len(whole + fraction) - len(digits)
    point = len(whole) - leading + int(exponent or 0)
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    power = f"e{'+' if point > 0 else '-'}{abs(point - 1)}"
    return digits[0] + ("." + digits[1:] if count > 1 else "") + power


def canonical(value, depth=0):
    if isinstance(value, Number):
        return ecmascript_number(float(value))
    if isinstance(value, str):
        value.encode("utf-8")  # Raises for a lone surrogate.
        return '"' + "".join(SHORT_ESCAPES.get(ord(c), f"\\u{ord(c):04x}" if ord(c) < 32 else c) for c in value) + '"'
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if depth == MAX_DEPTH:
        raise ValueError("it is nested too deep")
    if isinstance(value, list):
        return "[" + ",".join(canonical(item, depth + 1) for item in value) + "]"
    names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join(canonical(name) + ":" + canonical(value[name], depth + 1) for name in names) + "}"


def no_constant(name):
    raise ValueError(f"{name} is no JSON")


def parse_entry(data):
    """The members of an entry whose bytes are canonical; a member that comes twice is lost in reading, and so shows."""
    text = data.decode("utf-8")
    value = json.loads(text, parse_int=Number, parse_float=Number, parse_constant=no_constant)
    if not isinstance(value, dict):
        raise ValueError("it is no object")
    if canonical(value) != text:
        raise ValueError("it is not in canonical form")
    return value


# --- Signed notes, checkpoints, the tree ----------------------------------------------------------------------------


def from_base64(text):
    data = base64.b64decode(text, validate=True)
    if base64.b64encode(data).decode() != text:
        raise ValueError("not canonical base64")
    return data


class Vkey:
    """A verifier key of C2SP signed-note: name+hash+key."""

    def __init__(self, text):
        self.text = text
        self.name, key_hash, key = text.split("+", 2)
        encoded = from_base64(key)
        self.id = hashlib.sha256(self.name.encode() + b"\n" + encoded).digest()[:4]
        if len(encoded) != 33 or encoded[0] != 1 or self.id.hex() != key_hash or not self.name:
            raise ValueError("not a verifier key of Ed25519")
        self.public_key = encoded[1:]


class Note:
    def __init__(self, text):
        self.text, separator, signatures = text.rpartition("\n\n")
        self.text += "\n"
        if not separator or not signatures.endswith("\n"):
            raise ValueError("not a signed note")
        if re.search("[\x00-\x09\x0b-\x1f]", text):
            raise ValueError("a note with control characters")
        self.signatures = []
        for line in signatures[:-1].split("\n"):
            match = re.fullmatch("\u2014 ([^ +]+) ([A-Za-z0-9+/=]+)", line)
            if match is None:
                raise ValueError("a note with a line that is no signature")
            data = from_base64(match[2])
            self.signatures.append((match[1], data[:4], data[4:]))

    def signed_by(self, vkey):
        """Others' signatures are ignored; there must be one by this key, and all of them good."""
        own = [data for name, key_id, data in self.signatures if (name, key_id) == (vkey.name, vkey.id)]
        message = self.text.encode()
        return bool(own) and all(ed25519_verify(vkey.public_key, message, data) for data in own)


def parse_size(text):
    if not re.fullmatch("0|[1-9][0-9]{0,15}", text):
        raise ValueError("not a size")
    return int(text)


def parse_root(text):
    root = from_base64(text)
    if len(root) != 32:
        raise ValueError("a root hash has 32 bytes")
    return root


class Checkpoint:
    """C2SP tlog-checkpoint: origin, size, root; extension lines are passed over."""

    def __init__(self, text):
        self.note = Note(text)
        lines = self.note.text.split("\n")
        if len(lines) < 4 or lines[-1] != "" or "" in lines[:-1]:
            raise ValueError("not a checkpoint")
        self.origin, self.size, self.root = lines[0], parse_size(lines[1]), parse_root(lines[2])


class Tree:
    """RFC 6962: the roots of the full subtrees that the leaves so far make, the largest first."""

    def __init__(self):
        self.size = 0
        self.subtrees = []
        # Roots of the full subtrees of 256^level leaves, as tiles have them.
        self.tiles = []

    def append(self, leaf):
        node, size, height = leaf, self.size, 0
        self.subtrees.append(leaf)
        while size % 2 == 1:
            right, left = self.subtrees.pop(), self.subtrees.pop()
            node = hashlib.sha256(b"\x01" + left + right).digest()
            self.subtrees.append(node)
            size, height = size // 2, height + 1
            if height % 8 == 0:
                while len(self.tiles) < height // 8:
                    self.tiles.append([])
                self.tiles[height // 8 - 1].append(node)
        self.size += 1

    def root(self):
        if not self.subtrees:
            return hashlib.sha256(b"").digest()
        node = self.subtrees[-1]
        for left in reversed(self.subtrees[:-1]):
            node = hashlib.sha256(b"\x01" + left + node).digest()
        return node


# --- Where a log is read from ---------------------------------------------------------------------------------------


def tile_name(index, width):
    """C2SP tlog-tiles: x001/x234/067, with .p/W behind it for a partial one."""
    digits = str(index)
    digits = digits.zfill((len(digits) + 2) // 3 * 3)
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    return "/".join(["x" + group for group in groups[:-1]] + groups[-1:]) + ("" if width == 256 else f".p/{width}")


def service(url, token):
    """Gives the bytes under a path below /v1/audit/; None where there is nothing."""

    def get(path):
        headers = {"authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(f"{url.rstrip('/')}/v1/audit/{path}", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.read()
        except urllib.error.HTTPError as error:
            if error.code == 404:
                return None
            raise Unreadable(f"{path}: the service answers {error.code}") from error
        except OSError as error:
            raise Unreadable(f"{path}: {error}") from error

    return get


def directory(root):
    def get(path):
        try:
            with open(os.path.join(root, path), "rb") as file:
                return file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unreadable(str(error)) from error

    return get


class Tiles:
    """A log by C2SP tlog-tiles, up to its newest checkpoint."""

    def __init__(self, get):
        self.get = get

    def notes(self):
        note = self.get("checkpoint")
        return [] if note is None else [note.decode()]

    def entries(self, size):
        """The bytes of each entry, and the leaf hash that is served for it."""
        for index in range((size + 255) // 256):
            width = min(256, size - 256 * index)
            name, first = tile_name(index, width), 256 * index
            bundle, hashes = self.get(f"tile/entries/{name}"), self.get(f"tile/0/{name}")
            if bundle is None or hashes is None or len(hashes) != 32 * width:
                raise Bad(first, f"the entries {first} to {first + width - 1} or their hashes are not there")
            at = 0
            for i in range(width):
                end = at + 2 + int.from_bytes(bundle[at : at + 2], "big")
                if at + 2 > len(bundle) or end > len(bundle):
                    raise Bad(first + i, "its bundle ends before it does")
                yield bundle[at + 2 : end], hashes[32 * i : 32 * i + 32]
                at = end
            if at != len(bundle):
                raise Bad(first, "its bundle has more in it than entries")

    def data(self, named):
        return self.get(f"data/{named}")

    def check_tree(self, tree):
        """The hashes that are served above the leaves."""
        for level, hashes in enumerate(tree.tiles, 1):
            for first in range(0, len(hashes), 256):
                made = hashes[first : first + 256]
                if self.get(f"tile/{level}/{tile_name(first // 256, len(made))}") != b"".join(made):
                    raise Bad(first * 256**level, f"tile {first // 256} of level {level} is not that of its entries")


class Archive:
    """A file that was exported: SQLite, whose table `about` says what is in it."""

    def __init__(self, path):
        try:
            self.db = sqlite3.connect(f"file:{urllib.request.pathname2url(path)}?mode=ro", uri=True)
            form = self.db.execute("SELECT value FROM about WHERE name = 'format'").fetchone()
        except sqlite3.Error as error:
            raise Unreadable(f"{path}: {error}") from error
        if form != ("countersign-audit-archive/v1",):
            raise Unreadable(f"{path} is no archive of an audit log")

    def notes(self):
        return [note for (note,) in self.db.execute("SELECT note FROM checkpoints ORDER BY size")]

    def entries(self, _size):
        expected = 0
        for index, leaf, data in self.db.execute("SELECT idx, leaf_hash, entry FROM audit_entries ORDER BY idx"):
            if index != expected:
                raise Bad(expected, f"it is not there: entry {index} is in its place")
            yield data, leaf
            expected += 1

    def data(self, named):
        row = self.db.execute("SELECT data FROM audit_data WHERE sha256 = ?", (bytes.fromhex(named[2:]),)).fetchone()
        return row and row[0]

    def check_tree(self, tree):
        """It has none."""


# --- What must hold of entries --------------------------------------------------------------------------------------

HEX32 = re.compile("0x[0-9a-f]{64}")
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)\.\d{3}Z", re.ASCII)


def is_time(value):
    match = TIME.fullmatch(value) if isinstance(value, str) and not isinstance(value, Number) else None
    if match is None:
        return False
    year, month, day, hour, minute, second = map(int, match.groups())
    # The year 0 is a leap year as 2000 is, and no year of Python's.
    return 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year or 2000, month)[1] and hour < 24 and minute < 60 and second < 60


def member(value, *names):
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def is_text(value):
    return isinstance(value, str) and not isinstance(value, Number)


def integer(value):
    return int(value) if isinstance(value, Number) and re.fullmatch("0|[1-9][0-9]{0,15}", value) else None


class Entries:
    """Entries one after the other, each against the one ahead of it."""

    def __init__(self, read_data):
        self.read_data = read_data
        self.time = ""
        self.epoch = None
        self.signatures = 0

    def check(self, index, entry):
        if member(entry, "v") != Number("1") or not isinstance(entry["v"], Number):
            raise Bad(index, "it is not of schema version 1")
        if integer(member(entry, "index")) != index:
            raise Bad(index, "it carries another index")
        if not is_text(member(entry, "kind")) or not is_text(member(entry, "outcome")):
            raise Bad(index, "it has no kind or no outcome")
        if not is_time(member(entry, "time")):
            raise Bad(index, "it has no time")
        if entry["time"] < self.time:
            raise Bad(index, "its time is before that of the entry ahead")
        self.time = entry["time"]
        epoch = integer(member(entry, "service", "epoch"))
        if epoch is None or epoch not in (self.epoch, index):
            raise Bad(index, "the run of the service that it is said to be of did not begin with it, nor is it that of the entry ahead")
        self.epoch = epoch
        self.check_limits(index, entry)
        data = self.data_beside(index, entry)
        self.check_signature(index, entry, data)

    def check_limits(self, index, entry):
        limits = member(entry, "decision", "limits")
        for limit in [] if limits is None else limits if isinstance(limits, list) else [limits]:
            sums = [member(limit, name) for name in ("before", "amount", "after")]
            if not all(is_text(each) and re.fullmatch("0|[1-9][0-9]{0,99}", each) for each in sums):
                raise Bad(index, "a limit in it is no number")
            if int(sums[0]) + int(sums[1]) != int(sums[2]):
                raise Bad(index, "a limit in it does not add up")

    def data_beside(self, index, entry):
        """The bytes that the intent names by their hash."""
        operation, holder = member(entry, "operation"), member(entry, "intent")
        if operation == "transaction":
            holder = member(holder, "transaction")
        named = member(holder, "dataHash")
        if operation not in ("transaction", "message") or named is None or member(holder, "data") is not None:
            return None
        if not is_text(named) or not HEX32.fullmatch(named):
            raise Bad(index, "it names data by something that is no hash")
        data = self.read_data(named)
        if data is None:
            raise Bad(index, "the data that it names by its hash is not there")
        if "0x" + hashlib.sha256(data).hexdigest() != named or len(data) != integer(member(holder, "dataLength")):
            raise Bad(index, "the data beside it has another hash or length")
        return data

    def check_signature(self, index, entry, data):
        signed = entry["kind"] == "sign" and entry["outcome"] == "done"
        if signed != ("signature" in entry):
            raise Bad(index, "it has a signature and should not, or the other way round")
        if not signed:
            return
        signature, digest, address = entry["signature"], member(entry, "digest"), member(entry, "key", "address")
        if not is_text(signature) or not re.fullmatch("0x[0-9a-f]{130}", signature):
            raise Bad(index, "its signature is not 65 bytes")
        if not is_text(digest) or not HEX32.fullmatch(digest) or not is_text(address):
            raise Bad(index, "it has no digest or no address")
        signer = recover_address(bytes.fromhex(digest[2:]), bytes.fromhex(signature[2:]))
        if signer != address.lower():
            raise Bad(index, f"its signature is not that of {address}")
        if entry.get("operation") == "message":
            self.check_message(index, entry, data)
        self.signatures += 1

    def check_message(self, index, entry, data):
        """EIP-191: the digest of the bytes that were signed."""
        text = member(entry, "intent", "data")
        if data is None:
            if not is_text(text) or not re.fullmatch("0x([0-9a-f]{2})*", text):
                raise Bad(index, "its message is not there")
            data = bytes.fromhex(text[2:])
        if "0x" + keccak256(b"\x19Ethereum Signed Message:\n%d" % len(data) + data).hex() != entry["digest"]:
            raise Bad(index, "its digest is not that of its message")


class Keys:
    """
    Which key speaks for the log: from the pinned one on, each rotation is signed by the key before it. The pinned one may
    come later in the log; checkpoints before it cannot be checked.
    """

    HEADING = "countersign audit log key rotation v1"

    def __init__(self, pinned):
        self.current = pinned
        self.in_force = False
        self.led_to = None
        self.rotations = 0
        self.not_checked = 0
        self.doubt = None

    def rotate(self, index, entry, root, vouched):
        detail = member(entry, "detail")
        try:
            note = Note(member(detail, "note"))
            heading, size, old_root, old_text, new_text, end = note.text.split("\n")
            old, new = Vkey(old_text), Vkey(new_text)
            fits = (heading, parse_size(size), end) == (self.HEADING, index, "")
            old_root = parse_root(old_root)
        except (ValueError, TypeError, AttributeError) as error:
            raise Bad(index, f"its note is not one of a rotation: {error}") from error
        if not fits or entry["outcome"] != "done" or old.name != new.name or old_text == new_text:
            raise Bad(index, "its note is one for another place in the log")
        if member(detail, "oldKey") != old_text or member(detail, "newKey") != new_text:
            raise Bad(index, "its note is about other keys")
        if not note.signed_by(old):
            raise Bad(index, "its note is not signed by the old key")
        if self.led_to not in (None, old_text) or (self.in_force and old_text != self.current.text):
            raise Bad(index, "its old key is not the one that was in force")
        if old_root != root:
            raise Bad(vouched, f"one of the entries from here to {index} is not what the old key has signed for at its rotation")
        if self.in_force or old_text == self.current.text:
            self.take_force()
            self.current = new
        elif new_text == self.current.text:
            self.in_force, self.doubt = True, None
        self.led_to = new_text
        self.rotations += 1

    def take_force(self):
        if self.doubt is not None:
            raise self.doubt
        self.in_force = True

    def speaks(self, checkpoint, what):
        """Whether the checkpoint is by the key in force; False while that may be one before the pinned key."""
        bad = Bad(max(checkpoint.size - 1, 0), f"{what} is not signed by the key in force")
        if checkpoint.origin != self.current.name:
            raise Bad(bad.index, f"{what} is one of another log")
        if checkpoint.note.signed_by(self.current):
            self.take_force()
            return True
        if self.in_force:
            raise bad
        self.doubt = self.doubt or bad
        self.not_checked += 1
        return False


def read_checkpoints(source):
    checkpoints = []
    for text in source.notes():
        last = checkpoints[-1].size if checkpoints else 0
        try:
            checkpoints.append(Checkpoint(text))
        except ValueError as error:
            raise Bad(last, f"a checkpoint is none: {error}") from error
        if checkpoints[-1].size < last:
            raise Bad(last, "a checkpoint covers less than the one before it")
    if not checkpoints:
        raise Bad(0, "there is no checkpoint")
    return checkpoints


def verify(source, pinned, trusted):
    """Returns what was found good; raises Bad for anything that is not."""
    checkpoints = read_checkpoints(source)
    size = checkpoints[-1].size
    tree, keys, entries = Tree(), Keys(pinned), Entries(source.data)
    vouched = 0
    awaited = [(each, f"the checkpoint of {each.size} entries") for each in checkpoints]
    if trusted is not None:
        awaited.append((trusted, "the trusted checkpoint"))
        awaited.sort(key=lambda each: each[0].size)

    def pass_checkpoints():
        nonlocal vouched
        while awaited and awaited[0][0].size == tree.size:
            checkpoint, what = awaited.pop(0)
            if not keys.speaks(checkpoint, what):
                continue
            if checkpoint.root != tree.root():
                raise Bad(vouched, f"one of the entries from here to {max(tree.size - 1, 0)} is not what {what} covers")
            vouched = tree.size

    pass_checkpoints()
    for data, leaf in source.entries(size):
        index = tree.size
        if hashlib.sha256(b"\x00" + data).digest() != leaf:
            raise Bad(index, "its bytes do not have its leaf hash")
        try:
            entry = parse_entry(data)
        except (ValueError, RecursionError) as error:
            raise Bad(index, f"it is no canonical JSON: {error}") from error
        entries.check(index, entry)
        if entry["kind"] == "audit.key_rotated":
            keys.rotate(index, entry, tree.root(), vouched)
        tree.append(leaf)
        pass_checkpoints()
    if awaited:
        checkpoint, what = awaited[0]
        raise Bad(tree.size, f"the log is cut: it has {tree.size} entries, and {what} covers {checkpoint.size}")
    if not keys.in_force:
        raise keys.doubt or Bad(0, "no checkpoint is by the pinned key")
    source.check_tree(tree)
    return {
        "entries": tree.size,
        "entries after the checkpoint": tree.size - vouched,
        "root": tree.root().hex(),
        "signatures": entries.signatures,
        "key rotations": keys.rotations,
        "checkpoints not checked": keys.not_checked,
        "key in force": keys.current.text,
    }


def main():
    parser = argparse.ArgumentParser(description="Verifies the audit log of a Countersign service.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", help="of a running service")
    where.add_argument("--dir", help="what the paths under /v1/audit give, as files")
    where.add_argument("--archive", help="a file that audit export wrote")
    parser.add_argument("--token-file", help="a credential of an auditor")
    parser.add_argument("--vkey", required=True, help="the verifier key that you know is the log's")
    parser.add_argument("--trusted", help="a file with a checkpoint seen earlier")
    options = parser.parse_args()
    try:
        pinned = Vkey(options.vkey)
        trusted = None
        if options.trusted:
            with open(options.trusted, encoding="utf-8") as file:
                trusted = Checkpoint(file.read())
        token = None
        if options.token_file:
            with open(options.token_file, encoding="utf-8") as file:
                token = file.read().strip()
        if options.archive:
            source = Archive(options.archive)
        else:
            source = Tiles(service(options.url, token) if options.url else directory(options.dir))
        found = verify(source, pinned, trusted)
    except Bad as bad:
        print(f"FAILED at entry {bad.index}: {bad}")
        return 1
    except (Unreadable, ValueError, OSError) as error:
        print(f"verify_log.py: {error}", file=sys.stderr)
        return 2
    print("OK")
    for name, value in found.items():
        print(f"{name}  {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
