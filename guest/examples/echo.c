/* Teaches: the least a guest can be. It sends back what it gets.
 *
 * Try it: `hotsocket build echo.c && hotsocket serve echo.wasm`, then
 * `nc 127.0.0.1 3000` in another terminal, and type. */

#include <hotsocket.h>

void on_data(const uint8_t *data, size_t size) {
    /* The result needs no look: while the peer takes no answers, the server
     * reads nothing more from it. */
    hs_write(data, size);
}
