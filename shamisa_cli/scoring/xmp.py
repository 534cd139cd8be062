"""XMP: a score and its rating, put into what is there already (docs/photo-tools.md).

Only the standard library reads the XML. What could do harm is refused before a tree is built: a
document type (and with it every entity of its own), too many elements, too deep ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from xml.dom import minidom
from xml.dom.minidom import Attr, Document, Element, Node
from xml.parsers import expat

from shamisa_cli.errors import ShamisaError
from shamisa_cli.scoring.xml_text import to_text

OWN = "urn:shamisa:xmp:1.0/"
"""Our namespace: a name, not an address."""
XMP = "http://ns.adobe.com/xap/1.0/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_XMLNS = "http://www.w3.org/2000/xmlns/"

MAX_BYTES = 16 << 20
_MAX_NODES, _MAX_DEPTH = 100_000, 64
_UNRATED = ("", "0")
_NOTE = "RatingWritten"
"""Our property that holds the rating which we wrote; by no name that a program takes for one."""

_EMPTY = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="{RDF}">
  <rdf:Description rdf:about="" xmlns:xmp="{XMP}" xmlns:shamisa="{OWN}"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>
"""


class XmpError(ShamisaError):
    """What is wrong with a file's XMP."""


@dataclass(frozen=True)
class Verdict:
    """What a photo's XMP says of it.

    Attributes
    ----------
    score : 0-100, as text, with four decimals.
    model, head : what scored it.
    rating : 1 to 5, or -1 for a photo that is rejected.
    """

    score: str
    model: str
    head: str
    rating: int


def with_verdict(
    content: bytes | None, verdict: Verdict, rated: Callable[[], bool] = lambda: False
) -> bytes:
    """The XMP ``content`` with ``verdict`` in it; all else stays. None is a new file.

    The rating is written beside a note of it in our own namespace. A rating that is not the one
    noted there is a person's, and stays; so does the place where a person took ours away. Where a
    person has ``rated`` the photo elsewhere, none is written anew; only then is that asked.

    Raises
    ------
    XmpError
        if ``content`` is no XMP, is broken, or could do harm.
    """
    document = _parse(_EMPTY.encode() if content is None else content)
    rdf = _rdf(document)
    present, noted = _values(rdf, XMP, "Rating"), _values(rdf, OWN, _NOTE)
    if _is_ours(present, noted) and (noted or not rated()):
        _put(rdf, XMP, "xmp", "Rating", str(verdict.rating))
        _put(rdf, OWN, "shamisa", _NOTE, str(verdict.rating))
    elif present and present[0] not in _UNRATED:  # a person's for good, even if ours comes to equal
        _remove(rdf, OWN, _NOTE)
    for name in ("Score", "Model", "Head"):
        _put(rdf, OWN, "shamisa", name, getattr(verdict, name.lower()))
    return to_text(document).encode()


def rated_by_a_person(content: bytes) -> bool:
    """Whether the XMP ``content`` has a rating, and not the one that we noted in it.

    Raises
    ------
    XmpError
        as :func:`with_verdict`.
    """
    rdf = _rdf(_parse(content))
    present, noted = _values(rdf, XMP, "Rating"), _values(rdf, OWN, _NOTE)
    return not _is_ours(present, noted) and any(value not in _UNRATED for value in present)


def rating_for(score: float, stars: tuple[float, ...], reject_below: float | None = None) -> int:
    """One star, and one more for each of ``stars`` that ``score`` reaches; -1 below the other."""
    if reject_below is not None and score < reject_below:
        return -1
    return 1 + sum(score >= threshold for threshold in stars)


def _is_ours(present: list[str], noted: list[str]) -> bool:
    """Whether we may write the rating: there is none yet, or it is the one that we noted."""
    if not noted:
        return all(value in _UNRATED for value in present)
    return bool(present) and all(_number(value) == _number(noted[0]) for value in present)


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _parse(content: bytes) -> Document:
    if len(content) > MAX_BYTES:
        raise XmpError(f"has {len(content) >> 20} MiB; a sidecar has {MAX_BYTES >> 20} at most")
    try:
        _check(content)
        return minidom.parseString(content)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise XmpError(f"is no whole XML ({error}); repair it, or move it away") from error


