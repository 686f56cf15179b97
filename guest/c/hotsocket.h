/* Guests of the hotsocket server in C.
 *
 * A guest is one file that includes this header and defines the events it
 * cares for; the others have defaults. `hotsocket build echo.c` makes a
 * component of it:
 *
 *     #include <hotsocket.h>
 *
 *     void on_data(const uint8_t *data, size_t size) { hs_write(data, size); }
 *
 * An instance serves one connection, in a sandbox of its own: its static
 * variables are the state of that connection.
 */
#ifndef HOTSOCKET_H
#define HOTSOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- What a guest may call. The server owns the socket: these only tell it
 * what to do, and none of them ever waits. */

/* One end of the connection: `127.0.0.1` or `::1`, and the port. */
typedef struct {
    const char *ip;
    uint16_t port;
} hs_address;

/* Unique among all connections of this server process; counts up from 1. */
uint64_t hs_id(void);
/* The listener's address, which the peer connected to; and the peer's. */
hs_address hs_local(void);
hs_address hs_peer(void);

/* Queue bytes for the peer; they are sent in order. true: go on. false: stop,
 * because more than 64 KiB wait for the peer (`on_drained` follows), or because
 * this side is closed. A guest that only answers may ignore it: the server reads
 * nothing more from a peer that does not take its answers. Bytes that do not fit
 * into the queue (the server's `--max-queue`, 8 MiB if not set) end the
 * connection, and the server logs why: a reply that is missing in the stream
 * would make the next one look like its answer. */
bool hs_write(const void *data, size_t size);

/* The same, but returns why bytes were not taken. After HS_FULL keep them, and
 * write them again in `on_drained`. */
typedef enum {
    HS_TAKEN,  /* go on */
    HS_WAIT,   /* taken; wait for `on_drained` */
    HS_CLOSED, /* not taken: this side is closed, or the connection is over */
    HS_FULL,   /* not taken: more would wait than the server allows */
    HS_FAILED  /* not taken for another reason */
} hs_written;
hs_written hs_try_write(const void *data, size_t size);

/* ---- Frames out of a stream. What has come of a frame waits for the rest, up to
 * a limit; it is part of the guest's state (`hs_half`), so a swap in the middle of
 * a frame loses nothing.
 *
 *     static hs_frames lines = {.max = 512};
 *
 *     void on_data(const uint8_t *data, size_t size) {
 *         hs_frame line;
 *         hs_push(&lines, data, size);
 *         while (hs_next_line(&lines, &line) == HS_FRAME) greet(line.data, line.size);
 *         if (hs_next_line(&lines, &line) == HS_TOO_LONG) hs_end();
 *     }
 */
typedef struct {
    size_t max; /* the longest contents; 0: 64 KiB */
    /* The SDK's own. */
    uint8_t *bytes;
    size_t size, room, taken, seen;
    uint8_t sought; /* in the first `seen` bytes */
    /* HS_TOO_LONG or HS_INVALID. It stays, as nothing is known of where the next frame
     * begins; what comes is not kept. */
    int error;
} hs_frames;

typedef struct {
    const uint8_t *data; /* until the next `hs_push` */
    size_t size;
} hs_frame;

typedef enum {
    HS_FRAME,    /* here is one */
    HS_PART,     /* not before more has come */
    HS_TOO_LONG, /* it is longer than `max`: end the connection */
    HS_INVALID   /* a codec of your own: no frame begins like this */
} hs_found;

/* Append what the peer has sent. After HS_TOO_LONG or HS_INVALID it is dropped: nothing is
 * known of where the next frame begins, and every further call gives the same error. */
void hs_push(hs_frames *frames, const void *data, size_t size);
/* Lines that end in `\n` or `\r\n`, which are not part of them. */
hs_found hs_next_line(hs_frames *frames, hs_frame *line);
/* Contents that end with one byte, which is not part of them. */
hs_found hs_next_until(hs_frames *frames, uint8_t delimiter, hs_frame *frame);
/* A length in `prefix` bytes (1 to 8), the most significant one first, then the
 * contents. */
