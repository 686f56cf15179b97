//! What is wrong with `--topics` is found before the first connection.

use std::fs;

use super::served;
use crate::harness::temp_dir;

#[test]
fn what_is_wrong_is_said_at_the_start() {
    let dir = temp_dir();
    let file = dir.path().join("creds");
    fs::write(&file, "two\nlines\n").expect("written");
    let file = file.display().to_string();
    for (args, code, words) in [
        (
            vec!["--topics", "http://u:secret@a"],
            2,
            "is no NATS server",
        ),
        (vec!["--topics", "nats://"], 2, "is no NATS server"),
        (vec!["--topics-prefix", "x"], 2, "--topics <URL>"),
        (
            vec!["--topics", "a", "--topics-prefix", "a.*"],
            1,
            "is no prefix",
        ),
        (
            vec!["--topics", "a", "--topics-credentials", "/nowhere/file"],
            1,
            "cannot read /nowhere/file",
        ),
        (
            vec!["--topics", "a", "--topics-credentials", &file],
            1,
            "nor one line",
        ),
        (
            vec!["--topics", "a", "--topics-ca", "/nowhere/ca"],
            1,
            "cannot read /nowhere/ca",
        ),
    ] {
        let ran = served(&args).fail();
        assert_eq!(ran.code, code, "{ran:?}");
        assert!(ran.stderr.contains(words), "{words:?} is not in {ran:?}");
    }
}
