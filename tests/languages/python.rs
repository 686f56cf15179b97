//! `hotsocket build FILE.py`, and what guests in Python do.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;

use super::*;
use crate::harness::{
    FIRST_BUILD, Fetched, build, build_cache, count_lines, hotsocket, is_ci, kept, lacks_program,
    lacks_tools, repo, run, run_within, temp_dir,
};

/// A directory with a file in it, outside the checkout.
fn file(name: &str, content: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = temp_dir();
    let path = dir.path().join(name);
    fs::write(&path, content).expect("written");
    (dir, path)
}

#[test]
fn python_examples_do_what_those_in_rust_do() {
    does_what_rust_does("py");
}

/// The package's own tests, which need no server.
#[test]
fn the_python_package_passes_its_tests() {
    if lacks_program("python3") {
        return;
    }
    let mut python = Command::new("python3");
    python
        .args(["-B", "-m", "unittest", "-q"])
        .args(["test_build", "test_framing", "test_hotsocket"])
        .current_dir(repo("guest/python"));
    let ran = run(&mut python);
    assert_eq!(ran.code, 0, "{ran:?}");
}

/// One guest for what a build in Python is needed for: each takes half a minute of a
/// processor.
const MISHAPS: &str = r#"
import codecs
import datetime
import random
import socket
from  hotsocket  import Handler, Refuse, topics
from parts.helper import half

CODECS = "utf-16 utf-32 utf-8-sig cp1251 koi8-r gbk shift_jis idna punycode"
clients = []
rooms = {}
count = 0
WORDS = ["a"]
WORDS.append("b")

class Base(Handler):
    pass

class Mishaps(Base):
    def open(self, conn):
        global count
        count += 1
        clients.append(conn)
        rooms["x"] = conn
        self.words = list(WORDS)
        self.words.append("c")
        print(f"{conn.peer} from", end=" ")
        print(random.random())

    def data(self, conn, data):
        match data:
            case b"raise":
                return half("x")
            case b"deep":
                return self.data(conn, data)
            case b"text":
                return "text"
            case b"end":
                conn.write(b"bye")
                conn.end()
                return b"%d" % conn.write(b"too late")
            case b"late":
                return late("ab")
            case b"publish":
                return publish()
            case _ if data.startswith(b"connect "):
                return connect(int(data[8:]))
            case _:
                rooms = count = 0
                count += 1
                return data * 2

def mean(numbers):
    import statistics
    return statistics.mean(numbers)

def late(text):
    for name in CODECS.split():
        assert text.encode(name).decode(name) == text, name
    day = datetime.datetime.strptime("26 Nov 2026", "%d %b %Y")
    numbers = codecs.encode(text.encode(), 'hex')
    return f"{day:%Y-%m-%d} {numbers} {mean([1, 2, 3])} {Late().quoted}".encode()

class Late:
    @property
    def quoted(self):
        from urllib import parse
        return parse.quote("a b")

def publish():
    try:
        topics.publish("no topic", b"")
    except topics.Invalid:
        return b"no topic"

def connect(port):
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as other:
            other.sendall(b"a question")
            return other.recv(100)
    except OSError:
        return b"refused"
"#;

/// Where [`MISHAPS`] is, under a name that Python could not import.
pub fn mishaps() -> PathBuf {
    // Tests at the same time write the same.
    static WRITING: Mutex<()> = Mutex::new(());
    let _turn = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = kept("mishaps");
    // A package without `__init__.py`.
    let parts = dir.join("parts");
    fs::create_dir_all(&parts).expect("a directory");
    fs::write(parts.join("helper.py"), "def half(x):\n    return x / 2\n").expect("written");
    let source = dir.join("my-mishaps.1.py");
    fs::write(&source, MISHAPS).expect("written");
    source
}

#[test]
fn a_python_exception_costs_one_connection_and_is_logged() {
    let Some(component) = built(&mishaps()) else {
        return;
    };
    let server = serve_large(component).start();
    let mut quiet = server.connect();
    quiet.ask("ab", "abab");
    for (question, told) in [
        (
            "raise",
            "guest panicked in `data`: TypeError: unsupported operand type(s) for /: 'str' and \
             'int' (helper.py:2 in half, from my-mishaps.1.py:33 in data)",
        ),
        ("deep", "RecursionError: maximum recursion depth exceeded"),
        ("text", "TypeError: write takes bytes, not str"),
    ] {
        let mut client = server.connect();
        client.send(question);
        client.expect_over();
        server.stderr.wait(told);
    }
    let mut client = server.connect();
    client.send("end");
    client.expect_rest("bye");
    quiet.ask("c", "cc");
    // Every instance is a copy of one; chance must be another in each.
    server.stdout.wait_count(" from ", 5);
    let said = server.stop().stdout;
    assert_eq!(count_lines(&said, " from "), 5, "{said}");
    let chances: std::collections::BTreeSet<_> = said
        .lines()
        .filter_map(|line| line.split_once(" from "))
        .map(|(_, chance)| chance.to_owned())
        .collect();
    assert_eq!(chances.len(), 5, "{said}");
}

