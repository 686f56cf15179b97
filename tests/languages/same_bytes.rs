//! The same source gives the same bytes, so that a build that changes nothing is no swap.
//!
//! Not in Python: `componentize-py` hashes with a seed of its own each time.

use super::*;
use crate::harness::temp_dir;

#[test]
fn two_builds_of_a_source_are_the_same() {
    let dir = temp_dir();
    for name in ["echo.rs", "echo.c", "echo.js", "lines.js"] {
        let source = dir.path().join(name);
        fs::copy(example(name), &source).expect("copied");
        if Fetched::of(&source).is_some_and(Fetched::is_missing) {
            continue;
        }
        let mut outputs = Vec::new();
        for number in 0..2 {
            let output = dir.path().join(format!("{number}.wasm"));
            let ran = build(&source, &output);
            if lacks_tools(&ran) {
                break;
            }
            assert_eq!(ran.code, 0, "{ran:?}");
            outputs.push(fs::read(output).expect("it was built"));
        }
        assert!(outputs.windows(2).all(|pair| pair[0] == pair[1]), "{name}");
    }
}
