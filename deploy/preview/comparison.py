"""Certificates and trust of a stack before and after a change: the outputs say what was, the settings what is to be."""

from __future__ import annotations

import re

from deploy.preview import types
from deploy.preview.document import Issued, Preview, Step
from pki import Role, load_certificate

_TRUSTED_FILE = re.compile(r"ca/(?P<authority>.+)-[a-z]+\.pem")
_OF_NODES = r"TEMPORAL_TLS_SERVER\d*_CA_CERT"
_OF_CLIENTS = r"TEMPORAL_TLS_CLIENT\d+_CA_CERT"
_OF_CLIENTS_AT_A_HOST = r"TEMPORAL_TLS_HOST{number}_CLIENT\d+_CA_CERT"
"""The server's variables that name whom it accepts."""

_HOST = re.compile(
    r"^ +(?P<host>\S+):\n(?: +\w+: .*\n){1,5} +clientCaFiles: .*?TEMPORAL_TLS_HOST(?P<number>\d+)_", re.MULTILINE
)
"""Another name of the frontend, and its number in these variables, in server.yaml."""

_SERVER_NAME = "TEMPORAL_TLS_SERVER_NAME"


class Comparison:
    """Leaves and authorities by name; an authority's name is that of its generation, such as `clients-1`.

    `made_anew` are those that there are and that get another key, `swapped` those of them that were brought along and
    so are no resource; `touched` are those that change in any way.
    """

    def __init__(self, preview: Preview) -> None:
        self._settings = preview.settings
        known = preview.outputs.certificates.items()
        self._server = preview.outputs.server_env
        self.leaves_before = {name: facts for name, facts in known if facts.role is not Role.AUTHORITY}
        self.authorities_before = {name: facts for name, facts in known if facts.role is Role.AUTHORITY}
        self.leaves_after = self._settings.certificates
        self.authorities_after = {
            generation.certificate_name
            for authority in self._settings.certificate_authorities.values()
            for generation in authority.generations.values()
            if not generation.awaits_certificate
        }

        self._hosts_before = {
            found["host"].lower(): found["number"] for found in _HOST.finditer(preview.outputs.server_config)
        }
        self._hosts_after = {host.lower(): names for host, names in self._settings.host_overrides.items()}
        self._asked_for = {
            leaf: variables.get(_SERVER_NAME, "").lower() for leaf, variables in preview.outputs.client_envs.items()
        }
        self.touched = {step.name for step in preview.steps if types.is_authority(step)}
        made = {step.name for step in preview.steps if types.makes_authority_key(step)}
        self.swapped = {name for name, facts in self.authorities_before.items() if self._is_another(name, facts)}
        self.swapped |= {self.issuer_before(step.name) for step in preview.steps if self._is_swapped(step)} - {""}
        self.made_anew = made & self.authorities_before.keys() | self.swapped

    def authority_called(self, subject: str) -> str:
        """The authority that has a distinguished name until now, or ""."""
        return next((name for name, facts in self.authorities_before.items() if facts.subject == subject), "")

    def issuer_before(self, leaf: str) -> str:
        """The authority that issued what a leaf has until now, or "" where the outputs do not know it."""
        return self.authority_called(self.leaves_before[leaf].issuer) if leaf in self.leaves_before else ""

    def issuer_after(self, leaf: str) -> str:
        """The authority that issues a leaf from now on, or "" for a leaf that is no more."""
        if leaf not in self.leaves_after:
            return ""
        authority = self._settings.certificate_authorities[self.leaves_after[leaf].issuer]
        return authority.generations[authority.signing].certificate_name

    @property
    def hosts(self) -> list[str]:
        """The frontend's other names, before and afterwards, in lower case: case does not count."""
        return sorted({*self._hosts_before, *self._hosts_after})

    def server_name_of(self, leaf: str) -> str:
        """The name that a client which runs asks the server for; "" for the frontend's own."""
        name = self._asked_for.get(leaf, "")
        return name if name in self.hosts else ""

    def trusted_before(self, role: Role, host: str = "") -> set[str]:
        """The authorities whose leaves of that role (`node`, `client`) are accepted, under one of the frontend's names.

        A name that the server does not know is as good as its own.
        """
        number = self._hosts_before.get(host)
        of_clients = _OF_CLIENTS_AT_A_HOST.format(number=number) if number else _OF_CLIENTS
        variable = re.compile(of_clients if role is Role.CLIENT else _OF_NODES)
        files = (file for name, file in self._server.items() if variable.fullmatch(name))
        names = {found["authority"] for file in files if (found := _TRUSTED_FILE.search(file))}
        return {authority for authority in self.authorities_before if authority.rpartition("-")[0] in names}

    def trusted_after(self, role: Role, host: str = "") -> set[str]:
        """The same from now on."""
        of_clients = self._hosts_after.get(host, self._settings.client_authorities)
        names = of_clients if role is Role.CLIENT else (self._settings.certificates["cluster"].issuer,)
        return {
            generation.certificate_name
            for name in names
            for generation in self._settings.certificate_authorities[name].generations.values()
        }

    def trusted_in_cloud(self, namespace: str) -> set[str]:
        """The authorities, and those above them, that `up` has a namespace of Temporal Cloud trust from now on."""
        known = self._settings.temporal_cloud.get(namespace)
        if known is None or not known.apply:
            return set()
        named = [self._settings.certificate_authorities[name] for name in known.authorities]
        generations = [generation for authority in named for generation in authority.generations.values()]
        above = [upper.signing_generation for authority in named for upper in self._settings.above(authority.name)]
        return {each.certificate_name for each in (*generations, *above) if each and not each.awaits_certificate}

    def chained_to(self, authority: str) -> list[str]:
        """The leaves in use that an authority issued."""
        return [leaf for leaf in self.leaves_before if self.issuer_before(leaf) == authority]

    def _is_swapped(self, leaf: Step) -> bool:
        """Whether a leaf's issuer keeps its name and has another key: what is in a vault may be another one there."""
        if leaf.type != types.CERTIFICATE or self.issuer_before(leaf.name) != self.issuer_after(leaf.name):
            return False
        pems = [(state.get("issuer") or {}).get("certificatePem") for state in (leaf.before, leaf.after)]
        try:
            return _have_other_keys(*map(str, pems))
        except ValueError:
            return False  # a preview does not know what is only made by `up`

    def _is_another(self, authority: str, facts: Issued) -> bool:
        """Whether an authority that was brought along is another one from now on, under the name that it had."""
        name, _, number = authority.rpartition("-")
        known = self._settings.certificate_authorities.get(name)
        generation = known.generations.get(int(number)) if known else None
        if generation is None:
            return False
        if generation.certificate_pem and facts.certificate_pem:
            return _have_other_keys(facts.certificate_pem, generation.certificate_pem)
        return bool(generation.vault_certificate and facts.certificate_id) and not _is_of(
            facts.certificate_id or "", generation.vault_certificate or ""
        )


def _have_other_keys(before_pem: str, after_pem: str) -> bool:
    """Whether two certificates are over different keys. Raises ValueError for what is no certificate."""
    return load_certificate(before_pem).public_key() != load_certificate(after_pem).public_key()


def _is_of(one: str, other: str) -> bool:
    """Whether two identifiers, with a version or without, are of one certificate in a vault."""
    return one.split("/")[2:5] == other.split("/")[2:5]
