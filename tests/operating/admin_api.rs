//! The inspector's API: who may ask for what, what actions answer, and what clients with
//! and without the token may not do.

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use super::{Answer, address, connect, get, get_with, request};
use crate::harness::{Serve, Server, prebuilt, serve, wait_for};

pub(super) const TOKEN: &str = "0123456789abcdef";

/// A server, its admin address, and what a page of it sends.
pub(super) struct Api {
    pub(super) server: Server,
    pub(super) admin: SocketAddr,
}

impl Api {
    pub(super) fn start(args: &[&str]) -> Self {
        Self::of(serve(prebuilt("echo")), args)
    }

    fn of(serve: Serve, args: &[&str]) -> Self {
        let file = token_file(&serve, TOKEN, 0o600);
        let server = serve
            .args(&["--admin", "127.0.0.1:0", "--admin-token-file", &file])
            .args(args)
            .start();
        let admin = address(&server);
        Api { server, admin }
    }

    /// A request as the page sends it, with these headers as well.
    pub(super) fn send(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut stream = connect(self.admin);
        let host = self.admin;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).expect("it is taken");
        // One that is refused is not read.
        let _ = stream.write_all(body);
        Answer::read(stream)
    }

    pub(super) fn post(&self, path: &str, body: &[u8]) -> (u16, Value) {
        let answer = self.send("POST", path, &bearer(TOKEN), body);
        (answer.status, json(&answer))
    }
}

fn token_file(serve: &Serve, text: &str, mode: u32) -> String {
    let path = serve.path("token");
    fs::write(&path, text).expect("writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("ours");
    path.display().to_string()
}

pub(super) fn bearer(token: &str) -> String {
    format!("Authorization: Bearer {token}\r\n")
}

pub(super) fn json(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("no JSON: {answer:?}"))
}

/// Every path, with its method, and whether it needs the token.
const PATHS: [(&str, &str, bool); 10] = [
    ("GET", "/api/session", false),
    ("HEAD", "/api/session", false),
    ("GET", "/api/connections", false),
    ("GET", "/api/history", false),
    ("GET", "/api/topics", false),
    ("POST", "/api/swap", true),
    ("POST", "/api/rollback", true),
    ("GET", "/api/tap?connection=1", true),
    ("POST", "/api/tap/0123", true),
    ("GET", "/api/log", true),
];

#[test]
fn every_path_asks_for_the_token_that_needs_it() {
    let api = Api::start(&[]);
    let longer = format!("{TOKEN}0");
    let basic = "Authorization: Basic MDEyMzQ1Njc4OWFiY2RlZg==\r\n".to_owned();
    let twice = bearer(TOKEN).repeat(2);
    let wrong = [String::new(), bearer(""), bearer(&longer), basic, twice];
    for (method, path, needs_token) in PATHS {
        for headers in &wrong {
            let answer = api.send(method, path, headers, b"");
            let expected = if needs_token { 401 } else { 200 };
            assert_eq!(answer.status, expected, "{method} {path} with {headers:?}");
            if needs_token {
                assert!(answer.headers.contains("www-authenticate: bearer"));
                let error = json(&answer)["error"].to_string();
                assert!(error.contains("hotsocket open"), "{error}");
            }
        }
        if path != "/api/log" {
            let answer = api.send(method, path, &bearer(TOKEN), b"");
            assert_ne!(answer.status, 401, "{method} {path}");
        }
    }
    let session = |headers: &str| json(&api.send("GET", "/api/session", headers, b""));
    assert_eq!(session("")["token"], false);
    assert_eq!(session(&bearer(TOKEN))["token"], true);
    assert_eq!(session("")["server"], "guest");
    assert_eq!(api.server.history().len(), 1, "nothing was done");
}

