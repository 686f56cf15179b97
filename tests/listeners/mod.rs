//! What a listener does with a connection before it has a session: PROXY headers, limits
//! of its own, and what guests learn of the peer. Addresses and Unix sockets as such are
//! in `connections::unix_sockets`, what systemd hands over in `cli::supervisor`.

mod header;
mod limits;
mod peer;
mod proxies;
mod split;
