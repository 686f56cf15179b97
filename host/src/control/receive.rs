//! From the bytes of a connection to a request, with the component that it
//! carries. Bounds what all requests together hold in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hotsocket_sandbox::key_value::MAX_VALUE;
use hotsocket_sandbox::limit_counters::{Limit, LimitCounters};
use hotsocket_sandbox::topics::MAX_MESSAGE;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::net::unix::ReadHalf;

use super::connection::Peer;
use super::protocol::{MAX_REQUEST, Request, RequestLine, StoreOperation};
use super::server::AdminApi;

/// The first allocation for a component, in bytes; each one that follows is as large
/// as all before it. So what a client announces and does not send takes no memory.
const FIRST_ALLOCATION: usize = 64 << 10;

/// Of the largest component, as much memory as requests may hold together.
const COMPONENTS: usize = 2;

/// How many bytes requests hold, from their arrival to their answer.
pub struct RequestBytes {
    held: AtomicUsize,
    /// It follows `--max-component`, which a reload may change.
    max: AtomicUsize,
}

/// The bytes of one request; dropping it gives them back.
pub struct HeldBytes {
    all: Arc<RequestBytes>,
    bytes: usize,
}

/// A request that has arrived whole.
pub struct Received {
    /// The service that is meant, if the client says so.
    pub service: Option<String>,
    pub request: Request,
    pub body: Vec<u8>,
    /// Kept until the request has been executed.
    pub held: HeldBytes,
}

impl RequestBytes {
    /// For a server that accepts components of this size.
    pub fn new(max_component: usize) -> Arc<Self> {
        Arc::new(RequestBytes {
            held: AtomicUsize::new(0),
            max: AtomicUsize::new(max_component.saturating_mul(COMPONENTS)),
        })
    }

    /// From now on components may be as large as this.
    pub fn allow(&self, max_component: usize) {
        let max = max_component.saturating_mul(COMPONENTS);
        self.max.store(max, Ordering::Relaxed);
    }

    fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }

    /// How many are held now.
    #[cfg(any(test, feature = "fuzzing"))]
    pub fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// For a request whose body is still to come.
    pub fn hold_none(self: &Arc<Self>) -> HeldBytes {
        HeldBytes {
            all: Arc::clone(self),
            bytes: 0,
        }
    }
}

impl HeldBytes {
    /// Whether so many more may be held.
    fn grow(&mut self, more: usize) -> bool {
        let max = self.all.max();
        let next = |held: usize| held.checked_add(more).filter(|held| *held <= max);
        let grown = self
            .all
            .held
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        if grown.is_ok() {
            self.bytes += more;
        }
        grown.is_ok()
    }

    /// Give the body of a request room for `wanted` bytes, if it has none. It will have
    /// `whole` at most.
    ///
    /// # Errors
    /// When requests hold too much already, as the answer to this one.
    pub fn make_room(
        &mut self,
        body: &mut Vec<u8>,
        wanted: usize,
        whole: usize,
        reached: &LimitCounters,
    ) -> Result<(), String> {
        if wanted <= body.capacity() {
            return Ok(());
        }
        let capacity = body.capacity();
        let double = capacity.max(FIRST_ALLOCATION).saturating_add(capacity);
        let capacity = double.max(wanted).min(whole);
        if !self.grow(capacity - body.capacity()) {
            reached.count(Limit::RequestBytes);
            return Err(format!(
                "other requests hold almost {} bytes already, {COMPONENTS} times --max-component; try again later",
                self.all.max()
            ));
        }
        body.try_reserve_exact(capacity - body.len())
            .map_err(|_| format!("the server has no memory for {capacity} bytes"))
    }
}

impl Drop for HeldBytes {
    fn drop(&mut self) {
        self.all.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Read a request.
///
/// # Errors
/// What the client did wrong, or which limit it has reached, as the answer to it.
pub async fn receive(stream: ReadHalf<'_>, api: &impl AdminApi) -> Result<Received, String> {
    // The file's mode keeps other users out already. This also holds where the
    // socket is in a directory of another user, who can replace it.
    if !Peer::of(stream.as_ref()).map_err(message)?.is_trusted() {
        return Err(
            "permission denied: only the user who runs the server may control it".to_owned(),
        );
    }
    let reader = BufReader::new(stream);
    let bytes = api.request_bytes();
    read(reader, api.max_component(), api.reached(), bytes).await
}

/// The same from any reader.
///
/// # Errors
/// As [`receive`].
pub async fn read(
    mut reader: impl AsyncBufRead + Unpin,
    max_component: usize,
    reached: &LimitCounters,
    bytes: &Arc<RequestBytes>,
) -> Result<Received, String> {
    let mut line = Vec::new();
    (&mut reader)
        .take(MAX_REQUEST as u64)
        .read_until(b'\n', &mut line)
        .await
        .map_err(message)?;
    let RequestLine { service, request } = serde_json::from_slice(&line)
        .map_err(|error| format!("malformed or unknown request: {error}"))?;
    let mut held = bytes.hold_none();
    let body = match &request {
        Request::Swap { length, .. } => {
            if *length > max_component as u64 {
                reached.count(Limit::Component);
                return Err(format!(
                    "the component is too large: {length} bytes, at most {max_component} are accepted (--max-component)"
                ));
            }
            body(reader, *length, reached, &mut held).await?
        }
        Request::Publish { length, .. } => {
            if *length > MAX_MESSAGE as u64 {
                return Err(format!(
                    "the message is too large: {length} bytes, at most {MAX_MESSAGE} are published"
                ));
            }
            body(reader, *length, reached, &mut held).await?
        }
        Request::Store {
            operation: StoreOperation::Set { length, .. },
            ..
        } => {
            if *length > MAX_VALUE as u64 {
                return Err(format!(
                    "the value is too large: {length} bytes, at most {MAX_VALUE} are stored"
                ));
            }
            body(reader, *length, reached, &mut held).await?
        }
        _ => Vec::new(),
    };
    Ok(Received {
        service,
        request,
        body,
        held,
    })
}

async fn body(
    reader: impl AsyncBufRead + Unpin,
    length: u64,
    reached: &LimitCounters,
    held: &mut HeldBytes,
) -> Result<Vec<u8>, String> {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mut reader = reader.take(length as u64);
    let mut body = Vec::new();
    while body.len() < length {
        if body.len() == body.capacity() {
            let wanted = body.len() + 1;
            held.make_room(&mut body, wanted, length, reached)?;
        }
        if reader.read_buf(&mut body).await.map_err(message)? == 0 {
            return Err(format!("received only {} of {length} bytes", body.len()));
        }
    }
    Ok(body)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn message(error: std::io::Error) -> String {
    crate::os_error::message(&error)
}
