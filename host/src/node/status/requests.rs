//! What the control socket and the admin address may ask of a node.

use std::pin::Pin;
use std::sync::Arc;

use hotsocket_sandbox::limit_counters::LimitCounters;

use super::{NodeStatus, ServiceView};
use crate::admin::AdminNode;
use crate::control::connections;
use crate::control::protocol::{AdminPlace, Answer, Request, Status};
use crate::control::receive::RequestBytes;
use crate::control::server::{self, AdminApi, ServiceApi};
use crate::drain::Drain;
use crate::registry::Registry;
use crate::service::NamedService;
use crate::store::Store;
use crate::tap::{TapError, TapStream};
use crate::topics::Topics;

impl ServiceApi for ServiceView {
    fn registry(&self) -> &Registry {
        &self.service.registry
    }

    fn topics(&self) -> &Topics {
        &self.service.topics
    }

    fn store(&self) -> &dyn Store {
        &*self.store
    }
}

impl AdminApi for NodeStatus {
    type Service = ServiceView;

    fn service(&self, name: Option<&str>) -> Result<Arc<ServiceView>, String> {
        self.directory.find(name)
    }

    fn services(&self) -> Vec<NamedService> {
        self.directory.named()
    }

    fn drain(&self) -> &Drain {
        &self.drain
    }

    fn max_component(&self) -> usize {
        let services = self.directory.all();
        let services = services.iter();
        let sizes = services.map(|view| view.service.limits.load().max_component);
        sizes.max().unwrap_or_default()
    }

    fn open_tap(
        &self,
        service: Option<&str>,
        connection: Option<u64>,
    ) -> Result<TapStream, TapError> {
        self.open_tap(service, connection)
    }

    fn reached(&self) -> &LimitCounters {
        &self.reached
    }

    fn request_bytes(&self) -> &Arc<RequestBytes> {
        // A reload may have changed it.
        self.request_bytes.allow(AdminApi::max_component(self));
        &self.request_bytes
    }

    fn admin(&self) -> Option<AdminPlace> {
        self.admin.as_ref().map(|access| AdminPlace {
            address: access.address().to_string(),
            token: access.token().reveal().to_owned(),
            link: access.link(),
        })
    }

    fn status(&self, service: Option<&str>) -> Result<Status, String> {
        let services = match service {
            Some(name) => vec![self.directory.find(Some(name))?],
            None => self.directory.all(),
        };
        let services: Vec<_> = services.iter().map(|service| service.status()).collect();
        let mut first = services.first().cloned().ok_or("the server stops")?;
        for (name, count) in self.reached.all() {
            *first.limits_reached.entry(name.to_owned()).or_default() += count;
        }
        let dropped = self.output.dropped();
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_s: self.started.elapsed().as_secs(),
            service: first,
            services,
            draining: self.drain.status(self.left()),
            dropped_lines: dropped.total(),
            dropped_lines_of: dropped
                .each()
                .into_iter()
                .filter(|(_, lines)| *lines > 0)
                .map(|(of, lines)| (of.to_owned(), lines))
                .collect(),
        })
    }
}

impl NodeStatus {
    /// A tap on a connection, or on all of a service.
    fn open_tap(
        &self,
        service: Option<&str>,
        connection: Option<u64>,
    ) -> Result<TapStream, TapError> {
        let named = match (service, connection) {
            // An id says which service it is.
            (None, Some(id)) => {
                let services = self.directory.named();
                let found = services
                    .into_iter()
                    .find(|named| named.service.roster.get(id).is_some());
                found.ok_or(TapError::NoConnection(id))?
            }
            _ => self
                .directory
                .find(service)
                .map_err(TapError::NoService)?
                .named(),
        };
        let roster = &named.service.roster;
        let lease = self.taps.lease(&named.name, connection)?;
        let gone = TapError::NoConnection(connection.unwrap_or_default());
        let Some(watched) = roster.watch(Arc::clone(lease.tap())) else {
            return Err(gone);
        };
        let session = connection.and_then(|id| roster.get(id));
        let row = session.map(|session| connections::row(&named, session));
        Ok(TapStream::new(lease, watched, row))
    }

    /// Connections that are open, of all services.
    fn left(&self) -> usize {
        let services = self.directory.all();
        services.iter().map(|view| view.service.taken()).sum()
    }
}

impl AdminNode for NodeStatus {
    fn services(&self) -> Vec<NamedService> {
        AdminApi::services(self)
    }

    fn drain(&self) -> &Drain {
        &self.drain
    }

    fn reached(&self) -> &Arc<LimitCounters> {
        &self.reached
    }

    fn status(&self) -> Result<Status, String> {
        AdminApi::status(self, None)
    }

    fn max_component(&self) -> usize {
        AdminApi::max_component(self)
    }

    fn request_bytes(&self) -> &Arc<RequestBytes> {
        AdminApi::request_bytes(self)
    }

    fn execute(
        self: Arc<Self>,
        service: Option<String>,
        request: Request,
        body: Vec<u8>,
    ) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        Box::pin(async move { server::execute(service.as_deref(), request, body, &*self).await })
    }

    fn open_tap(
        &self,
        service: Option<&str>,
        connection: Option<u64>,
    ) -> Result<TapStream, TapError> {
        self.open_tap(service, connection)
    }

    fn renew_tap(&self, id: &str) -> bool {
        self.taps.renew(id)
    }
}
