//! Memory mappings, of which the kernel allows each process so many. That is a
//! setting of the whole machine: the test changes it where it may, never to
//! less than Linux' own default, and puts it back.

use std::fs::{self, File};
use std::io::Read;
use std::time::Instant;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::machine_resources::admitted;
use crate::guests::{obeying, with_spare_memories};
use crate::harness::{assert_logged_once, serve, skip_even_in_ci, wait_for};

const SETTING: &str = "/proc/sys/vm/max_map_count";
/// Linux' own default: what other processes may count on.
const DEFAULT: usize = 65_530;
/// What the server wants for the connections that it is to have room for.
const FILES: u64 = 20_000;
/// Far more than the server has.
const PLENTY: usize = 1 << 20;

/// The machine's setting, put back when dropped.
struct Setting {
    _lock: File,
    original: String,
}

impl Setting {
    /// Allow plenty. `None` where that can't be done: without root, or in some
    /// containers.
    fn take() -> Option<Self> {
        let mut file = File::options().read(true).write(true).open(SETTING).ok()?;
        // Another run of this test on this machine is waited for.
        file.lock().ok()?;
        let mut original = String::new();
        file.read_to_string(&mut original).ok()?;
        let setting = Setting {
            _lock: file,
            original,
        };
        setting.set(PLENTY).then_some(setting)
    }

    fn set(&self, count: usize) -> bool {
        fs::write(SETTING, count.to_string()).is_ok()
    }
}

impl Drop for Setting {
    fn drop(&mut self) {
        if let Err(error) = fs::write(SETTING, &self.original) {
            println!("vm.max_map_count was {}: {error}", self.original.trim());
        }
    }
}

#[test]
fn without_mappings_new_connections_are_refused() {
    let files = getrlimit(Resource::Nofile).maximum;
    if files.is_some_and(|files| files < FILES) {
        return skip_even_in_ci("a process may not have 20,000 files open");
    }
    // A thousand of them here: the soft limit is often not far above.
    let raised = Rlimit {
        current: files,
        maximum: files,
    };
    setrlimit(Resource::Nofile, raised).expect("up to the hard one is allowed");
    let Some(setting) = Setting::take() else {
        return skip_even_in_ci("no right to set vm.max_map_count");
    };
    // A guest that takes as many mappings as it can, so that the server needs
    // more than any other process: it has sixteen memories, which begin with
    // something in them, and imports WASI, for which each has a stack.
    let memory = r#"(memory 3) (data (i32.const 65536) "something")"#;
    let greedy = with_spare_memories(obeying(&[]), memory).change(
        ";; further imports",
        r#"(import "wasi:cli/environment@0.2.0" (instance))"#,
    );
    let mut server = serve(greedy.build())
        .args(&["--max-connections", "19000"])
        .start();
    let mut open = Vec::new();
    while server.mappings() < DEFAULT {
        // Counting so many takes a while.
        open.extend((0..50).map(|_| admitted(&server).expect("there is room")));
    }
    let before = open.len();
    assert!(setting.set(server.mappings() + 500));

    let began = Instant::now();
    let mut refused = 0;
    while refused < 10 {
        match admitted(&server) {
            Some(client) => open.push(client),
            None => refused += 1,
        }
        assert!(
            open.len() < before + 200,
            "there is room for {}",
            open.len()
        );
    }
    open.iter_mut().for_each(|client| client.ask("y", "y"));
    let line = server.stderr.wait(" refused: ");
    assert!(line.contains("no room for another instance"), "{line}");
    // It is not the pool that is full.
    assert!(line.contains("os error 12"), "{line}");

    // There is room again where others have gone.
    open.truncate(before - 5);
    server.wait_open(before as u64 - 5);
    wait_for("room", || match admitted(&server) {
        Some(client) => {
            open.push(client);
            true
        }
        None => {
            refused += 1;
            false
        }
    });
    open.iter_mut().for_each(|client| client.ask("z", "z"));
    assert!(server.is_well());
    drop(open);
    server.settle();
    assert_eq!(server.limit_reached("room"), refused);
    assert_logged_once(&server.stop().stderr, " refused: ", began);
}
