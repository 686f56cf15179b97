//! A store that is kept in a file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::{Orders, served};
use crate::harness::{Server, count_lines, temp_dir, wait_for};

fn start(file: &Path, args: &[&str]) -> Server {
    served(args).arg("--store").arg(file).start()
}

#[test]
fn a_store_outlives_the_server() {
    let dir = temp_dir();
    let file = dir.path().join("store");
    let server = start(&file, &[]);
    let mut a = server.connect();
    a.orders(&[
        ("set k default", "ok"),
        ("set empty ", "ok"),
        ("in other", "ok"),
        ("set k other", "ok"),
        ("set gone x", "ok"),
        ("add n 41", "41"),
    ]);
    let status = server.status();
    assert_eq!(status["store"]["file"], file.display().to_string());
    server.stop();
    let mode = fs::metadata(&file).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let server = start(&file, &["--store-sync", "always"]);
    let mut a = server.connect();
    a.orders(&[
        ("get k", "default"),
        ("get empty", ""),
        ("keys", "empty k"),
        ("in other", "ok"),
        ("delete gone", "yes"),
        ("add n 1", "42"),
    ]);
    server.stop();
    let server = start(&file, &[]);
    let mut a = server.connect();
    a.orders(&[("in other", "ok"), ("keys", "k n"), ("get n", "42")]);
    let names = fs::read_dir(dir.path()).expect("a directory").count();
    assert_eq!(names, 1, "nothing else is left");
}

/// Also while the server is down.
#[test]
fn times_to_live_are_kept() {
    let dir = temp_dir();
    let file = dir.path().join("store");
    let server = start(&file, &[]);
    let mut a = server.connect();
    a.orders(&[
        ("set-for long x 3600000", "ok"),
        ("set-for short x 1000", "ok"),
    ]);
    server.stop();
    let mut servers = 0;
    wait_for("the short one to be gone", || {
        servers += 1;
        let server = start(&file, &[]);
        let mut a = server.connect();
        a.orders(&[("get long", "x")]);
        a.send("exists short\n");
        let is_gone = a.read(1) == b"n";
        let keys = || server.status()["store"]["keys"].as_u64();
        if is_gone {
            wait_for("it to be removed", || keys() == Some(1));
        }
        server.stop();
        is_gone
    });
    // It is gone from the file, too.
    let server = start(&file, &[]);
    assert_eq!(server.status()["store"]["keys"], 1);
}

#[test]
fn calls_that_wait_for_the_file_are_atomic_too() {
    let dir = temp_dir();
    let server = start(&dir.path().join("store"), &["--store-sync", "always"]);
    thread::scope(|scope| {
        for _ in 0..11 {
            scope.spawn(|| {
                let mut client = server.connect();
                for _ in 0..10 {
                    client.send("add sum 3\nappend text x\nset-many a 1 b 2\n");
                    for _ in 0..3 {
                        while client.read(1)[0] != b'\n' {}
                    }
                }
            });
        }
    });
    let mut client = server.connect();
    client.orders(&[
        ("get sum", "330"),
        ("get text", "110 bytes"),
        ("see k", "ok"),
        ("set k x", "ok"),
        ("swap y", "changed"),
        ("swap y", "ok"),
        ("get-many a k b", "1 y 2"),
        ("get-values 2 a k b", "1 y"),
        ("delete-many a b", "ok"),
        ("keys", "k sum text"),
    ]);
}

#[test]
fn a_file_belongs_to_one_server() {
    let dir = temp_dir();
    let file = dir.path().join("store");
    let server = start(&file, &[]);
    let ran = served(&["--store"]).arg(&file).fail();
    let in_use = format!("the store {} is in use by another server", file.display());
    assert_eq!(ran.failure(1), in_use);
    server.stop();
    start(&file, &[]);
}

