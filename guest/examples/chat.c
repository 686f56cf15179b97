/* Teaches: connections that meet. A chat with names and rooms, in which the code can be
 * replaced while people talk: names, rooms and half-typed lines stay.
 *
 * Try it: `hotsocket serve chat.c`, then `nc 127.0.0.1 3000` in two terminals. What one
 * types, the others in the room see. `/join ROOM`, `/who`, `/quit`.
 *
 * What is said goes from the host to the peers without a call of their guests (HS_DIRECT);
 * only `/who` asks the others' guests, who answer with a name. */
#include <ctype.h>
#include <hotsocket.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_LINE = 1000, LONGEST_WORD = 20 };

/* Answers to `/who` come to `answers.` and this. It is random: ids of connections are those
 * of one node, and people on several nodes may meet. */
static char inbox[LONGEST_WORD + 1];
/* Empty until the peer has told it; the room also when the peer has quit. */
static char name[LONGEST_WORD + 1], room[LONGEST_WORD + 1];
static hs_frames lines = {.max = LONGEST_LINE};

static void answer(const char *text) { hs_write(text, strlen(text)); }

/* `room.lobby`, until the next call. */
static const char *topic(const char *kind, const char *which) {
    static char text[64];
    snprintf(text, sizeof text, "%s.%s", kind, which);
    return text;
}

static void say(const char *format, ...) {
    char text[LONGEST_LINE + 64];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    hs_publish(topic("room", room), text, strlen(text));
}

/* Fit for a name and for a part of a topic. */
static bool is_word(const char *text) {
    size_t size = strlen(text);
    for (size_t i = 0; i < size; i++)
        if (!isalnum((unsigned char)text[i])) return false;
    return size > 0 && size <= LONGEST_WORD;
}

static void join(const char *next) {
    char text[64];
    if (*room != 0) {
        say("* %s has gone to %s\n", name, next);
        hs_unsubscribe(topic("room", room));
        hs_unsubscribe(topic("who", room));
    }
    strcpy(room, next);
    unsigned long long others = hs_subscribers(topic("room", room));
    /* Whoever reads too slowly misses something, and stays. */
    hs_subscribe(topic("room", room), HS_DIRECT, HS_DROP_OLDEST);
    hs_subscribe(topic("who", room), HS_EVENT, HS_DROP_OLDEST);
    /* However this connection ends, also if the machine of its peer burns. */
    snprintf(text, sizeof text, "* %s has left\n", name);
    hs_set_will(topic("room", room), text, strlen(text));
    snprintf(text, sizeof text, "* %s: %llu here besides you\n", room, others);
    answer(text);
    say("* %s has come\n", name);
}

static void obey(const char *line) {
    char text[64];
    if (*inbox == 0) {
        uint64_t random;
        hs_random(&random, sizeof random);
        snprintf(inbox, sizeof inbox, "%016llx", (unsigned long long)random);
        hs_subscribe(topic("answers", inbox), HS_DIRECT, HS_DROP_OLDEST);
    }
    if (*name == 0) {
        if (!is_word(line)) {
            answer("A name has letters and digits, 20 at most. Your name?\n");
            return;
        }
        strcpy(name, line);
        join("lobby");
    } else if (*room == 0) {
        /* What still comes after `/quit`. */
    } else if (strcmp(line, "/join") == 0 || strncmp(line, "/join ", 6) == 0) {
        const char *next = line[5] == 0 ? "" : line + 6;
        if (strcmp(next, room) == 0) answer("You are there.\n");
        else if (is_word(next)) join(next);
        else answer("A room has letters and digits, 20 at most.\n");
    } else if (strcmp(line, "/who") == 0) {
        snprintf(text, sizeof text, "* %s (you)\n", name);
        answer(text);
        hs_publish(topic("who", room), inbox, strlen(inbox));
    } else if (strcmp(line, "/quit") == 0) {
        answer("Bye!\n");
        hs_end();
        *room = 0;
    } else if (*line != 0) {
        say("%s: %s\n", name, line);
    }
}

/* The line as text, without what telnet negotiates (three bytes that begin with 255: RFC
 * 854) and without what would act on the others' terminals. `text` has room for it. */
static char *plain(const hs_frame *line, char *text) {
    const uint8_t *at = line->data, *end = at + line->size;
    char *to = text;
    for (; at < end; at++) {
        bool is_last = at + 1 == end;
        if (*at == 255) at += !is_last && at[1] >= 251 && at[1] <= 254 ? 2 : 1;
        else if (*at == 0xc2 && !is_last && at[1] < 0xa0) at += 1; /* U+0080 to U+009F */
        else if (!iscntrl(*at)) *to++ = (char)*at;
    }
    while (to > text && to[-1] == ' ') to--;
    *to = 0;
    return text + strspn(text, " ");
}

const char *on_open(void) {
    answer("Your name?\n");
    return NULL;
}

void on_data(const uint8_t *data, size_t size) {
    hs_frame line;
    hs_found found;
    hs_push(&lines, data, size);
    while ((found = hs_next_line(&lines, &line)) == HS_FRAME) {
        char text[LONGEST_LINE + 1];
        obey(plain(&line, text));
    }
    if (found == HS_TOO_LONG) {
        answer("more than 1000 bytes in one piece\n");
        hs_end();
    }
}

/* Somebody in the room asks who is there, and says where answers go. */
void on_message(const char *asked, uint64_t sender, const uint8_t *data, size_t size) {
    (void)asked, (void)sender;
    char to[LONGEST_WORD + 1] = "", text[64];
    if (size <= LONGEST_WORD) memcpy(to, data, size);
    if (room[0] == 0 || !is_word(to)) return;
    snprintf(text, sizeof text, "* %s\n", name);
    hs_publish(topic("answers", to), text, strlen(text));
}

hs_snapshot on_save(void) {
    static char state[3 * LONGEST_WORD + 3 + LONGEST_LINE + 64];
    hs_frame half = hs_half(&lines);
    int head = snprintf(state, sizeof state, "%s\n%s\n%s\n", inbox, name, room);
    size_t room_left = sizeof state - (size_t)head;
    size_t size = half.size < room_left ? half.size : room_left;
    memcpy(state + head, half.data, size);
    return (hs_snapshot){.version = 2, .data = state, .size = (size_t)head + size};
}

const char *on_restore(hs_snapshot snapshot) {
    const char *at = snapshot.data, *end = at + snapshot.size;
    char *words[] = {inbox, name, room};
    if (snapshot.version != 1 && snapshot.version != 2) return "not this guest's state";
    /* Version 1 had no inbox. */
    for (int which = snapshot.version == 1 ? 1 : 0; which < 3; which++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (stop == NULL || stop - at > LONGEST_WORD) return "a part is missing";
        memcpy(words[which], at, (size_t)(stop - at));
        at = stop + 1;
    }
    hs_push(&lines, at, (size_t)(end - at));
    return NULL;
}
