/* What {name} does with a connection: it counts what the peer sends. */

#include <hotsocket.h>
#include <stdio.h>
#include <string.h>

/* An instance serves one connection, so this is the state of that connection. */
static unsigned long bytes;

void on_listening(const hs_address *listeners, size_t count) {
    if (count > 0) printf("Server listening on port %u\n", listeners[0].port);
}

void on_data(const uint8_t *data, size_t size) {
    char answer[64];
    (void)data;
    /* TCP has no messages: what the peer wrote at once may come in pieces. */
    bytes += size;
    hs_write(answer, (size_t)sprintf(answer, "%lu bytes so far\n", bytes));
}

void on_end(void) { printf("%s sent %lu bytes\n", hs_peer().ip, bytes); }

/* What new code must know of this connection when it takes over. */
hs_snapshot on_save(void) {
    return (hs_snapshot){.version = 1, .data = &bytes, .size = sizeof bytes};
}

const char *on_restore(hs_snapshot snapshot) {
    if (snapshot.version != 1 || snapshot.size != sizeof bytes) return "not this guest's state";
    memcpy(&bytes, snapshot.data, sizeof bytes);
    return NULL;
}
