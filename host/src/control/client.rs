//! The client's end of the control socket.
//!
//! Nothing here waits without a limit: a server that works on a request sends a
//! sign of life each [`SIGN_OF_LIFE`](super::protocol::SIGN_OF_LIFE), and one that
//! is silent for longer than the client's timeout is given up. What the server
//! says is limited in size, and is made safe for a terminal by whoever prints it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::connection::{self, Peer};
use super::find;
use super::protocol::{MAX_ANSWER, Request, RequestLine};
use super::socket_path::SocketPathError;
use crate::duration;
use crate::output::escape;
use crate::socket_file;

/// The longest line of a stream: an event with both directions has a fifth of it.
const MAX_LINE: usize = 1 << 20;

/// Which server and service is meant, and how long it may be silent.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The path of its socket, a port that it listens on, or the name of a service or of
    /// a guest. `None`: the only server that runs.
    pub server: Option<&'a str>,
    /// `None`: the only service of the server.
    pub service: Option<&'a str>,
    /// For connecting, for taking the next bytes of a request, and between two
    /// signs of life.
    pub timeout: Duration,
}

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    SocketPath(#[from] SocketPathError),
    #[error("several hotsocket servers are running; choose one with --control: {}", .0.join(", "))]
    SeveralServers(Vec<String>),
    #[error("no hotsocket server listens on {which} or is called so; there are: {}", .servers.join(", "))]
    NotFound { which: String, servers: Vec<String> },
    #[error("cannot connect to a server at {}: {}", .path.display(), describe(.error))]
    Connect { path: PathBuf, error: io::Error },
    #[error(
        "the process that listens at {} belongs to another user ({uid}); nothing was sent to it",
        .path.display()
    )]
    Untrusted { path: PathBuf, uid: u32 },
    #[error("{}", silent(.path, *.pid, *.timeout, *.changes))]
    Silent {
        path: PathBuf,
        pid: Option<i32>,
        timeout: Duration,
        /// The request, should the server have got it, changes something.
        changes: bool,
    },
    #[error("no answer from the server at {}: {error}", .path.display())]
    Exchange { path: PathBuf, error: io::Error },
    /// The server answered with this error, in one line.
    #[error("{0}")]
    Server(String),
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such socket; is the server running?".to_owned(),
        io::ErrorKind::ConnectionRefused => {
            "nothing listens on that socket; is the server running?".to_owned()
        }
        io::ErrorKind::PermissionDenied => "the socket belongs to another user".to_owned(),
        _ => crate::os_error::message(error),
    }
}

fn silent(path: &Path, pid: Option<i32>, timeout: Duration, changes: bool) -> String {
    let process = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
    let advice = match pid {
        Some(pid) if connection::is_stopped(pid) => {
            format!("it was stopped by a signal, and `kill -CONT {pid}` lets it continue")
        }
        _ => "it hangs or has too much to do; --timeout TIME waits for longer".to_owned(),
    };
    let doubt = match changes {
        true => "; whether it gets the request later is shown by `hotsocket history`",
        false => "",
    };
    format!(
        "the server at {}{process} has been silent for {}: {advice}{doubt}",
        path.display(),
        duration::show(timeout)
    )
}

/// Send a request, with a component's bytes if it carries one, and return the
/// answer's JSON object.
///
/// # Errors
/// When no server can be found or reached, or it is not trusted, is silent, or
/// answers with an error.
pub fn send(target: Target<'_>, request: &Request, body: &[u8]) -> Result<Value, ClientError> {
    let path = find::server(target.server, target.timeout)?;
    send_to(path, target, request, body)
}

/// The same, to the server with this socket.
///
/// # Errors
/// As [`send`].
pub fn send_to(
    path: PathBuf,
    target: Target<'_>,
    request: &Request,
    body: &[u8],
) -> Result<Value, ClientError> {
    let server = Server::connect(path, target.timeout)?;
    let changes = matches!(request, Request::Swap { .. } | Request::Rollback { .. });
    let request = RequestLine {
        service: target.service.map(str::to_owned),
        request: request.clone(),
    };
    let answer = exchange(&server.stream, &request, body);
    not_an_error(answer.map_err(|error| server.failed(error, changes))?)
}

/// A server that is connected, and that may be sent something.
struct Server {
    stream: UnixStream,
    path: PathBuf,
    peer: Peer,
    timeout: Duration,
}

