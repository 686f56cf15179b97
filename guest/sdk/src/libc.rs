//! Three functions of the C library, so that a guest imports no WASI.
//!
//! `std`'s panic machinery can, as far as a linker knows, look for
//! `RUST_BACKTRACE`, ask for the current directory and write to standard error,
//! whatever hook is set. With the C library's own functions every guest would
//! import WASI's environment and streams for that, and link a second allocator.
//! A definition in the program comes before one in a library, so these take
//! their place. Whoever wants the real ones enables the feature `wasi`.

use core::ffi::{c_char, c_int, c_void};
use std::cell::RefCell;

use crate::sys;

/// No variable is set.
// SAFETY: the C library's name with the C library's signature.
#[unsafe(no_mangle)]
extern "C" fn getenv(_name: *const c_char) -> *const c_char {
    std::ptr::null()
}

/// Standard output and standard error are those of the contract, line by line;
/// nothing else can be written to.
// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn write(fd: c_int, buf: *const c_void, len: usize) -> isize {
    thread_local! {
        static OUT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
        static ERR: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    let (line, send): (_, fn(&str)) = match fd {
        1 => (&OUT, sys::print),
        2 => (&ERR, sys::error),
        _ => return -1,
    };
    // SAFETY: the caller of `write` vouches for the bytes.
    let bytes = unsafe { std::slice::from_raw_parts(buf.cast::<u8>(), len) };
    line.with_borrow_mut(|line| {
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            line.extend_from_slice(piece);
            if line.pop_if(|last| *last == b'\n').is_some() {
                send(&String::from_utf8_lossy(line));
                line.clear();
            }
        }
    });
    len.cast_signed()
}

/// There is no current directory.
// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn getcwd(_buf: *mut c_char, _len: usize) -> *mut c_char {
    std::ptr::null_mut()
}
