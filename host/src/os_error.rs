//! Errors of the operating system, without their numbers.

use std::io;

/// `No such file or directory`, not `No such file or directory (os error 2)`.
pub fn message(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((message, _)) => message.to_owned(),
        None => text,
    }
}
