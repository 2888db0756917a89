"""What an `up` would do, for whoever has to say yes to it: from `pulumi preview --json` to Markdown and a verdict.

`document` reads; `comparison`, `breaking` and `changes` judge, with `cloud` and `state_words` for what only some stacks
have; `summary` puts it together; `drift` does the same for what was changed by hand. All of it is pure.

The decision that matters: the engine's document does not have the stack's outputs after the change, so what is to be is
taken from the settings, which are in the document, through the models that the program itself reads them with. What
breaks clients that run is decided by what they hold now, not by what the change leaves behind.
"""

from deploy.preview.document import Preview, UnusablePreview, read
from deploy.preview.drift import drift
from deploy.preview.summary import LONGEST_COMMENT, PreviewSummary, summarise

__all__ = ["LONGEST_COMMENT", "Preview", "PreviewSummary", "UnusablePreview", "drift", "read", "summarise"]
