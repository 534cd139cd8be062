"""XMP: ratings that photo tools read; all else, and a person's rating, stays."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from shamisa_cli.scoring.xmp import OWN, RDF, XMP, Verdict, XmpError, rating_for, with_verdict

OURS = Verdict("71.2346", "lite0@1a2b3c4d", "mixed", 4)
BETTER = replace(OURS, score="95.0000", rating=5)

DARKTABLE = b"""<?xml version="1.0" encoding="UTF-8"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:dc="http://purl.org/dc/elements/1.1/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:darktable="http://darktable.sf.net/"
   darktable:note="two&#10;lines&#9;&amp; a &quot;quote&quot;">
   <dc:subject><rdf:Bag><rdf:li>caf\xc3\xa9 &lt;3</rdf:li></rdf:Bag></dc:subject>
   <!-- a comment --><darktable:masks><![CDATA[<raw>]]></darktable:masks>
  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
"""
ODD = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?>
<r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:xmp="urn:another">
 <r:Description r:about="uuid:1" xmlns:shamisa="urn:another:too" xmp:Rating="7"/>
</r:RDF>
<?xpacket end="w"?>
"""


def values(content: bytes, uri: str) -> dict[str, str]:
    """The properties of a namespace, by another reader of XML."""
    found = {}
    for node in ElementTree.fromstring(content).iter(f"{{{RDF}}}Description"):
        found |= dict(node.attrib)
        found |= {each.tag: each.text or "" for each in node}
    return {key.split("}")[1]: found[key] for key in found if key.startswith(f"{{{uri}}}")}


def rating(content: bytes) -> str | None:
    return values(content, XMP).get("Rating")


def changed(content: bytes, to: str) -> bytes:
    """The rating that a person sets in another program; "" takes it away."""
    new = f' xmp:Rating="{to}"'.encode() if to else b""
    made, count = re.subn(rb' xmp:Rating="[^"]*"', new, content)
    assert count == 1
    return made


@pytest.mark.parametrize("before", [None, DARKTABLE, ODD], ids=["none", "darktable", "odd"])
def test_what_is_written_reads_back(before: bytes | None) -> None:
    made = with_verdict(before, OURS)
    assert rating(made) == "4"
    own = {"Score": "71.2346", "Model": "lite0@1a2b3c4d", "Head": "mixed", "RatingWritten": "4"}
    assert values(made, OWN) == own
    assert with_verdict(made, OURS) == made
    again = with_verdict(made, BETTER)
    assert rating(again) == "5"
    assert with_verdict(again, OURS) == made


@pytest.mark.parametrize("before", [DARKTABLE, ODD], ids=["darktable", "odd"])
def test_all_else_stays(before: bytes) -> None:
    made = with_verdict(before, OURS).decode()
    ours = r' xmlns:(\w+)="(urn:shamisa:[^"]*|http://ns.adobe.com/xap/1.0/)"'
    prefixes = [prefix for prefix, _ in re.findall(ours, made)]
    for pattern in (*(rf' {prefix}:\w+="[^"]*"' for prefix in prefixes), ours):
        made, before = re.sub(pattern, "", made), re.sub(pattern.encode(), b"", before)
    made = re.sub(r' <(\w+):Description \1:about="[^"]*"/>\n ', "", made)  # which had ours alone
    trees = (ElementTree.canonicalize(each, with_comments=True) for each in (made, before.decode()))
    assert next(trees) == next(trees)
    if before.startswith(b"<?xml "):
        assert made.startswith('<?xml version="1.0" encoding="UTF-8"?>\n')


@pytest.mark.parametrize("to", ["2", "-1", "0", "", "five", "4.5"])
def test_a_rating_that_a_person_changed_stays(to: str) -> None:
    theirs = changed(with_verdict(None, OURS), to)
    kept = with_verdict(theirs, BETTER)
    assert rating(kept) == (to or None)
    assert values(kept, OWN)["Score"] == "95.0000"
    assert rating(with_verdict(with_verdict(kept, OURS), BETTER)) == (to or None)


def test_a_persons_rating_stays_even_where_it_comes_to_equal_ours() -> None:
    theirs = changed(with_verdict(None, OURS), "2")
    seen = with_verdict(theirs, BETTER)
    back = changed(seen, "4")
    assert rating(with_verdict(back, BETTER)) == "4"


