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

/// Sends what it gets to the host in all ways. With `n` it uses it as a name, with `p` and
/// `q` it prints it with `printf`, `q` without a newline, and with `!` it gives up.
const TEXTS: &str = r#"
#include <hotsocket.h>
#include <stdio.h>
#include <string.h>

static const char *why(const char *name) {
    hs_bucket bucket = hs_store_open("texts");
    hs_value value;
    int64_t sum;
    hs_unsubscribe(name);
    bool refused = hs_subscribe(name, HS_DIRECT, HS_CLOSE) == HS_NOT_A_TOPIC &&
                   hs_publish(name, "", 0) == HS_NOT_A_TOPIC && hs_subscribers(name) == 0 &&
                   hs_set_will(name, "", 0) == HS_NOT_A_TOPIC && hs_setting(name) == NULL &&
                   hs_store_open(name) == 0 &&
                   hs_store_get(bucket, name, &value) == HS_STORE_FAILED &&
                   hs_store_increment(bucket, name, 1, &sum) == HS_STORE_FAILED &&
                   hs_store_set(bucket, name, "", 0) == HS_STORE_FAILED;
    return refused ? hs_store_error() : "taken";
}

const char *on_open(void) { return hs_id() == 2 ? "no \xff" : NULL; }

void on_data(const uint8_t *data, size_t size) {
    static char text[65537];
    const char *answer = "ok";
    memcpy(text, data, size);
    text[size] = 0;
    if (text[0] == 'n') {
        answer = why(text);
    } else if (text[0] == 'p') {
        printf("%.*s\n", (int)size, text);
    } else if (text[0] == 'q') {
        printf("%s", text);
    } else {
        hs_set_label(text);
        hs_print("print %s", text);
        hs_error("error %s", text);
        hs_log(HS_INFO, HS_FIELDS(hs_text("name", text), hs_integer(text, 1)), "log %s", text);
    }
    if (text[0] == '!') hs_panic("panic %s", text);
    hs_write(answer, strlen(answer));
}
"#;

#[test]
fn text_in_c_that_is_not_utf_8_is_sent_with_replacement_characters() {
    let source = kept("texts.c");
    fs::write(&source, TEXTS).expect("written");
    let Some(component) = built(&source) else {
        return;
    };
    let server = serve(component).start();
    let mut client = server.connect();
    client.ask(b"a\xffb", "ok");
    server.stdout.wait("print a\u{fffd}b");
    server.stderr.wait("error a\u{fffd}b");
    let logged = "INFO log a\u{fffd}b name=a\u{fffd}b a\u{fffd}b=1";
    server.stdout.wait(logged);
    // Longer than what is formatted without an allocation.
    let long = "z".repeat(1000);
    client.ask([long.as_bytes(), b"\xf0\x9f"].concat(), "ok");
    server.stdout.wait(&format!("print {long}\u{fffd}"));
    client.ask(b"p\xff%s", "ok");
    server.stdout.wait("p\u{fffd}%s");
    // Two names must not become one.
    client.ask(b"n\xff", "a name or key is not UTF-8");
    server.connect().expect_over();
    server.stderr.wait("refused the connection: no \u{fffd}");
    let mut other = server.connect();
    other.ask(b"\xff", "ok");
    other.send(b"!\xff");
    other.expect_over();
    server
        .stderr
        .wait("(\u{fffd}): guest panicked in `data`: panic !\u{fffd}");
    client.ask(b"q\xe2\x82", "ok");
    client.end();
    client.expect_rest("");
    server.stdout.wait("q\u{fffd}");
}

/// Says what is wrong, or `ok`.
const POINTERS: &str = r#"
#include <hotsocket.h>
#include <stdlib.h>
#include <string.h>

static hs_frames frames;

static const char *buckets(void) {
    hs_bucket first = hs_store_open("first"), second = hs_store_open("second");
    for (int i = 0; i < 2000; i++)
        if (hs_store_open("first") != first) return "another number";
    return first != second && hs_store_open("second") == second ? NULL : "one number for two";
}

static const char *values(void) {
    hs_bucket bucket = hs_store_open("first");
    hs_value found, missed;
    hs_store_set(bucket, "key", "a value of some length", 22);
    if (hs_store_get(bucket, "key", &found) != HS_STORE_YES) return "not found";
    if (hs_store_get(bucket, "none", &missed) != HS_STORE_NO || missed.size > 0) return "found";
    /* What is freed is what comes next. */
    char *next = strdup("!!!!!!!!!!!!!!!!!!!!!");
    bool same = memcmp(found.data, "a value of some length", 22) == 0;
    free(next);
    return same ? NULL : "the value has changed";
}

static const char *settings(void) {
    const char *level = hs_setting(hs_setting("which"));
    return level != NULL && strcmp(level, "deep") == 0 ? NULL : "no setting";
}

static const char *delimiters(void) {
    hs_frame frame;
    hs_push(&frames, "GET\0x", 5);
    if (hs_next_line(&frames, &frame) != HS_PART) return "a line";
    if (hs_next_until(&frames, 0, &frame) != HS_FRAME || frame.size != 3) return "no string";
    return hs_next_until(&frames, 0, &frame) == HS_PART ? NULL : "a string";
}

void on_data(const uint8_t *data, size_t size) {
    const char *(*all[])(void) = {buckets, values, settings, delimiters};
    const char *wrong = NULL;
    for (size_t i = 0; i < 4 && wrong == NULL; i++) wrong = all[i]();
    hs_write(wrong != NULL ? wrong : "ok", strlen(wrong != NULL ? wrong : "ok"));
}
"#;

#[test]
fn what_c_is_given_lasts_as_long_as_the_header_says() {
    let source = kept("pointers.c");
    fs::write(&source, POINTERS).expect("written");
    let Some(component) = built(&source) else {
        return;
    };
    let server = serve(component)
        .args(&["--set", "which=level", "--set", "level=deep"])
        .start();
    server.connect().ask("?", "ok");
}

/// Prints lines in which the 4096th byte is the first, the second, … of a character.
const LONG_LINES: &str = r#"
#include <hotsocket.h>
#include <stdio.h>
#include <string.h>

void on_data(const uint8_t *data, size_t size) {
    static const char *characters[] = {"\u00e9", "\u20ac", "\U0001f600"};
    static char x[4096];
    memset(x, 'x', sizeof x);
    for (size_t i = 0; i < 3; i++)
        for (size_t inside = 1; inside <= strlen(characters[i]); inside++)
            printf("%.*s%sy\n", (int)(sizeof x - inside), x, characters[i]);
    hs_write(data, size);
}
"#;

/// Such a line becomes two.
#[test]
fn no_character_of_a_long_line_in_c_is_cut() {
    let source = kept("long-lines.c");
    fs::write(&source, LONG_LINES).expect("written");
    let Some(component) = built(&source) else {
        return;
    };
    let server = serve(component).start();
    server.connect().ask("a", "a");
    let said = server.stop().stdout;
    let mut expected = String::new();
    for character in ["\u{e9}", "\u{20ac}", "\u{1f600}"] {
        for inside in 1..=character.len() {
            let x = "x".repeat(4096 - inside);
            expected += &match inside == character.len() {
                true => format!("{x}{character}\ny\n"),
                false => format!("{x}\n{character}y\n"),
            };
        }
    }
    assert!(said.contains(&expected), "{said}");
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
