"""Entra's pages for people: sign in, choose an account, consent, and what went wrong.

Plain HTML that needs no script and loads nothing; all that is put in is escaped. Only a page that hands a code over by
form_post has a script, which presses its button.
"""

import secrets
from collections.abc import Iterable, Mapping
from html import escape

from aiohttp import web

from localazure.entra.errors import Refusal

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; background: #f2f2f2; color: #1b1b1b; margin: 0 }
main { background: #fff; max-width: 27rem; margin: 10vh auto; padding: 2.5rem; box-shadow: 0 2px 6px #0003 }
h1 { font-size: 1.5rem; margin: 0 0 1rem }
label { display: block; margin-top: 1rem }
input { font: inherit; box-sizing: border-box; width: 100%; padding: .4rem }
button { font: inherit; margin: 1.5rem .5rem 0 0; padding: .4rem 1.5rem }
[role=alert] { color: #b00020 }
"""


def sign_in(application: str, login: str, refusal: Refusal | None) -> web.Response:
    """Asks for user name and password. The form goes back to the address of the page, with `action=sign-in`."""
    focus_login, focus_password = ("", " autofocus") if login else (" autofocus", "")
    return _page(
        "Sign in",
        f"""{_alert(refusal)}<p>to continue to {escape(application)}</p>
<form method="post">
<label for="login">Email</label>
<input id="login" name="login" type="text" value="{escape(login)}" autocomplete="username" required{focus_login}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required{focus_password}>
{_button("sign-in", "Sign in")}
</form>""",
        status=200 if refusal is None else 401,
    )


def choose_account(application: str, login: str) -> web.Response:
    """Offers the account that is signed in (`action=continue`), and another (`action=other`)."""
    return _page(
        "Pick an account",
        f"""<p>to continue to {escape(application)}</p>
<form method="post">
{_button("continue", login)}
{_button("other", "Use another account")}
</form>""",
    )


def consent(application: str, login: str, permissions: Iterable[str]) -> web.Response:
    """Asks whether the application may (`action=accept`) or not (`action=cancel`)."""
    listed = "\n".join(f"<li>{escape(permission)}</li>" for permission in permissions)
    return _page(
        "Permissions requested",
        f"""<p>{escape(login)}</p>
<p>{escape(application)} would like to:</p>
<ul>
{listed}
</ul>
<form method="post">
{_button("accept", "Accept")}
{_button("cancel", "Cancel")}
</form>""",
    )


def refused(refusal: Refusal, origin: str) -> web.Response:
    """The end of the way: nothing is sent back to the application."""
    told = refusal.body(origin)
    title = "Need admin approval" if refusal.code == _NEEDS_ADMIN else "Sorry, but we're having trouble signing you in."
    details = "".join(f"<dt>{name}</dt><dd>{escape(told[key])}</dd>" for name, key in _DETAILS.items())
    return _page(
        title,
        f"""<p role="alert">AADSTS{refusal.code}: {escape(refusal.message)}</p>
<dl>{details}</dl>""",
        status=400,
    )


def signed_out() -> web.Response:
    return _page("You signed out of your account", "<p>It's a good idea to close all browser windows.</p>")


def form_post(address: str, fields: Mapping[str, str]) -> web.Response:
    """Hands the fields over to the application at the address, in a form's body."""
    hidden = "\n".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">' for name, value in fields.items()
    )
    nonce = secrets.token_urlsafe(16)
    return _page(
        "Working…",
        f"""<form method="post" action="{escape(address)}">
{hidden}
<button type="submit">Continue</button>
</form>
<script nonce="{nonce}">document.forms[0].submit()</script>""",
        script_nonce=nonce,
    )


_NEEDS_ADMIN = 90094
_DETAILS = {"Trace ID": "trace_id", "Correlation ID": "correlation_id", "Timestamp": "timestamp"}


def _alert(refusal: Refusal | None) -> str:
    if refusal is None:
        return ""
    return f'<p role="alert">AADSTS{refusal.code}: {escape(refusal.message)}</p>\n'


def _button(action: str, text: str) -> str:
    return f'<button type="submit" name="action" value="{action}">{escape(text)}</button>'


def _page(title: str, body: str, *, status: int = 200, script_nonce: str | None = None) -> web.Response:
    style_nonce = secrets.token_urlsafe(16)
    policy = f"default-src 'none'; base-uri 'none'; frame-ancestors 'none'; style-src 'nonce-{style_nonce}'"
    if script_nonce is not None:
        policy += f"; script-src 'nonce-{script_nonce}'"
    return web.Response(
        text=f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{escape(title)}</title>
<style nonce="{style_nonce}">{_STYLE}</style>
</head>
<body>
<main>
<h1>{escape(title)}</h1>
{body}
</main>
</body>
</html>
""",
        status=status,
        content_type="text/html",
        headers={
            "Cache-Control": "no-store",
            "Content-Security-Policy": policy,
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
        },
    )
