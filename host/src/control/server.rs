//! The server's end of the control socket.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::ReadHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{sleep, timeout};

use super::crowd::{Crowd, Lost, Seat};
use super::protocol::{Answer, MAX_REQUEST, Request};
use crate::registry::{Registry, SwapError};
use crate::rollout::{Policy, Source};
use hotsocket_sandbox::limit_counters::{Limit, LimitCounters};

/// Clients at once; one more takes the place of one that hangs.
const MAX_CLIENTS: usize = 64;
/// A request must have come in whole after this time.
const REQUEST_TIME: Duration = Duration::from_secs(30);
/// An answer must have been taken after this time.
const ANSWER_TIME: Duration = Duration::from_secs(10);

/// What the control socket speaks for.
pub trait Subject: Send + Sync + 'static {
    fn registry(&self) -> &Registry;
    fn status(&self) -> super::protocol::Status;
    /// Largest component taken, in bytes.
    fn max_component(&self) -> usize;
    /// Where limits are counted.
    fn reached(&self) -> &LimitCounters;
}

/// A control socket; its file goes when it is dropped.
pub struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Listen at this path, for the owner only. A socket that nobody listens
    /// on any more is replaced.
    ///
    /// # Errors
    /// When the path is taken or can't be written.
    pub fn bind(path: &Path) -> Result<Self, String> {
        let failed = |reason: String| {
            format!(
                "cannot make the control socket {}: {reason}; name another with --control PATH, or --control none",
                path.display()
            )
        };
        let left_behind =
            fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
        if left_behind {
            match std::os::unix::net::UnixStream::connect(path) {
                Ok(_) => return Err(failed("a running server has it".to_owned())),
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    fs::remove_file(path).map_err(|error| failed(crate::os_error::told(&error)))?;
                }
                Err(error) => return Err(failed(crate::os_error::told(&error))),
            }
        }
        let listener = bind_private(path).map_err(|error| {
            failed(match error.kind() {
                io::ErrorKind::AddrInUse => "there is a file of that name".to_owned(),
                io::ErrorKind::NotFound => "there is no such directory".to_owned(),
                _ => crate::os_error::told(&error),
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
    pub async fn serve(self, subject: Arc<impl Subject>) {
        let crowd = Crowd::new(MAX_CLIENTS);
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    let Some(seat) = crowd.seat().await else {
                        return;
                    };
                    let subject = Arc::clone(&subject);
                    tokio::spawn(async move { converse(stream, &*subject, &seat).await });
                }
                Err(error) => {
                    tracing::debug!("control socket: {error}");
                    sleep(Duration::from_millis(50)).await;
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

/// Bind so that there is no moment at which others could connect.
fn bind_private(path: &Path) -> io::Result<UnixListener> {
    // The mask is the process', but only this thread runs when it is changed:
    // the server binds before it starts to serve.
    let mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let listener = UnixListener::bind(path);
    rustix::process::umask(mask);
    let listener = listener?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

async fn converse(mut stream: UnixStream, subject: &impl Subject, seat: &Seat) {
    let (read, write) = stream.split();
    let received = timeout(REQUEST_TIME, receive(read, subject));
    let received = seat.wait_for(received, || is_unread(write.as_ref())).await;
    let answer = match received {
        Ok(Ok(Ok((request, body)))) => carry_out(request, body, subject).await,
        Ok(Ok(Err(error))) => Answer::Error { error },
        Ok(Err(_)) => Answer::Error {
            error: "the request did not come in time".to_owned(),
        },
        Err(Lost) => {
            let error = "the request did not come before too many others asked".to_owned();
            // There is room for one line, or its client is not waited for.
            let _ = stream.try_write(&line(&Answer::Error { error }));
            return;
        }
    };
    let line = line(&answer);
    let taken = timeout(ANSWER_TIME, async {
        stream.write_all(&line).await?;
        stream.shutdown().await
    });
    let _ = seat.wait_for(taken, || false).await;
}

/// Whether there is something from the client that the server didn't read yet.
fn is_unread(stream: &UnixStream) -> bool {
    rustix::io::ioctl_fionread(stream).is_ok_and(|bytes| bytes > 0)
}

fn line(answer: &Answer) -> Vec<u8> {
    let mut line = serde_json::to_vec(answer).unwrap_or_default();
    line.push(b'\n');
    line
}

async fn receive(
    stream: ReadHalf<'_>,
    subject: &impl Subject,
) -> Result<(Request, Vec<u8>), String> {
    // Others are kept out by the file's mode already; this also holds where
    // the socket was put into a directory of somebody else's.
    let caller = stream.as_ref().peer_cred();
    let caller = caller.map_err(|error| error.to_string())?.uid();
    if caller != super::place::uid() && caller != 0 {
        return Err("only the user who runs the server may control it".to_owned());
    }
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    (&mut reader)
        .take(MAX_REQUEST as u64)
        .read_until(b'\n', &mut line)
        .await
        .map_err(|error| error.to_string())?;
    let request: Request = serde_json::from_slice(&line)
        .map_err(|error| format!("not a request this server knows: {error}"))?;
    let mut body = Vec::new();
    if let Request::Swap { length, .. } = &request {
        let max = subject.max_component();
        if usize::try_from(*length).map_or(true, |length| length > max) {
            subject.reached().count(Limit::Component);
            return Err(format!(
                "a component of {length} bytes is too large; at most {max} are taken (--max-component)"
            ));
        }
        let read = reader
            .take(*length)
            .read_to_end(&mut body)
            .await
            .map_err(|error| error.to_string())?;
        if read as u64 != *length {
            return Err(format!("only {read} of {length} bytes came"));
        }
    }
    Ok((request, body))
}

async fn carry_out(request: Request, body: Vec<u8>, subject: &impl Subject) -> Answer {
    let registry = subject.registry();
    let answer = match request {
        Request::Status => Ok(Answer::Status(Box::new(subject.status()))),
        Request::History => Ok(Answer::History {
            generations: registry.history(),
        }),
        Request::Swap { name, policy, .. } => match parse(policy) {
            Ok(policy) => {
                // It goes into lines of the log and of other terminals.
                let name = name.replace(char::is_control, "?");
                let swapped = registry.swap(body, Source::Sent(name), policy).await;
                swapped
                    .map(Answer::Swap)
                    .map_err(|error| not_swapped(registry, &error))
            }
            Err(error) => Err(error),
        },
        Request::Rollback { policy } => match parse(policy) {
            Ok(policy) => {
                let swapped = registry.roll_back(policy).await;
                swapped
                    .map(Answer::Rollback)
                    .map_err(|error| not_swapped(registry, &error))
            }
            Err(error) => Err(error),
        },
    };
    answer.unwrap_or_else(|error| Answer::Error { error })
}

fn parse(policy: Option<String>) -> Result<Option<Policy>, String> {
    policy.map(|policy| policy.parse()).transpose()
}

/// Both the caller and whoever reads the log should know.
fn not_swapped(registry: &Registry, error: &SwapError) -> String {
    let active = registry.active().number;
    let what = match error {
        SwapError::NoPrevious => "not rolled back",
        _ => "not swapped",
    };
    let told = format!("{what}: {error}; generation {active} goes on");
    tracing::warn!("{told}");
    told
}
