#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks the source tree against the rules of docs/architecture.md: who may import whom, which modules are banned where,
the size of files and functions, licence headers, and that the documentation names every target."""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Group -> the groups that its targets may import. Docs: architecture.md, "Layers".
GROUPS = {
    "System": {"System"},
    "Container": {"Container", "System"},
    "API": {"API", "System"},
    "Node": {"Node", "API", "Container", "System"},
    "ControlPlane": {"ControlPlane", "API", "System"},
    "Cluster": {"Cluster", "Node", "ControlPlane", "API", "Container", "System"},
}

# Targets that run in one thread without Foundation, Dispatch, NIO or async.
BARE = {"CLinux", "LinuxSystem", "JSON", "OCISpec", "Netlink", "Launcher", "Monitor"}
BARE_BANNED = re.compile(r"^(Foundation.*|Dispatch|NIO.*|_Concurrency|Logging|AsyncHTTPClient)$")

# Target -> modules that it must not see, with the reason.
FORBIDDEN = {
    "KubeAPI": (re.compile(r"^(Foundation.*|NIO.*|Glibc|Logging)$"), "it does no I/O"),
    "Controllers": (re.compile(r"^(Storage.*|APIServer)$"), "it sees the API only through a ResourceClient"),
    "Scheduling": (re.compile(r"^(Storage.*|APIServer)$"), "it sees the API only through a ResourceClient"),
}

# Kubernetes words have no place below the API.
NO_KUBERNETES = {"System", "Container"}
KUBERNETES_WORD = re.compile(r"\b([Kk]ubelet|[Kk]ube[A-Z]\w*|Deployment|ReplicaSet|apiserver)\b")

MAXIMUM_FILE_LINES = 800
BANNED_TEXT = {
    re.compile(r"\bFIXME\b|\bXXX\b"): "unfinished work must not be merged",
    re.compile(r"\btry!"): "an error must be handled or passed on",
    re.compile(r"\.unbounded\b"): "every buffer has a bound",
    re.compile(r"\b(Utils|Helpers)\b"): "name a type for what it is",
}

problems = []


def problem(path, line, text):
    problems.append(f"{path.relative_to(ROOT)}:{line}: {text}")


def targets():
    """Target name -> (group, directory), from the tree itself."""
    found = {}
    for group in GROUPS:
        for directory in sorted((ROOT / "Sources" / group).iterdir()):
            if directory.is_dir() and directory.name != "Libraries":
                found[directory.name] = (group, directory)
    return found


def strip_comments(line):
    return re.sub(r"//.*", "", line)


def check_imports(name, group, directory, known):
    for path in sorted(directory.rglob("*.swift")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r"^(?:@\w+(?:\([^)]*\))?\s+)*(?:package |public |internal )?import (?:\w+ )?(\w+)", line)
            if not match:
                continue
            module = match.group(1)
            if module in known and known[module][0] not in GROUPS[group]:
                problem(path, number, f"{group}/{name} must not import {known[module][0]}/{module}")
            if name in BARE and BARE_BANNED.match(module):
                problem(path, number, f"{name} must do without {module}")
            if module == "Glibc" and name not in {"LinuxSystem"}:
                problem(path, number, "only LinuxSystem talks to the C library")
            if name in FORBIDDEN and FORBIDDEN[name][0].match(module):
                problem(path, number, f"{name} must not import {module}: {FORBIDDEN[name][1]}")


def check_text(path, group):
    lines = path.read_text().splitlines()
    generated = "Generated" in path.parts or ".generated." in path.name
    first = next((line for line in lines if not line.startswith("#!")), "")
    if path.name != "Package.swift" and "SPDX-License-Identifier: Apache-2.0" not in first:
        problem(path, 1, "the first line must be the SPDX licence header")
    if generated:
        return
    if len(lines) > MAXIMUM_FILE_LINES:
        problem(path, 1, f"{len(lines)} lines: split the file (at most {MAXIMUM_FILE_LINES})")
    for number, line in enumerate(lines, 1):
        code = strip_comments(line)
        for pattern, why in BANNED_TEXT.items():
            if pattern.search(code if "FIXME" not in pattern.pattern else line):
                problem(path, number, f"{pattern.search(line).group(0)}: {why}")
        if group in NO_KUBERNETES and "/Tests/" not in str(path) and KUBERNETES_WORD.search(code):
            problem(path, number, f"{KUBERNETES_WORD.search(code).group(0)}: {group} knows nothing of Kubernetes")
    if group in BARE:
        for number, line in enumerate(lines, 1):
            if re.search(r"\basync\b|\bawait\b", strip_comments(line)):
                problem(path, number, "no async here")


# A use of a logger, up to the end of its call; and the keys of metadata in it.
LOGGER_CALL = re.compile(r"\b(?:logger|log)(?:\(of: \w+\))?\.(?:log|trace|debug|info|notice|warning|error|critical)\(")
METADATA_KEY = re.compile(r'(?:\[metadataKey: |\bmetadata\[|^\s*|[\[,] ?)"([a-z][a-z-]*)"(?=\]|: )', re.M)


def calls(text):
    """The logger calls of a source text: where they begin, and their arguments."""
    for match in LOGGER_CALL.finditer(text):
        depth, end = 1, match.end()
        while depth and end < len(text):
            depth += {"(": 1, ")": -1}.get(text[end], 0)
            end += 1
        yield match.start(), text[match.end():end]
    for match in re.finditer(r"\[metadataKey: \"[^\"]*\"\]", text):
        yield match.start(), match.group(0)


def check_log_fields(known):
    """Details of log entries have the names that LogField lists, and a pod is told from its namesakes."""
    source = (known["SwiftletCore"][1] / "Logs/LogField.swift").read_text()
    main = source[source.index("static let main"):source.index("static let details")]
    fields = set(re.findall(r'LogField\("([a-z-]+)"', source))
    for _, directory in known.values():
        for path in sorted(directory.rglob("*.swift")):
            text = path.read_text()
            for start, call in calls(text):
                line = text.count("\n", 0, start) + 1
                keys = set(METADATA_KEY.findall(call))
                for key in sorted(keys - fields):
                    problem(path, line, f"LogField.swift has no field \"{key}\" for log entries")
                if "pod" in keys and "metadataKey" not in call and "namespace" not in keys:
                    problem(path, line, "a log entry with a pod needs its namespace")
    guide = (ROOT / "docs" / "user-guide.md").read_text()
    for key in re.findall(r'LogField\("([a-z-]+)"', main):
        name = "SWIFTLET_" + key.upper().replace("-", "_")
        if f"`{name}`" not in guide:
            problems.append(f"docs/user-guide.md: the log field {name} is not described")


def check_documentation(known):
    text = (ROOT / "docs" / "architecture.md").read_text()
    for name in known:
        if f"`{name}`" not in text:
            problems.append(f"docs/architecture.md: target {name} is not described")


def check_top_level():
    allowed = {"Package.swift", "Sources", "Tests", "packaging", "scripts", "docs", "README.md", "LICENSE"}
    for entry in ROOT.iterdir():
        if entry.name.startswith(".") or entry.name in allowed or entry.name == "Package.resolved":
            continue
        problems.append(f"{entry.name}: does not belong at the top level")


def main():
    known = targets()
    for name, (group, directory) in known.items():
        check_imports(name, group, directory, known)
        for path in sorted(directory.rglob("*.swift")):
            check_text(path, group)
    for path in sorted((ROOT / "Tests").rglob("*.swift")):
        check_text(path, "Tests")
    check_log_fields(known)
    check_documentation(known)
    check_top_level()
    for text in problems:
        print(text)
    sys.exit(1 if problems else 0)


main()
