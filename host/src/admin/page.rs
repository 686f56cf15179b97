//! The page: its files, which are part of the binary.

use std::fmt::Write as _;

use hyper::header::{ACCEPT, CACHE_CONTROL, ETAG, HeaderValue, IF_NONE_MATCH};
use hyper::{HeaderMap, StatusCode};
use sha2::{Digest, Sha256};

use super::answer::{self, Answer};

struct File {
    /// In the path after `/page/`.
    name: &'static str,
    content: &'static [u8],
}

impl File {
    fn content_type(&self) -> &'static str {
        match self.name.rsplit_once('.') {
            Some((_, "html")) => "text/html; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            _ => "text/javascript; charset=utf-8",
        }
    }
}

macro_rules! file {
    ($name:literal) => {
        File {
            name: $name,
            content: include_bytes!(concat!("page/", $name)),
        }
    };
}

const HTML: File = file!("index.html");

/// What the page loads. A test compares it with the directory.
const FILES: &[File] = &[
    file!("icon.svg"),
    file!("base.css"),
    file!("layout.css"),
    file!("stream.css"),
    file!("table.css"),
    file!("views.css"),
    file!("api.js"),
    file!("app.js"),
    file!("connection.js"),
    file!("connections.js"),
    file!("conversation.js"),
    file!("dom.js"),
    file!("escape.js"),
    file!("format.js"),
    file!("grid.js"),
    file!("head.js"),
    file!("heights.js"),
    file!("help.js"),
    file!("limits.js"),
    file!("listing.js"),
    file!("log.js"),
    file!("pcapng.js"),
    file!("pointer.js"),
    file!("recording.js"),
    file!("rows.js"),
    file!("search.js"),
    file!("selection.js"),
    file!("sparkline.js"),
    file!("store.js"),
    file!("stream.js"),
    file!("swaps.js"),
    file!("tap.js"),
    file!("token.js"),
    file!("topics.js"),
    file!("upload.js"),
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
        true => answer::with_type(StatusCode::NOT_MODIFIED, file.content_type(), ""),
        false => answer::with_type(StatusCode::OK, file.content_type(), file.content),
    };
    let headers = answer.headers_mut();
    // A browser asks whether it has changed: another version of the server may be there.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a browser loads at most, all views together.
    const MOST: u64 = 150_000;

    #[test]
    fn all_files_of_the_page_are_served_and_small() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/src/admin/page");
        let mut size = 0;
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let entry = entry.expect("a file");
            size += entry.metadata().expect("a size").len();
            let name = entry.file_name().into_string().expect("a name");
            let known = |file: &File| file.name == name;
            assert!(known(&HTML) || FILES.iter().any(known), "{name}");
        }
        assert!(size <= MOST, "the page has {size} bytes");
    }
}
