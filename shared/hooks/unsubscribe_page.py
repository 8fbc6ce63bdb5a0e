"""The pages of unsubscribe links: plain HTML, in English and Chinese, without a script.

They load nothing from anywhere, and say no more about the person than the link's owner knows: the
address is masked, as links are passed on.
"""

from __future__ import annotations

from html import escape

from shared.schema.addresses import mask
from shared.sending.scopes import ACCOUNT
from shared.sending.unsubscribe import Unsubscribe
from shared.triggers.http import Response

_TYPE = "text/html; charset=utf-8"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
# `color-scheme` leaves light and dark to the person's own setting.
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; font: 1.125rem/1.6 system-ui, sans-serif }}
main {{ max-width: 34rem; margin: 15vh auto 0; padding: 0 1.5rem }}
h1 {{ font-size: 1.5rem }}
button {{ font: inherit; padding: .6em 1.6em; min-height: 44px; cursor: pointer }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
{body}
</main>
</body>
</html>
"""
_FORM = """<form method="post">
<input type="hidden" name="List-Unsubscribe" value="One-Click">
<button type="submit">Unsubscribe <span lang="zh">退订</span></button>
</form>"""


def question(wish: Unsubscribe) -> Response:
    """The page with the button. The form posts to the page's own address."""
    english, chinese = _whose(wish)
    return _page(
        200,
        "Unsubscribe?",
        f"<p>{mask_of(wish)} will get no more mails from {english}.</p>",
        f'<p lang="zh">{mask_of(wish)} 将不再收到{chinese}的邮件。</p>',
        _FORM,
    )


def done(wish: Unsubscribe) -> Response:
    """It is done; the same answer as often as it is asked for."""
    english, chinese = _whose(wish)
    return _page(
        200,
        "You are unsubscribed",
        f'<p role="status">{mask_of(wish)} gets no more mails from {english}. A mail that is on '
        "its way may still arrive.</p>",
        f'<p lang="zh">已退订：{mask_of(wish)} 不再收到{chinese}的邮件。</p>',  # noqa: RUF001  # it is Chinese
    )


def incomplete() -> Response:
    """A post that does not say what for."""
    return _page(
        400,
        "Nothing was changed",
        "<p>This was no request to unsubscribe. Please open the link in the mail again.</p>",
        '<p lang="zh">未作更改，请重新打开邮件中的链接。</p>',  # noqa: RUF001  # it is Chinese
    )


def unknown() -> Response:
    """A link that is not one of ours, or not whole."""
    return _page(
        404,
        "This link does not work",
        "<p>It may not be whole. Please open it from the mail again, or answer the mail.</p>",
        '<p lang="zh">链接无效，请从邮件中重新打开。</p>',  # noqa: RUF001  # it is Chinese
    )


def later() -> Response:
    """Something of ours did not answer; mail programs try again by themselves."""
    return _page(
        503,
        "Please try again",
        "<p>We could not take this down just now. Please try again in a minute.</p>",
        '<p lang="zh">暂时无法处理，请稍后再试。</p>',  # noqa: RUF001  # it is Chinese
        retry="60",
    )


def mask_of(wish: Unsubscribe) -> str:
    """The recipient's address as the page shows it."""
    return escape(mask(wish.recipient))


def _whose(wish: Unsubscribe) -> tuple[str, str]:
    """Whose mails it is about, in English and Chinese."""
    if wish.scope == ACCOUNT:
        return "us", "我们"
    name = escape(wish.scope.removeprefix("@"))
    return name, f" {name} "


def _page(status: int, title: str, *body: str, retry: str = "") -> Response:
    text = _PAGE.format(title=title, body="\n".join(body))
    headers = {**_HEADERS, "Retry-After": retry} if retry else _HEADERS
    return Response(status, None, headers, _TYPE, text)
