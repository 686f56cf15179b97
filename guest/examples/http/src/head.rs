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
        path: target.split('?').next().unwrap_or_default().to_owned(),
        sizes: Sizes::Left(0),
        closes: version == 0,
        expects_continue: false,
    };
    let mut lengths = 0;
    let mut is_chunked = false;
    for field in request.headers.iter() {
        let value = str::from_utf8(field.value).unwrap_or_default().trim();
        let says = |word: &str| {
            value
                .split(',')
                .any(|one| one.trim().eq_ignore_ascii_case(word))
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
            head.closes = says("close") || (version == 0 && !says("keep-alive"));
        } else if field.name.eq_ignore_ascii_case("expect") {
            head.expects_continue = version == 1 && says("100-continue");
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(fields: &str) -> Result<Sizes, &'static str> {
        match parse(format!("POST /echo?x HTTP/1.1\r\n{fields}\r\n").as_bytes()) {
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
    }

    #[test]
    fn connections_close_as_the_version_and_the_client_say() {
        let closes = |text: &str| match parse(text.as_bytes()) {
            Parsed::Complete(head) => head.closes,
            other => panic!("{other:?}"),
        };
        assert!(!closes("GET / HTTP/1.1\r\n\r\n"));
        assert!(closes("GET / HTTP/1.1\r\nConnection: x, Close\r\n\r\n"));
        assert!(closes("GET / HTTP/1.0\r\n\r\n"));
        assert!(!closes("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
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
