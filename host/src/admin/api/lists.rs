//! What is open and what there was: read by anybody who reaches the address.

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::json;

use super::query::Query;
use crate::admin::AdminNode;
use crate::admin::answer::{self, Answer};
use crate::control::protocol::{self, Request};

/// Who answers, and whether the request has the right token.
pub fn session(node: &dyn AdminNode, has_token: bool) -> Answer {
    let services = node.services();
    let names: Vec<_> = services.iter().map(|it| it.name.as_str()).collect();
    let session = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "token": has_token,
        "server": names.join(", "),
    });
    answer::json(StatusCode::OK, &session)
}

pub async fn connections(node: &Arc<dyn AdminNode>, query: Query) -> Answer {
    let service = query.service.clone();
    match query.connections() {
        Ok(query) => list(node, service, Request::Connections(query)).await,
        Err(error) => answer::error(StatusCode::BAD_REQUEST, &error),
    }
}

pub async fn history(node: &Arc<dyn AdminNode>, query: Query) -> Answer {
    list(node, query.service, Request::History).await
}

pub async fn topics(node: &Arc<dyn AdminNode>, query: Query) -> Answer {
    list(node, query.service, Request::Topics).await
}

/// As the control socket answers. None of these waits for a session.
async fn list(node: &Arc<dyn AdminNode>, service: Option<String>, request: Request) -> Answer {
    let answer = Arc::clone(node).execute(service, request, Vec::new()).await;
    match answer {
        protocol::Answer::Error { error } => answer::error(StatusCode::BAD_REQUEST, &error),
        listed => answer::json(StatusCode::OK, &listed),
    }
}
