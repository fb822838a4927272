#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Judge the manual pages of section 3 by the public headers; one line for each thing that is missing.

manual.py INCLUDE-DIRECTORY MAN-DIRECTORY

Every public function, inline ones too, is named in the head of one page, declared in its synopsis as the
header declares it, and spoken of in its text. Every public constant is named in some page, and every
member of what a caller fills in is described.
"""
import glob
import os
import re
import sys

HEADERS = ["update.h", "smx.h", "scope.h", "health.h", "reader.h"]
FILLED_IN = ["smx_options", "smx_metric", "smx_check_options"]
# Of the inline ABI, not of the interface; and the numbers of reasons.
NOT_FOR_USERS = re.compile(r"SMX_(\w+_H|HIST_\w+|\w+_SHIFT|HAVE_RSEQ|TYPE|LOST_COUNT|UNSOUND_COUNT)$")


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def words(text):
    return " ".join(text.split())


def functions_of(text):
    """name -> its declaration, on one line"""
    text = re.sub(r"^[ \t]*#(?:.*\\\n)*.*$", "", without_comments(text), flags=re.M)
    found = {}
    for result, name, arguments in re.findall(
            r"(?:^|\n)(?:static inline )?([a-z][\w *]*?\**)\s*\b(smx_(?!_)\w+)\(([^()]*)\)\s*[;{]", text):
        found[name] = words(f"{words(result)} {name}({words(arguments)})").replace("* ", "*")
    return found


def constants_of(text):
    text = without_comments(text)
    defined = re.findall(r"^#define (SMX_(?!_)[A-Z0-9_]+)", text, flags=re.M)
    enumerated = [name for body in re.findall(r"\benum\b[^;{()]*\{([^}]*)\}", text)
                  for name in re.findall(r"\b(SMX_(?!_)[A-Z0-9_]+)\b(?=\s*[=,}]|\s*$)", body)]
    return {name for name in defined + enumerated if not NOT_FOR_USERS.match(name)}


def members_of(text, struct):
    body = re.search(r"struct %s \{(.*?)\n\};" % struct, without_comments(text), flags=re.S)[1]
    return [re.search(r"(\w+)(?:\[\w+\])?$", line.strip())[1] for line in body.split(";") if line.strip()]


class Page:
    def __init__(self, path):
        self.name = os.path.basename(path)
        with open(path, encoding="utf-8") as file:
            self.text = file.read()
        sections = re.split(r"^\.Sh (.*)$", self.text, flags=re.M)
        self.sections = dict(zip(sections[1::2], sections[2::2]))
        self.names = re.findall(r"^\.Nm (\S+)", self.sections["NAME"], flags=re.M)

    def declarations(self):
        """The functions of the synopsis as functions_of() has them."""
        found, result, name = {}, "", ""
        for line in self.sections.get("SYNOPSIS", "").split("\n"):
            macro, _, rest = line.partition(" ")
            parts = [part or word for part, word in re.findall(r'"([^"]*)"|(\S+)', rest)]
            if macro == ".Ft":
                result = rest
            elif macro == ".Fn":
                found[parts[0]] = f"{result} {parts[0]}({', '.join(parts[1:])})".replace("* ", "*")
            elif macro == ".Fo":
                name, arguments = rest, []
            elif macro == ".Fa":
                arguments += parts
            elif macro == ".Fc":
                found[name] = f"{result} {name}({', '.join(arguments)})".replace("* ", "*")
        return found

    def speaks_of(self, function):
        body = "".join(text for title, text in self.sections.items() if title not in ("NAME", "SYNOPSIS"))
        return re.search(r"^\.(Fn|It Fn) %s\b" % function, body, flags=re.M)


def missing(include, man):
    headers = ""
    for name in HEADERS:
        with open(os.path.join(include, "smx", name), encoding="utf-8") as file:
            headers += file.read()
    pages = [Page(path) for path in sorted(glob.glob(os.path.join(man, "*.3")))]
    functions = functions_of(headers)
    if len(functions) < 80:
        yield f"only {len(functions)} functions were found in the headers"
    for function, declaration in sorted(functions.items()):
        named = [page for page in pages if function in page.names]
        if len(named) != 1:
            yield f"{function} is named in the heads of {len(named)} pages"
            continue
        written = named[0].declarations().get(function)
        if written != declaration:
            yield f"{named[0].name}: {written}, but the header: {declaration}"
        if not named[0].speaks_of(function):
            yield f"{named[0].name}: nothing is said of {function}"
    for page in pages:
        for function in page.declarations():
            if function.startswith("smx_") and function not in functions:
                yield f"{page.name}: there is no {function}"
    everything = "".join(page.text for page in pages)
    for constant in sorted(constants_of(headers)):
        if not re.search(r"\b%s\b" % constant, everything):
            yield f"{constant} is in no page"
    for struct in FILLED_IN:
        for member in members_of(headers, struct):
            if not re.search(r"^\.It Va (\w+ , )*%s\b" % member, everything, flags=re.M):
                yield f"{member} of struct {struct} is in no page"


if __name__ == "__main__":
    FOUND = list(missing(sys.argv[1], sys.argv[2]))
    print("\n".join(FOUND))
    sys.exit(len(FOUND) > 0)
