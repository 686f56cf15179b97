//! The head of a request: its first line and its fields.

use crate::body::{Chunks, Sizes};

/// A head may have so many bytes…
const MAX_LENGTH: usize = 16 * 1024;
/// …and so many fields.
const MAX_FIELDS: usize = 100;

/// What a request says before its body.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    /// In bytes, with the empty line.
    pub length: usize,
    pub method: String,
    /// Without the query.
    pub path: String,
    pub sizes: Sizes,
    /// The response is the last one of the connection.
    pub closes: bool,
    /// It is not, and a client of HTTP/1.0 must be told so.
    pub keeps_alive: bool,
    /// The client waits for leave to send the body.
    pub expects_continue: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Parsed {
    Complete(Head),
    /// More must come.
    Partial,
    /// The status of the response that ends the connection.
    Bad(&'static str),
}

/// Read a head, if it is there.
pub fn parse(input: &[u8]) -> Parsed {
    let mut fields = [httparse::EMPTY_HEADER; MAX_FIELDS];
    let mut request = httparse::Request::new(&mut fields);
    let length = match request.parse(input) {
        Ok(httparse::Status::Complete(length)) if length <= MAX_LENGTH => length,
        Ok(httparse::Status::Partial) if input.len() <= MAX_LENGTH => return Parsed::Partial,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            return Parsed::Bad("431 Request Header Fields Too Large");
        }
        Err(_) => return Parsed::Bad("400 Bad Request"),
    };
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Parsed::Bad("400 Bad Request");
    };
    let mut head = Head {
        length,
        method: method.to_owned(),
        path: path(target).to_owned(),
        sizes: Sizes::Left(0),
        closes: false,
        keeps_alive: false,
        expects_continue: false,
    };
    let (mut hosts, mut lengths) = (0, 0);
    let (mut is_chunked, mut keeps_alive) = (false, false);
    for field in request.headers.iter() {
        let value = trimmed(str::from_utf8(field.value).unwrap_or_default());
        let says = |word: &str| {
            value
                .split(',')
                .any(|one| trimmed(one).eq_ignore_ascii_case(word))
        };
        if field.name.eq_ignore_ascii_case("content-length") {
            // Digits only (RFC 9110, section 8.6): `parse` would take a sign.
            let digits = value.bytes().all(|byte| byte.is_ascii_digit());
            match value.parse() {
                Ok(size) if digits => head.sizes = Sizes::Left(size),
                _ => return Parsed::Bad("400 Bad Request"),
            }
            lengths += 1;
        } else if field.name.eq_ignore_ascii_case("transfer-encoding") {
            if is_chunked || !value.eq_ignore_ascii_case("chunked") {
                return Parsed::Bad("501 Not Implemented");
            }
            is_chunked = true;
        } else if field.name.eq_ignore_ascii_case("connection") {
            head.closes |= says("close");
            keeps_alive |= says("keep-alive");
        } else if field.name.eq_ignore_ascii_case("host") {
            hosts += 1;
        } else if field.name.eq_ignore_ascii_case("expect") {
            head.expects_continue = version == 1 && says("100-continue");
        }
    }
    if version == 0 {
        head.keeps_alive = keeps_alive && !head.closes;
        head.closes = !head.keeps_alive;
    }
    // For whom a request is must be certain (RFC 9112, section 3.2).
    if hosts > 1 || (hosts == 0 && version == 1) {
        return Parsed::Bad("400 Bad Request");
    }
    // Two lengths, or a length and chunks: one of those who read it may be deceived
    // (RFC 9112, section 6.3).
    if lengths > 1 || (is_chunked && (lengths > 0 || version == 0)) {
        return Parsed::Bad("400 Bad Request");
    }
    if is_chunked {
        head.sizes = Sizes::Chunked(Chunks::Size);
    }
    Parsed::Complete(head)
}

/// The path of a target, without the query. Clients of a proxy send a whole URL, which every
/// server must take (RFC 9112, section 3.2.2).
fn path(target: &str) -> &str {
    let path = target.split('?').next().unwrap_or_default();
    match path.split_once("://") {
        Some((_, rest)) if !path.starts_with('/') => rest.find('/').map_or("/", |at| &rest[at..]),
        _ => path,
    }
}

