//! The server's end of the control socket.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hotsocket_sandbox::limit_counters::{Limit, LimitCounters};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::ReadHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use super::admission::{Admission, Evicted, Permit};
use super::protocol::{Answer, MAX_REQUEST, Request};
use crate::registry::{Registry, SwapError};
use crate::rollout::{Policy, Source};

/// Concurrent clients; one more evicts one that hangs.
const MAX_CLIENTS: usize = 64;
/// How long receiving a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long sending an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after `accept` failed, as it may fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What requests need of the server.
pub trait AdminApi: Send + Sync + 'static {
    fn registry(&self) -> &Registry;
    fn status(&self) -> super::protocol::Status;
    /// Size of the largest component that may be sent, in bytes.
    fn max_component(&self) -> usize;
    /// Counts the components that were larger.
    fn reached(&self) -> &LimitCounters;
}

/// A listening control socket. Dropping it removes the file.
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Listen on this path, for the owner only. Replaces a socket that no
    /// process listens on any more.
    ///
    /// # Errors
    /// When the path is in use or can't be created.
    pub fn bind(path: &Path) -> Result<Self, String> {
        let failed = |reason: String| {
            format!(
                "cannot create the control socket {}: {reason}; choose another path with --control PATH, or --control none",
                path.display()
            )
        };
        let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
        if is_socket {
            match std::os::unix::net::UnixStream::connect(path) {
                Ok(_) => return Err(failed("a running server uses it".to_owned())),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path)
                        .map_err(|error| failed(crate::os_error::message(&error)))?;
                }
                Err(error) => return Err(failed(crate::os_error::message(&error))),
            }
        }
        let listener = bind_private(path).map_err(|error| {
            failed(match error.kind() {
                io::ErrorKind::AddrInUse => "there is a file of that name".to_owned(),
                io::ErrorKind::NotFound => "there is no such directory".to_owned(),
                _ => crate::os_error::message(&error),
            })
        })?;
        Ok(ControlSocket {
            listener,
            path: path.to_owned(),
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Answer requests until dropped.
    pub async fn serve(self, api: Arc<impl AdminApi>) {
        let admission = Admission::new(MAX_CLIENTS);
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let Some(permit) = admission.admit().await else {
                        return;
                    };
                    let api = Arc::clone(&api);
                    tokio::spawn(async move { handle_client(stream, &*api, &permit).await });
                }
                Err(error) => {
                    tracing::debug!("control socket: accept failed: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Bind with mode 0600 from the start, so that at no moment other users can
/// connect.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    // The umask is process-wide, but no other thread creates files yet: the
    // server binds before it starts to serve.
    let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(mask);
    let listener = listener?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Serve one request of one client.
async fn handle_client(mut stream: UnixStream, api: &impl AdminApi, permit: &Permit) {
    let (read, write) = stream.split();
    let request = timeout(REQUEST_TIMEOUT, read_request(read, api));
    let request = permit.wait_for(request, || is_unread(write.as_ref())).await;
    let answer = match request {
        Ok(Ok(Ok((request, body)))) => execute(request, body, api).await,
        Ok(Ok(Err(error))) => Answer::Error { error },
        Ok(Err(_)) => Answer::Error {
            error: format!(
                "timed out: no complete request within {}",
                crate::duration::show(REQUEST_TIMEOUT)
            ),
        },
        Err(Evicted) => {
            let error =
                "evicted: the request was still incomplete when another client needed the slot";
            // An empty socket buffer takes one line; a client that left no room
            // for it is not waited for.
            let _ = stream.try_write(&line(&Answer::Error {
                error: error.to_owned(),
            }));
            return;
        }
    };
    let line = line(&answer);
    let sent = timeout(ANSWER_TIMEOUT, async {
        stream.write_all(&line).await?;
        stream.shutdown().await
    });
    let _ = permit.wait_for(sent, || false).await;
}

/// Whether the client has sent bytes that the server has not read yet.
fn is_unread(stream: &UnixStream) -> bool {
    rustix::io::ioctl_fionread(stream).is_ok_and(|bytes| bytes > 0)
}

fn line(answer: &Answer) -> Vec<u8> {
    let mut line = serde_json::to_vec(answer).unwrap_or_default();
    line.push(b'\n');
    line
}

async fn read_request(
    stream: ReadHalf<'_>,
    api: &impl AdminApi,
) -> Result<(Request, Vec<u8>), String> {
    // The file's mode keeps other users out already. This also holds where the
    // socket is in a directory of another user, who can replace it.
    let caller = stream.as_ref().peer_cred();
    let caller = caller.map_err(|error| error.to_string())?.uid();
    if caller != super::socket_path::uid() && caller != 0 {
        return Err(
            "permission denied: only the user who runs the server may control it".to_owned(),
        );
    }
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    (&mut reader)
        .take(MAX_REQUEST as u64)
        .read_until(b'\n', &mut line)
        .await
        .map_err(|error| error.to_string())?;
    let request: Request = serde_json::from_slice(&line)
        .map_err(|error| format!("malformed or unknown request: {error}"))?;
    let mut body = Vec::new();
    if let Request::Swap { length, .. } = &request {
        let max = api.max_component();
        if usize::try_from(*length).map_or(true, |length| length > max) {
            api.reached().count(Limit::Component);
            return Err(format!(
                "the component is too large: {length} bytes, at most {max} are accepted (--max-component)"
            ));
        }
        let read = reader
            .take(*length)
            .read_to_end(&mut body)
            .await
            .map_err(|error| error.to_string())?;
        if read as u64 != *length {
            return Err(format!("received only {read} of {length} bytes"));
        }
    }
    Ok((request, body))
}

async fn execute(request: Request, body: Vec<u8>, api: &impl AdminApi) -> Answer {
    let registry = api.registry();
    let answer = match request {
        Request::Status => Ok(Answer::Status(Box::new(api.status()))),
        Request::History => Ok(Answer::History {
            generations: registry.history(),
        }),
        Request::Swap { name, policy, .. } => match parse_policy(policy) {
            Ok(policy) => {
                // It is printed in log lines and on other terminals.
                let name = name.replace(char::is_control, "?");
                let swapped = registry.swap(body, Source::Sent(name), policy).await;
                swapped
                    .map(Answer::Swap)
                    .map_err(|error| report_failure(registry, &error))
            }
            Err(error) => Err(error),
        },
        Request::Rollback { policy } => match parse_policy(policy) {
            Ok(policy) => {
                let swapped = registry.roll_back(policy).await;
                swapped
                    .map(Answer::Rollback)
                    .map_err(|error| report_failure(registry, &error))
            }
            Err(error) => Err(error),
        },
    };
    answer.unwrap_or_else(|error| Answer::Error { error })
}

fn parse_policy(policy: Option<String>) -> Result<Option<Policy>, String> {
    policy.map(|policy| policy.parse()).transpose()
}

/// Log why a swap failed, and return the same message for the client.
fn report_failure(registry: &Registry, error: &SwapError) -> String {
    let active = registry.active().number;
    let what = error.what();
    let message = format!("{what}: {error}; still serving generation {active}");
    tracing::warn!(
        kind = "swap",
        outcome = "failed",
        generation = active,
        "{message}"
    );
    message
}
