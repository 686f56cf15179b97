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

/* ---- Text. The server takes UTF-8 only: any other would end the instance. The other
 * files of the SDK call these, too. */

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

/* How many bytes at the beginning are whole characters. */
static size_t characters(const uint8_t *text, size_t size) {
    size_t at = 0;
    while (at < size) {
        int length = character(text + at, size - at);
        if (length < 0) break;
        at += (size_t)length;
    }
    return at;
}

bool hs_is_utf8(const char *text) {
    size_t size = strlen(text);
    return characters((const uint8_t *)text, size) == size;
}

/* With U+FFFD for what is no character; how many bytes that makes. `out` may be NULL. */
static size_t replace(const uint8_t *in, size_t size, uint8_t *out) {
    size_t made = 0;
    for (size_t at = 0; at < size;) {
        size_t good = characters(in + at, size - at);
        if (out != NULL) memcpy(out + made, in + at, good);
        made += good;
        at += good;
        if (at == size) break;
        if (out != NULL) memcpy(out + made, "\xef\xbf\xbd", 3);
        made += 3;
        at += (size_t)-character(in + at, size - at);
    }
    return made;
}

/* The text itself, or a copy with U+FFFD for what is not UTF-8, which `hs_free_utf8`
 * frees. */
guest_string_t hs_utf8(const void *text, size_t size) {
    if (characters(text, size) == size) return (guest_string_t){(uint8_t *)text, size};
    size_t made = replace(text, size, NULL);
    uint8_t *copy = size <= SIZE_MAX / 3 ? malloc(made) : NULL;
    /* Also in a panic: these words are UTF-8. */
    if (copy == NULL) hs_panic("no memory for a text of %zu bytes", size);
    replace(text, size, copy);
    return (guest_string_t){copy, made};
}

void hs_free_utf8(guest_string_t made, const void *text) {
    if (made.ptr != text) free(made.ptr);
}

/* ---- Lines */

typedef void send_line(guest_string_t *line);

static void send_bytes(send_line *send, const void *text, size_t size) {
    guest_string_t line = hs_utf8(text, size);
    send(&line);
    hs_free_utf8(line, text);
}

static void format_line(send_line *send, const char *format, va_list args) {
    char small[512], *line = small;
    va_list again;
    va_copy(again, args);
    int size = vsnprintf(small, sizeof small, format, args);
    if (size >= (int)sizeof small) {
        line = malloc((size_t)size + 1);
        /* Also in a panic: these words are short. */
        if (line == NULL) hs_panic("no memory for a line of %d bytes", size);
        vsnprintf(line, (size_t)size + 1, format, again);
    }
    va_end(again);
    if (size >= 0) send_bytes(send, line, (size_t)size);
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

void hs_print_bytes(const void *data, size_t size) {
    send_bytes(hotsocket_socket_output_print, data, size);
}

/* ---- Functions of the C library, so that a guest imports no WASI. A definition
 * in the program comes before one in a library. `printf` ends here, as lines. */

typedef struct {
    size_t size;
    uint8_t text[4096];
} stream;

static stream out, err;

/* The first bytes as a line; the others stay. */
static void send_text(stream *from, size_t size) {
    send_line *send = from == &out ? hotsocket_socket_output_print : hotsocket_socket_output_error;
    send_bytes(send, from->text, size);
    from->size -= size;
    memmove(from->text, from->text + size, from->size);
}

/* What has come with no newline waits for it, or until the connection is over. */
static void finish_lines(void) {
    fflush(NULL);
    if (out.size > 0) send_text(&out, out.size);
    if (err.size > 0) send_text(&err, err.size);
}

/* How many bytes at the end are a character that has not come whole. */
static size_t unfinished(const stream *from) {
    size_t size = 1;
    while (size < 3 && (from->text[from->size - size] & 0xc0) == 0x80) size++;
    return character(from->text + from->size - size, size) == -(int)size ? size : 0;
}

static void put(stream *to, const uint8_t *text, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n') {
            send_text(to, to->size);
            continue;
        }
        to->text[to->size++] = text[i];
        /* A line that is longer becomes several; no character is cut. */
        if (to->size == sizeof to->text) send_text(to, to->size - unfinished(to));
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
    if (why != NULL) {
        guest_string_t words = hs_utf8(why, strlen(why));
        guest_string_dup_n(refused, (const char *)words.ptr, words.len);
        hs_free_utf8(words, why);
    }
    /* The bindings free what is around the snapshot only. */
    if (!accepted && origin->val.migrated.snapshot.is_some) {
        guest_list_u8_free(&origin->val.migrated.snapshot.val);
        origin->val.migrated.snapshot.is_some = false;
    }
    hotsocket_socket_types_origin_free(origin);
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
