//! The server's end of the control socket.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hotsocket_sandbox::limit_counters::LimitCounters;
use hotsocket_sandbox::topics::{TOPIC_FORM, is_topic};
use hotsocket_sandbox::{ComponentBytes, run_on_thread};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::admission::{Admission, Evicted, Permit};
pub use super::listener::{ControlSocket, ControlSocketError};
use super::protocol::{
    self, AdminPlace, Answer, ConnectionQuery, DrainOrder, MAX_TOPICS, Request, SIGN_OF_LIFE,
    TopicStatus,
};
use super::receive::{Received, RequestBytes, receive};
use super::{connections, store, watch};
use crate::drain::{Drain, Order};
use crate::registry::{Registry, SwapError};
use crate::rollout::{Policy, Source};
use crate::service::NamedService;
use crate::store::Store;
use crate::tap::{TapError, TapStream};
use crate::topics::{TopicUse, Topics};

/// Concurrent clients; one more evicts one that hangs.
const MAX_CLIENTS: usize = 64;
/// How long receiving a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// How long sending an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause after `accept` failed, as it may fail again at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Threads of the process that list connections; whoever asks for one more waits.
static LISTS: Semaphore = Semaphore::const_new(2);

/// What requests need of the server.
pub trait AdminApi: Send + Sync + 'static {
    type Service: ServiceApi;

    /// The service of that name, or the only one.
    ///
    /// # Errors
    /// When there is none, or it is not clear which one is meant.
    fn service(&self, name: Option<&str>) -> Result<Arc<Self::Service>, String>;
    /// All services, for what is asked about all of them.
    fn services(&self) -> Vec<NamedService>;
    fn drain(&self) -> &Drain;
    /// The state of all services, or of the one of that name.
    ///
    /// # Errors
    /// When there is none.
    fn status(&self, service: Option<&str>) -> Result<super::protocol::Status, String>;
    /// Size of the largest component that may be sent, in bytes.
    fn max_component(&self) -> usize;
    /// A tap on a connection, or on all connections of a service.
    ///
    /// # Errors
    /// When there is no such connection or service, or there are too many taps.
    fn open_tap(
        &self,
        service: Option<&str>,
        connection: Option<u64>,
    ) -> Result<TapStream, TapError>;
    /// Counts what is wrong with requests themselves.
    fn reached(&self) -> &LimitCounters;
    /// What the bodies of requests hold, wherever they come from.
    fn request_bytes(&self) -> &Arc<RequestBytes>;
    /// The admin address, if there is one.
    fn admin(&self) -> Option<AdminPlace>;
}

/// What requests need of one service.
pub trait ServiceApi: Send + Sync + 'static {
    fn registry(&self) -> &Registry;
    fn topics(&self) -> &Topics;
    fn store(&self) -> &dyn Store;
}

