//! The client's end of the control socket.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::place::{self, PlaceError};
use super::protocol::Request;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    Place(#[from] PlaceError),
    #[error("cannot reach a server at {}: {}", .path.display(), told(.error))]
    Connect { path: PathBuf, error: io::Error },
    #[error("the server at {} gave no answer: {error}", .path.display())]
    Talk { path: PathBuf, error: io::Error },
    /// The server's own words.
    #[error("{0}")]
    Refused(String),
}

fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such socket; is it running?".to_owned(),
        io::ErrorKind::ConnectionRefused => "nobody listens there; is it running?".to_owned(),
        io::ErrorKind::PermissionDenied => "it belongs to another user".to_owned(),
        _ => error.to_string(),
    }
}

/// Send a request, with a component's bytes if it carries one, and return the
/// answer's JSON object.
///
/// # Errors
/// When no server can be found or reached, or it answers with an error.
pub fn ask(socket: Option<&Path>, request: &Request, body: &[u8]) -> Result<Value, ClientError> {
    let path = match socket {
        Some(path) => path.to_owned(),
        None => place::find()?,
    };
    let stream = UnixStream::connect(&path).map_err(|error| ClientError::Connect {
        path: path.clone(),
        error,
    })?;
    let answer = talk(stream, request, body).map_err(|error| ClientError::Talk {
        path: path.clone(),
        error,
    })?;
    match answer.get("error").and_then(Value::as_str) {
        Some(error) => Err(ClientError::Refused(error.to_owned())),
        None => Ok(answer),
    }
}

fn talk(mut stream: UnixStream, request: &Request, body: &[u8]) -> io::Result<Value> {
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    let sent = stream
        .write_all(&line)
        .and_then(|()| stream.write_all(body));
    // A server that refuses early closes its end; its answer says why.
    let mut answer = String::new();
    let read = BufReader::new(&mut stream).read_line(&mut answer);
    match (read, sent) {
        (Ok(0), Err(error)) | (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error),
        (Ok(0), Ok(())) => Err(io::ErrorKind::UnexpectedEof.into()),
        (Ok(_), _) => Ok(serde_json::from_str(&answer)?),
    }
}
