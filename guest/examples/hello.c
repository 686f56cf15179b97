/* Teaches: the events of a connection, and printing. It greets whoever sends
 * something, and logs what was sent: the classic first server of a Node
 * tutorial, with the same lines.
 *
 * Try it: `hotsocket build hello.c && hotsocket serve hello.wasm`, then
 * `nc 127.0.0.1 3000` in another terminal, and type. */

#include <hotsocket.h>
#include <stdio.h>
#include <string.h>

void on_listening(const hs_address *listeners, size_t count) {
    if (count > 0) hs_print("Server listening on port %u", listeners[0].port);
}

const char *on_open(void) {
    hs_print("Client connected");
    return NULL;
}

/* Bytes as Node shows a buffer: the first 50, then how many more there are. */
static const char *hex(const uint8_t *data, size_t size) {
    static char out[256];
    char *at = out + sprintf(out, "<Buffer");
    for (size_t i = 0; i < size && i < 50; i++) at += sprintf(at, " %02x", data[i]);
    if (size > 50) at += sprintf(at, " ... %zu more byte%s", size - 50, size > 51 ? "s" : "");
    strcpy(at, ">");
    return out;
}

void on_data(const uint8_t *data, size_t size) {
    static const char words[] = "Received data: ";
    static char received[sizeof words + 64 * 1024];
    memcpy(received, words, sizeof words - 1);
    memcpy(received + sizeof words - 1, data, size);
    hs_print_bytes(received, sizeof words - 1 + size);
    hs_print("The following is how the request looks like in the hex format: \n %s", hex(data, size));
    static const char greeting[] = "Hello World from the server!";
    hs_write(greeting, sizeof greeting - 1);
}

void on_end(void) { hs_print("Client disconnected"); }
