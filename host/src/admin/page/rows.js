// Owns: how one block of a recording becomes rows: its head, its bytes as hex and text or as
// text, and its marks. What is in sight is up to stream.js.

import { h } from './dom.js';
import { bytePieces, hex2, isPrintable, lineStarts, pieces, visible } from './escape.js';
import * as format from './format.js';

export const ROW = 20;
const HEAD = 34;

const ARROWS = { in: '→', out: '←', topic: '⇠', line: '│' };
const SAYS = { in: 'from the peer', out: 'to the peer', topic: 'from a topic', line: 'printed' };
const MARKS = { swap: '⇄', rollback: '↶', restart: '↻', asleep: '☾', woke: '☀', 'probation-ended': '✓', secured: '◆', 'fin-sent': '⇥', stayed: '↷', closed: '■' };

/** Rows of each section of a block under a layout `{mode, perRow, columns}`. */
export function sections(block, layout) {
  const list = [];
  const { record } = block;
  if (record.type !== 'line') list.push({ kind: record.type === 'event' || record.type === 'direct' ? 'head' : 'mark', rows: 1, height: HEAD });
  block.parts.forEach((part, i) => {
    const asText = layout.mode === 'text' || part.direction === 'line';
    const starts = asText ? lineStarts(part.bytes, layout.columns) : null;
    const rows = starts ? Math.max(starts.length, part.direction === 'line' ? 1 : 0) : Math.ceil(part.bytes.length / layout.perRow);
    if (rows) list.push({ kind: 'bytes', part: i, rows, height: rows * ROW, starts });
    if (part.missing) list.push({ kind: 'missing', part: i, rows: 1, height: ROW });
  });
  if (record.fault) list.push({ kind: 'fault', rows: 1, height: ROW });
  if (record.held) list.push({ kind: 'held', rows: 1, height: ROW });
  return list;
}

const HEX = Array.from({ length: 256 }, (_, byte) => hex2(byte));

/** Shown, but nothing to look at. */
const USUAL = new Set(['\\n', '\\r', '\\t', '\\\\']);

const spans = (list) => list.map((piece) => (piece.escape ? h('span', { class: USUAL.has(piece.text) ? 'esc usual' : 'esc' }, piece.text) : piece.text));
export const text = (string) => spans(pieces(String(string ?? '')));

/** The element of a row. `marked(part, from, to)` says which of the bytes are marked. */
export function row(block, section, n, layout, marked) {
  switch (section.kind) {
    case 'head': return head(block);
    case 'mark': return mark(block);
    case 'missing': return note('missing', `… ${format.size(block.parts[section.part].missing)} more ${SAYS[block.parts[section.part].direction]}, not recorded`);
    case 'fault': return note('fault', '× ', text(block.record.fault));
    case 'held': return note('held', '◐ held back until the first event has succeeded');
    default: return bytes(block, section, n, layout, marked);
  }
}

const note = (kind, ...children) => h(`div.line.note.${kind}`, ...children);

function head({ record, parts }) {
  const sizes = parts.map((part) => h('span', { class: `bytes-of ${part.direction}` }, `${ARROWS[part.direction]} ${format.size(part.bytes.length + part.missing)}`));
  const { topic, origin, timer, sender, missed, reason, wall_us: wall, cpu_us: cpu } = record;
  const facts = [
    topic && h('span.topic', '# ', text(topic)),
    ...[origin !== 'accepted' && origin, timer >= 0 && `timer ${timer}`, sender >= 0 && `from connection ${sender}`,
      missed && `${format.counted(missed, 'message')} missed`, reason].map((fact) => fact && h('span', text(fact))),
  ];
  const times = [wall >= 0 && h('span', { title: 'wall-clock time' }, format.micros(wall)), cpu >= 0 && h('span', { title: 'CPU time' }, `${format.micros(cpu)} CPU`)];
  const effects = (record.effects ?? []).map((effect) => h('span.effect', text(effect)));
  return h('div', { class: `line head-line ${record.fault ? 'faulty' : ''}` },
    h('time', format.clock(record.time, true)),
    h('span.event', text(record.type === 'direct' ? 'direct' : record.event)), sizes, facts,
    h('span.effects', effects),
    h('span.costs', times, record.generation && h('span', { title: 'generation' }, `gen ${record.generation}`)));
}

