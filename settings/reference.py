"""docs/settings.md, made from the models: every setting with its values, default and meaning."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from settings.schema import SCHEMA, expected, node

_INTRODUCTION = """\
# Settings

A stack's configuration is its file, `Pulumi.<stack>.yaml`. The names below are in the project's namespace: `vaults.sku`
is the key `sku` in the map `temporal-azure:vaults`. Only `location` is needed: everything else has a default. All that
is wrong is reported at once, before any resource exists.

Nothing here is a secret. The one that a stack may have, Temporal Cloud's API key, is the provider's
(`temporalazure:temporalCloudApiKey`): see [temporal-cloud.md](temporal-cloud.md#let-up-set-it).

This page is made from the models in `settings/`."""


def reference() -> str:
    """Return the page."""
    rows = list(_rows((), SCHEMA))
    tables = {"Every setting at the top": [row for row in rows if "." not in row[0]]}
    for path, *_ in tables["Every setting at the top"]:
        if nested := [row for row in rows if row[0].startswith(f"{path}.")]:
            tables[f"`{path}`"] = nested
    sections = [_INTRODUCTION]
    for title, table in tables.items():
        lines = ("| Setting | Value | Default | Meaning |", "|---|---|---|---|")
        entries = (f"| `{path}` | {value} | {default} | {meaning} |" for path, value, default, meaning in table)
        sections += [f"## {title}", "\n".join((*lines, *entries))]
    return "\n\n".join(sections) + "\n"


def _rows(here: tuple[str, ...], schema: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for name, described in schema["properties"].items():
        path, below = (*here, name), node(described)
        form = "a map" if "properties" in below else expected(below).partition("; each entry: a map")[0]
        yield ".".join(path), form.replace("<", r"\<"), _default(described), described["description"]
        while "items" in below or ("additionalProperties" in below and "properties" not in below):
            if "items" in below:
                path, below = (*path[:-1], f"{path[-1]}[]"), node(below["items"])
            else:
                path, below = (*path, _key(name, below)), node(below["additionalProperties"])
        if "properties" in below:
            yield from _rows(path, below)


def _key(name: str, described: Mapping[str, Any]) -> str:
    """Return what stands for a key of a map."""
    form = str(described.get("propertyNames", {}).get("format", ""))
    return form if form.startswith("<") else "<number>" if name == "generations" else "<name>"


def _default(described: Mapping[str, Any]) -> str:
    match described["derived"] or described.get("default"):
        case bool() | int() as value:
            return f"`{json.dumps(value)}`"
        case str() as value:
            return value if described["derived"] else f"`{value}`"
    return ""
