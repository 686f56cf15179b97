//! The bytes and events of a connection, as they come (see [`crate::tap`]).

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::json;

use super::query::Query;
use super::stream::{self, Lines};
use crate::admin::AdminNode;
use crate::admin::answer::{self, Answer, closing};
use crate::admin::client::Client;
use crate::tap::{TapError, TapStream};

impl Lines for TapStream {
    async fn next(&mut self) -> Option<Vec<u8>> {
        TapStream::next(self).await
    }

    fn patience(&self) -> impl Future<Output = ()> + Send + 'static {
        TapStream::patience(self)
    }
}

/// A tap that lasts as long as the client is there and renews it.
pub fn open(node: &Arc<dyn AdminNode>, query: &Query, client: &Client) -> Answer {
    let Some(connection) = query.connection.as_deref() else {
        let error = "connection=ID says which one is meant";
        return closing(answer::error(StatusCode::BAD_REQUEST, error));
    };
    let Ok(connection) = connection.parse::<u64>() else {
        let error = format!("connection={connection:?} can't be read");
        return closing(answer::error(StatusCode::BAD_REQUEST, &error));
    };
    match node.open_tap(query.service.as_deref(), Some(connection)) {
        Ok(lines) => stream::answer(client, lines),
        Err(error) => {
            let status = match error {
                TapError::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
                TapError::NoConnection(_) | TapError::NoService(_) => StatusCode::NOT_FOUND,
                TapError::NoRandom(_) => StatusCode::SERVICE_UNAVAILABLE,
            };
            closing(answer::error(status, &error.to_string()))
        }
    }
}

/// Begin the lease of a tap again.
pub fn renew(node: &Arc<dyn AdminNode>, id: &str) -> Answer {
    match node.renew_tap(id) {
        true => answer::json(StatusCode::OK, &json!({ "renewed": true })),
        false => answer::error(StatusCode::NOT_FOUND, "there is no such tap, or no more"),
    }
}