hs_found hs_next_prefixed(hs_frames *frames, size_t prefix, hs_frame *frame);
/* A format of your own. The codec looks at what has come; of a whole frame it gives
 * the contents and, as `end`, the size with all that is around them. Of a part it
 * gives in `contents->size` the least that the contents will have. */
typedef hs_found hs_codec(const uint8_t *data, size_t size, hs_frame *contents, size_t *end);
hs_found hs_next(hs_frames *frames, hs_codec *codec, hs_frame *frame);
/* What has come of a frame that is not whole, for `on_save`. In `on_restore`, push
 * it again. */
hs_frame hs_half(const hs_frames *frames);

/* Close this side: FIN follows when everything queued has been written. */
void hs_end(void);
/* Reset the connection at once. What is queued is lost. */
void hs_abort(void);
/* Stay writable after the peer's FIN, until `hs_end`. */
void hs_hold_open(void);

/* Have `on_timer` called once with this id. Setting a timer that is already set
 * moves it. Timers belong to the connection: they outlive a swap. */
void hs_set_timer(uint32_t id, uint64_t after_ms);
void hs_clear_timer(uint32_t id);

/* Read nothing more from the peer until `hs_resume`: no `on_data` and no `on_end` come
 * meanwhile. It takes effect when the event has succeeded, and outlives a swap, as the
 * three below. */
void hs_pause(void);
void hs_resume(void);
/* With `--on-trap restart`: the state is worth keeping now. `on_save` is called when
 * this event has succeeded, and from the first call on only then. */
void hs_checkpoint(void);
/* Call the connection so in the log. The first 64 bytes count; "" takes it away. Here and
 * in all that is printed and logged, what is not UTF-8 becomes U+FFFD. */
void hs_set_label(const char *name);

/* ---- What a guest needs of its surroundings. In `hotsocket test` time is the
 * script's, and random bytes are the same in every run. */

/* Nanoseconds since 1970: the wall clock. */
uint64_t hs_now(void);
/* Nanoseconds since the server started. Never goes back; the same clock for all
 * instances. */
uint64_t hs_uptime(void);
/* Random bytes, fit for keys and tokens. */
void hs_random(void *data, size_t size);
/* What the server was started with for this name (`--set NAME=VALUE`); NULL if it is
 * not set. It lasts until the next call. */
const char *hs_setting(const char *name);

/* Log a line with fields, formatted as printf does. HS_DEBUG and HS_INFO go to the
 * server's standard output, the others to its standard error, as `LEVEL message
 * name=value` or, with `--log-format json`, as a record. The server drops lines below
 * its `--log-level`.
 *
 *     hs_log(HS_INFO, HS_FIELDS(hs_text("user", user), hs_integer("bytes", size)),
 *            "logged in");
 *     hs_log(HS_DEBUG, HS_NO_FIELDS, "state %d", state);
 *
 * The first 32 fields count; message and fields are cut at `--max-line` (256 KiB). */
typedef enum { HS_DEBUG, HS_INFO, HS_WARN, HS_ERROR } hs_level;
typedef struct {
    const char *name;
    enum { HS_TEXT, HS_INTEGER, HS_NUMBER, HS_BOOLEAN } kind;
    union {
        const char *text;
        int64_t integer;
        double number;
        bool boolean;
    };
} hs_field;
static inline hs_field hs_text(const char *name, const char *text) {
    return (hs_field){.name = name, .kind = HS_TEXT, .text = text};
}
static inline hs_field hs_integer(const char *name, int64_t integer) {
    return (hs_field){.name = name, .kind = HS_INTEGER, .integer = integer};
}
static inline hs_field hs_number(const char *name, double number) {
    return (hs_field){.name = name, .kind = HS_NUMBER, .number = number};
}
static inline hs_field hs_boolean(const char *name, bool boolean) {
    return (hs_field){.name = name, .kind = HS_BOOLEAN, .boolean = boolean};
}
#define HS_NO_FIELDS NULL, 0
#define HS_FIELDS(...)                                                                             \
    (const hs_field[]){__VA_ARGS__}, sizeof((const hs_field[]){__VA_ARGS__}) / sizeof(hs_field)
