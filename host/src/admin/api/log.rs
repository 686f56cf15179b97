//! The log, as it is written.

use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;

use hyper::StatusCode;

use super::stream;
use crate::admin::AdminNode;
use crate::admin::answer::{self, Answer, closing};
use crate::admin::client::Client;
use crate::admin::server::Shared;
use crate::log::{LogStream, MAX_LOG_STREAMS};

/// The log, for as long as the token is the one that the client has shown.
struct Lines {
    log: LogStream,
    token_change: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl stream::Lines for Lines {
    async fn next(&mut self) -> Option<Vec<u8>> {
        tokio::select! {
            biased;
            () = &mut self.token_change => None,
            lines = self.log.next() => Some(lines),
        }
    }

    /// `--admin-lifetime` ends it.
    fn patience(&self) -> impl Future<Output = ()> + Send + 'static {
        pending()
    }
}

pub fn log(node: &Arc<dyn AdminNode>, client: &Client, shared: &Shared) -> Answer {
    match LogStream::open(node.reached()) {
        Some(log) => {
            let token_change = Box::pin(shared.token_change());
            stream::answer(client, Lines { log, token_change })
        }
        None => {
            let error = format!("{MAX_LOG_STREAMS} clients read the log already");
            closing(answer::error(StatusCode::TOO_MANY_REQUESTS, &error))
        }
    }
}