#[test]
fn pages_of_other_sites_are_refused_even_with_the_token() {
    let api = Api::start(&[]);
    let own = format!("Origin: http://{}\r\n", api.admin);
    let foreign = [
        "Origin: http://example.com\r\n".to_owned(),
        "Origin: null\r\n".to_owned(),
        format!("Origin: https://{}\r\n", api.admin),
        format!("Origin: http://localhost:{}\r\n", api.admin.port()),
        own.repeat(2),
        "Sec-Fetch-Site: cross-site\r\n".to_owned(),
        "Sec-Fetch-Site: same-site\r\n".to_owned(),
        format!("{own}Sec-Fetch-Site: cross-site\r\n"),
    ];
    for (method, path, _) in PATHS {
        for headers in &foreign {
            let headers = format!("{headers}{}", bearer(TOKEN));
            let answer = api.send(method, path, &headers, b"");
            assert_eq!(answer.status, 403, "{method} {path} with {headers:?}");
        }
        let other = format!("{method} {path} HTTP/1.1\r\nHost: example.com\r\n");
        let other = format!(
            "{other}Content-Length: 0\r\nConnection: close\r\n{}",
            bearer(TOKEN)
        );
        assert_eq!(request(api.admin, &format!("{other}\r\n")).status, 403);
    }
    let headers = format!("{own}Sec-Fetch-Site: same-origin\r\n{}", bearer(TOKEN));
    let answer = api.send("POST", "/api/rollback", &headers, b"");
    assert_eq!(answer.status, 409, "{answer:?}");
}

#[test]
fn other_methods_are_refused_and_nothing_is_shared_with_other_sites() {
    let api = Api::start(&[]);
    for (right, path, _) in PATHS {
        for method in ["OPTIONS", "PUT", "DELETE", "PATCH", "POST", "GET"] {
            let path = path.split('?').next().expect("a path");
            if method == right || right == "HEAD" {
                continue;
            }
            let answer = api.send(method, path, &bearer(TOKEN), b"");
            assert_eq!(answer.status, 405, "{method} {path}");
            assert!(answer.headers.contains("allow: "), "{method} {path}");
            assert!(!answer.headers.contains("access-control"), "{answer:?}");
        }
    }
    for path in ["/api/", "/api/nothing", "/api/swap/x", "/api"] {
        assert_eq!(get(api.admin, path).status, 404, "{path}");
    }
}

#[test]
fn every_answer_has_the_headers_that_keep_a_page_safe() {
    let api = Api::start(&[]);
    let html = "Host: localhost\r\nAccept: text/html,*/*;q=0.8\r\n";
    for path in ["/", "/page/app.js", "/api/session", "/status", "/nothing"] {
        let answer = get_with(api.admin, path, html);
        for header in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';",
            "frame-ancestors 'none'",
            "referrer-policy: no-referrer",
            "x-content-type-options: nosniff",
            "cross-origin-opener-policy: same-origin",
            "cross-origin-resource-policy: same-origin",
        ] {
            assert!(answer.headers.contains(header), "{path}: {answer:?}");
        }
        assert!(!answer.headers.contains("unsafe"), "{answer:?}");
        assert!(!answer.headers.contains("set-cookie"), "{answer:?}");
    }
    let page = get_with(api.admin, "/", html);
    assert!(page.headers.contains("content-type: text/html"));
    assert!(get(api.admin, "/").headers.contains("text/plain"));
    let tag = page
        .headers
        .lines()
        .find_map(|it| it.strip_prefix("etag: "));
    let known = format!("{html}If-None-Match: {}\r\n", tag.expect("a tag"));
    assert_eq!(get_with(api.admin, "/", &known).status, 304);
    assert_eq!(get(api.admin, "/page/../secret").status, 404);
}

#[test]
fn requests_in_one_another_are_not_taken_for_others() {
    let api = Api::start(&[]);
    let inner = format!(
        "POST /api/rollback HTTP/1.1\r\nHost: localhost\r\n{}\r\n",
        bearer(TOKEN)
    );
    for outer in [
        // Refused before its body, which would be a request.
        format!("Content-Length: {}\r\n", inner.len()),
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n".to_owned(),
        "Content-Length: 5\r\nContent-Length: 6\r\n".to_owned(),
        "Transfer-Encoding: identity, chunked, x\r\n".to_owned(),
    ] {
        let head = format!("POST /api/swap HTTP/1.1\r\nHost: localhost\r\n{outer}\r\n");
        let answer = request(api.admin, &(head + &inner));
        assert!(matches!(answer.status, 400 | 401), "{answer:?}");
        assert_eq!(answer.body.matches("HTTP/1.1").count(), 0, "{answer:?}");
    }
    // Two that may be sent at once: an action is the last of its connection.
    let answer = request(api.admin, &inner.repeat(3));
    assert_eq!(answer.status, 409);
    assert_eq!(answer.body.matches("HTTP/1.1").count(), 0, "{answer:?}");
}

