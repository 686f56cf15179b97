/* Teaches: a clock and a timer. It tells for how long the peer was silent, and says
 * goodbye after a minute of silence. */

#include <hotsocket.h>
#include <stdio.h>
#include <time.h>

enum { PATIENCE_MS = 60 * 1000, GOODBYE = 1 };

static long long last;

static long long milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void say(const char *format) {
    char text[64];
    int size = snprintf(text, sizeof text, format, (milliseconds() - last) / 1000);
    hs_write(text, size);
}

const char *on_open(void) {
    last = milliseconds();
    hs_set_timer(GOODBYE, PATIENCE_MS);
    return NULL;
}

/* A successor has not heard anything yet; the timer goes on running. */
const char *on_resume(hs_how how, const hs_snapshot *snapshot, bool peer_ended) {
    (void)how, (void)snapshot, (void)peer_ended;
    last = milliseconds();
    return NULL;
}

void on_data(const uint8_t *data, size_t size) {
    (void)data, (void)size;
    say("%lld s of silence\n");
    last = milliseconds();
    hs_set_timer(GOODBYE, PATIENCE_MS);
}

void on_timer(uint32_t id) {
    (void)id;
    say("goodbye after %lld s\n");
    hs_end();
}
