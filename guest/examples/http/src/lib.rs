//! An HTTP/1.1 server (RFC 9112): keep-alive, pipelining, chunked bodies, `Expect:
//! 100-continue`, and responses of any size that a swap does not interrupt.
//!
//! - `GET /`: a greeting, with the number of the request on its connection
//! - `GET /bytes/N`: so many bytes, see [`body::PATTERN`]
//! - `POST /echo`: the request's body, as it comes
//! - `POST /count`: how many bytes the body had
//!
//! Try it: `hotsocket serve guest/examples/http`, then in another terminal
//! `curl localhost:3000/bytes/2000000000 >/dev/null`, and swap meanwhile.
//!
//! - [`head`]: the head of a request; [`body`]: its body, and those of responses
//! - [`state`]: the snapshot

mod body;
mod head;
mod state;

use hotsocket_guest::{Connection, Handler, Snapshot, export};

use body::{Chunks, Decoded, PATTERN, Sizes};
use head::{Head, Parsed};

/// One connection.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// What has come and has not been looked at. At most a read of the host's, and a
    /// head or a line that is not complete.
    input: Vec<u8>,
    /// How much of it has been taken in this event.
    taken: usize,
    phase: Phase,
    /// Requests so far.
    requests: u64,
    /// This response is the last one.
    is_last: bool,
    /// It is not, and the client must be told so.
    keeps_alive: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Phase {
    /// The head of the next request comes.
    #[default]
    Head,
    /// The body of a request comes.
    Body {
        sizes: Sizes,
        reply: Reply,
        count: u64,
    },
    /// A response of so many bytes goes out, of which these are left.
    Sending { size: u64, left: u64 },
    /// The last response has been written.
    Over,
}

/// What is done with a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reply {
    /// It is sent back as it is.
    Echo,
    /// It is sent back in chunks, as its length is not known.
    EchoChunked,
    Count,
    Nothing,
    /// The same without its body: the request was HEAD.
    NothingShown,
}

impl Handler for Http {
    fn data(&mut self, conn: &Connection, bytes: &[u8]) {
        if self.phase != Phase::Over {
            self.input.extend_from_slice(bytes);
            self.go_on(conn);
        }
    }

    fn drained(&mut self, conn: &Connection) {
        self.go_on(conn);
    }

    fn end(&mut self, conn: &Connection) {
        // A client may end its side and wait for the response.
        match self.phase {
            Phase::Sending { .. } => {
                conn.hold_open();
                self.is_last = true;
            }
            _ => conn.end(),
        }
    }

    fn save(&self) -> Option<Snapshot> {
        Some(self.snapshot())
    }

    fn restore(&mut self, snapshot: Snapshot) -> Result<(), String> {
        *self = Self::from_snapshot(snapshot)?;
        Ok(())
    }
}

impl Http {
    /// Do as much as can be done now.
    fn go_on(&mut self, conn: &Connection) {
        loop {
            let goes_on = match &mut self.phase {
                Phase::Head => self.head(conn),
                Phase::Body { .. } => self.body(conn),
                Phase::Sending { .. } => self.send(conn),
                Phase::Over => false,
            };
            if !goes_on {
                break;
            }
        }
        if self.phase == Phase::Over {
            self.taken = self.input.len();
        }
        // Once, and not for each of thousands of small chunks.
        self.input.drain(..self.taken);
        self.taken = 0;
    }

    fn head(&mut self, conn: &Connection) -> bool {
        let head = match head::parse(&self.input[self.taken..]) {
            Parsed::Complete(head) => head,
            Parsed::Partial => return false,
            Parsed::Bad(status) => {
                self.is_last = true;
                return self.respond(conn, status, "", true);
            }
        };
        self.taken += head.length;
        self.requests += 1;
        (self.is_last, self.keeps_alive) = (head.closes, head.keeps_alive);
        self.route(conn, &head)
    }

    fn route(&mut self, conn: &Connection, head: &Head) -> bool {
        let shows = head.method != "HEAD";
        let reply = match (head.method.as_str(), head.path.as_str()) {
            ("POST", "/echo") if head.sizes == Sizes::Chunked(Chunks::Size) => Reply::EchoChunked,
            ("POST", "/echo") => Reply::Echo,
            ("POST", "/count") => Reply::Count,
            ("GET" | "HEAD", _) if head.sizes == Sizes::Left(0) => {
                let size = head.path.strip_prefix("/bytes/").map(str::parse::<u64>);
                return match (size, head.path.as_str()) {
                    (Some(Ok(size)), _) => {
                        conn.write(self.response("200 OK", &format!("Content-Length: {size}\r\n")));
                        let left = if shows { size } else { 0 };
                        self.phase = Phase::Sending { size, left };
                        true
                    }
                    (_, "/") => {
                        let text = format!("hello, request {}\n", self.requests);
                        self.respond(conn, "200 OK", &text, shows)
                    }
                    _ => self.respond(conn, "404 Not Found", "nothing here\n", shows),
                };
            }
            // The body is read, so that the next request is found after it.
            _ if !shows => Reply::NothingShown,
            _ => Reply::Nothing,
        };
        if head.expects_continue && self.taken == self.input.len() {
            conn.write("HTTP/1.1 100 Continue\r\n\r\n");
        }
        match (reply, &head.sizes) {
            (Reply::Echo, Sizes::Left(size)) => {
                conn.write(self.response("200 OK", &format!("Content-Length: {size}\r\n")));
            }
            (Reply::EchoChunked, _) => {
                conn.write(self.response("200 OK", "Transfer-Encoding: chunked\r\n"));
            }
            _ => {}
        }
        self.phase = Phase::Body {
            sizes: head.sizes.clone(),
            reply,
            count: 0,
        };
        true
    }

