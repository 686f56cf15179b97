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

/* A peer must not make us keep more than this: a longer line ends the connection. */
#define LONGEST (64 * 1024)

/* How many lines have been numbered; what has come, with the line whose end is
 * still to come. */
static uint64_t count;
static hs_frames lines = {.max = LONGEST};

static void number(hs_frame line) {
    char head[32];
    int size = snprintf(head, sizeof head, "%" PRIu64 ": ", ++count);
    hs_write(head, (size_t)size);
    hs_write(line.data, line.size);
}

void on_data(const uint8_t *data, size_t size) {
    hs_frame line;
    hs_found found;
    hs_push(&lines, data, size);
    while ((found = hs_next_line(&lines, &line)) == HS_FRAME) {
        number(line);
        hs_write("\n", 1);
    }
    if (found == HS_TOO_LONG) {
        static const char words[] = "more than 65536 bytes in one piece\n";
        hs_write(words, sizeof words - 1);
        hs_end();
    }
}

/* A last line without its newline is a line too, and stays without. */
void on_end(void) {
    hs_frame half = hs_half(&lines);
    if (half.size > 0) number(half);
}

/* Text that anyone can read: `12 lines`, a newline, and the half line. */
hs_snapshot on_save(void) {
    static char state[LONGEST + 33];
    hs_frame half = hs_half(&lines);
    int head = snprintf(state, 32, "%" PRIu64 " lines\n", count);
    if (half.size > LONGEST + 1) half.size = LONGEST + 1;
    if (half.size > 0) memcpy(state + head, half.data, half.size);
    return (hs_snapshot){.version = 1, .data = state, .size = (size_t)head + half.size};
}

const char *on_restore(hs_snapshot snapshot) {
    if (snapshot.version != 1) return "this guest reads snapshots of version 1";
    /* Another guest's state says nothing to this one, which starts afresh. */
    const char *at = snapshot.data, *end = at + snapshot.size;
    uint64_t numbered = 0;
    for (; at < end && *at >= '0' && *at <= '9'; at++) numbered = numbered * 10 + (uint64_t)(*at - '0');
    static const char words[] = " lines\n";
    size_t length = sizeof words - 1;
    if (at > (const char *)snapshot.data && (size_t)(end - at) >= length &&
        memcmp(at, words, length) == 0) {
        count = numbered;
        hs_push(&lines, at + length, (size_t)(end - at) - length);
    }
    return NULL;
}
