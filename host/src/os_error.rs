//! Errors of the operating system, without their numbers.

use std::io;

/// `No such file or directory`, not `No such file or directory (os error 2)`.
pub fn told(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
