//! Scripts for Node's `http` get the requests here that they get under Node, and send the
//! same answers.

use super::same_as_node::Step::{self, End, Printed, Read, Send, Taken};
use super::same_as_node::same_as_node;

#[test]
fn a_small_http_server_is_the_same() {
    same_as_node(
        "http.js",
        "gone",
        &[
            &[
                Send(b"GET / HTTP/1.1\r\nHost: x\r\n"),
                Taken,
                Send(b"Connection: close\r\n\r\n"),
            ],
            &[
                Send(b"GET /data HTTP/1.1\r\n\r\nGET /no HTTP/1.1\r\n\r\n"),
                Printed("sent 404", 1),
                Send(b"POST /p HTTP/1.1\r\nContent-Length: 5\r\n\r\nhe"),
                Taken,
                Send(b"llo"),
                Printed("sent 200", 3),
                End,
            ],
        ],
    );
}

#[test]
fn a_server_on_http_is_the_same() {
    const LAST: &[u8] = b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    same_as_node(
        "node_http.js",
        "gone",
        &[
            &[
                Send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /head HTTP/1.1\r\nHost: x\r\n\r\n"),
                Printed("close /head", 1),
                Send(b"GET /chunks HTTP/1.1\r\nHost: x\r\n\r\nGET /empty HTTP/1.1\r\nHost: x\r\n\r\n"),
                Printed("close /empty", 1),
                Send(LAST),
            ],
            &[
                // Together: what comes after the answer would be another order.
                Send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
            ],
            &[
                Send(b"HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /204 HTTP/1.1\r\nHost: x\r\n\r\n"),
                Printed("close /204", 1),
                Send(LAST),
            ],
            &[
                Send(b"POST /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhe"),
                Taken,
                Send(b"llo"),
            ],
            &[
                Send(b"POST /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab"),
                Taken,
                Send(b"c\r\n2\r\nde\r\n0\r\n\r\n"),
            ],
            &[
                Send(b"POST /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
                Read(25),
                Send(b"ok"),
            ],
            &[Send(b"GET /hello HTTP/1.0\r\n\r\n")],
            &[Send(b"GET /hello HTTP/1.1\r\n\r\n")],
            &[
                Send(b"GET /throw HTTP/1.1\r\nHost: x\r\nCookie: a=1\r\nCookie: b=2\r\nX: 1\r\nX: 2\r\nContent-Type: a\r\nContent-Type: b\r\n\r\n"),
                Printed("close /throw", 1),
                Send(LAST),
            ],
            &[Send(b"garbage\r\n\r\n")],
            &[Send(b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")],
        ],
    );
}

#[test]
fn what_is_large_or_malformed_on_http_is_the_same() {
    const LAST: &[u8] = b"GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let get = |header: &str| format!("GET /hello HTTP/1.1\r\nHost: x\r\n{header}\r\n");
    let post = |header: &str, body: &str| {
        format!("POST /length HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{header}\r\n{body}")
    };
    let chunks = format!("400\r\n{}\r\n", "x".repeat(1024)).repeat(20) + "0\r\n\r\n";
    let pipelined = get(&format!("X: {}\r\n", "x".repeat(700))).repeat(28);
    // Each comes in one read. The first two are answered, and the others refused.
    let alone = [
        post("Content-Length: 20000\r\n", &"x".repeat(20_000)),
        post("Transfer-Encoding: chunked\r\n", &chunks),
        post("Content-Length : 34\r\n", &"x".repeat(34)),
        post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        post("Content-Length: 3\r\n 4\r\n", &"x".repeat(34)),
        get("no colon\r\n"),
        get(": no name\r\n"),
        get("X(Y): 1\r\n"),
        get("X: \0\r\n"),
        "GET /hello HTTP/1.1\r\n Host: x\r\nHost: x\r\n\r\n".to_owned(),
        get(&format!("X: {}\r\n", "x".repeat(17_000))),
    ];
    let mut conversations = Vec::from(alone.map(|text| vec![Send(leaked(text))]));
    conversations.push(vec![
        Send(leaked(pipelined)),
        Printed("close /hello", 28),
        Send(LAST),
    ]);
    let conversations: Vec<&[Step]> = conversations.iter().map(Vec::as_slice).collect();
    same_as_node("node_http.js", "gone", &conversations);
}

#[test]
fn the_limit_of_a_head_holds_for_each_request_as_in_node() {
    const LAST: &str = "GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let header = |size: usize| format!("X: {}\r\n", "x".repeat(size));
    let get = |header: &str| format!("GET /get HTTP/1.1\r\nHost: x\r\n{header}");
    // After the first chunk.
    let chunked = |more: &str| {
        let head = "POST /chunks HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
        leaked(format!("{head}3\r\nabc\r\n{more}"))
    };
    let (head, body) = (header(800), "x".repeat(2000));
    let long = format!("POST /p HTTP/1.1\r\nHost: x\r\n{head}Content-Length: 2000\r\n\r\n{body}");
    same_as_node(
        "http_heads.js",
        "gone",
        &[
            &[Send(leaked(long.repeat(2) + LAST))],
            &[
                Send(leaked(get("\r\n"))),
                Printed("answered /get", 1),
                Send(leaked(get(&(header(1200) + "\r\n")))),
            ],
            // In pieces, of which none is too long.
            &[
                Send(leaked(get(&header(500)))),
                Taken,
                Send(leaked(header(400))),
                Taken,
                Send(leaked(header(300))),
            ],
            // A line that does not end.
            &[
                Send(leaked(get("X: 1"))),
                Taken,
                Send(leaked("x".repeat(1200))),
            ],
            &[Send(chunked(&format!("0\r\n{head}\r\n{LAST}")))],
            &[Send(chunked(&format!("0\r\n{head}{head}\r\n")))],
            &[Send(chunked("0\r\nX : 1\r\n\r\n"))],
            // What comes with the size of a chunk has a limit of its own.
            &[Send(chunked(&format!("0;{body}\r\n{head}\r\n{LAST}")))],
            &[Send(chunked(&format!("3;{}\r\nabc\r\n", body.repeat(9))))],
            // Node says what was wrong with a request after its connection has gone; of this
            // one there is nothing to say.
            &[Send(LAST.as_bytes())],
        ],
    );
}

#[test]
fn what_proxies_may_read_in_another_way_is_refused_as_in_node() {
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    const LAST: &str = "Connection: close\r\n";
    let get = |target: &str, headers: &str| {
        leaked(format!("GET {target} HTTP/1.1\r\nHost: x\r\n{headers}\r\n"))
    };
    let post = |headers: &str, body: &str| {
        leaked(format!(
            "POST /length HTTP/1.1\r\nHost: x\r\n{headers}\r\n{body}"
        ))
    };
    let chunks = |body: &str| post(CHUNKED, body);
    let after = |head: &str| leaked(format!("{head}\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    // Each comes in one read.
    let refused = [
        b"GET /hello HTTP/1.1\nHost: x\r\n\r\n".as_slice(),
        b"GET /hello HTTP/1.1\r\nHost: x\r\n\n",
        get("/hello", "X: 1\n"),
        chunks("5\nhello\r\n0\r\n\r\n"),
        chunks("5;a\nhello\r\n0\r\n\r\n"),
        chunks("5\r\nhello\n0\r\n\r\n"),
        chunks("5 \r\nhello\r\n0\r\n\r\n"),
        chunks("5\r\nhellox\r\n"),
        chunks("5; a\r\nhello\r\n"),
        chunks("0\r\n\n"),
        chunks("0\r\nX: 1\n\r\n"),
        post("Content-Length: 2\r\nContent-Length: 2\r\n", "hi"),
        post(&CHUNKED.repeat(2), "2\r\nhi\r\n0\r\n\r\n"),
        post("Content-Length: 18446744073709551617\r\n", "x"),
        get("/a\u{1}b", ""),
        get("/a\rb", ""),
        get("/\u{e9}", ""),
        get("foo", ""),
        get("?x", ""),
        get("a:/b", ""),
        get("http://a\"b/", ""),
        b"CONNECT a\x01:1 HTTP/1.1\r\nHost: x\r\n\r\n",
        // After the last request.
        after("GET /silent HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"),
        after("GET /silent HTTP/1.0\r\n"),
    ];
    let accepted = [
        post(
            &format!("{CHUNKED}{LAST}"),
            "005;a=b;c=\"d e\"\r\nhello\r\n0\r\nX: 1\r\n\r\n",
        ),
        b"QUERY /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
        get(
            "http://a.b:80/hello?x#y",
            &format!("{LAST}constructor: a\r\n"),
        ),
        b"\n\r\nGET /cork HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n\r\n",
        // Nobody listens to 'upgrade'.
        post(
            &format!("{CHUNKED}Connection: upgrade, close\r\nUpgrade: h2c\r\n"),
            "5\r\nhello\r\n0\r\n\r\n",
        ),
    ];
    let alone = refused.into_iter().chain(accepted);
    let mut conversations: Vec<Vec<Step>> = alone.map(|bytes| vec![Send(bytes)]).collect();
    conversations.push(vec![
        Send(post(&format!("{CHUNKED}{LAST}"), "5")),
        Taken,
        Send(b"\r"),
        Taken,
        Send(b"\nhello\r"),
        Taken,
        Send(b"\n0\r\n\r"),
        Taken,
        Send(b"\n"),
    ]);
    conversations.push(vec![
        Send(b"GET /hello HTTP/1.1\r\nHost: x"),
        Taken,
        Send(b"\n\r\n"),
    ]);
    // The second must wait for its turn to be told to continue.
    conversations.push(vec![
        Send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\nPOST /p HTTP/1.1\r\nHost: x\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"),
        Printed("close /slow", 1),
        Send(b"hi"),
    ]);
    let conversations: Vec<&[Step]> = conversations.iter().map(Vec::as_slice).collect();
    same_as_node("node_http.js", "gone", &conversations);
}

#[test]
fn clients_that_go_away_are_noticed_as_in_node() {
    const SILENT: &str = "GET /silent HTTP/1.1\r\nHost: x\r\n\r\n";
    same_as_node(
        "node_http.js",
        "gone",
        &[
            &[Send(SILENT.as_bytes()), Printed("GET /silent", 1), End],
            &[
                Send(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n"),
                Printed("GET /never", 1),
                End,
            ],
            &[
                Send(leaked(SILENT.repeat(2))),
                Printed("GET /silent", 3),
                End,
            ],
            &[
                Send(b"POST /p HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhe"),
                Printed("data he", 1),
                End,
            ],
            &[
                Send(b"POST /p HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe"),
                Printed("data he", 2),
                End,
            ],
            &[Send(b"GET /hello HT"), Taken, End],
            &[Send(b"GET /hello HTTP/1.1\r\nHo"), Taken, End],
            &[
                Send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\nGET /he"),
                Printed("close /hello", 1),
                End,
            ],
            &[Send(b"\r\n"), Taken, End],
        ],
    );
}

/// To be sent, by steps that have no owner.
fn leaked(text: String) -> &'static [u8] {
    text.leak().as_bytes()
}