def _check(content: bytes) -> None:
    """Refuse what could do harm, without building anything of it."""
    parser = expat.ParserCreate()
    nodes = depth = 0

    def start(name: str, attributes: list[str]) -> None:
        nonlocal nodes, depth
        nodes, depth = nodes + 1 + len(attributes) // 2, depth + 1
        if nodes > _MAX_NODES or depth > _MAX_DEPTH:
            raise XmpError("has far more elements than a sidecar; move it away")

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1

    def other(*_: str) -> None:
        nonlocal nodes
        nodes += 1
        if nodes > _MAX_NODES:
            raise XmpError("has far more comments than a sidecar; move it away")

    def doctype(*_: object) -> None:
        raise XmpError("has a document type (DOCTYPE), which XMP never has; move it away")

    parser.ordered_attributes = True
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CommentHandler, parser.ProcessingInstructionHandler = other, other
    parser.StartCdataSectionHandler = other
    parser.StartDoctypeDeclHandler = doctype
    parser.Parse(content, True)


def _rdf(document: Document) -> Any:
    root = document.documentElement
    found = root if _is(root, RDF, "RDF") else next(_children(root, RDF, "RDF"), None)
    if found is None:
        raise XmpError("is XML, but no XMP: it has no rdf:RDF; move it away")
    return found


def _is(node: Any, uri: str, name: str) -> bool:
    return isinstance(node, Element) and (node.namespaceURI, node.localName) == (uri, name)


def _children(parent: Any, uri: str, name: str) -> Iterator[Any]:
    return (node for node in parent.childNodes if _is(node, uri, name))


def _attributes(element: Any) -> list[Any]:
    return [element.attributes.item(n) for n in range(element.attributes.length)]


def _places(rdf: Any, uri: str, name: str) -> list[tuple[Any, Any]]:
    """Where a property stands, as an attribute or an element, each with what it stands in."""
    found: list[tuple[Any, Any]] = []
    for each in _children(rdf, RDF, "Description"):
        if each.hasAttributeNS(uri, name):
            found.append((each, each.getAttributeNodeNS(uri, name)))
        found += [(each, node) for node in _children(each, uri, name)]
    return found


def _values(rdf: Any, uri: str, name: str) -> list[str]:
    """The texts of a property wherever it stands."""
    return [_text(node).strip() for _, node in _places(rdf, uri, name)]


def _text(node: Any) -> str:
    if isinstance(node, Attr):
        return node.value
    if node.nodeType in (Node.TEXT_NODE, Node.CDATA_SECTION_NODE):
        return str(node.data)
    return "".join(map(_text, node.childNodes))


def _put(rdf: Any, uri: str, prefix: str, name: str, value: str) -> None:
    """Set a property where it stands, or else beside our others."""
    places = _places(rdf, uri, name)
    for _, node in places:
        if isinstance(node, Attr):
            node.value = value
        else:
            for child in list(node.childNodes):
                node.removeChild(child)
            node.appendChild(rdf.ownerDocument.createTextNode(value))
    if not places:
        own = _own_description(rdf)
        own.setAttributeNS(uri, f"{_prefix(own, uri, prefix)}:{name}", value)


def _remove(rdf: Any, uri: str, name: str) -> None:
    for parent, node in _places(rdf, uri, name):
        if isinstance(node, Attr):
            parent.removeAttributeNode(node)
        else:
            parent.removeChild(node)


def _own_description(rdf: Any) -> Any:
    """The description that has something of ours, or declares our namespace; else a new one."""
    descriptions = list(_children(rdf, RDF, "Description"))
    for each in descriptions:
        if any(OWN in (attr.namespaceURI, attr.value) for attr in _attributes(each)):
            return each
    document = rdf.ownerDocument
    made = document.createElementNS(RDF, f"{_prefix(rdf, RDF, 'rdf')}:Description")
    for node in (document.createTextNode(" "), made, document.createTextNode("\n ")):
        rdf.appendChild(node)
    about = next((each.getAttributeNS(RDF, "about") for each in descriptions), "")
    made.setAttributeNS(RDF, f"{_prefix(made, RDF, 'rdf')}:about", about)
    return made


def _prefix(element: Any, uri: str, wanted: str) -> str:
    """A prefix of ``uri`` at ``element``, declared there under a free name if there is none."""
    taken = set()
    node = element
    while isinstance(node, Element):
        for attr in _attributes(node):
            if attr.namespaceURI != _XMLNS or attr.prefix != "xmlns" or attr.localName in taken:
                continue
            if attr.value == uri:
                return str(attr.localName)
            taken.add(attr.localName)
        node = node.parentNode
    while wanted in taken:
        wanted += "_"
    element.setAttributeNS(_XMLNS, f"xmlns:{wanted}", uri)
    return wanted