@pytest.mark.parametrize(
    ("there", "becomes"), [("3", "3"), ("-1", "-1"), ("0", "4"), ("", "4"), ("x", "x")]
)
def test_a_rating_that_was_there_first(there: str, becomes: str) -> None:
    """0 is how programs write that there is none."""
    before = DARKTABLE.replace(b" darktable:note", f' xmp:Rating="{there}" darktable:note'.encode())
    assert rating(with_verdict(before, OURS)) == becomes
    element = f"<xmp:Rating>{there}</xmp:Rating></rdf:Description>".encode()
    before = DARKTABLE.replace(b"</rdf:Description>", element)
    assert rating(with_verdict(before, OURS)) == becomes


def test_a_program_may_write_the_same_in_another_way() -> None:
    made = with_verdict(None, OURS)
    as_element = made.replace(b' xmp:Rating="4"', b"").replace(
        b"/>", b"><xmp:Rating> 4.0 </xmp:Rating></rdf:Description>"
    )
    assert rating(with_verdict(as_element, BETTER)) == "5"


LAUGHS = b"""<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>
<x:xmpmeta xmlns:x="adobe:ns:meta/">&b;</x:xmpmeta>"""


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (LAUGHS, "has a document type"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>', "has a document type"),
        (b"<a>" * 65 + b"</a>" * 65, "far more elements"),
        (b"<a>" + b"<b/>" * 100_001 + b"</a>", "far more elements"),
        (b"<a>" + b"<!---->" * 100_001 + b"</a>", "far more comments"),
        (b"<a>" + b" " * (16 << 20) + b"</a>", "has 16 MiB"),
        (DARKTABLE[:300], "is no whole XML"),
        (b"\xff\xd8\xff\xe0 a photo", "is no whole XML"),
        (b"<?xml version='1.0' encoding='klingon'?><a/>", "is no whole XML"),
        (b"<a:b/>", "is no whole XML"),
        (b"rating: 5", "is no whole XML"),
        (b"<html/>", "has no rdf:RDF"),
    ],
)
def test_hostile_and_broken_files_are_refused(content: bytes, says: str) -> None:
    with pytest.raises(XmpError, match=says):
        with_verdict(content, OURS)


@pytest.mark.parametrize(
    ("score", "stars"), [(0, 1), (19.99, 1), (20, 2), (40, 3), (79.9999, 4), (80, 5), (100, 5)]
)
def test_stars(score: float, stars: int) -> None:
    assert rating_for(score, (20, 40, 60, 80)) == stars
    assert rating_for(score, (20, 40, 60, 80), reject_below=20) == (-1 if score < 20 else stars)


def tool(*command: str) -> str:
    if not shutil.which(command[0]):
        pytest.skip(f"{command[0]} is not installed")
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return result.stdout.strip()


@pytest.mark.parametrize("before", [None, DARKTABLE, ODD], ids=["none", "darktable", "odd"])
def test_exiftool_reads_it(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "a.jpg.xmp"
    path.write_bytes(with_verdict(before, OURS))
    read = "exiftool", "-s3", "-XMP-xmp:Rating", "-XMP-shamisa:Score", "-XMP-shamisa:Model"
    if before == ODD:  # it goes by prefixes, and these are others'
        read = "exiftool", "-s3", "-Rating", "-Score", "-Model"
    assert tool(*read, str(path)).split() == ["4", "71.2346", "lite0@1a2b3c4d"]


def test_exiv2_reads_it_and_writes_it_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg.xmp"
    path.write_bytes(with_verdict(DARKTABLE, OURS))
    shown = tool("exiv2", "-PXkv", str(path))
    for key, value in (("xmp.Rating", "4"), ("shamisa.Score", "71.2346"), ("dc.subject", "café")):
        assert re.search(rf"^Xmp\.{key} +{value}", shown, re.MULTILINE)
    tool("exiv2", "-M", "set Xmp.dc.title by another program", str(path))
    anew = with_verdict(path.read_bytes(), BETTER)
    assert rating(anew) == "5"
    path.write_bytes(anew)
    tool("exiv2", "-M", "set Xmp.xmp.Rating 2", str(path))
    assert rating(with_verdict(path.read_bytes(), BETTER)) == "2"
