//! Which of the running servers a command means: the only one, or that with a socket, a
//! port, a service or a guest.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use super::client::{ClientError, Target, send_to};
use super::connection;
use super::protocol::{Request, Status};
use super::socket_path::{self, SocketPathError};

/// A server that runs, as `hotsocket list` shows it.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    pub control: PathBuf,
    pub pid: Option<i32>,
    /// Empty if it does not answer.
    pub services: Vec<FoundService>,
    /// Why it does not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
pub struct FoundService {
    pub name: String,
    pub guest: String,
    pub listeners: Vec<String>,
    pub connections: usize,
}

/// All servers of this user whose sockets are where they are by default.
///
/// # Errors
/// When they can't be looked for.
pub fn all(timeout: Duration) -> Result<Vec<Found>, SocketPathError> {
    let sockets = socket_path::all_running(timeout)?;
    Ok(sockets.into_iter().map(|path| ask(path, timeout)).collect())
}

/// The socket of the server that is meant.
///
/// # Errors
/// When there is none, or more than one.
pub fn server(which: Option<&str>, timeout: Duration) -> Result<PathBuf, ClientError> {
    // A name without a slash is a path only if a socket has it: a directory here may be
    // called as a service is.
    if let Some(path) = which
        && (path.contains('/') || is_socket(Path::new(path)))
    {
        return Ok(PathBuf::from(path));
    }
    let mut sockets = socket_path::all_running(timeout)?;
    if which.is_none() && sockets.len() == 1 {
        return sockets.pop().ok_or(SocketPathError::NoServer.into());
    }
    let all: Vec<_> = sockets.into_iter().map(|path| ask(path, timeout)).collect();
    if all.is_empty() {
        return Err(SocketPathError::NoServer.into());
    }
    let Some(which) = which else {
        return Err(ClientError::SeveralServers(shown(&all)));
    };
    let matching: Vec<_> = all.iter().filter(|found| found.is_called(which)).collect();
    match matching.as_slice() {
        [found] => Ok(found.control.clone()),
        [] => Err(ClientError::NotFound {
            which: which.to_owned(),
            servers: shown(&all),
        }),
        several => Err(ClientError::SeveralServers(shown(several.iter().copied()))),
    }
}

fn is_socket(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.file_type().is_socket())
}

fn shown<'a>(servers: impl IntoIterator<Item = &'a Found>) -> Vec<String> {
    servers.into_iter().map(Found::show).collect()
}

fn ask(path: PathBuf, timeout: Duration) -> Found {
    let target = Target {
        server: None,
        service: None,
        timeout,
    };
    let answer = send_to(path.clone(), target, &Request::Status, &[]);
    let status = answer
        .map_err(|error| error.to_string())
        .and_then(|answer| {
            let status: Result<Status, _> = serde_json::from_value(answer);
            status.map_err(|error| format!("its answer is not understood: {error}"))
        });
    let mut found = Found {
        pid: connection::pid_of(&path),
        control: path,
        services: Vec::new(),
        error: None,
    };
    match status {
        Err(error) => found.error = Some(error),
        Ok(status) => {
            found.pid = i32::try_from(status.pid).ok().or(found.pid);
            // Servers of earlier versions have one service, without a name.
            let services = match status.services.is_empty() {
                true => vec![status.service],
                false => status.services,
            };
            let services = services.into_iter().map(|service| FoundService {
                name: service.name,
                guest: service.guest,
                listeners: service.listeners,
                connections: service.connections.open,
            });
            found.services = services.collect();
        }
    }
    found
}

impl Found {
    /// Whether it listens on a port, or has a service or a guest of that name.
    fn is_called(&self, which: &str) -> bool {
        let ends_with_port = |address: &String| {
            let port = address.rsplit_once(':').map(|(_, port)| port);
            !address.starts_with("unix:") && port == Some(which)
        };
        self.services.iter().any(|service| {
            let guest = Path::new(&service.guest);
            let stem = guest.file_stem().and_then(|stem| stem.to_str());
            service.name == which
                || service.guest == which
                || stem == Some(which)
                || service.listeners.iter().any(ends_with_port)
        })
    }

    /// In a few words.
    fn show(&self) -> String {
        let services = self.services.iter();
        let services = services.map(|it| format!("{} on {}", it.name, it.listeners.join(" and ")));
        let what = match &self.error {
            Some(_) => "does not answer".to_owned(),
            None => services.collect::<Vec<_>>().join(", "),
        };
        format!("{} ({what})", self.control.display())
    }
}
