//! What a guest may see of the machine through WASI: nothing but clocks,
//! random numbers and its own output, unless the server's flags grant more.

use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::clocks::{HostMonotonicClock, HostWallClock};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder};

use crate::environment::{Random, ReproducibleRng};
use crate::guest_output::{GuestOutput, StandardStream};

/// Random bytes that a guest may ask for in one call.
const MAX_RANDOM: u64 = 1 << 20;
/// WASI handles (streams, files, clocks' alarms) that one instance may have.
/// The host keeps them, so they count against no memory of the guest's.
pub const MAX_HANDLES: usize = 1000;

/// The flags `--dir`, `--env` and `--allow-net`.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// Directories of the host, and the paths under which guests see them.
    pub dirs: Vec<(PathBuf, String)>,
    pub env: Vec<(String, String)>,
    /// Sockets of the guest's own, and name look-ups.
    pub net: bool,
}

impl Grants {
    /// Directories were checked when the flags were parsed; one that has vanished
    /// since is missing for the guest.
    pub(crate) fn context(&self, output: &GuestOutput, random: &Random) -> WasiCtx {
        let mut wasi = WasiCtxBuilder::new();
        if let Random::Reproducible(state) = random {
            wasi.secure_random(ReproducibleRng(Arc::clone(state)));
            wasi.insecure_random(ReproducibleRng(Arc::clone(state)));
            wasi.insecure_random_seed(0);
        }
        wasi.stdout(LineStream::new(output, StandardStream::Out));
        wasi.stderr(LineStream::new(output, StandardStream::Error));
        wasi.monotonic_clock(SessionClock);
        wasi.wall_clock(SessionClock);
        wasi.envs(&self.env);
        wasi.max_random_size(MAX_RANDOM);
        for (host, guest) in &self.dirs {
            if let Err(error) = wasi.preopened_dir(host, guest, FsPerms::ReadWrite) {
                tracing::warn!("granted directory {}: {error}", host.display());
            }
        }
        if self.net {
            wasi.inherit_network();
            wasi.allow_tcp(true);
            wasi.allow_udp(true);
            wasi.allow_ip_name_lookup(true);
        }
        wasi.build()
    }
}

/// The clock that sessions' timers run on, for WASI and `hotsocket:environment`. In `hotsocket test` that is the
/// script's, which stands still while a guest works and jumps when it waits.
///
/// Its monotonic time counts from the start of the process and not of the instance:
/// what an instance has noted means the same to the one that takes over from it.
pub(crate) struct SessionClock;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The monotonic time of guests begins now, if it has not begun yet. It must begin
/// before any script's clock does.
pub(crate) fn start_clock() {
    LazyLock::force(&START);
}

impl SessionClock {
    /// The monotonic time.
    pub(crate) fn since_start(&self) -> Duration {
        let now = tokio::time::Instant::now().into_std();
        now.saturating_duration_since(*START)
    }

    /// The system's time, as far from now as the sessions' clock is.
    pub(crate) fn since_1970(&self) -> Duration {
        let session = tokio::time::Instant::now().into_std();
        let system = Instant::now();
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        now.saturating_add(session.saturating_duration_since(system))
            .saturating_sub(system.saturating_duration_since(session))
    }
}

impl HostMonotonicClock for SessionClock {
    fn resolution(&self) -> u64 {
        1
    }

    fn now(&self) -> u64 {
        u64::try_from(self.since_start().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl HostWallClock for SessionClock {
    fn resolution(&self) -> Duration {
        Duration::from_nanos(1)
    }

    fn now(&self) -> Duration {
        self.since_1970()
    }
}

/// WASI's stdout or stderr, cut into lines for the server's output.
#[derive(Clone)]
struct LineStream {
    output: GuestOutput,
    stream: StandardStream,
    /// The line not yet ended. Bounded by the longest line of the output.
    partial: Arc<Mutex<Vec<u8>>>,
}

impl LineStream {
    fn new(output: &GuestOutput, stream: StandardStream) -> Self {
        LineStream {
            output: output.clone(),
            stream,
            partial: Arc::default(),
        }
    }

    fn append(&self, bytes: &[u8]) {
        let mut partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            partial.extend_from_slice(piece);
            let ended = partial.pop_if(|last| *last == b'\n').is_some();
            if ended || partial.len() > self.output.max_line {
                self.output.print(self.stream, &partial);
                partial.clear();
            }
        }
    }
}

impl Drop for LineStream {
    /// A guest that ends without a newline still gets its last line out.
    fn drop(&mut self) {
        if Arc::strong_count(&self.partial) == 1 {
            let partial = self.partial.lock().unwrap_or_else(PoisonError::into_inner);
            if !partial.is_empty() {
                self.output.print(self.stream, &partial);
            }
        }
    }
}

impl IsTerminal for LineStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

/// As much as one call may write, in bytes: of empty lines that is as many, which take the
/// host some hundred microseconds.
const MAX_WRITE: usize = 8 << 10;

/// What is written is a line at once, in the middle of the event. wasmtime-wasi's own stream
/// would hand it to a task, which is charged to nobody and knows nothing of `save`.
impl OutputStream for LineStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // Nobody else checks it, and nothing interrupts this.
        if bytes.len() > MAX_WRITE {
            return Err(StreamError::trap("wrote more than `check-write` allows"));
        }
        self.append(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(MAX_WRITE)
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for LineStream {
    async fn ready(&mut self) {}
}

impl StdoutStream for LineStream {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for LineStream {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.append(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::guest_output::{GuestRecord, LineRate, LineSink};
    use crate::limit_counters::{ConnectionWarnings, LimitCounters};

    #[derive(Default)]
    struct Lines(Mutex<Vec<String>>);

    impl LineSink for Lines {
        fn guest_line(&self, _: Option<u64>, _: StandardStream, line: &[u8]) {
            let line = String::from_utf8_lossy(line).into_owned();
            self.0.lock().expect("no panic").push(line);
        }

        fn guest_record(&self, _: Option<u64>, _: &GuestRecord) {}
    }

    /// Without a runtime: no task of its own does it.
    #[test]
    fn what_is_written_is_printed_at_once_or_muted() {
        let lines = Arc::<Lines>::default();
        let muted = Arc::<AtomicBool>::default();
        let output = GuestOutput {
            sink: Arc::clone(&lines) as _,
            muted: Arc::clone(&muted),
            max_line: 100,
            rate: Arc::new(LineRate::new(100)),
            warnings: Arc::new(ConnectionWarnings::new(
                Arc::new(LimitCounters::default()),
                None,
            )),
        };
        let stdout = LineStream::new(&output, StandardStream::Out);
        let mut streams = [stdout.p2_stream(), stdout.p2_stream()];
        streams[0].write("one\ntw".into()).expect("open");
        muted.store(true, Ordering::Relaxed);
        streams[1].write("lost\n".into()).expect("open");
        muted.store(false, Ordering::Relaxed);
        streams[1].write("o\n".into()).expect("open");
        assert_eq!(streams[1].check_write().ok(), Some(MAX_WRITE));
        let too_much = vec![b'x'; MAX_WRITE + 1];
        assert!(streams[1].write(too_much.into()).is_err());
        assert_eq!(*lines.0.lock().expect("no panic"), ["one", "o"]);
    }
}