#[test]
fn mistakes_in_python_are_errors_of_the_build_with_their_place() {
    if Fetched::Python.is_missing() {
        return;
    }
    let output = kept("mistake.py.wasm");
    // Each takes a whole build, half a minute of a processor.
    let mistakes = [
        ("\nimport nowhere\n", "line 2, in <module>"),
        ("def f(:\n", "SyntaxError: invalid syntax"),
        ("x = 1\n", "no class in it derives from hotsocket.Handler"),
    ];
    let tried = if is_ci() { mistakes.len() } else { 1 };
    for (content, told) in mistakes.into_iter().take(tried) {
        let (_dir, path) = file("guest.py", content);
        let ran = build(&path, &output);
        if lacks_tools(&ran) {
            return;
        }
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains(told), "{}", ran.stderr);
        let place = path.display().to_string();
        assert!(
            ran.stderr.contains(&place) || content == "x = 1\n",
            "{}",
            ran.stderr
        );
        let last = ran.last_line();
        assert!(last.ends_with("does not compile: see the messages above"));
    }
}

/// In the directory where `hotsocket build` runs.
#[test]
fn a_module_that_is_called_like_one_of_pythons_own_is_not_imported() {
    if Fetched::Python.is_missing() {
        return;
    }
    let (_dir, path) = file("guest.py", "import nowhere\n");
    let here = temp_dir();
    fs::write(here.path().join("email.py"), "raise Exception('mine')\n").expect("written");
    let mut command = hotsocket();
    command.arg("build").arg(&path).current_dir(here.path());
    let ran = run_within(FIRST_BUILD, &mut command);
    if lacks_tools(&ran) {
        return;
    }
    assert_eq!(ran.code, 1, "{ran:?}");
    let own = "ModuleNotFoundError: No module named 'nowhere'";
    assert!(ran.stderr.contains(own), "{}", ran.stderr);
    let last = ran.last_line();
    assert!(
        last.ends_with("does not compile: see the messages above"),
        "{last}"
    );
    // What is installed was not taken for damaged.
    let cache = fs::read_dir(build_cache()).expect("a cache").flatten();
    let mut installed = cache.map(|entry| entry.path().join("complete"));
    assert!(installed.any(|marker| marker.exists()), "{}", ran.stderr);
}

/// CPython imports some of its own modules only when they are needed; then there is no
/// file any more.
#[test]
fn what_python_imports_late_is_there() {
    let Some(component) = built(&mishaps()) else {
        return;
    };
    let server = serve_large(component).start();
    server.connect().ask("late", "2026-11-26 b'6162' 2 a%20b");
}

/// Where the build does not see that a guest imports them, it gets none.
#[test]
fn topics_are_there_however_they_are_imported() {
    let Some(component) = built(&mishaps()) else {
        return;
    };
    let server = serve_large(component).start();
    server.connect().ask("publish", "no topic");
}

/// With the grant, a guest has Python's own sockets.
#[test]
fn python_connects_to_others_if_it_may() {
    let Some(component) = built(&mishaps()) else {
        return;
    };
    let other = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = other.local_addr().expect("an address").port();
    let order = format!("connect {port}");
    let without = serve_large(component.clone()).start();
    without.connect().ask(&order, "refused");
    let with = serve_large(component).arg("--allow-net").start();
    let mut client = with.connect();
    client.send(&order);
    let (mut accepted, _) = other.accept().expect("a connection");
    let mut question = [0; 10];
    accepted.read_exact(&mut question).expect("ten bytes");
    assert_eq!(&question, b"a question");
    accepted.write_all(b"an answer").expect("written");
    client.expect("an answer");
}

/// What is not an error in the guest's Python is left to that one.
#[test]
fn syntax_that_only_newer_python_has_is_not_refused() {
    if lacks_program("python3") {
        return;
    }
    let check = |content: &str| {
        let (_dir, path) = file("guest.py", content);
        let mut python = Command::new("python3");
        let script = repo("guest/python/check_syntax.py");
        run(python.arg("-I").arg(script).arg(path)).code
    };
    for newer in [
        "class A[T]:\n    pass\n",
        "type A = int\n",
        "x = f'{a['b']}'\n",
        "x = t'{a}'\n",
        "try:\n    pass\nexcept A, B:\n    pass\n",
        "try:\n    pass\nexcept* A:\n    pass\n",
        "x = a[*b]\n",
    ] {
        assert_eq!(check(newer), 0, "{newer}");
    }
    for wrong in ["def f(:\n", "x = (1\n", "if x:\ny = 1\n", "x = 'a\n"] {
        assert_eq!(check(wrong), 3, "{wrong}");
    }
}

#[test]
fn without_python_the_package_to_install_is_named() {
    let (dir, path) = file("guest.py", "");
    let mut command = hotsocket();
    command.arg("build").arg(&path).env("PATH", dir.path());
    command.env("XDG_CACHE_HOME", dir.path());
    let told = run(&mut command).failure(1);
    assert!(told.contains("`apt-get install python3-venv`"), "{told}");
}