#[test]
fn a_file_that_is_none_of_ours_is_left_alone() {
    let dir = temp_dir();
    let file = dir.path().join("store");
    let whole = {
        let server = start(&file, &[]);
        server.connect().orders(&[("fill 100 k 1000", "ok")]);
        server.stop();
        fs::read(&file).expect("a file")
    };
    let damaged = |change: fn(usize, &mut u8)| {
        let mut bytes = whole.clone();
        let all = bytes.iter_mut().enumerate();
        all.for_each(|(at, byte)| change(at, byte));
        bytes
    };
    let cases = [
        (b"text\n".to_vec(), "is not a store of hotsocket"),
        (vec![0; 100_000], "is not a store of hotsocket"),
        (Vec::new(), "is empty; remove it, and a new one is made"),
        (whole[..whole.len() / 2].to_vec(), "is damaged: "),
        (whole[..100].to_vec(), "is "),
        (
            damaged(|at, byte| *byte ^= u8::from(at > 4096 && at % 97 == 0)),
            "is damaged: ",
        ),
    ];
    for (bytes, why) in cases {
        fs::write(&file, &bytes).expect("a file");
        let ran = served(&["--store"]).arg(&file).fail();
        let error = ran.failure(1);
        let expected = format!("the store {} {why}", file.display());
        assert!(error.starts_with(&expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(fs::read(&file).expect("a file").len() >= bytes.len().min(1));
    }
    fs::write(&file, &whole).expect("a file");
    let ran = served(&["--max-store-keys", "99", "--store"])
        .arg(&file)
        .fail();
    let error = ran.failure(1);
    assert!(
        error.ends_with("has more than it may: the store has 99 keys already (--max-store-keys)"),
        "{error}"
    );
    let server = start(&file, &[]);
    assert_eq!(server.status()["store"]["keys"], 100);
    let ran = served(&["--store", "no/such"]).fail();
    assert_eq!(
        ran.failure(1),
        "the store no/such cannot be used: No such file or directory"
    );
}

/// A limit on the size of files stands in for a full disk.
#[test]
fn a_full_disk_is_survived() {
    let dir = temp_dir();
    let file = dir.path().join("store");
    let server = served(&["--store-sync", "always", "--code-cache", "none", "--store"])
        .arg(&file)
        .ulimit("-S -f 2000; trap '' XFSZ")
        .start();
    let mut a = server.connect();
    a.orders(&[("set k before", "ok")]);
    let name = file.display();
    let error =
        format!("error: changed, but not yet in the file: {name} cannot be used: File too large");
    a.orders(&[("fill 3 big 1000000", &error)]);
    // What has changed is there, and what was waiting goes into the next batch.
    a.orders(&[("get k", "before"), ("exists big0", "yes")]);
    wait_for("another try", || {
        server.status()["store"]["errors"].as_u64() > Some(1)
    });
    let pid = Pid::from_raw(server.pid() as i32);
    let unlimited = Rlimit {
        current: None,
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, unlimited).expect("a limit of the same user");
    a.orders(&[("set k after", "ok")]);
    server.stderr.wait("store is written again");
    let ran = server.stop();
    assert_eq!(count_lines(&ran.stderr, "it is tried again"), 1);
    let server = start(&file, &[]);
    server
        .connect()
        .orders(&[("get k", "after"), ("keys", "big0 big1 big2 k")]);
}

#[test]
fn what_is_lost_at_the_end_is_said() {
    let dir = temp_dir();
    let file = dir.path().join("store");
    let server = served(&["--code-cache", "none", "--store"])
        .arg(&file)
        .ulimit("-S -f 2000; trap '' XFSZ")
        .start();
    let mut a = server.connect();
    a.orders(&[("fill 3 big 1000000", "ok")]);
    server.stderr.wait("it is tried again");
    let ran = server.stop();
    let name = file.display();
    let said = format!("the last changes are lost: {name} cannot be used");
    assert_eq!(count_lines(&ran.stderr, &said), 1, "{}", ran.stderr);
}
