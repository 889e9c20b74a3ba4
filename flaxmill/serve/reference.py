"""The page /docs: what the server answers, for people; nothing is fetched from anywhere for it."""

from collections.abc import Mapping
from html import escape
from typing import Any


def page(description: Mapping[str, Any]) -> str:
    """Returns an OpenAPI description as a plain page.

    Args:
        description: As in /openapi.json.
    """
    about = description["info"]
    sections = [
        _section(path, method, operation)
        for path, methods in description["paths"].items()
        for method, operation in methods.items()
    ]
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{escape(about['title'])}: what it answers</title></head><body><main>"
        f"<h1>{escape(about['title'])} {escape(about['version'])}</h1>"
        f"<p>{escape(about['description'])}</p>"
        '<p>For programs, the same is in <a href="/openapi.json">/openapi.json</a>.</p>'
        f"{''.join(sections)}</main></body></html>"
    )


def _section(path: str, method: str, operation: Mapping[str, Any]) -> str:
    about = operation.get("description", "")
    found = [
        f"<h2><code>{method.upper()} {escape(path)}</code></h2>",
        f"<p><strong>{escape(operation.get('summary', ''))}.</strong> {escape(about)}</p>",
    ]
    parameters = operation.get("parameters", [])
    bodies = operation.get("requestBody", {}).get("content", {})
    if parameters:
        items = "".join(
            f"<li><code>{escape(each['name'])}</code> (in the {escape(each['in'])}) "
            f"{escape(each.get('description', ''))}</li>"
            for each in parameters
        )
        found.append(f"<ul>{items}</ul>")
    if bodies:
        kinds = ", ".join(f"<code>{escape(kind)}</code>" for kind in bodies)
        found.append(f"<p>It takes {kinds}.</p>")
    statuses = ", ".join(f"<code>{escape(status)}</code>" for status in operation["responses"])
    found.append(f"<p>It answers {statuses}.</p>")
    return "".join(found)
