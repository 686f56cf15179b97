/* Messages of a stream: what has come of one waits for the rest, up to a limit. It calls
 * nothing of the server. */

#include "hotsocket.h"

#include <stdlib.h>
#include <string.h>

void hs_push(hs_frames *frames, const void *data, size_t size) {
    if (frames->error != 0) return;
    size_t half = frames->size - frames->taken;
    if (frames->taken > 0) memmove(frames->bytes, frames->bytes + frames->taken, half);
    frames->taken = 0;
    frames->size = half;
    if (frames->room - half < size) {
        frames->room = half + size;
        frames->bytes = realloc(frames->bytes, frames->room);
        if (frames->bytes == NULL) hs_panic("no memory for %zu bytes of a frame", frames->room);
    }
    if (size > 0) memcpy(frames->bytes + half, data, size);
    frames->size += size;
}

hs_frame hs_half(const hs_frames *frames) {
    return (hs_frame){frames->bytes + frames->taken, frames->size - frames->taken};
}

/* The frame that the codec has found, if it is not too long; it ends after `end` bytes. */
static hs_found take(hs_frames *frames, hs_found found, const hs_frame *contents, size_t end) {
    size_t max = frames->max > 0 ? frames->max : 64 * 1024;
    if (found != HS_INVALID && contents->size > max) found = HS_TOO_LONG;
    if (found == HS_TOO_LONG || found == HS_INVALID) {
        /* What has come stays: with it a successor finds the same error. */
        frames->error = found;
        return found;
    }
    if (found == HS_FRAME) {
        frames->taken += end;
        frames->seen = 0;
    }
    return found;
}

hs_found hs_next(hs_frames *frames, hs_codec *codec, hs_frame *frame) {
    if (frames->error != 0) return (hs_found)frames->error;
    hs_frame half = hs_half(frames);
    size_t end = 0;
    *frame = (hs_frame){half.data, 0};
    hs_found found = codec(half.data, half.size, frame, &end);
    if (found == HS_FRAME && (end == 0 || end > half.size))
        hs_panic("a codec has taken %zu bytes of %zu", end, half.size);
    return take(frames, found, frame, end);
}

/* Without the carriage return before the delimiter, if there is one to be left out. */
static hs_found until(hs_frames *frames, uint8_t delimiter, bool carriage_return, hs_frame *frame) {
    if (frames->error != 0) return (hs_found)frames->error;
    hs_frame half = hs_half(frames);
    /* What was seen has none of another delimiter. */
    if (frames->sought != delimiter) frames->seen = 0;
    frames->sought = delimiter;
    size_t left = half.size - frames->seen;
    const uint8_t *end = left > 0 ? memchr(half.data + frames->seen, delimiter, left) : NULL;
    size_t size = end != NULL ? (size_t)(end - half.data) : half.size, whole = size + 1;
    if (carriage_return && size > 0 && half.data[size - 1] == '\r') size--;
    *frame = (hs_frame){half.data, size};
    frames->seen = half.size;
    return take(frames, end != NULL ? HS_FRAME : HS_PART, frame, whole);
}

hs_found hs_next_line(hs_frames *frames, hs_frame *line) { return until(frames, '\n', true, line); }
hs_found hs_next_until(hs_frames *frames, uint8_t delimiter, hs_frame *frame) {
    return until(frames, delimiter, false, frame);
}

hs_found hs_next_prefixed(hs_frames *frames, size_t prefix, hs_frame *frame) {
    if (frames->error != 0) return (hs_found)frames->error;
    hs_frame half = hs_half(frames);
    uint64_t length = 0;
    if (half.size < prefix) return HS_PART;
    for (size_t i = 0; i < prefix; i++) length = length << 8 | half.data[i];
    /* Also where it does not fit into `size_t`. */
    *frame = (hs_frame){half.data + prefix, length > SIZE_MAX ? SIZE_MAX : (size_t)length};
    bool whole = half.size - prefix >= length;
    return take(frames, whole ? HS_FRAME : HS_PART, frame, prefix + frame->size);
}
