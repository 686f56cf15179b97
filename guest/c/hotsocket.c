/* Between the generated bindings (guest.c) and a guest that includes
 * hotsocket.h: turns the values of the contract into those of C, supplies the
 * events that the guest does not define, and tells the server how it failed. */

#include "hotsocket.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "guest.h"

#define WEAK __attribute__((weak))

/* ---- What a guest may call */

/* Asked for once: the server makes two strings for each answer. */
static hotsocket_socket_connection_connection_info_t *info(void) {
    static hotsocket_socket_connection_connection_info_t known;
    static bool asked;
    if (!asked) {
        hotsocket_socket_connection_info(&known);
        asked = true;
    }
    return &known;
}

/* A copy that ends in NUL, as C wants it. */
static char *text(const guest_string_t *string) {
    char *copy = malloc(string->len + 1);
    if (copy == NULL) hs_panic("no memory");
    memcpy(copy, string->ptr, string->len);
    copy[string->len] = 0;
    return copy;
}

static hs_address address(const hotsocket_socket_types_address_t *end) {
    return (hs_address){text(&end->ip), end->port};
}

uint64_t hs_id(void) { return info()->id; }

hs_address hs_local(void) {
    static hs_address local;
    if (local.ip == NULL) local = address(&info()->local);
    return local;
}

hs_address hs_peer(void) {
    static hs_address peer;
    if (peer.ip == NULL) peer = address(&info()->peer);
    return peer;
}

hs_written hs_try_write(const void *data, size_t size) {
    guest_list_u8_t bytes = {(uint8_t *)data, size};
    hotsocket_socket_connection_write_error_t error;
    bool go_on;
    if (hotsocket_socket_connection_write(&bytes, &go_on, &error)) return go_on ? HS_TAKEN : HS_WAIT;
    switch (error.tag) {
    case HOTSOCKET_SOCKET_TYPES_WRITE_ERROR_CLOSED: return HS_CLOSED;
    case HOTSOCKET_SOCKET_TYPES_WRITE_ERROR_FULL: return HS_FULL;
    default: hotsocket_socket_types_write_error_free(&error); return HS_FAILED;
    }
}

bool hs_write(const void *data, size_t size) {
    hs_written written = hs_try_write(data, size);
    if (written == HS_FULL)
        hs_panic("cannot write %zu bytes: too many bytes wait for the peer "
                 "(raise --max-queue, or use hs_try_write and wait for on_drained)", size);
    if (written == HS_FAILED) hs_panic("cannot write %zu bytes", size);
    return written == HS_TAKEN;
}
void hs_end(void) { hotsocket_socket_connection_end(); }
void hs_abort(void) { hotsocket_socket_connection_abort(); }
void hs_hold_open(void) { hotsocket_socket_connection_hold_open(); }
void hs_set_timer(uint32_t id, uint64_t after_ms) {
    hotsocket_socket_connection_set_timer(id, after_ms);
}
void hs_clear_timer(uint32_t id) { hotsocket_socket_connection_clear_timer(id); }

/* ---- Frames */

void hs_push(hs_frames *frames, const void *data, size_t size) {
    size_t half = frames->size - frames->taken;
    if (frames->taken > 0) memmove(frames->bytes, frames->bytes + frames->taken, half);
    frames->taken = 0;
    frames->size = half;
    if (frames->room - half < size) {
        frames->room = half + size;
        frames->bytes = realloc(frames->bytes, frames->room);
        if (frames->bytes == NULL) hs_panic("no memory for %zu bytes of a frame", frames->room);
    }
    if (size > 0) memcpy(frames->bytes + half, data, size);
    frames->size += size;
}

hs_frame hs_half(const hs_frames *frames) {
    return (hs_frame){frames->bytes + frames->taken, frames->size - frames->taken};
}

/* The frame that the codec has found, if it is not too long; it ends after `end` bytes. */
static hs_found take(hs_frames *frames, hs_found found, const hs_frame *contents, size_t end) {
    if (found == HS_INVALID) return found;
    if (contents->size > (frames->max > 0 ? frames->max : 64 * 1024)) return HS_TOO_LONG;
    frames->seen = found == HS_FRAME ? 0 : frames->size - frames->taken;
    if (found == HS_FRAME) frames->taken += end;
    return found;
}

hs_found hs_next(hs_frames *frames, hs_codec *codec, hs_frame *frame) {
    hs_frame half = hs_half(frames);
    size_t end = 0;
    *frame = (hs_frame){half.data, 0};
    hs_found found = codec(half.data, half.size, frame, &end);
    if (found == HS_FRAME && (end == 0 || end > half.size))
        hs_panic("a codec has taken %zu bytes of %zu", end, half.size);
    return take(frames, found, frame, end);
}

