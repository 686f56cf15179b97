/* `hotsocket:environment` and `hotsocket:session` for guests that include hotsocket.h.
 * A guest that calls nothing of a package does not import it. */

#include "hotsocket.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"

/* In hotsocket.c. */
bool hs_is_utf8(const char *text);
guest_string_t hs_utf8(const void *text, size_t size);
void hs_free_utf8(guest_string_t made, const void *text);

/* ---- Session */

void hs_pause(void) { hotsocket_session_session_pause(); }
void hs_resume(void) { hotsocket_session_session_resume(); }
void hs_checkpoint(void) { hotsocket_session_session_checkpoint(); }
void hs_set_label(const char *name) {
    guest_string_t label = hs_utf8(name, strlen(name));
    hotsocket_session_session_label(&label);
    hs_free_utf8(label, name);
}

/* ---- Time, random bytes, settings */

uint64_t hs_now(void) { return hotsocket_environment_environment_now(); }
uint64_t hs_uptime(void) { return hotsocket_environment_environment_uptime(); }

void hs_random(void *data, size_t size) {
    const size_t most = 64 * 1024; /* what the server gives in one call */
    for (uint8_t *to = data; size > 0;) {
        size_t piece = size < most ? size : most;
        guest_list_u8_t bytes;
        hotsocket_environment_environment_random((uint32_t)piece, &bytes);
        memcpy(to, bytes.ptr, piece);
        guest_list_u8_free(&bytes);
        to += piece;
        size -= piece;
    }
}

const char *hs_setting(const char *name) {
    static char *last;
    guest_string_t asked = {(uint8_t *)name, strlen(name)}, value;
    /* No setting has any other name. */
    bool is_set = hs_is_utf8(name) && hotsocket_environment_environment_setting(&asked, &value);
    /* Not before: it may be the name. */
    free(last);
    last = NULL;
    if (!is_set) return NULL;
    last = malloc(value.len + 1);
    if (last == NULL) hs_panic("no memory for a setting of %zu bytes", value.len);
    memcpy(last, value.ptr, value.len);
    last[value.len] = 0;
    guest_string_free(&value);
    return last;
}

/* ---- Lines with a level and fields */

static hotsocket_environment_environment_value_t value(const hs_field *field) {
    hotsocket_environment_environment_value_t made = {.tag = (uint8_t)field->kind};
    switch (field->kind) {
    case HS_TEXT: made.val.text = hs_utf8(field->text, strlen(field->text)); break;
    case HS_INTEGER: made.val.integer = field->integer; break;
    case HS_NUMBER: made.val.number = field->number; break;
    default: made.val.boolean = field->boolean; break;
    }
    return made;
}

void hs_log(hs_level level, const hs_field *fields, size_t count, const char *format, ...) {
    char small[512], *message = small;
    va_list args;
    va_start(args, format);
    int size = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (size >= (int)sizeof small) {
        message = malloc((size_t)size + 1);
        if (message == NULL) hs_panic("no memory for a line of %d bytes", size);
        va_start(args, format);
        vsnprintf(message, (size_t)size + 1, format, args);
        va_end(args);
    }
    /* More count for nothing. */
    hotsocket_environment_environment_field_t made[32];
    if (count > sizeof made / sizeof made[0]) count = sizeof made / sizeof made[0];
    for (size_t i = 0; i < count; i++) {
        made[i].name = hs_utf8(fields[i].name, strlen(fields[i].name));
        made[i].value = value(&fields[i]);
    }
    if (size >= 0) {
        guest_string_t text = hs_utf8(message, (size_t)size);
        hotsocket_environment_environment_list_field_t list = {made, count};
        hotsocket_environment_environment_log((uint8_t)level, &text, &list);
        hs_free_utf8(text, message);
    }
    for (size_t i = 0; i < count; i++) {
        hs_free_utf8(made[i].name, fields[i].name);
        if (fields[i].kind == HS_TEXT) hs_free_utf8(made[i].value.val.text, fields[i].text);
    }
    if (message != small) free(message);
}
