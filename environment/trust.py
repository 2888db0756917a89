"""Whom the server's listeners admit: the variables that name the authorities' files, one generation a file.

Both processes read one server.yaml, which names these variables and takes those that are set. What a variable names in
a process is that process's own: in the internal frontend's, whose callers are all administrators, every one of them
names an authority of the nodes, under whichever host name somebody calls.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from environment.files import SERVER, slots


@dataclass(frozen=True, kw_only=True)
class Trust:
    """The authorities: who issues for the nodes, whose clients the frontend admits, and whose under another host name.

    `generations` says how many of an authority are trusted, by name; of those that it does not name there are no more
    than two.
    """

    internode: str
    clients: tuple[str, ...]
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    generations: Mapping[str, int] = field(default_factory=dict)

    def paths(self, authorities: Iterable[str]) -> list[str]:
        """The files of these authorities on the server."""
        return [
            SERVER.slot_path(authority, slot)
            for authority in authorities
            for slot in slots(self.generations.get(authority, 0))
        ]

    @property
    def internode_variables(self) -> list[str]:
        """The variables of the nodes' authority."""
        return list(_numbered("SERVER", len(self.paths([self.internode]))))

    @property
    def client_variables(self) -> list[str]:
        """The variables of whom the frontend admits: enough of them for either process."""
        return self._admitting("CLIENT", self.clients)

    @property
    def host_variables(self) -> dict[str, list[str]]:
        """The same for each host name."""
        return {
            host: self._admitting(f"HOST{number}_CLIENT", authorities)
            for number, (host, authorities) in enumerate(self.hosts.items(), start=1)
        }

    def environment(self, *, internal: bool) -> dict[str, str]:
        """The variables of a process, with the files that they name."""
        own = self.paths([self.internode])
        admitted = {
            tuple(self.client_variables): self.clients,
            **{tuple(variables): self.hosts[host] for host, variables in self.host_variables.items()},
        }
        found = dict(zip(self.internode_variables, own, strict=True))
        for variables, authorities in admitted.items():
            paths = own if internal else self.paths(authorities)
            found |= dict(zip(variables, paths, strict=False))
        return found

    def _admitting(self, prefix: str, authorities: Iterable[str]) -> list[str]:
        count = max(len(self.paths(authorities)), len(self.paths([self.internode])))
        return [f"TEMPORAL_TLS_{prefix}{number}_CA_CERT" for number in range(1, count + 1)]


def _numbered(prefix: str, count: int) -> Iterator[str]:
    """As the official image numbers them: the first has no number."""
    for number in range(1, count + 1):
        yield f"TEMPORAL_TLS_{prefix}{number if number > 1 else ''}_CA_CERT"