    fn body(&mut self, conn: &Connection) -> bool {
        let Phase::Body {
            sizes,
            reply,
            count,
        } = &mut self.phase
        else {
            return true;
        };
        let input = &self.input[self.taken..];
        let (taken, decoded) = sizes.decode(input);
        let mut ends = false;
        match decoded {
            Decoded::Data(range) => {
                *count += range.len() as u64;
                match reply {
                    Reply::Echo => _ = conn.write(&input[range]),
                    Reply::EchoChunked => {
                        conn.write(body::chunk(&input[range]));
                    }
                    Reply::Count | Reply::Nothing | Reply::NothingShown => {}
                }
            }
            Decoded::Nothing if taken == 0 => return false,
            Decoded::Nothing => {}
            Decoded::End => ends = true,
            // A response has begun, and there is no way to say so in its middle.
            Decoded::Bad if *reply == Reply::EchoChunked => {
                self.phase = Phase::Over;
                conn.end();
                return false;
            }
            Decoded::Bad => {
                self.is_last = true;
                return self.respond(conn, "400 Bad Request", "", true);
            }
        }
        self.taken += taken;
        if !ends {
            return true;
        }
        let text = format!("{count} bytes\n");
        match *reply {
            Reply::Echo => self.responded(conn),
            Reply::EchoChunked => {
                conn.write("0\r\n\r\n");
                self.responded(conn)
            }
            Reply::Count => self.respond(conn, "200 OK", &text, true),
            Reply::Nothing => self.respond(conn, "404 Not Found", "nothing here\n", true),
            Reply::NothingShown => self.respond(conn, "404 Not Found", "nothing here\n", false),
        }
    }

    /// As much of a long response as the peer takes for now.
    fn send(&mut self, conn: &Connection) -> bool {
        while let Phase::Sending { size, left } = &mut self.phase {
            if *left == 0 {
                return self.responded(conn);
            }
            let from = ((*size - *left) % PATTERN.len() as u64) as usize;
            let most = usize::try_from(*left).unwrap_or(usize::MAX);
            let piece = &PATTERN[from..];
            let piece = &piece[..piece.len().min(most)];
            *left -= piece.len() as u64;
            if !conn.write(piece) {
                // `drained` comes.
                return false;
            }
        }
        true
    }

    /// A whole response; `shows` its body, or only its length.
    fn respond(&mut self, conn: &Connection, status: &str, body: &str, shows: bool) -> bool {
        let length = format!("Content-Length: {}\r\n", body.len());
        let mut response = self.response(status, &length);
        if shows {
            response += body;
        }
        conn.write(response);
        self.responded(conn)
    }

    /// The head of a response. No Date: a guest without a clock must not send one (RFC
    /// 9110, section 6.6.1).
    fn response(&self, status: &str, headers: &str) -> String {
        let connection = match (self.is_last, self.keeps_alive) {
            (true, _) => "Connection: close\r\n",
            (false, true) => "Connection: keep-alive\r\n",
            (false, false) => "",
        };
        format!("HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n{headers}{connection}\r\n")
    }

    fn responded(&mut self, conn: &Connection) -> bool {
        self.phase = Phase::Head;
        if self.is_last {
            self.phase = Phase::Over;
            conn.end();
        }
        true
    }
}

export!(Http);

#[cfg(test)]
mod tests {
    use hotsocket_guest::testing::Session;

    use super::*;

    #[test]
    fn a_client_of_http_1_0_is_told_that_its_connection_is_kept() {
        let mut session = Session::<Http>::open();
        session.data("POST /count HTTP/1.0\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\n");
        let mut session = session.swap::<Http>().expect("the same code");
        let answer = session.data("x");
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.contains("\r\nConnection: keep-alive\r\n"),
            "{answer}"
        );
        assert!(!session.has_ended());
        let answer = session.data("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = String::from_utf8_lossy(&answer);
        assert!(!answer.contains("Connection"), "{answer}");
    }

    /// If the rest were moved for each, it would take minutes.
    #[test]
    fn small_chunks_cost_no_more_than_large_ones() {
        let mut session = Session::<Http>::open();
        session.data("POST /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
        let answer = session.data("1\r\na\r\n".repeat(500_000) + "0\r\n\r\n");
        assert!(answer.ends_with(b"\r\n\r\n500000 bytes\n"));
        assert!(session.handler.input.is_empty());
    }
}
