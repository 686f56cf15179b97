//! Three functions of the C library, so that a guest imports no WASI.
//!
//! `std`'s panic machinery can, as far as a linker knows, look for
//! `RUST_BACKTRACE`, ask for the current directory and write to standard error,
//! whatever hook is set. With the C library's own functions every guest would
//! import WASI's environment and streams for that, and link a second allocator.
//! A definition in the program comes before one in a library, so these take
//! their place. Whoever wants the real ones enables the feature `wasi`; a guest
//! that uses these for more than a panic needs says so, in a line on the
//! server's standard error.

use core::ffi::{CStr, c_char, c_int, c_void};
use std::cell::{Cell, RefCell};

use crate::sys;

unsafe extern "C" {
    /// A plain variable of the C library: a guest has one thread.
    static mut errno: c_int;
}

/// WASI's number of `ENOTSUP`, "Not supported".
/// <https://github.com/WebAssembly/wasi-libc/blob/main/libc-bottom-half/headers/public/wasi/wasip1.h>
const ENOTSUP: c_int = 58;

/// Say that something does not work without the feature: once in an instance,
/// for a guest may try again in each event.
fn needs_feature(what: &str) {
    thread_local! {
        static TOLD: Cell<bool> = const { Cell::new(false) };
    }
    if !TOLD.replace(true) {
        sys::error(&format!(
            "{what} needs the SDK's feature `wasi`: write `// hotsocket: features = [\"wasi\"]` \
             at the top of a single file, or add it to the dependency `hotsocket-guest` in \
             Cargo.toml"
        ));
    }
}

/// No variable is set.
// SAFETY: the C library's name with the C library's signature.
#[unsafe(no_mangle)]
extern "C" fn getenv(name: *const c_char) -> *const c_char {
    // SAFETY: the caller of `getenv` vouches for a string that ends in NUL.
    let name = unsafe { CStr::from_ptr(name) }.to_bytes();
    // `std` asks for `RUST_BACKTRACE` and the like by itself.
    if !name.starts_with(b"RUST_") {
        let name = String::from_utf8_lossy(name);
        needs_feature(&format!("reading the environment variable {name}"));
    }
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
        _ => {
            needs_feature("writing to a file or socket");
            // SAFETY: there is no other thread.
            unsafe { errno = ENOTSUP };
            return -1;
        }
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
