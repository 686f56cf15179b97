/* `hotsocket:topics` for guests that include hotsocket.h. A guest that calls nothing of
 * it does not import it; subscriber.c has what a guest exports. */

#include "hotsocket.h"

#include <string.h>

#include "bindings/topics.h"

/* In hotsocket.c. A topic is not replaced by another that is UTF-8: two would be one. */
bool hs_is_utf8(const char *text);

static topics_string_t text(const char *topic) {
    return (topics_string_t){(uint8_t *)topic, strlen(topic)};
}

/* The enumerations are in the contract's order, with HS_DONE before the errors. */
static hs_asked result(bool done, hotsocket_topics_topics_topic_error_t error) {
    return done ? HS_DONE : (hs_asked)(error + 1);
}

hs_asked hs_subscribe(const char *pattern, hs_delivery delivery, hs_when_full when_full) {
    if (!hs_is_utf8(pattern)) return HS_NOT_A_TOPIC;
    topics_string_t name = text(pattern);
    hotsocket_topics_topics_topic_error_t error = 0;
    bool done = hotsocket_topics_topics_subscribe(
        &name, (hotsocket_topics_topics_delivery_t)delivery,
        (hotsocket_topics_topics_when_full_t)when_full, &error);
    return result(done, error);
}

void hs_unsubscribe(const char *pattern) {
    if (!hs_is_utf8(pattern)) return;
    topics_string_t name = text(pattern);
    hotsocket_topics_topics_unsubscribe(&name);
}

hs_asked hs_publish(const char *topic, const void *data, size_t size) {
    if (!hs_is_utf8(topic)) return HS_NOT_A_TOPIC;
    topics_string_t name = text(topic);
    topics_list_u8_t bytes = {(uint8_t *)data, size};
    hotsocket_topics_topics_topic_error_t error = 0;
    bool done = hotsocket_topics_topics_publish(&name, &bytes, &error);
    return result(done, error);
}

uint64_t hs_subscribers(const char *topic) {
    if (!hs_is_utf8(topic)) return 0;
    topics_string_t name = text(topic);
    return hotsocket_topics_topics_subscribers(&name);
}

hs_asked hs_set_will(const char *topic, const void *data, size_t size) {
    if (!hs_is_utf8(topic)) return HS_NOT_A_TOPIC;
    topics_string_t name = text(topic);
    topics_list_u8_t bytes = {(uint8_t *)data, size};
    hotsocket_topics_topics_topic_error_t error = 0;
    bool done = hotsocket_topics_topics_set_will(&name, &bytes, &error);
    return result(done, error);
}

void hs_clear_will(void) {
    topics_string_t name = text("none");
    hotsocket_topics_topics_topic_error_t error = 0;
    (void)hotsocket_topics_topics_set_will(&name, NULL, &error);
}

const char *hs_why(hs_asked asked) {
    switch (asked) {
    case HS_DONE: return "done";
    case HS_NOT_A_TOPIC: return "not a topic or pattern: tokens joined by dots";
    case HS_TOO_LARGE: return "the message has more than 64 KiB";
    case HS_TOO_MUCH: return "this event has published too much";
    case HS_NO_SUBSCRIBER: return "define on_message to subscribe with HS_EVENT";
    }
    return "unknown";
}
