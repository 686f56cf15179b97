//! `hotsocket serve` that does not start: one line with a hint for each bad file,
//! flag, address or path, and the exit code is 1 (2 for wrong usage).

use std::fs;
use std::net::TcpListener;

use crate::guests::{component, failing_its_trial, guest};
use crate::harness::{
    Ran, Serve, hotsocket, lacks_program, prebuilt, run, serve, skip_even_in_ci, temp_dir,
};

#[track_caller]
fn refused(ran: &Ran, words: &[&str]) {
    let told = ran.failure(1);
    for word in words {
        assert!(told.contains(word), "{word:?} is not in {told:?}");
    }
}

#[test]
fn files_that_are_no_component_are_rejected() {
    refused(
        &Serve::nothing().arg("no-such.wasm").fail(),
        &["cannot read no-such.wasm: ", "name a guest's .wasm file"],
    );
    refused(
        &Serve::nothing().arg("/").fail(),
        &["no guest source in /: ", "hotsocket new"],
    );
    refused(&serve(b"").fail(), &["guest.wasm is empty"]);
    refused(
        &serve("fn main() {}").fail(),
        &["is text", "hotsocket build"],
    );
    refused(&serve("Grüße ".repeat(1000)).fail(), &["is text"]);
    refused(
        &serve(b"\x7fELF\x02\x01\x01\0").fail(),
        &["is not WebAssembly"],
    );
    refused(
        &serve(component("(module)")).fail(),
        &["core WebAssembly module", "wasm32-wasip2"],
    );
    let echo = prebuilt("echo");
    refused(&serve(&echo[..echo.len() / 2]).fail(), &["is truncated"]);
    refused(&serve(&echo[..6]).fail(), &["is truncated"]);
    let mut damaged = echo.clone();
    damaged[200..400].fill(0xee);
    refused(&serve(damaged).fail(), &["guest.wasm is"]);
    refused(
        &serve(echo).args(&["--max-component", "4K"]).fail(),
        &["--max-component"],
    );
}

#[test]
fn components_of_another_world_are_rejected() {
    refused(
        &serve(component("(component)")).fail(),
        &[
            "does not export hotsocket:socket/handler@0.1.0",
            "it exports nothing",
        ],
    );
    let other = r#"(component (instance $i) (export "example:other/thing@1.0.0" (instance $i)))"#;
    refused(
        &serve(component(other)).fail(),
        &["not a guest", "example:other/thing@1.0.0"],
    );
    let newer = guest().change(
        "(export \"hotsocket:socket/handler@0.1.0\"",
        "(export \"hotsocket:socket/handler@0.9.0\"",
    );
    refused(
        &serve(newer.build()).fail(),
        &[
            "hotsocket:socket/handler@0.9.0",
            "hotsocket:socket/handler@0.1.0",
        ],
    );
    for function in [
        "listening",
        "open",
        "data",
        "drained",
        "end",
        "timer",
        "close",
        "save",
    ] {
        let lacking = guest().change(&format!("(export \"{function}\" (func ${function}))"), "");
        refused(
            &serve(lacking.build()).fail(),
            &["without the function", &format!("`{function}`")],
        );
    }
}

#[test]
fn an_export_of_the_wrong_type_is_named() {
    let timer = guest()
        .change(
            "(func $timer (export \"timer\") (param $id i32)",
            "(func $timer (export \"timer\") (param $id i64)",
        )
        .change(
            "(func $timer (param \"id\" u32)",
            "(func $timer (param \"id\" u64)",
        );
    refused(
        &serve(timer.build()).fail(),
        &["exports the function `timer`", "wrong type"],
    );
    let save = guest().change(
        "(type $snapshot (option $bytes))\n  (func $listening",
        "(type $snapshot (option string))\n  (func $listening",
    );
    refused(
        &serve(save.build()).fail(),
        &["exports the function `save`", "wrong type"],
    );
}

