"""A tree of XML as text that reads back as the same tree.

``minidom`` writes line breaks and tabs of attributes as they are (before Python 3.13), and readers
then make spaces of them.
"""

from __future__ import annotations

from typing import Any
from xml.dom.minidom import Document, Element, Node
from xml.sax.saxutils import escape, quoteattr


def to_text(document: Document) -> str:
    """``document`` in text for UTF-8; each thing beside its root has a line of its own."""
    declared = '<?xml version="1.0" encoding="UTF-8"?>\n' if document.version else ""
    return declared + "".join(f"{_node(child)}\n" for child in document.childNodes)


def _node(node: Any) -> str:
    if isinstance(node, Element):
        return _element(node)
    if node.nodeType == Node.TEXT_NODE:
        return escape(node.data, {"\r": "&#13;"})
    if node.nodeType == Node.CDATA_SECTION_NODE:
        return f"<![CDATA[{node.data}]]>"
    if node.nodeType == Node.COMMENT_NODE:
        return f"<!--{node.data}-->"
    if node.nodeType == Node.PROCESSING_INSTRUCTION_NODE:
        return f"<?{node.target} {node.data}?>"
    raise ValueError(f"unexpected {node.nodeName}")


def _element(element: Any) -> str:
    attributes = [element.attributes.item(n) for n in range(element.attributes.length)]
    attributes.sort(key=lambda each: (each.prefix or each.name) != "xmlns")  # as they are read
    start = element.tagName + "".join(f" {a.name}={quoteattr(a.value)}" for a in attributes)
    if not element.childNodes:
        return f"<{start}/>"
    inside = "".join(map(_node, element.childNodes))
    return f"<{start}>{inside}</{element.tagName}>"
