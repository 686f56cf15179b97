//! From a request to an answer.

use std::time::Duration;

use hotsocket_sandbox::Endpoint;
use http_body_util::Full;
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::time::timeout;

use super::server::Shared;
use super::{host, metrics};
use crate::control::protocol;

pub type Answer = Response<Full<Bytes>>;

/// The threads that serve are alive if one of them runs a task so soon.
pub const LIVE_WITHIN: Duration = Duration::from_secs(2);

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

const INDEX: &str = "\
/metrics  metrics for Prometheus
/live     whether the server runs
/ready    whether it accepts connections
/status   its state, as JSON
";

/// Answer a request that has come to the address `local`.
pub async fn route(request: Request<Incoming>, local: &Endpoint, shared: &Shared) -> Answer {
    let (uri, headers) = (request.uri(), request.headers());
    if !host::is_allowed(uri, headers, local, shared.hosts()) {
        return text(
            StatusCode::FORBIDDEN,
            "this Host is not served here; --admin-host NAME allows one\n",
        );
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD\n");
        let allowed = HeaderValue::from_static("GET, HEAD");
        answer.headers_mut().insert(ALLOW, allowed);
        // Its body is not read.
        return closing(answer);
    }
    if !request.body().is_end_stream() {
        return closing(text(
            StatusCode::BAD_REQUEST,
            "a request has no body here\n",
        ));
    }
    match uri.path() {
        "/" => text(StatusCode::OK, INDEX),
        "/live" => live(shared).await,
        "/ready" => ready(shared),
        "/status" => status(shared),
        "/metrics" => show_metrics(headers, shared),
        _ => text(StatusCode::NOT_FOUND, "nothing is here; / lists what is\n"),
    }
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
    let Ok(status) = node.status() else {
        return text(StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    };
    let answer = protocol::Answer::Status(Box::new(status));
    match serde_json::to_string(&answer) {
        Ok(mut json) => {
            json.push('\n');
            with_type(StatusCode::OK, JSON, json)
        }
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "no JSON\n"),
    }
}

fn show_metrics(headers: &HeaderMap, shared: &Shared) -> Answer {
    let format = metrics::Format::accepted(headers.get_all(ACCEPT).iter());
    match metrics::text(shared.node().cloned(), format) {
        Ok(text) => with_type(StatusCode::OK, format.content_type(), text),
        Err(_) => text(StatusCode::INTERNAL_SERVER_ERROR, "no metrics\n"),
    }
}

fn text(status: StatusCode, text: &'static str) -> Answer {
    with_type(status, TEXT, text.to_owned())
}

fn with_type(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

fn closing(mut answer: Answer) -> Answer {
    let close = HeaderValue::from_static("close");
    answer.headers_mut().insert(CONNECTION, close);
    answer
}
