//! What the kernel's scheduler thinks of this process' threads beside each other: the
//! thread that ticks comes first, compilations come after serving, and what has time
//! runs where nobody else wants to. `SCHED_FIFO` and `SCHED_IDLE` are those of sched(7),
//! which rustix does not have.
//!
//! None of it is needed for anything to work, so a refusal is passed over.

/// The nice value of compilations: on a busy processor they get less time than
/// serving threads.
const NICENESS: i32 = 5;

/// Let the calling thread interrupt all others of this process when it wakes, which it
/// must do seldom and for a few microseconds. Needs `CAP_SYS_NICE` or `RLIMIT_RTPRIO`.
///
/// On a processor that all of them share, a thread that has slept waits for the slices
/// of those that compute, unless it has this.
pub fn raise_priority() {
    set_policy(libc::SCHED_FIFO, 1);
}

/// Lower the priority of the calling thread to that of compilations.
pub fn lower_priority() {
    set_niceness(NICENESS);
}

/// Let the calling thread run only where no other wants to, or nearly so, and make
/// way at once for one that does. With the highest nice value alone it would first use
/// up its time slice of about 3 ms, and others would wait for it.
pub fn lower_priority_to_idle() {
    set_niceness(19);
    set_policy(libc::SCHED_IDLE, 0);
}

fn set_policy(policy: libc::c_int, priority: libc::c_int) {
    let parameters = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: the kernel reads the parameters of this call and keeps no pointer; 0 is
    // the calling thread.
    let _ = unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) };
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

    /// Of this thread: field 41 of proc_pid_stat(5), and whether it may ask for all.
    fn policy() -> (i32, bool) {
        let stat = read_to_string("/proc/thread-self/stat").unwrap();
        let after_name = stat.rsplit_once(") ").unwrap().1;
        let policy = after_name.split(' ').nth(41 - 3).unwrap();
        let status = read_to_string("/proc/thread-self/status").unwrap();
        let capabilities = status.split_once("CapEff:").unwrap().1;
        let capabilities = capabilities.split_whitespace().next().unwrap();
        let capabilities = u64::from_str_radix(capabilities, 16).unwrap();
        const CAP_SYS_NICE: u64 = 1 << 23;
        (policy.parse().unwrap(), capabilities & CAP_SYS_NICE != 0)
    }

    fn policy_after(change: fn()) -> (i32, bool) {
        let thread = thread::spawn(move || {
            change();
            policy()
        });
        thread.join().unwrap()
    }

    #[test]
    fn the_kernel_takes_each_priority_that_it_allows() {
        let (raised, is_allowed) = policy_after(raise_priority);
        if is_allowed {
            assert_eq!(raised, libc::SCHED_FIFO);
        }
        assert_eq!(policy_after(lower_priority).0, libc::SCHED_OTHER);
        assert_eq!(policy_after(lower_priority_to_idle).0, libc::SCHED_IDLE);
    }
}
