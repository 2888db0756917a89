"""OData queries on collections: $filter, $select, $top, $count and paging.

Of $filter the forms that directory objects take: eq, ne, in, startsWith, endsWith, any, and, or, not. ne, not and
endsWith need `ConsistencyLevel: eventual` and `$count=true` ("Advanced query capabilities on directory objects").
Strings are compared without case, as the directory does. What is not understood is refused, never ignored.
"""

import re
from collections.abc import Callable, Collection, Sequence
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from localazure.graph.errors import bad_request, not_served
from localazure.graph.service import Graph
from localazure.store import Document

_OPTIONS = frozenset({"$filter", "$select", "$top", "$count", "$skiptoken"})
_DEFAULT_PAGE = 100
_LARGEST_PAGE = 999
_TOKEN = re.compile(
    r"\s*('(?:[^']|'')*'|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[A-Za-z_][\w/.]*|-?\d+|[(),:])"
)

Predicate = Callable[[Document], bool]


def collection(
    graph: Graph,
    request: web.Request,
    kind: str,
    documents: Sequence[Document],
    filterable: Collection[str] = (),
    default: Collection[str] | None = None,
) -> web.Response:
    """The page of the collection that is asked for; `default` as in `selected`."""
    if unknown := request.query.keys() - _OPTIONS:
        raise not_served(f"the query option {min(unknown)}")
    advanced = (
        request.headers.get("ConsistencyLevel", "").lower() == "eventual"
        and request.query.get("$count", "").lower() == "true"
    )
    if "$filter" in request.query:
        matches = _Filter(request.query["$filter"], kind, filterable, advanced=advanced).parse()
        documents = [document for document in documents if matches(document)]
    size, start = _number(request, "$top", _DEFAULT_PAGE), _number(request, "$skiptoken", 0)
    if not 1 <= size <= _LARGEST_PAGE:
        raise bad_request(f"Invalid page size specified: '{size}'. Must be between 1 and {_LARGEST_PAGE} inclusive.")
    answer: dict[str, Any] = {"@odata.context": f"{graph.version_base(request)}/$metadata#{kind}"}
    if advanced:
        answer["@odata.count"] = len(documents)
    if start + size < len(documents):
        following = urlencode({**request.query, "$skiptoken": str(start + size)})
        answer["@odata.nextLink"] = f"{graph.context.origin}{request.path}?{following}"
    answer["value"] = [selected(request, document, default) for document in documents[start : start + size]]
    return web.json_response(answer)


def selected(request: web.Request, document: Document, default: Collection[str] | None = None) -> Document:
    """The properties that the request selects; without $select, those of `default`, or all."""
    if unknown := request.query.keys() - _OPTIONS:
        raise not_served(f"the query option {min(unknown)}")
    wanted = [name.strip() for name in request.query.get("$select", "").split(",") if name.strip()]
    if not wanted:
        return document if default is None else {name: document[name] for name in default}
    if missing := [name for name in wanted if name not in document]:
        raise bad_request(f"Could not find a property named '{missing[0]}' on type 'microsoft.graph.directoryObject'.")
    annotations = {name: value for name, value in document.items() if name.startswith("@")}
    return annotations | {name: document[name] for name in wanted}


def _number(request: web.Request, option: str, default: int) -> int:
    given = request.query.get(option, str(default))
    if not given.isdigit():
        raise bad_request(f"Invalid value specified for query option {option}: '{given}'.")
    return int(given)


