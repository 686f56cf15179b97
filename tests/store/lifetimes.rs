//! Keys that live for a time.

use std::time::{Duration, Instant};

use super::{Orders, start};
use crate::guests::keeper;
use crate::harness::{hotsocket, run, temp_dir, wait_for};

#[test]
fn keys_live_as_long_as_they_are_told_to() {
    let server = start(&[]);
    let mut a = server.connect();
    a.orders(&[
        ("life k", "none"),
        ("set k 1", "ok"),
        ("life k", "forever"),
        ("set-for k 2 60000", "ok"),
        ("life k", "60 s"),
        ("add k 1", "3"),
        ("life k", "60 s"),
        ("append k 4", "2"),
        ("life k", "60 s"),
        ("present k 5 unchanged", "yes"),
        ("life k", "60 s"),
        ("set-life k 3600000", "yes"),
        ("life k", "3600 s"),
        ("set-life k unchanged", "yes"),
        ("life k", "3600 s"),
        ("set k 6", "ok"),
        ("life k", "forever"),
        ("set-life k 0", "yes"),
        ("get k", "none"),
        ("set-life k 1000", "no"),
        ("set-for k 7 0", "ok"),
        ("exists k", "no"),
        ("set-for long 1 18446744073709551615", "ok"),
        ("exists long", "yes"),
    ]);
}

/// In the same moment for every call.
#[test]
fn a_key_is_gone_when_its_time_is_over() {
    let server = start(&[]);
    let mut a = server.connect();
    let began = Instant::now();
    a.orders(&[("set-for k old 300", "ok"), ("set-for n 7 300", "ok")]);
    for key in ["k", "n"] {
        wait_for("the key to be gone", || {
            a.send(format!("exists {key}\n"));
            let is_gone = a.read(1) == b"n";
            a.read(if is_gone { 2 } else { 3 });
            is_gone
        });
    }
    assert!(began.elapsed() >= Duration::from_millis(300));
    a.orders(&[
        ("get k", "none"),
        ("life k", "none"),
        ("keys", ""),
        ("present k new ever", "no"),
        ("absent k new", "yes"),
        ("add n 1", "1"),
        ("life n", "forever"),
    ]);
}

/// Nobody asks for them.
#[test]
fn keys_whose_time_is_over_take_no_room() {
    let server = start(&[]);
    let mut a = server.connect();
    let keys = || server.status()["store"]["keys"].as_u64();
    a.orders(&[("set stays x", "ok")]);
    for number in 0..600 {
        a.send(format!("set-for k{number} x 100\n"));
    }
    a.read(3 * 600);
    wait_for("them to be removed", || keys() == Some(1));
    assert!(server.status()["store"]["bytes"].as_u64() < Some(300));
    // And again, after the first were all gone.
    a.orders(&[("set-for k x 1", "ok")]);
    wait_for("it to be removed", || keys() == Some(1));
}

/// In `hotsocket test`.
#[test]
fn time_is_the_scripts_and_each_script_begins_with_an_empty_store() {
    let dir = temp_dir();
    let guest = dir.path().join("keeper.wasm");
    std::fs::write(&guest, keeper()).expect("a guest");
    let script = "send \"set-for k x 3600000\\nset n 1\\nlife k\\n\"\n\
        expect \"ok\\nok\\n3600 s\\n\"\n\
        wait 59m\n\
        send \"life k\\n\"\n\
        expect \"60 s\\n\"\n\
        b: send \"add n 1\\n\"\n\
        b: expect \"2\\n\"\n\
        wait 61s\n\
        send \"get k\\n\"\n\
        expect \"none\\n\"\n\
        swap\n\
        send \"get n\\n\"\n\
        expect \"2\\n\"\n\
        end\n\
        expect end\n\
        b: end\n\
        b: expect end\n";
    for name in ["a.test", "b.test"] {
        std::fs::write(dir.path().join(name), script).expect("a script");
    }
    let ran = run(hotsocket()
        .arg("test")
        .arg(&guest)
        .args(["a.test", "b.test"])
        .current_dir(dir.path()));
    ran.success();
}
