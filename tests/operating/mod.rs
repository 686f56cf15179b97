//! What those who run a server see of it and do to it: the admin address, metrics,
//! `top` and `drain`.

mod admin;
mod admin_actions;
mod admin_api;
mod admin_streams;
mod dashboard;
mod drain;
mod metrics;
mod open;
mod top;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::harness::{PATIENCE, Server};

/// An answer of the admin address.
#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    /// In lower case, a line each.
    headers: String,
    body: String,
}

impl Answer {
    fn read(mut stream: impl Read) -> Self {
        let mut bytes = Vec::new();
        // A reset at the end is an end.
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).expect("UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Answer {
            status: status.unwrap_or(0),
            headers: head.to_lowercase(),
            body: body.to_owned(),
        }
    }
}

/// Where the admin address of a server is, as soon as the log says so.
pub(crate) fn address(server: &Server) -> SocketAddr {
    let line = server.stderr.wait("admin address 127.0.0.1:");
    let (_, address) = line.split_once("admin address ").expect("it");
    address.parse().expect("an address")
}

/// All metrics of a server that has an admin address.
pub(crate) fn metrics(server: &Server) -> String {
    get(address(server), "/metrics").body
}

fn connect(admin: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(admin).expect("it accepts");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time");
    stream
}

/// Send a request as it is.
fn request(admin: SocketAddr, request: &str) -> Answer {
    let mut stream = connect(admin);
    stream.write_all(request.as_bytes()).expect("it is taken");
    Answer::read(stream)
}

fn get_with(admin: SocketAddr, path: &str, headers: &str) -> Answer {
    request(
        admin,
        &format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{headers}\r\n"),
    )
}

fn get(admin: SocketAddr, path: &str) -> Answer {
    get_with(admin, path, "Host: localhost\r\n")
}
