"""What keeps files from being written, in words for whoever has to mend it."""

from dataclasses import dataclass

import click


class DeployError(click.ClickException):
    """Nothing can be done; the text says what, where, what follows and what to do."""


class UntoldError(DeployError):
    """The status could not be told, which a monitor must not take for a bad one."""

    exit_code = 2


@dataclass(frozen=True)
class Problem:
    """What is wrong with one consumer's files: `what` is a clause, `consequence` and `fix` are sentences."""

    consumer: str
    what: str
    consequence: str
    fix: str

    def __str__(self) -> str:
        return f"{self.consumer}: {self.what}. {self.consequence} {self.fix}"
