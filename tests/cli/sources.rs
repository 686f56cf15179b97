//! One way for all sources: a file, a directory with one, standard input and pipes; and
//! what is said to words that are neither.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::{
    FIRST_BUILD, Serve, hotsocket, lacks_tools, prebuilt, prebuilt_path, repo, run, run_within,
    temp_dir,
};

#[test]
fn a_wrong_word_is_wrong_usage_and_the_command_that_was_meant_is_named() {
    let dir = temp_dir();
    let told = |args: &[&str]| run(hotsocket().args(args).current_dir(dir.path())).failure(2);
    for args in [&["srve"][..], &["srve", "--json"], &["srve", "a.wasm"]] {
        assert_eq!(
            told(args),
            "srve is neither a command nor a file; did you mean `serve`?"
        );
    }
    assert!(told(&["xyzzy"]).ends_with("`hotsocket --help` lists the commands"));
    let two = told(&["a.wasm", "b.wasm"]);
    assert!(
        two.contains("`hotsocket a.wasm --port 3000` and `hotsocket b.wasm --port 3001`"),
        "{two}"
    );
}

#[test]
fn a_component_is_swapped_from_standard_input_and_from_a_pipe() {
    let server = Serve::prebuilt("echo").start();
    let mut client = server.connect();
    client.ask("x", "x");
    let swap = |script: &str| {
        let mut command = Command::new("bash");
        command.args(["-c", script]);
        command
            .arg(hotsocket().get_program())
            .arg(prebuilt_path("shout"));
        run(command.env("XDG_RUNTIME_DIR", server.dir()))
    };
    let told = swap("cat \"$1\" | \"$0\" swap -").success();
    assert!(told.contains("generation 2 is standard input ("), "{told}");
    client.ask("x", "X");
    server.roll_back(&[]);
    client.ask("x", "x");
    let told = swap("\"$0\" swap <(cat \"$1\")").success();
    assert!(told.contains("generation 3 is /dev/fd/"), "{told}");
    client.ask("x", "X");
    // What has no end is cut off at the limit.
    for script in [
        "\"$0\" swap - --max-component 1M < /dev/zero",
        "\"$0\" swap <(cat /dev/zero) --max-component 1M",
    ] {
        let told = swap(script).failure(1);
        assert!(told.contains("--max-component"), "{told}");
    }
}

#[test]
fn a_directory_with_one_source_is_served_tested_and_swapped() {
    let serve = Serve::nothing();
    fs::create_dir(serve.path("guest")).expect("ours");
    let source = serve.path("guest/lines.c");
    fs::copy(repo("guest/examples/lines.c"), &source).expect("copied");
    let ran = run_within(
        FIRST_BUILD,
        hotsocket()
            .args(["test", "guest"])
            .arg(repo("guest/examples/lines.test"))
            .current_dir(serve.path("")),
    );
    if lacks_tools(&ran) {
        return;
    }
    assert_eq!(ran.code, 0, "{ran:?}");
    let server = serve
        .args(&["serve", "guest"])
        .patience(FIRST_BUILD)
        .start();
    assert_eq!(server.status()["guest"], "guest/lines.c");
    server.stderr.wait("serving guest/lines.c, generation 1 ");
    server
        .stderr
        .wait("`hotsocket dev guest/lines.c` swaps it on every save");
    let mut client = server.connect();
    client.ask("a\n", "1: a\n");

    let shout = fs::read_to_string(repo("guest/examples/lines.c")).expect("text");
    fs::write(&source, shout.replace("\": \"", "\"; \"")).expect("ours");
    let source = source.display().to_string();
    let ran = server.ask(&["swap", &source]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains(&format!("generation 2 is {source} (")),
        "{ran:?}"
    );
    client.ask("b\n", "2; b\n");
}

/// A compiler looks for headers in the directory of the symlink.
#[test]
fn one_source_behind_two_symlinks_is_built_for_each() {
    let dir = temp_dir();
    let put = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("ours");
        fs::write(path, text).expect("ours");
    };
    put(
        "common/handler.c",
        "#include <hotsocket.h>\n#include \"rules.h\"\n\
         void on_data(const uint8_t *data, size_t size) {\n    \
         (void)data, (void)size;\n    hs_write(WORD, sizeof WORD - 1);\n}\n",
    );
    for word in ["one", "two"] {
        put(
            &format!("{word}/rules.h"),
            &format!("#define WORD \"{word}\"\n"),
        );
        put(
            &format!("{word}/it.test"),
            &format!("send \"x\"\nexpect \"{word}\"\n"),
        );
        let link = dir.path().join(word).join("handler.c");
        symlink("../common/handler.c", link).expect("ours");
        let ran = run_within(
            FIRST_BUILD,
            hotsocket()
                .args(["test", &format!("{word}/handler.c")])
                .arg(format!("{word}/it.test"))
                .current_dir(dir.path()),
        );
        if lacks_tools(&ran) {
            return;
        }
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}

#[test]
fn a_component_is_inspected_as_json() {
    let mut inspecting = hotsocket()
        .args(["inspect", "--json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut input = inspecting.stdin.take().expect("piped");
    input.write_all(&prebuilt("echo")).expect("it reads all");
    drop(input);
    let output = inspecting.wait_with_output().expect("it ends");
    let facts: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(facts["guest"], true);
    assert_eq!(facts["file"], "standard input");
    assert_eq!(facts["name"], "echo");
    assert_eq!(facts["size"], prebuilt("echo").len());
    assert_eq!(
        facts["exports"][0]["name"],
        "hotsocket:socket/handler@0.1.0"
    );
    assert_eq!(facts["grants"], serde_json::json!([]));
    let ran = run(hotsocket().args(["inspect", "--json", "/nowhere"]));
    let error: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert!(
        ran.code == 1
            && error["error"]
                .as_str()
                .is_some_and(|e| e.contains("/nowhere"))
    );
}

#[test]
fn the_log_is_louder_or_quieter_and_the_port_is_short() {
    let quiet = Serve::prebuilt("echo").args(&["-q"]).spawn();
    crate::harness::wait_for("the control socket", || quiet.control_socket().exists());
    assert!(!quiet.stop().stderr.contains("INFO"));
    let loud = Serve::prebuilt("echo").args(&["-v"]).start();
    loud.stderr.wait("DEBUG");
    let both = run(hotsocket().args(["-q", "-v"]));
    assert_eq!(both.code, 2);

    let server = Serve::prebuilt("echo")
        .listen(&[])
        .args(&["--port", "0"])
        .start();
    assert!(server.addresses[0].ip().is_loopback());
    server.connect().ask("x", "x");
}
