//! Small components that take the compiler for ever, or all memory: it is killed
//! at its limits, and the server does not notice.

use std::fs::{self, Permissions};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use rustix::process::Signal;

use crate::guests::{bomb, doubling, obeying, saying, slow_to_compile};
use crate::harness::files::copy_program;
use crate::harness::{Scene, Server, hotsocket, kill, run, serve, temp_dir, wait_for};

fn wait_dead(processes: &[u32]) {
    let dead = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Gone, or nobody has waited for it yet.
        stat.is_empty() || stat.contains(") Z ")
    };
    wait_for("a compiler to end", || processes.iter().all(dead));
}

/// A server whose compiler has as much memory as a small guest needs, and more.
fn confined(memory: &str) -> Scene {
    let args = ["--code-cache", "none", "--compile-memory", memory];
    Scene::start(&obeying(&[]), &args)
}

#[test]
fn nested_instances_are_counted_and_not_made() {
    let mut scene = confined("400M");
    let told = scene.server.try_swap(doubling(40), &[]).failure(1);
    assert!(
        told.contains("instances of modules and components"),
        "{told}"
    );
    scene.undisturbed();
    let told = serve(doubling(40)).fail().failure(1);
    assert!(told.contains("at most 1000 are accepted"), "{told}");
    // As many as there may be get past the count.
    let told = scene.server.try_swap(doubling(7), &[]).failure(1);
    assert!(told.contains("not a guest"), "{told}");
}

#[test]
fn a_compilation_that_takes_too_much_memory_is_killed() {
    let mut scene = confined("400M");
    let (before, files) = (scene.server.peak_resident(), scene.server.open_files());
    for _ in 0..3 {
        let told = scene.server.try_swap(bomb(2000, 20_000), &[]).failure(1);
        assert!(told.contains("--compile-memory"), "{told}");
        assert!(told.contains("more than 400M"), "{told}");
    }
    let grown = scene.server.peak_resident() - before;
    assert!(grown < 16 << 20, "the server has grown by {grown} bytes");
    assert_eq!(scene.server.children(), [0; 0]);
    wait_for("its files to be closed", || {
        scene.server.open_files() <= files
    });
    // What comes next is compiled as ever.
    scene.server.swap(saying("next"), &[]);
    scene.neighbour.ask("x", "next");
    assert_eq!(scene.server.limit_reached("compile-memory"), 3);
    assert!(scene.server.is_well());
}

#[test]
fn a_compilation_that_takes_too_long_is_killed() {
    let cache = temp_dir();
    let first = obeying(&[]).build();
    let dir = cache.path().to_str().expect("UTF-8");
    // So that the first guest need not be compiled in this time.
    serve(&first).args(&["--code-cache", dir]).start().stop();
    let args = ["--code-cache", dir, "--compile-timeout", "200ms"];
    let mut scene = Scene::start(first, &args);
    let bomb = bomb(1000, 20_000);
    let told = scene.server.try_swap(&*bomb, &[]).failure(1);
    assert!(told.contains("--compile-timeout"), "{told}");
    assert_eq!(scene.server.children(), [0; 0]);
    // Once more: the one before is not in the way.
    let told = scene.server.try_swap(&*bomb, &[]).failure(1);
    assert!(told.contains("--compile-timeout"), "{told}");
    scene.counted("compile-timeout", 2);
    scene.undisturbed();
    let told = serve(bomb).args(&args).fail();
    assert_eq!(told.code, 1);
    assert!(
        told.last_line().contains("--compile-timeout"),
        "{}",
        told.stderr
    );
}

#[test]
fn a_compiler_that_is_killed_costs_a_swap() {
    let mut scene = confined("2G");
    let path = scene.server.path("bomb.wasm");
    fs::write(&path, slow_to_compile()).expect("writable");
    std::thread::scope(|scope| {
        let (server, path) = (&scene.server, &path);
        let swapping = scope.spawn(move || server.try_swap_file(path, &[]));
        let found = server.wait_compiling();
        kill(found[0]);
        let told = swapping.join().expect("an answer").failure(1);
        assert!(told.contains("the compiler ended unexpectedly"), "{told}");
    });
    scene.undisturbed();
}

#[test]
fn a_signal_ends_a_server_that_is_compiling_its_first_guest() {
    for signal in [Signal::INT, Signal::TERM] {
        let free = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let mut server = serve(slow_to_compile())
            .args(&["--code-cache", "none", "--compile-memory", "2G"])
            .listen(&[&address.to_string()])
            .spawn();
        let found = server.wait_compiling();
        // Nobody serves yet, so nobody is let in.
        assert!(TcpStream::connect(address).is_err());
        server.signal(signal);
        let ran = server.end();
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        assert!(
            ran.stderr.contains("stopped before it was ready"),
            "{}",
            ran.stderr
        );
        wait_dead(&found);
    }
}

#[test]
fn a_server_that_is_killed_takes_its_compiler_with_it() {
    let mut server = serve(slow_to_compile())
        .args(&["--code-cache", "none", "--compile-memory", "2G"])
        .spawn();
    let found = server.wait_compiling();
    server.signal(Signal::KILL);
    server.end();
    wait_dead(&found);
}

/// A server whose program is a copy, and where that is.
fn copied() -> (Server, PathBuf) {
    let serve = serve(saying("first")).args(&["--code-cache", "none"]);
    let program = serve.path("program");
    copy_program(hotsocket().get_program(), &program);
    (serve.program(&program).start(), program)
}

#[test]
fn a_program_that_was_replaced_still_compiles() {
    let (server, program) = copied();
    fs::remove_file(program).expect("removed");
    server.swap(saying("next"), &[]);
    server.connect().ask("x", "next");
}

#[test]
fn where_no_process_can_be_started_a_swap_is_refused() {
    let (server, program) = copied();
    // Not even root may execute it from now on.
    fs::set_permissions(program, Permissions::from_mode(0o600)).expect("ours");
    let told = server.try_swap(saying("next"), &[]).failure(1);
    assert!(told.contains("Permission denied"), "{told}");
    assert!(told.contains("--compile-inside"), "{told}");
    server.connect().ask("x", "first");
}

#[test]
fn a_guest_can_be_compiled_inside() {
    let server = serve(saying("inside"))
        .args(&["--code-cache", "none", "--compile-inside"])
        .start();
    server.connect().ask("x", "inside");
    server.swap(saying("too"), &[]);
    server.connect().ask("x", "too");
    // Counted there as well.
    let told = server.try_swap(doubling(40), &[]).failure(1);
    assert!(told.contains("at most 1000"), "{told}");
}

/// The command that a server starts is for servers.
#[test]
fn nobody_else_gets_an_answer_from_the_compiler() {
    let ran = run(hotsocket().arg("compile-child"));
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""));
    assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
}
