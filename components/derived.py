"""Names that are derived, never random: the same parts always give the same, so a killed run finds its own again."""

import base64
import hashlib


def digest(*parts: str, length: int) -> str:
    """Return `length` letters and digits, those of base32, that the parts give, without regard to case."""
    hashed = hashlib.sha256("|".join(parts).lower().encode()).digest()
    return base64.b32encode(hashed).decode().lower()[:length]
