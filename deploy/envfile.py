"""Environment files that docker compose (env_file), systemd (EnvironmentFile) and shells (`set -a; . FILE`) read alike.

The three agree on a plain word, and on text in single quotes, newlines included. They disagree on everything else:
what a backslash does, where a comment may begin, whether a dollar sign means something. So nothing else is written.
Sources: compose-go's dotenv/parser.go, systemd's basic/env-file.c, POSIX shell command language 2.2 and 2.9.1.
"""

import re
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-][A-Za-z0-9_./:@%+,=-]*")
_VARIABLE = re.compile(rf"(?P<name>{_NAME.pattern})=(?:(?P<plain>{_PLAIN.pattern})|'(?P<quoted>[^']*)')(?:\n|\Z)")
# Before version 254 systemd takes the line after a comment that ends in a backslash for a part of it.
_COMMENT = re.compile(r"[ \t]*(?:#[^\n]*(?<!\\))?(?:\n|\Z)")


def render(variables: Mapping[str, str], comment: str) -> bytes:
    """Return the file: one line of comment, then the variables, sorted.

    Takes values over several lines, such as PEM. Raises ValueError for a variable that `obstacle` objects to otherwise.
    """
    lines = [f"# {comment}"]
    for name, value in sorted(variables.items()):
        if what := obstacle(name, value.replace("\n", "")):
            raise ValueError(f"the variable {name} {what}")
        lines.append(f"{name}={value}" if _PLAIN.fullmatch(value) else f"{name}='{value}'")
    return "".join(f"{line}\n" for line in lines).encode()


def parse(content: bytes) -> dict[str, str]:
    """Return the variables of a file in which there are blank lines, comments, and variables as `render` writes them.

    What else somebody may write by hand, the three read differently. So it raises ValueError, a clause with the line
    and what to do, which shows no value.
    """
    text = content.decode(errors="surrogateescape")
    before, carriage_return, _ = text.partition("\r")
    if carriage_return:
        raise ValueError(f"{_line_after(before)} has a carriage return; save it with Unix line ends (LF)")
    variables: dict[str, str] = {}
    position = 0
    while position < len(text):
        if found := _VARIABLE.match(text, position):
            name, value = found["name"], found["plain"] or found["quoted"]
            if what := obstacle(name, value.replace("\n", "")):
                raise ValueError(f"{_line_after(text[:position])}: {name} {what}; write one without")
            variables[name] = value
        elif not (found := _COMMENT.match(text, position)):
            raise ValueError(
                f"{_line_after(text[:position])} is no comment, no NAME=word and no NAME='text'; put the value in "
                f"single quotes, with nothing before the name and nothing behind the value"
            )
        position = found.end()
    return variables


def obstacle(name: str, value: str) -> str | None:
    """Return why a variable of one line cannot be written so that all three read the same; None if it can."""
    if not _NAME.fullmatch(name):
        return "has a name that no shell takes"
    what = misread(value)
    return f"has {what} in its value" if what else None


def misread(text: str) -> str | None:
    """Return what in a text of one line the three do not read the same; None if they do."""
    if "\n" in text or "\r" in text:
        return "a line break"
    if "'" in text or "\\" in text:
        return "a single quote or a backslash"
    hidden = next((each for each in text if not each.isprintable()), None)
    return f"the character U+{ord(hidden):04X}, which nobody sees," if hidden else None


def _line_after(text: str) -> str:
    breaks = text.count("\n")
    return f"line {breaks + 1}"
