/* `hotsocket:tls` for guests that include hotsocket.h. A guest that calls nothing of it
 * does not import it. */

#include "hotsocket.h"

#include "bindings/tls.h"

bool hs_can_start_tls(void) {
    return hotsocket_tls_upgrade_can_start_tls();
}

hs_tls_start hs_start_tls(const void *last, size_t size) {
    hotsocket_tls_upgrade_start_tls_error_t error;
    if (size > 0 && hotsocket_tls_upgrade_can_start_tls()) hs_write(last, size);
    if (hotsocket_tls_upgrade_start_tls(&error)) return HS_TLS_BEGINS;
    switch (error) {
    case HOTSOCKET_TLS_UPGRADE_START_TLS_ERROR_UNAVAILABLE: return HS_TLS_UNAVAILABLE;
    case HOTSOCKET_TLS_UPGRADE_START_TLS_ERROR_ALREADY_SECURE: return HS_TLS_ALREADY;
    case HOTSOCKET_TLS_UPGRADE_START_TLS_ERROR_PENDING: return HS_TLS_PENDING;
    default: return HS_TLS_CLOSED;
    }
}
