"""Certificates and trust of a stack before and after a change: the outputs say what was, the settings what is to be."""

from __future__ import annotations

import re

from deploy.preview import types
from deploy.preview.document import Preview
from pki import Role

_TRUSTED_FILE = re.compile(r"ca/(?P<authority>.+)-[a-z]+\.pem")
_TRUSTS = {
    Role.CLIENT: re.compile(r"TEMPORAL_TLS_(HOST\d+_)?CLIENT\d+_CA_CERT"),
    Role.NODE: re.compile(r"TEMPORAL_TLS_SERVER\d*_CA_CERT"),
}
"""The server's variables that name whom it accepts, by what the certificate is for."""


class Comparison:
    """Leaves and authorities by name; an authority's name is that of its generation, such as `clients-1`.

    `made_anew` are those that there are and that get another key, `touched` those that change in any way.
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

        self.touched = {step.name for step in preview.steps if types.is_authority(step)}
        made = {step.name for step in preview.steps if types.makes_authority_key(step)}
        self.made_anew = made & self.authorities_before.keys()

    def issuer_before(self, leaf: str) -> str:
        """The authority that issued what a leaf has until now, or "" where the outputs do not know it."""
        subject = self.leaves_before[leaf].issuer if leaf in self.leaves_before else None
        return next((name for name, facts in self.authorities_before.items() if facts.subject == subject), "")

    def issuer_after(self, leaf: str) -> str:
        """The authority that issues a leaf from now on, or "" for a leaf that is no more."""
        if leaf not in self.leaves_after:
            return ""
        authority = self._settings.certificate_authorities[self.leaves_after[leaf].issuer]
        return authority.generations[authority.signing].certificate_name

    def trusted_before(self, role: Role) -> set[str]:
        """The authorities whose leaves of that role (`node`, `client`) the server has been told to accept."""
        files = (file for name, file in self._server.items() if _TRUSTS[role].fullmatch(name))
        names = {found["authority"] for file in files if (found := _TRUSTED_FILE.search(file))}
        return {authority for authority in self.authorities_before if authority.rpartition("-")[0] in names}

    def trusted_after(self, role: Role) -> set[str]:
        """The authorities whose leaves of that role the server is told to accept from now on."""
        own = (self._settings.certificates["cluster"].issuer,)
        names = self._settings.admitted_authorities if role is Role.CLIENT else own
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
