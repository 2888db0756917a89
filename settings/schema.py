"""The models' JSON schema: what belongs where, in words, for messages and the reference page."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from typing import Any

from pydantic_core import ErrorDetails

from settings.problems import Location, Problem, Wrong, listed, quoted
from settings.written import WrittenSettings

SCHEMA: Mapping[str, Any] = WrittenSettings.model_json_schema()


def node(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a schema itself, where it is given by reference or allows null as well."""
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null":
            return node(option)
    if "$ref" in schema:
        definition: Mapping[str, Any] = SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]]
        return definition
    return schema


def _at(location: Location) -> tuple[Mapping[str, Any], str]:
    """Return the schema at a place, and what follows from a wrong value there."""
    schema, otherwise = SCHEMA, ""
    for step in location:
        schema = node(schema)
        if "properties" in schema:
            schema = schema["properties"][step]
        else:
            schema = schema["items"] if isinstance(step, int) else schema["additionalProperties"]
        otherwise = schema.get("otherwise", otherwise)
    return node(schema), otherwise


def expected(schema: Mapping[str, Any]) -> str:
    """Say what a value has to be."""
    if "enum" in schema:
        choices = schema["enum"]
        return f"one of: {listed(choices)}" if len(choices) > 1 else quoted(choices[0])
    match schema["type"]:
        case "boolean":
            return "true or false"
        case "integer" if "maximum" in schema:
            return f"a whole number from {schema['minimum']} to {schema['maximum']}"
        case "integer":
            return f"a whole number, {schema['minimum']} or more" if "minimum" in schema else "a whole number"
        case "array":
            most = f" of at most {schema['maxItems']}" if "maxItems" in schema else ""
            return f"a list{most}; each entry: {expected(node(schema['items']))}"
        case "object" if "properties" in schema:
            return f"a map of {listed(schema['properties'])}"
        case "object":
            return "a map"
    return str(schema.get("format", "text"))


def explained(error: ErrorDetails) -> Problem:
    """Put one of pydantic's findings into words."""
    location, value, context = place(error), error["input"], error.get("ctx", {})
    if error["type"] == "extra_forbidden":
        return _unknown_key(location)
    schema, otherwise = _at(location)
    if isinstance(wrong := context.get("error"), Wrong):
        return Problem(location, wrong.what, wrong.consequence or otherwise, wrong.fix)
    what, fix = f"is {_described(value)}", f"Use {expected(schema)}."
    match error["type"]:
        case "missing":
            what, fix = "is missing", f"Give {expected(schema)}."
        case "greater_than_equal":
            what = f"is {value}, less than {context['ge']}"
        case "less_than_equal":
            what = f"is {value}, more than {context['le']}"
        case "too_long":
            what = f"has {context['actual_length']} entries"
        case "enum" if isinstance(value, str):
            what = f"is {quoted(value)}, which does not exist"
        case "string_type" if isinstance(value, int | float):
            fix = f"Put it in quotes: {quoted(json.dumps(value))}."
        case "bool_type" | "int_type" if isinstance(value, str):
            fix = f"Use {expected(schema)}, without quotes."
    return Problem(location, what, otherwise, fix)


def place(error: ErrorDetails) -> Location:
    """Return where a finding belongs; that a key is wrong, and not what is under it, goes without saying."""
    is_of_key = error["loc"][-1] == "[key]" and error["type"] != "extra_forbidden"
    return error["loc"][:-1] if is_of_key else error["loc"]


def _described(value: object) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return json.dumps(value)
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {quoted(value)}"
    return "a map" if isinstance(value, dict) else "a list"


def _unknown_key(location: Location) -> Problem:
    schema, _ = _at(location[:-1])
    known = {name.lower(): name for name in schema["properties"]}
    near = difflib.get_close_matches(str(location[-1]).lower(), known, n=1)
    fix = f'Did you mean "{known[near[0]]}"?' if near else f"Known here: {listed(known.values())}."
    return Problem(location, "is not a setting", "It would have no effect.", fix)
