//! Whether services could be served, found out without serving: their guests are read,
//! compiled and tried, and what files say of listeners and NATS is read. No address is
//! taken and no store is opened, as a server may have them.

use std::sync::Arc;

use hotsocket_sandbox::{EnginePool, Environment, Sandbox};

use super::start::read;
use super::{Options, ServiceOptions, StartError};
use crate::listener::tls::TlsLayers;
use crate::nats::NatsOptions;
use crate::output::Output;
use crate::registry;
use crate::store::{Memory, NatsStore, StorePlace};

/// What is wrong with each service, by its name; nothing for one that is all right.
///
/// # Errors
/// When nothing can be found out.
pub async fn check(
    options: Options,
    output: Arc<Output>,
) -> Result<Vec<(String, Option<StartError>)>, StartError> {
    options.validate()?;
    let engines = EnginePool::new(
        options.pool(),
        &options.code_cache,
        options.compiler.clone(),
        hotsocket_wasi::link,
    );
    let engines = Arc::new(engines.map_err(|error| StartError::Engine(error.to_string()))?);
    let mut checked = Vec::new();
    for service in options.services {
        let name = service.name();
        let wrong = check_service(service, &engines, &output).await.err();
        checked.push((name, wrong));
    }
    Ok(checked)
}

async fn check_service(
    options: ServiceOptions,
    engines: &Arc<EnginePool>,
    output: &Arc<Output>,
) -> Result<(), StartError> {
    let (component, source) = read(&options.guest, options.limits.max_component).await?;
    let topics = options.topics.map(NatsOptions::prepare).transpose();
    topics.map_err(StartError::Topics)?;
    let mut tls = TlsLayers::new(options.limits.max_handshakes);
    for options in options
        .listeners
        .iter()
        .filter_map(|it| it.layers.tls.as_ref())
    {
        tls.get(options)?;
    }
    let sandbox = Arc::new(Sandbox::new(
        Arc::clone(engines),
        options.limits.sandbox(),
        options.grants,
        Environment::new(options.settings),
        Arc::clone(output) as _,
    ));
    let reached = Arc::clone(sandbox.limit_counters());
    // A guest is linked in one way or the other, as the store waits or not.
    match options.store {
        Some(StorePlace::Nats(place)) => {
            let store = NatsStore::connect(place).await;
            sandbox.set_store(Arc::new(store.map_err(StartError::StoreNats)?));
        }
        _ => sandbox.set_store(Arc::new(Memory::new(options.limits.store(), reached))),
    }
    let guest = source.to_string();
    registry::compile(&sandbox, component, &guest, None).await?;
    Ok(())
}