impl Server {
    fn connect(path: PathBuf, timeout: Duration) -> Result<Self, ClientError> {
        let stream = match socket_file::connect(&path, timeout) {
            Ok(stream) => stream,
            Err(error) if is_timeout(&error) => {
                return Err(ClientError::Silent {
                    pid: connection::pid_of(&path),
                    path,
                    timeout,
                    changes: false,
                });
            }
            Err(error) => return Err(ClientError::Connect { path, error }),
        };
        let peer = match Peer::of_blocking(&stream) {
            Ok(peer) if peer.is_trusted() => peer,
            Ok(Peer { uid, .. }) => return Err(ClientError::Untrusted { path, uid }),
            Err(error) => return Err(ClientError::Exchange { path, error }),
        };
        Ok(Server {
            stream,
            path,
            peer,
            timeout,
        })
    }

    /// Why there is no answer. `changes`: the request may have changed something.
    fn failed(&self, error: io::Error, changes: bool) -> ClientError {
        let path = self.path.clone();
        match is_timeout(&error) {
            true => ClientError::Silent {
                path,
                pid: self.peer.pid,
                timeout: self.timeout,
                changes,
            },
            false => ClientError::Exchange { path, error },
        }
    }
}

fn not_an_error(answer: Value) -> Result<Value, ClientError> {
    match answer.get("error").and_then(Value::as_str) {
        Some(error) => Err(ClientError::Server(escape::one_line(error).into_owned())),
        None => Ok(answer),
    }
}

/// An answer of many lines: [`watch`], then [`Self::read`] until there are no more.
pub struct Lines {
    server: Server,
    /// What has been read of the stream, and not been taken.
    stream: BufReader<UnixStream>,
}

/// Have the server show a connection, or all of a service.
///
/// # Errors
/// As [`send`].
pub fn watch(target: Target<'_>, connection: Option<u64>) -> Result<Lines, ClientError> {
    let path = find::server(target.server, target.timeout)?;
    let server = Server::connect(path, target.timeout)?;
    let request = RequestLine {
        service: target.service.map(str::to_owned),
        request: Request::Watch { connection },
    };
    let sent = send_line(&server.stream, &request);
    let read = sent.and_then(|()| server.stream.try_clone());
    let read = read.map_err(|error| server.failed(error, false))?;
    Ok(Lines {
        stream: BufReader::new(read),
        server,
    })
}

impl Lines {
    /// The next line, and what it says. `None`: the server has closed the connection.
    ///
    /// # Errors
    /// As [`send`].
    pub fn read(&mut self) -> Result<Option<(String, Value)>, ClientError> {
        let mut line = Vec::new();
        let read = read_line(&mut self.stream, &mut line);
        read.map_err(|error| self.server.failed(error, false))?;
        if line.is_empty() {
            return Ok(None);
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        let value = serde_json::from_str(&line);
        let value = value.map_err(|error| self.server.failed(error.into(), false))?;
        let value = not_an_error(value)?;
        Ok(Some((line, value)))
    }
}

/// Read one line, without its newline and the signs of life before it. Empty at the end.
fn read_line(read: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let found = match read.fill_buf() {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if found.is_empty() {
            // One that is torn says nothing.
            line.clear();
            return Ok(());
        }
        let (part, used, is_whole) = match found.iter().position(|byte| *byte == b'\n') {
            Some(end) => (found.get(..end), end + 1, true),
            None => (Some(found), found.len(), false),
        };
        let part = part.unwrap_or_default();
        let part = match line.is_empty() {
            true => part.trim_ascii_start(),
            false => part,
        };
        line.extend_from_slice(part);
        read.consume(used);
        if line.len() > MAX_LINE {
            return Err(io::Error::other("a line of its answer is too long"));
        }
        if is_whole && !line.is_empty() {
            return Ok(());
        }
    }
}

/// What a step on a socket with a time limit fails with (SO_RCVTIMEO in
/// socket(7)).
fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn send_line(mut stream: &UnixStream, request: &RequestLine) -> io::Result<()> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)
}

fn exchange(mut stream: &UnixStream, request: &RequestLine, body: &[u8]) -> io::Result<Value> {
    let sent = send_line(stream, request).and_then(|()| stream.write_all(body));
    if let Err(error) = &sent
        && is_timeout(error)
    {
        return Err(io::ErrorKind::TimedOut.into());
    }
    // A server that rejects the request early closes its end; its answer says why.
    let mut answer = Vec::new();
    let read = BufReader::new(stream)
        .take(MAX_ANSWER)
        .read_until(b'\n', &mut answer);
    match (read, sent) {
        (Ok(0), Err(error)) | (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
        (Ok(_), _) if answer.trim_ascii().is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
        (Ok(_), _) => Ok(serde_json::from_slice(&answer)?),
    }
}
