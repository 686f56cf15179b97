//! Tests that this machine cannot run. Such a test skips itself: it says what is
//! missing, returns, and counts as passed, because libtest knows no other way.
//! So that nobody takes it for a test that ran, the last lines of the run say how
//! many were skipped, and why:
//!
//! ```text
//! 41 skipped: no compiler for wasm32-wasip2
//! 12 skipped: no `node`
//! ```
//!
//! With `HOTSOCKET_SHOW_SKIPPED=1` each is named. With `CI=true` nothing may be
//! missing: a test that lacks something fails, unless it uses [`skip_even_in_ci`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::sync::{Mutex, Once, PoisonError};

/// What was missing, and the tests that were skipped for it.
static SKIPPED: Mutex<BTreeMap<String, BTreeSet<String>>> = Mutex::new(BTreeMap::new());

/// The test that calls this lacks something; it must return now.
#[track_caller]
pub fn skip(missing: &str) {
    assert!(!is_ci(), "CI must have it: {missing}");
    skip_even_in_ci(missing);
}

/// The same for what not even every machine of CI has.
pub fn skip_even_in_ci(missing: &str) {
    static SUMMARY: Once = Once::new();
    SUMMARY.call_once(|| {
        // SAFETY: `print_summary` may be called at any time, from any thread: it
        // uses a lock and standard error, neither of which is ever dropped. See
        // atexit(3).
        let registered = unsafe { libc::atexit(print_summary) };
        assert_eq!(registered, 0, "atexit");
    });
    // libtest runs each test on a thread with the test's name.
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    let mut skipped = SKIPPED.lock().unwrap_or_else(PoisonError::into_inner);
    skipped.entry(missing.to_owned()).or_default().insert(test);
}

/// Runs when the process exits, after libtest has printed its results.
extern "C" fn print_summary() {
    let skipped = SKIPPED.lock().unwrap_or_else(PoisonError::into_inner);
    let names = std::env::var_os("HOTSOCKET_SHOW_SKIPPED").is_some_and(|show| show == "1");
    let mut summary = String::new();
    let mut most_first: Vec<_> = skipped.iter().collect();
    most_first.sort_by_key(|(_, tests)| std::cmp::Reverse(tests.len()));
    for (missing, tests) in most_first {
        summary += &format!("{} skipped: {missing}\n", tests.len());
        for test in tests.iter().filter(|_| names) {
            summary += &format!("    {test}\n");
        }
    }
    if !names {
        summary += "HOTSOCKET_SHOW_SKIPPED=1 names them.\n";
    }
    let _ = writeln!(std::io::stderr(), "{summary}");
}

/// Whether this machine must have everything, and each test does all it can.
pub fn is_ci() -> bool {
    std::env::var_os("CI").is_some_and(|ci| ci == "true")
}

/// Whether a program is missing here, for which the test is then skipped.
#[track_caller]
pub fn lacks_program(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let lacks = !std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    if lacks {
        skip(&format!("no `{program}`"));
    }
    lacks
}
