//! Scripts that are swapped or put to sleep, or whose socket is destroyed, while the peer is
//! in the middle of something.

use super::{component_of, converse};

/// It reads four characters at a time.
const FOURS: &str = r#"
require('net').createServer((socket) => {
  socket.setEncoding('latin1');
  socket.hotsocket.save(() => 'state');
  socket.on('readable', () => {
    let four;
    while ((four = socket.read(4)) !== null) {
      socket.write(Buffer.from(`${socket.hotsocket.resumed} ${four}\n`, 'latin1'));
      if (four === 'over') socket.destroy();
    }
  });
}).listen(3000);
"#;

#[test]
fn bytes_that_wait_in_the_stream_go_along() {
    let Some(component) = component_of("fours", FOURS) else {
        return;
    };
    converse(
        component,
        r#"
        send "abcde" hex e9
        expect "false abcd\n"
        swap
        send "g"
        expect nothing
        send "hij"
        expect "migrated e" hex e9 "gh\n"
        wait 1s
        send "kl"
        expect "woken ijkl\n"
        "#,
    );
}

#[test]
fn a_peer_that_goes_on_sending_to_a_destroyed_socket_is_reset() {
    let Some(component) = component_of("fours", FOURS) else {
        return;
    };
    converse(
        component,
        r#"
        early: send "over"
        early: expect "false over\n"
        late: send "over"
        late: expect "false over\n"
        wait 4s
        early: send "more"
        early: expect end
        wait 2s
        late: send "more"
        late: expect reset
        "#,
    );
}

#[test]
fn nothing_that_a_destroyed_socket_has_not_read_goes_along() {
    let Some(component) = component_of("fours", FOURS) else {
        return;
    };
    converse(
        component,
        r#"
        send "overabcd"
        expect "false over\n"
        swap
        expect end
        "#,
    );
}

/// It has bytes for a successor that are none of a character, and an idle time that is set
/// after the connection callback.
const BYTES: &str = r#"
require('net').createServer((socket) => {
  socket.hotsocket.save(() => 'state');
  socket.on('timeout', () => {});
  socket.on('data', (data) => {
    socket.setTimeout(1000);
    socket.write(`${socket.hotsocket.resumed} ${data}\n`);
    if (String(data).startsWith('pause')) {
      socket.pause();
      socket.unshift(data.subarray(5));
    }
  });
}).listen(3000);
"#;

#[test]
fn bytes_go_along_as_buffers_and_an_idle_time_may_be_over_before_sleep() {
    let Some(component) = component_of("bytes", BYTES) else {
        return;
    };
    converse(
        component,
        r#"
        idle: send "x"
        idle: expect "false x\n"
        wait 3s
        idle: send "y"
        idle: expect "woken y\n"
        paused: send "pausemore"
        paused: expect "false pausemore\n"
        swap
        paused: expect "migrated more\n"
        "#,
    );
}

/// Of its answers some come late, or never.
const SERVER: &str = r#"
const http = require('http');
const server = http.createServer({ keepAliveTimeout: 0 }, (req, res) => {
  res.sendDate = false;
  if (req.url === '/slow') setTimeout(() => res.end('slow'), 10_000);
  if (req.url === '/begun') res.write('begun');
  if (req.url === '/early') {
    server.keepAliveTimeout = 2000;
    res.end('early');
  }
  if (req.url === '/') {
    req.resume();
    req.on('end', () => res.end(String(req.socket.hotsocket.resumed)));
  }
});
server.on('connection', (socket) => socket.hotsocket.save(() => 'state'));
server.listen(3000);
"#;

/// The head of an answer with a body of so many bytes.
fn head(length: usize) -> String {
    format!(r"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: {length}\r\n\r\n")
}

#[test]
fn what_is_left_of_a_request_is_no_request_to_new_code() {
    const REST: &str = r"GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    const REFUSED: &str = r"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    let Some(component) = component_of("http_midway", SERVER) else {
        return;
    };
    let (five, eight) = (head(5), head(8));
    let conversation = format!(
        r#"
        body: send "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nab"
        head: send "GET / HTTP/1.1\r\nHo"
        line: send "GE"
        slow: send "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
        begun: send "GET /begun HTTP/1.1\r\nHost: x\r\n\r\n"
        begun: expect "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n"
        early: send "POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nab"
        early: expect "{five}early"
        last: send "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        last: expect "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nfalse"
        last: expect end
        between: send "{REST}"
        between: expect "{five}false"
        swap
        body: expect "{REFUSED}"
        body: expect end
        body: send "{REST}"
        head: expect "{REFUSED}"
        head: expect end
        line: expect "{REFUSED}"
        line: expect end
        slow: expect "{REFUSED}"
        slow: expect end
        begun: expect end
        early: expect end
        early: send "{REST}"
        last: send "{REST}"
        between: send "{REST}"
        between: expect "{eight}migrated"
        "#
    );
    converse(component, &conversation);
}

#[test]
fn a_request_that_is_not_over_keeps_the_instance_awake() {
    let Some(component) = component_of("http_midway", SERVER) else {
        return;
    };
    let (four, five) = (head(4), head(5));
    let conversation = format!(
        r#"
        send "GET / HTTP/1.1\r\nHo"
        wait 1s
        send "st: x\r\n\r\n"
        expect "{five}false"
        wait 1s
        send "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na"
        wait 1s
        send "b"
        expect "{five}woken"
        wait 1s
        send "GET /slow HTTP/1.1\r\nHost: x\r\n\r\n"
        wait 10s
        expect "{four}slow"
        "#
    );
    converse(component, &conversation);
}

#[test]
fn a_connection_is_kept_alive_while_a_request_comes() {
    let Some(component) = component_of("http_midway", SERVER) else {
        return;
    };
    let (five, early) = (head(5), r"/early HTTP/1.1\r\nHost: x\r\n");
    let conversation = format!(
        r#"
        send "POST {early}Content-Length: 2\r\n\r\n"
        expect "{five}early"
        wait 1500ms
        send "ab"
        wait 1500ms
        send "POST {early}"
        wait 1500ms
        send "Content-Length: 2\r\n\r\n"
        expect "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=2\r\nContent-Length: 5\r\n\r\nearly"
        wait 1900ms
        expect nothing
        wait 200ms
        expect end
        "#
    );
    converse(component, &conversation);
}
