"""Environment files that docker compose (env_file), systemd (EnvironmentFile) and shells (`set -a; . FILE`) read alike.

The three agree on a plain word, and on text in single quotes, newlines included. They disagree on everything else:
what a backslash does, where a comment may begin, whether a dollar sign means something. So nothing else is written.
Sources: compose-go's dotenv/parser.go, systemd's basic/env-file.c, POSIX shell command language 2.2 and 2.9.1.
"""

import re
import shlex
from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-][A-Za-z0-9_./:@%+,=-]*")


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
    """Return the variables of a file as a shell reads them. Raises ValueError for what is no environment file."""
    words = [word.partition("=") for word in shlex.split(content.decode(), comments=True)]
    if strangers := [word for word, equals, _ in words if not equals or not _NAME.fullmatch(word)]:
        raise ValueError(f"{len(strangers)} words of it are no variables")
    return {name: value for name, _, value in words}


def obstacle(name: str, value: str) -> str | None:
    """Return why a variable of one line cannot be written so that all three read the same; None if it can."""
    if not _NAME.fullmatch(name):
        return "has a name that no shell takes"
    if "\n" in value or "\r" in value:
        return "has a line break in its value"
    if "'" in value or "\\" in value:
        return "has a single quote or a backslash in its value"
    if not value.isprintable():
        return "has a control character in its value"
    return None
