//! The client's end of the control socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::protocol::Request;
use super::socket_path::{self, SocketPathError};

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    SocketPath(#[from] SocketPathError),
    #[error("cannot connect to a server at {}: {}", .path.display(), describe(.error))]
    Connect { path: PathBuf, error: io::Error },
    #[error("no answer from the server at {}: {error}", .path.display())]
    Exchange { path: PathBuf, error: io::Error },
    /// The server answered with this error.
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
        _ => error.to_string(),
    }
}

/// Send a request, with a component's bytes if it carries one, and return the
/// answer's JSON object.
///
/// # Errors
/// When no server can be found or reached, or it answers with an error.
pub fn send(socket: Option<&Path>, request: &Request, body: &[u8]) -> Result<Value, ClientError> {
    let path = match socket {
        Some(path) => path.to_owned(),
        None => socket_path::find_running()?,
    };
    let stream = UnixStream::connect(&path).map_err(|error| ClientError::Connect {
        path: path.clone(),
        error,
    })?;
    let answer = exchange(stream, request, body).map_err(|error| ClientError::Exchange {
        path: path.clone(),
        error,
    })?;
    match answer.get("error").and_then(Value::as_str) {
        Some(error) => Err(ClientError::Server(error.to_owned())),
        None => Ok(answer),
    }
}

fn exchange(mut stream: UnixStream, request: &Request, body: &[u8]) -> io::Result<Value> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    let sent = stream
        .write_all(&line)
        .and_then(|()| stream.write_all(body));
    // A server that rejects the request early closes its end; its answer says why.
    let mut answer = String::new();
    let read = BufReader::new(&mut stream).read_line(&mut answer);
    match (read, sent) {
        (Ok(0), Err(error)) | (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
        (Ok(0), Ok(())) => Err(io::ErrorKind::UnexpectedEof.into()),
        (Ok(_), _) => Ok(serde_json::from_str(&answer)?),
    }
}
