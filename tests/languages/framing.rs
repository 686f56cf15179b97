//! Frames out of a stream, with the SDKs for C and JavaScript: the same in whatever
//! pieces they come and across a swap. The SDKs for Rust and Python have unit tests of it.

use std::fs;

use crate::harness::{FIRST_BUILD, Fetched, hotsocket, lacks_tools, run_within, temp_dir};

const FRAMES: &str = r#"
#include <hotsocket.h>
#include <string.h>

/* `l` lines, `z` strings that end in NUL, `p` two bytes of length, `d` a digit. */
static uint8_t kind;
static hs_frames frames = {.max = 10};

static hs_found digit(const uint8_t *data, size_t size, hs_frame *contents, size_t *end) {
    if (size == 0) return HS_PART;
    if (data[0] < '0' || data[0] > '9') return HS_INVALID;
    *contents = (hs_frame){data + 1, data[0] - '0'};
    *end = contents->size + 1;
    return size >= *end ? HS_FRAME : HS_PART;
}

static hs_found next(hs_frame *frame) {
    switch (kind) {
    case 'l': return hs_next_line(&frames, frame);
    case 'z': return hs_next_until(&frames, 0, frame);
    case 'p': return hs_next_prefixed(&frames, 2, frame);
    default: return hs_next(&frames, digit, frame);
    }
}

void on_data(const uint8_t *data, size_t size) {
    if (kind == 0) {
        kind = *data++;
        size--;
    }
    hs_push(&frames, data, size);
    hs_frame frame;
    hs_found found;
    while ((found = next(&frame)) == HS_FRAME) {
        hs_write("[", 1);
        hs_write(frame.data, frame.size);
        hs_write("]", 1);
    }
    if (found == HS_TOO_LONG || found == HS_INVALID) {
        hs_write(found == HS_TOO_LONG ? "long" : "invalid", found == HS_TOO_LONG ? 4 : 7);
        hs_end();
    }
}

hs_snapshot on_save(void) {
    static uint8_t state[65536];
    hs_frame half = hs_half(&frames);
    state[0] = kind;
    if (half.size > 0) memcpy(state + 1, half.data, half.size);
    return (hs_snapshot){1, state, half.size + 1};
}

const char *on_restore(hs_snapshot snapshot) {
    const uint8_t *state = snapshot.data;
    kind = state[0];
    hs_push(&frames, state + 1, snapshot.size - 1);
    return NULL;
}
"#;

/// The same in JavaScript.
const FRAMES_JS: &str = r#"
require('net').createServer((socket) => {
  const { frames, state } = socket.hotsocket;
  const digit = {
    find(bytes) {
      if (bytes.length === 0) return 0;
      const size = bytes[0] - 48;
      if (!(size >= 0 && size <= 9)) throw new frames.FrameError('no digit');
      return bytes.length > size ? { start: 1, stop: size + 1, end: size + 1 } : size;
    },
    encode: (contents) => Buffer.concat([Buffer.from(String(contents.length)), contents]),
  };
  const make = {
    l: (options) => frames.lines(options),
    z: (options) => frames.delimited('\0', options),
    p: (options) => frames.lengthPrefixed(2, options),
    d: (options) => frames.custom(digit, options),
  };
  // What a codec leaves out is where the frame begins and ends.
  const pairs = frames.custom({ find: (bytes) => (bytes.length < 2 ? bytes.length : { end: 2 }) });
  const shared = new Uint8Array([97, 98, 99, 100, 101]);
  const [first, second] = pairs.feed(shared.buffer);
  shared.fill(0);
  if (`${first} ${second} ${pairs.half}` !== 'ab cd e') throw new Error(`${first} ${second} ${pairs.half}`);
  // And what it takes of others' frames is a mistake of its own.
  const thief = frames.custom({ find: (bytes) => (bytes.length < 2 ? 0 : { start: -1, end: 2 }) });
  try {
    for (const frame of thief.feed('abcd')) throw new Error(frame);
  } catch (error) {
    if (!(error instanceof frames.FrameError)) throw error;
  }
  // An error stays, and nothing is kept of what follows, until another half is put.
  const error = (lost, data) => {
    try {
      for (const frame of lost.feed(data)) throw new Error(frame);
    } catch (error) {
      return error;
    }
  };
  for (const [lost, wrong] of [[frames.lines({ max: 3 }), 'four'], [make.d({ max: 10 }), 'x']]) {
    const once = error(lost, wrong);
    if (!(once instanceof frames.FrameError)) throw once;
    if (error(lost, '\n1a\n') !== once || error(lost, '') !== once) throw new Error('not the same');
    if (String(lost.half) !== wrong) throw new Error(`not kept but ${lost.half}`);
    lost.half = '1';
    const { value } = lost.feed('a\n').next();
    if (`${value}` !== (wrong === 'x' ? 'a' : '1a')) throw new Error(`${value}`);
  }
  let kind = state?.toString('latin1', 0, 1);
  let reader = kind && make[kind]({ max: 10, half: state.subarray(1) });
  socket.hotsocket.save(() => Buffer.concat([Buffer.from(kind), reader.half]));
  socket.on('data', (data) => {
    if (!kind) {
      kind = data.toString('latin1', 0, 1);
      reader = make[kind]({ max: 10 });
      for (const _ of reader.feed(reader.encode('back'))) if (_.toString() !== 'back') throw _;
      data = data.subarray(1);
    }
    try {
      for (const frame of reader.feed(data)) socket.write(`[${frame}]`);
    } catch (error) {
      if (!(error instanceof frames.FrameError)) throw error;
      socket.end(error.code === 'ERR_HOTSOCKET_FRAME_TOO_LONG' ? 'long' : 'invalid');
    }
  });
}).listen(3000);
"#;

