//! `hotsocket build FILE.c`, and what guests in C do.

use super::*;
use crate::harness::{build, hotsocket, kept, lacks_tools, run, serve, temp_dir};

#[test]
fn c_examples_do_what_those_in_rust_do() {
    does_what_rust_does("c");
}

const MISHAPS: &str = r#"
#include <assert.h>
#include <hotsocket.h>
#include <stdlib.h>
#include <string.h>

static int number;

static int deeper(const volatile char *from) {
    volatile char here[1024];
    here[0] = from[0];
    return deeper(here) + here[0];
}

void on_data(const uint8_t *data, size_t size) {
    if (memcmp(data, "assert", size) == 0) assert(number > 100);
    if (memcmp(data, "abort", size) == 0) abort();
    if (memcmp(data, "panic", size) == 0) hs_panic("gave up at %d", number);
    if (memcmp(data, "deep", size) == 0) number = deeper((const char *)data);
    number += 1;
    hs_write(data, size);
}
"#;

#[test]
fn a_failure_in_c_costs_one_connection_and_is_logged() {
    let source = kept("mishaps.c");
    fs::write(&source, MISHAPS).expect("written");
    let Some(component) = built(&source) else {
        return;
    };
    assert!(
        !String::from_utf8_lossy(&component).contains("wasi:"),
        "it needs no WASI"
    );
    let server = serve(component).start();
    let mut quiet = server.connect();
    quiet.ask("xy", "xy");
    for (question, told) in [
        (
            "assert",
            "guest panicked in `data`: assertion failed at mishaps.c:16 in on_data: number > 100",
        ),
        ("abort", "guest panicked in `data`: aborted"),
        ("panic", "guest panicked in `data`: gave up at 0"),
        // The stack lies first in memory, so its end is that of the memory.
        ("deep", "out of bounds memory access"),
    ] {
        let mut client = server.connect();
        client.send(question);
        client.expect_over();
        server.stderr.wait(told);
    }
    quiet.ask("c", "c");
}

#[test]
fn mistakes_in_c_show_the_compilers_messages() {
    let source = kept("mistake.c");
    fs::write(&source, "#include <hotsocket.h>\nvoid on_data(int x) {}\n").expect("written");
    let ran = build(&source, &kept("mistake.c.wasm"));
    if lacks_tools(&ran) {
        return;
    }
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stderr.contains("mistake.c:2:6: error: "),
        "{}",
        ran.stderr
    );
    let last = ran.last_line();
    assert!(last.ends_with("does not compile: see the messages above"));
}

#[test]
fn without_clang_the_packages_to_install_are_named() {
    let dir = temp_dir();
    let source = dir.path().join("guest.c");
    fs::write(&source, "").expect("written");
    let mut command = hotsocket();
    command.arg("build").arg(&source).env("PATH", dir.path());
    let told = run(&mut command).failure(1);
    assert!(told.contains("`apt-get install clang-22 "), "{told}");
}
