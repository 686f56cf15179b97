//! Work on a thread of its own: for what takes long or blocks on a disk, and so
//! must run neither on a serving thread nor in tokio's blocking pool, which
//! panics where the system refuses another thread.

use std::io;
use std::ptr::null_mut;
use std::thread::Builder;

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use tokio::sync::oneshot;

/// Address space that must be free beyond a thread's stack. Glibc gives a new thread the
/// stack of one that has ended, and then the standard library maps another for signals,
/// and aborts the process if it can't (`stack_overflow::imp::get_stack`). The rest is for
/// what the work allocates, which aborts as well.
const ROOM: usize = 8 << 20;
/// Of Rust's threads.
const DEFAULT_STACK: usize = 2 << 20;

/// Run `work` on a new thread of this name and wait for its result. Without
/// `stack_size` (in bytes) the thread has Rust's default stack.
///
/// The work can't be cancelled: if the returned future is dropped, the thread
/// still runs it to its end.
///
/// # Errors
/// When the system refuses the thread or address space for it, or the work panics.
pub async fn run_on_thread<R: Send + 'static>(
    name: &str,
    stack_size: Option<usize>,
    work: impl FnOnce() -> R + Send + 'static,
) -> io::Result<R> {
    check_room(stack_size.unwrap_or(DEFAULT_STACK).saturating_add(ROOM))?;
    let mut thread = Builder::new().name(name.to_owned());
    if let Some(bytes) = stack_size {
        thread = thread.stack_size(bytes);
    }
    let (send, result) = oneshot::channel();
    thread.spawn(move || {
        // The receiver is gone when the server shuts down.
        let _ = send.send(work());
    })?;
    result
        .await
        .map_err(|_| io::Error::other("its thread panicked"))
}

/// Map so many bytes, and unmap them.
fn check_room(bytes: usize) -> io::Result<()> {
    // SAFETY: a new mapping at an address of the kernel's choice, which nothing can
    // access, is unmapped whole before anybody else knows of it.
    unsafe {
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
        let start = mmap_anonymous(null_mut(), bytes, ProtFlags::empty(), flags)?;
        munmap(start, bytes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block_on<R>(future: impl Future<Output = R>) -> R {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(future)
    }

    #[test]
    fn runs_on_a_thread_of_that_name() {
        let name = run_on_thread("worker", Some(1 << 20), || {
            std::thread::current().name().map(str::to_owned)
        });
        assert_eq!(block_on(name).expect("a result").as_deref(), Some("worker"));
    }

    #[test]
    fn a_panic_or_a_refused_thread_is_an_error() {
        let panics = run_on_thread::<()>("worker", None, || panic!("on purpose"));
        assert!(block_on(panics).is_err());
        // More address space than a process has.
        let refused = run_on_thread("worker", Some(1 << 60), || ());
        assert!(block_on(refused).is_err());
    }
}