/// Says after each piece what is wrong, and whether something is kept.
const WRONG: &str = r#"
#include <hotsocket.h>
#include <string.h>

/* `l` lines, `z` strings that end in NUL, `p` two bytes of length, `d` a codec. */
static uint8_t kind;
static hs_frames frames = {.max = 10};

static hs_found none(const uint8_t *data, size_t size, hs_frame *contents, size_t *end) {
    return size == 0 ? HS_PART : HS_INVALID;
}

static hs_found next(hs_frame *frame) {
    switch (kind) {
    case 'l': return hs_next_line(&frames, frame);
    case 'z': return hs_next_until(&frames, 0, frame);
    case 'p': return hs_next_prefixed(&frames, 2, frame);
    default: return hs_next(&frames, none, frame);
    }
}

void on_data(const uint8_t *data, size_t size) {
    static size_t pages;
    if (kind == 0) {
        kind = *data++;
        size--;
    }
    hs_push(&frames, data, size);
    hs_frame frame;
    hs_found found;
    while ((found = next(&frame)) == HS_FRAME) hs_write("[", 1);
    const char *told = found == HS_TOO_LONG ? "long" : found == HS_INVALID ? "invalid" : "part";
    /* Of 64 KiB; what is given to an event takes one. */
    if (pages == 0) pages = __builtin_wasm_memory_size(0);
    if (__builtin_wasm_memory_size(0) > pages + 4) told = "grown";
    if (hs_half(&frames).size > 100000) told = "kept";
    hs_write(told, strlen(told));
}

hs_snapshot on_save(void) {
    hs_frame half = hs_half(&frames);
    return (hs_snapshot){1, half.data, half.size};
}

const char *on_restore(hs_snapshot snapshot) {
    hs_push(&frames, snapshot.data, snapshot.size);
    return NULL;
}
"#;

#[test]
fn an_error_of_frames_in_c_stays_and_nothing_is_kept_of_what_follows() {
    let mut steps = String::new();
    for (kind, begins, told) in [
        ("l", r"one\n0123456789a", "long"),
        ("z", r"one\x000123456789a", "long"),
        ("p", r"\x00\x01x\x00\x0b", "long"),
        ("d", "x", "invalid"),
    ] {
        let before = if kind == "d" { "" } else { "[" };
        steps += &format!("{kind}: send \"{kind}{begins}\"\n{kind}: expect \"{before}{told}\"\n");
        // An event for each 64 KiB.
        steps += &format!("{kind}: send \"\\x00\\n\" * 524288\n");
        steps += &format!("{kind}: expect \"{told}\" * 16\n");
    }
    // The successor finds the same.
    steps += "swap\nl: send \"lone\\n\"\nl: expect \"long\"\n";
    passes("wrong.c", WRONG, &steps);
}

#[test]
fn frames_in_c_are_the_same_in_whatever_pieces_they_come() {
    are_the_same("frames.c", FRAMES);
}

#[test]
fn frames_in_javascript_are_the_same_in_whatever_pieces_they_come() {
    are_the_same("frames.js", FRAMES_JS);
}

fn are_the_same(name: &str, text: &str) {
    let mut steps = String::new();
    for (n, (stream, frames)) in STREAMS.iter().enumerate() {
        let (kind, rest) = stream.split_at(1);
        steps += &format!("a{n}: send \"{stream}\"\na{n}: expect \"{frames}\"\n");
        steps += &format!("b{n}: send split 1 \"{stream}\"\nb{n}: expect \"{frames}\"\n");
        // Across a swap, and with the first byte alone.
        steps += &format!("c{n}: send \"{kind}\"\nswap\n");
        steps += &format!("c{n}: send split 2 \"{rest}\"\nc{n}: expect \"{frames}\"\n");
    }
    steps += "send \"lone\\ntw\"\nexpect \"[one]\"\nswap\nsend \"o\\n\"\nexpect \"[two]\"\n";
    passes(name, text, &steps);
}

/// The guest passes these steps, unless it can't be built here.
fn passes(name: &str, text: &str, steps: &str) {
    let dir = temp_dir();
    let source = dir.path().join(name);
    fs::write(&source, text).expect("written");
    if Fetched::of(&source).is_some_and(Fetched::is_missing) {
        return;
    }
    let script = dir.path().join("frames.test");
    fs::write(&script, steps).expect("written");
    let mut command = hotsocket();
    let ran = run_within(FIRST_BUILD, command.arg("test").arg(&source).arg(&script));
    assert!(lacks_tools(&ran) || ran.code == 0, "{ran:?}");
}

/// What comes, and what the guest makes of it.
const STREAMS: [(&str, &str); 7] = [
    (
        r"lone\r\n\n\rtwo\n0123456789\r\n",
        r"[one][][\rtwo][0123456789]",
    ),
    (r"l0123456789a", "long"),
    (r"zone\x00\x00two\x00", "[one][][two]"),
    (r"p\x00\x03one\x00\x00\x00\x03two", "[one][][two]"),
    (r"p\x00\x0b", "long"),
    (r"d1a03bcd", "[a][][bcd]"),
    (r"d1ax", "[a]invalid"),
];
