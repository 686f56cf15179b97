/* Teaches: making messages out of a stream, with a bound on what is kept, and
 * keeping state across a swap. It numbers each line, whatever pieces it comes
 * in, and new code loses neither the count nor the half of a line that has
 * come.
 *
 * Try it: `hotsocket build lines.c && hotsocket serve lines.wasm`, then in
 * another terminal: `printf 'one\ntwo\nthree' | nc -N 127.0.0.1 3000` */

#include <hotsocket.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A peer must not make us keep more than this: a longer line is cut here and
 * goes on as the next one. */
#define LONGEST (64 * 1024)

/* How many lines have been numbered; the line whose end is still to come. */
static uint64_t count;
static uint8_t half[LONGEST];
static size_t half_size;

static void number(void) {
    char head[32];
    int size = snprintf(head, sizeof head, "%" PRIu64 ": ", ++count);
    hs_write(head, (size_t)size);
    hs_write(half, half_size);
    half_size = 0;
}

void on_data(const uint8_t *data, size_t size) {
    while (size > 0) {
        size_t room = LONGEST - half_size < size ? LONGEST - half_size : size;
        const uint8_t *newline = memchr(data, '\n', room);
        size_t piece = newline != NULL ? (size_t)(newline - data) : room;
        memcpy(half + half_size, data, piece);
        half_size += piece;
        if (newline != NULL || half_size == LONGEST) {
            number();
            hs_write("\n", 1);
        }
        size_t taken = piece + (newline != NULL);
        data += taken;
        size -= taken;
    }
}

/* A last line without its newline is a line too, and stays without. */
void on_end(void) {
    if (half_size > 0) number();
}

/* Text that anyone can read: `12 lines`, a newline, and the half line. */
hs_snapshot on_save(void) {
    static char state[LONGEST + 32];
    int head = snprintf(state, 32, "%" PRIu64 " lines\n", count);
    memcpy(state + head, half, half_size);
    return (hs_snapshot){.version = 1, .data = state, .size = (size_t)head + half_size};
}

const char *on_restore(hs_snapshot snapshot) {
    if (snapshot.version != 1) return "this guest reads snapshots of version 1";
    /* Another guest's state says nothing to this one, which starts afresh. */
    const char *at = snapshot.data, *end = at + snapshot.size;
    uint64_t lines = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++) lines = lines * 10 + (uint64_t)(*at - '0');
    static const char words[] = " lines\n";
    size_t length = sizeof words - 1;
    bool ours = at > (const char *)snapshot.data && (size_t)(end - at) >= length &&
                memcmp(at, words, length) == 0 && (size_t)(end - at) - length < LONGEST;
    if (ours) {
        count = lines;
        half_size = (size_t)(end - at) - length;
        memcpy(half, at + length, half_size);
    }
    return NULL;
}
