//! The API behind the page: what is under `/api`. docs/inspector-api.md describes it.
//!
//! Lists need no token. What does something, or shows the bytes of connections or the log,
//! does. Whoever sends a request of another site's page is answered with none of it.
//!
//! - [`query`]: what comes after the question mark
//! - [`lists`]: sessions, connections, generations, topics
//! - [`actions`]: swap and rollback; [`body`]: the component of a swap
//! - [`tap`]: a connection, event by event; [`log`]: the log as it is written; [`stream`]:
//!   answers that go on

mod actions;
mod body;
mod lists;
mod log;
mod query;
mod stream;
mod tap;

use hyper::body::{Body as _, Incoming};
use hyper::header::{HeaderValue, WWW_AUTHENTICATE};
use hyper::{Method, Request, StatusCode};

use super::answer::{self, Answer, closing};
use super::client::Client;
use super::origin;
use super::server::Shared;
pub use actions::MAX_ACTIONS;
use query::Query;

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Path {
    Session,
    Connections,
    History,
    Topics,
    Swap,
    Rollback,
    Log,
    Tap,
    /// Of the tap with this id.
    Renewal(String),
}

impl Path {
    /// What comes after `/api/`.
    fn find(path: &str) -> Option<Self> {
        Some(match path {
            "session" => Path::Session,
            "connections" => Path::Connections,
            "history" => Path::History,
            "topics" => Path::Topics,
            "swap" => Path::Swap,
            "rollback" => Path::Rollback,
            "log" => Path::Log,
            "tap" => Path::Tap,
            other => Path::Renewal(other.strip_prefix("tap/")?.to_owned()),
        })
    }

    fn is_list(&self) -> bool {
        use Path::{Connections, History, Session, Topics};
        matches!(self, Session | Connections | History | Topics)
    }

    /// Whatever is not a list does something, or shows what is secret.
    fn needs_token(&self) -> bool {
        !self.is_list()
    }

    fn methods(&self) -> &'static str {
        match self {
            // Without a body they would say nothing.
            Path::Log | Path::Tap => "GET",
            _ if self.is_list() => "GET, HEAD",
            _ => "POST",
        }
    }

    fn is_for(&self, method: &Method) -> bool {
        let mut methods = self.methods().split(", ");
        methods.any(|allowed| method.as_str() == allowed)
    }
}

/// Answer a request for a path after `/api/`. Its body is read last, if at all.
pub async fn route(
    request: Request<Incoming>,
    path: &str,
    client: &Client,
    shared: &Shared,
) -> Answer {
    let headers = request.headers();
    if !origin::is_own(headers) {
        let error = "this is not for pages of other sites";
        return closing(answer::error(StatusCode::FORBIDDEN, error));
    }
    let Some(path) = Path::find(path) else {
        let error = "nothing is here; / lists what is";
        return closing(answer::error(StatusCode::NOT_FOUND, error));
    };
    if !path.is_for(request.method()) {
        let methods = path.methods();
        let error = format!("only {methods}");
        let answer = answer::error(StatusCode::METHOD_NOT_ALLOWED, &error);
        return answer::not_allowed(answer, methods);
    }
    let has_token = shared.token().is_in(headers);
    if path.needs_token() && !has_token {
        let error = "this needs the token; hotsocket open opens the page with it";
        let mut answer = closing(answer::error(StatusCode::UNAUTHORIZED, error));
        let bearer = HeaderValue::from_static("Bearer");
        answer.headers_mut().insert(WWW_AUTHENTICATE, bearer);
        return answer;
    }
    if path != Path::Swap && !request.body().is_end_stream() {
        let error = "this takes no body";
        return closing(answer::error(StatusCode::BAD_REQUEST, error));
    }
    let Some(node) = shared.node() else {
        return closing(answer::error(StatusCode::SERVICE_UNAVAILABLE, "starting"));
    };
    let query = match Query::parse(request.uri().query().unwrap_or_default()) {
        Ok(query) => query,
        Err(error) => return closing(answer::error(StatusCode::BAD_REQUEST, &error)),
    };
    match path {
        Path::Session => lists::session(&**node, has_token),
        Path::Connections => lists::connections(node, query).await,
        Path::History => lists::history(node, query).await,
        Path::Topics => lists::topics(node, query).await,
        Path::Swap => actions::swap(request.into_body(), query, client, shared, node).await,
        Path::Log => log::log(node, client, shared),
        Path::Tap => tap::open(node, &query, client),
        Path::Renewal(id) => tap::renew(node, &id),
        Path::Rollback => actions::roll_back(query, client, shared, node).await,
    }
}