/// Without the white space that may be around a value: `str::trim` takes more for such, and
/// others who read the request do not.
pub fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(fields: &str) -> Result<Sizes, &'static str> {
        match parse(format!("POST /echo?x HTTP/1.1\r\nHost: x\r\n{fields}\r\n").as_bytes()) {
            Parsed::Complete(head) => Ok(head.sizes),
            Parsed::Bad(status) => Err(status),
            Parsed::Partial => panic!("it is complete"),
        }
    }

    #[test]
    fn a_body_has_one_length() {
        assert_eq!(sizes(""), Ok(Sizes::Left(0)));
        assert_eq!(sizes("Content-Length: 12\r\n"), Ok(Sizes::Left(12)));
        let chunked = "Transfer-Encoding: chunked\r\n";
        assert_eq!(sizes(chunked), Ok(Sizes::Chunked(Chunks::Size)));
        for bad in ["+1", "-1", "1 2", "", "0x1", "1,1", "99999999999999999999"] {
            let field = format!("Content-Length: {bad}\r\n");
            assert_eq!(sizes(&field), Err("400 Bad Request"), "{bad}");
        }
        let two = "Content-Length: 1\r\nContent-Length: 1\r\n";
        assert_eq!(sizes(two), Err("400 Bad Request"));
        let both = format!("Content-Length: 1\r\n{chunked}");
        assert_eq!(sizes(&both), Err("400 Bad Request"));
        assert_eq!(
            sizes("Transfer-Encoding: gzip\r\n"),
            Err("501 Not Implemented")
        );
        // White space of Unicode is none of HTTP.
        assert_eq!(
            sizes("Transfer-Encoding: \u{a0}chunked\r\n"),
            Err("501 Not Implemented")
        );
    }

    #[test]
    fn connections_close_as_the_version_and_the_client_say() {
        // Whether the connection is closed, and whether the client must be told that it is not.
        let after = |version: &str, fields: &str| {
            let text = format!("GET / HTTP/{version}\r\nHost: x\r\n{fields}\r\n");
            match parse(text.as_bytes()) {
                Parsed::Complete(head) => (head.closes, head.keeps_alive),
                other => panic!("{other:?}"),
            }
        };
        let (close, keep) = ("Connection: x, Close\r\n", "Connection: Keep-Alive\r\n");
        assert_eq!(after("1.1", ""), (false, false));
        assert_eq!(after("1.1", keep), (false, false));
        assert_eq!(after("1.0", ""), (true, false));
        assert_eq!(after("1.0", keep), (false, true));
        for version in ["1.0", "1.1"] {
            assert_eq!(after(version, close), (true, false));
            for both in [[close, keep].concat(), [keep, close].concat()] {
                assert_eq!(after(version, &both), (true, false), "{both}");
            }
        }
        let other = "Connection: close\r\nConnection: TE\r\n";
        assert_eq!(after("1.1", other), (true, false));
    }

    #[test]
    fn a_request_has_one_host() {
        let parsed = |text: &str| parse(text.as_bytes());
        for bad in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n",
        ] {
            assert_eq!(parsed(bad), Parsed::Bad("400 Bad Request"), "{bad}");
        }
        for good in ["GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
            assert!(matches!(parsed(good), Parsed::Complete(_)), "{good}");
        }
    }

    #[test]
    fn a_target_may_be_a_whole_url() {
        assert_eq!(path("/a/b?c"), "/a/b");
        assert_eq!(path("http://x:80/a/b?c"), "/a/b");
        assert_eq!(path("HTTPS://x?/c"), "/");
        assert_eq!(path("/a?http://x/b"), "/a");
        assert_eq!(path("/http://x/b"), "/http://x/b");
        assert_eq!(path("*"), "*");
    }

    #[test]
    fn long_heads_are_refused() {
        let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(MAX_LENGTH));
        let status = "431 Request Header Fields Too Large";
        assert_eq!(parse(long.as_bytes()), Parsed::Bad(status));
        let many = format!("GET / HTTP/1.1\r\n{}", "a: b\r\n".repeat(MAX_FIELDS + 1));
        assert_eq!(parse(many.as_bytes()), Parsed::Bad(status));
        assert_eq!(parse(b"GET / HTTP/1.1\r\nHost"), Parsed::Partial);
    }
}
