//! What the kernel's scheduler thinks of this process' threads beside each other: the
//! thread that ticks comes first, compilations come after serving, and what has time
//! runs where nobody else wants to. `SCHED_FIFO` and `SCHED_IDLE` are those of sched(7),
//! which rustix does not have.
//!
//! None of it is needed for anything to work, so a refusal is passed over; those that set
//! a policy return whether the kernel has taken it.

/// The nice value of compilations: on a busy processor they get less time than
/// serving threads.
const NICENESS: i32 = 5;

/// Let the calling thread interrupt all others of this process when it wakes, which it
/// must do seldom and for a few microseconds. Needs `CAP_SYS_NICE` or `RLIMIT_RTPRIO`.
///
/// On a processor that all of them share, a thread that has slept waits for the slices
/// of those that compute, unless it has this.
pub fn raise_priority() -> bool {
    // What it might start does not inherit it.
    set_policy(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, 1)
}

/// Lower the priority of the calling thread to that of compilations.
pub fn lower_priority() {
    set_niceness(NICENESS);
}

/// Let the calling thread run only where no other wants to, or nearly so, and make
/// way at once for one that does. With the highest nice value alone it would first use
/// up its time slice of about 3 ms, and others would wait for it.
pub fn lower_priority_to_idle() -> bool {
    set_niceness(19);
    set_policy(libc::SCHED_IDLE, 0)
}

/// Whether the kernel has taken it.
fn set_policy(policy: libc::c_int, priority: libc::c_int) -> bool {
    let parameters = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: the kernel reads the parameters of this call and keeps no pointer; 0 is
    // the calling thread.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) == 0 }
}

fn set_niceness(nice: i32) {
    let thread = rustix::thread::gettid();
    let _ = rustix::process::setpriority_process(Some(thread), nice);
}

#[cfg(test)]
mod tests {
    use std::fs::read_to_string;
    use std::thread;

    use super::*;

    /// Of this thread: field 41 of proc_pid_stat(5).
    fn policy() -> i32 {
        let stat = read_to_string("/proc/thread-self/stat").unwrap();
        let after_name = stat.rsplit_once(") ").unwrap().1;
        let policy = after_name.split(' ').nth(41 - 3).unwrap();
        policy.parse().unwrap()
    }

    /// What a thread has after that, or would have without.
    fn assert_policy(change: fn() -> bool, expected: i32) {
        let before = policy();
        let thread = thread::spawn(move || (change(), policy()));
        let (is_taken, after) = thread.join().unwrap();
        assert_eq!(after, if is_taken { expected } else { before });
    }

    #[test]
    fn the_kernel_takes_a_policy_or_leaves_what_was() {
        assert_policy(raise_priority, libc::SCHED_FIFO);
        assert_policy(lower_priority_to_idle, libc::SCHED_IDLE);
        // Nobody needs a right to be idle.
        assert!(thread::spawn(lower_priority_to_idle).join().unwrap());
    }
}
