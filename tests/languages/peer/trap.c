/* Says for which listener it has been called, and gives up when it is told to. */
#include <hotsocket.h>
#include <string.h>

void on_data(const uint8_t *data, size_t size) {
    if (data[0] == '!') hs_panic("told to");
    (void)size;
    const char *name = hs_peer_listener();
    hs_write(name, strlen(name));
}

hs_snapshot on_save(void) { return (hs_snapshot){.version = 1}; }
