//! From a request to an answer.

use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::header::{ACCEPT, HeaderValue, VARY};
use hyper::{HeaderMap, Method, Request, StatusCode};
use tokio::time::timeout;

use super::answer::{self, Answer, closing, text, with_type};
use super::client::Client;
use super::server::Shared;
use super::{api, host, metrics, page};
use crate::control::protocol;

/// The threads that serve are alive if one of them runs a task so soon.
pub const LIVE_WITHIN: Duration = Duration::from_secs(2);

const INDEX: &str = "\
/         the inspector, for browsers
/metrics  metrics for Prometheus
/live     whether the server runs
/ready    whether it accepts connections
/status   its state, as JSON
/api/     what the inspector asks for: session, connections, history, topics;
          with the token swap, rollback, tap, log
";

/// Answer a request of a client.
pub async fn route(request: Request<Incoming>, client: &Client, shared: &Shared) -> Answer {
    let (uri, headers) = (request.uri(), request.headers());
    if !host::is_allowed(uri, headers, &client.local, shared.hosts()) {
        // Its body is not read.
        return closing(text(
            StatusCode::FORBIDDEN,
            "this Host is not served here; --admin-host NAME allows one\n",
        ));
    }
    if let Some(path) = uri.path().strip_prefix("/api/") {
        let path = path.to_owned();
        return api::route(request, &path, client, shared).await;
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        return answer::not_allowed(answer, "GET, HEAD");
    }
    if !request.body().is_end_stream() {
        return closing(text(
            StatusCode::BAD_REQUEST,
            "a request has no body here\n",
        ));
    }
    match uri.path() {
        "/" => index(headers),
        "/live" => live(shared).await,
        "/ready" => ready(shared),
        "/status" => status(shared),
        "/metrics" => show_metrics(headers, shared),
        path => {
            let file = path.strip_prefix("/page/");
            let file = file.and_then(|name| page::file(name, headers));
            file.unwrap_or_else(|| {
                text(StatusCode::NOT_FOUND, "nothing is here; / lists what is\n")
            })
        }
    }
}

fn index(headers: &HeaderMap) -> Answer {
    let mut answer = match page::is_wanted(headers) {
        true => page::html(headers),
        false => text(StatusCode::OK, INDEX),
    };
    let headers = answer.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("accept"));
    answer
}

async fn live(shared: &Shared) -> Answer {
    let ran = timeout(LIVE_WITHIN, shared.serving().spawn(async {}));
    match ran.await {
        Ok(Ok(())) => text(StatusCode::OK, "live\n"),
        _ => text(
            StatusCode::SERVICE_UNAVAILABLE,
            "the threads that serve run nothing\n",
        ),
    }
}

fn ready(shared: &Shared) -> Answer {
    match shared.node() {
        None => text(StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
        Some(node) if node.drain().has_begun() => {
            text(StatusCode::SERVICE_UNAVAILABLE, "draining\n")
        }
        Some(_) => text(StatusCode::OK, "ready\n"),
    }
}

fn status(shared: &Shared) -> Answer {
    let Some(node) = shared.node() else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "starting\n");
    };
    // As the control socket answers, and with its field `answer`.
    match node.status() {
        Ok(status) => answer::json(StatusCode::OK, &protocol::Answer::Status(Box::new(status))),
        Err(_) => text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
    }
}

fn show_metrics(headers: &HeaderMap, shared: &Shared) -> Answer {
    let format = metrics::Format::accepted(headers.get_all(ACCEPT).iter());
    match metrics::text(shared.node().cloned(), format) {
        Ok(text) => with_type(StatusCode::OK, format.content_type(), text),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "no metrics\n"),
    }
}
