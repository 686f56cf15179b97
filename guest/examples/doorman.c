/* Teaches: what a guest asks of its host besides reading and writing. It greets with a
 * setting, calls the connection by the visitor's name in the log, logs with fields, and
 * rests for ten seconds when it is told to, without reading.
 *
 * Try it: `hotsocket serve doorman.c --set greeting=Welcome`, then `nc 127.0.0.1 3000`
 * in another terminal. */

#include <hotsocket.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REST_MS = 10 * 1000, LONGEST = 64 };

static hs_frames names = {.max = LONGEST};
/* When the visitor came, on the clock of all instances. */
static uint64_t since;

static void say(const char *what, const char *format, uint64_t number) {
    char text[128];
    hs_write(what, strlen(what));
    hs_write(text, (size_t)snprintf(text, sizeof text, format, number));
}

const char *on_open(void) {
    since = hs_uptime();
    const char *greeting = hs_setting("greeting");
    say(greeting != NULL ? greeting : "Hello", ", who is there?\n", 0);
    return NULL;
}

static void named(const char *name) {
    if (strcmp(name, "rest") == 0) {
        hs_pause();
        hs_set_timer(1, REST_MS);
        return;
    }
    if (strcmp(name, "faint") == 0) hs_panic("the doorman faints");
    uint64_t here = (hs_uptime() - since) / 1000000000;
    hs_set_label(name);
    hs_checkpoint();
    hs_log(HS_INFO, HS_FIELDS(hs_text("name", name), hs_integer("after", (int64_t)here)), "came in");
    say(name, ", you are here for %" PRIu64 " s\n", here);
}

void on_data(const uint8_t *data, size_t size) {
    hs_frame frame;
    hs_found found;
    hs_push(&names, data, size);
    while ((found = hs_next_line(&names, &frame)) == HS_FRAME) {
        char name[LONGEST + 1];
        snprintf(name, sizeof name, "%.*s", (int)frame.size, (const char *)frame.data);
        named(name);
    }
    if (found == HS_TOO_LONG) {
        say("more than ", "%" PRIu64 " bytes in one piece\n", LONGEST);
        hs_end();
    }
}

void on_timer(uint32_t id) {
    (void)id;
    hs_resume();
}

/* When the visitor came as text, a newline, and the half of a name. */
hs_snapshot on_save(void) {
    static char state[128];
    hs_frame half = hs_half(&names);
    size_t size = (size_t)snprintf(state, sizeof state, "%" PRIu64 "\n", since);
    /* What a predecessor has left may be longer than a name: cut, it still is. */
    if (half.size > sizeof state - size) half.size = sizeof state - size;
    if (half.size > 0) memcpy(state + size, half.data, half.size);
    return (hs_snapshot){1, state, size + half.size};
}

const char *on_restore(hs_snapshot snapshot) {
    const char *newline = memchr(snapshot.data, '\n', snapshot.size);
    if (snapshot.version != 1 || newline == NULL) return "the state has no time";
    since = strtoull(snapshot.data, NULL, 10);
    newline++;
    hs_push(&names, newline, snapshot.size - (size_t)(newline - (const char *)snapshot.data));
    return NULL;
}
