#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of the house, checked over the source tree. Prints file:line: message for each breach; exit status 1 where there is one.

- Arrows point down: which module may include which.
- A module has one public header, named after it (base: one a concept); others end in _internal.h.
- Third-party headers stay in .c files (and never in a header), each in the module that wraps it.
- Every header with a guard compiles alone.
- Banned functions, // comments, unfinished words, overlong lines and files, missing licence line, non-ASCII.
- Symbols: what a library exports begins with mill_ (public) or mill__ (its own).
- Links in Markdown files point to something.
"""
import os
import pathlib
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALLOWED = {
    "base": set(),
    "ingest": {"base"},
    "featurestore": {"base"},
    "inference": {"base"},
    "drift": {"base"},
    "engine": {"base", "ingest", "featurestore", "inference", "drift"},
    "library": {"base", "inference"},
    "server": {"base", "engine"},
    "cli": {"base", "engine", "server", "ingest", "featurestore", "inference", "drift"},
}
# Which directory may include which third-party headers.
THIRD_PARTY = {
    "librdkafka/": {"ingest"}, "avro.h": {"ingest"}, "avro/": {"ingest"}, "curl/": {"ingest", "engine", "cli"}, "zstd.h": {"ingest"},
    "rocksdb/": {"featurestore"}, "hiredis/": {"featurestore"}, "yaml.h": {"engine"}, "microhttpd.h": {"server"},
    "xxhash.h": {"base"}, "xgboost/": set(), "jansson.h": set(), "cmocka.h": set(),
}
# The header of libtidemill is named after the library, as its users include it.
PUBLIC_HEADER = {"library": "tidemill.h"}
BANNED = re.compile(r"\b(strcpy|strcat|sprintf|vsprintf|strtok|gets|atoi|atol|atof|gmtime|localtime|rand|srand|alloca)\s*\(")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
LINE_MAX, FILE_LINES_MAX, FUNCTION_LINES_MAX = 120, 800, 100

problems: list[str] = []


def report(path: pathlib.Path, line: int, message: str) -> None:
    problems.append(f"{path.relative_to(ROOT)}:{line}: {message}")


def tracked() -> list[pathlib.Path]:
    out = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in out.decode().split("\0") if name and (ROOT / name).is_file()]


def check_includes(path: pathlib.Path, lines: list[str]) -> None:
    module = path.relative_to(ROOT).parts[0]
    if module not in ALLOWED:
        return
    is_header = path.suffix == ".h"
    for number, line in enumerate(lines, 1):
        match = re.match(r'\s*#\s*include\s+([<"])([^>"]+)[>"]', line)
        if not match:
            continue
        name = match.group(2)
        for prefix, users in THIRD_PARTY.items():
            if name.startswith(prefix) and (is_header and not name.startswith("xxh") or module not in users):
                report(path, number, f"'{name}' may be included only by .c files of {sorted(users) or 'tests'}")
        if match.group(1) != '"':
            continue
        target = pathlib.PurePath(name).parts
        if target[0] not in ALLOWED:
            report(path, number, f"include '{name}' by its path from the root, as \"module/file.h\"")
        elif target[0] != module:
            if target[0] not in ALLOWED[module]:
                report(path, number, f"'{module}' may not include '{target[0]}'")
            elif target[0] != "base" and name != f"{target[0]}/{target[0]}.h":
                report(path, number, f"'{name}' is private to '{target[0]}'")


def strip_comments(text: str) -> str:
    """Comments and string contents blanked, line numbers kept."""
    def blank(match: re.Match) -> str:
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def check_functions(path: pathlib.Path, code: list[str]) -> None:
    begin = None
    for number, line in enumerate(code, 1):
        if line.startswith("{"):
            begin = number
        elif line.startswith("}") and begin is not None:
            if number - begin - 1 > FUNCTION_LINES_MAX:
                report(path, begin, f"function of {number - begin - 1} lines; at most {FUNCTION_LINES_MAX}")
            begin = None


def check_c(path: pathlib.Path) -> None:
    text = path.read_text(errors="replace")
    lines = text.split("\n")
    if "SPDX-License-Identifier: Apache-2.0" not in lines[0]:
        report(path, 1, "the first line must be the SPDX line")
    check_includes(path, lines)
    code = strip_comments(text).split("\n")
    for number, (line, stripped) in enumerate(zip(lines, code), 1):
        if len(line) > LINE_MAX and "http" not in line:
            report(path, number, f"line of {len(line)} characters; at most {LINE_MAX}")
        if "//" in stripped:
            report(path, number, "// marks something temporary; use /* */")
        if "\t" in line:
            report(path, number, "tab")
        if not line.isascii():
            report(path, number, "non-ASCII character")
        if UNFINISHED.search(line):
            report(path, number, "unfinished")
        match = BANNED.search(stripped)
        if match:
            report(path, number, f"'{match.group(1)}' is banned")
    if len(lines) > FILE_LINES_MAX:
        report(path, 1, f"{len(lines)} lines; at most {FILE_LINES_MAX}")
    check_functions(path, code)


def check_headers(headers: list[pathlib.Path]) -> None:
    for path in headers:
        parts = path.relative_to(ROOT).parts
        module, name = parts[0], path.name
        if module in ALLOWED and module != "base" and module != "cli" and len(parts) == 2:
            if name != PUBLIC_HEADER.get(module, f"{module}.h") and not name.endswith("_internal.h"):
                report(path, 1, f"a module has one public header; call this one *_internal.h")

    def compile_alone(path: pathlib.Path) -> tuple[pathlib.Path, str]:
        run = subprocess.run(
            ["cc", "-std=c11", "-D_GNU_SOURCE", "-Wall", "-Werror", "-Wno-unused-function", "-fsyntax-only", "-I", ROOT, "-x", "c", "-"],
            input=f'#include "{path.relative_to(ROOT)}"\n', capture_output=True, text=True)
        return path, run.stderr if run.returncode else ""

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, error in pool.map(compile_alone, headers):
            if error:
                report(path, 1, "does not compile alone: " + error.strip().split("\n")[0])


def check_symbols() -> None:
    for build in ("asan", "release", "debug"):
        archives = sorted((ROOT / "build" / build).glob("libmill_*.a"))
        for archive in archives:
            out = subprocess.run(["nm", "-g", "--defined-only", archive], capture_output=True, text=True).stdout
            for line in out.split("\n"):
                fields = line.split()
                if len(fields) == 3 and not re.match(r"(mill_|__odr_asan|_?_?asan|__start|__stop)", fields[2]):
                    problems.append(f"{archive.relative_to(ROOT)}: symbol '{fields[2]}' has not the prefix mill_")
        if archives:
            return


def check_markdown(path: pathlib.Path) -> None:
    for number, line in enumerate(path.read_text().split("\n"), 1):
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line):
            if not re.match(r"[a-z]+:", target) and not (path.parent / target).exists():
                report(path, number, f"link to '{target}', which is not there")
        if UNFINISHED.search(line):
            report(path, number, "unfinished")


def main() -> int:
    files = tracked()
    sources = [p for p in files if p.suffix in (".c", ".h")]
    for path in sources:
        check_c(path)
    # A header without a guard is a fragment that several files include with their own macros.
    check_headers([p for p in sources if p.suffix == ".h" and p.relative_to(ROOT).parts[0] in ALLOWED and "#ifndef MILL_" in p.read_text()])
    check_symbols()
    for path in files:
        if path.suffix == ".md":
            check_markdown(path)
    for problem in problems:
        print(problem)
    print(f"tidy: {len(sources)} sources, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
