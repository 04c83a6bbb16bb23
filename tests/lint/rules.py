"""The rules of the house, as functions from a source tree (and a build) to a list of findings, one line each.

test_lint.py asks them of the real tree, test_rules.py plants a violation of each and asks whether it is found.
"""
import os
import re
import subprocess
import tempfile

PLUGIN_ROOMS = ("engines", "workloads", "channels", "counters")
# What a room's files may include by "room/..." beside its own; <prony/...> is below them all.
FLOORS = {
    "include": (),
    "base": (),
    "parallel": ("base",),
    "stats": ("base",),
    "topology": ("base",),
    **{room: ("base", "parallel") for room in PLUGIN_ROOMS},
    "measure": ("base", "parallel", "stats", "topology", *PLUGIN_ROOMS),
    "results": ("base", "parallel", "stats", "topology", *PLUGIN_ROOMS, "measure"),
    "runner": ("base", "parallel", "stats", "topology", *PLUGIN_ROOMS, "measure", "results"),
    "examples": (),
    "shims": ("base", "parallel", "stats", "topology", *PLUGIN_ROOMS, "measure"),
}
# Foreign headers and the one place that may see each.
FOREIGN = {
    r"hwloc(\.h$|/)": "topology/",
    r"papi\w*\.h$": "counters/",
    r"valgrind/": "counters/",
    r"jansson\w*\.h$": "results/",
    r"gsl/": "stats/",
    r"omp\.h$": ("engines/openmp.c", "scripts/bench/"), # the second: a peer to measure against
    r"zmq\.h$": ("channels/zeromq.c", "scripts/bench/"),
    r"liburing": ("channels/io-uring.c", "scripts/bench/"),
    r"nettle/": "parallel/key.c",
    r"tbb/": "engines/tbb.cpp",
    r"uv\.h$": "engines/libuv.c",
    r"glib\.h$": "engines/glib.c",
    r"benchmark/": "shims/gbench/",
    r"elfutils/|dwarf\.h$|(lib|g)elf\.h$": "measure/symbols.c",
}
KIND_OF_ROOM = {"engines": "engine", "workloads": "workload", "channels": "channel", "counters": "provider"}
FUNCTION_LINES = 80
FILE_LINES = 600
CODE = (".c", ".h", ".cpp", ".hpp", ".py", ".sh", ".cmake", ".js", ".css")
SOURCES = (".c", ".h", ".cpp", ".hpp")
CPP_ROOMS = ("shims/gbench/", "engines/tbb.cpp")
LEFT_OUT = {"build", "prony-runs", "shared", "__pycache__"}
UNFINISHED = re.compile(r"\b(?:%s)\b" % "|".join(("TO" "DO", "FIX" "ME", "XX" "X")))


def files(tree, *suffixes):
    """Paths of the tree's own files, relative to it, with one of these suffixes (none: all)."""
    found = []
    for folder, folders, names in os.walk(tree):
        folders[:] = sorted(f for f in folders if f not in LEFT_OUT and (not f.startswith(".") or f == ".ci"))
        for name in sorted(names):
            if not suffixes or name.endswith(suffixes):
                found.append(os.path.relpath(os.path.join(folder, name), tree))
    return found


def read(tree, path):
    with open(os.path.join(tree, path), encoding="utf-8", errors="replace") as text:
        return text.read()


