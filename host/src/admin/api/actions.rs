//! Swap and rollback: what the control socket does for `hotsocket swap`, with its words.
//!
//! The thread of the admin address only waits for them. A client that goes away ends
//! nothing: an action that has begun is carried out.

use std::sync::Arc;

use hotsocket_sandbox::limit_counters::Limit;
use hyper::StatusCode;
use hyper::body::Incoming;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use super::body;
use super::query::Query;
use crate::admin::AdminNode;
use crate::admin::answer::{self, Answer, closing};
use crate::admin::client::Client;
use crate::admin::server::Shared;
use crate::control::protocol::{self, Request};
use crate::control::receive::HeldBytes;
use crate::duration;
use crate::output::escape;
use crate::registry::{Outcome, Report};

/// At once, with those whose component still arrives.
pub const MAX_ACTIONS: usize = 4;

pub async fn swap(
    body: Incoming,
    query: Query,
    client: &Client,
    shared: &Shared,
    node: &Arc<dyn AdminNode>,
) -> Answer {
    let Some(permit) = shared.begin_action() else {
        return too_many();
    };
    let _busy = client.begin();
    let time = shared.limits().lifetime;
    let (max, bytes) = (node.max_component(), node.request_bytes());
    let received = timeout(time, body::read(body, max, bytes, node.reached()));
    let (component, held) = match received.await {
        Ok(Ok(received)) => received,
        Ok(Err(refused)) => return closing(answer::error(refused.status, &refused.error)),
        Err(_) => {
            node.reached().count(Limit::AdminLifetime);
            let time = duration::show(time);
            let error = format!("the component has not arrived within {time} (--admin-lifetime)");
            return closing(answer::error(StatusCode::REQUEST_TIMEOUT, &error));
        }
    };
    let request = Request::Swap {
        name: query.name.unwrap_or_else(|| "upload".to_owned()),
        length: component.len() as u64,
        policy: query.policy,
    };
    let work = Work {
        service: query.service,
        request,
        body: component,
        _held: Some(held),
        _permit: permit,
    };
    work.carry_out(shared, node).await
}

pub async fn roll_back(
    query: Query,
    client: &Client,
    shared: &Shared,
    node: &Arc<dyn AdminNode>,
) -> Answer {
    let from = match query.generation() {
        Ok(from) => from,
        Err(error) => return closing(answer::error(StatusCode::BAD_REQUEST, &error)),
    };
    let Some(permit) = shared.begin_action() else {
        return too_many();
    };
    let _busy = client.begin();
    let work = Work {
        service: query.service,
        request: Request::Rollback {
            policy: query.policy,
            from,
        },
        body: Vec::new(),
        _held: None,
        _permit: permit,
    };
    work.carry_out(shared, node).await
}

fn too_many() -> Answer {
    let error = format!("{MAX_ACTIONS} swaps are under way already; try again later");
    closing(answer::error(StatusCode::TOO_MANY_REQUESTS, &error))
}

/// One action, and what it keeps until it is done.
struct Work {
    service: Option<String>,
    request: Request,
    body: Vec<u8>,
    _held: Option<HeldBytes>,
    _permit: OwnedSemaphorePermit,
}

impl Work {
    async fn carry_out(self, shared: &Shared, node: &Arc<dyn AdminNode>) -> Answer {
        let node = Arc::clone(node);
        // On the threads that serve, as sessions take part.
        let done = shared
            .serving()
            .spawn(async move { node.execute(self.service, self.request, self.body).await });
        closing(match done.await {
            Ok(done) => answer_to(done),
            Err(_) => answer::error(StatusCode::SERVICE_UNAVAILABLE, "the server stops"),
        })
    }
}

/// What `hotsocket swap` would print, and the numbers.
fn answer_to(done: protocol::Answer) -> Answer {
    let failed = |text: String, report: Option<&Report>| {
        let answer = json!({ "ok": false, "error": text, "text": text, "report": report });
        answer::json(StatusCode::CONFLICT, &answer)
    };
    match done {
        protocol::Answer::Swap(report) | protocol::Answer::Rollback(report) => {
            let text = report.line();
            match report.outcome {
                Outcome::Undone => failed(text, Some(&report)),
                _ => {
                    let answer = json!({ "ok": true, "text": text, "report": report });
                    answer::json(StatusCode::OK, &answer)
                }
            }
        }
        protocol::Answer::Error { error } => failed(escape::error_line(&error), None),
        _ => failed(
            escape::error_line("the server has answered something else"),
            None,
        ),
    }
}