#[test]
fn an_unknown_import_is_named() {
    let import = |text: &str| guest().change(";; further imports", text).build();
    let other = import(r#"(import "example:kv/store@1.0.0" (instance (export "get" (func))))"#);
    refused(
        &serve(other).fail(),
        &[
            "imports example:kv/store@1.0.0",
            "which this server does not provide",
        ],
    );
    let wasi = import(r#"(import "wasi:cli/environment@0.3.0" (instance))"#);
    refused(&serve(wasi).fail(), &["wasi:cli/environment@0.3.0"]);
    // Known interfaces, with something in them that is not there, or is another.
    let more = guest().change(
        "(export \"abort\" (func))\n",
        "(export \"abort\" (func)) (export \"whisper\" (func))\n",
    );
    refused(&serve(more.build()).fail(), &["whisper", "imports"]);
    let typed = guest().change(
        "(export \"clear-timer\" (func (param \"id\" u32)))",
        "(export \"clear-timer\" (func (param \"id\" s32)))",
    );
    refused(&serve(typed.build()).fail(), &["imports", "clear-timer"]);
}

#[test]
fn guests_that_fail_before_the_first_connection_are_rejected() {
    let listening = guest().body("listening", "(call $trap)").build();
    refused(
        &serve(listening).fail(),
        &["guest trapped in `listening`", "unreachable"],
    );
    let told = guest().body(
        "listening",
        r#"(call $panic "no more
patience") (call $trap)"#,
    );
    refused(
        &serve(told.build()).fail(),
        &["guest panicked in `listening`: no more | patience"],
    );
    let loops = guest().body("listening", "(call $spin)").build();
    refused(
        &serve(loops).args(&["--start-budget", "20ms"]).fail(),
        &["20 ms of CPU time", "--start-budget"],
    );
    let fails = failing_its_trial();
    refused(&serve(fails).fail(), &["trial", "its start"]);
    let large = guest()
        .change("(export \"memory\") 4)", "(export \"memory\") 2000)")
        .build();
    refused(&serve(large).fail(), &["--max-memory"]);
}

#[test]
fn addresses_that_cannot_be_listened_on_are_rejected() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    refused(
        &Serve::nothing().listen(&[&address]).fail(),
        &[&address, "another program uses that port", "--listen"],
    );
    // Before anything is compiled, which would fail otherwise.
    let late = ["--compile-timeout", "1ms", "--code-cache", "none"];
    refused(
        &Serve::nothing().args(&late).listen(&[&address]).fail(),
        &["another program uses that port"],
    );
    refused(
        &Serve::nothing().listen(&["127.0.0.1:0", &address]).fail(),
        &[&address],
    );
    refused(
        &Serve::nothing().listen(&["192.0.2.1:0"]).fail(),
        &["192.0.2.1", "no such address"],
    );
    for malformed in [
        "localhost",
        "127.0.0.1",
        "127.0.0.1:99999",
        "99999",
        "::1:3000",
        "example.com:80",
        "",
    ] {
        let ran = Serve::nothing().listen(&[malformed]).fail();
        assert_eq!(ran.code, 2, "{ran:?}");
        let mut lines = ran.stderr.lines().filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or_default();
        assert!(
            first.starts_with("error: ") && first.contains("--listen"),
            "{first}"
        );
        assert!(first.contains("try 127.0.0.1:3000"), "{first}");
        assert!(lines.all(|line| line.contains("--help")), "{}", ran.stderr);
    }
}

#[test]
fn a_privileged_port_is_explained() {
    let free =
        fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    if free.trim() == "0" {
        return skip_even_in_ci("no port is privileged (ip_unprivileged_port_start)");
    }
    let mut command = if rustix::process::geteuid().is_root() {
        if lacks_program("setpriv") {
            return;
        }
        let mut command = std::process::Command::new("setpriv");
        command.args([
            "--bounding-set=-net_bind_service",
            "--inh-caps=-net_bind_service",
        ]);
        command.arg(hotsocket().get_program());
        command
    } else {
        hotsocket()
    };
    let dir = temp_dir();
    command
        .args(["--listen", "127.0.0.1:81"])
        .env("XDG_RUNTIME_DIR", dir.path());
    refused(
        &run(&mut command),
        &["127.0.0.1:81", "need a privilege", "higher"],
    );
}

#[test]
fn control_paths_that_cannot_be_used_are_rejected() {
    let control = |path: &str| Serve::nothing().args(&["--control", path]).fail();
    refused(
        &control("/nowhere/x.sock"),
        &["/nowhere/x.sock", "no such directory", "--control"],
    );
    refused(&control("/"), &["--control"]);
    refused(&control("/proc/x.sock"), &["/proc/x.sock", "--control"]);
    refused(
        &control(&format!("/tmp/{}", "x".repeat(200))),
        &["--control"],
    );

    let serve = Serve::nothing();
    fs::write(serve.path("file"), "precious").expect("written");
    let path = serve.path("file");
    refused(
        &serve.arg("--control").arg(&path).fail(),
        &["there is a file of that name"],
    );

    let running = Serve::nothing().args(&["--control", "my.sock"]).start();
    let path = running.path("my.sock");
    refused(
        &Serve::nothing().arg("--control").arg(path).fail(),
        &["a running server uses it"],
    );

    let serve = Serve::nothing();
    fs::write(
        serve.path("hotsocket"),
        "a file where the directory should be",
    )
    .expect("written");
    refused(&serve.fail(), &["--control"]);
}

#[test]
fn wrong_usage_exits_with_2() {
    for args in [
        &["--no-such-flag"][..],
        &["serve", "a.wasm", "b.wasm"],
        &["--max-memory", "much"],
        &["--cpu-budget", "soon"],
        &["--max-stack", "1K"],
        &["--max-stack", "1G"],
        &["--on-swap", "maybe"],
        &["--dir", "/no/such/directory"],
        &["--env", "NO_SUCH_VARIABLE_IS_SET"],
        &["swap"],
        &["inspect"],
    ] {
        let ran = run(hotsocket().args(args));
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert!(ran.stderr.starts_with("error: "), "{args:?}: {ran:?}");
    }
}

#[test]
fn the_template_that_these_change_is_itself_served() {
    // What every case above has changed in the template works unchanged.
    let server = serve(guest().data(r#"(call $say "fine")"#).build()).start();
    server.connect().ask("x", "fine");
}