def without_comments(text):
    """C text with its comments blanked, lines kept."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda comment: "\n" * comment.group().count("\n"), text, flags=re.S)


def includes(tree, path):
    """(line, "<" or '"', header) of every #include."""
    for number, line in enumerate(without_comments(read(tree, path)).splitlines(), 1):
        match = re.match(r'\s*#\s*include\s*([<"])([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1), match.group(2)


def floors(tree):
    """Includes go downward only, and a plug-in never sees another."""
    findings = []
    rooms = set(FLOORS)
    for path in files(tree, *SOURCES):
        room = path.split(os.sep)[0]
        if room not in FLOORS:
            continue
        for line, kind, header in includes(tree, path):
            target = header.split("/")[0]
            if header.startswith("prony/"):
                continue
            if kind == '"' and "/" not in header and not os.path.exists(os.path.join(tree, header)):
                target = room if os.path.exists(os.path.join(tree, os.path.dirname(path), header)) else target
                if room in PLUGIN_ROOMS and target == room and header.endswith(".c"):
                    findings.append(f"{path}:{line}: a plug-in includes another's source, {header}")
            if target not in rooms or target == room:
                continue
            if target not in FLOORS[room]:
                findings.append(f"{path}:{line}: {room}/ may not include {header}: it sees only "
                                + ", ".join(("include/prony",) + FLOORS[room]))
    return findings


def foreign_headers(tree):
    """Foreign headers are each seen in one place."""
    findings = []
    for path in files(tree, *SOURCES):
        if path.startswith("tests" + os.sep):
            continue
        for line, _, header in includes(tree, path):
            for pattern, place in FOREIGN.items():
                if re.match(pattern, header) and not path.startswith(place):
                    findings.append(f"{path}:{line}: only {place} may include {header}")
    return findings


def cpp(tree):
    """C++ only where a foreign interface is C++."""
    return [f"{path}: C++ outside " + ", ".join(CPP_ROOMS)
            for path in files(tree, ".cpp", ".hpp", ".cc", ".cxx", ".hh") if not path.startswith(CPP_ROOMS)]


def sizes(tree):
    """Functions of at most 80 lines, files of at most 600."""
    findings = []
    for path in files(tree, *CODE):
        lines = read(tree, path).splitlines()
        if len(lines) > FILE_LINES:
            findings.append(f"{path}: {len(lines)} lines; a file has at most {FILE_LINES}")
        if not path.endswith(SOURCES):
            continue
        start = None
        for number, line in enumerate(lines, 1):
            if line == "{":
                start = number
            elif line.startswith("}") and start:
                if number - start + 1 > FUNCTION_LINES:
                    findings.append(f"{path}:{start}: a function of {number - start + 1} lines;"
                                    f" it has at most {FUNCTION_LINES}")
                start = None
    return findings


def unfinished(tree):
    """No notes about work that is left."""
    findings = []
    for path in files(tree):
        for number, line in enumerate(read(tree, path).splitlines(), 1):
            if UNFINISHED.search(line):
                findings.append(f"{path}:{number}: {line.strip()}")
    return findings


def header_comment(tree):
    """Each C file begins by saying what it is, or its header of the same name does."""
    said = {os.path.basename(path)[:-2] for path in files(tree, ".h") if read(tree, path).startswith("/*")}
    return [f"{path}:1: begins without a comment that says what it is" for path in files(tree, *SOURCES)
            if not read(tree, path).startswith("/*") and not (path.endswith(".c") and os.path.basename(path)[:-2] in said)]


def said_by(tree, *command):
    """A finished tool, with what it printed."""
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=300, check=False)


def first_error(said):
    return next((line for line in said.splitlines() if "error:" in line), "it failed")


def compiles(tree, path, *command):
    """What a compiler says about a header on its own; the empty string when it is content."""
    run = said_by(tree, *command, "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-I", "include", "-I", ".",
                  "-include", os.path.abspath(os.path.join(tree, path)), "/dev/null")
    return first_error(run.stderr) if run.returncode else ""


def public_headers_alone(tree):
    """Each public header compiles alone as plain C11."""
    found = ((path, compiles(tree, path, "cc", "-std=c11", "-x", "c"))
             for path in files(tree, ".h") if path.startswith("include" + os.sep))
    return [f"{path}: not self-contained: {said}" for path, said in found if said]


def inner_headers_alone(tree):
    """Each header of a room compiles alone, with the flags of the build."""
    found = ((path, compiles(tree, path, "cc", "-std=c11", "-D_GNU_SOURCE", "-Wno-unused-function", "-x", "c"))
             for path in files(tree, ".h") if path.split(os.sep)[0] in set(FLOORS) - {"include", "examples"})
    return [f"{path}: not self-contained: {said}" for path, said in found if said]


def public_headers_cpp(tree):
    """Each public header that says extern "C" is C++ too."""
    found = ((path, compiles(tree, path, "c++", "-std=c++17", "-x", "c++"))
             for path in files(tree, ".h")
             if path.startswith("include" + os.sep) and 'extern "C"' in read(tree, path))
    return [f"{path}: not C++: {said}" for path, said in found if said]


def howto_compiles(tree):
    """The plug-ins of docs/howto build outside the tree, as the documents say, and export one symbol."""
    findings = []
    for path in files(tree, ".c"):
        if not path.startswith(os.path.join("docs", "howto")):
            continue
        with tempfile.TemporaryDirectory(prefix="prony-lint-") as folder:
            built = os.path.join(folder, "plugin.so")
            run = said_by(tree, "cc", "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                          "-I", "include", "-o", built, path)
            if run.returncode:
                findings.append(f"{path}: {first_error(run.stderr)}")
                continue
            listing = said_by(tree, "nm", "-gD", "--defined-only", built).stdout
            exported = [line.split()[-1] for line in listing.splitlines()]
            if exported not in ([f"prony_{kind}"] for kind in KIND_OF_ROOM.values()):
                findings.append(f"{path}: exports {', '.join(exported) or 'nothing'}")
    return findings


def archives(build):
    """Paths of the rooms' archives in a build folder."""
    folder = os.path.join(build, "lib")
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if re.match(r"libprony.*\.a$", name))


