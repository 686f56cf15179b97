/* Teaches: who the peer is, besides its address. It says so when a connection is opened:
 * what a proxy in front has said, what TLS has agreed on, which process it is, and which
 * listener it has come to.
 *
 * Try it: `hotsocket serve whoami.c --listen unix:whoami.sock`, then `nc -U whoami.sock` in
 * another terminal.
 */
#include <hotsocket.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void say(const char *format, ...) {
    char line[512];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    hs_write(line, size < (int)sizeof line ? (size_t)size : sizeof line - 1);
}

/* As it is written with its port. */
static const char *at(hs_address address, char *text, size_t size) {
    const char *format = strchr(address.ip, ':') ? "[%s]:%u" : "%s:%u";
    snprintf(text, size, format, address.ip, (unsigned)address.port);
    return text;
}

static void describe(const hs_proxy *proxy) {
    char text[2][80];
    hs_address local, via;
    hs_peer_socket(&local, &via);
    say("via %s to %s, PROXY v%u\n", at(via, text[0], sizeof text[0]),
        at(local, text[1], sizeof text[1]), (unsigned)proxy->version);
    if (proxy->is_local) say("the proxy itself\n");
    for (size_t n = 0; n < proxy->count; n++) {
        const hs_extension *extension = &proxy->extensions[n];
        if (extension->kind == 0x20) {
            say("extension 0x20: %zu bytes about TLS\n", extension->value.size);
        } else {
            say("extension 0x%02x: \"%.*s\"\n", (unsigned)extension->kind,
                (int)extension->value.size, (const char *)extension->value.data);
        }
    }
}

const char *on_open(void) {
    char text[80];
    hs_credentials process;
    hs_proxy proxy;
    hs_tls tls;
    if (hs_peer().port == 0) say("you are a process of this machine\n");
    else say("you are %s\n", at(hs_peer(), text, sizeof text));
    const char *name = hs_peer_listener();
    if (name) say("listener %s\n", name);
    if (hs_peer_credentials(&process)) {
        say("uid %u gid %u pid %u\n", (unsigned)process.uid, (unsigned)process.gid,
            (unsigned)process.pid);
    }
    if (hs_peer_proxy(&proxy)) describe(&proxy);
    if (hs_peer_tls(&tls)) {
        say("%s for \"%s\", protocol \"%s\"\n", tls.version, tls.server_name ? tls.server_name : "",
            tls.protocol ? tls.protocol : "");
        size_t count;
        const hs_value *certificates = hs_peer_certificates(&count);
        for (size_t n = 0; n < count; n++) {
            say("certificate of %zu bytes\n", certificates[n].size);
        }
    }
    return NULL;
}

void on_data(const uint8_t *data, size_t size) {
    bool asked = size == 9 && memcmp(data, "starttls\n", size) == 0;
    /* TLS that begins now says more of the peer. */
    if (!asked || hs_start_tls("go ahead\n", 9) != HS_TLS_BEGINS) on_open();
}