#[test]
fn lists_are_those_of_the_commands() {
    let api = Api::start(&[]);
    let mut clients = [api.server.connect(), api.server.connect()];
    clients[0].ask("x", "x");
    clients[1].ask("12345", "12345");
    let list = |path: &str| json(&get(api.admin, path));
    let rows = || list("/api/connections?sort=received&rows=1");
    // A session says how far it is when it comes to rest.
    wait_for("the last answer to be counted", || {
        rows()["connections"][0]["received"] == 5
    });
    let rows = rows();
    assert_eq!((&rows["open"], &rows["matching"]), (&2.into(), &2.into()));
    assert_eq!(rows["connections"].as_array().map(Vec::len), Some(1));
    let none = list("/api/connections?filter=nothing%20has%20this&service=guest");
    assert_eq!((&none["open"], &none["matching"]), (&2.into(), &0.into()));
    assert_eq!(list("/api/history"), api.server.ask_json(&["history"]));
    assert_eq!(list("/api/topics"), api.server.ask_json(&["topics"]));
    for wrong in [
        "connections?sort=x",
        "connections?rows=x",
        "history?service=x",
    ] {
        let answer = get(api.admin, &format!("/api/{wrong}"));
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(json(&answer)["error"].is_string());
    }
}

#[test]
fn lists_of_connections_are_made_two_at_a_time() {
    let api = Api::start(&["--admin-clients", "200"]);
    let clients: Vec<_> = (0..1000).map(|_| api.server.connect()).collect();
    let list = |query: &str| json(&get(api.admin, &format!("/api/connections{query}")));
    wait_for("all to be open", || list("?rows=1")["open"] == 1000);
    let tasks = format!("/proc/{}/task", api.server.pid());
    let threads = || {
        let tasks = fs::read_dir(&tasks).expect("it runs").flatten();
        let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name == "connections\n").count()
    };
    let ask = b"GET /api/connections HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let mut most = 0;
    for _ in 0..5 {
        let mut viewers: Vec<_> = (0..100).map(|_| connect(api.admin)).collect();
        for viewer in &mut viewers {
            viewer.write_all(ask).expect("it is taken");
        }
        // All of them go before there is an answer.
        drop(viewers);
        most = (0..50).map(|_| threads()).fold(most, usize::max);
    }
    // With those that have just made their list, and end.
    assert!(most <= 8, "{most} at once");
    assert_eq!(list("")["connections"].as_array().map(Vec::len), Some(1000));
    drop(clients);
}

#[test]
fn a_token_file_is_checked_at_the_start() {
    let fails = |text: &str| {
        let serve = serve(prebuilt("echo"));
        let file = token_file(&serve, text, 0o600);
        let args = ["--admin", "127.0.0.1:0", "--admin-token-file", &file];
        serve.args(&args).fail().failure(1)
    };
    for wrong in ["", "\n", "short\n", "0123456789abcdef\nsecond line\n"] {
        let error = fails(wrong);
        assert!(error.contains("--admin-token-file"), "{error}");
        assert!(!error.contains("0123456789abcdef"), "{error}");
    }
    let args = ["--admin", "127.0.0.1:0", "--admin-token-file", "none"];
    let error = serve(prebuilt("echo")).args(&args).fail().failure(1);
    assert!(error.contains("none: "), "{error}");

    let readable = serve(prebuilt("echo"));
    let file = token_file(&readable, TOKEN, 0o644);
    let args = ["--admin", "127.0.0.1:0", "--admin-token-file", &file];
    let server = readable.args(&args).start();
    server.stderr.wait("others can read");

    // It can be changed, and what is no token changes nothing.
    let admin = address(&server);
    let is_right = |token: &str| {
        let headers = format!("Host: localhost\r\n{}", bearer(token));
        json(&get_with(admin, "/api/session", &headers))["token"] == true
    };
    assert!(is_right(TOKEN));
    fs::write(&file, "short").expect("writable");
    server.stderr.wait("the token before stays");
    assert!(is_right(TOKEN));
    let other = "fedcba9876543210";
    fs::write(&file, other).expect("writable");
    server.stderr.wait("the admin address has another token");
    assert!(is_right(other) && !is_right(TOKEN));
    let log = server.stop().stderr;
    assert!(!log.contains(TOKEN) && !log.contains(other), "{log}");
}