def symbols(archive):
    """(object, type, name) of every symbol of an archive that is seen from outside; compilers' own are left out."""
    listing = subprocess.run(["nm", "-A", "-g", archive], capture_output=True, text=True, timeout=60, check=True).stdout
    for line in listing.splitlines():
        match = re.match(r".*:([^:]+\.o):\s*(?:[0-9a-f]+)?\s+(\w) (\S+)$", line)
        if match and not match.group(3).startswith("_"):
            yield match.group(1), match.group(2), match.group(3)


def plugins(tree):
    """(room, kind, name) of every prony_plugin() line."""
    for room in PLUGIN_ROOMS:
        path = os.path.join(room, "CMakeLists.txt")
        if os.path.exists(os.path.join(tree, path)):
            text = re.sub(r"#.*", "", read(tree, path))
            for kind, name in re.findall(r"prony_plugin\(\s*(\w+)\s+([\w-]+)", text):
                yield room, kind, name


def plugin_exports(tree, build):
    """A plug-in's file defines its struct and no other outside symbol."""
    findings = []
    known = {(room, name): f"prony_{kind}_{name.replace('-', '_')}" for room, kind, name in plugins(tree)}
    for archive in archives(build):
        room = re.sub(r"^libprony_|\.a$", "", os.path.basename(archive))
        if room not in PLUGIN_ROOMS:
            continue
        for member, kind, name in symbols(archive):
            plugin = member[:-len(".c.o")]
            if kind != "U" and (room, plugin) in known and name != known[room, plugin]:
                findings.append(f"{room}/{plugin}.c: exports {name}; a plug-in exports {known[room, plugin]} alone")
    return findings


def declared(tree, build):
    """Every function seen from outside its file begins with prony_ and is declared in a header."""
    text = "\n".join(without_comments(read(tree, path)) for path in files(tree, ".h"))
    names = set(re.findall(r"\b(prony_\w+)\s*\(", text))
    names |= set(re.findall(r"\bprony_\w+_fn (prony_\w+);", text))  # declared by a function's type
    findings = []
    for archive in archives(build):
        for member, kind, name in symbols(archive):
            if kind not in "TW":
                continue
            where = f"{os.path.basename(archive)}({member}): {name} is public and"
            if not name.startswith("prony_"):
                findings.append(f"{where} does not begin with prony_")
            elif name not in names:
                findings.append(f"{where} in no header: make it static")
    return findings


def gsl_stays_out(build):
    """GSL is GPL: libprony and what lies below it never call it."""
    return [f"{os.path.basename(archive)}({member}): uses {name}" for archive in archives(build)
            if os.path.basename(archive) in ("libprony.a", "libprony_base.a")
            for member, _, name in symbols(archive) if name.startswith(("gsl_", "cblas_"))]


def documented(tree):
    """README.md names every engine and every workload."""
    text = read(tree, "README.md")
    return [f"README.md: the {kind} {name} is in no table" for _, kind, name in plugins(tree)
            if kind in ("engine", "workload") and f"`{name}`" not in text]


def links(tree):
    """Links between the documents lead somewhere."""
    findings = []
    for path in files(tree, ".md"):
        for target in re.findall(r"\]\(([^)#\s]+)", read(tree, path)):
            here = os.path.join(tree, os.path.dirname(path), target)
            if not re.match(r"\w+:", target) and not os.path.exists(here):
                findings.append(f"{path}: links to {target}, which does not exist")
    return findings


def formatting(tree):
    """What clang-format 14 would change (other versions format differently)."""
    sources = files(tree, *SOURCES)
    run = said_by(tree, "clang-format-14", "--dry-run", *sources)
    found = re.findall(r"^(\S+?):(\d+):\d+: (?:warning|error)", run.stderr, flags=re.M)
    return sorted({f"{path}: not as clang-format 14 has it, first at line {min(int(n) for p, n in found if p == path)}"
                   for path, _ in found})


def shell(tree):
    """What shellcheck finds in the scripts; each stops at the first error and at unset variables."""
    scripts = [path for path in files(tree) if path.endswith(".sh") or path == os.path.join(".ci", "run")]
    findings = [f"{path}: without set -eu" for path in scripts if "\nset -eu" not in read(tree, path)]
    if scripts:
        findings += said_by(tree, "shellcheck", "-f", "gcc", *scripts).stdout.splitlines()
    return findings
