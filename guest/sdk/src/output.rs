//! Lines for the person who runs the server, and the words of a panic. All of
//! it goes through the contract's `output`, so a guest needs no WASI.

use std::fmt;
use std::panic::PanicHookInfo;

use crate::sys;

/// Print a line to the server's standard output, as `std::println!` does.
///
/// One call is one piece: lines of other connections never come in between,
/// even if the text has newlines in it.
#[macro_export]
macro_rules! println {
    ($($arg:tt)*) => { $crate::__private::print(::core::format_args!($($arg)*)) };
}

/// Print a line to the server's standard error, as `std::eprintln!` does.
#[macro_export]
macro_rules! eprintln {
    ($($arg:tt)*) => { $crate::__private::error(::core::format_args!($($arg)*)) };
}

/// Formats without allocating where the line is a literal.
fn with_line(line: fmt::Arguments<'_>, send: impl FnOnce(&str)) {
    match line.as_str() {
        Some(literal) => send(literal),
        None => send(&line.to_string()),
    }
}

pub fn print(line: fmt::Arguments<'_>) {
    with_line(line, sys::print);
}

pub fn error(line: fmt::Arguments<'_>) {
    with_line(line, sys::error);
}

/// Make panics tell the host what happened and where, before they trap.
/// Without it the message would be lost: `std` writes it to WASI's stderr.
pub(crate) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|info| sys::panic(&describe(info))));
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("a value that is no text");
    match info.location() {
        Some(place) => format!("panicked at {place}: {message}"),
        None => format!("panicked: {message}"),
    }
}
