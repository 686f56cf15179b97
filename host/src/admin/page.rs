//! The page: its files, which are part of the binary.

use std::fmt::Write as _;

use hyper::header::{ACCEPT, CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};
use hyper::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

use super::answer::{self, Answer};

struct File {
    /// In the path after `/page/`.
    name: &'static str,
    content_type: &'static str,
    content: &'static [u8],
}

const HTML: File = File {
    name: "index.html",
    content_type: "text/html; charset=utf-8",
    content: include_bytes!("page/index.html"),
};

const FILES: [File; 2] = [
    File {
        name: "app.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_bytes!("page/app.js"),
    },
    File {
        name: "style.css",
        content_type: "text/css; charset=utf-8",
        content: include_bytes!("page/style.css"),
    },
];

/// Whether a client wants the page rather than a text.
pub fn is_wanted(headers: &HeaderMap) -> bool {
    let mut accept = headers.get_all(ACCEPT).iter();
    accept.any(|value| value.to_str().is_ok_and(|it| it.contains("text/html")))
}

/// The page itself.
pub fn html(headers: &HeaderMap) -> Answer {
    serve(&HTML, headers)
}

/// One of its files.
pub fn file(name: &str, headers: &HeaderMap) -> Option<Answer> {
    let file = FILES.iter().find(|file| file.name == name)?;
    Some(serve(file, headers))
}

fn serve(file: &File, headers: &HeaderMap) -> Answer {
    let mut tag = String::from("\"");
    for byte in Sha256::digest(file.content).iter().take(16) {
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    let mut known = headers.get_all(IF_NONE_MATCH).iter();
    let mut answer = match known.any(|value| value.as_bytes() == tag.as_bytes()) {
        true => answer::with_type(StatusCode::NOT_MODIFIED, file.content_type, ""),
        false => answer::with_type(StatusCode::OK, file.content_type, file.content),
    };
    let headers = answer.headers_mut();
    // A browser asks whether it has changed: another version of the server may be there.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    answer
}
