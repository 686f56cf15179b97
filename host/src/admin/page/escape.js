// Owns: how bytes and foreign text are shown. Whatever could move, hide or reorder what is
// on the page becomes a visible escape sequence.

// Controls, format characters (bidi, zero width, tags), lone surrogates, private use, line
// and paragraph separators; and what fonts show as nothing at all: variation selectors, U+3164.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u;
const NAMES = { 7: '\\a', 8: '\\b', 9: '\\t', 10: '\\n', 13: '\\r', 0: '\\0', 92: '\\\\' };

export const isPrintable = (byte) => byte >= 0x20 && byte < 0x7f;
export const hex2 = (byte) => byte.toString(16).padStart(2, '0');

function escaped(code) {
  return NAMES[code] ?? (code < 0x80 ? `\\x${hex2(code)}` : `\\u{${code.toString(16)}}`);
}

/** Add to pieces; neighbours that are no escape sequences become one. */
function add(found, text, escape) {
  const last = found.at(-1);
  if (last && !last.escape && !escape) last.text += text;
  else found.push({ text, escape });
}

/** Text in pieces `{text, escape}`, those that are escape sequences marked. */
export function pieces(text) {
  const found = [];
  for (const char of text) {
    const isHidden = HIDDEN.test(char);
    add(found, isHidden ? escaped(char.codePointAt(0)) : char, isHidden);
  }
  return found;
}

export function visible(text) {
  const string = String(text ?? '');
  return HIDDEN.test(string) ? pieces(string).map((piece) => piece.text).join('') : string;
}

/** The code point that begins at `at`, and its length; -1 if it is not UTF-8 (RFC 3629). */
function decode(bytes, at, end) {
  const first = bytes[at];
  if (first < 0x80) return [first, 1];
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + length > end) return [-1, 1];
  let code = first & (0x7f >> length);
  for (let i = 1; i < length; i += 1) {
    const next = bytes[at + i];
    if ((next & 0xc0) !== 0x80) return [-1, 1];
    code = (code << 6) | (next & 0x3f);
  }
  const smallest = [0, 0, 0x80, 0x800, 0x10000][length];
  const surrogate = code >= 0xd800 && code <= 0xdfff;
  return code < smallest || code > 0x10ffff || surrogate ? [-1, 1] : [code, length];
}

/**
 * Bytes as pieces of text, a backslash as two, so that it is no escape sequence; `keep` says
 * which code points stay.
 */
export function bytePieces(bytes, start = 0, end = bytes.length, keep = () => false) {
  const found = [];
  for (let at = start; at < end;) {
    const [code, length] = decode(bytes, at, end);
    if (code < 0) add(found, `\\x${hex2(bytes[at])}`, true);
    else {
      const char = String.fromCodePoint(code);
      const escape = (code === 92 || HIDDEN.test(char)) && !keep(code, at);
      add(found, escape ? escaped(code) : char, escape);
    }
    at += length;
  }
  return found;
}

/** Bytes as text to paste elsewhere: lines and tabs as they are, all else escaped. */
export function bytesAsText(bytes) {
  const keep = (code, at) => code === 9 || code === 10 || (code === 13 && bytes[at + 1] === 10);
  return bytePieces(bytes, 0, bytes.length, keep).map((piece) => piece.text).join('').replaceAll('\r\n', '\n');
}

export function bytesAsHex(bytes) {
  return Array.from(bytes, hex2).join(' ');
}

/** Where lines of text begin: after each LF, and where a line is `columns` wide. */
export function lineStarts(bytes, columns) {
  const starts = [];
  let width = 0;
  let begin = true;
  for (let at = 0; at < bytes.length;) {
    const byte = bytes[at];
    const [code, length] = byte < 0x80 ? [byte, 1] : decode(bytes, at, bytes.length);
    const wide = columnsOf(code);
    if (begin || width + wide > columns) {
      starts.push(at);
      width = 0;
    }
    width += wide;
    begin = code === 10;
    at += length;
  }
  return starts;
}

function columnsOf(code) {
  if (isPrintable(code)) return code === 92 ? 2 : 1;
  if (code < 0) return 4;
  const char = String.fromCodePoint(code);
  if (HIDDEN.test(char)) return escaped(code).length;
  return code < 0x1100 ? 1 : 2;
}

export function fromBase64(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}
