//! Answers without an end: lines of JSON (NDJSON), as they come.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body_util::BodyExt as _;
use hyper::StatusCode;
use hyper::body::{Body, Bytes, Frame};
use tokio::sync::mpsc;

use crate::admin::answer::{self, Answer, closing};
use crate::admin::client::{Busy, BusyConnection, Client};

const NDJSON: &str = "application/x-ndjson";

/// Where lines come from.
pub trait Lines: Send + 'static {
    /// One line or several; `None` after the last.
    fn next(&mut self) -> impl Future<Output = Option<Vec<u8>>> + Send;
    /// Resolves when a client is no longer waited for that does not take what there is.
    fn patience(&self) -> impl Future<Output = ()> + Send + 'static;
}

/// An answer that lasts as long as there are lines and the client is there. The client is
/// busy meanwhile.
pub fn answer(client: &Client, lines: impl Lines) -> Answer {
    // One batch waits for the client; the others where they come from.
    let (send, receive) = mpsc::channel(1);
    let busy = client.begin();
    tokio::spawn(carry(lines, send, busy.connection()));
    let body = Stream {
        lines: receive,
        busy,
    };
    closing(answer::new(StatusCode::OK, NDJSON, body.boxed_unsync()))
}

/// From where they come to the body of the answer, until either is gone.
async fn carry(mut lines: impl Lines, body: mpsc::Sender<Vec<u8>>, client: BusyConnection) {
    loop {
        let next = tokio::select! {
            () = body.closed() => return,
            next = lines.next() => next,
        };
        let Some(next) = next else { return };
        let taken = tokio::select! {
            biased;
            sent = body.send(next) => sent.is_ok(),
            () = lines.patience() => {
                client.close();
                false
            }
        };
        if !taken {
            return;
        }
    }
}

struct Stream {
    lines: mpsc::Receiver<Vec<u8>>,
    busy: Busy,
}

impl Body for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.busy.set_unread(false);
        let lines = ready!(self.lines.poll_recv(cx));
        // Nobody asks for more before the client has taken most of it.
        self.busy.set_unread(true);
        Poll::Ready(lines.map(|lines| Ok(Frame::data(lines.into()))))
    }
}