/* Without the carriage return before the delimiter, if there is one to be left out. */
static hs_found until(hs_frames *frames, uint8_t delimiter, bool carriage_return, hs_frame *frame) {
    hs_frame half = hs_half(frames);
    size_t left = half.size - frames->seen;
    const uint8_t *end = left > 0 ? memchr(half.data + frames->seen, delimiter, left) : NULL;
    size_t size = end != NULL ? (size_t)(end - half.data) : half.size, whole = size + 1;
    if (carriage_return && size > 0 && half.data[size - 1] == '\r') size--;
    *frame = (hs_frame){half.data, size};
    return take(frames, end != NULL ? HS_FRAME : HS_PART, frame, whole);
}

hs_found hs_next_line(hs_frames *frames, hs_frame *line) { return until(frames, '\n', true, line); }
hs_found hs_next_until(hs_frames *frames, uint8_t delimiter, hs_frame *frame) {
    return until(frames, delimiter, false, frame);
}

hs_found hs_next_prefixed(hs_frames *frames, size_t prefix, hs_frame *frame) {
    hs_frame half = hs_half(frames);
    uint64_t length = 0;
    if (half.size < prefix) return HS_PART;
    for (size_t i = 0; i < prefix; i++) length = length << 8 | half.data[i];
    /* Also where it does not fit into `size_t`. */
    *frame = (hs_frame){half.data + prefix, length > SIZE_MAX ? SIZE_MAX : (size_t)length};
    bool whole = half.size - prefix >= length;
    return take(frames, whole ? HS_FRAME : HS_PART, frame, prefix + frame->size);
}

/* ---- Lines */

typedef void send_line(guest_string_t *line);

static void format_line(send_line *send, const char *format, va_list args) {
    char small[512], *line = small;
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(small, sizeof small, format, args);
    if (size >= (int)sizeof small && (line = malloc((size_t)size + 1)) != NULL)
        vsnprintf(line, (size_t)size + 1, format, again);
    va_end(again);
    if (size >= 0 && line != NULL) {
        guest_string_t string = {(uint8_t *)line, (size_t)size};
        send(&string);
    }
    if (line != small) free(line);
}

#define FORMATTED(send)                                                                            \
    va_list args;                                                                                  \
    va_start(args, format);                                                                        \
    format_line(send, format, args);                                                               \
    va_end(args)

void hs_print(const char *format, ...) { FORMATTED(hotsocket_socket_output_print); }
void hs_error(const char *format, ...) { FORMATTED(hotsocket_socket_output_error); }
void hs_panic(const char *format, ...) {
    FORMATTED(hotsocket_socket_output_panic);
    __builtin_trap();
}

/* How many bytes at `at` are one character of UTF-8, or (negative) are the
 * beginning of one that goes wrong. */
static int character(const uint8_t *at, size_t left) {
    uint8_t first = at[0];
    if (first < 0x80) return 1;
    int length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
    if (first < 0xc2 || first > 0xf4) return -1;
    /* The second byte tells overlong forms, surrogates, and what is too large. */
    uint8_t low = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    uint8_t high = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    for (int i = 1; i < length; i++) {
        if ((size_t)i >= left || at[i] < low || at[i] > high) return -i;
        low = 0x80;
        high = 0xbf;
    }
    return length;
}

void hs_print_bytes(const void *data, size_t size) {
    const uint8_t *in = data;
    uint8_t *line = malloc(size * 3 + 1), *out = line;
    if (line == NULL) hs_panic("no memory to print %zu bytes", size);
    for (size_t at = 0; at < size;) {
        int length = character(in + at, size - at);
        if (length > 0) {
            memcpy(out, in + at, (size_t)length);
            out += length;
        } else {
            memcpy(out, "\xef\xbf\xbd", 3);
            out += 3;
            length = -length;
        }
        at += (size_t)length;
    }
    guest_string_t string = {line, (size_t)(out - line)};
    hotsocket_socket_output_print(&string);
    free(line);
}

/* ---- Functions of the C library, so that a guest imports no WASI. A definition
 * in the program comes before one in a library. `printf` ends here, as lines. */

typedef struct {
    size_t size;
    uint8_t text[4096];
} stream;

static stream out, err;

static void send_text(stream *from) {
    guest_string_t line = {from->text, from->size};
    from->size = 0;
    (from == &out ? hotsocket_socket_output_print : hotsocket_socket_output_error)(&line);
}

/* What has come with no newline waits for it, or until the connection is over. */
static void finish_lines(void) {
    fflush(NULL);
    if (out.size > 0) send_text(&out);
    if (err.size > 0) send_text(&err);
}

static void put(stream *to, const uint8_t *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (text[i] != '\n') to->text[to->size++] = text[i];
        if (text[i] == '\n' || to->size == sizeof to->text) send_text(to);
    }
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (fd != 1 && fd != 2) {
        errno = EBADF;
        return -1;
    }
    ssize_t size = 0;
    for (int i = 0; i < count; i++) {
        put(fd == 1 ? &out : &err, parts[i].iov_base, parts[i].iov_len);
        size += (ssize_t)parts[i].iov_len;
    }
    return size;
}
int close(int fd) { return (void)fd, 0; }
/* A terminal's lines are written one by one. */
int __isatty(int fd) { return fd == 1 || fd == 2; }
off_t __lseek(int fd, off_t by, int from) {
    (void)fd, (void)by, (void)from;
    errno = ESPIPE;
    return -1;
}

