"""Zip archives, which most formats of documents are, and the XML in them, within limits."""

import zipfile
from importlib import import_module
from io import BytesIO
from typing import Any

from tertulia.attachments.documents.errors import DAMAGED, PROTECTED, UnfitMedia

MAX_ENTRIES = 10_000
MAX_UNPACKED = 64 * 1024 * 1024
"""The most bytes of one archive that are unpacked. Its pictures are not."""
MAX_WORKBOOK = 256 * 1024 * 1024
"""The same for spreadsheets, whose XML is read as a stream."""
ENCRYPTED = 0x1
"""The bit of an entry's flags that marks it as encrypted. Source: APPNOTE.TXT, section 4.4.4."""


class Archive:
    """A zip archive whose parts are read within limits."""

    def __init__(self, data: bytes) -> None:
        """Read the directory of an archive; raise UnfitMedia if it is damaged or too large."""
        try:
            self._zip = zipfile.ZipFile(BytesIO(data))
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
            raise UnfitMedia(DAMAGED) from error
        self._left = MAX_UNPACKED
        self.names = self._zip.namelist()
        if len(self.names) > MAX_ENTRIES:
            raise UnfitMedia(f"the file must have at most {MAX_ENTRIES:,} parts, not {len(self.names):,}.")
        self._known = set(self.names)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def read(self, name: str) -> bytes:
        """Return the bytes of a part; raise UnfitMedia if it is missing, damaged, encrypted or too large."""
        try:
            entry = self._zip.getinfo(name)
        except KeyError:
            raise UnfitMedia(DAMAGED) from None
        if entry.flag_bits & ENCRYPTED:
            raise UnfitMedia(PROTECTED)
        if entry.file_size > self._left:
            raise UnfitMedia(f"the file must have at most {MAX_UNPACKED >> 20} MB after unpacking.")
        try:
            with self._zip.open(entry) as part:
                # The size in the directory can be wrong.
                content = part.read(self._left + 1)
        except Exception as error:
            # `BadZipFile`, `zlib.error`, `LZMAError` and others have no common class.
            raise UnfitMedia(DAMAGED) from error
        self._left -= len(content)
        return content

    def check_size(self) -> None:
        """Raise UnfitMedia if the parts that are not pictures are too large for a library that unpacks them itself."""
        size = sum(entry.file_size for entry in self._zip.infolist() if entry.filename.endswith((".xml", ".bin")))
        if size > MAX_WORKBOOK:
            raise UnfitMedia(f"the spreadsheet must have at most {MAX_WORKBOOK >> 20} MB after unpacking.")

    def xml(self, name: str) -> Any:
        """Return the root element of a part. Raise UnfitMedia like `read`."""
        return parse_xml(self.read(name))

    def relationships(self, name: str) -> dict[str, Any]:
        """Return the relationships of a part of Office Open XML: the elements by id; empty if there are none."""
        folder, _, base = name.rpartition("/")
        path = f"{folder}/_rels/{base}.rels".lstrip("/")
        return {item.get("Id"): item for item in self.xml(path)} if path in self else {}


def parse_xml(data: bytes) -> Any:
    """Return the root element of an XML document. Entities are not expanded, and nothing is loaded from elsewhere.

    Raises:
        UnfitMedia: It is malformed, or nested too deeply.
    """
    etree: Any = import_module("lxml.etree")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, remove_comments=True, remove_pis=True
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise UnfitMedia(DAMAGED) from error
    dtd = root.getroottree().docinfo.internalDTD
    if dtd is not None and any(True for _ in dtd.iterentities()):
        raise UnfitMedia("the XML of the file must not declare entities.")
    return root


def local_name(element: Any) -> str:
    """Return the name of an element without its namespace; empty for what is not an element."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""
