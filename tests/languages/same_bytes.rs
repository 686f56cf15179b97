//! The same source gives the same bytes, so that a build that changes nothing is no swap.

use super::*;
use crate::harness::temp_dir;

#[test]
fn two_builds_of_a_source_are_the_same_wherever_it_lies() {
    let root = temp_dir();
    for name in ["echo.rs", "echo.c", "echo.js", "lines.js", "echo.py"] {
        if Fetched::of(Path::new(name)).is_some_and(Fetched::is_missing) {
            continue;
        }
        let mut outputs = Vec::new();
        for dir in ["here", "and/there"] {
            let dir = root.path().join(dir);
            fs::create_dir_all(&dir).expect("made");
            let source = dir.join(name);
            fs::copy(example(name), &source).expect("copied");
            let output = dir.join("guest.wasm");
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
