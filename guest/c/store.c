/* The store (`wasi:keyvalue`, `hotsocket:store`) for guests that include hotsocket.h. Linked
 * only into a guest that calls it. */

#include "hotsocket.h"

#include <stdlib.h>
#include <string.h>

#include "bindings/store.h"

/* In hotsocket.c. A key is not replaced by another that is UTF-8: two would be one. */
bool hs_is_utf8(const char *text);

/* The number of a handle is the value of the C type. */
#define BUCKET(bucket) ((wasi_keyvalue_store_borrow_bucket_t){bucket})

static char *failure;

const char *hs_store_error(void) { return failure != NULL ? failure : ""; }

/* Note why a call has failed. */
static hs_stored failed(wasi_keyvalue_store_error_t *error) {
    free(failure);
    switch (error->tag) {
    case WASI_KEYVALUE_STORE_ERROR_NO_SUCH_STORE:
        failure = strdup("no such bucket: its name is too long");
        break;
    case WASI_KEYVALUE_STORE_ERROR_ACCESS_DENIED:
        failure = strdup("nothing can be changed in on_save and on_listening");
        break;
    default: failure = strndup((const char *)error->val.other.ptr, error->val.other.len);
    }
    wasi_keyvalue_store_error_free(error);
    return HS_STORE_FAILED;
}

static hs_stored not_utf8(void) {
    free(failure);
    failure = strdup("a name or key is not UTF-8");
    return HS_STORE_FAILED;
}

static hs_stored answer(bool yes) { return yes ? HS_STORE_YES : HS_STORE_NO; }

static store_string_t text(const char *name) {
    return (store_string_t){(uint8_t *)name, strlen(name)};
}

static hotsocket_store_store_lifetime_t lifetime(uint64_t ttl_ms) {
    hotsocket_store_store_lifetime_t life = {.tag = HOTSOCKET_STORE_STORE_LIFETIME_MILLISECONDS};
    if (ttl_ms == HS_FOREVER) life.tag = HOTSOCKET_STORE_STORE_LIFETIME_FOREVER;
    if (ttl_ms == HS_UNCHANGED) life.tag = HOTSOCKET_STORE_STORE_LIFETIME_UNCHANGED;
    life.val.milliseconds = ttl_ms;
    return life;
}

/* The buckets that are open. A handle is never given back, and an instance may have 1,000:
 * a name that is opened again is the same one. */
typedef struct opened {
    struct opened *next;
    hs_bucket bucket;
    char name[];
} opened;
static opened *all;

hs_bucket hs_store_open(const char *name) {
    for (const opened *known = all; known != NULL; known = known->next)
        if (strcmp(known->name, name) == 0) return known->bucket;
    if (!hs_is_utf8(name)) return not_utf8(), 0;
    store_string_t string = text(name);
    wasi_keyvalue_store_own_bucket_t bucket;
    wasi_keyvalue_store_error_t error;
    if (!wasi_keyvalue_store_open(&string, &bucket, &error)) return failed(&error), 0;
    opened *made = malloc(sizeof *made + string.len + 1);
    if (made == NULL) hs_panic("no memory for the name of a bucket");
    made->next = all;
    made->bucket = bucket.__handle;
    memcpy(made->name, name, string.len + 1);
    all = made;
    return made->bucket;
}

/* A value that the guest may look at until the next one comes. */
static hs_stored keep(store_option_list_u8_t *found, hs_value *value) {
    static store_list_u8_t kept;
    *value = (hs_value){0};
    if (!found->is_some) return HS_STORE_NO;
    store_list_u8_free(&kept);
    kept = found->val;
    *value = (hs_value){kept.ptr, kept.len};
    return HS_STORE_YES;
}

hs_stored hs_store_get(hs_bucket bucket, const char *key, hs_value *value) {
    if (!hs_is_utf8(key)) return not_utf8();
    store_string_t name = text(key);
    store_option_list_u8_t found;
    wasi_keyvalue_store_error_t error;
    if (!wasi_keyvalue_store_method_bucket_get(BUCKET(bucket), &name, &found, &error))
        return failed(&error);
    return keep(&found, value);
}

hs_stored hs_store_set(hs_bucket bucket, const char *key, const void *data, size_t size) {
    return hs_store_set_with(bucket, key, data, size, HS_ALWAYS, HS_FOREVER);
}

hs_stored hs_store_set_with(hs_bucket bucket, const char *key, const void *data, size_t size,
                            hs_condition condition, uint64_t ttl_ms) {
    if (!hs_is_utf8(key)) return not_utf8();
    store_string_t name = text(key);
    store_list_u8_t value = {(uint8_t *)data, size};
    hotsocket_store_store_lifetime_t life = lifetime(ttl_ms);
    wasi_keyvalue_store_error_t error;
    bool set;
    /* The enumeration is in the contract's order. */
    if (!hotsocket_store_store_set(BUCKET(bucket), &name, &value,
                                   (hotsocket_store_store_condition_t)condition, &life, &set, &error))
        return failed(&error);
    return answer(set);
}

