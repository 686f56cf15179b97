//! What happens to a connection that works, from accept to close. Swaps are in
//! `swap`, limits in `limits`.

mod backpressure;
mod closing;
mod dead_peers;
mod environment;
mod hibernation;
mod many_clients;
mod restart_after_trap;
mod session_requests;
mod shutdown;
mod timers;
mod unix_sockets;
