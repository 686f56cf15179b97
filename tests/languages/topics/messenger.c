/* tests/guests/messenger.rs in C: uses topics as its peer says, a line for each order.
 * It numbers the messages that it gets, and the number is its state. */
#include <hotsocket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hs_frames lines = {.max = 4096};
static uint32_t messages;

static const char *told(hs_asked asked) {
    static const char *names[] = {"ok", "Invalid", "TooLarge", "TooMuch", "NoSubscriber"};
    return names[asked];
}

/* So many messages of so many bytes each. */
static hs_asked publish_many(const char *topic, const char *text) {
    int count = 0, size = 10;
    sscanf(text, "%d %d", &count, &size);
    char *message = malloc((size_t)size + 32);
    hs_asked asked = HS_DONE;
    for (int number = 0; number < count && asked == HS_DONE; number++) {
        int length = sprintf(message, "%0*d", size, number);
        asked = hs_publish(topic, message, (size_t)length);
    }
    free(message);
    return asked;
}

static void obey(char *line) {
    char *rest = line, answer[64];
    const char *order = strsep(&rest, " ");
    const char *topic = rest != NULL ? strsep(&rest, " ") : "";
    const char *text = rest != NULL ? rest : "";
    const char *result = "what?";
    if (strcmp(order, "event") == 0) result = told(hs_subscribe(topic, HS_EVENT, HS_CLOSE));
    if (strcmp(order, "event-drop") == 0)
        result = told(hs_subscribe(topic, HS_EVENT, HS_DROP_OLDEST));
    if (strcmp(order, "direct") == 0) result = told(hs_subscribe(topic, HS_DIRECT, HS_CLOSE));
    if (strcmp(order, "direct-drop") == 0)
        result = told(hs_subscribe(topic, HS_DIRECT, HS_DROP_OLDEST));
    if (strcmp(order, "leave") == 0) hs_unsubscribe(topic), result = "ok";
    if (strcmp(order, "publish") == 0) result = told(hs_publish(topic, text, strlen(text)));
    if (strcmp(order, "many") == 0) result = told(publish_many(topic, text));
    if (strcmp(order, "will") == 0) result = told(hs_set_will(topic, text, strlen(text)));
    if (strcmp(order, "no-will") == 0) hs_clear_will(), result = "ok";
    if (strcmp(order, "count") == 0) {
        sprintf(answer, "%llu", (unsigned long long)hs_subscribers(topic));
        result = answer;
    }
    if (strcmp(order, "write") == 0) {
        size_t size = strtoul(topic, NULL, 10);
        char *bytes = malloc(size);
        memset(bytes, 'w', size);
        hs_write(bytes, size);
        free(bytes);
        return;
    }
    if (strcmp(order, "trap") == 0) hs_panic("as ordered");
    if (strcmp(order, "end") == 0) {
        hs_end();
        return;
    }
    hs_write(result, strlen(result));
    hs_write("\n", 1);
    /* What an event has asked for is dropped with it. */
    if (*text != 0 && text[strlen(text) - 1] == '!') hs_panic("as ordered");
}

void on_data(const uint8_t *data, size_t size) {
    hs_frame line;
    hs_push(&lines, data, size);
    while (hs_next_line(&lines, &line) == HS_FRAME) {
        char *copy = strndup((const char *)line.data, line.size);
        obey(copy);
        free(copy);
    }
}

void on_message(const char *topic, uint64_t sender, const uint8_t *data, size_t size) {
    char head[320];
    int length = sprintf(head, "%u %s %llu ", ++messages, topic, (unsigned long long)sender);
    hs_write(head, (size_t)length);
    hs_write(data, size);
    hs_write("\n", 1);
}

void on_lagged(uint64_t missed) {
    char line[64];
    hs_write(line, (size_t)sprintf(line, "lagged %llu\n", (unsigned long long)missed));
}

hs_snapshot on_save(void) {
    return (hs_snapshot){.version = 1, .data = &messages, .size = sizeof messages};
}

const char *on_restore(hs_snapshot snapshot) {
    if (snapshot.version != 1 || snapshot.size != sizeof messages) return "not 4 bytes";
    memcpy(&messages, snapshot.data, sizeof messages);
    return NULL;
}