/// Answer requests until dropped.
pub async fn serve(socket: ControlSocket, api: Arc<impl AdminApi>) {
    let admission = Admission::new(MAX_CLIENTS);
    loop {
        match socket.accept().await {
            Ok(stream) => {
                let Some(permit) = admission.admit(false).await else {
                    return;
                };
                let api = Arc::clone(&api);
                tokio::spawn(async move { handle_client(stream, &*api, permit).await });
            }
            Err(error) => {
                tracing::debug!("control socket: accept failed: {error}");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serve one request of one client.
async fn handle_client(mut stream: UnixStream, api: &impl AdminApi, permit: Permit) {
    let (read, write) = stream.split();
    let request = timeout(REQUEST_TIMEOUT, receive(read, api));
    let request = permit.wait_for(request, || is_unread(write.as_ref())).await;
    let answer = match request {
        Ok(Ok(Ok(received))) => {
            let Received {
                service,
                request,
                body,
                held,
            } = received;
            if let Request::Watch { connection } = request {
                drop(held);
                match api.open_tap(service.as_deref(), connection) {
                    Ok(tap) => {
                        // Viewers have a limit of their own, and keep nobody else out.
                        drop(permit);
                        return drop(watch::send(&mut stream, tap).await);
                    }
                    Err(error) => Answer::Error {
                        error: error.to_string(),
                    },
                }
            } else {
                let work = execute(service.as_deref(), request, body, api);
                let answer = show_life(&stream, work).await;
                drop(held);
                answer
            }
        }
        Ok(Ok(Err(error))) => Answer::Error { error },
        Ok(Err(_)) => Answer::Error {
            error: format!(
                "timed out: no complete request within {}",
                crate::duration::show(REQUEST_TIMEOUT)
            ),
        },
        Err(Evicted) => {
            let error =
                "evicted: the request was still incomplete when another client needed the slot";
            // An empty socket buffer takes one line; a client that left no room
            // for it is not waited for.
            let _ = stream.try_write(&line(&Answer::Error {
                error: error.to_owned(),
            }));
            return;
        }
    };
    let line = line(&answer);
    let sent = timeout(ANSWER_TIMEOUT, async {
        stream.write_all(&line).await?;
        stream.shutdown().await
    });
    let _ = permit.wait_for(sent, || false).await;
}

/// Send a sign of life now and then while the work is being done.
async fn show_life<T>(stream: &UnixStream, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        match timeout(SIGN_OF_LIFE, &mut work).await {
            Ok(done) => return done,
            // A client that has gone, or takes nothing, needs none.
            Err(_) => drop(stream.try_write(b" ")),
        }
    }
}

/// Whether the client has sent bytes that the server has not read yet.
fn is_unread(stream: &UnixStream) -> bool {
    rustix::io::ioctl_fionread(stream).is_ok_and(|bytes| bytes > 0)
}

fn line(answer: &Answer) -> Vec<u8> {
    let mut line = serde_json::to_vec(answer).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Carry out a request, and answer it. Swaps and rollbacks take as long as they take; call
/// it within the runtime that serves connections.
pub async fn execute(
    service: Option<&str>,
    request: Request,
    body: Vec<u8>,
    api: &impl AdminApi,
) -> Answer {
    let answer = match request {
        Request::Status => api
            .status(service)
            .map(|status| Answer::Status(Box::new(status))),
        Request::Connections(query) => {
            let query = ConnectionQuery {
                service: service.map(str::to_owned),
                ..query
            };
            // A list is made to its end also when nobody waits for it any more, so its
            // thread has the permit. The semaphore is never closed.
            let permit = LISTS.acquire().await.ok();
            let services = api.services();
            let list = move || {
                let list = connections::list(&services, &query);
                drop(permit);
                list
            };
            // With many connections it takes longer than a tick.
            let list = run_on_thread("connections", None, list).await;
            let no_thread = |error| {
                let error = crate::os_error::message(&error);
                format!("no thread to list the connections: {error}")
            };
            list.map(Answer::Connections).map_err(no_thread)
        }
        Request::Admin => api.admin().map(Answer::Admin).ok_or_else(|| {
            "the server has no admin address; `--admin 127.0.0.1:9300` gives it one, and \
             `hotsocket dev` has one"
                .to_owned()
        }),
        Request::Drain { order } => {
            if let Some(DrainOrder { max_ms, ends }) = order {
                let max = Duration::from_millis(max_ms).min(crate::duration::MAX);
                api.drain().begin(Order::new(max, ends));
            }
            let left = api
                .services()
                .iter()
                .map(|service| service.service.taken())
                .sum();
            Ok(Answer::Drain {
                drain: api.drain().status(left),
            })
        }
        request => match api.service(service) {
            Ok(service) => of_service(request, body, &*service).await,
            Err(error) => Err(error),
        },
    };
    answer.unwrap_or_else(|error| Answer::Error { error })
}

/// A request to one service.
async fn of_service(
    request: Request,
    body: Vec<u8>,
    service: &impl ServiceApi,
) -> Result<Answer, String> {
    let (registry, topics) = (service.registry(), service.topics());
    match request {
        // Answered by the node.
        Request::Status
        | Request::Connections(_)
        | Request::Admin
        | Request::Drain { .. }
        | Request::Watch { .. } => Err("no request to a service".to_owned()),
        Request::History => Ok(Answer::History {
            generations: registry.history(),
        }),
        Request::Publish { topic, .. } if !is_topic(&topic) => Err(format!(
            "{topic:?} is no topic to publish under: {TOPIC_FORM}"
        )),
        Request::Publish { topic, .. } => {
            let messages = vec![body.into_boxed_slice()];
            let receivers = topics.publish(&topic, messages, 0).await.receivers;
            let nats = topics.has_nats();
            Ok(Answer::Published { receivers, nats })
        }
        Request::Topics => {
            let (list, count) = topics.list(MAX_TOPICS);
            let totals = topics.totals();
            Ok(Answer::Topics(protocol::Topics {
                topics: list.into_iter().map(TopicStatus::from).collect(),
                count,
                published: totals.published,
                delivered: totals.delivered,
                dropped: totals.dropped,
                nats: topics.nats_status(),
            }))
        }
        Request::Store { bucket, operation } => {
            store::execute(service.store(), &bucket, operation, body).await
        }
        Request::Swap { name, policy, .. } => {
            let policy = parse_policy(policy)?;
            // Hashing a large component takes longer than a tick.
            match run_on_thread("hash", None, || ComponentBytes::new(body)).await {
                Ok(component) => registry
                    .swap(component, Source::Sent(name), policy)
                    .await
                    .map(Answer::Swap)
                    .map_err(|error| report_failure(registry, &error)),
                Err(error) => Err(format!(
                    "not swapped: no thread to hash the component: {}; still serving generation {}",
                    crate::os_error::message(&error),
                    registry.active().number
                )),
            }
        }
        Request::Rollback { policy, from } => {
            let swapped = registry.roll_back(parse_policy(policy)?, from).await;
            swapped
                .map(Answer::Rollback)
                .map_err(|error| report_failure(registry, &error))
        }
    }
}

fn parse_policy(policy: Option<String>) -> Result<Option<Policy>, String> {
    policy.map(|policy| policy.parse()).transpose()
}

/// Log why a swap failed, and return the same message for the client.
fn report_failure(registry: &Registry, error: &SwapError) -> String {
    let active = registry.active().number;
    let what = error.what();
    let message = format!("{what}: {error}; still serving generation {active}");
    tracing::warn!(
        kind = "swap",
        outcome = "failed",
        generation = active,
        "{message}"
    );
    message
}

impl From<TopicUse> for TopicStatus {
    fn from(used: TopicUse) -> Self {
        TopicStatus {
            pattern: used.pattern,
            subscribers: used.subscribers,
            messages: used.messages,
        }
    }
}
