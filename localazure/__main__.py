"""Command line: `python -m localazure serve --state DIR [--port N]`."""

import logging
from pathlib import Path

import click

from localazure import server


@click.group()
def main() -> None:
    """A local Azure: Entra ID, Microsoft Graph, ARM and Key Vault over HTTPS on 127.0.0.1."""


@main.command()
@click.option(
    "--state",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Directory of everything it keeps: created if missing, one process at a time.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    help="Port of Entra, Graph and ARM. Default: the one used before, or a free one.",
)
def serve(state: Path, port: int | None) -> None:
    """Serve until stopped; DIR/endpoint.json says where, once all listeners are up."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        server.serve(state, port)
    except server.StartError as error:
        raise click.ClickException(str(error)) from error


if __name__ == "__main__":
    main()