function mark({ record }) {
  if (record.type === 'dropped') {
    return h('div.line.mark-line.dropped', h('span', `▲ ${format.counted(record.records, 'record')}${record.bytes ? ` with ${format.size(record.bytes)}` : ''} dropped: they came faster than the page took them`));
  }
  if (record.type !== 'mark') return h('div.line.mark-line', h('span', text(record.text ?? record.type)));
  // `swapped: generation 2 takes over from 1`: what has happened, and more of it.
  const [, what, more] = String(record.text || record.mark).match(/^([^:;]*)(.*)$/s);
  return h('div', { class: `line mark-line ${visible(record.mark).replace(/[^a-z-]/g, '')}` },
    h('span', h('b', `${MARKS[record.mark] ?? '◇'} `, text(what)), text(more),
      h('time', format.clock(record.time, true))));
}

function bytes(block, section, n, layout, marked) {
  const part = block.parts[section.part];
  const { starts } = section;
  const from = starts ? starts[n] ?? 0 : n * layout.perRow;
  const to = Math.min(starts ? starts[n + 1] ?? part.bytes.length : from + layout.perRow, part.bytes.length);
  const marks = marked(section.part, from, to);
  const element = h('div', { class: `line bytes ${part.direction} ${visible(block.record.stream).replace(/[^a-z]/g, '')}` },
    h('span.arrow', { title: SAYS[part.direction] }, ARROWS[part.direction]));
  if (part.direction === 'line') {
    const stream = block.record.stream === 'log' ? block.record.level ?? 'log' : block.record.stream;
    element.append(h('span.offset', n === 0 && text(stream)));
  }
  if (starts) element.append(h('span.text', textRow(part, from, to, marks)));
  else {
    element.append(h('span.offset', (part.stream + from).toString(16).padStart(layout.perRow === 8 ? 4 : 8, '0')),
      h('span.hex', runs(from, to, marks, (at) => HEX[part.bytes[at]] + gap(at - from, to - from, layout))),
      h('span.text.ascii', runs(from, to, marks, (at) => printable(part.bytes[at]))));
  }
  element.place = { block: block.id, part: section.part, from, to, columns: !starts };
  return element;
}

/** The middle of a row is wider, as in hexdump. */
const gap = (i, length, layout) => (i === length - 1 ? '' : i === 7 && layout.perRow === 16 ? '  ' : ' ');
const printable = (byte) => (isPrintable(byte) ? String.fromCharCode(byte) : '·');

function runs(from, to, marks, show) {
  const list = [];
  let run = '';
  for (let at = from; at < to; at += 1) {
    run += show(at);
    const kind = marks?.[at - from];
    if (at + 1 < to && marks?.[at + 1 - from] === kind) continue;
    list.push(kind ? h('span', { class: kind }, run) : run);
    run = '';
  }
  return list;
}

function textRow(part, from, to, marks) {
  const list = [];
  let begin = from;
  for (let at = from; at < to; at += 1) {
    // A character is not cut, as its bytes would then be shown as none.
    const ends = at + 1 === to || (marks?.[at + 1 - from] !== marks?.[at - from] && (part.bytes[at + 1] & 0xc0) !== 0x80);
    if (!ends) continue;
    const found = spans(bytePieces(part.bytes, begin, at + 1));
    const kind = marks?.[begin - from];
    list.push(...(kind ? [h('span', { class: kind }, found)] : found));
    begin = at + 1;
  }
  return list;
}
