"""Checks the lines "# needs: .." of tests/sh/*.sh against what the scripts use:
programs of the build, Python modules, commands that a machine may lack. Run
from the repository root, or with another root as argument; prints one line per
breach, exits 1 if any. `needs.py --show SCRIPT` prints what one uses.
"""
import glob
import os
import re
import sys

MODULES = {"torch", "numpy", "zmq", "msgpack", "cv2", "yaml"}
COMMANDS = {"ffmpeg", "ffprobe", "gnuplot", "python3"}
FOLDERS = ("tests/py", "examples", "bench", "pipelines", "tests/support")


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def beside(name):
    """The file of this name that a script may mean."""
    return [p for p in (os.path.join(d, name) for d in FOLDERS)
            if os.path.exists(p)]


def follow(text, seen):
    """Files named in a text, and what they name or import, by their text."""
    names = re.findall(r"[\w-]+\.(?:py|yaml|sh)\b", text)
    names += [m + ".py" for m in re.findall(
        r"^\s*(?:from|import)\s+(\w+)", text, re.M)]
    for path in [p for n in names for p in beside(n)]:
        if path not in seen:
            seen[path] = read(path)
            follow(seen[path], seen)


def bare(text):
    """A script without its comments."""
    return "\n".join(re.sub(r"(^|\s)#.*", "", s) for s in text.split("\n"))


def used(path):
    code = bare(read(path))
    seen = {}
    follow(code, seen)
    # what a script sources is a part of it
    code = "\n".join([code] + [bare(t) for p, t in sorted(seen.items())
                               if p.endswith(".sh")])
    words = set()
    texts = [code] + [t for p, t in seen.items() if p.endswith(".py")]
    for text in texts:
        for line in re.findall(r"(?:^|['\";])\s*(?:import|from)\s+([\w., ]+)",
                               text, re.M):
            for name in re.findall(r"\w+", line):
                if name in MODULES:
                    words.add("py:" + name)
    for name in COMMANDS:
        if re.search(rf"(?<![\w./$-]){name}(?![\w.=-])", code):
            words.add("c:" + name)
    if "PYTHON" in code or any(p.endswith(".py") for p in seen):
        words.add("c:python3")
    for name in re.findall(r"\$\{?BUILD\}?\"?/([\w./-]*)", code):
        name = name.rstrip("/.")
        if name.startswith("tests/stages"):
            words.add("tests/stages")
        elif name.startswith("fuzz"):
            words.add("fuzzers")
        elif name in ("", "stages", "tests", "obj/tests"):
            words.add("all" if name in ("", "stages") else "tests")
        elif not name.startswith(("obj", "lib")):
            words.add(name)
    if re.search(r"\$\{?BUILD\}?(?![\w/}]|\"?/)", code):
        words.add("all")  # a variable of the script's own
    # A flow may run any stage.
    if "facet" in words and re.search(r"\brun:", code) or any(
            p.endswith(".yaml") and p.startswith(("pipelines", "examples"))
            for p in seen):
        words.add("all")
    if "all" in words:
        words = {w for w in words
                 if w != "facet" and not w.startswith("stages/")}
    return words


def main():
    if sys.argv[1:2] == ["--show"]:
        print(*sorted(used(sys.argv[2])))
        return 0
    if len(sys.argv) > 1:
        os.chdir(sys.argv[1])
    wrong = 0
    scripts = sorted(glob.glob("tests/sh/*.sh"))
    for path in scripts:
        top = re.match(r"(#.*\n)*", read(path)).group()
        lines = re.findall(r"^# needs:(.*)$", top, re.M)
        if len(lines) != 1:
            print(f"{path}: {len(lines)} lines '# needs:'")
            wrong += 1
            continue
        have, uses = set(lines[0].split()), used(path)
        for word in sorted(uses - have):
            if "all" in have and (word == "facet"
                                  or word.startswith("stages/")):
                continue
            print(f"{path}: uses {word}")
            wrong += 1
        for word in sorted(w for w in have - uses if w.startswith("py:")):
            print(f"{path}: does not use {word}")
            wrong += 1
    print(f"{len(scripts)} scripts, {wrong} breaches")
    return 1 if wrong or not scripts else 0


sys.exit(main())
