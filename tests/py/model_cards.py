"""Checks that every weights file of a folder has what models/README.md promises:
a row with its true size and hash, a row of use, error and terms, a card with
its sections and the same hash, and metadata that names licence and card.

usage: model_cards.py FOLDER

Prints a line a fault, exits 1 if there is any."""
import glob
import hashlib
import json
import os
import re
import struct
import sys

LARGEST = 4_000_000  # bytes
SECTIONS = ("Network", "File", "Training data", "Terms", "Error",
            "Intended use", "Not for", "Known weak at", "Privacy")


def rows(text, heading):
    """First column: the others, of the table under a heading."""
    part = text.split("\n## " + heading, 1)
    if len(part) < 2:
        return {}
    part = part[1].split("\n## ", 1)[0]
    table = [[c.strip() for c in line.strip().strip("|").split("|")]
             for line in part.split("\n") if line.startswith("|")]
    return {r[0]: r[1:] for r in table[2:]}


def metadata(data):
    n = struct.unpack("<Q", data[:8])[0]
    return json.loads(data[8:8 + n]).get("__metadata__", {})


def check_card(path, name, digest):
    if not os.path.exists(path):
        yield f"{name}: no card {name}.md"
        return
    with open(path, encoding="utf-8") as f:
        card = f.read()
    if not card.startswith(f"# {name}:"):
        yield f"{name}.md: its title is not '# {name}: ...'"
    for s in SECTIONS:
        if f"**{s}**" not in card:
            yield f"{name}.md: no '**{s}**'"
    hashes = re.findall(r"sha256 `([0-9a-f]{64})`", card)
    if hashes != [digest]:
        yield f"{name}.md: sha256 {hashes}, the file's is {digest}"


def check_file(folder, name, files, uses):
    with open(os.path.join(folder, name + ".safetensors"), "rb") as f:
        data = f.read()
    digest = hashlib.sha256(data).hexdigest()
    link = f"[{name}.safetensors]({name}.md)"
    true = [str(len(data)), f"`{digest}`"]
    row = files.get(link)
    if row is None or row[2:] != true:
        yield (f"README.md: the row of {name} has to be | {link} | network | "
               f"parameters | {' | '.join(true)} |")
    use = uses.get(name, [])
    if len(use) != 3 or not all(use):
        yield f"README.md: no row of use, error and terms for {name}"
    elif not re.search(r"`[^`]*facet [^`]*`", use[1]):
        yield f"README.md: {name}: no command that prints its error"
    meta = metadata(data)
    if not meta.get("licence"):
        yield f"{name}.safetensors: no licence in its metadata"
    if meta.get("card") != name + ".md":
        yield f"{name}.safetensors: its metadata names no card {name}.md"
    if len(data) >= LARGEST:
        yield f"{name}.safetensors: {len(data)} bytes, {LARGEST} are too many"
    yield from check_card(os.path.join(folder, name + ".md"), name, digest)


def check(folder):
    with open(os.path.join(folder, "README.md"), encoding="utf-8") as f:
        text = f.read()
    files = rows(text, "Files")
    uses = rows(text, "What they are for")
    names = sorted(os.path.basename(p)[:-len(".safetensors")] for p in
                   glob.glob(os.path.join(folder, "*.safetensors")))
    if not names:
        yield "no weights"
    for name in names:
        yield from check_file(folder, name, files, uses)
    known = {f"[{n}.safetensors]({n}.md)" for n in names}
    for gone in [*(set(files) - known), *(set(uses) - set(names))]:
        yield f"README.md: a row of {gone}, which is not here"


def main():
    faults = list(check(sys.argv[1]))
    for f in faults:
        print(f)
    return int(bool(faults))


sys.exit(main())
