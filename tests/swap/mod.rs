//! Live hot swap: each guarantee and each fault by itself, as `docs/swap.md` lists
//! them. `soak` tries them all at once.

mod bad_new_code;
mod bad_old_code;
mod file_watch;
mod generations;
mod in_flight;
mod policies;
mod random_sequences;
mod state;
