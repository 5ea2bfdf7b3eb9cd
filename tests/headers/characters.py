"""Names and texts as hospitals spell them: the declared character set, true or not, the bytes, and what a result must say.

What a result must say is written out here, not computed by the decoder under test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_JAPANESE: Final = "iso2022_jp"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """term: Specific Character Set as it stands, None when absent. name, text: bytes of a person name and of a description."""

    term: bytes | None
    name: bytes
    text: bytes
    read_name: str
    read_text: str


def _plain(term: bytes | None, codec: str, name: str, text: str) -> Spelling:
    """All of it in one codec, and read as it was meant."""
    return Spelling(term=term, name=name.encode(codec), text=text.encode(codec), read_name=name, read_text=text)


def _lie(term: bytes | None, codec: str, name: str, text: str, *, read_name: str, read_text: str) -> Spelling:
    """Bytes of `codec` under another name."""
    return Spelling(term=term, name=name.encode(codec), text=text.encode(codec), read_name=read_name, read_text=read_text)


def _groups(escape: bytes, codec: str, *groups: str) -> bytes:
    """Component groups after the first: each component designates its set anew (PS3.5 6.1.2.5.3)."""
    return b"=".join(b"^".join(escape + part.encode(codec) for part in group.split("^")) for group in groups)


_KOREAN, _CHINESE = b"\x1b$)C", b"\x1b$)A"

SPELLINGS: Final[dict[str, Spelling]] = {
    # true to their names
    "none, ASCII": _plain(None, "ascii", "Plain^Name^M", "Knee AP"),
    "empty, ASCII": _plain(b"", "ascii", "Plain^Name", "Knee AP"),
    "IR 100": _plain(b"ISO_IR 100", "latin-1", "Müller^Änne^^Dr", "Knie a.p. für Verlauf"),
    "IR 144": _plain(b"ISO_IR 144", "iso8859-5", "Люксембург^Инна", "Колено"),
    "IR 127": _plain(b"ISO_IR 127", "iso8859-6", "قباني^لنزار", "ركبة"),
    "IR 166": _plain(b"ISO_IR 166", "tis-620", "สมชาย^ใจดี", "เข่า"),
    "UTF-8 Chinese": _plain(b"ISO_IR 192", "utf-8", "Wang^XiaoDong=王^小东", "膝关节正位"),
    "UTF-8 Korean": _plain(b"ISO_IR 192", "utf-8", "Hong^Gildong=洪^吉洞=홍^길동", "무릎"),
    # the second byte of 誠 is a backslash, that of 証 a caret
    "GB18030": _plain(b"GB18030", "gb18030", "Wang^Cheng=王^誠証", "膝关节誠位"),
    "GBK": _plain(b"GBK", "gbk", "Wang^XiaoDong=王^小东", "膝关节正位"),
    "IR 58": Spelling(
        term=b"\\ISO 2022 IR 58",
        name=b"Zhang^XiaoDong=" + _groups(_CHINESE, "gb2312", "张^小东"),
        text=_CHINESE + "膝关节".encode("gb2312"),
        read_name="Zhang^XiaoDong=张^小东",
        read_text="膝关节",
    ),
    # the second bytes of 本 and 表 hold delimiters: 4B 5C and 49 3D
    "IR 87": Spelling(
        term=b"\\ISO 2022 IR 87",
        name=b"Yamamoto^Tarou=" + _groups(b"", _JAPANESE, "山本^表太郎", "やまもと^たろう"),
        text="膝関節本".encode(_JAPANESE),
        read_name="Yamamoto^Tarou=山本^表太郎=やまもと^たろう",
        read_text="膝関節本",
    ),
    "IR 13 and IR 87": Spelling(  # PS3.5 H.3.2
        term=b"ISO 2022 IR 13\\ISO 2022 IR 87",
        name=b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        text=b"\xcb\xbb\xde",
        read_name="ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
        read_text="ﾋｻﾞ",
    ),
    "IR 149": Spelling(  # PS3.5 I.2
        term=b"\\ISO 2022 IR 149",
        name=b"Hong^Gildong=" + _groups(_KOREAN, "euc_kr", "洪^吉洞", "홍^길동"),
        text=_KOREAN + "무릎".encode("euc_kr"),
        read_name="Hong^Gildong=洪^吉洞=홍^길동",
        read_text="무릎",
    ),
    "IR 6 and IR 100": Spelling(
        term=b"ISO 2022 IR 6\\ISO 2022 IR 100",
        name=b"\x1b-AM\xfcller^\x1b-A\xc4nne",
        text=b"\x1b-AKnie f\xfcr",
        read_name="Müller^Änne",
        read_text="Knie für",
    ),
    # misspelt, unknown, contradictory
    "misspelt UTF-8": _plain(b"ISO-IR 192", "utf-8", "Wang^XiaoDong=王^小东", "膝关节正位"),
    "unknown term": _plain(b"WESTERN", "latin-1", "Müller^Änne", "Knie für"),
    "unknown term over UTF-8": _plain(b"SIMPLIFIED", "utf-8", "Wang^XiaoDong=王^小东", "膝关节正位"),
    "UTF-8 beside another": _plain(b"ISO_IR 192\\ISO 2022 IR 87", "utf-8", "Müller^Änne=王^小东", "膝关节正位"),
    # bytes that the declared set does not have: UTF-8 when they are that, or the set declared beside
    "none, UTF-8": _plain(None, "utf-8", "Müller^Änne", "Knie für"),
    "none, Latin-1": _plain(None, "latin-1", "Müller^Änne", "Knie für"),
    "IR 100 over UTF-8": _plain(b"ISO_IR 100", "utf-8", "Wang^XiaoDong=王^小东", "膝关节正位"),
    "IR 58 without its escapes": _plain(b"\\ISO 2022 IR 58", "gb2312", "Zhang^XiaoDong=张^小东", "膝关节"),
    "IR 149 without its escapes": _plain(b"\\ISO 2022 IR 149", "euc_kr", "Hong^Gildong=洪^吉洞=홍^길동", "무릎"),
    # lies that nothing gives away: read as declared, as every other reader of the source does
    "IR 100 over GBK": _lie(b"ISO_IR 100", "gbk", "Wang^XiaoDong=王^小东", "膝关节", read_name="Wang^XiaoDong=Íõ^Ð¡¶«", read_text="Ï¥¹Ø½Ú"),
    "IR 100 over UTF-8 that could be Latin-1": _lie(
        b"ISO_IR 100", "utf-8", "Müller^Jörg", "für", read_name="MÃ¼ller^JÃ¶rg", read_text="fÃ¼r"
    ),
    # undecodable: the replacement character where a character was
    "IR 100 over rarer GBK": _lie(b"ISO_IR 100", "gbk", "Chen^Kun=陈^堃", "堃", read_name="Chen^Kun=³Â^\ufffdÒ", read_text="\ufffdÒ"),
    "UTF-8 over Latin-1": _lie(
        b"ISO_IR 192", "latin-1", "Müller^Änne", "Knie für", read_name="M\ufffdller^\ufffdnne", read_text="Knie f\ufffdr"
    ),
}