void hs_log(hs_level level, const hs_field *fields, size_t count, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* ---- What connections say to each other. One publishes bytes under a topic; those get
 * them that have subscribed to it. All of it takes effect when the event has succeeded,
 * and belongs to the connection: a swap changes nothing about it.
 *
 *     hs_subscribe("rooms.lobby", HS_DIRECT, HS_DROP_OLDEST);
 *     hs_publish("rooms.lobby", "hello\n", 6);
 *     hs_set_will("rooms.lobby", "bob has left\n", 13);
 */

/* How a message reaches a subscriber. */
typedef enum {
    HS_EVENT, /* `on_message` is called, which the guest must define */
    HS_DIRECT /* the host writes the bytes to the peer, and calls nobody */
} hs_delivery;

/* What happens when there is no room for another message. */
typedef enum {
    HS_CLOSE,      /* the connection is closed */
    HS_DROP_OLDEST /* the oldest are dropped, and `on_lagged` is called; with HS_DIRECT
                    * the new one is dropped */
} hs_when_full;

/* What became of a request. */
typedef enum {
    HS_DONE,
    HS_NOT_A_TOPIC,  /* it is no topic, or no pattern: tokens of UTF-8 joined by dots */
    HS_TOO_LARGE,    /* a message has more than 64 KiB */
    HS_TOO_MUCH,     /* this event has published 1 MiB already, or asked 4,096 times */
    HS_NO_SUBSCRIBER /* HS_EVENT, and the guest does not define `on_message` */
} hs_asked;
/* The same in words. */
const char *hs_why(hs_asked asked);

/* Get what is published under all topics that match a pattern: a topic, in which `*` may
 * stand for one token and `>`, at the end, for one or more. Subscribing again to the same
 * pattern changes how. */
hs_asked hs_subscribe(const char *pattern, hs_delivery delivery, hs_when_full when_full);
/* Messages that wait still come. */
void hs_unsubscribe(const char *pattern);
/* Send bytes to all other connections that have subscribed. */
hs_asked hs_publish(const char *topic, const void *data, size_t size);
/* How many connections have subscribed to a topic now, this one included. */
uint64_t hs_subscribers(const char *topic);
/* What the host publishes when this connection is over, however it ends; not when it
 * migrates. The last one counts. */
hs_asked hs_set_will(const char *topic, const void *data, size_t size);
void hs_clear_will(void);

/* ---- Values by keys, which outlive the connections that set them. All connections of a
 * server share them; with `hotsocket serve --store FILE` they outlive the server, too. Each
 * call takes effect at once, whatever becomes of the event. Names and keys are UTF-8: with
 * others a call fails.
 *
 *     int64_t count;
 *     hs_bucket visits = hs_store_open("visits");
 *     if (hs_store_increment(visits, "count", 1, &count) == HS_STORE_FAILED)
 *         hs_error("%s", hs_store_error());
 */

/* A name space for keys, as long as the instance lives: a snapshot has none. */
typedef int32_t hs_bucket;
/* It exists as soon as it is named, and has the same number when it is opened again. An
 * instance may have 1,000 open: a name for each peer is none for a bucket. 0: it failed. */
hs_bucket hs_store_open(const char *name);

typedef enum {
    HS_STORE_YES,   /* done, or there is a value */
    HS_STORE_NO,    /* nothing was done, or there is no value */
    HS_STORE_FAILED /* `hs_store_error` says why, until the next failure */
} hs_stored;
const char *hs_store_error(void);

typedef struct {
    const uint8_t *data;
    size_t size;
} hs_value;
/* The value lasts until the next one comes. */
hs_stored hs_store_get(hs_bucket bucket, const char *key, hs_value *value);

/* When a value is set, and for how many milliseconds. */
typedef enum { HS_ALWAYS, HS_IF_ABSENT, HS_IF_PRESENT } hs_condition;
#define HS_FOREVER UINT64_MAX
#define HS_UNCHANGED (UINT64_MAX - 1)
hs_stored hs_store_set(hs_bucket bucket, const char *key, const void *data, size_t size);
hs_stored hs_store_set_with(hs_bucket bucket, const char *key, const void *data, size_t size,
                            hs_condition condition, uint64_t ttl_ms);
/* HS_STORE_NO: it had no value. */
hs_stored hs_store_delete(hs_bucket bucket, const char *key);
/* Add to a number in decimal digits, and get the sum. */
hs_stored hs_store_increment(hs_bucket bucket, const char *key, int64_t delta, int64_t *sum);
/* Set what `change` makes of the value (NULL: there is none), and again with the new value
 * if another connection has changed it meanwhile. `change` returns false to leave it. */
typedef bool hs_change(const hs_value *before, hs_value *after, void *context);
hs_stored hs_store_cas(hs_bucket bucket, const char *key, hs_change *change, void *context);
/* What is left of a key's life. */
hs_stored hs_store_ttl(hs_bucket bucket, const char *key, uint64_t *ttl_ms);
hs_stored hs_store_expire(hs_bucket bucket, const char *key, uint64_t ttl_ms);
/* Call `each` with the keys that begin with this, in no order. */
typedef void hs_each_key(const char *key, void *context);
hs_stored hs_store_keys(hs_bucket bucket, const char *prefix, hs_each_key *each, void *context);

/* ---- Who is at the other end of the connection, besides its address. What these point
 * to lasts until the same function is called again; text ends with a zero byte.
 *
 *     hs_proxy proxy;
 *     if (hs_peer_proxy(&proxy) && proxy.is_local) hs_end();
 */

/* The name of the listener that has accepted the connection; NULL if it has none. */
const char *hs_peer_listener(void);

/* The addresses of the socket itself: a proxy's, where there was a PROXY header. */
void hs_peer_socket(hs_address *local, hs_address *peer);

/* What a TLS handshake has agreed on. */
typedef struct {
    const char *version;      /* `TLSv1.2` or `TLSv1.3` */
    const char *cipher_suite; /* by its name in IANA's registry */
    const char *server_name;  /* that the client has asked for (SNI); NULL: none */
    const char *protocol;     /* that both have chosen (ALPN); NULL: none */
} hs_tls;
/* false: the connection is not encrypted here. */
bool hs_peer_tls(hs_tls *tls);
/* The client's certificates in DER, its own first. They have been verified. */
const hs_value *hs_peer_certificates(size_t *count);

/* The process that has connected to a Unix socket, as it was then. */
typedef struct {
    uint32_t uid, gid;
    uint32_t pid; /* 0: the server cannot see it */
} hs_credentials;
/* false: the connection is none of a Unix socket. */
bool hs_peer_credentials(hs_credentials *credentials);

/* What a proxy has said in a PROXY header, besides the addresses: those are `hs_peer`
 * and `hs_local`. */
typedef struct {
    uint8_t kind; /* such as 2: the host name that the client has asked for */
    hs_value value;
} hs_extension;
typedef struct {
    uint8_t version; /* of the protocol, 1 or 2 */
    bool is_local;   /* it has connected on its own behalf */
    const hs_extension *extensions;
    size_t count; /* of the extensions */
} hs_proxy;
/* false: there was no header. */
bool hs_peer_proxy(hs_proxy *proxy);

/* ---- TLS that begins in the middle of a connection (STARTTLS), with the certificates of
 * the listener (`--tls-mode starttls`). `wit/tls` has the rules; `hs_peer_tls` tells what
 * has been agreed on.
 *
 *     if (size == 10 && memcmp(data, "STARTTLS\r\n", 10) == 0) {
 *         if (hs_start_tls("go ahead\r\n", 10) != HS_TLS_BEGINS) hs_write("not now\r\n", 9);
 *     }
 */
typedef enum {
    HS_TLS_BEGINS,
    HS_TLS_UNAVAILABLE, /* the listener has none, or only from the first byte on */
    HS_TLS_ALREADY,     /* the connection is under TLS */
    HS_TLS_PENDING,     /* it has been asked for, and the handshake has not begun */
    HS_TLS_CLOSED       /* this side has been closed */
} hs_tls_start;
/* Whether it would begin now: whether to offer the command to the peer. */
bool hs_can_start_tls(void);
/* Write the last bytes in plain text, which let the peer begin its handshake, and begin
 * TLS when the event has succeeded. What is written afterwards is sent under it, and the
 * next `on_data` has come under it. Refuse the command if anything lies behind it in what
 * has come: that came in plain text, perhaps from somebody on the way (CVE-2011-0411). */
hs_tls_start hs_start_tls(const void *last, size_t size);

/* A line for the server's standard output, or standard error; formatted as
 * printf does. The newline is added. */
void hs_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void hs_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same for bytes that may hold anything, zero bytes too. */
void hs_print_bytes(const void *text, size_t size);

/* Give up: the server logs why, and this connection ends; no other does. A
 * failed `assert` and `abort` do the same. */
_Noreturn void hs_panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- What a guest may define: its events. They come one at a time and must
 * not wait. First `on_open` or `on_resume`; then `on_data`, `on_drained` and
 * `on_timer` in any number; `on_end` at most once and no `on_data` after it;
 * `on_close` at most once and last. */

/* The server is listening (at least one address). Called once when it starts,
 * in an instance that serves no connection. */
void on_listening(const hs_address *listeners, size_t count);

/* A connection has just been accepted. NULL: serve it; else why it is refused. */
const char *on_open(void);

/* The peer has sent these bytes (1 byte to 64 KiB). TCP has no messages: what
 * was sent at once may come in pieces, and pieces may come together. */
void on_data(const uint8_t *data, size_t size);

/* After `hs_write` had said false: the peer has taken enough, write on. */
void on_drained(void);

/* The peer has sent FIN: no more `on_data`. */
void on_end(void);

/* A timer has run out. */
void on_timer(uint32_t id);

/* A message under a topic that this connection has subscribed to with HS_EVENT. `sender`
 * is the id of the connection that has published it; 0 if it came from elsewhere. What is
 * pointed to lasts until the event is over. */
void on_message(const char *topic, uint64_t sender, const uint8_t *data, size_t size);

/* So many messages were dropped before the next one (HS_DROP_OLDEST). */
void on_lagged(uint64_t missed);

typedef enum {
    HS_ENDED,
    HS_ABORTED_BY_PEER,
    HS_ABORTED_BY_GUEST,
    HS_IDLE_TIMEOUT, /* a farewell may still be written */
    HS_WRITE_TIMEOUT,
    HS_SHUTDOWN, /* a farewell may still be written */
    HS_SWAPPED,  /* a farewell may still be written */
    HS_OTHER
} hs_reason;

/* The connection is over. */
void on_close(hs_reason reason);

/* The state of a connection, with the version of its layout, from 1 up. */
typedef struct {
    uint32_t version;
    const void *data;
    size_t size;
} hs_snapshot;

/* The state that new code needs. It must only read: it may be called between
 * any two events, more than once. What `data` points to must last until it is
 * called again. By default there is none: version 0. */
hs_snapshot on_save(void);

/* Take over the state of a predecessor, which may have been older or, after a
 * rollback, newer code. NULL: done; else why not, and the connection stays with
 * the code that served it. By default it is ignored. The data is gone afterwards. */
const char *on_restore(hs_snapshot snapshot);

typedef enum { HS_MIGRATED, HS_WOKEN, HS_RESTARTED } hs_how;

/* This instance takes over a connection that another one served. `snapshot` is
 * NULL when the predecessor saved none, or could not. With `peer_ended` neither
 * `on_data` nor `on_end` will come. The default calls `on_restore`. */
const char *on_resume(hs_how how, const hs_snapshot *snapshot, bool peer_ended);

#ifdef __cplusplus
}
#endif

#endif