/* The library's own would write to WASI's standard error. */
_Noreturn void __assert_fail(const char *what, const char *file, int line, const char *function) {
    hs_panic("assertion failed at %s:%d in %s: %s", file, line, function, what);
}
_Noreturn void abort(void) { hs_panic("aborted"); }

/* ---- Events that a guest does not define */

WEAK void on_listening(const hs_address *listeners, size_t count) { (void)listeners, (void)count; }
WEAK const char *on_open(void) { return NULL; }
WEAK void on_data(const uint8_t *data, size_t size) { (void)data, (void)size; }
WEAK void on_drained(void) {}
WEAK void on_end(void) {}
WEAK void on_timer(uint32_t id) { (void)id; }
WEAK void on_close(hs_reason reason) { (void)reason; }
WEAK hs_snapshot on_save(void) { return (hs_snapshot){0}; }
WEAK const char *on_restore(hs_snapshot snapshot) { return (void)snapshot, NULL; }
WEAK const char *on_resume(hs_how how, const hs_snapshot *snapshot, bool peer_ended) {
    (void)how, (void)peer_ended;
    return snapshot == NULL ? NULL : on_restore(*snapshot);
}

/* ---- Exports */

void exports_hotsocket_socket_handler_listening(
    exports_hotsocket_socket_handler_list_address_t *listeners) {
    hs_address *all = calloc(listeners->len + 1, sizeof *all);
    if (all == NULL) hs_panic("no memory");
    for (size_t i = 0; i < listeners->len; i++) all[i] = address(&listeners->ptr[i]);
    on_listening(all, listeners->len);
}

/* A snapshot is the version as four bytes, little endian, then the state; bytes
 * too few to hold a version are state of version 0. */
static hs_snapshot decode(const guest_list_u8_t *bytes) {
    const uint8_t *at = bytes->ptr;
    if (bytes->len < 4) return (hs_snapshot){0, at, bytes->len};
    uint32_t version = at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
    return (hs_snapshot){version, at + 4, bytes->len - 4};
}

static const char *resume(exports_hotsocket_socket_handler_origin_t *origin) {
    hs_how how = origin->tag == HOTSOCKET_SOCKET_TYPES_ORIGIN_MIGRATED ? HS_MIGRATED
                 : origin->tag == HOTSOCKET_SOCKET_TYPES_ORIGIN_WOKEN  ? HS_WOKEN
                                                                       : HS_RESTARTED;
    hotsocket_socket_types_succession_t *succession = &origin->val.migrated;
    hs_snapshot snapshot = {0};
    if (succession->snapshot.is_some) snapshot = decode(&succession->snapshot.val);
    return on_resume(how, succession->snapshot.is_some ? &snapshot : NULL, succession->peer_ended);
}

bool exports_hotsocket_socket_handler_open(
    exports_hotsocket_socket_handler_origin_t *origin, guest_string_t *refused) {
    bool accepted = origin->tag == HOTSOCKET_SOCKET_TYPES_ORIGIN_ACCEPTED;
    const char *why = accepted ? on_open() : resume(origin);
    hotsocket_socket_types_origin_free(origin);
    if (why != NULL) guest_string_dup(refused, why);
    return why == NULL;
}

void exports_hotsocket_socket_handler_data(guest_list_u8_t *bytes) {
    on_data(bytes->ptr, bytes->len);
    guest_list_u8_free(bytes);
}

void exports_hotsocket_socket_handler_drained(void) { on_drained(); }
void exports_hotsocket_socket_handler_end(void) { on_end(); }
void exports_hotsocket_socket_handler_timer(uint32_t id) { on_timer(id); }

void exports_hotsocket_socket_handler_close(
    exports_hotsocket_socket_handler_close_reason_t *reason) {
    /* The enumeration is in the contract's order. */
    on_close(reason->tag < HS_OTHER ? (hs_reason)reason->tag : HS_OTHER);
    finish_lines();
    hotsocket_socket_types_close_reason_free(reason);
}

bool exports_hotsocket_socket_handler_save(guest_list_u8_t *saved) {
    hs_snapshot snapshot = on_save();
    if (snapshot.version == 0) return false;
    saved->len = snapshot.size + 4;
    saved->ptr = malloc(saved->len);
    if (saved->ptr == NULL) hs_panic("no memory to save %zu bytes", snapshot.size);
    for (int i = 0; i < 4; i++) saved->ptr[i] = (uint8_t)(snapshot.version >> 8 * i);
    if (snapshot.size > 0) memcpy(saved->ptr + 4, snapshot.data, snapshot.size);
    return true;
}
