/* Between the generated bindings and a guest that defines `on_message` or `on_lagged`.
 * Linked into no other guest: whoever exports this is called with messages. */

#include "hotsocket.h"

#include <string.h>

#include "bindings/subscriber.h"

#define WEAK __attribute__((weak))

WEAK void on_message(const char *topic, uint64_t sender, const uint8_t *data, size_t size) {
    (void)topic, (void)sender, (void)data, (void)size;
}
WEAK void on_lagged(uint64_t missed) { (void)missed; }

void exports_hotsocket_topics_subscriber_message(
    subscriber_string_t *topic, uint64_t sender, subscriber_list_u8_t *bytes) {
    /* With a NUL, as C wants it. The contract's topics have 256 bytes at most. */
    static char name[257];
    size_t size = topic->len < sizeof name ? topic->len : sizeof name - 1;
    memcpy(name, topic->ptr, size);
    name[size] = 0;
    on_message(name, sender, bytes->ptr, bytes->len);
    subscriber_string_free(topic);
    subscriber_list_u8_free(bytes);
}

void exports_hotsocket_topics_subscriber_lagged(uint64_t missed) { on_lagged(missed); }
