//! What is done with bytes that a guest's author, the compiler's process or the
//! disk may have chosen, as functions of bytes that panic when it is wrong.
//!
//! The targets in `fuzz/` call them with what libFuzzer makes up, and the tests
//! below with the seeds of those targets, changed at random.

use std::fs::File;
use std::io::Write;
use std::time::Duration;

use crate::checked_file::{self, CheckedFile, TRAILER};
use crate::compiler::{CompileLimits, Compiler, Process, Strategy, validate};
use crate::component::{self, LoadError};
use crate::declared_imports::Imports;
use crate::function_cache;

/// Name of the file with compiled code.
const NAME: &str = "name";
/// The compiler's process may have written so much.
const MAX_CODE: u64 = 1 << 20;

/// The checks of a component before it is compiled. Returns whether it passes.
pub fn component(bytes: &[u8]) -> bool {
    let checked = validate(bytes);
    if let Err(error) = &checked {
        is_told(error);
    }
    assert!(
        checked.is_err() || component::sniff(bytes).is_ok(),
        "a guest that does not begin like one"
    );
    // Decides which engine a guest gets, also where it was not validated here.
    Imports::of(bytes);
    checked.is_ok()
}

/// Bytes as a file of compiled code, as the answer of the compiler's process, and
/// as the functions of a large component that were kept.
pub fn compiled_code(bytes: &[u8]) {
    // Damage is found, wherever it is.
    assert!(!holds(bytes) || bytes.len() >= TRAILER, "no checksum");
    let trailer = checked_file::trailer(NAME, bytes);
    let mut whole = [bytes, &trailer].concat();
    assert!(holds(&whole), "what was written is not read");
    let at = bytes.iter().fold(whole.len(), |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(usize::from(*byte))
    });
    let length = whole.len();
    if let Some(byte) = whole.get_mut(at % length) {
        *byte ^= 1 << (at % 8);
    }
    assert!(!holds(&whole), "a flipped bit is not found");

    if let Err(error) = answer(bytes) {
        is_told(&error);
    }
    function_cache::read_again(bytes);
}

/// Whether a file of these bytes is used. Then its content must be theirs.
fn holds(bytes: &[u8]) -> bool {
    let Ok(file) = CheckedFile::check(memory_file(bytes), NAME, MAX_CODE) else {
        return false;
    };
    let content = file.content().unwrap_or_default();
    assert!(
        bytes.strip_prefix(&*content).map(<[u8]>::len) == Some(TRAILER),
        "other content than was written"
    );
    true
}

/// What the server makes of this answer of the process that compiles.
fn answer(bytes: &[u8]) -> Result<CheckedFile, LoadError> {
    let process = Process {
        compiler: &Compiler::Inside,
        limits: CompileLimits {
            memory: MAX_CODE,
            time: Duration::from_secs(1),
        },
        strategy: Strategy::Pooled,
        max_stack: 1,
        name: NAME,
        functions: None,
    };
    process.answer(memory_file(bytes))
}

#[expect(clippy::expect_used, reason = "not in a server")]
fn memory_file(bytes: &[u8]) -> File {
    let mut file = crate::compiler::memory_file().expect("a file in memory");
    file.write_all(bytes).expect("memory");
    file
}

/// An error ends up in a line of the log and in an answer.
fn is_told(error: &LoadError) {
    let told = error.to_string();
    assert!(!told.contains('\n'), "not in one line: {told}");
    assert!(told.len() < 8192, "{} bytes: {told:.100}", told.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::replay;

    macro_rules! seeds {
        ($target:literal) => {
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/", $target)
        };
    }

    #[test]
    fn changed_components_are_checked() {
        let mut passed = 0;
        replay(seeds!("component"), 3000, |bytes| {
            passed += usize::from(component(bytes));
        });
        assert!(passed > 0, "no seed is a guest");
    }

    #[test]
    fn changed_code_is_not_used() {
        replay(seeds!("compiled_code"), 3000, compiled_code);
    }
}
