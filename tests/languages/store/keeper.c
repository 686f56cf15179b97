/* Uses the store as its peer says, a line for each order. */
#include <hotsocket.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static hs_frames lines = {.max = 4096};
static hs_bucket bucket;

static void answer(const char *text) {
    hs_write(text, strlen(text));
    hs_write("\n", 1);
}

static void tell(hs_stored stored) {
    char text[256];
    if (stored == HS_STORE_FAILED) {
        snprintf(text, sizeof text, "failed: %s", hs_store_error());
        answer(text);
    } else {
        answer(stored == HS_STORE_YES ? "true" : "false");
    }
}

static void tell_value(hs_stored stored, const hs_value *value) {
    if (stored == HS_STORE_FAILED) {
        tell(stored);
        return;
    }
    if (stored == HS_STORE_NO) hs_write("none", 4);
    else hs_write(value->data, value->size);
    hs_write("\n", 1);
}

static bool append(const hs_value *before, hs_value *after, void *rest) {
    static uint8_t text[4096];
    size_t size = before != NULL ? before->size : 0, more = strlen(rest);
    if (size > 0) memcpy(text, before->data, size);
    memcpy(text + size, rest, more);
    *after = (hs_value){text, size + more};
    return true;
}

typedef struct {
    char *all[64];
    size_t count;
} keys;

static void add_key(const char *key, void *context) {
    keys *found = context;
    if (found->count < 64) found->all[found->count++] = strdup(key);
}

static int by_name(const void *one, const void *other) {
    return strcmp(*(char *const *)one, *(char *const *)other);
}

static void tell_keys(const char *prefix) {
    keys found = {0};
    if (hs_store_keys(bucket, prefix, add_key, &found) == HS_STORE_FAILED) {
        tell(HS_STORE_FAILED);
        return;
    }
    qsort(found.all, found.count, sizeof *found.all, by_name);
    for (size_t i = 0; i < found.count; i++) {
        if (i > 0) hs_write(" ", 1);
        hs_write(found.all[i], strlen(found.all[i]));
        free(found.all[i]);
    }
    hs_write("\n", 1);
}

static void obey(char *line) {
    char *at = line, text[64];
    const char *order = strsep(&at, " ");
    const char *key = at != NULL ? strsep(&at, " ") : "";
    char *rest = at != NULL ? at : "";
    hs_value value = {0};
    if (bucket == 0) bucket = hs_store_open("kept");
    if (strcmp(order, "get") == 0) {
        hs_stored stored = hs_store_get(bucket, key, &value);
        tell_value(stored, &value);
    } else if (strcmp(order, "has") == 0) {
        tell(hs_store_get(bucket, key, &value));
    } else if (strcmp(order, "set") == 0) {
        tell(hs_store_set(bucket, key, rest, strlen(rest)));
    } else if (strcmp(order, "set-for") == 0) {
        uint64_t ttl = strtoull(rest, &rest, 10);
        tell(hs_store_set_with(bucket, key, rest + 1, strlen(rest + 1), HS_ALWAYS, ttl));
    } else if (strcmp(order, "set-if-absent") == 0) {
        tell(hs_store_set_with(bucket, key, rest, strlen(rest), HS_IF_ABSENT, HS_FOREVER));
    } else if (strcmp(order, "set-unchanged") == 0) {
        tell(hs_store_set_with(bucket, key, rest, strlen(rest), HS_IF_PRESENT, HS_UNCHANGED));
    } else if (strcmp(order, "delete") == 0) {
        tell(hs_store_delete(bucket, key));
    } else if (strcmp(order, "add") == 0) {
        int64_t sum;
        hs_stored stored = hs_store_increment(bucket, key, atoll(rest), &sum);
        if (stored == HS_STORE_FAILED) tell(stored);
        else sprintf(text, "%lld", (long long)sum), answer(text);
    } else if (strcmp(order, "append") == 0) {
        hs_stored stored = hs_store_cas(bucket, key, append, rest);
        if (stored != HS_STORE_FAILED) stored = hs_store_get(bucket, key, &value);
        tell_value(stored, &value);
    } else if (strcmp(order, "ttl") == 0) {
        uint64_t ttl;
        hs_stored stored = hs_store_ttl(bucket, key, &ttl);
        if (stored == HS_STORE_FAILED) tell(stored);
        else if (stored == HS_STORE_NO) answer("none");
        else if (ttl == HS_FOREVER) answer("forever");
        else sprintf(text, "%llu", (unsigned long long)ttl), answer(text);
    } else if (strcmp(order, "expire") == 0) {
        tell(hs_store_expire(bucket, key, strtoull(rest, NULL, 10)));
    } else if (strcmp(order, "keys") == 0) {
        tell_keys(key);
    } else {
        answer("what?");
    }
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
