//! The SDK's own tests: those in it, those of its examples, and the guests in
//! its documentation.
//!
//! The SDK is no default member of the workspace, so that a plain build does
//! not compile it; `cargo test` runs its tests from here.

use std::fs;
use std::process::Command;

use super::built;
use crate::harness::{build, hotsocket, is_ci, kept, repo, run, serve, temp_dir};

#[test]
fn the_sdk_passes_its_own_tests() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--release", "--package", "hotsocket-guest"]);
    if is_ci() {
        // As the gate compiles: what the SDK stands upon has been compiled for this test.
        cargo.args(["--config", ".ci/profile.toml"]);
    }
    let ran = cargo
        .args(["--features", "state"])
        .current_dir(repo("."))
        .output()
        .expect("cargo, which has compiled this test");
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success(),
        "{told}\n{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    // In the crate, in its examples, in its documentation.
    let groups = told.matches("test result: ok. ");
    let empty = told.matches("test result: ok. 0 passed");
    assert!(groups.count() - empty.count() >= 3, "{told}");
}

/// The component of a guest in Rust, unless it can't be built here.
fn guest(name: &str, source: &str) -> Option<Vec<u8>> {
    let file = kept(name);
    fs::write(&file, source).expect("written");
    built(&file)
}

/// Looks up a variable, or writes a file.
const REACHES_OUT: &str = r#"
use hotsocket_guest::{Connection, Handler, export};

#[derive(Default)]
pub struct ReachesOut;

impl Handler for ReachesOut {
    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        conn.write(match bytes {
            b"variable" => format!("{:?}", std::env::var("NAME")),
            _ => format!("{:?}", std::fs::write("file", "hello").map_err(|error| error.kind())),
        });
    }
}

export!(ReachesOut);
"#;

#[test]
fn what_needs_wasi_says_so_or_works() {
    let Some(without) = guest("without-wasi.rs", REACHES_OUT) else {
        return;
    };
    let with = format!("// hotsocket: features = [\"wasi\"]\n{REACHES_OUT}");
    let with = guest("with-wasi.rs", &with).expect("as above");
    let dir = temp_dir();
    let grant = format!("{}::.", dir.path().display());
    let grants = ["--env", "NAME=value", "--dir", &grant];

    let server = serve(without).args(&grants).start();
    server.connect().ask("variable", "Err(NotPresent)");
    let line = server
        .stderr
        .wait("reading the environment variable NAME needs");
    assert!(
        line.contains(r#"`// hotsocket: features = ["wasi"]`"#),
        "{line}"
    );
    server.connect().ask("file", "Err(Unsupported)");
    server
        .stderr
        .wait("writing to a file or socket needs the SDK's feature `wasi`");

    let server = serve(with).args(&grants).start();
    server.connect().ask("variable", "Ok(\"value\")");
    server.connect().ask("file", "Ok(())");
    let written = fs::read_to_string(dir.path().join("file"));
    assert_eq!(written.expect("it was written"), "hello");
}

#[test]
fn a_feature_that_is_none_fails_the_build() {
    let dir = temp_dir();
    let source = dir.path().join("guest.rs");
    fs::write(&source, "// hotsocket: features = [\"wsai\"]\n").expect("written");
    let ran = build(&source, &dir.path().join("guest.wasm"));
    assert_eq!(ran.code, 1, "{ran:?}");
    let told = ran.last_line();
    assert!(
        told.contains("guest.rs: the SDK has no feature `wsai`"),
        "{told}"
    );
}

/// A library's handler, with the protocol as its parameter; and a state that is a
/// type with these fields.
fn accounts(fields: &str) -> String {
    r#"// hotsocket: features = ["state"]
use hotsocket_guest::{Connection, Handler, Snapshot, export, state};

mod library {
    use super::*;

    state! {
        #[derive(Default)]
        pub struct Account { FIELDS }
    }

    pub trait Protocol: Default + 'static {
        const PAID: u8;
    }

    #[derive(Default)]
    pub struct Server<P>(Account, P);

    impl<P: Protocol> Handler for Server<P> {
        fn data(&mut self, conn: &Connection, bytes: &[u8]) {
            for &byte in bytes {
                if byte == P::PAID { self.0.paid += 1 } else { self.0.owed += 1 }
            }
            conn.write(format!("{} paid, {} owed\n", self.0.paid, self.0.owed));
        }

        fn save(&self) -> Option<Snapshot> {
            Some(Snapshot::of(1, &self.0))
        }

        fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
            self.0 = snapshot.read()?;
            Ok(())
        }
    }
}

#[derive(Default)]
struct Bank;

impl library::Protocol for Bank {
    const PAID: u8 = b'+';
}

export!(library::Server<Bank>);
"#
    .replace("FIELDS", fields)
}

#[test]
fn fields_in_another_order_do_not_take_over_a_connection() {
    let Some(old) = guest("accounts.rs", &accounts("pub paid: u32, pub owed: u32")) else {
        return;
    };
    let guest = |name, fields| guest(name, &accounts(fields)).expect("as above");
    let reordered = guest("reordered.rs", "pub owed: u32, pub paid: u32");
    let same = guest("same.rs", "pub paid: u32,\n\npub owed: u32");
    let server = serve(old).start();
    let mut client = server.connect();
    client.ask("++-", "2 paid, 1 owed\n");
    let answer = server.swap(reordered, &[]);
    assert_eq!(
        (&answer["migrated"], &answer["failed"]),
        (&0.into(), &1.into())
    );
    server
        .stderr
        .wait("the snapshot, of version 1, has other fields than `Account`");
    client.ask("+", "3 paid, 1 owed\n");
    let answer = server.swap(same, &[]);
    assert_eq!(
        (&answer["migrated"], &answer["without_state"]),
        (&1.into(), &0.into())
    );
    client.ask("-", "3 paid, 2 owed\n");
}

/// It imports `hotsocket:session` because it calls something of it; an echo does not.
#[test]
fn a_guest_pauses_its_peer_and_names_the_connection() {
    let Some(component) = guest(
        "pausing.rs",
        r#"
use std::time::Duration;
use hotsocket_guest::{Connection, Handler, export};

#[derive(Default)]
struct Pausing;

impl Handler for Pausing {
    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        conn.set_label("alice");
        conn.checkpoint();
        if bytes == b"pause" {
            conn.pause();
            conn.set_timer(1, Duration::from_millis(50));
        }
        conn.write(bytes);
    }

    fn timer(&mut self, conn: &Connection, _: u32) {
        conn.write("timer ");
        conn.resume();
    }
}

export!(Pausing);
"#,
    ) else {
        return;
    };
    let server = serve(component).args(&["--access-log"]).start();
    let mut client = server.connect();
    client.ask("pause", "pause");
    client.send("next");
    client.expect("timer next");
    client.end();
    client.expect_rest("");
    server.stderr.wait("(alice) closed: ended");
    let path = repo("guest/prebuilt/echo.wasm");
    let echo = run(hotsocket().arg("inspect").arg(path)).stdout;
    assert!(!echo.contains("hotsocket:session"), "{echo}");
}