class _Filter:
    """A $filter expression, by recursive descent."""

    def __init__(self, text: str, kind: str, filterable: Collection[str], *, advanced: bool) -> None:
        self._text = text
        self._kind = kind
        self._filterable = filterable
        self._advanced = advanced
        self._tokens = self._tokenized(text)
        self._at = 0

    def parse(self) -> Predicate:
        predicate = self._any_of()
        if self._at < len(self._tokens):
            raise self._invalid()
        return predicate

    def _any_of(self) -> Predicate:
        terms = [self._all_of()]
        while self._take("or"):
            terms.append(self._all_of())
        return lambda document: any(term(document) for term in terms)

    def _all_of(self) -> Predicate:
        factors = [self._factor()]
        while self._take("and"):
            factors.append(self._factor())
        return lambda document: all(factor(document) for factor in factors)

    def _factor(self) -> Predicate:
        if self._take("not"):
            self._require_advanced()
            negated = self._factor()
            return lambda document: not negated(document)
        if self._take("("):
            inner = self._any_of()
            self._expect(")")
            return inner
        word = self._next()
        if word.lower() in ("startswith", "endswith"):
            return self._affix(word.lower())
        if word.endswith("/any"):
            return self._element(self._property(word.removesuffix("/any")))
        return self._comparison(self._property(word))

    def _affix(self, function: str) -> Predicate:
        if function == "endswith":
            self._require_advanced()
        self._expect("(")
        name = self._property(self._next())
        self._expect(",")
        affix = self._text_literal()
        self._expect(")")

        def matches(document: Document) -> bool:
            value = _folded(document.get(name)) or ""
            return bool(value.startswith(affix) if function == "startswith" else value.endswith(affix))

        return matches

    def _element(self, name: str) -> Predicate:
        self._expect("(")
        variable = self._next()
        self._expect(":")
        if self._take("startswith"):
            self._expect("(")
            self._expect(variable)
            self._expect(",")
            prefix = self._text_literal()
            self._expect(")")
            self._expect(")")
            return lambda document: any(_folded(each).startswith(prefix) for each in document.get(name) or [])
        self._expect(variable)
        self._expect("eq")
        wanted = self._literal()
        self._expect(")")
        return lambda document: any(_folded(each) == wanted for each in document.get(name) or [])

    def _comparison(self, name: str) -> Predicate:
        operator = self._next().lower()
        if operator == "in":
            self._expect("(")
            wanted = [self._literal()]
            while self._take(","):
                wanted.append(self._literal())
            self._expect(")")
            return lambda document: _folded(document.get(name)) in wanted
        if operator not in ("eq", "ne"):
            raise self._invalid()
        value = self._literal()
        if operator == "eq":
            return lambda document: bool(_folded(document.get(name)) == value)
        self._require_advanced()
        return lambda document: bool(_folded(document.get(name)) != value)

    def _property(self, name: str) -> str:
        if name not in self._filterable:
            raise bad_request(
                f"Unsupported or invalid query filter clause specified for property '{name}' of resource "
                f"'{self._kind}'.",
                code="Request_UnsupportedQuery",
            )
        return name

    def _text_literal(self) -> str:
        literal = self._literal()
        if not isinstance(literal, str):
            raise self._invalid()
        return literal

    def _literal(self) -> Any:
        token = self._next()
        if token.startswith("'"):
            return token[1:-1].replace("''", "'").casefold()
        constants = {"true": True, "false": False, "null": None}
        if token.lower() in constants:
            return constants[token.lower()]
        if re.fullmatch(r"[0-9a-fA-F-]{36}|-?\d+", token):
            return token.casefold() if len(token) == 36 else int(token)
        raise self._invalid()

    def _require_advanced(self) -> None:
        if not self._advanced:
            raise bad_request(
                f"Operator in '{self._text}' is not supported because the required parameters might be missing. Try "
                "adding $count=true query parameter and ConsistencyLevel:eventual header. Refer to "
                "https://aka.ms/graph-docs/advanced-queries for more information",
                code="Request_UnsupportedQuery",
            )

    def _take(self, word: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at].lower() == word:
            self._at += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._take(word.lower()):
            raise self._invalid()

    def _next(self) -> str:
        if self._at == len(self._tokens):
            raise self._invalid()
        self._at += 1
        return self._tokens[self._at - 1]

    def _tokenized(self, text: str) -> list[str]:
        tokens, at = [], 0
        while text[at:].strip():
            token = _TOKEN.match(text, at)
            if token is None:
                raise self._invalid()
            tokens.append(token[1])
            at = token.end()
        return tokens

    def _invalid(self) -> Exception:
        return bad_request(f"Invalid filter clause: '{self._text}'.", code="BadRequest")


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value
