/* `hotsocket:peer` for guests that include hotsocket.h. A guest that calls nothing of it
 * does not import it. */

#include "hotsocket.h"

#include <stdlib.h>
#include <string.h>

#include "bindings/peer.h"

/* A copy that ends with a zero byte. The bindings' own is freed, if there is one. */
static char *text(uint8_t *bytes, size_t size) {
    char *copy = malloc(size + 1);
    if (copy == NULL) hs_panic("no memory for what is known of the peer");
    if (size > 0) memcpy(copy, bytes, size);
    copy[size] = 0;
    if (size > 0) free(bytes);
    return copy;
}

/* In place of what was said before. */
static const char *keep(char **kept, char *said) {
    free(*kept);
    return *kept = said;
}

const char *hs_peer_listener(void) {
    static char *kept;
    peer_string_t name;
    if (!hotsocket_peer_peer_listener(&name)) return NULL;
    return keep(&kept, text(name.ptr, name.len));
}

void hs_peer_socket(hs_address *local, hs_address *peer) {
    static char *ips[2];
    hotsocket_peer_peer_socket_addresses_t ends;
    hotsocket_peer_peer_socket(&ends);
    *local = (hs_address){keep(&ips[0], text(ends.local.ip.ptr, ends.local.ip.len)), ends.local.port};
    *peer = (hs_address){keep(&ips[1], text(ends.peer.ip.ptr, ends.peer.ip.len)), ends.peer.port};
}

bool hs_peer_tls(hs_tls *tls) {
    static char *kept[4];
    hotsocket_peer_peer_tls_session_t session;
    if (!hotsocket_peer_peer_tls(&session)) return false;
    tls->version = keep(&kept[0], text(session.version.ptr, session.version.len));
    tls->cipher_suite = keep(&kept[1], text(session.cipher_suite.ptr, session.cipher_suite.len));
    tls->server_name = NULL;
    if (session.server_name.is_some) {
        peer_string_t name = session.server_name.val;
        tls->server_name = keep(&kept[2], text(name.ptr, name.len));
    }
    tls->protocol = NULL;
    if (session.protocol.is_some) {
        peer_list_u8_t protocol = session.protocol.val;
        tls->protocol = keep(&kept[3], text(protocol.ptr, protocol.len));
    }
    return true;
}

const hs_value *hs_peer_certificates(size_t *count) {
    static peer_list_list_u8_t kept;
    static hs_value *values;
    peer_list_list_u8_free(&kept);
    hotsocket_peer_peer_certificates(&kept);
    values = realloc(values, (kept.len + 1) * sizeof *values);
    if (values == NULL) hs_panic("no memory for the peer's certificates");
    for (size_t n = 0; n < kept.len; n++) {
        values[n] = (hs_value){kept.ptr[n].ptr, kept.ptr[n].len};
    }
    *count = kept.len;
    return values;
}

bool hs_peer_credentials(hs_credentials *credentials) {
    hotsocket_peer_peer_unix_credentials_t process;
    if (!hotsocket_peer_peer_credentials(&process)) return false;
    uint32_t pid = process.pid.is_some ? process.pid.val : 0;
    *credentials = (hs_credentials){process.uid, process.gid, pid};
    return true;
}

bool hs_peer_proxy(hs_proxy *proxy) {
    static hotsocket_peer_peer_proxy_header_t kept;
    static hs_extension *extensions;
    hotsocket_peer_peer_proxy_header_free(&kept);
    kept = (hotsocket_peer_peer_proxy_header_t){0};
    if (!hotsocket_peer_peer_proxy(&kept)) return false;
    size_t count = kept.extensions.len;
    extensions = realloc(extensions, (count + 1) * sizeof *extensions);
    if (extensions == NULL) hs_panic("no memory for what a proxy has said");
    for (size_t n = 0; n < count; n++) {
        hotsocket_peer_peer_extension_t *extension = &kept.extensions.ptr[n];
        extensions[n].kind = extension->kind;
        extensions[n].value = (hs_value){extension->value.ptr, extension->value.len};
    }
    *proxy = (hs_proxy){kept.version, kept.is_local, extensions, count};
    return true;
}
