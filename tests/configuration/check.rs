//! `hotsocket check`: guests are compiled, and nothing is served.

use std::fs;

use crate::harness::{hotsocket, prebuilt, run, temp_dir};

#[test]
fn a_good_file_is_one_line_and_a_bad_guest_is_named() {
    let dir = temp_dir();
    let at = |name: &str| dir.path().join(name);
    let text = "[[service]]\nguest = \"echo.wasm\"\nport = [3000, 3001]\n\
                [[service]]\nname = \"x\"\nguest = \"x.wasm\"\nport = 3002\n";
    fs::write(at("hotsocket.toml"), text).expect("writable");
    fs::write(at("echo.wasm"), prebuilt("echo")).expect("writable");
    let check = || run(hotsocket().current_dir(dir.path()).arg("check"));
    let missing = check();
    assert_eq!(missing.code, 1, "{}", missing.stderr);
    assert!(
        missing
            .stderr
            .starts_with("hotsocket.toml: service x: cannot read ")
    );
    assert_eq!(missing.stderr.lines().count(), 1, "{}", missing.stderr);

    fs::write(at("x.wasm"), "\0asm\x0d\0\x01\0 no component").expect("writable");
    let broken = check();
    assert_eq!(broken.code, 1, "{}", broken.stderr);
    assert!(broken.stderr.contains("service x: "), "{}", broken.stderr);

    fs::write(at("x.wasm"), prebuilt("counter")).expect("writable");
    let good = check().success();
    assert_eq!(good, "hotsocket.toml: valid; 2 services, 3 listeners\n");
}
