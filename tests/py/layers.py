"""Checks what docs and conventions promise of the source tree: who may include
whom, which module uses which outside library, file lengths, banned calls.

Run from the repository root; prints one line per breach, exits 1 if any.
With a folder as argument, checks that tree instead (the test of this test).
"""
import os
import re
import sys

# A lib folder may include these, and nothing else of the tree.
LAYERS = {
    "lib/base": {"lib/base"},
    "lib/data": {"lib/base", "lib/data"},
    "lib/media": {"lib/base", "lib/data", "lib/media"},
    "lib/geom": {"lib/base", "lib/data", "lib/geom"},
    "lib/nn": {"lib/base", "lib/data", "lib/nn"},
    "lib/models": {"lib/base", "lib/data", "lib/geom", "lib/nn",
                   "lib/models"},
    "lib/store": {"lib/base", "lib/data", "lib/media", "lib/store"},
    "lib/flow": {"lib/base", "lib/data", "lib/flow"},
    "lib/train": {"lib/base", "lib/data", "lib/nn", "lib/train"},
}

# Outside libraries: header pattern, and the files that may include it.
OUTSIDE = [
    (r"msgpack", r"lib/data/wire\.c"),
    (r"zmq", r"lib/flow/link\.c"),
    (r"libav|libsw", r"lib/media/video\w*\.[ch]"),
    (r"yaml", r"lib/flow/yaml\.c"),
    (r"dnnl|oneapi", r"lib/nn/dnnl\w*\.[ch]"),
    (r"cblas|openblas|lapack", r"lib/nn/gemm\.c"),
    (r"png|jpeglib|jerror|turbojpeg|webp/|libheif/", r"lib/media/image\w*\.[ch]"),
    (r"xxhash", r"lib/data/\w+\.c"),
    (r"zip\.h|zlib", r"lib/nn/torch_zip\.c"),
]

# Headers of ours that show an outside library's types, and who may see them.
SHOWING = {
    "lib/nn/dnnl.h": r"lib/nn/dnnl\w*\.[ch]",
    "lib/nn/dnnl_conv.h": r"lib/nn/dnnl\w*\.[ch]",
}

# Calls: pattern, the files that may make them, and what is wrong.
CALLS = [
    (r"strcpy|strcat|sprintf|vsprintf|strtok|atoi|atol|atof|gets|rand|srand"
     r"|alloca", None, "banned"),
    (r"malloc|calloc|realloc|reallocarray|aligned_alloc|posix_memalign"
     r"|strdup|strndup|asprintf|vasprintf",
     r"lib/base/mem\.c", "memory comes from lib/base/mem.h"),
]
# lib/ neither prints nor ends the program; the stage runtime and the progress
# bar are the program that a person looks at.
PRINTS = r"printf|vprintf|puts|putchar|perror|exit|abort"
MAY_PRINT = r"lib/base/log\.c|lib/flow/(stage\w*|progress)\.c"

WORDS = r"\b(TODO|FIXME|XXX|HACK|stub)\b"
MAX_LINES = {".c": 800, ".h": 250}

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
                   r"|'(?:\\.|[^'\\\n])*'", re.S)


def blank(match):
    """Comments and strings as blanks, so that lines keep their numbers."""
    return re.sub(r"[^\n]", " ", match.group())


class Checker:
    def __init__(self):
        self.found = 0
        self.cloned = {}  # name: where

    def say(self, path, line, text):
        self.found += 1
        print(f"{path}:{line}: {text}")

    def include(self, path, line, name, quoted):
        layer = "/".join(path.split("/")[:2])
        if quoted:
            target = os.path.dirname(name)
            top = name.split("/")[0]
            if "/" not in name or ".." in name:
                self.say(path, line, f'"{name}" is not from the root')
            elif layer in LAYERS and target not in LAYERS[layer]:
                self.say(path, line, f'{layer} may not include "{name}"')
            elif path.startswith(("stages/", "examples/")) and (
                    target == "lib/flow" and name != "lib/flow/stage.h"
                    or top == "cli"):
                self.say(path, line, f'a stage may not include "{name}"')
            if name in SHOWING and not re.fullmatch(SHOWING[name], path):
                self.say(path, line, f'"{name}" is for {SHOWING[name]}')
        elif path.startswith(("lib/", "cli/", "stages/", "examples/")):
            for header, files in OUTSIDE:
                if re.match(header, name) and not re.fullmatch(files, path):
                    self.say(path, line, f"<{name}> belongs to {files}")

    def calls(self, path, line, text):
        def called(names):
            return re.search(rf"(?<![\w.>])({names})\s*\(", text)
        for names, files, why in CALLS:
            hit = called(names)
            if hit and not (files and re.fullmatch(files, path)):
                # Tests may use the C library's memory; never what is banned.
                if files and not path.startswith(("lib/", "stages/", "cli/")):
                    continue
                self.say(path, line, f"{hit[1]}(): {why}")
        if path.startswith("lib/") and not re.fullmatch(MAY_PRINT, path):
            hit = called(PRINTS)
            if hit:
                self.say(path, line, f"{hit[1]}(): lib/ does not")
            if re.search(r"\bf(printf|puts|write)\s*\([^;]*\bstd(err|out)\b",
                         text):
                self.say(path, line, "lib/ does not print")

    def clones(self, path, code):
        """Clang 14 gives what belongs to a cloned function an external name
        made of its own: it must be static, and its name its own."""
        for hit in re.finditer(r"^[ \t]*CLONES\s+(static\s)?[^({;]*?(\w+)\s*\(",
                               code, re.M):
            line = code.count("\n", 0, hit.start()) + 1
            if not hit[1]:
                self.say(path, line, f"CLONES {hit[2]}() is not static")
            elif hit[2] in self.cloned:
                self.say(path, line, f"CLONES {hit[2]}() is also in "
                         f"{self.cloned[hit[2]]}")
            self.cloned[hit[2]] = f"{path}:{line}"

    def file(self, path, raw):
        lines = raw.count("\n")
        limit = MAX_LINES[os.path.splitext(path)[1]]
        if lines >= limit:
            self.say(path, lines, f"{lines} lines, {limit - 1} at most")
        for nr, text in enumerate(raw.split("\n"), 1):
            hit = re.search(WORDS, text)
            if hit:
                self.say(path, nr, f"the word {hit[1]}")
            inc = re.match(r'\s*#\s*include\s*([<"])([^>"]+)', text)
            if inc:
                self.include(path, nr, inc[2], inc[1] == '"')
        code = TOKEN.sub(blank, raw)
        for nr, text in enumerate(code.split("\n"), 1):
            self.calls(path, nr, text)
        self.clones(path, code)
        if path.endswith(".h") and not re.search(
                r"#ifndef (\w+_H)\n#define \1\n", raw):
            self.say(path, 1, "no include guard")


def main():
    if len(sys.argv) > 1:
        os.chdir(sys.argv[1])
    checker = Checker()
    files = 0
    for top in ("lib", "cli", "stages", "tests", "bench", "examples"):
        for folder, _, names in os.walk(top):
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    path = os.path.join(folder, name)
                    with open(path, encoding="utf-8") as f:
                        checker.file(path, f.read())
                    files += 1
    if os.path.exists("Makefile"):
        with open("Makefile", encoding="utf-8") as f:
            if "-Ofast" in f.read():
                checker.say("Makefile", 1, "-Ofast is banned")
    print(f"{files} files, {checker.found} breaches")
    return 1 if checker.found or not files else 0


sys.exit(main())