hs_stored hs_store_delete(hs_bucket bucket, const char *key) {
    if (!hs_is_utf8(key)) return not_utf8();
    store_string_t name = text(key);
    wasi_keyvalue_store_error_t error;
    bool had;
    if (!hotsocket_store_store_delete(BUCKET(bucket), &name, &had, &error)) return failed(&error);
    return answer(had);
}

hs_stored hs_store_increment(hs_bucket bucket, const char *key, int64_t delta, int64_t *sum) {
    if (!hs_is_utf8(key)) return not_utf8();
    store_string_t name = text(key);
    wasi_keyvalue_store_error_t error;
    if (!wasi_keyvalue_atomics_increment(BUCKET(bucket), &name, delta, sum, &error))
        return failed(&error);
    return HS_STORE_YES;
}

hs_stored hs_store_cas(hs_bucket bucket, const char *key, hs_change *change, void *context) {
    if (!hs_is_utf8(key)) return not_utf8();
    store_string_t name = text(key);
    wasi_keyvalue_atomics_own_cas_t seen;
    wasi_keyvalue_store_error_t error;
    if (!wasi_keyvalue_atomics_static_cas_new(BUCKET(bucket), &name, &seen, &error))
        return failed(&error);
    for (;;) {
        store_option_list_u8_t found;
        hs_value before, after = {0};
        wasi_keyvalue_atomics_cas_error_t why;
        bool looked = wasi_keyvalue_atomics_method_cas_current(
            wasi_keyvalue_atomics_borrow_cas(seen), &found, &error);
        bool wanted = looked && change(keep(&found, &before) == HS_STORE_YES ? &before : NULL,
                                       &after, context);
        if (!wanted) {
            wasi_keyvalue_atomics_cas_drop_own(seen);
            return looked ? HS_STORE_NO : failed(&error);
        }
        store_list_u8_t value = {(uint8_t *)after.data, after.size};
        if (wasi_keyvalue_atomics_swap(seen, &value, &why)) return HS_STORE_YES;
        if (why.tag == WASI_KEYVALUE_ATOMICS_CAS_ERROR_STORE_ERROR)
            return failed(&why.val.store_error);
        seen = why.val.cas_failed;
    }
}

hs_stored hs_store_ttl(hs_bucket bucket, const char *key, uint64_t *ttl_ms) {
    if (!hs_is_utf8(key)) return not_utf8();
    store_string_t name = text(key);
    hotsocket_store_store_option_lifetime_t life;
    wasi_keyvalue_store_error_t error;
    if (!hotsocket_store_store_life(BUCKET(bucket), &name, &life, &error)) return failed(&error);
    bool ends = life.is_some && life.val.tag == HOTSOCKET_STORE_STORE_LIFETIME_MILLISECONDS;
    *ttl_ms = ends ? life.val.val.milliseconds : HS_FOREVER;
    return answer(life.is_some);
}

hs_stored hs_store_expire(hs_bucket bucket, const char *key, uint64_t ttl_ms) {
    if (!hs_is_utf8(key)) return not_utf8();
    store_string_t name = text(key);
    hotsocket_store_store_lifetime_t life = lifetime(ttl_ms);
    wasi_keyvalue_store_error_t error;
    bool had;
    if (!hotsocket_store_store_set_life(BUCKET(bucket), &name, &life, &had, &error))
        return failed(&error);
    return answer(had);
}

hs_stored hs_store_keys(hs_bucket bucket, const char *prefix, hs_each_key *each, void *context) {
    const uint32_t most = 1000; /* what the server gives in one call */
    if (!hs_is_utf8(prefix)) return not_utf8();
    store_string_t name = text(prefix), cursor = {0};
    bool any = false;
    do {
        hotsocket_store_store_key_response_t page;
        wasi_keyvalue_store_error_t error;
        bool done = hotsocket_store_store_keys(BUCKET(bucket), &name, cursor.ptr != NULL ? &cursor : NULL,
                                               most, &page, &error);
        store_string_free(&cursor);
        if (!done) return failed(&error);
        for (size_t i = 0; i < page.keys.len; i++) {
            char *key = strndup((const char *)page.keys.ptr[i].ptr, page.keys.ptr[i].len);
            if (key == NULL) hs_panic("no memory for a key");
            each(key, context);
            free(key);
            any = true;
        }
        if (page.cursor.is_some) {
            cursor = page.cursor.val;
            page.cursor.is_some = false;
        }
        wasi_keyvalue_store_key_response_free(&page);
    } while (cursor.ptr != NULL);
    return answer(any);
}
